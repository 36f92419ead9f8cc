//! What goes, and what does not.

use domain::{ResourceId, tag};
use inventory::{Mark, mark_key};
use reconcile::Error;
use rstest::rstest;
use serde_json::json;

use super::{AWAY, HOME, PLANS, World, actions, count, prefix};
use crate::DeleteExpired;

#[tokio::test]
async fn nothing_goes_before_a_person_has_read_a_plan() {
    let world = World::with_snapshots(9);
    assert_eq!(count(&world.tick().await, "delete-recovery-point"), 0, "there is no plan yet");
    world.plan(json!({"plan": "now"})).await;
    let dry = world.tick().await;
    assert_eq!((count(&dry, "delete-recovery-point"), world.account.snapshots(HOME).len()), (0, 9));
    let would = world.try_ask(json!({"delete": "dry-run"})).await.unwrap();
    assert_eq!(actions(&would), ["would-delete"; 7]);
    assert!(would.acted[0].reason.contains("its day is older"), "{}", would.acted[0].reason);
    assert_eq!(world.deleted(), 0);
    world.agree().await;
    assert_eq!(count(&world.tick().await, "delete-recovery-point"), 7);
    for region in [HOME, AWAY] {
        assert_eq!(world.snapshot_days(region), [21, 22]);
    }
    assert_eq!((world.deleted(), actions(&world.tick().await)), (7, vec![]));
}

#[tokio::test]
async fn what_is_kept_says_its_tier() {
    let world = World::with_snapshots(3);
    assert_eq!(count(&world.tick().await, "tag-snapshot"), 4, "the two that fill a day, in both Regions");
    assert_eq!(count(&world.tick().await, "tag-snapshot"), 0);
    let tags =
        |region| world.account.snapshots(region).into_iter().map(|one| one.tags.get(tag::TIER).cloned());
    let daily = Some("daily".to_owned());
    for region in [HOME, AWAY] {
        assert_eq!(tags(region).collect::<Vec<_>>(), [None, daily.clone(), daily.clone()]);
    }
}

#[tokio::test]
async fn no_more_than_the_cap_goes_in_one_pass_and_the_oldest_first() {
    let mut world = World::with_snapshots(12);
    world.at_most = 4;
    world.agree().await;
    let first = world.tick().await;
    assert_eq!((count(&first, "delete-recovery-point"), first.waiting.len()), (4, 6));
    assert_eq!(world.snapshot_days(HOME)[0], 15);
    world.tick().await;
    world.tick().await;
    assert_eq!((world.snapshot_days(AWAY), world.deleted()), (vec![21, 22], 10));
}

/// What came after the plan is left for the next one, and what the world says now stops what the plan says.
#[tokio::test]
async fn only_what_both_plans_expire_goes() {
    let mut world = World::with_snapshots(9);
    world.agree().await;
    // A person holds one, another one becomes the newest verified one at home, and the plan keeps more than it did.
    let expired: Vec<String> = world.published().plan.expired().map(|(_, one)| one.id.to_string()).collect();
    let hold = json!({"hold": expired[0], "resource": "rds/orders", "why": "case 17"});
    world.plan(hold).await;
    world.plans = r#"{"plans": {"default": {"keep": {"daily": 4, "weekly": 0, "monthly": 0, "annual": 0, "redundancy": 1}}}}"#;
    world.tick().await;
    assert_eq!(world.snapshot_days(HOME), [14, 19, 20, 21, 22], "the held one, and four days");
    // A plan of the day before yesterday is carried out no more.
    world.plans = PLANS;
    world.later(37);
    let stale = world.tick().await;
    assert_eq!(count(&stale, "delete-recovery-point"), 0, "{:?}", actions(&stale));
}

#[tokio::test]
async fn a_backup_plan_that_is_gone_deletes_nothing() {
    let mut world = World::with_snapshots(9);
    world.agree().await;
    world.plans = r#"{"plans": {"gold": {}}}"#;
    world.tick().await;
    assert_eq!(world.account.snapshots(HOME).len(), 9);
}

#[tokio::test]
async fn what_does_not_answer_is_left_alone() {
    let world = World::with_snapshots(9);
    world.agree().await;
    let denied = || Error::misconfigured("AccessDenied", "no");
    world.account.refuse_next("us-west-2 DescribeDBSnapshots", denied());
    world.tick().await;
    assert_eq!(
        (world.account.snapshots(HOME).len(), world.conditions()),
        (9, vec!["refused-AccessDenied".to_owned()])
    );
    world.vault.refuse_next("list", denied());
    assert!(world.try_ask(json!({"wake": "tick"})).await.is_err(), "who cannot see the plan does nothing");
    assert_eq!(world.account.snapshots(HOME).len(), 9);
    world.tick().await;
    assert_eq!((world.account.snapshots(HOME).len(), world.conditions().len()), (2, 0));
}

#[tokio::test]
async fn an_inventory_that_shrank_stops_it() {
    let world = World::with_snapshots(9);
    world.agree().await;
    let newest = world.snapshot(0).id;
    world.account.remove_snapshot(AWAY, &newest);
    world.tick().await;
    assert_eq!(
        (world.account.snapshots(HOME).len(), world.conditions()),
        (9, vec!["refused-InventoryShrank".to_owned()])
    );
}

#[rstest]
#[case::a_copy_that_is_under_way("copying")]
#[case::a_copy_that_is_being_made("creating")]
#[tokio::test]
async fn what_is_copied_stays(#[case] status: &str) {
    let world = World::with_snapshots(9);
    world.agree().await;
    let mut copy = world.account.snapshots(AWAY).remove(0);
    copy.status = status.to_owned();
    world.account.put_snapshot(AWAY, copy);
    world.tick().await;
    assert_eq!((world.snapshot_days(HOME), world.snapshot_days(AWAY)), (vec![14, 21, 22], vec![14, 21, 22]));
}

/// Between the look and the act a person holds it: by a tag, or by a mark.
#[tokio::test]
async fn a_hold_counts_until_the_very_last_moment() {
    let world = World::with_snapshots(4);
    world.agree().await;
    let function = DeleteExpired {
        home: world.account.region(HOME),
        recovery: world.account.region(AWAY),
        vault: world.vault.clone(),
        recovery_vault: world.away.clone(),
        setups: [(); 2],
        ledger: (),
        plans: (),
        documents: world.ledger.documents.clone(),
        at_most: 1,
    };
    let places = inventory::Places {
        home: &function.home,
        recovery: &function.recovery,
        vault: &function.vault,
        recovery_vault: &function.recovery_vault,
    };
    let inventory = inventory::Inventory::observe(places, world.now).await.unwrap();
    let oldest = &inventory.known().next().unwrap().1[0];
    let (resource, published) = (ResourceId::rds("orders"), world.published());
    let decided = published.plan.expired().next().unwrap().1;
    let entry = crate::act::deleted(&resource, decided, &published, HOME, world.now);
    let mut tagged = world.account.snapshots(AWAY).remove(0);
    tagged.tags.insert(tag::LEGAL_HOLD.to_owned(), String::new());
    let untagged = world.account.snapshots(AWAY).remove(0);
    world.account.put_snapshot(AWAY, tagged);
    let left = crate::delete::delete(&function, oldest, &entry, world.now).await.unwrap();
    assert!(left.detail["left"].to_string().contains("legal-hold") && left.entries.is_empty());
    world.account.put_snapshot(AWAY, untagged);
    world.vault.put(&mark_key(&resource, &oldest.id, world.now, Mark::Held), "{}");
    let left = crate::delete::delete(&function, oldest, &entry, world.now).await.unwrap();
    assert_eq!(left.detail["left"], "a person holds it");
    assert_eq!((world.account.snapshots(HOME).len(), world.account.snapshots(AWAY).len()), (4, 4));
}

/// Of one resource nothing can go; the others do not wait for it.
#[tokio::test]
async fn what_cannot_go_keeps_only_its_own_resource_waiting() {
    let mut world = World::with_copies(12);
    let snapshots = World::with_snapshots(12);
    for region in [HOME, AWAY] {
        for snapshot in snapshots.account.snapshots(region) {
            world.account.put_snapshot(region, snapshot);
        }
    }
    world.at_most = 4;
    world.agree().await;
    for days in 8..12 {
        world.vault.set_legal_hold(&format!("{}manifest.json", prefix(world.slot(days))), true);
    }
    for _ in 0..6 {
        world.tick().await;
    }
    assert_eq!((world.snapshot_days(HOME).len(), World::copy_days(&world.vault).len()), (2, 12));
}
