//! Recovery points in the vault: when each finding begins, and when it ends, whatever they are of.

use rstest::rstest;

use super::{engines::Of, *};

const NOTHING: [&str; 0] = [];
const NOON: &str = "2026-11-22T12:00:00Z";
const SIX: &str = "2026-11-22T06:00:00Z";

#[rstest]
#[tokio::test]
async fn a_calm_world_says_how_old(#[values(Of::Group, Of::Serverless, Of::Archive, Of::Database)] of: Of) {
    let mut world = World::of(of, "2026-11-22T11:00:00Z");
    let summary = world.tick().await;
    assert_eq!((world.kinds(), summary.failed.len(), summary.settled), (vec![], 0, 1));
    let worst = &world.memory("2026-11")["resources"][of.resource().to_string()]["worst"];
    assert_eq!(worst["age_seconds"], 5 * 3_600);
    assert_eq!(worst["newest_restorable"], SIX);
}

#[rstest]
#[tokio::test]
async fn a_slot_is_missed_when_its_grace_is_over_until_a_manifest_is_there(
    #[values(Of::Group, Of::Serverless, Of::Archive, Of::Database)] of: Of,
) {
    let mut world = World::of(of, "2026-11-22T11:58:00Z");
    let due = at("2026-11-22T13:00:00Z");
    assert_eq!(world.minute_when("slot-missed", true).await, due);
    assert_eq!(world.finding("slot-missed").since, due);
    world.begin(of, NOON, 1, 100);
    assert_eq!(world.tick_at("2026-11-22T13:01:00Z").await, ["slot-missed"], "it may still fail");
    world.complete(of, NOON, 1, 100);
    assert_eq!(world.tick_at("2026-11-22T13:02:00Z").await, NOTHING);
}

#[rstest]
#[tokio::test]
async fn the_newest_completed_slot_is_what_can_be_restored(
    #[values(Of::Group, Of::Archive, Of::Database)] of: Of,
) {
    let mut world = World::of(of, "2026-11-22T13:50:00Z");
    world.begin(of, NOON, 1, 100);
    assert_eq!(world.minute_when("rpo-exceeded", true).await, at("2026-11-22T14:01:00Z"));
    let finding = world.finding("rpo-exceeded");
    assert_eq!(finding.since, at("2026-11-22T14:00:00Z"));
    assert_eq!(finding.standing.newest_restorable, Some(at(SIX)));
    assert_eq!(finding.standing.rpo_seconds, Some(8 * 3_600));
    world.complete(of, NOON, 1, 100);
    assert_eq!(world.tick_at("2026-11-22T14:02:00Z").await, NOTHING);
}

#[tokio::test]
async fn what_was_looked_for_is_said_where_nothing_is_there() {
    let mut world = World::of(Of::Group, "2026-11-28T11:00:00Z");
    assert_eq!(world.tick_at("2026-11-28T11:00:00Z").await, ["rpo-exceeded", "slot-missed"]);
    for kind in ["rpo-exceeded", "slot-missed"] {
        let says = world.finding(kind).says;
        assert!(says.contains("of a slot since 2026-11-26T00:00:00Z"), "{says}");
    }
    let worst = &world.memory("2026-11")["resources"]["redis/main"]["worst"];
    assert_eq!(worst["age_seconds"], (48 + 11) * 3_600, "no more than is known");
}

#[rstest]
#[tokio::test]
async fn a_new_one_is_not_blamed_for_the_past(#[values(Of::Group, Of::Archive, Of::Database)] of: Of) {
    let mut world = World::new("2026-11-22T11:50:00Z", []);
    world.plans = of.plans();
    world.have(of);
    assert_eq!(world.minute_when("slot-missed", true).await, at("2026-11-22T12:50:00Z"));
    assert!(world.finding("slot-missed").says.contains("no completed one at all"));
    assert_eq!(world.minute_when("rpo-exceeded", true).await, at("2026-11-22T19:51:00Z"));
}

#[rstest]
#[case::nothing_came(&[], &["copy-missing"], "there is none")]
#[case::some_came(&["data"], &["copy-behind"], "still being made")]
#[case::the_manifest_came_first(&["manifest.json"], &["copy-behind"], "still being made")]
#[case::all_came(&["data", "manifest.json"], &[], "")]
#[tokio::test]
async fn a_copy_that_is_missing_or_behind(
    #[values(Of::Group, Of::Archive, Of::Database)] of: Of,
    #[case] came: &[&str],
    #[case] kinds: &[&str],
    #[case] says: &str,
) {
    let mut world = World::of(of, "2026-11-22T11:58:00Z");
    for object in ["data", "manifest.json"] {
        world.recovery_vault.remove(&World::key(of, SIX, 1, object));
    }
    world.complete(of, NOON, 1, 100);
    for object in ["data", "manifest.json"] {
        world.recovery_vault.remove(&World::key(of, NOON, 1, object));
    }
    assert_eq!(world.tick_at("2026-11-22T11:59:00Z").await, NOTHING, "six hours are allowed");
    world.now = at(NOON);
    world.sync();
    for object in came {
        let bytes = if *object == "data" { 100 } else { 2 };
        world.recovery_vault.put(&World::key(of, SIX, 1, object), vec![7; bytes]);
    }
    assert_eq!(world.tick_at(NOON).await, kinds);
    if let [kind] = kinds {
        let finding = world.finding(kind);
        assert_eq!(finding.since, at(NOON));
        assert!(finding.says.contains(says), "{}", finding.says);
        // Nothing more comes: whoever worked on it does so no longer.
        assert_eq!(world.tick_at("2026-11-22T13:01:00Z").await, ["copy-missing"]);
        world.vault.replicate_to(&world.recovery_vault, Replication::On);
        world.complete(of, SIX, 1, 100);
        assert_eq!(world.tick_at("2026-11-22T13:02:00Z").await, NOTHING);
    }
}

#[tokio::test]
async fn a_copy_of_another_size_is_no_copy() {
    let mut world = World::of(Of::Group, "2026-11-22T11:00:00Z");
    let key = World::key(Of::Group, SIX, 1, "data");
    world.recovery_vault.put(&key, vec![7; 99]);
    assert_eq!(world.tick_at("2026-11-22T11:00:00Z").await, ["copy-failed"]);
    assert_eq!(world.finding("copy-failed").code.as_deref(), Some("CopyDiffers"));
    assert_eq!(world.tick_at(NOON).await, ["copy-failed", "copy-missing"]);
    world.complete(Of::Group, NOON, 1, 100);
    assert_eq!(world.tick_at("2026-11-22T12:01:00Z").await, NOTHING, "a later one is there");
}

#[rstest]
#[tokio::test]
async fn an_attempt_that_another_has_replaced_has_failed_until_one_completes(
    #[values(Of::Group, Of::Archive, Of::Database)] of: Of,
) {
    let mut world = World::of(of, "2026-11-22T12:04:00Z");
    world.sync();
    world.begin(of, NOON, 1, 100);
    assert_eq!(world.tick_at("2026-11-22T12:05:00Z").await, NOTHING);
    world.begin(of, NOON, 2, 100);
    assert_eq!(world.tick_at("2026-11-22T12:06:00Z").await, ["recovery-point-failed"]);
    let finding = world.finding("recovery-point-failed");
    assert_eq!(finding.code.as_deref(), Some("ManifestMissing"));
    assert_eq!(finding.since, at("2026-11-22T12:04:00Z"));
    world.begin(of, NOON, 3, 100);
    assert_eq!(world.tick_at("2026-11-22T12:07:00Z").await, ["recovery-point-failed"]);
    world.complete(of, NOON, 3, 100);
    assert_eq!(world.tick_at("2026-11-22T12:08:00Z").await, NOTHING);
}

#[tokio::test]
async fn one_that_was_left_unfinished_has_failed_once_a_later_one_was_begun() {
    let mut world = World::of(Of::Group, "2026-11-22T12:10:00Z");
    world.sync();
    world.begin(Of::Group, NOON, 1, 100);
    assert_eq!(world.tick_at("2026-11-22T18:30:00Z").await, ["rpo-exceeded", "slot-missed"]);
    world.begin(Of::Group, "2026-11-22T18:00:00Z", 1, 100);
    let kinds = world.tick_at("2026-11-22T18:31:00Z").await;
    assert_eq!(kinds, ["recovery-point-failed", "rpo-exceeded", "slot-missed"]);
    world.complete(Of::Group, "2026-11-22T18:00:00Z", 1, 100);
    assert_eq!(world.tick_at("2026-11-22T18:32:00Z").await, NOTHING);
}

#[rstest]
#[case::half_of_it(50, &[])]
#[case::less(49, &["recovery-point-shrunk"])]
#[case::nothing(0, &["recovery-point-shrunk"])]
#[tokio::test]
async fn a_recovery_point_less_than_half_of_those_before_is_suspect(
    #[values(Of::Group, Of::Archive, Of::Database)] of: Of,
    #[case] bytes: usize,
    #[case] kinds: &[&str],
) {
    let mut world = World::of(of, "2026-11-22T12:04:00Z");
    world.sync();
    world.complete(of, NOON, 1, bytes);
    assert_eq!(world.tick_at("2026-11-22T12:05:00Z").await, kinds);
}

#[rstest]
#[tokio::test]
async fn another_one_under_the_same_name_has_its_own_recovery_points(
    #[values(Of::Group, Of::Database)] of: Of,
) {
    let mut world = World::of(of, "2026-11-22T11:50:00Z");
    world.tick().await;
    match of {
        Of::Database => {
            world.have_database(turso::Database {
                id: "db-2".to_owned(),
                ..super::engines::turso_database("main")
            });
        }
        _ => {
            let group = super::engines::cache(redis::elasticache::CacheKind::ReplicationGroup, "main");
            world.caches.put_cache(redis::elasticache::Cache { incarnation: "db-2".to_owned(), ..group });
        }
    }
    assert_eq!(world.tick_at("2026-11-22T11:51:00Z").await, NOTHING, "its graces begin now");
    assert_eq!(world.minute_when("slot-missed", true).await, at("2026-11-22T12:51:00Z"));
    assert!(world.finding("slot-missed").says.contains("no completed one at all"));
}

#[tokio::test]
async fn what_is_nobodys_fills_no_slot() {
    let mut world = World::of(Of::Group, "2026-11-22T13:00:00Z");
    world.sync();
    let good = World::key(Of::Group, NOON, 1, "manifest.json");
    let spoilt = [
        good.replace("tidemark-main", "tidemark-other"),
        good.replace("tidemark-", ""),
        good.replace("/main/", "/../main/"),
        good.replace("2026-11-22/", "2026-11-21/"),
        good.replace("redis/", "turso/"),
        good.replace("manifest.json", "manifest.json.bak"),
        World::key(Of::Group, "2026-11-22T18:00:00Z", 1, "manifest.json"),
        World::key(Of::Archive, NOON, 1, "manifest.json"),
    ];
    for key in spoilt {
        world.vault.put(&key, "{}");
        world.now += minutes(1);
        world.tick().await;
        assert!(world.kinds().contains(&"slot-missed".to_owned()), "{key}");
    }
}

#[tokio::test]
async fn many_objects_are_looked_at_less_often() {
    let mut world = World::of(Of::Group, "2026-11-22T12:57:00Z");
    for number in 0..51_000 {
        world.vault.put(&format!("{}{number}", World::key(Of::Group, SIX, 1, "part-")), "");
    }
    world.tick().await;
    let lists = world.vault.count("list");
    let memory = world.memory("2026-11");
    assert!(memory["looks"]["redis"]["minutes"].as_i64() > Some(1), "{memory}");
    world.now += minutes(1);
    world.tick().await;
    assert_eq!(world.vault.count("list"), lists, "not in the next minute");
    let seen = world.minute_when("slot-missed", true).await;
    assert!(seen <= at("2026-11-22T13:05:00Z"), "{seen}");
    // In the minutes without a look what stands stands as it was.
    let before = world.board();
    world.now += minutes(1);
    world.tick().await;
    assert_eq!(world.board(), before);
}
