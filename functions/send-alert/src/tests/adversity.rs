//! Killed, frozen, quicker than another, lied to: what is told all the same, and how often.

use super::*;

#[tokio::test]
async fn what_comes_back_while_something_else_goes_on_is_told_again() {
    let mut world = World::new();
    let mut weeks = finding("orders", "retention-too-short", "2026-11-01T00:00:00Z");
    weeks.severity = Severity::Warning;
    let outage = finding("orders", "rpo-exceeded", "2026-11-22T03:27:00Z");
    world.board("watch-rpo", &[weeks.clone()]);
    world.tick().await;
    for _ in 0..2 {
        world.board("watch-rpo", &[weeks.clone(), outage.clone()]);
        world.later(1);
        world.tick().await;
        world.board("watch-rpo", &[weeks.clone()]);
        for _ in 0..20 {
            world.later(1);
            world.tick().await;
        }
    }
    let events: Vec<String> =
        world.said().iter().map(|said| said.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(events, ["opened", "updated", "updated"], "{:?}", world.said());
    assert_eq!(world.open().conversations.values().next().unwrap().severity(), Severity::Warning);
}

#[tokio::test]
async fn more_to_say_after_a_lost_answer_is_another_message() {
    let mut world = World::new();
    let one = finding("orders", "slot-missed", "2026-11-22T03:27:00Z");
    world.board("watch-rpo", std::slice::from_ref(&one));
    world.topic.lose_answer_of_next();
    world.tick().await;
    world.board("watch-rpo", &[one, finding("orders", "rpo-exceeded", "2026-11-22T03:27:00Z")]);
    world.later(1);
    world.tick().await;
    let ids: Vec<String> = world.topic.published().into_iter().map(|message| message.id).collect();
    assert_ne!(ids[0], ids[1], "who has read the first must read the second");
}

#[tokio::test]
async fn two_batches_at_once_lose_no_failure() {
    let world = World::new();
    let ask = |function: &str| Ask::parse(given_up(function, "AccessDenied", "no", world.now)).unwrap();
    let (one, other) = tokio::join!(
        world.ask(ask("tidemark-prod-backup-rds")),
        world.ask(ask("tidemark-prod-restore-database"))
    );
    for (function, outcome) in [("tidemark-prod-backup-rds", one), ("tidemark-prod-restore-database", other)]
    {
        // The invocation fails, and the queue delivers again.
        if outcome.unwrap().take_unsaid_error().is_some() {
            world.ask(ask(function)).await.unwrap();
        }
    }
    let mut said = world.said();
    said.sort();
    assert_eq!(
        said,
        ["opened tidemark/backup-rds function-failed", "opened tidemark/restore-database function-failed"]
    );
}

#[tokio::test]
async fn a_lease_that_cannot_be_holds_nobody_back() {
    let world = World::new();
    world.board("watch-rpo", &[finding("orders", "slot-missed", "2026-11-22T03:27:00Z")]);
    let lease = json!({"taken_at": "9999-01-01T00:00:00Z", "until": "9999-01-01T00:00:30Z"});
    world.documents().put(OPEN, &json!({"lease": lease}).to_string());
    world.tick().await;
    assert_eq!(world.said(), ["opened rds/orders slot-missed"]);
}

#[tokio::test]
async fn a_board_that_vanishes_ends_nothing() {
    let mut world = World::new();
    world.board("watch-rpo", &[finding("orders", "slot-missed", "2026-11-22T03:27:00Z")]);
    world.tick().await;
    world.documents().remove(&board_name("watch-rpo"));
    world.later(1);
    world.tick().await;
    assert_eq!(world.said().len(), 1, "{:?}", world.said());
}

#[tokio::test]
async fn a_message_that_sns_does_not_take_goes_out_bare() {
    let world = World::new();
    world.board("watch-rpo", &[finding("orders", "slot-missed", "2026-11-22T03:27:00Z")]);
    world.topic.refuse_next(Error::permanent("InvalidParameterValue", "an attribute is odd"));
    assert!(world.tick().await.failed.is_empty());
    let message = world.topic.published().remove(0);
    assert!(message.text.contains("The whole message was refused: an attribute is odd"), "{}", message.text);
    assert_eq!(message.attributes["kind"], ["slot-missed"]);
}

#[tokio::test]
async fn an_empty_plan_is_none() {
    let world = World::new();
    let mut finding = finding("orders", "refused", "2026-11-22T03:27:00Z");
    finding.standing.plan = Some(" ".to_owned());
    world.board("backup-rds", &[finding]);
    world.tick().await;
    assert_eq!(world.topic.published()[0].attributes["plan"], ["none"]);
}

#[tokio::test]
async fn of_two_invocations_at_once_one_publishes() {
    let world = World::new();
    world.board("watch-rpo", &[finding("orders", "slot-missed", "2026-11-22T03:27:00Z")]);
    for _ in 0..5 {
        let (a, b, c) = tokio::join!(world.tick(), world.tick(), world.tick());
        assert!(a.failed.is_empty() && b.failed.is_empty() && c.failed.is_empty());
    }
    assert_eq!(world.said(), ["opened rds/orders slot-missed"]);
}

#[tokio::test]
async fn killed_before_anything_was_published_it_is_published_when_the_lease_is_over() {
    let mut world = World::new();
    world.board("watch-rpo", &[finding("orders", "slot-missed", "2026-11-22T03:27:00Z")]);
    // The claim is written, and then nothing more happens.
    world.documents().lose_answer_of_next_write();
    assert_eq!(world.tick().await.failed.len(), 1);
    let waits = world.tick().await;
    assert_eq!((waits.waiting.len(), world.said().len()), (1, 0));
    world.later(1);
    world.tick().await;
    assert_eq!(world.said(), ["opened rds/orders slot-missed"]);
    assert_eq!(world.open().lease, None);
}

#[tokio::test]
async fn an_answer_of_sns_that_is_lost_repeats_the_same_message() {
    let mut world = World::new();
    world.board("watch-rpo", &[finding("orders", "slot-missed", "2026-11-22T03:27:00Z")]);
    world.topic.lose_answer_of_next();
    assert_eq!(world.tick().await.failed[0].error.code(), "RequestTimedOut");
    world.later(1);
    world.tick().await;
    world.later(1);
    world.tick().await;
    let ids: Vec<String> = world.topic.published().into_iter().map(|message| message.id).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1], "who has read it knows that it is the same");
}

#[tokio::test]
async fn what_ended_before_it_could_be_told_gets_its_all_clear() {
    let mut world = World::new();
    world.board("watch-rpo", &[finding("orders", "slot-missed", "2026-11-22T03:27:00Z")]);
    world.topic.lose_answer_of_next();
    world.tick().await;
    world.board("watch-rpo", &[]);
    world.later(1);
    world.tick().await;
    assert_eq!(world.said(), ["opened rds/orders slot-missed", "cleared rds/orders slot-missed"]);
}

#[tokio::test]
async fn a_topic_that_refuses_stops_nothing_else_and_is_tried_at_every_tick() {
    let mut world = World::new();
    world.board(
        "watch-rpo",
        &[
            finding("a", "slot-missed", "2026-11-22T03:27:00Z"),
            finding("b", "slot-missed", "2026-11-22T03:27:00Z"),
        ],
    );
    world.topic.refuse_next(Error::misconfigured("AuthorizationError", "not allowed"));
    let summary = world.tick().await;
    assert_eq!(summary.failed[0].error.code(), "AuthorizationError");
    assert_eq!(world.said(), ["opened rds/b slot-missed"]);
    world.later(1);
    world.tick().await;
    assert_eq!(world.said(), ["opened rds/b slot-missed", "opened rds/a slot-missed"]);
}

#[tokio::test]
async fn a_board_that_cannot_be_read_ends_nothing() {
    let mut world = World::new();
    world.board("watch-rpo", &[finding("orders", "slot-missed", "2026-11-22T03:27:00Z")]);
    world.tick().await;
    world.documents().put(&board_name("watch-rpo"), "{");
    world.later(1);
    let summary = world.tick().await;
    assert_eq!(summary.failed[0].error.code(), "FindingsUnreadable");
    assert_eq!(world.said().len(), 1);
    world.board("watch-rpo", &[]);
    world.later(1);
    world.tick().await;
    assert_eq!(world.said().len(), 2);
}

#[tokio::test]
async fn a_lost_memory_tells_once_more_and_goes_on() {
    let mut world = World::new();
    world.board("watch-rpo", &[finding("orders", "slot-missed", "2026-11-22T03:27:00Z")]);
    world.tick().await;
    world.documents().put(OPEN, "not json");
    world.later(1);
    world.tick().await;
    world.later(1);
    world.tick().await;
    assert_eq!(world.said().len(), 2);
}
