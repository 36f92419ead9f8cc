//! What RDS gave up: said in the next look, and until something completes in its place.

use domain::Severity;
use rstest::rstest;

use super::*;

const SNAPSHOT: (&str, &str) = (HOME, "recovery-point-failed");
const COPY: (&str, &str) = (AWAY, "copy-failed");

/// An attempt at the recovery point of a night in November, or at its copy.
fn attempt(region: &str, night: u8, number: u32, status: &str) -> Snapshot {
    let slot = format!("2026-11-{night}T03:00:00Z");
    let first = point("db-1", &slot);
    let attempt = if region == HOME {
        let id = RecoveryPointId::new("orders", "db-1", Slot::at(at(&slot)), number).to_string();
        Snapshot { id, ..first }
    } else {
        let id = if number == 1 { first.id.clone() } else { format!("{}-copy-{number}", first.id) };
        Snapshot { id, ..copy(&first) }
    };
    let created = attempt.created.map(|created| created + minutes(5 * (i64::from(number) - 1)));
    Snapshot { status: status.to_owned(), created, ..attempt }
}

impl World {
    /// Of tonight there is the recovery point, if it is about its copy.
    fn tonight(region: &str, world: fn(&str) -> Self) -> Self {
        let world = world("2026-11-23T03:05:00Z");
        if region == AWAY {
            world.account.put_snapshot(HOME, attempt(HOME, 23, 1, "available"));
        }
        world
    }

    /// The world in a minute, once that attempt came so far.
    async fn comes_to(&mut self, region: &str, attempt: Snapshot) -> Vec<String> {
        self.account.put_snapshot(region, attempt);
        self.now += minutes(1);
        self.tick().await;
        self.kinds()
    }
}

#[rstest]
#[case::snapshot(SNAPSHOT, "--source-type db-instance --source-identifier orders")]
#[case::copy(COPY, "--region us-west-2 --source-type db-snapshot")]
#[tokio::test]
async fn it_is_said_in_the_next_minute_until_a_later_attempt_completes(
    #[case] (region, kind): (&str, &str),
    #[case] events: &str,
) {
    let mut world = World::tonight(region, World::calm);
    let mut came = async |number, status| world.comes_to(region, attempt(region, 23, number, status)).await;
    let nothing: [&str; 0] = [];
    assert_eq!(came(1, "creating").await, nothing);
    assert_eq!(came(1, "failed").await, [kind]);
    assert_eq!(came(2, "creating").await, [kind], "one that has only begun puts nothing right");
    assert_eq!(came(2, "failed").await, [kind]);
    let finding = world.finding(kind);
    assert_eq!(finding.code.as_deref(), Some("SnapshotFailed"));
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(finding.since, at("2026-11-23T03:01:00Z"), "since the first was given up, or begun");
    assert!(finding.says.contains(&attempt(region, 23, 2, "failed").id), "{}", finding.says);
    assert!(finding.says.contains("2026-11-23T03:00:00Z"), "{}", finding.says);
    assert!(finding.next.contains(events), "{}", finding.next);
    let mut came = async |number, status| world.comes_to(region, attempt(region, 23, number, status)).await;
    assert_eq!(came(3, "creating").await, [kind]);
    assert_eq!(came(3, "available").await, nothing);
}

/// Attempts by night, number and status; and the night of which it is said.
#[rstest]
#[case::nothing_failed(&[(23, 1, "creating")], None)]
#[case::the_newest(&[(23, 1, "failed")], Some(23))]
#[case::in_words_of_its_own(&[(23, 1, "incompatible-restore")], Some(23))]
#[case::all_three(&[(23, 1, "failed"), (23, 2, "failed"), (23, 3, "failed")], Some(23))]
#[case::a_later_attempt_completed(&[(23, 1, "failed"), (23, 2, "available")], None)]
#[case::an_earlier_attempt_completed(&[(23, 1, "available"), (23, 2, "failed")], None)]
#[case::an_older_one_than_completed(&[(22, 1, "failed"), (23, 1, "available")], None)]
#[case::both_before_one_completed(&[(22, 2, "failed"), (23, 1, "failed"), (23, 2, "available")], None)]
#[case::an_older_one_completed_at_last(&[(22, 2, "available"), (23, 1, "failed")], Some(23))]
#[case::a_newer_one_only_begun(&[(23, 1, "failed"), (24, 1, "creating")], Some(23))]
#[case::a_newer_one_failed_too(&[(23, 1, "failed"), (24, 1, "failed")], Some(24))]
#[case::a_newer_one_completed(&[(23, 1, "failed"), (23, 2, "failed"), (24, 1, "available")], None)]
#[tokio::test]
async fn of_the_newest_that_failed_if_none_has_completed_since(
    #[values(SNAPSHOT, COPY)] (region, kind): (&str, &str),
    #[values(true, false)] told: bool,
    #[case] attempts: &[(u8, u32, &str)],
    #[case] night: Option<u8>,
) {
    let mut world = World::calm("2026-11-24T03:09:00Z");
    if region == AWAY {
        for night in [23, 24] {
            world.account.put_snapshot(HOME, attempt(HOME, night, 1, "available"));
        }
    }
    for (night, number, status) in attempts {
        let attempt = attempt(region, *night, *number, status);
        // Which database a copy is of, RDS need not tell in the other Region.
        let incarnation = if told || region == HOME { attempt.incarnation } else { String::new() };
        world.account.put_snapshot(region, Snapshot { incarnation, ..attempt });
    }
    world.tick().await;
    let said = world.board().into_iter().find(|finding| finding.kind == kind);
    let said = said.map(|finding| finding.says);
    let slot = night.map(|night| format!("for slot 2026-11-{night}T03:00:00Z"));
    match (&said, slot) {
        (None, None) => {}
        (Some(says), Some(slot)) => assert!(says.contains(&slot), "{says}"),
        (said, slot) => panic!("{said:?} where {slot:?} was expected"),
    }
}

#[rstest]
#[case::snapshot(SNAPSHOT)]
#[case::copy(COPY)]
#[tokio::test]
async fn with_many_snapshots_it_begins_and_ends_with_a_look(#[case] (region, kind): (&str, &str)) {
    let mut world = World::tonight(region, World::large);
    world.tick().await;
    world.account.put_snapshot(region, attempt(region, 23, 1, "failed"));
    assert_eq!(world.minute_when(kind, true).await, at("2026-11-23T03:10:00Z"));
    world.account.put_snapshot(region, attempt(region, 23, 2, "available"));
    assert_eq!(world.minute_when(kind, false).await, at("2026-11-23T03:15:00Z"));
}

#[rstest]
#[case::snapshot(SNAPSHOT)]
#[case::copy(COPY)]
#[tokio::test]
async fn while_its_region_is_silent_it_neither_begins_nor_ends(#[case] (region, kind): (&str, &str)) {
    let mut world = World::tonight(region, World::calm);
    let silent =
        if region == HOME { "us-east-1 DescribeDBSnapshots" } else { "us-west-2 DescribeDBSnapshots" };
    for (status, before, after) in [("failed", false, true), ("available", true, false)] {
        let down = reconcile::Error::retryable("ServiceUnavailable", "the Region is down");
        world.account.refuse_next(silent, down);
        let kinds = world.comes_to(region, attempt(region, 23, 1, status)).await;
        assert_eq!(kinds.contains(&kind.to_owned()), before, "{kinds:?}");
        world.now += minutes(1);
        world.tick().await;
        assert_eq!(world.kinds().contains(&kind.to_owned()), after);
    }
}

#[rstest]
#[case::snapshot(SNAPSHOT)]
#[case::copy(COPY)]
#[tokio::test]
async fn what_failed_of_another_database_is_not_said_of_this_one(#[case] (region, _): (&str, &str)) {
    let mut world = World::tonight(region, World::calm);
    let mut other = point("db-9", "2026-11-23T03:00:00Z");
    if region == AWAY {
        other = copy(&other);
    }
    let other = Snapshot { status: "failed".to_owned(), ..other };
    assert_eq!(world.comes_to(region, other.clone()).await, Vec::<String>::new());
    let by_hand = Snapshot { id: "by-hand".to_owned(), incarnation: "db-1".to_owned(), ..other };
    assert_eq!(world.comes_to(region, by_hand).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_clock_of_rds_that_is_ahead_makes_no_finding_of_the_future() {
    let mut world = World::tonight(HOME, World::calm);
    let ahead = world.now + minutes(3);
    let failed = Snapshot { created: Some(ahead), ..attempt(HOME, 23, 1, "failed") };
    assert_eq!(world.comes_to(HOME, failed).await, ["recovery-point-failed"]);
    assert_eq!(world.finding("recovery-point-failed").since, world.now);
}
