//! What becomes of them, as it is published.

use domain::{PlanDocument, RecoveryPointId, ResourceId, Slot};
use inventory::{BackupPlans, Decided, Inventory, Published, RetentionPlan};
use jiff::SignedDuration;
use rds::Snapshot;
use reconcile::Error;
use rstest::rstest;

use super::{HOME, NOW, World, at, snapshot};

async fn planned(world: &World, plan: Option<&str>) -> RetentionPlan {
    planned_after(&world.observe().await, plan, None, "2026-12-01T00:00:00Z")
}

fn planned_after(
    inventory: &Inventory,
    plan: Option<&str>,
    last: Option<&RetentionPlan>,
    now: &str,
) -> RetentionPlan {
    let plans = PlanDocument::parse(r#"{"plans": {"default": {"keep": {"daily": 2, "weekly": 0, "monthly": 0, "annual": 0, "redundancy": 1}}}}"#).unwrap();
    let lineages = inventory.known().map(|(lineage, _)| lineage.clone());
    let names = lineages.filter_map(|lineage| Some((lineage, plan?.to_owned()))).collect();
    let backup_plans = BackupPlans { names, unknown: Vec::new() };
    RetentionPlan::make(inventory, &plans, &backup_plans, last, at(now))
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

/// The first plan that expired it counts, for as long as each one after it does, or could not look.
#[tokio::test]
async fn a_plan_says_since_when_each_is_expired() {
    let world = six_days();
    let since = |plan: &RetentionPlan| {
        let since = plan.expired().map(|(_, one)| one.since.unwrap().to_string());
        since.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    let inventory = world.observe().await;
    let plan = |last: &RetentionPlan, now| planned_after(&inventory, Some("default"), Some(last), now);
    let first = planned(&world, Some("default")).await;
    assert!(first.kept().all(|(_, one)| one.since.is_none()));
    let second = plan(&first, "2026-12-02T00:00:00Z");
    assert_eq!(since(&second), ["2026-12-01T00:00:00Z"]);
    world.account.refuse_next("us-east-1 DescribeDBSnapshots", Error::retryable("SlowDown", "later"));
    let unseen =
        planned_after(&world.observe().await, Some("default"), Some(&second), "2026-12-03T00:00:00Z");
    assert_eq!((unseen.kept().count(), unseen.expired().count()), (6, 0));
    assert_eq!(since(&plan(&unseen, "2026-12-04T00:00:00Z")), ["2026-12-01T00:00:00Z"]);
    // Kept again meanwhile, it is expired anew.
    let kept = planned_after(&inventory, Some("gold"), Some(&second), "2026-12-03T00:00:00Z");
    assert_eq!(since(&plan(&kept, "2026-12-04T00:00:00Z")), ["2026-12-04T00:00:00Z"]);
}

/// As plans were before they named strays, and said since when.
#[tokio::test]
async fn an_older_plan_is_understood() {
    let mut plan = planned(&six_days(), Some("default")).await;
    for one in plan.lineages.iter_mut().flat_map(|lineage| &mut lineage.expire) {
        one.since = None;
    }
    let text = Published::new(plan.clone()).unwrap().to_json().unwrap();
    assert!(!text.contains("strays") && !text.contains("since"), "{text}");
    assert_eq!(Published::parse("key", text.as_bytes()).unwrap().plan, plan);
    let inventory = six_days().observe().await;
    let next = planned_after(&inventory, Some("default"), Some(&plan), "2026-12-02T00:00:00Z");
    assert!(next.expired().all(|(_, one)| one.since == Some(plan.made_at)));
}

#[tokio::test]
async fn a_plan_names_the_oldest_strays_and_counts_them_all() {
    let world = six_days();
    for number in (0..150).rev() {
        world.vault.set_now(at(NOW) - SignedDuration::from_hours(number));
        world.vault.put(&format!("turso/by-hand-{number:03}"), "x");
    }
    let plan = planned(&world, Some("default")).await;
    assert_eq!((plan.strays.count, plan.strays.named.len()), (150, 100));
    assert!(plan.strays.named[0].name.ends_with("149") && plan.strays.named[99].name.ends_with("050"));
    let text = Published::new(plan.clone()).unwrap().to_json().unwrap();
    assert_eq!(Published::parse("key", text.as_bytes()).unwrap().plan, plan);
}

/// That its plan could not be told for once is no new beginning, nor is what was to go anybody's loss.
#[tokio::test]
async fn what_was_to_go_stays_so_while_nobody_can_tell_its_plan() {
    let world = six_days();
    let inventory = world.observe().await;
    let first = planned(&world, Some("default")).await;
    let plans = PlanDocument::parse(r#"{"plans": {"default": {}}}"#).unwrap();
    let unreadable = || Error::retryable("SlowDown", "later");
    let unknown = inventory.known().map(|(lineage, _)| (lineage.clone(), unreadable())).collect();
    let nobody = BackupPlans { names: [].into(), unknown };
    let unseen = RetentionPlan::make(&inventory, &plans, &nobody, Some(&first), at("2026-12-02T00:00:00Z"));
    assert_eq!((unseen.kept().count(), unseen.expired().count()), (6, 0));
    let was_to_go: Vec<_> = unseen.kept().filter(|(_, one)| one.since.is_some()).collect();
    assert_eq!(was_to_go.len(), 4);
    assert!(was_to_go.iter().all(|(_, one)| one.verified.is_empty()));
    let again = planned_after(&inventory, Some("default"), Some(&unseen), "2026-12-03T00:00:00Z");
    assert_eq!(again.expired().count(), 4);
    assert!(again.expired().all(|(_, one)| one.since == Some(at("2026-12-01T00:00:00Z"))));
}
