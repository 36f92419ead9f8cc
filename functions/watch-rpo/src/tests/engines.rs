//! Caches, archives and Turso databases: worlds of them, and what they cost.

use std::fmt::Write as _;

use domain::{ResourceId, Severity};
use redis::elasticache::{Cache, CacheKind};
use rstest::rstest;
use turso::{Current, CurrentPoint};

use super::*;

/// One kind of what recovery points in the vault are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Group,
    Serverless,
    Archive,
    Database,
}

pub(super) const INCARNATION: &str = "2026-01-01T00:00:00Z";

const NO_ARCHIVE: &str = r#"{"plans": {"default": {
    "schedule": {"turso": "0 */6 * * *"}, "objectives": {"turso_rpo_minutes": 480}, "turso": {"databases": ["production/*"]}
}}}"#;

const ARCHIVE: &str = r#"{"plans": {"default": {"redis": {"append_only": {"main": "s3://archive/main/"}}}}}"#;

impl Of {
    /// What protects it; of each the slots are six hours apart, and eight hours may be lost.
    pub(super) const fn plans(self) -> &'static str {
        if matches!(self, Self::Archive) { ARCHIVE } else { NO_ARCHIVE }
    }

    pub(super) fn resource(self) -> ResourceId {
        match self {
            Self::Group | Self::Serverless | Self::Archive => ResourceId::redis("main"),
            Self::Database => ResourceId::turso("main"),
        }
    }

    pub(super) const fn incarnation(self) -> &'static str {
        match self {
            Self::Group | Self::Serverless | Self::Database => INCARNATION,
            Self::Archive => "s3://archive/main/",
        }
    }
}

pub(super) fn cache(kind: CacheKind, name: &str) -> Cache {
    let tags = Tags::from([(tag::PLAN.to_owned(), "default".to_owned())]);
    Cache { tags, ..Cache::fake(kind, name, INCARNATION, 1) }
}

pub(super) fn turso_database(name: &str) -> turso::Database {
    turso::Database {
        name: name.to_owned(),
        id: INCARNATION.to_owned(),
        hostname: format!("{name}.turso.example"),
        group: "production".to_owned(),
        locations: Vec::new(),
        block_reads: false,
        block_writes: false,
        delete_protection: false,
        sleeping: false,
        archived: false,
        parent: None,
    }
}

impl World {
    /// `main` of that kind, long protected, with the recovery points of two days up to 06:00, and no RDS.
    pub(super) fn of(of: Of, now: &str) -> Self {
        let mut world = Self::new(now, []);
        world.plans = of.plans();
        world.have(of);
        world.remember(&json!({of.resource().to_string(): {
            "seen_since": "2026-11-01T12:00:00Z", "plan": "default", "worst": null,
        }}));
        for (day, hour) in [(21, "00"), (21, "06"), (21, "12"), (21, "18"), (22, "00"), (22, "06")] {
            world.complete(of, &format!("2026-11-{day}T{hour}:00:00Z"), 1, 100);
        }
        world
    }

    pub(super) fn have(&self, of: Of) {
        match of {
            Of::Group => self.caches.put_cache(cache(CacheKind::ReplicationGroup, "main")),
            Of::Serverless => self.caches.put_cache(cache(CacheKind::Serverless, "main")),
            Of::Archive => {}
            Of::Database => self.have_database(turso_database("main")),
        }
    }

    pub(super) fn have_database(&self, database: turso::Database) {
        let organization = self.turso.as_ref().unwrap();
        organization.databases.borrow_mut().insert(database.name.clone(), database);
    }

    /// The key of an object of a recovery point of `main`.
    pub(super) fn key(of: Of, slot: &str, attempt: u32, object: &str) -> String {
        let (slot, resource) = (Slot::at(at(slot)), of.resource());
        let id = RecoveryPointId::new(&resource.name, of.incarnation(), slot, attempt);
        format!("{}{object}", vault::point_prefix(&resource, slot, &id))
    }

    /// Its content comes into the vault.
    pub(super) fn begin(&self, of: Of, slot: &str, attempt: u32, bytes: usize) {
        self.vault.put(&Self::key(of, slot, attempt, "data"), vec![7; bytes]);
    }

    /// And its manifest.
    pub(super) fn complete(&self, of: Of, slot: &str, attempt: u32, bytes: usize) {
        self.vault.set_now(self.now);
        self.begin(of, slot, attempt, bytes);
        self.vault.put(&Self::key(of, slot, attempt, "manifest.json"), "{}");
    }

    /// Says that the recovery point of that slot is current.
    async fn say_current(&self, slot: &str, as_of: &str) {
        let point = CurrentPoint {
            incarnation: INCARNATION.to_owned(),
            id: RecoveryPointId::new("main", INCARNATION, Slot::at(at(slot)), 1),
            generation: 1,
            frame: 1,
            current_as_of: at(as_of),
        };
        Current::put(self.documents(), "main", &point).await.unwrap();
    }

    /// The calls that a tick costs: of ElastiCache, Turso, and of both vaults.
    async fn calls(&mut self) -> (usize, usize, usize) {
        let count = |world: &Self| {
            let turso = world.turso.as_ref().map_or(0, |turso| turso.calls.get());
            let lists = world.vault.count("list") + world.recovery_vault.count("list");
            (world.caches.calls().len(), turso, lists)
        };
        let before = count(self);
        self.tick().await;
        let after = count(self);
        (after.0 - before.0, after.1 - before.1, after.2 - before.2)
    }
}

#[tokio::test]
async fn engines_that_nobody_uses_cost_one_look_in_five_minutes() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    let mut costs = Vec::new();
    for _ in 0..6 {
        costs.push(world.calls().await);
        world.now += minutes(1);
    }
    assert_eq!(costs, [(1, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (1, 0, 0)]);
}

#[rstest]
#[case(Of::Group, (1, 1, 6))]
#[case(Of::Archive, (1, 0, 6))]
#[case(Of::Database, (0, 1, 6))]
#[tokio::test]
async fn an_engine_in_use_costs_its_list_and_three_days_of_each_vault(
    #[case] of: Of,
    #[case] calls: (usize, usize, usize),
) {
    let mut world = World::of(of, "2026-11-22T11:01:00Z");
    assert_eq!(world.calls().await, calls);
    // What RDS tells is no reason to ask it.
    let lists = world.vault.count("list");
    world.ask(event()).await.unwrap();
    assert_eq!(world.vault.count("list"), lists);
}

#[tokio::test]
async fn without_an_organization_nobody_is_asked_and_nothing_ends() {
    let mut world = World::of(Of::Database, "2026-11-22T13:00:00Z");
    world.tick().await;
    assert_eq!(world.kinds(), ["slot-missed"]);
    world.turso = None;
    assert_eq!(world.tick_at("2026-11-22T13:01:00Z").await, ["slot-missed"]);
}

/// The days of the slots that are judged, and no others between.
#[tokio::test]
async fn a_rarer_schedule_is_looked_for_on_its_days() {
    let mut world = World::of(Of::Group, "2026-11-22T11:01:00Z");
    world.plans = r#"{"plans": {"default": {"schedule": {"redis": "0 3 1 * *"}}}}"#;
    world.tick().await;
    let lists = world.vault.calls();
    let days = ["2026-10-01", "2026-11-01", "2026-11-20", "2026-11-21", "2026-11-22"];
    assert_eq!(lists, days.map(|day| format!("list redis/{day}/")));
}

#[tokio::test]
async fn a_thousand_caches_and_databases_cost_pages_and_plan_in_no_time() {
    let mut world = World::new("2026-11-22T11:00:00Z", []);
    world.plans = NO_ARCHIVE;
    for number in 0..1_000 {
        let name = format!("main-{number}");
        world.caches.put_cache(cache(CacheKind::ReplicationGroup, &name));
        world.have_database(turso_database(&name));
        for resource in [ResourceId::redis(&name), ResourceId::turso(&name)] {
            for slot in ["2026-11-21T18:00:00Z", "2026-11-22T00:00:00Z", "2026-11-22T06:00:00Z"] {
                let slot = Slot::at(at(slot));
                let id = RecoveryPointId::new(&name, INCARNATION, slot, 1);
                let prefix = vault::point_prefix(&resource, slot, &id);
                world.vault.put(&format!("{prefix}data"), "content");
                world.vault.put(&format!("{prefix}manifest.json"), "{}");
            }
        }
    }
    let begun = std::time::Instant::now();
    // Each list is a call for a thousand objects; the pages are counted at the wire.
    assert_eq!(world.calls().await, (1, 1, 12));
    assert_eq!(world.kinds(), Vec::<String>::new());
    // Unoptimised, on a busy machine; a quadratic loop would take minutes.
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_unchanged_database_needs_no_recovery_point_for_each_slot() {
    let mut world = World::of(Of::Database, "2026-11-22T19:30:00Z");
    assert_eq!(world.tick_at("2026-11-22T19:30:00Z").await, ["rpo-exceeded", "slot-missed"]);
    world.say_current("2026-11-22T06:00:00Z", "2026-11-22T18:05:00Z").await;
    assert_eq!(world.tick_at("2026-11-22T19:31:00Z").await, Vec::<String>::new());
    // Nobody looked for longer than is allowed.
    assert_eq!(world.minute_when("rpo-exceeded", true).await, at("2026-11-23T02:06:00Z"));
    assert_eq!(world.finding("rpo-exceeded").standing.newest_restorable, Some(at("2026-11-22T18:05:00Z")));
    assert!(world.kinds().contains(&"slot-missed".to_owned()), "of 00:00");
}

#[rstest]
#[case::of_a_recovery_point_that_is_not_there("2026-11-22T00:05:00Z", "2026-11-22T18:05:00Z")]
#[case::of_one_without_a_manifest("2026-11-22T12:00:00Z", "2026-11-22T18:05:00Z")]
#[case::of_one_too_old_to_be_listed("2026-09-01T06:00:00Z", "2026-11-22T18:05:00Z")]
#[case::of_the_future("2026-11-22T06:00:00Z", "2999-01-01T00:00:00Z")]
#[tokio::test]
async fn what_cannot_be_is_not_believed_to_be_current(#[case] slot: &str, #[case] as_of: &str) {
    let mut world = World::of(Of::Database, "2026-11-22T19:30:00Z");
    world.begin(Of::Database, "2026-11-22T12:00:00Z", 1, 100);
    world.say_current(slot, as_of).await;
    assert_eq!(world.tick_at("2026-11-22T19:30:00Z").await, ["rpo-exceeded", "slot-missed"]);
}

#[rstest]
#[case::one_names_it(r#""a": {"turso": {"databases": ["production/*"]}}, "b": {}"#, &["rpo-exceeded", "slot-missed"])]
#[case::two_do(r#""a": {"turso": {"databases": ["production/*"]}}, "b": {"turso": {"databases": ["*/main"]}}"#, &[])]
#[tokio::test]
async fn a_database_that_several_plans_name_is_left_to_backup_turso(
    #[case] plans: &str,
    #[case] kinds: &[&str],
) {
    let mut world = World::of(Of::Database, "2026-11-22T19:30:00Z");
    world.plans = format!("{{\"plans\": {{{plans}}}}}").leak();
    assert_eq!(world.tick_at("2026-11-22T19:30:00Z").await, kinds);
}

#[rstest]
#[case("available", false)]
#[case("creating", false)]
#[case("modifying", false)]
#[case("snapshotting", false)]
#[case("create-failed", true)]
#[case("restore-failed", true)]
#[case("deleting", true)]
#[case("incompatible-network", true)]
#[tokio::test]
async fn a_cache_in_a_state_that_does_not_mend_itself(
    #[values(CacheKind::ReplicationGroup, CacheKind::Cluster, CacheKind::Serverless)] kind: CacheKind,
    #[case] status: &str,
    #[case] unhealthy: bool,
) {
    let mut world = World::of(Of::Group, "2026-11-22T11:00:00Z");
    world.caches.remove_cache(CacheKind::ReplicationGroup, "main");
    world.caches.put_cache(Cache { status: status.to_owned(), ..cache(kind, "main") });
    let expected: &[&str] = if unhealthy { &["resource-unhealthy"] } else { &[] };
    assert_eq!(world.tick_at("2026-11-22T11:00:00Z").await, expected);
}

#[tokio::test]
async fn a_database_that_nobody_may_read_is_not_backed_up() {
    let mut world = World::of(Of::Database, "2026-11-22T11:00:00Z");
    world.have_database(turso::Database { block_reads: true, ..turso_database("main") });
    assert_eq!(world.tick_at("2026-11-22T11:00:00Z").await, ["resource-unhealthy"]);
    assert_eq!(world.finding("resource-unhealthy").severity, Severity::Critical);
    world.have(Of::Database);
    assert_eq!(world.tick_at("2026-11-22T11:01:00Z").await, Vec::<String>::new());
}

#[rstest]
#[case::memcached(|cache: &mut Cache| "memcached".clone_into(&mut cache.settings.engine))]
#[case::on_disks(|cache: &mut Cache| cache.settings.data_tiering = true)]
#[case::an_unknown_plan(|cache: &mut Cache| _ = cache.tags.insert(tag::PLAN.to_owned(), "defautl".to_owned()))]
#[tokio::test]
async fn what_backup_redis_refuses_is_left_to_it(#[case] spoil: fn(&mut Cache)) {
    let mut world = World::of(Of::Group, "2026-11-22T13:00:00Z");
    let mut spoilt = cache(CacheKind::ReplicationGroup, "main");
    spoil(&mut spoilt);
    spoilt.status = "create-failed".to_owned();
    world.caches.put_cache(spoilt);
    assert_eq!(world.tick_at("2026-11-22T13:00:00Z").await, Vec::<String>::new());
}

#[tokio::test]
async fn two_of_one_name_are_not_taken_for_one_another() {
    let mut world = World::of(Of::Group, "2026-11-22T13:00:00Z");
    let nobodys = Cache { tags: Tags::new(), ..cache(CacheKind::Serverless, "main") };
    world.caches.put_cache(Cache { incarnation: "another".to_owned(), ..nobodys });
    assert_eq!(
        world.tick_at("2026-11-22T13:00:00Z").await,
        ["slot-missed"],
        "the one that is protected is watched"
    );
    world.have(Of::Serverless);
    let memory = world.memory("2026-11");
    assert_eq!(
        world.tick_at("2026-11-22T13:01:00Z").await,
        ["slot-missed"],
        "both are protected: neither is judged"
    );
    assert_eq!(
        world.memory("2026-11")["resources"]["redis/main"]["seen_since"],
        memory["resources"]["redis/main"]["seen_since"]
    );
}

#[rstest]
#[case::gone(Of::Group, "now there is no such cache")]
#[case::untagged(Of::Serverless, "now the cache has no tag tidemark:plan")]
#[case::named_no_more(Of::Archive, "no plan names such an archive")]
#[case::deleted(Of::Database, "now there is no such database")]
#[tokio::test]
async fn what_is_protected_no_more_is_told_for_a_day(#[case] of: Of, #[case] says: &str) {
    let mut world = World::of(of, "2026-11-22T11:00:00Z");
    world.tick().await;
    match of {
        Of::Group => world.caches.remove_cache(CacheKind::ReplicationGroup, "main"),
        Of::Serverless => {
            world.caches.put_cache(Cache { tags: Tags::new(), ..cache(CacheKind::Serverless, "main") });
        }
        Of::Archive => world.plans = NO_ARCHIVE,
        Of::Database => world.turso.as_ref().unwrap().databases.borrow_mut().clear(),
    }
    assert_eq!(world.tick_at("2026-11-22T11:01:00Z").await, ["protection-lost"]);
    let finding = world.finding("protection-lost");
    assert!(finding.says.contains(says), "{}", finding.says);
    assert_eq!(finding.standing.plan.as_deref(), Some("default"));
    assert_eq!(world.tick_at("2026-11-23T11:01:00Z").await, ["protection-lost"]);
    assert_eq!(world.tick_at("2026-11-23T11:02:00Z").await, Vec::<String>::new());
    assert_eq!(
        world.tick_at("2026-11-23T11:05:00Z").await,
        Vec::<String>::new(),
        "and it does not come back"
    );
}

#[tokio::test]
async fn a_database_that_no_pattern_names_any_more_is_told() {
    let mut world = World::of(Of::Database, "2026-11-22T11:00:00Z");
    world.tick().await;
    world.plans = PLAN;
    assert_eq!(world.tick_at("2026-11-22T11:01:00Z").await, ["protection-lost"]);
    let says = world.finding("protection-lost").says;
    assert!(says.contains("no plan names production/main"), "{says}");
}

#[tokio::test]
async fn a_branch_that_tidemark_made_is_nobodys_to_protect() {
    let mut world = World::of(Of::Database, "2026-11-22T11:00:00Z");
    let parent = turso::Parent { id: INCARNATION.to_owned(), name: "main".to_owned() };
    let branch = turso_database("tidemark-main-20261122t0600z-aaaaaa");
    world.have_database(turso::Database { parent: Some(parent), ..branch });
    world.tick().await;
    assert_eq!(world.memory("2026-11")["resources"].as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn every_text_of_every_engine_says_what_to_do() {
    let mut texts = String::new();
    for of in [Of::Group, Of::Serverless, Of::Archive, Of::Database] {
        let mut world = World::of(of, "2026-11-22T16:00:00Z");
        // Its copy is gone, it is small, and the next one failed.
        let lost = World::key(of, "2026-11-22T06:00:00Z", 1, "data");
        for object in ["data", "manifest.json"] {
            world.recovery_vault.remove(&World::key(of, "2026-11-22T06:00:00Z", 1, object));
        }
        world.vault.replicate_to(&world.recovery_vault, Replication::Off);
        world.vault.put(&lost, "small");
        world.begin(of, "2026-11-22T12:00:00Z", 1, 7);
        world.begin(of, "2026-11-22T12:00:00Z", 2, 7);
        world.recovery_vault.put(&World::key(of, "2026-11-22T12:00:00Z", 2, "data"), "larger than there");
        match of {
            Of::Group => {
                let group = cache(CacheKind::ReplicationGroup, "main");
                world.caches.put_cache(Cache { status: "create-failed".to_owned(), ..group });
                world.caches.put_cache(Cache { tags: Tags::new(), ..cache(CacheKind::Cluster, "untagged") });
            }
            Of::Serverless => {
                let serverless = cache(CacheKind::Serverless, "main");
                world.caches.put_cache(Cache { status: "deleting".to_owned(), ..serverless });
            }
            Of::Database => {
                world.have_database(turso::Database { block_reads: true, ..turso_database("main") });
                world.have_database(turso::Database {
                    group: "test".to_owned(),
                    ..turso_database("untagged")
                });
            }
            Of::Archive => {}
        }
        let engine = of.resource().engine;
        let seen = json!({"seen_since": "2026-11-01T12:00:00Z", "plan": "default", "worst": null});
        let names = [of.resource().to_string(), format!("{engine}/gone"), format!("{engine}/untagged")];
        world.remember(&names.into_iter().map(|name| (name, seen.clone())).collect());
        world.tick().await;
        let kinds: BTreeSet<String> = world.kinds().into_iter().collect();
        for kind in [
            "copy-failed",
            "copy-missing",
            "recovery-point-failed",
            "recovery-point-shrunk",
            "rpo-exceeded",
            "slot-missed",
        ] {
            assert!(kinds.contains(kind), "{of:?}: {kinds:?}");
        }
        for f in world.board() {
            let severity = f.severity.as_str();
            writeln!(
                texts,
                "{of:?}: {severity} {} since {}\n  {}\n  -> {}\n",
                f.condition(),
                f.since,
                f.says,
                f.next
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!(texts);
}
