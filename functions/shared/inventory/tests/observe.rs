//! Recovery points of all engines, seen in an account and in vaults in memory.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use domain::{
    Engine, PlanDocument, RecoveryPointId, ResourceId, Slot,
    retention::{Region, Worth},
    tag,
};
use inventory::{
    BackupPlans, Decided, Held, Inventory, Lineage, Mark, Marks, Places, Published, RetentionPlan, What,
    mark_key,
};
use jiff::{SignedDuration, Timestamp};
use rds::{FakeAccount, Snapshot, SnapshotKind};
use reconcile::Error;
use rstest::rstest;
use vault::{FakeStore, point_prefix};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

const NOW: &str = "2026-11-22T05:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct World {
    account: FakeAccount,
    vault: FakeStore,
    away: FakeStore,
}

impl World {
    fn new() -> Self {
        let vault = FakeStore::new(HOME, "vault");
        vault.set_now(at(NOW));
        Self { account: FakeAccount::default(), away: vault.beside(AWAY, "vault-away"), vault }
    }

    async fn observe(&self) -> Inventory {
        let (home, recovery) = (self.account.region(HOME), self.account.region(AWAY));
        let places =
            Places { home: &home, recovery: &recovery, vault: &self.vault, recovery_vault: &self.away };
        Inventory::observe(places, at(NOW)).await.unwrap()
    }

    /// What there is, told short: `rds/orders verified held`.
    async fn points(&self) -> Vec<String> {
        let inventory = self.observe().await;
        let tell = |(lineage, points): (&Lineage, &Vec<Held>)| {
            let resource = lineage.resource.clone();
            let tell = move |point: &Held| {
                let regions = [(&point.home, " home"), (&point.recovery, " away")];
                let regions: String = regions
                    .iter()
                    .filter(|(holding, _)| holding.is_some())
                    .map(|(_, region)| *region)
                    .collect();
                let held = if point.is_held { " held" } else { "" };
                format!("{resource} {:?}{regions}{held}", point.worth())
            };
            points.iter().map(tell).collect::<Vec<_>>()
        };
        inventory.known().flat_map(tell).collect()
    }

    /// An object of the shop's recovery point for that slot.
    fn put(&self, store: &FakeStore, slot: &str, name: &str) {
        let (resource, slot) = (ResourceId::turso("shop"), Slot::at(at(slot)));
        let id = RecoveryPointId::new("shop", "id-1", slot, 1);
        let (name, content) = if name == "large" { (DATA, "more content") } else { (name, "content") };
        store.put(&format!("{}{name}", point_prefix(&resource, slot, &id)), content);
    }

    fn mark(&self, at_minute: i64, mark: Mark) {
        let id = RecoveryPointId::new("shop", "id-1", Slot::at(at("2026-11-22T03:00:00Z")), 1);
        let at = at("2026-11-22T06:00:00Z") + SignedDuration::from_mins(at_minute);
        self.vault.put(&mark_key(&ResourceId::turso("shop"), &id, at, mark), "{}");
    }
}

fn snapshot(region: &str, slot: &str, status: &str) -> Snapshot {
    let slot = Slot::at(at(slot));
    let id = RecoveryPointId::new("orders", "db-ABC", slot, 1).to_string();
    let tags = [
        (tag::PLAN, "default".to_owned()),
        (tag::RESOURCE, "rds/orders".to_owned()),
        (tag::SLOT, slot.to_string()),
    ];
    Snapshot {
        arn: format!("arn:aws:rds:{region}:123456789012:snapshot:{id}"),
        id,
        instance: "orders".to_owned(),
        incarnation: "db-ABC".to_owned(),
        kind: SnapshotKind::Manual,
        status: status.to_owned(),
        percent: 100,
        allocated_gib: 20,
        created: Some(slot.instant()),
        encrypted: true,
        kms_key: None,
        copied_from: (region == AWAY).then(|| format!("arn:aws:rds:{HOME}:123456789012:snapshot:other")),
        tags: tags.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

const SLOT: &str = "2026-11-22T03:00:00Z";

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

const DATA: &str = "database.sqlite.zst";
const MANIFEST: &str = "manifest.json";

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

async fn planned(world: &World, plan: Option<&str>) -> RetentionPlan {
    let inventory = world.observe().await;
    let plans = PlanDocument::parse(r#"{"plans": {"default": {"keep": {"daily": 2, "weekly": 0, "monthly": 0, "annual": 0, "redundancy": 1}}}}"#).unwrap();
    let lineages = inventory.known().map(|(lineage, _)| lineage.clone());
    let names = lineages.filter_map(|lineage| Some((lineage, plan?.to_owned()))).collect();
    let backup_plans = BackupPlans { names, unknown: Vec::new() };
    RetentionPlan::make(&inventory, &plans, &backup_plans, None, at("2026-12-01T00:00:00Z"))
}

fn six_days() -> World {
    let world = World::new();
    for day in 17..23 {
        world.account.put_snapshot(HOME, snapshot(HOME, &format!("2026-11-{day}T03:00:00Z"), "available"));
    }
    world
}

#[tokio::test]
async fn a_plan_says_of_each_what_becomes_of_it_and_why() {
    let plan = planned(&six_days(), Some("default")).await;
    let days = |points: Vec<(&ResourceId, &Decided)>| {
        points.into_iter().map(|(_, one)| one.id.parts().unwrap().slot.utc_date().day()).collect::<Vec<_>>()
    };
    assert_eq!(
        (days(plan.kept().collect()), days(plan.expired().collect())),
        (vec![21, 22], vec![17, 18, 19, 20])
    );
    assert!(plan.lineages[0].expire.iter().all(|one| !one.why.is_empty()));
    let published = Published::new(plan).unwrap();
    let text = published.to_json().unwrap();
    assert_eq!(Published::parse("key", text.as_bytes()).unwrap(), published);
}

#[rstest]
#[case::deleted_from_the_document(Some("gold"))]
#[case::nobody_knows(None)]
#[tokio::test]
async fn without_a_backup_plan_all_is_kept(#[case] plan: Option<&str>) {
    let plan = planned(&six_days(), plan).await;
    assert_eq!((plan.kept().count(), plan.expired().count()), (6, 0));
}

#[tokio::test]
async fn a_plan_that_somebody_has_changed_is_refused() {
    let published = Published::new(planned(&six_days(), Some("default")).await).unwrap();
    let (kept, expired) =
        (published.plan.kept().next().unwrap().1, published.plan.expired().next().unwrap().1);
    let changed = published.to_json().unwrap().replace(expired.id.as_str(), kept.id.as_str());
    let error = Published::parse("retention/plans/x.json", changed.as_bytes()).unwrap_err();
    assert_eq!(error.code(), "RetentionPlanUnreadable");
    assert!(
        error.to_string().contains("retention/plans/x.json") && error.to_string().contains("hash"),
        "{error}"
    );
    let of_another_shape = Published::new(RetentionPlan { version: 2, ..published.plan.clone() }).unwrap();
    for text in ["", "{}", "[]", r#"{"hash": "", "plan": {}}"#, &of_another_shape.to_json().unwrap()] {
        assert_eq!(Published::parse("key", text.as_bytes()).unwrap_err().code(), "RetentionPlanUnreadable");
    }
}

#[tokio::test]
async fn two_plans_that_expire_nothing_are_two() {
    let plan = planned(&six_days(), None).await;
    let later = RetentionPlan { made_at: at("2026-12-02T00:00:00Z"), ..plan.clone() };
    assert_ne!(Published::new(plan).unwrap().hash, Published::new(later).unwrap().hash);
}

#[tokio::test]
async fn a_large_plan_is_read_in_ranges() {
    let world = six_days();
    let mut plan = planned(&world, Some("default")).await;
    let lineage = plan.lineages[0].clone();
    plan.lineages = vec![lineage; 20_000];
    let published = Published::new(plan).unwrap();
    let text = published.to_json().unwrap();
    assert!(text.len() > 16 << 20, "{} bytes are read with one call", text.len());
    world.vault.put(&published.key(HOME), text);
    assert_eq!(Published::newest(&world.vault).await.unwrap(), Some(published));
}

#[tokio::test]
async fn a_database_made_anew_has_tiers_and_floors_of_its_own() {
    let world = six_days();
    let slot = Slot::at(at("2026-11-23T03:00:00Z"));
    let id = RecoveryPointId::new("orders", "db-NEW", slot, 1).to_string();
    world.account.put_snapshot(
        HOME,
        Snapshot {
            id,
            incarnation: "db-NEW".to_owned(),
            ..snapshot(HOME, "2026-11-23T03:00:00Z", "available")
        },
    );
    let plan = planned(&world, Some("default")).await;
    assert_eq!(plan.lineages.len(), 2);
    assert_eq!(plan.kept().count(), 3, "two of the old one, and the new one's");
}
