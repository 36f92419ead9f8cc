//! Calls that break, and passes that are killed.

use std::time::Duration;

use domain::{RecoveryPointId, ResourceId, retention::Worth};
use reconcile::Error;
use rstest::rstest;
use serde_json::json;

use super::{AWAY, HOME, World, prefix};

/// Only delete markers were left when it was killed, or somebody deleted the objects by hand: hidden is not gone.
#[tokio::test]
async fn what_is_hidden_goes_before_it_is_said_to_be_gone() {
    let world = World::with_copies(12);
    world.agree().await;
    for store in [&world.vault, &world.away] {
        for name in ["manifest.json", "database.sqlite.zst"] {
            store.remove(&format!("{}{name}", prefix(world.slot(11))));
        }
    }
    world.tick().await;
    world.tick().await;
    assert_eq!(
        (World::copy_days(&world.vault)[0], World::copy_days(&world.away)[0], world.deleted()),
        (15, 15, 4)
    );
}

/// Whatever call breaks, and however: in the end the same is gone as without it, each is written down once, and what is kept was
/// there at all times.
#[rstest]
#[case::snapshots(World::with_snapshots as fn(i64) -> World, &["DeleteDBSnapshot", "AddTagsToResource", "DescribeDBSnapshots"], &["list", "head", "read"])]
#[case::objects(World::with_copies as fn(i64) -> World, &[], &["versions", "protection", "delete", "list", "read"])]
#[tokio::test]
async fn whatever_breaks_the_same_is_gone_in_the_end(
    #[case] make: fn(i64) -> World,
    #[case] rds: &[&'static str],
    #[case] vault: &[&'static str],
) {
    let end = |world: &World| {
        let copies = [&world.vault, &world.away].map(World::copy_days);
        (world.snapshot_days(HOME), world.snapshot_days(AWAY), copies, world.deleted())
    };
    let calm = make(12);
    calm.agree().await;
    calm.tick().await;
    let expected = end(&calm);
    for call in rds.iter().chain(vault) {
        for (faults, is_lost) in (1..7).flat_map(|faults| [(faults, false), (faults, true)]) {
            let world = make(12);
            world.agree().await;
            for _ in 0..faults {
                let busy = || Error::retryable("SlowDown", "later");
                let store = if faults % 2 == 0 { &world.vault } else { &world.away };
                match (rds.contains(call), is_lost) {
                    (true, true) => world.account.lose_answer_of_next(call),
                    (true, false) => world.account.refuse_next(call, busy()),
                    (false, true) => store.lose_answer_of_next(call),
                    (false, false) => store.refuse_next(call, busy()),
                }
            }
            for _ in 0..8 {
                _ = world.try_ask(json!({"wake": "tick"})).await;
            }
            assert_eq!(end(&world), expected, "{faults} of {call}, lost: {is_lost}");
        }
    }
}

/// Killed in the middle of a deletion, it leaves what was not begun whole, and nothing half deleted passes for a recovery point.
#[rstest]
#[case::at_home(true)]
#[case::away(false)]
#[tokio::test]
async fn killed_anywhere_it_leaves_whole_points_or_none(#[case] is_home: bool) {
    let world = World::with_copies(12);
    world.agree().await;
    let hung = if is_home { &world.vault } else { &world.away };
    hung.hang_next("delete");
    let killed =
        tokio::time::timeout(Duration::from_millis(50), world.try_ask(json!({"wake": "tick"}))).await;
    assert!(killed.is_err(), "it answered");
    let (rds, recovery) = (world.account.region(HOME), world.account.region(AWAY));
    let places = inventory::Places {
        home: &rds,
        recovery: &recovery,
        vault: &world.vault,
        recovery_vault: &world.away,
    };
    let inventory = inventory::Inventory::observe(places, world.now).await.unwrap();
    let worth = |id: &RecoveryPointId| {
        let found = inventory.find(&ResourceId::turso("shop"), id).unwrap();
        found.map(inventory::Held::worth)
    };
    let published = world.published();
    assert!(published.plan.kept().all(|(_, one)| worth(&one.id) == Some(Worth::Verified)));
    world.tick().await;
    assert_eq!((World::copy_days(&world.vault).len(), World::copy_days(&world.away).len()), (8, 8));
    world.tick().await;
    assert_eq!(
        world.deleted(),
        4,
        "each is written down, also the one whose deletion nobody finished to hear of"
    );
}
