//! Any vaults at all, with any caches and databases: what is found depends on them and on nothing else.

use domain::ResourceId;
use proptest::prelude::*;
use reconcile::Reconciler;
use redis::elasticache::{Cache, CacheKind};

use super::{
    engines::{cache, turso_database},
    random::{block_on, comes_to, shuffle},
    *,
};

const STATUSES: [&str; 4] = ["available", "creating", "deleting", ""];

/// An object in one of the vaults, or in both.
#[derive(Clone, Debug)]
struct Stored {
    is_redis: bool,
    number: u8,
    incarnation: u8,
    slots_ago: i64,
    attempt: u32,
    name: &'static str,
    bytes: [Option<usize>; 2],
    hours_ago: i64,
}

prop_compose! {
    fn any_object()(
        is_redis in any::<bool>(), number in 0..3_u8, incarnation in 0..2_u8, slots_ago in -2..16_i64,
        attempt in 1..4_u32, name in prop::sample::select(&["data", "manifest.json", "0001.rdb"][..]),
        home in prop::option::of(0..200_usize), away in prop::option::of(0..200_usize), same in prop::bool::weighted(0.8),
        hours_ago in 0..30_i64,
    ) -> Stored {
        let bytes = [home, if same { home } else { away }];
        Stored { is_redis, number, incarnation, slots_ago, attempt, name, bytes, hours_ago }
    }
}

#[derive(Clone, Debug)]
struct Any {
    caches: Vec<(u8, u8, &'static str, bool)>,
    databases: Vec<(u8, u8, bool, bool)>,
    objects: Vec<Stored>,
    seen: Vec<(u8, i64)>,
}

prop_compose! {
    fn any_world()(
        caches in prop::collection::vec(
            (0..3_u8, 0..2_u8, prop::sample::select(&STATUSES[..]), any::<bool>()), 0..4),
        databases in prop::collection::vec((0..3_u8, 0..2_u8, any::<bool>(), any::<bool>()), 0..4),
        objects in prop::collection::vec(any_object(), 0..40),
        seen in prop::collection::vec((0..3_u8, -100..5_000_i64), 0..4),
    ) -> Any {
        Any { caches, databases, objects, seen }
    }
}

fn name(number: u8) -> String {
    format!("main-{number}")
}

/// The first is the archive's.
fn incarnation(number: u8) -> String {
    if number == 0 { "s3://archive/main/".to_owned() } else { format!("made-{number}") }
}

impl Any {
    fn world(&self) -> World {
        let mut world = World::new("2026-11-22T13:30:00Z", []);
        world.plans = r#"{"plans": {"default": {
            "redis": {"append_only": {"main-0": "s3://archive/main/"}},
            "turso": {"databases": ["production/main-*"]}, "schedule": {"turso": "0 */6 * * *"}
        }}}"#;
        for (number, made, status, is_protected) in &self.caches {
            let kind = if *made == 0 { CacheKind::ReplicationGroup } else { CacheKind::Serverless };
            let mut cache = Cache { incarnation: incarnation(*made), ..cache(kind, &name(*number)) };
            (*status).clone_into(&mut cache.status);
            if !is_protected {
                cache.tags.clear();
            }
            world.caches.put_cache(cache);
        }
        for (number, made, block_reads, archived) in &self.databases {
            let shown = turso_database(&name(*number));
            let (id, block_reads, archived) = (incarnation(*made), *block_reads, *archived);
            world.have_database(turso::Database { id, block_reads, archived, ..shown });
        }
        for object in &self.objects {
            let name = name(object.number);
            let resource = if object.is_redis { ResourceId::redis(&name) } else { ResourceId::turso(&name) };
            let slot = at("2026-11-22T12:00:00Z") - SignedDuration::from_hours(6 * object.slots_ago);
            let id =
                RecoveryPointId::new(&name, &incarnation(object.incarnation), Slot::at(slot), object.attempt);
            let key = format!("{}{}", vault::point_prefix(&resource, Slot::at(slot), &id), object.name);
            world.vault.set_now(world.now - SignedDuration::from_hours(object.hours_ago));
            world.vault.replicate_to(&world.recovery_vault, Replication::Off);
            for (store, bytes) in [&world.vault, &world.recovery_vault].into_iter().zip(object.bytes) {
                if let Some(bytes) = bytes {
                    store.put(&key, vec![7; bytes]);
                }
            }
        }
        let remembered = self.seen.iter().flat_map(|(number, since)| {
            let known = json!({"seen_since": world.now - minutes(*since), "worst": null});
            ["redis", "turso"].map(|engine| (format!("{engine}/{}", name(*number)), known.clone()))
        });
        world.remember(&Value::Object(remembered.collect()));
        world.sync();
        world
    }
}

proptest! {
    #[test]
    fn findings_do_not_depend_on_the_order_of_what_was_seen(any in any_world(), seed in any::<u64>()) {
        let world = any.world();
        let observed = block_on(world.function().observe(Ask::Canary, world.now)).unwrap();
        let mut shuffled = observed.clone();
        shuffle(&mut shuffled.caches.resources, seed);
        shuffle(&mut shuffled.databases.resources, seed);
        for look in [&mut shuffled.caches.look, &mut shuffled.databases.look].into_iter().flatten() {
            shuffle(look.home.as_mut().unwrap(), seed);
            shuffle(&mut look.away.as_mut().unwrap().copies, seed);
        }
        let plan = |observed| comes_to(crate::plan::plan(observed, world.now).unwrap());
        prop_assert_eq!(plan(&observed), plan(&shuffled));
    }

    /// Looked at again, the same world is the same: the board stands, and nothing is written.
    #[test]
    fn a_second_look_changes_nothing(any in any_world()) {
        let mut world = any.world();
        block_on(async {
            world.ask(Ask::Canary).await.unwrap();
            let (board, memory) = (world.board(), world.memory("2026-11"));
            let writes = world.documents().writes();
            let summary = world.ask(Ask::Watch(Wake::Tick)).await.unwrap();
            prop_assert!(summary.failed.is_empty(), "{:?}", summary.failed);
            prop_assert_eq!((world.board(), world.memory("2026-11")), (board, memory));
            prop_assert_eq!(world.documents().writes(), writes);
            Ok(())
        })?;
    }

    /// A completed recovery point of the slot, copied whole, leaves nothing to say of slots and copies.
    #[test]
    fn what_is_complete_in_both_vaults_is_said_of_nobody(any in any_world()) {
        let mut world = any.world();
        let slot = Slot::at(at("2026-11-22T12:00:00Z"));
        for number in 0..3 {
            for (made, resource) in (0..2).flat_map(|made| {
                [(made, ResourceId::redis(name(number))), (made, ResourceId::turso(name(number)))]
            }) {
                let id = RecoveryPointId::new(&resource.name, &incarnation(made), slot, 4);
                let prefix = vault::point_prefix(&resource, slot, &id);
                for store in [&world.vault, &world.recovery_vault] {
                    store.put(&format!("{prefix}data"), vec![7; 1_000]);
                    store.put(&format!("{prefix}manifest.json"), "{}");
                }
            }
        }
        block_on(world.ask(Ask::Canary)).unwrap();
        for finding in world.board() {
            prop_assert!(finding.since <= world.now, "{:?}", finding);
            let kinds = ["canary", "protection-lost", "resource-unhealthy"];
            let is_about_it = kinds.contains(&finding.kind.as_str());
            prop_assert!(is_about_it, "{:?}", finding);
        }
    }
}
