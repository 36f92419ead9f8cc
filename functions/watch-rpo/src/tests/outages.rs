//! What does not answer, keeps what it alone can show as it was, and nothing else from being said.

use rstest::rstest;

use super::{engines::Of, *};

fn down() -> Error {
    Error::retryable("ServiceUnavailable", "it is down")
}

fn denied() -> Error {
    Error::misconfigured("AccessDenied", "not allowed")
}

const RDS: &str = "rds/orders";
const REDIS: &str = "redis/main";
const TURSO: &str = "turso/main";

/// All three engines, each with a slot that is missed at 13:00.
fn all(now: &str) -> World {
    let mut world = World::of(Of::Group, now);
    world.have(Of::Database);
    for slot in
        ["2026-11-21T00", "2026-11-21T06", "2026-11-21T12", "2026-11-21T18", "2026-11-22T00", "2026-11-22T06"]
    {
        world.complete(Of::Database, &format!("{slot}:00:00Z"), 1, 100);
    }
    world.databases.insert("orders".to_owned(), database("orders", "db-1"));
    world.plans = r#"{"plans": {"default": {
        "schedule": {"rds": "0 */6 * * *", "turso": "0 */6 * * *"}, "turso": {"databases": ["production/*"]},
        "objectives": {"turso_rpo_minutes": 480}
    }}}"#;
    let known = json!({"seen_since": "2026-11-01T12:00:00Z", "plan": "default", "worst": null});
    world.remember(&json!({RDS: known, REDIS: known, TURSO: known}));
    let point = point("db-1", "2026-11-22T06:00:00Z");
    world.account.put_snapshot(AWAY, copy(&point));
    world.account.put_snapshot(HOME, point);
    world
}

/// The slot of noon is filled, of all three.
fn mend(world: &World) {
    let point = point("db-1", "2026-11-22T12:00:00Z");
    world.account.put_snapshot(AWAY, copy(&point));
    world.account.put_snapshot(HOME, point);
    for of in [Of::Group, Of::Database] {
        world.complete(of, "2026-11-22T12:00:00Z", 1, 100);
    }
}

impl World {
    /// Of which resources a slot is missed.
    fn missed(&self) -> Vec<String> {
        let missed = self.board().into_iter().filter(|found| found.kind == "slot-missed");
        missed.map(|found| found.resource.to_string()).collect()
    }

    fn break_down(&self, what: &str, error: Error) {
        match what {
            "instances" => self.account.refuse_next("us-east-1 DescribeDBInstances", error),
            "snapshots" => self.account.refuse_next("us-east-1 DescribeDBSnapshots", error),
            "caches" => self.caches.refuse_next("DescribeCaches", error),
            "turso" => _ = self.turso.as_ref().unwrap().fault.replace(Some(error)),
            // Of the two engines whichever comes first.
            "vault" => self.vault.refuse_next("list", error),
            "recovery vault" => self.recovery_vault.refuse_next("list", error),
            other => panic!("{other} cannot break down"),
        }
    }
}

#[rstest]
#[case::rds("instances", RDS)]
#[case::snapshots("snapshots", RDS)]
#[case::elasticache("caches", REDIS)]
#[case::turso("turso", TURSO)]
#[tokio::test]
async fn an_engine_that_is_silent_begins_and_ends_nothing_and_silences_no_other(
    #[case] what: &str,
    #[case] silent: &str,
    #[values(down(), denied())] error: Error,
) {
    let again = || Error::new(error.kind(), error.code().to_owned(), "again");
    let others: Vec<&str> = [RDS, REDIS, TURSO].into_iter().filter(|name| *name != silent).collect();
    let mut world = all("2026-11-22T12:59:00Z");
    world.tick().await;
    assert_eq!(world.missed(), Vec::<String>::new());

    world.break_down(what, again());
    world.now = at("2026-11-22T13:00:00Z");
    let summary = world.tick().await;
    assert!(summary.findings.is_some(), "the heartbeat goes on");
    assert_eq!(summary.failed.len(), 1, "{:?}", summary.failed);
    assert_eq!(world.missed(), others, "the others' begin");
    let is_told = world.kinds().contains(&"refused".to_owned());
    assert_eq!(is_told, error.code() == "AccessDenied", "{:?}", world.kinds());

    world.tick_at("2026-11-22T13:01:00Z").await;
    assert_eq!(world.missed(), [RDS, REDIS, TURSO]);
    assert!(!world.kinds().contains(&"refused".to_owned()), "it answers again");

    mend(&world);
    world.break_down(what, again());
    world.tick_at("2026-11-22T13:02:00Z").await;
    assert_eq!(world.missed(), [silent], "the others' end");
    assert!(!world.kinds().contains(&"protection-lost".to_owned()), "what is not shown is not lost");
    world.tick_at("2026-11-22T13:03:00Z").await;
    assert_eq!(world.kinds(), Vec::<String>::new());
}

#[rstest]
#[case::at_home("vault", "slot-missed", false)]
#[case::in_the_recovery_region("recovery vault", "slot-missed", true)]
#[case::copies_in_the_recovery_region("recovery vault", "copy-missing", false)]
#[tokio::test]
async fn a_vault_that_is_silent_keeps_only_what_it_alone_shows(
    #[values(Of::Group, Of::Database)] of: Of,
    #[case] what: &str,
    #[case] kind: &str,
    #[case] is_found: bool,
) {
    let mut world = World::of(of, "2026-11-22T12:59:00Z");
    for object in ["data", "manifest.json"] {
        world.recovery_vault.remove(&World::key(of, "2026-11-22T06:00:00Z", 1, object));
    }
    world.break_down(what, down());
    let mut summary = world.ask(Ask::Watch(Wake::Tick)).await.unwrap();
    assert_eq!(summary.take_error().unwrap().code(), "ServiceUnavailable");
    world.now = at("2026-11-22T13:00:00Z");
    world.break_down(what, down());
    world.tick().await;
    assert_eq!(world.kinds().contains(&kind.to_owned()), is_found, "{:?}", world.kinds());
    world.tick_at("2026-11-22T13:01:00Z").await;
    assert!(world.kinds().contains(&kind.to_owned()), "{:?}", world.kinds());
    world.break_down(what, denied());
    world.tick_at("2026-11-22T13:02:00Z").await;
    assert!(world.kinds().contains(&kind.to_owned()) && world.kinds().contains(&"refused".to_owned()));
}

#[tokio::test]
async fn archives_are_watched_while_elasticache_is_silent() {
    let mut world = World::of(Of::Archive, "2026-11-22T13:00:00Z");
    world.break_down("caches", down());
    world.tick().await;
    assert_eq!(world.missed(), [REDIS]);
    mend_archive(&world);
    world.break_down("caches", down());
    world.now += minutes(1);
    world.tick().await;
    assert_eq!(world.missed(), Vec::<String>::new());
}

fn mend_archive(world: &World) {
    world.complete(Of::Archive, "2026-11-22T12:00:00Z", 1, 100);
}

#[tokio::test]
async fn where_rds_alone_is_used_its_silence_fails_the_pass() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.break_down("instances", down());
    assert_eq!(world.ask(Ask::Watch(Wake::Tick)).await.unwrap_err().code(), "ServiceUnavailable");
}
