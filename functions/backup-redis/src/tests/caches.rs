use std::time::Duration;

use domain::tag;
use redis::elasticache::{Cache, CacheKind, Source};
use rstest::rstest;
use serde_json::Value;
use vault::{Encryption, Replication};

use super::world::{World, cache, group, rdb, rdb_without_checksum};

#[tokio::test]
async fn a_slot_from_snapshot_to_vault_to_copy_to_ledger() {
    let mut world = World::new(&[group("sessions", 2), Cache::fake(CacheKind::Cluster, "scratch", "x", 1)]);
    world.contents.insert("0002".to_owned(), rdb(30));
    assert_eq!(World::actions(&world.tick().await), ["take-snapshot"]);
    assert_eq!(world.tick().await.waiting.len(), 1, "a snapshot in the making is waited for");
    world.later();
    assert_eq!(World::actions(&world.tick().await), ["export-snapshot"]);
    assert_eq!(World::actions(&world.tick().await), ["note-progress"]);
    world.later();
    assert_eq!(World::actions(&world.tick().await), ["take-in"]);
    world.later();
    assert_eq!(World::actions(&world.tick().await), ["record"]);

    let [manifest] = world.manifests().try_into().unwrap();
    assert_eq!(manifest.method, "elasticache-snapshot");
    assert_eq!(manifest.taken_at, "2026-11-22T06:00:10Z".parse().unwrap());
    assert_eq!(manifest.content["keys"], 40);
    assert_eq!(manifest.content["shards"][1]["keys"], 30);
    assert_eq!(manifest.objects.len(), 2);
    assert!(manifest.objects[1].sha256.len() > 2, "a digest for each part");
    assert_eq!(Source::from_map(&manifest.source).unwrap().settings.shards.len(), 2);
    assert_eq!(world.ledger_kinds(), ["recovery-point-completed", "copy-completed"]);
    let entry = world.entry("recovery-point-completed");
    assert_eq!((&entry["keys"], &entry["duration_ms"]), (&40.into(), &600_000.into()));
    for key in world.vault.objects().keys() {
        assert_eq!(world.vault.encryption(key), Some(Encryption::Bucket), "{key}");
        assert_eq!(world.vault.writes(key), 1, "{key}");
    }
    assert!(world.board().is_empty());

    let before = world.account.calls().len();
    let rest = world.tick().await;
    assert_eq!((World::actions(&rest), rest.unfinished), (vec![], 0));
    assert_eq!(world.account.calls().len() - before, 2, "a settled world is looked at and left alone");
}

#[rstest]
#[case::alone(CacheKind::Cluster)]
#[case::serverless(CacheKind::Serverless)]
#[tokio::test]
async fn every_sort_of_cache_comes_into_the_vault(#[case] kind: CacheKind) {
    let mut world = World::new(&[cache(kind, "sessions", 1)]);
    world.settle().await;
    let [manifest] = world.manifests().try_into().unwrap();
    assert_eq!(manifest.content["keys"], 10);
    assert_eq!(Source::from_map(&manifest.source).unwrap().kind, kind);
}

#[tokio::test]
async fn a_corrupt_export_fails_and_the_next_attempt_has_another_snapshot() {
    let mut world = World::new(&[group("sessions", 1)]);
    let mut bad = rdb(20);
    bad[700] ^= 1;
    world.contents.insert("0001".to_owned(), bad);
    for _ in 0..3 {
        world.tick().await;
        world.later();
    }
    let failed = world.ledger_kinds();
    assert_eq!(failed, ["recovery-point-failed-RdbCorrupt"]);
    let says = world.entry("RdbCorrupt")["error"].as_str().unwrap().to_owned();
    assert!(says.contains("at byte") && says.contains("checksum"), "{says}");
    assert_eq!(world.conditions(), ["recovery-point-failed-RdbCorrupt"]);
    world.contents.clear();
    world.tick().await;
    assert_eq!(world.conditions(), ["recovery-point-failed-RdbCorrupt"], "as long as there is no better one");
    world.settle().await;
    let [manifest] = world.manifests().try_into().unwrap();
    assert!(manifest.id.as_str().ends_with("-2"), "{}", manifest.id);
    assert!(world.board().is_empty());
}

#[rstest]
#[case::empty(Vec::new(), "FileEmpty")]
#[case::truncated(rdb(20)[..500].to_vec(), "RdbCorrupt")]
#[case::trailing([rdb(20), rdb(1)].concat(), "RdbCorrupt")]
#[case::something_else(b"<html>".to_vec(), "RdbCorrupt")]
#[tokio::test]
async fn what_is_no_backup_is_given_up_after_three(#[case] body: Vec<u8>, #[case] code: &str) {
    let mut world = World::new(&[group("sessions", 1)]);
    world.contents.insert("0001".to_owned(), body);
    for _ in 0..12 {
        world.tick().await;
        world.later();
    }
    let kinds = world.ledger_kinds();
    let failed = format!("recovery-point-failed-{code}");
    assert_eq!(kinds.iter().filter(|kind| **kind == failed).count(), 3, "{kinds:?}");
    assert!(kinds.contains(&"refused-AttemptsExhausted".to_owned()));
    assert!(world.manifests().is_empty());
    assert_eq!(
        world.snapshots().len(),
        3,
        "what never became a recovery point is left for people to look at"
    );
}

#[tokio::test]
async fn a_backup_without_checksum_counts_and_is_told_of_for_as_long_as_it_is_the_newest() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.contents.insert("0001".to_owned(), rdb_without_checksum(5));
    while world.manifests().is_empty() {
        world.later();
        world.tick().await;
    }
    assert_eq!(world.conditions(), ["rdb-without-checksum"], "in the pass that completes it");
    world.settle().await;
    world.later();
    world.tick().await;
    assert_eq!(world.conditions(), ["rdb-without-checksum"]);
    assert_eq!(world.manifests()[0].content["unchecked"], true);
    world.contents.clear();
    world.now = "2026-11-22T12:00:10Z".parse().unwrap();
    world.settle().await;
    assert!(world.board().is_empty());
}

#[tokio::test]
async fn a_failed_snapshot_is_recorded_and_another_one_taken() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    let name = world.snapshots()[0].name.clone();
    world.account.fail_snapshot(CacheKind::ReplicationGroup, &name);
    world.tick().await;
    assert_eq!(world.conditions(), ["recovery-point-failed-SnapshotFailed"], "in the pass that sees it");
    world.settle().await;
    assert!(world.ledger_kinds().contains(&"recovery-point-failed-SnapshotFailed".to_owned()));
    assert_eq!(world.manifests().len(), 1);
}

#[tokio::test]
async fn an_export_without_all_its_files_is_a_failure_after_an_hour() {
    let mut world = World::new(&[group("sessions", 2)]);
    world.tick().await;
    world.later();
    world.tick().await;
    world.tick().await;
    world.later();
    let key = world.exports.objects().into_keys().next_back().unwrap();
    world.exports.remove(&key);
    assert!(world.tick().await.failed.is_empty(), "it may still come");
    world.wait(Duration::from_mins(70));
    let failed = world.tick().await.take_error().unwrap();
    assert_eq!(failed.code(), "ExportIncomplete");
    assert!(failed.report().contains("1 of 2"), "{}", failed.report());
    world.settle().await;
    assert!(world.manifests()[0].id.as_str().ends_with("-2"));
}

#[tokio::test]
async fn snapshots_go_once_they_are_in_both_vaults_and_the_plan_keeps_newer_ones() {
    let mut world = World::new(&[group("sessions", 1)]);
    r#"{"plans": {"default": {"schedule": {"redis": "*/20 * * * *"}}}}"#.clone_into(&mut world.plans);
    world.vault.replicate_to(&world.recovery, Replication::Late);
    for _ in 0..7 {
        world.tick().await;
        world.later();
    }
    assert_eq!((world.manifests().len(), world.snapshots().len()), (2, 2), "no copy, no deletion");
    world.vault.replicate();
    assert!(World::actions(&world.tick().await).contains(&"delete-snapshot"));
    let [kept] = world.snapshots().try_into().unwrap();
    assert!(kept.name.contains("20261122t0620z"), "{}", kept.name);
    assert_eq!(world.manifests().len(), 2);
}

#[rstest]
#[case::strangers_tags("tidemark:resource", "redis/other")]
#[case::strangers_name("", "")]
#[tokio::test]
async fn what_is_not_ours_is_never_deleted(#[case] key: &str, #[case] value: &str) {
    let mut world = World::new(&[group("sessions", 1)]);
    world.settle().await;
    let mut old = world.snapshots()[0].clone();
    if key.is_empty() {
        "before-upgrade".clone_into(&mut old.name);
        old.arn = format!("{}-2", old.arn);
    } else {
        old.tags.insert(key.to_owned(), value.to_owned());
    }
    world.account.put_snapshot(old.clone());
    for slot in ["2026-11-22T12:00:10Z", "2026-11-22T18:00:10Z"] {
        world.now = slot.parse().unwrap();
        world.settle().await;
    }
    let names: Vec<String> = world.snapshots().into_iter().map(|snapshot| snapshot.name).collect();
    assert!(names.contains(&old.name), "{names:?}");
    assert_eq!(names.len(), 2, "{names:?}");
}

#[tokio::test]
async fn tags_that_lag_behind_delete_nothing_and_delay_nothing() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.account.let_tags_lag(true);
    world.settle().await;
    world.now = "2026-11-22T12:00:10Z".parse().unwrap();
    world.settle().await;
    assert_eq!((world.manifests().len(), world.snapshots().len()), (2, 2));
    world.account.let_tags_lag(false);
    world.settle().await;
    assert_eq!(world.snapshots().len(), 1);
}

#[tokio::test]
async fn a_name_that_a_stranger_took_is_an_error_not_a_success() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    let mut taken = world.snapshots().remove(0);
    taken.tags.clear();
    world.account.put_snapshot(taken);
    world.later();
    assert_eq!(world.tick().await.take_error().unwrap().code(), "NameTaken");
    assert!(world.exports.objects().is_empty());
}

#[tokio::test]
async fn a_cache_made_anew_under_its_name_gets_its_own_recovery_point() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.settle().await;
    world.account.put_cache(Cache { incarnation: "2026-11-22T06:30:00Z".to_owned(), ..group("sessions", 1) });
    world.settle().await;
    assert_eq!(world.manifests().len(), 2);
    assert_eq!(world.snapshots().len(), 2, "the other one's snapshot is not counted as its own");
}

#[tokio::test]
async fn a_cache_that_cannot_be_exported_is_a_finding_and_no_failure() {
    let mut tiered = group("tiered", 1);
    tiered.settings.data_tiering = true;
    let mut old = group("old", 1);
    old.settings.engine_version = Some("2.8.6".to_owned());
    let mut world = World::new(&[tiered, old, group("sessions", 1)]);
    let summary = world.settle().await;
    assert!(summary.failed.is_empty());
    assert_eq!(world.conditions(), ["cannot-export", "cannot-export"]);
    assert_eq!(world.manifests().len(), 1);
}

#[tokio::test]
async fn one_resources_mistake_stops_no_other() {
    let mut memcached = cache(CacheKind::Cluster, "cart", 1);
    "memcached".clone_into(&mut memcached.settings.engine);
    let mut unknown = group("typo", 1);
    unknown.tags.insert("tidemark:plan".to_owned(), "defautl".to_owned());
    let twins = [group("twin", 1), cache(CacheKind::Serverless, "twin", 1)];
    let hostile = group("../../state", 1);
    let [a, b] = twins;
    let world = World::new(&[memcached, unknown, a, b, hostile, group("sessions", 1)]);
    let mut summary = world.tick().await;
    assert_eq!(World::actions(&summary), ["take-snapshot"]);
    let report = summary.take_error().unwrap().report();
    for code in ["memcached", "defautl", "twin", "state"] {
        assert!(report.contains(code), "{report}");
    }
    assert_eq!(world.conditions().len(), 4);
}

#[tokio::test]
async fn a_used_up_quota_is_named_before_anything_is_tried() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    let taken = world.snapshots().remove(0);
    world.account.remove_snapshot(taken.kind, &taken.name);
    for number in 0..20 {
        let name = format!("by-hand-{number}");
        world.account.put_snapshot(redis::elasticache::Snapshot { name, ..taken.clone() });
    }
    world.later();
    let error = world.tick().await.take_error().unwrap();
    assert_eq!(error.code(), "SnapshotQuotaUsed");
    assert!(error.report().contains("2026-11-23T06:00:10Z"), "{}", error.report());
}

#[tokio::test]
async fn elasticache_that_does_not_answer_is_said_and_no_finding_ends() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.contents.insert("0001".to_owned(), rdb_without_checksum(5));
    world.settle().await;
    world.tick().await;
    let down = || reconcile::Error::retryable("ServiceUnavailable", "down");
    world.account.refuse_next("DescribeCaches", down());
    assert_eq!(world.tick().await.take_error().unwrap().code(), "ServiceUnavailable");
    assert_eq!(world.conditions(), ["rdb-without-checksum"]);
}

#[tokio::test]
async fn the_copy_is_made_here_when_replication_does_not() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.vault.replicate_to(&world.recovery, Replication::Off);
    for _ in 0..5 {
        world.tick().await;
        world.later();
    }
    assert!(world.recovery.objects().is_empty());
    world.wait(Duration::from_mins(30));
    assert_eq!(World::actions(&world.tick().await), ["copy-recovery-point"]);
    world.settle().await;
    assert_eq!(world.recovery.objects(), world.vault.objects());
    assert!(world.ledger_kinds().contains(&"copy-completed".to_owned()));
}

#[tokio::test]
async fn an_earlier_slots_work_is_finished_while_the_newest_snapshot_is_taken() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    world.later();
    world.tick().await;
    world.now = "2026-11-22T12:00:10Z".parse().unwrap();
    world.later();
    let actions = World::actions(&world.tick().await);
    assert!(actions.contains(&"take-snapshot") && actions.contains(&"take-in"), "{actions:?}");
    world.settle().await;
    assert_eq!(world.manifests().len(), 2);
}

#[tokio::test]
async fn what_was_read_and_written_down_is_not_read_again() {
    let mut world = World::new(&[group("sessions", 2)]);
    world.settle().await;
    let [manifest] = world.manifests().try_into().unwrap();
    let second = manifest.object("0002.rdb").unwrap().parts().count();
    let key = world.vault.objects().into_keys().find(|key| key.ends_with("manifest.json")).unwrap();
    // Cut off before the manifest, and while the second of the two files was read.
    world.vault.remove(&key);
    let name = "intake/redis/sessions.json";
    let mut intake: Value = serde_json::from_str(&world.ledger.documents.text(name).unwrap()).unwrap();
    intake["files"]["0002.rdb"]["read"] = Value::Null;
    world.ledger.documents.put(name, &intake.to_string());
    let reads = world.vault.count("read");
    world.settle().await;
    assert_eq!(world.vault.count("read") - reads, second);
    assert_eq!(world.manifests()[0].objects, manifest.objects);
}

#[tokio::test]
async fn a_pass_that_is_cut_off_is_gone_on_with() {
    for call in ["copy", "read", "create", "list"] {
        let mut world = World::new(&[group("sessions", 1)]);
        world.tick().await;
        world.later();
        world.tick().await;
        world.later();
        world.vault.hang_next(call);
        _ = world.pass(Duration::from_millis(200)).await;
        world.settle().await;
        assert_eq!(world.manifests().len(), 1, "{call}");
        assert_eq!(world.ledger_kinds(), ["recovery-point-completed", "copy-completed"]);
    }
}

#[tokio::test]
async fn a_document_of_nonsense_is_work_that_begins_anew() {
    let mut world = World::new(&[group("sessions", 1)]);
    world.tick().await;
    world.later();
    world.tick().await;
    world.ledger.documents.put("intake/redis/sessions.json", "{\"id\": 7}");
    world.ledger.documents.put("notes/backup-redis.json", "[]");
    world.settle().await;
    assert_eq!(world.manifests().len(), 1);
}

#[tokio::test]
async fn a_cache_that_is_not_to_be_protected_is_left_alone() {
    let not_to_be = Cache { tags: [(tag::PLAN.to_owned(), "none".to_owned())].into(), ..group("scratch", 1) };
    let unknown = Cache { tags: [(tag::PLAN.to_owned(), "nono".to_owned())].into(), ..group("typo", 1) };
    let world = World::new(&[not_to_be, unknown]);
    let summary = world.tick().await;
    let failed: Vec<_> = summary.failed.iter().map(|failed| failed.resource.to_string()).collect();
    assert_eq!((failed, World::actions(&summary)), (vec!["redis/typo".to_owned()], vec![]));
}

#[tokio::test]
async fn five_hundred_caches_cost_lists() {
    let caches: Vec<Cache> = (0..500).map(|number| group(&format!("cache-{number:03}"), 1)).collect();
    let mut world = World::new(&caches);
    world.settle().await;
    assert_eq!(world.manifests().len(), 500);
    let before = (world.account.calls().len(), world.vault.calls().len(), world.recovery.calls().len());
    world.tick().await;
    let after = (world.account.calls().len(), world.vault.calls().len(), world.recovery.calls().len());
    assert_eq!(
        (after.0 - before.0, after.1 - before.1, after.2 - before.2),
        (2, 3, 3),
        "a settled tick lists and does not ask one by one"
    );
}
