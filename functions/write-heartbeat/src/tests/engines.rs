//! Each engine's own.

use redis::server::{FakeEntry, NOT_REACHED, Reply};

use super::*;

#[tokio::test]
async fn each_engine_gets_its_own() {
    let mut world = World::new();
    world.ticks(61).await;
    assert_eq!(world.numbers().len(), 61);
    let key = heartbeat::redis::KEY;
    let read = world.servers.asked().iter().filter(|asked| asked.starts_with("XREVRANGE")).count();
    let added =
        world.servers.asked().iter().filter(|asked| asked.starts_with(&format!("XADD {key}"))).count();
    assert_eq!((read, added), (61, 61));
    assert_eq!(world.turso.calls().iter().filter(|call| *call == "cursor catalog").count(), 122);
    for resource in ["rds/orders", "redis/sessions", "turso/catalog"] {
        assert_eq!(world.memory(resource)["newest"]["number"], 61, "{resource}");
    }
    assert_eq!(world.kinds(), Vec::<String>::new());
}

#[tokio::test]
async fn a_cluster_sends_to_the_shard_that_has_the_stream() {
    let mut world = World::new();
    world
        .plan(r#"{"plans": {"default": {"heartbeats": {"redis/sessions": "tidemark/heartbeat-sessions"}}}}"#);
    world.tick().await;
    let asked = world.servers.asked().len();
    // Then the key is in another shard, which is the same one here.
    let moved = Reply::Refused(format!("MOVED 3999 {CACHE}:6380"));
    world.servers.answer("XREVRANGE tidemark:heartbeat + - COUNT 16", moved);
    let connected = world.servers.connected();
    let summary = world.tick().await;
    assert_eq!(world.servers.connected() - connected, 2, "it is followed once");
    // It still says so: something is wrong there, and told.
    assert_eq!(summary.failed.len(), 1);
    assert_eq!(world.servers.asked().len() - asked, 2);
}

#[tokio::test]
async fn a_cache_of_which_an_entry_was_changed_is_told() {
    let mut world = World::new();
    world
        .plan(r#"{"plans": {"default": {"heartbeats": {"redis/sessions": "tidemark/heartbeat-sessions"}}}}"#);
    let forged = FakeEntry { id: "7-0".to_owned(), fields: vec![b"follows".to_vec(), vec![0xff]] };
    world.servers.put(CACHE, 0, heartbeat::redis::KEY, FakeValue::Stream(vec![forged]));
    world.tick().await;
    assert!(world.finding("heartbeat-not-intact").says.contains("7 (unreadable)"));
    world.servers.put(CACHE, 0, heartbeat::redis::KEY, FakeValue::Text(b"mine".to_vec()));
    world.tick().await;
    assert!(world.kinds().contains(&"action-failed".to_owned()), "{:?}", world.kinds());
}

#[tokio::test]
async fn turso_says_that_there_is_no_table() {
    let mut world = World::new();
    world.turso.execute("catalog", "DROP TABLE tidemark_heartbeat");
    world.tick().await;
    let finding = world.finding("refused");
    assert_eq!(finding.resource, ResourceId::turso("catalog"));
    assert!(finding.says.contains("no such table"), "{}", finding.says);
}

#[tokio::test]
async fn a_row_at_turso_that_is_no_utf_8_hides_no_other() {
    let mut world = World::new();
    world.ticks(2).await;
    world
        .turso
        .execute("catalog", "UPDATE tidemark_heartbeat SET key_id = CAST(x'ff' AS TEXT) WHERE number = 1");
    let summary = world.tick().await;
    let finding = world.finding("heartbeat-not-intact");
    assert!(finding.says.contains(": 1 (unreadable)"), "{}", finding.says);
    assert!(summary.acted.iter().all(|acted| acted.detail["number"] == 3), "{:?}", summary.acted);
}

#[tokio::test]
async fn what_is_stopped_or_not_there_yet_takes_none_and_nobody_is_told() {
    let mut world = World::new();
    world.account.put_instance(HOME, Instance { status: "stopped".to_owned(), ..instance() });
    world.caches.put_cache(Cache { status: "creating".to_owned(), endpoint: None, ..cache() });
    for _ in 0..10 {
        let summary = world.tick().await;
        assert_eq!((summary.settled, summary.acted.len()), (2, 1));
    }
    assert_eq!(world.kinds(), Vec::<String>::new());
}

/// One engine's API that is down stops no other's heartbeats, and ends no finding.
#[tokio::test]
async fn one_engine_that_does_not_answer_stops_no_other() {
    let mut world = World::new();
    world.tick().await;
    world.account.refuse_next("DescribeDBInstances", down());
    let summary = world.tick().await;
    assert_eq!((summary.acted.len(), summary.failed.len()), (2, 1));
    assert_eq!(summary.failed[0].error.code(), "ServiceUnavailable");
    world.servers.refuse_next(Error::retryable(NOT_REACHED, "nobody is there"));
    let summary = world.tick().await;
    assert_eq!((summary.acted.len(), summary.failed.len()), (3, 0));
    assert_eq!(world.numbers().len(), 2);
}
