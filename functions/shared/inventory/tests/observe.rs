//! Recovery points of all engines, seen in an account and in vaults in memory.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;

use domain::{Engine, PlanDocument, RecoveryPointId, ResourceId, Slot, tag};
use inventory::{BackupPlans, Held, Inventory, Lineage, Mark, Places, RetentionPlan, mark_key};
use jiff::{SignedDuration, Timestamp};
use rds::{FakeAccount, Snapshot, SnapshotKind};
use reconcile::Error;
use rstest::rstest;
use vault::{FakeStore, point_prefix};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

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
        vault.set_now(at("2026-11-22T05:00:00Z"));
        Self { account: FakeAccount::default(), away: vault.beside(AWAY, "vault-away"), vault }
    }

    async fn observe(&self) -> Inventory {
        let (home, recovery) = (self.account.region(HOME), self.account.region(AWAY));
        let places =
            Places { home: &home, recovery: &recovery, vault: &self.vault, recovery_vault: &self.away };
        Inventory::observe(places).await.unwrap()
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
        store.put(&format!("{}{name}", point_prefix(&resource, slot, &id)), "content");
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
        copied_from: None,
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

#[tokio::test]
async fn a_manifest_makes_a_recovery_point() {
    let world = World::new();
    world.put(&world.vault, SLOT, "database.sqlite.zst");
    assert_eq!(world.points().await, ["turso/shop Pending home"]);
    world.put(&world.vault, SLOT, "manifest.json");
    world.put(&world.away, SLOT, "database.sqlite.zst");
    assert_eq!(world.points().await, ["turso/shop Verified home away"]);
    let (_, points) =
        world.observe().await.known().next().map(|(one, points)| (one.clone(), points.clone())).unwrap();
    assert!(points[0].candidate().is_copied);
}

#[rstest]
#[case::held(&[(0, Mark::Held)], "Verified home held")]
#[case::released(&[(0, Mark::Held), (1, Mark::Released)], "Verified home")]
#[case::held_again(&[(0, Mark::Held), (1, Mark::Released), (9, Mark::Held)], "Verified home held")]
#[case::damaged(&[(0, Mark::Unverified)], "Unverified home")]
#[case::whole_after_all(&[(0, Mark::Unverified), (5, Mark::Verified)], "Verified home")]
#[case::each_for_itself(&[(0, Mark::Held), (5, Mark::Unverified)], "Unverified home held")]
#[tokio::test]
async fn the_latest_mark_counts(#[case] marks: &[(i64, Mark)], #[case] expected: &str) {
    let world = World::new();
    world.put(&world.vault, SLOT, "manifest.json");
    for (minute, mark) in marks {
        world.mark(*minute, *mark);
    }
    assert_eq!(world.points().await, [format!("turso/shop {expected}")]);
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
    let days = |points: Vec<(&ResourceId, &RecoveryPointId)>| {
        points.into_iter().map(|(_, id)| id.parts().unwrap().slot.utc_date().day()).collect::<Vec<_>>()
    };
    assert_eq!(
        (days(plan.kept().collect()), days(plan.expired().collect())),
        (vec![21, 22], vec![17, 18, 19, 20])
    );
    assert!(plan.lineages[0].expire.iter().all(|one| !one.why.is_empty()));
    let text = plan.to_json();
    assert_eq!(RetentionPlan::parse("key", text.as_bytes()).unwrap(), plan);
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
    let plan = planned(&six_days(), Some("default")).await;
    let kept = plan.kept().next().unwrap().1.to_string();
    let expired = plan.expired().next().unwrap().1.to_string();
    let changed = plan.to_json().replace(&expired, &kept);
    let error = RetentionPlan::parse("retention/plans/x.json", changed.as_bytes()).unwrap_err();
    assert_eq!(error.code(), "RetentionPlanUnreadable");
    assert!(
        error.to_string().contains("retention/plans/x.json") && error.to_string().contains("hash"),
        "{error}"
    );
    for text in ["", "{}", "[]", r#"{"version": 2, "made_at": "2026-11-22T03:00:00Z", "lineages": []}"#] {
        assert_eq!(
            RetentionPlan::parse("key", text.as_bytes()).unwrap_err().code(),
            "RetentionPlanUnreadable"
        );
    }
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
