//! What passes write; passes that meet each other, are killed, or get no answer; and what a pass costs.

use heartbeat::{Question, Rhythm, judge};
use rstest::rstest;

use super::*;

fn is_sound(rows: &[Row], resource: &ResourceId, now: Timestamp) -> bool {
    let question = Question { resource, restored_to: None, asked_at: now, rhythm: Rhythm::default() };
    let judgement = judge(rows, question, &keys());
    judgement.is_sound() && judgement.pauses.is_empty() && judgement.begun_anew.is_empty()
}

#[tokio::test]
async fn each_minute_writes_one() {
    let mut world = World::of_orders();
    world.ticks(3).await;
    assert_eq!(world.numbers(), ["3", "2", "1"]);
    assert!(is_sound(&world.rows(), &orders(), world.now));
    assert_eq!(world.rows()[0].at_ms, (start() + minutes(2)).as_millisecond().to_string());
    assert_eq!(world.kinds(), Vec::<String>::new());
}

/// A process that dies after its row was there is as one that was never woken.
#[tokio::test]
async fn two_passes_at_once_are_as_good_as_one() {
    let mut world = World::of_orders();
    world.ticks(2).await;
    let (one, two) = tokio::join!(world.try_tick(), world.try_tick());
    assert!(one.unwrap().failed.is_empty() && two.unwrap().failed.is_empty());
    world.now += minutes(1);
    world.tick().await;
    assert!(is_sound(&world.rows(), &orders(), world.now));
    assert_eq!(world.kinds(), Vec::<String>::new());
}

#[rstest]
#[case::it_was_written("write", 4)]
#[case::it_read_and_heard_nothing("read", 3)]
#[case::it_connected_and_heard_nothing("connect", 3)]
#[tokio::test]
async fn an_answer_that_is_lost_costs_a_minute_at_most(#[case] call: &'static str, #[case] newest: usize) {
    let mut world = World::of_orders();
    world.ticks(2).await;
    world.tables.lose_answer_of_next(call);
    let summary = world.tick().await;
    // A minute without a heartbeat is no failure of the function.
    assert!(summary.failed.is_empty());
    assert_eq!(summary.acted[0].detail["missed"], "DatabaseNotReached");
    assert_eq!(summary.unfinished, 1);
    world.tick().await;
    assert_eq!(world.numbers()[0], newest.to_string());
    assert_eq!(world.kinds(), Vec::<String>::new());
    assert!(world.memory("rds/orders").get("missed_since").is_none());
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_delays_no_other() {
    let mut world = World::new();
    world.tables.hang_next("read");
    let begun = tokio::time::Instant::now();
    let summary = world.tick().await;
    assert_eq!(begun.elapsed().as_secs(), 10);
    let missed: Vec<_> = summary
        .acted
        .iter()
        .filter(|acted| acted.detail.contains_key("missed"))
        .map(|acted| &acted.resource)
        .collect();
    assert_eq!((missed, summary.acted.len()), (vec![&orders()], 3));
}

#[tokio::test]
async fn nobody_who_wants_none_pays_for_any() {
    let mut world = World::new();
    world.plan(r#"{"plans": {"default": {}}}"#);
    world.function.keys = None;
    let summary = world.tick().await;
    assert_eq!((summary.settled, summary.acted.len(), world.secrets.reads.get()), (1, 0, 0));
    assert_eq!((world.account.calls().len(), world.caches.calls().len()), (0, 0));
    assert_eq!(world.kinds(), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_pass_costs() {
    let mut world = World::of_orders();
    world.ticks(1).await;
    let (secrets, writes) = (world.secrets.reads.get(), world.ledger.documents.writes());
    let (rds, tables) = (world.account.calls().len(), world.tables.calls().len());
    world.ticks(10).await;
    // The keys each minute, the credentials once in ten; one list; three journeys to the database.
    assert_eq!(world.secrets.reads.get() - secrets, 11);
    assert_eq!((world.account.calls().len() - rds, world.tables.calls().len() - tables), (10, 30));
    assert_eq!(world.caches.calls().len(), 0, "no plan names a cache");
    // The memory twice, and the board once.
    assert_eq!(world.ledger.documents.writes() - writes, 3);
}

#[tokio::test]
async fn a_password_that_was_changed_is_read_again_before_anybody_is_told() {
    let mut world = World::of_orders();
    world.tick().await;
    world.secrets.put("tidemark/heartbeat-orders", &login("another"));
    world.tables.set_password(SHOP, "another");
    world.tick().await;
    assert_eq!((world.numbers().len(), world.kinds().len()), (2, 0));
    // One that is wrong is told at once, and tried each minute.
    world.tables.set_password(SHOP, "a third");
    world.tick().await;
    let finding = world.finding("refused");
    assert_eq!(finding.code.as_deref(), Some("28P01"));
    world.secrets.put("tidemark/heartbeat-orders", &login("a third"));
    world.ticks(2).await;
    assert_eq!(world.kinds(), Vec::<String>::new());
}

#[tokio::test]
async fn another_database_of_the_server_is_named_by_the_secret() {
    let mut world = World::of_orders();
    let elsewhere =
        json!({"username": "tidemark_heartbeat", "password": "one", "dbname": "billing", "port": 5432});
    world.secrets.put("tidemark/heartbeat-orders", &elsewhere);
    world.tables.add("orders.db.example/billing", "one");
    world.tick().await;
    assert_eq!((world.rows().len(), world.tables.rows("orders.db.example/billing").len()), (0, 1));
    // What has no database of its own has that which every server has.
    world.account.put_instance(HOME, Instance { database: None, ..instance() });
    world.secrets.put("tidemark/heartbeat-orders", &login("one"));
    world.tables.add("orders.db.example/postgres", "one");
    world.restart();
    world.tick().await;
    assert_eq!(world.tables.rows("orders.db.example/postgres").len(), 1);
}

/// The state bucket does not answer: the heartbeat is written all the same, and the pass fails.
#[tokio::test]
async fn without_its_memory_a_heartbeat_is_written_all_the_same() {
    let mut world = World::of_orders();
    world.ticks(5).await;
    world.ledger.documents.refuse_next_write(down());
    let summary = world.tick().await;
    assert_eq!((summary.failed.len(), world.rows().len()), (1, 6));
    world.tick().await;
    assert_eq!(world.kinds(), Vec::<String>::new());
}
