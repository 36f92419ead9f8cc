//! What is told, since when, and until when.

use domain::Severity;
use rstest::rstest;

use super::*;

const DAY: i64 = 24 * 60;

/// Until `kind` stands no more: how many minutes that took.
async fn ends(world: &mut World, kind: &str) -> i64 {
    for minute in 0..2 * DAY {
        if !world.kinds().iter().any(|there| there == kind) {
            return minute;
        }
        world.tick().await;
    }
    panic!("{kind} never ends");
}

#[tokio::test]
async fn a_database_that_takes_none_for_five_minutes_is_told_and_ends_with_the_next() {
    let mut world = World::of_orders();
    world.ticks(7).await;
    let since = world.now;
    for minute in 0..8 {
        world.tables.refuse_next("connect", Error::retryable("57P03", "it is starting up"));
        world.tick().await;
        assert_eq!(world.kinds().len(), usize::from(minute >= 5), "minute {minute}");
    }
    let finding = world.finding("heartbeat-missing");
    assert_eq!((finding.since, finding.severity), (since, Severity::Warning));
    assert!(
        finding.says.contains("starting up") && finding.says.contains("number 6 of 2026-11-23T10:45:00Z"),
        "{finding:?}"
    );
    assert_eq!(finding.standing.plan.as_deref(), Some("default"));
    world.tick().await;
    assert_eq!(world.kinds(), Vec::<String>::new());
    assert_eq!(world.numbers()[0], "8");
}

#[rstest]
#[case::signed_by_nobody(|rows: &mut Vec<Row>| rows[0].at_ms.push('0'), "3 (wrong signature)")]
#[case::not_the_newest(|rows: &mut Vec<Row>| rows[1].signature.replace_range(5..6, "g"), "2 (unreadable)")]
#[case::put_on_top(
    |rows: &mut Vec<Row>| rows.insert(0, Row { number: "4000".to_owned(), ..rows[0].clone() }),
    "4000 (wrong signature)"
)]
#[case::with_another_key(|rows: &mut Vec<Row>| rows[0].key_id = "2025-01".to_owned(), "3 (unknown key)")]
#[tokio::test]
async fn a_row_that_is_not_to_be_believed_is_told_for_a_day(
    #[case] tamper: fn(&mut Vec<Row>),
    #[case] says: &str,
) {
    let mut world = World::of_orders();
    world.ticks(3).await;
    world.tables.change(SHOP, tamper);
    let since = world.now;
    world.tick().await;
    let finding = world.finding("heartbeat-not-intact");
    assert_eq!((finding.severity, finding.since), (Severity::Critical, since));
    assert!(finding.says.contains(says), "{}", finding.says);
    // It is in sight for a quarter of an hour.
    world.ticks(5).await;
    assert_eq!(world.finding("heartbeat-not-intact").since, since);
    let minutes = ends(&mut world, "heartbeat-not-intact").await;
    assert!((DAY - 10..DAY + 20).contains(&minutes), "{minutes}");
}

#[tokio::test]
async fn rows_that_are_missing_from_within_are_told() {
    let mut world = World::of_orders();
    world.ticks(8).await;
    world.tables.change(SHOP, |rows| rows.retain(|row| !["4", "5"].contains(&row.number.as_str())));
    world.tick().await;
    let finding = world.finding("heartbeat-gap");
    assert_eq!(finding.severity, Severity::Critical);
    assert!(
        finding.says.contains("2 between number 3 of 2026-11-23T10:42:00Z and number 6"),
        "{}",
        finding.says
    );
    assert_eq!(world.kinds().len(), 1);
}

#[rstest]
#[case::some_are_left(4, "the newest from before it is number 4 of 2026-11-23T10:43:00Z")]
#[case::none_is_left(0, "none from before it is among the newest there")]
#[tokio::test]
async fn a_database_that_was_set_back_is_told_for_a_day(#[case] left: usize, #[case] says: &str) {
    let mut world = World::of_orders();
    world.ticks(12).await;
    // What stood there eleven minutes before the newest that is remembered was written.
    world.tables.change(SHOP, |rows| *rows = rows.split_off(12 - left));
    world.restart();
    world.tick().await;
    let finding = world.finding("heartbeats-set-back");
    assert_eq!(finding.severity, Severity::Warning);
    assert!(finding.says.contains("number 11 of 2026-11-23T10:50:00Z was committed"), "{}", finding.says);
    assert!(finding.says.contains(says), "{}", finding.says);
    // It goes on from what is there, as a chain without a hole.
    world.ticks(30).await;
    assert_eq!(world.numbers().len(), left + 31);
    assert_eq!(world.kinds(), ["heartbeats-set-back"]);
    assert_eq!(world.finding("heartbeats-set-back").since, start() + minutes(12));
    let minutes = ends(&mut world, "heartbeats-set-back").await;
    assert_eq!(minutes, DAY - 30);
}

#[tokio::test]
async fn a_chain_that_begins_anew_is_told() {
    let mut world = World::of_orders();
    world.ticks(3).await;
    world.secrets.put(KEYS, &key_document(&[("2027-02", OTHER_KEY)]));
    world.tick().await;
    assert_eq!(world.kinds(), ["heartbeat-not-intact", "heartbeats-begun-anew"]);
    let finding = world.finding("heartbeat-not-intact");
    assert!(finding.says.contains("3 (unknown key)") && finding.next.contains("Put the key"), "{finding:?}");
    // Rotated as it should be, nobody hears of it.
    let mut world = World::of_orders();
    world.ticks(3).await;
    world.secrets.put(KEYS, &key_document(&[("2027-02", OTHER_KEY), ("2026-11", KEY)]));
    world.ticks(3).await;
    assert_eq!(world.kinds(), Vec::<String>::new());
    assert_eq!(world.rows()[0].key_id, "2027-02");
}

#[tokio::test]
async fn a_database_made_from_anothers_restore_has_an_inheritance_and_no_forgeries() {
    let mut world = World::of_orders();
    world.ticks(20).await;
    let copied = Instance { id: "orders-copy".to_owned(), ..instance() };
    world.account.put_instance(HOME, copied);
    world.plan(r#"{"plans": {"default": {"heartbeats": {"rds/orders-copy": "tidemark/heartbeat-orders"}}}}"#);
    world.tick().await;
    assert_eq!(world.kinds(), ["heartbeats-begun-anew"]);
    world.ticks(20).await;
    assert_eq!(world.kinds(), ["heartbeats-begun-anew"]);
}

#[tokio::test]
async fn a_clock_that_is_behind_is_told_while_it_is() {
    let mut world = World::of_orders();
    world.now += minutes(10);
    world.tick().await;
    world.now = start();
    for minute in 0..12 {
        world.tick().await;
        assert_eq!(world.kinds(), vec!["heartbeat-clock"; usize::from(minute < 9)], "minute {minute}");
    }
}

#[tokio::test]
async fn numbers_that_are_used_up_are_told() {
    let mut world = World::of_orders();
    world.tick().await;
    world.tables.change(SHOP, |rows| rows[0].number = i64::MAX.to_string());
    world.tick().await;
    let finding = world.finding("action-failed");
    assert_eq!(finding.code.as_deref(), Some("HeartbeatNumbersExhausted"));
}

/// However much somebody puts there, what is told of it is short and has no surprises.
#[tokio::test]
async fn what_is_told_of_rows_is_short() {
    let mut world = World::of_orders();
    world.tick().await;
    world.tables.change(SHOP, |rows| {
        let row = rows[0].clone();
        rows.extend((2..40).map(|number| Row {
            number: number.to_string(),
            signature: "\u{1b}[2J".repeat(9_000),
            resource: "x".repeat(100_000),
            ..row.clone()
        }));
        rows.push(Row { number: "\u{1b}]0;<script>".repeat(100), ..row });
    });
    world.tick().await;
    let finding = world.finding("heartbeat-not-intact");
    assert!(finding.says.len() < 500 && finding.says.contains("and 11 more"), "{}", finding.says);
    assert!(!finding.says.contains('\u{1b}'));
}
