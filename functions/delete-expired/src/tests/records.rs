//! What was deleted stands in the ledger, once, whatever came between.

use domain::ResourceId;
use inventory::Decided;
use reconcile::{Error, Ledger};
use serde_json::json;

use super::{AWAY, HOME, World};
use crate::act::deleted;

/// All that it deletes it cannot write down.
async fn deletes_and_is_killed(world: &World) {
    for _ in 0..world.published().plan.expired().count() {
        world.ledger.refuse_next_append(Error::retryable("SlowDown", "busy"));
    }
    world.tick().await;
    assert_eq!((world.snapshot_days(HOME).len(), world.deleted()), (2, 0));
}

#[tokio::test]
async fn killed_before_the_next_plan_it_is_written_down_after_it_and_once() {
    let mut world = World::with_snapshots(9);
    world.agree().await;
    deletes_and_is_killed(&world).await;
    world.later(24);
    world.plan(json!({"plan": "now"})).await;
    assert_eq!(world.published().plan.expired().count(), 0, "the new plan does not name them");
    for _ in 0..2 {
        world.tick().await;
        assert_eq!(world.deleted(), 7);
    }
    for (key, entry) in world.ledger.entries() {
        if key.as_str().ends_with("/recovery-point-deleted") {
            assert!(
                key.as_str().starts_with("2026-11-22/"),
                "of the day of the plan that expired it: {key:?}"
            );
            assert!(entry.to_string().contains("its day is older"), "{entry}");
        }
    }
    world.later(24);
    world.plan(json!({"plan": "now"})).await;
    world.tick().await;
    assert_eq!(world.deleted(), 7, "nor again under the next one");
}

/// Meanwhile there are plans that could not look: what was to go they keep, and what is gone is still written down.
#[tokio::test]
async fn killed_before_plans_that_could_not_look_it_is_written_down_after_them() {
    let mut world = World::with_snapshots(9);
    world.agree().await;
    deletes_and_is_killed(&world).await;
    world.later(23);
    for _ in 0..2 {
        world.later(1);
        world.account.refuse_next("us-west-2 DescribeDBSnapshots", Error::retryable("Throttling", "later"));
        world.plan(json!({"plan": "now"})).await;
        assert_eq!(world.published().plan.kept().count(), 9);
    }
    world.later(1);
    world.plan(json!({"plan": "now"})).await;
    assert_eq!(world.published().plan.kept().count(), 2);
    for _ in 0..2 {
        world.tick().await;
        assert_eq!(world.deleted(), 7);
    }
    let said =
        world.ledger.entries().into_values().any(|entry| entry.to_string().contains("its day is older"));
    assert!(said, "and why");
}

/// A pass that began under the plan before goes on while the next one is published: both plans name what it deletes.
#[tokio::test]
async fn what_was_written_down_under_the_plan_before_is_not_written_again() {
    let mut world = World::with_snapshots(9);
    world.agree().await;
    let before = world.published();
    world.later(24);
    world.plan(json!({"plan": "now"})).await;
    let expired: Vec<(ResourceId, Decided)> =
        before.plan.expired().map(|(resource, one)| (resource.clone(), one.clone())).collect();
    for (resource, decided) in &expired {
        for region in [HOME, AWAY] {
            world.account.remove_snapshot(region, decided.id.as_str());
        }
        world.ledger.append(&deleted(resource, decided, &before, HOME, world.now)).await.unwrap();
    }
    for _ in 0..3 {
        world.tick().await;
        assert_eq!(world.deleted(), expired.len());
        world.later(24);
        world.plan(json!({"plan": "now"})).await;
    }
}

/// Nobody had acknowledged a plan: what is gone was deleted by somebody else.
#[tokio::test]
async fn what_went_while_plans_were_dry_runs_was_not_deleted_by_them() {
    let mut world = World::with_snapshots(9);
    world.plan(json!({"plan": "now"})).await;
    let gone = world.published().plan.expired().next().unwrap().1.id.to_string();
    for region in [HOME, AWAY] {
        world.account.remove_snapshot(region, &gone);
    }
    world.later(24);
    world.agree().await;
    world.tick().await;
    let said = world.ledger.entries().keys().any(|key| key.as_str().contains(&gone));
    assert_eq!((world.deleted(), said), (6, false));
}

/// The record of the past is no reason to stop.
#[tokio::test]
async fn a_plan_before_that_nobody_can_read_stops_nothing() {
    let mut world = World::with_snapshots(9);
    world.agree().await;
    let before = world.published();
    world.later(24);
    world.plan(json!({"plan": "now"})).await;
    world.vault.put(&before.key(HOME), "{");
    let pass = world.tick().await;
    assert_eq!((world.snapshot_days(HOME).len(), world.deleted(), pass.failed.len()), (2, 7, 0));
}

/// A person takes the tags off a snapshot that is to go: nobody sees it as a recovery point any more, and it is there.
#[tokio::test]
async fn a_snapshot_that_lost_its_tags_is_not_said_to_be_deleted() {
    let world = World::with_snapshots(9);
    world.agree().await;
    let id = world.published().plan.expired().next().unwrap().1.id.to_string();
    for region in [HOME, AWAY] {
        for mut snapshot in world.account.snapshots(region).into_iter().filter(|one| one.id == id) {
            snapshot.tags.clear();
            world.account.put_snapshot(region, snapshot);
        }
    }
    for _ in 0..2 {
        world.tick().await;
        let said = world.ledger.entries().keys().any(|key| key.as_str().contains(&id));
        assert_eq!((world.deleted(), said), (6, false));
    }
    assert!(world.account.snapshots(HOME).iter().any(|one| one.id == id));
    for region in [HOME, AWAY] {
        world.account.remove_snapshot(region, &id);
    }
    world.tick().await;
    assert_eq!(world.deleted(), 7);
}

/// Days of plans that could not look lie between a deletion and the next look: it is found where it was written.
#[tokio::test]
async fn what_was_written_days_ago_is_not_written_again_after_plans_that_could_not_look() {
    let mut world = World::with_snapshots(9);
    world.agree().await;
    world.tick().await;
    assert_eq!(world.deleted(), 7);
    let names = |world: &World| world.ledger.entries().into_keys().collect::<Vec<_>>();
    // The plan of that day names them still, and the ones after it look at nothing.
    for _ in 0..4 {
        world.later(24);
        world.account.refuse_next("us-west-2 DescribeDBSnapshots", Error::retryable("Throttling", "later"));
        world.plan(json!({"plan": "now"})).await;
    }
    let before = names(&world).len();
    world.tick().await;
    assert_eq!((world.deleted(), names(&world).len()), (7, before));
}
