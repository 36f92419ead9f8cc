//! What is remembered, and what somebody else may have put there.

use rstest::rstest;

use super::*;

const DOCUMENT: &str = "heartbeats/rds/orders.json";

#[tokio::test]
async fn the_newest_is_written_down_every_five_minutes() {
    let mut world = World::of_orders();
    let mut numbers = Vec::new();
    for _ in 0..12 {
        world.tick().await;
        numbers.push(world.memory("rds/orders")["newest"]["number"].as_u64().unwrap());
    }
    assert_eq!(numbers, [1, 1, 1, 1, 1, 6, 6, 6, 6, 6, 11, 11]);
}

#[rstest]
#[case::nothing_of_it("not JSON")]
#[case::another_shape(r#"{"newest": 7}"#)]
#[case::an_instant_that_cannot_be(r#"{"newest": null, "missed_since": "9999-12-30T00:00:00Z", "told": []}"#)]
#[tokio::test]
async fn a_document_that_cannot_be_is_replaced(#[case] text: &str) {
    let mut world = World::of_orders();
    world.ledger.documents.put(DOCUMENT, text);
    world.ticks(2).await;
    assert_eq!(world.memory("rds/orders")["newest"]["number"], 1);
    assert_eq!(world.kinds(), Vec::<String>::new());
}

/// What is told for a day is told for a day.
#[tokio::test]
async fn no_document_has_something_told_for_ever() {
    let mut world = World::of_orders();
    world.ticks(8).await;
    world.tables.change(SHOP, |rows| rows.retain(|row| row.number != "4"));
    world.tick().await;
    let mut memory = world.memory("rds/orders");
    memory["told"][0]["until"] = json!("9999-12-30T00:00:00Z");
    world.ledger.documents.put(DOCUMENT, &memory.to_string());
    world.tick().await;
    assert_eq!(world.kinds(), ["heartbeat-gap"]);
    let until: Timestamp = world.memory("rds/orders")["told"][0]["until"].as_str().unwrap().parse().unwrap();
    assert!(until <= world.now + minutes(24 * 60), "{until}");
}

#[tokio::test]
async fn a_deleted_document_costs_a_comparison_and_nothing_else() {
    let mut world = World::of_orders();
    world.ticks(12).await;
    world.tables.change(SHOP, |rows| *rows = rows.split_off(8));
    world.ledger.documents.remove(DOCUMENT);
    world.ticks(2).await;
    assert_eq!(world.kinds(), Vec::<String>::new());
    assert_eq!(world.memory("rds/orders")["newest"]["number"], 5);
}

/// The board is read after the plan was made: what is told for a day does not depend on it.
#[tokio::test]
async fn what_is_told_survives_a_database_that_does_not_answer() {
    let mut world = World::of_orders();
    world.ticks(8).await;
    world.tables.change(SHOP, |rows| rows.retain(|row| row.number != "4"));
    world.tick().await;
    for _ in 0..3 {
        world.tables.refuse_next("connect", Error::retryable("57P03", "it is starting up"));
        world.tick().await;
        assert_eq!(world.kinds(), ["heartbeat-gap"]);
    }
    world.tables.set_password(SHOP, "another");
    world.tick().await;
    assert_eq!(world.kinds(), ["heartbeat-gap", "refused"]);
}
