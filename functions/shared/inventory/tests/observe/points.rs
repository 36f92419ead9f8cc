//! What recovery points there are, and what each is worth.

use std::collections::BTreeMap;

use domain::{
    Engine, RecoveryPointId, ResourceId, Slot,
    retention::{Region, Worth},
    tag,
};
use inventory::{Inventory, Mark, Marks, Places, What, mark_key};
use jiff::SignedDuration;
use rds::Snapshot;
use reconcile::Error;
use rstest::rstest;

use super::{AWAY, DATA, HOME, MANIFEST, NOW, SLOT, World, at, snapshot};

#[tokio::test]
async fn snapshots_and_their_copies_are_one_recovery_point() {
    let world = World::new();
    world.account.put_snapshot(HOME, snapshot(HOME, SLOT, "available"));
    world.account.put_snapshot(AWAY, snapshot(AWAY, SLOT, "copying"));
    assert_eq!(world.points().await, ["rds/orders Verified home away"]);
    let inventory = world.observe().await;
    let (_, points) = inventory.known().next().unwrap();
    assert!(points[0].candidate().is_copied, "its copy reads it");
    world.account.put_snapshot(HOME, snapshot(HOME, SLOT, "failed"));
    world.account.put_snapshot(AWAY, snapshot(AWAY, SLOT, "available"));
    assert_eq!(world.points().await, ["rds/orders Verified home away"], "the copy is enough");
}

#[tokio::test]
async fn every_attempt_at_a_copy_belongs_to_what_it_copies() {
    let world = World::new();
    world.account.put_snapshot(HOME, snapshot(HOME, SLOT, "available"));
    let first = snapshot(AWAY, SLOT, "failed");
    let named = |number: u32| Snapshot { id: format!("{}-copy-{number}", first.id), ..first.clone() };
    let second = Snapshot { status: "available".to_owned(), ..named(2) };
    let mut third = Snapshot { status: "copying".to_owned(), ..named(3) };
    third.tags.insert(tag::LEGAL_HOLD.to_owned(), "case 17".to_owned());
    for copy in [first, second, third] {
        world.account.put_snapshot(AWAY, copy);
    }
    assert_eq!(world.points().await, ["rds/orders Verified home away held"]);
    let inventory = world.observe().await;
    let (_, points) = inventory.known().next().unwrap();
    let candidate = points[0].candidate();
    assert_eq!((candidate.worth[1], candidate.is_copied), (Some(Worth::Verified), true));
    let Some(What::Snapshots(there)) = points[0].recovery.as_ref().map(|holding| &holding.what) else {
        panic!()
    };
    assert!(there.len() == 3 && there[0].id.ends_with("-copy-2"), "{there:?}");
}

#[tokio::test]
async fn a_deployment_that_works_the_other_way_round_is_left_alone() {
    let world = World::new();
    let of_the_other = |region, copied_from: Option<&str>| Snapshot {
        copied_from: copied_from.map(str::to_owned),
        ..snapshot(region, SLOT, "available")
    };
    world.account.put_snapshot(HOME, of_the_other(HOME, Some("arn")));
    world.account.put_snapshot(AWAY, of_the_other(AWAY, None));
    assert_eq!(world.points().await, [""; 0]);
    // Another home Region may have the same recovery Region; and another account may have shared its snapshot.
    for source in
        ["arn:aws:rds:eu-west-1:123456789012:snapshot:x", "arn:aws:rds:us-east-1:210987654321:snapshot:x"]
    {
        world.account.put_snapshot(AWAY, of_the_other(AWAY, Some(source)));
        assert_eq!(world.points().await, [""; 0], "{source}");
    }
    world.account.put_snapshot(HOME, snapshot(HOME, SLOT, "deleting"));
    assert_eq!(world.points().await, [""; 0], "what is being deleted is there no more");
}

#[tokio::test]
async fn what_is_not_ours_is_not_there() {
    let world = World::new();
    let by_hand = Snapshot { id: "before-upgrade".to_owned(), ..snapshot(HOME, SLOT, "available") };
    let untagged = Snapshot { tags: BTreeMap::new(), ..snapshot(HOME, SLOT, "available") };
    let mut of_another = snapshot(HOME, "2026-11-21T03:00:00Z", "available");
    of_another.tags.insert(tag::RESOURCE.to_owned(), "rds/users".to_owned());
    for snapshot in [by_hand, untagged, of_another] {
        world.account.put_snapshot(HOME, snapshot);
    }
    world.vault.put("turso/2026-11-22/shop/notes.txt", "by hand");
    world.vault.put("ledger/2026-11-22/x.json", "{}");
    assert_eq!(world.points().await, [""; 0]);
}

/// What is in each vault, and what it is worth there, now and when nothing has come for eight days.
#[rstest]
#[case::being_made(&[DATA], &[], ["Pending", "-"], ["Failed", "-"])]
#[case::made(&[DATA, MANIFEST], &[], ["Verified", "-"], ["Verified", "-"])]
#[case::being_copied(&[DATA, MANIFEST], &[DATA], ["Verified", "Pending"], ["Verified", "Failed"])]
#[case::the_copy_lacks_data(&[DATA, MANIFEST], &[MANIFEST], ["Verified", "Pending"], ["Verified", "Unverified"])]
#[case::copied(&[DATA, MANIFEST], &[DATA, MANIFEST], ["Verified", "Verified"], ["Verified", "Verified"])]
#[case::nothing_but_a_manifest(&[MANIFEST], &[], ["Unverified", "-"], ["Unverified", "-"])]
#[case::home_lost_data(&[MANIFEST], &[DATA, MANIFEST], ["Unverified", "Verified"], ["Unverified", "Verified"])]
#[case::home_lost_its_manifest(&[DATA], &[DATA, MANIFEST], ["Failed", "Verified"], ["Failed", "Verified"])]
#[case::home_lost_all(&[], &[DATA, MANIFEST], ["-", "Verified"], ["-", "Verified"])]
#[case::another_size(&[DATA, MANIFEST], &["large", MANIFEST], ["Verified", "Unverified"], ["Verified", "Unverified"])]
#[case::parts_of_both(&[DATA], &[DATA], ["Pending", "Pending"], ["Failed", "Failed"])]
#[tokio::test]
async fn what_each_vault_has_is_worth(
    #[case] home: &[&str],
    #[case] away: &[&str],
    #[case] young: [&str; 2],
    #[case] old: [&str; 2],
) {
    let world = World::new();
    for (store, objects) in [(&world.vault, home), (&world.away, away)] {
        for object in objects {
            world.put(store, SLOT, object);
        }
    }
    for (now, expected) in [(at(NOW), young), (at(NOW) + SignedDuration::from_hours(8 * 24), old)] {
        let (rds, recovery) = (world.account.region(HOME), world.account.region(AWAY));
        let places =
            Places { home: &rds, recovery: &recovery, vault: &world.vault, recovery_vault: &world.away };
        let inventory = Inventory::observe(places, now).await.unwrap();
        let (_, points) = inventory.known().next().unwrap();
        let worth =
            points[0].candidate().worth.map(|worth| worth.map_or("-".to_owned(), |one| format!("{one:?}")));
        assert_eq!(worth, expected, "{now}");
    }
}

#[rstest]
#[case::held(&[(0, Mark::Held)], "Verified home held")]
#[case::released(&[(0, Mark::Held), (1, Mark::Released)], "Verified home")]
#[case::held_again(&[(0, Mark::Held), (1, Mark::Released), (9, Mark::Held)], "Verified home held")]
#[case::damaged(&[(0, Mark::Unverified(Region::Home))], "Unverified home")]
#[case::damaged_elsewhere(&[(0, Mark::Unverified(Region::Recovery))], "Verified home")]
#[case::whole_after_all(&[(0, Mark::Unverified(Region::Home)), (5, Mark::Verified(Region::Home))], "Verified home")]
#[case::each_for_itself(&[(0, Mark::Held), (5, Mark::Unverified(Region::Home))], "Unverified home held")]
#[tokio::test]
async fn the_latest_mark_counts(#[case] marks: &[(i64, Mark)], #[case] expected: &str) {
    let world = World::new();
    world.put(&world.vault, SLOT, "database.sqlite.zst");
    world.put(&world.vault, SLOT, "manifest.json");
    for (minute, mark) in marks {
        world.mark(*minute, *mark);
    }
    assert_eq!(world.points().await, [format!("turso/shop {expected}")]);
}

#[tokio::test]
async fn the_mark_that_doubts_is_named() {
    let world = World::new();
    for (minute, mark) in
        [(0, Mark::Unverified(Region::Home)), (1, Mark::Unverified(Region::Home)), (2, Mark::Held)]
    {
        world.mark(minute, mark);
    }
    let resource = ResourceId::turso("shop");
    let id = RecoveryPointId::new("shop", "id-1", Slot::at(at(SLOT)), 1);
    let doubt = async |region| {
        let marks = Marks::read(&[&world.vault]).await.unwrap();
        marks.doubt(&resource, &id, region).map(str::to_owned)
    };
    let second = mark_key(&resource, &id, at("2026-11-22T06:01:00Z"), Mark::Unverified(Region::Home));
    assert_eq!((doubt(Region::Home).await, doubt(Region::Recovery).await), (Some(second), None));
    world.mark(3, Mark::Verified(Region::Home));
    assert_eq!(doubt(Region::Home).await, None);
}

#[tokio::test]
async fn a_tag_holds_a_snapshot_in_either_region() {
    let world = World::new();
    world.account.put_snapshot(HOME, snapshot(HOME, SLOT, "available"));
    let mut copy = snapshot(AWAY, SLOT, "available");
    copy.tags.insert(tag::LEGAL_HOLD.to_owned(), "case 17".to_owned());
    world.account.put_snapshot(AWAY, copy);
    assert_eq!(world.points().await, ["rds/orders Verified home away held"]);
}

#[tokio::test]
async fn what_one_region_does_not_answer_is_not_known_of_that_engine() {
    let world = World::new();
    world.account.put_snapshot(HOME, snapshot(HOME, SLOT, "available"));
    world.put(&world.vault, SLOT, "manifest.json");
    world.account.refuse_next("us-west-2 DescribeDBSnapshots", Error::misconfigured("AccessDenied", "no"));
    let inventory = world.observe().await;
    let unknown: Vec<_> =
        inventory.unknown().map(|(engine, error)| (engine, error.code().to_owned())).collect();
    assert_eq!(unknown, [(Engine::Rds, "AccessDenied".to_owned())]);
    assert_eq!(inventory.known().count(), 1, "the others are");
}
