//! What the plans will ask for.

use domain::{Severity, Slot};
use rds::Snapshot;
use rstest::rstest;

use super::*;

impl World {
    /// A snapshot of an instance, of that many days ago.
    fn taken(&self, of: &str, days_ago: i64) -> Snapshot {
        let slot = Slot::at(self.now - SignedDuration::from_hours(24 * days_ago + 3));
        Snapshot::fake(HOME, of, &format!("db-{of}"), slot)
    }

    /// The same, with its copy.
    fn snapshot(&self, of: &str, days_ago: i64) {
        let snapshot = self.taken(of, days_ago);
        self.rds.put_snapshot(AWAY, Snapshot::fake_copy(AWAY, &snapshot));
        self.rds.put_snapshot(HOME, snapshot);
    }

    /// So many that somebody else has made.
    fn others(&self, region: &str, count: usize) {
        for number in 0..count {
            let by_hand =
                Snapshot { id: format!("by-hand-{number}"), tags: [].into(), ..self.taken("orders", 9) };
            self.rds.put_snapshot(region, by_hand);
        }
    }
}

#[tokio::test]
async fn a_new_database_needs_what_its_plan_keeps_in_thirty_days() {
    let world = World::calm();
    // Seven daily ones, those of five weeks and two months of which some are the same, and three for the days between.
    for (quota, is_enough) in [(15, true), (5, false)] {
        world.rds.set_quota(quota);
        world.check().await;
        assert_eq!(world.found().is_empty(), is_enough, "{quota}: {:?}", world.found());
    }
    assert_eq!(world.found(), ["tidemark/us-east-1 snapshot-quota", "tidemark/us-west-2 snapshot-quota"]);
    let finding = world.board().remove(0);
    assert_eq!(finding.severity, Severity::Warning);
    assert!(
        finding.says.contains("0 of 5 manual snapshots are used in us-east-1, 0 of them by Tidemark"),
        "{}",
        finding.says
    );
    assert!(finding.says.contains("it is full on 2026-11-27"), "{}", finding.says);
}

#[tokio::test]
async fn before_a_plan_is_acknowledged_nothing_goes() {
    let world = World::calm();
    world.rds.set_quota(20);
    world.check().await;
    assert_eq!(world.found(), [""; 0]);
    world.store.remove("retention/us-east-1/acknowledged/a.json");
    world.check().await;
    assert_eq!(world.found().len(), 2, "a snapshot on each of thirty days");
    let finding = world.board().remove(0);
    assert!(
        finding.says.contains("30 are needed") && finding.says.contains("nobody has acknowledged"),
        "{}",
        finding.says
    );
    assert!(finding.next.contains("Acknowledge"), "{}", finding.next);
}

#[tokio::test]
async fn what_others_made_stays_and_a_full_region_is_critical() {
    let world = World::calm();
    for day in 0..20 {
        world.snapshot("orders", day);
    }
    world.others(AWAY, 80);
    world.check().await;
    assert_eq!(world.found(), ["tidemark/us-west-2 snapshot-quota"]);
    let finding = world.board().remove(0);
    assert_eq!(finding.severity, Severity::Critical);
    assert!(
        finding.says.contains("100 of 100 manual snapshots are used in us-west-2, 20 of them"),
        "{}",
        finding.says
    );
}

#[tokio::test]
async fn what_is_protected_no_more_keeps_its_room() {
    let world = World::calm();
    for day in 0..60 {
        world.snapshot("gone", day);
    }
    world.rds.set_quota(70);
    world.check().await;
    assert_eq!(world.found().len(), 2, "sixty that stay, and more than ten that come: {:?}", world.found());
    world.rds.set_quota(80);
    world.check().await;
    assert_eq!(world.found(), [""; 0]);
}

#[tokio::test]
async fn a_forecast_needs_every_part_of_it() {
    let mut world = World::calm();
    world.rds.set_quota(5);
    world.tick().await;
    assert_eq!(world.found().len(), 2);
    world.rds.set_quota(100);
    world.rds.refuse_next("us-west-2 DescribeDBSnapshots", denied());
    world.later(1);
    world.tick().await;
    let expected = [
        "tidemark/snapshots refused-AccessDenied",
        "tidemark/us-east-1 snapshot-quota",
        "tidemark/us-west-2 snapshot-quota",
    ];
    assert_eq!(world.found(), expected);
}

#[rstest]
#[case::as_by_default("0 */6 * * *", CacheKind::ReplicationGroup, None)]
#[case::hourly("0 * * * *", CacheKind::ReplicationGroup, Some((Severity::Critical, "24 snapshots within 24 hours, and ElastiCache takes 20")))]
#[case::hourly_of_a_serverless_one("0 * * * *", CacheKind::Serverless, Some((Severity::Warning, "cannot be repeated")))]
#[case::no_room("0 0-18 * * *", CacheKind::Cluster, Some((Severity::Warning, "19 snapshots")))]
#[case::some_room("0 0-17 * * *", CacheKind::Cluster, None)]
#[tokio::test]
async fn snapshots_of_a_cache_in_a_day(
    #[case] cron: &str,
    #[case] kind: CacheKind,
    #[case] expected: Option<(Severity, &str)>,
) {
    let mut world = World::calm();
    world.plans = PLAN.replace(r#""turso""#, &format!(r#""schedule": {{"redis": "{cron}"}}, "turso""#));
    world.caches.remove_cache(CacheKind::ReplicationGroup, "sessions");
    world.caches.put_cache(Cache {
        tags: tags("default"),
        ..Cache::fake(kind, "sessions", "2026-01-01T00:00:00Z", 1)
    });
    world.check().await;
    match expected {
        None => assert_eq!(world.found(), [""; 0]),
        Some((severity, says)) => {
            let finding = world.only("redis/sessions cache-snapshot-quota").await;
            assert!(finding.says.contains(says), "{}", finding.says);
            assert_eq!(finding.severity, severity);
        }
    }
}

#[tokio::test]
async fn copies_that_fall_due_at_once() {
    let mut world = World::calm();
    world.rds.set_quota(1_000_000);
    for number in 1..120 {
        world.rds.put_instance(
            HOME,
            Instance { kms_key: Some(KEY.to_owned()), ..instance(&format!("db-{number:03}")) },
        );
    }
    world.check().await;
    assert_eq!(world.found(), [""; 0], "six rounds of an hour each in six hours");
    world.rds.put_instance(HOME, Instance { kms_key: Some(KEY.to_owned()), ..instance("one-more") });
    let finding = world.only("tidemark/us-west-2 copies-at-once").await;
    assert!(
        finding.says.contains("121 snapshots fall due at once, at 2026-11-23T03:00:00Z"),
        "{}",
        finding.says
    );
    assert!(
        finding.says.contains("within 360 minutes, each may take no more than 51 minutes"),
        "{}",
        finding.says
    );
    world.plans = PLAN.replace(r#""turso""#, r#""objectives": {"copy_grace_minutes": 720}, "turso""#);
    world.check().await;
    assert_eq!(world.found(), [""; 0]);
}
