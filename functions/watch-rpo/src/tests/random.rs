//! Any world at all: what is found depends on the world and on nothing else.

use proptest::prelude::*;
use reconcile::{Plan, Reconciler, Verdict};

use super::*;
use crate::act::Action;

const STATUSES: [&str; 8] =
    ["available", "creating", "stopped", "starting", "failed", "storage-full", "backing-up", ""];
const SNAPSHOTS: [&str; 4] = ["available", "creating", "failed", ""];

prop_compose! {
    fn any_database()(
        number in 0..4_u8, incarnation in 0..4_u8, status in prop::sample::select(&STATUSES[..]),
        retention_days in -1..9_i32, newest in prop::option::of(-60..20_000_i64), protected in prop::bool::weighted(0.8),
    ) -> Instance {
        let incarnation = if incarnation == 0 { String::new() } else { format!("db-{incarnation}") };
        let mut database = database(&format!("orders{number}"), &incarnation);
        status.clone_into(&mut database.status);
        database.retention_days = retention_days;
        database.latest_restorable = newest.map(|seconds| now() - SignedDuration::from_secs(seconds));
        if !protected {
            database.tags.clear();
        }
        database
    }
}

prop_compose! {
    fn any_snapshot()(
        number in 0..4_u8, incarnation in 0..4_u8, slot in -3..12_i64, attempt in 1..3_u32, gib in 0..200_i32,
        status in prop::sample::select(&SNAPSHOTS[..]), copied in any::<bool>(), told in prop::bool::weighted(0.8),
        ahead in prop::option::weighted(0.1, 0..4_i64),
    ) -> Snapshot {
        let incarnation = if incarnation == 0 { String::new() } else { format!("db-{incarnation}") };
        let slot = Slot::at(at("2026-11-22T03:00:00Z") - SignedDuration::from_hours(24 * slot));
        let mut snapshot = point(&incarnation, &slot.to_string());
        let name = format!("orders{number}");
        snapshot.id = RecoveryPointId::new(&name, &incarnation, slot, attempt).to_string();
        snapshot.tags.insert(tag::RESOURCE.to_owned(), format!("rds/{name}"));
        status.clone_into(&mut snapshot.status);
        snapshot.allocated_gib = gib;
        if let Some(seconds) = ahead {
            snapshot.created = Some(now() + SignedDuration::from_secs(seconds));
        }
        if !told {
            snapshot.incarnation.clear();
        }
        if copied { copy(&snapshot) } else { snapshot }
    }
}

fn now() -> Timestamp {
    at("2026-11-22T12:00:00Z")
}

#[derive(Clone, Debug)]
struct Any {
    databases: Vec<Instance>,
    home: Vec<Snapshot>,
    away: Vec<Snapshot>,
    replicas: Vec<AutomatedBackup>,
    seen: Vec<(u8, i64, i64)>,
}

prop_compose! {
    fn any_world()(
        databases in prop::collection::vec(any_database(), 0..5),
        home in prop::collection::vec(any_snapshot(), 0..25),
        away in prop::collection::vec(any_snapshot(), 0..25),
        lags in prop::collection::vec((0..4_u8, 0..200_i64), 0..4),
        seen in prop::collection::vec((0..5_u8, -100..3_000_i64, -100..500_i64), 0..5),
    ) -> Any {
        let replicas = lags.into_iter().map(|(number, lag)| replica(&format!("db-{number}"), now() - minutes(lag)));
        Any { databases, home, away, replicas: replicas.collect(), seen }
    }
}

impl Any {
    fn world(&self) -> World {
        let mut world = World::new("2026-11-22T12:00:00Z", self.databases.clone());
        world.stuck.extend(world.databases.keys().cloned());
        for (region, snapshots) in [(HOME, &self.home), (AWAY, &self.away)] {
            for snapshot in snapshots {
                world.account.put_snapshot(region, snapshot.clone());
            }
        }
        for replica in &self.replicas {
            world.account.put_automated_backup(AWAY, replica.clone());
        }
        let remembered = self.seen.iter().map(|(number, since, idle)| {
            let remembered = json!({
                "seen_since": now() - minutes(*since), "idle_until": now() - minutes(*idle), "worst": null,
            });
            (format!("rds/orders{number}"), remembered)
        });
        world.remember(&Value::Object(remembered.collect()));
        world.sync();
        world
    }
}

/// What a plan comes to: its findings in the order of the board, and what it writes.
pub(super) fn comes_to(plan: Plan<Action>) -> (Vec<Finding>, Vec<Action>, Vec<String>) {
    let mut findings = plan.findings;
    findings.sort_by_key(Finding::key);
    let acts = plan.decisions.into_iter().filter_map(|decision| match decision.verdict {
        Verdict::Act(action) => Some(action),
        _ => None,
    });
    let mut measured: Vec<_> = plan.measured.iter().map(|measured| format!("{measured:?}")).collect();
    measured.sort();
    (findings, acts.collect(), measured)
}

/// Another order of the same, by a hash that the seed picks.
pub(super) fn shuffle<T: std::fmt::Debug>(list: &mut [T], seed: u64) {
    list.sort_by_key(|item| {
        let text = format!("{item:?}");
        text.bytes().fold(seed, |hash, byte| hash.rotate_left(7) ^ u64::from(byte).wrapping_mul(seed | 1))
    });
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

proptest! {
    #[test]
    fn findings_do_not_depend_on_the_order_of_what_was_seen(any in any_world(), seed in any::<u64>()) {
        let world = any.world();
        let observed = block_on(world.function().observe(Ask::Canary, world.now)).unwrap();
        let mut shuffled = observed.clone();
        shuffle(&mut shuffled.instances.resources, seed);
        let look = shuffled.instances.look.as_mut().unwrap();
        shuffle(look.home.as_mut().unwrap(), seed);
        shuffle(&mut look.away.as_mut().unwrap().copies, seed);
        let plan = |observed| comes_to(crate::plan::plan(observed, world.now).unwrap());
        prop_assert_eq!(plan(&observed), plan(&observed), "the same world, the same plan");
        prop_assert_eq!(plan(&observed), plan(&shuffled));
    }

    /// Looked at again, the same world is the same: the board stands, and nothing is written.
    #[test]
    fn a_second_look_changes_nothing(any in any_world(), canary in any::<bool>()) {
        let mut world = any.world();
        block_on(async {
            world.ask(Ask::Canary).await.unwrap();
            let (board, memory) = (world.board(), world.memory("2026-11"));
            let writes = world.documents().writes();
            let ask = if canary { Ask::Canary } else { Ask::Watch(Wake::Tick) };
            let summary = world.ask(ask).await.unwrap();
            prop_assert!(summary.failed.is_empty(), "{:?}", summary.failed);
            prop_assert_eq!((world.board(), world.memory("2026-11")), (board, memory));
            prop_assert_eq!(world.documents().writes(), writes);
            Ok(())
        })?;
    }

    /// Nothing is found of what is not protected, and everything found says since when in the past.
    #[test]
    fn findings_are_about_the_protected_and_the_past(any in any_world()) {
        let mut world = any.world();
        block_on(world.ask(Ask::Canary)).unwrap();
        for finding in world.board() {
            prop_assert!(finding.since <= world.now, "{:?}", finding);
            let there = world.databases.get(&finding.resource.name);
            let protected = there.is_some_and(|there| there.tags.contains_key(tag::PLAN));
            let lost = ["protection-lost", "canary"].contains(&finding.kind.as_str());
            prop_assert_eq!(protected, !lost, "{:?}", finding);
        }
    }
}
