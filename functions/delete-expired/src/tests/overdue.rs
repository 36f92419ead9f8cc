//! What is expired and does not go is told, where nothing asked for it to stay.

use domain::{Severity, Slot};
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::json;
use vault::{FakeStore, Versions};

use super::{PLANS, World, prefix};
use crate::overdue::NOT_DELETED;

fn manifest(slot: Slot) -> String {
    format!("{}manifest.json", prefix(slot))
}

async fn lock_by_hand(store: &FakeStore, slot: Slot, days: i64) {
    for version in store.versions(&prefix(slot)).await.unwrap() {
        let until = version.modified + SignedDuration::from_hours(24 * days);
        store.retain(&version, until, false).await.unwrap();
    }
}

#[rstest]
#[case::held_by_s3(true, "has a legal hold of S3")]
#[case::locked_by_hand(false, "it is locked until 2026-12-")]
#[tokio::test]
async fn what_something_else_keeps_is_told_after_two_weeks_and_ends_when_it_goes(
    #[case] is_held: bool,
    #[case] why: &str,
) {
    let mut world = World::with_copies(12);
    let kept: Vec<Slot> = [11, 10].map(|days| world.slot(days)).into();
    for slot in &kept {
        if is_held {
            world.away.set_legal_hold(&manifest(*slot), true);
        } else {
            lock_by_hand(&world.away, *slot, 29).await;
        }
    }
    world.agree().await;
    world.tick().await;
    for _ in 0..14 {
        world.a_day().await;
        assert!(world.board().is_empty(), "{:?}", world.board());
    }
    world.a_day().await;
    let [told] = world.board().try_into().unwrap();
    assert_eq!(
        (told.kind.as_str(), told.resource.to_string().as_str(), told.severity, told.since),
        (NOT_DELETED, "turso/shop", Severity::Warning, "2026-12-06T05:30:00Z".parse().unwrap())
    );
    assert!(
        told.says.contains("2 recovery points") && told.says.contains(&kept[0].to_string()),
        "{}",
        told.says
    );
    assert!(told.says.contains(why) && told.says.len() < 1_000 && told.next.len() < 500, "{}", told.says);
    // A pass that does not look whether anything is overdue does not say that it is over.
    world.later(37);
    world.tick().await;
    assert_eq!(world.conditions(), [NOT_DELETED], "the newest plan is too old to be carried out");
    if is_held {
        for slot in &kept {
            world.away.set_legal_hold(&manifest(*slot), false);
        }
    } else {
        world.later(24 * 4);
    }
    world.put_copy(world.slot(0));
    world.plan(json!({"plan": "now"})).await;
    world.tick().await;
    world.tick().await;
    assert!(world.board().is_empty(), "{:?}", world.board());
    assert!(!World::copy_days(&world.away).contains(&11));
}

#[tokio::test]
async fn the_default_lock_is_no_delay() {
    let mut world = World::with_lock(30).copied(12);
    world.agree().await;
    for _ in 0..45 {
        world.a_day().await;
        assert!(world.board().is_empty(), "{} {:?}", world.now, world.board());
    }
    assert!(!World::copy_days(&world.away).contains(&11));
}

/// The plan keeps less from today on: what fills no tier any more stays locked as long as its tier had asked for.
#[tokio::test]
async fn what_a_tier_asked_for_is_no_delay() {
    let mut world = World::with_copies(12);
    world.plans =
        r#"{"plans": {"default": {"keep": {"daily": 90, "weekly": 0, "monthly": 0, "annual": 0}}}}"#;
    world.agree().await;
    world.tick().await;
    world.plans = PLANS;
    for _ in 0..20 {
        world.a_day().await;
        assert!(world.board().is_empty(), "{} {:?}", world.now, world.board());
    }
    assert!(World::copy_days(&world.away).contains(&11));
    // Nobody remembers who asked: it is better told than not.
    world.ledger.documents.put("retention/locks.json", "{");
    world.a_day().await;
    assert_eq!(world.conditions(), [NOT_DELETED]);
}

#[tokio::test]
async fn what_was_planned_before_a_person_agreed_is_not_overdue() {
    let mut world = World::with_copies(12);
    for _ in 0..20 {
        world.a_day().await;
    }
    world.at_most = 1;
    world.agree().await;
    for _ in 0..14 {
        world.a_day().await;
        assert!(world.board().is_empty(), "{} {:?}", world.now, world.board());
    }
}

/// More expires than is deleted: each waits for its turn, and that is too long.
#[tokio::test]
async fn what_waits_for_its_turn_too_long_is_told() {
    let mut world = World::with_copies(60);
    world.at_most = 1;
    world.agree().await;
    let told = async |world: &mut World| {
        world.later(24);
        world.put_copy(world.slot(0));
        world.plan(json!({"plan": "now"})).await;
        world.tick().await;
        world.board().first().map(|finding| finding.says.clone())
    };
    for _ in 0..14 {
        assert_eq!(told(&mut world).await, None);
    }
    let says = told(&mut world).await.unwrap();
    assert!(says.contains("its turn has not come, 1 are deleted at a time"), "{says}");
}

#[test]
fn it_has_its_section_in_the_runbook() {
    let runbook = include_str!("../../../../docs/runbooks/alerts.md");
    assert!(
        runbook.contains(&format!("\n## {NOT_DELETED}\n")),
        "docs/runbooks/alerts.md has no section {NOT_DELETED}"
    );
}
