//! Many resources at once.

use super::*;

/// The most that SNS takes, attributes included (API reference, `Publish`).
const SNS_BYTES: usize = 256 * 1024;

fn bytes(message: &Message) -> usize {
    let attributes: usize =
        message.attributes.iter().map(|(name, values)| name.len() + json!(values).to_string().len()).sum();
    message.bodies().len() + attributes
}

fn many(count: usize) -> Vec<Finding> {
    let name = |number: usize| {
        format!("{number:04}{}", "-a-database-with-as-long-a-name-as-rds-permits-for-it".repeat(2))
    };
    (0..count).map(|number| finding(&name(number)[..63], "slot-missed", "2026-11-22T03:27:00Z")).collect()
}

#[tokio::test]
async fn a_thousand_failing_resources_are_a_digest_and_so_is_their_all_clear() {
    let mut world = World::new();
    world.board("watch-rpo", &many(1_000));
    world.tick().await;
    for minute in 0..10 {
        world.later(1);
        world.tick().await;
        assert_eq!(world.topic.published().len(), 3, "minute {minute}");
    }
    let messages = world.topic.published();
    assert!(messages.iter().all(|message| message.attributes["event"] == ["digest"]));
    let told: usize = messages.iter().map(|message| message.attributes["resource"].len()).sum();
    assert_eq!((told, world.open().conversations.len()), (1_000, 1_000), "each is told of, by name");
    let largest = messages.iter().map(bytes).max().unwrap();
    assert!(largest < SNS_BYTES, "{largest} bytes");
    insta::assert_snapshot!("digest", format!("{}\n\n{}", messages[0].subject, messages[0].text));

    world.board("watch-rpo", &[]);
    world.later(1);
    world.tick().await;
    assert_eq!(world.topic.published().len(), 6);
    assert!(world.open().conversations.is_empty());
}

#[tokio::test]
async fn a_storm_that_comes_slowly_is_noticed_too() {
    let mut world = World::new();
    let findings = many(100);
    for count in 1..=100 {
        world.board("watch-rpo", &findings[..count]);
        world.tick().await;
        world.now += SignedDuration::from_secs(1);
    }
    // Twenty come singly. From then on each tick says what is new in one message, which for one resource is its own.
    let ticks_after = 80;
    assert!(world.topic.published().len() <= 20 + ticks_after);
    world.later(10);
    world.board("watch-rpo", &[]);
    world.tick().await;
    let last = world.topic.published().pop().unwrap();
    assert_eq!(last.attributes["event"], ["digest"]);
    assert_eq!(last.attributes["resource"].len(), 100);
}

#[tokio::test]
async fn twenty_are_no_storm_and_the_canary_is_never_in_one() {
    let world = World::new();
    let mut findings = many(20);
    let mut canary = finding("x", "canary", "2026-11-22T03:58:56Z");
    canary.resource = ResourceId::tidemark("canary");
    findings.push(canary.clone());
    world.board("watch-rpo", &findings);
    world.tick().await;
    assert_eq!(world.topic.published().len(), 21);

    let world = World::new();
    let mut findings = many(21);
    findings.push(canary);
    world.board("watch-rpo", &findings);
    world.tick().await;
    let events: Vec<String> =
        world.topic.published().iter().map(|message| message.attributes["event"][0].clone()).collect();
    assert_eq!(events, ["opened", "digest"]);
}
