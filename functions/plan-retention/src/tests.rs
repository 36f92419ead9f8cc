//! The function over an account and vaults in memory: one pass after another, with the world moving in between.

use std::time::Duration;

use domain::{Engine, Finding, Findings, PlanDocument, RecoveryPointId, Severity, Slot, tag};
use inventory::{Published, RetentionPlan};
use jiff::{SignedDuration, Timestamp};
use rds::{FakeAccount, Snapshot};
use reconcile::{Budget, Deadline, Error, Request, Result, Summary, run};
use rstest::rstest;
use serde_json::{Value, json};
use vault::{FakeLedger, FakeStore, point_prefix};

use crate::{Ask, PlanRetention};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

struct World {
    account: FakeAccount,
    vault: FakeStore,
    away: FakeStore,
    ledger: FakeLedger,
    plans: &'static str,
    now: Timestamp,
}

impl World {
    /// With a snapshot on each of so many days until today.
    fn with_days(days: i64) -> Self {
        let vault = FakeStore::new(HOME, "vault");
        let world = Self {
            account: FakeAccount::default(),
            away: vault.beside(AWAY, "vault-away"),
            vault,
            ledger: FakeLedger::default(),
            plans: r#"{"plans": {"default": {}}}"#,
            now: "2026-11-22T05:30:00Z".parse().unwrap(),
        };
        world.vault.set_now(world.now);
        for day in 0..days {
            world.account.put_snapshot(HOME, world.snapshot(day));
        }
        world
    }

    fn snapshot(&self, days_ago: i64) -> Snapshot {
        let slot = Slot::at(self.now - SignedDuration::from_hours(24 * days_ago + 2));
        Snapshot::fake(HOME, "orders", "db-ABC", slot)
    }

    /// A Turso recovery point of that many days ago.
    fn put_copy(&self, days_ago: i64, manifest: &str) {
        let slot = Slot::at(self.now - SignedDuration::from_hours(24 * days_ago));
        let id = RecoveryPointId::new("shop", "id-1", slot, 1);
        let prefix = point_prefix(&domain::ResourceId::turso("shop"), slot, &id);
        self.vault.put(&format!("{prefix}database.sqlite.zst"), "content");
        self.vault.put(&format!("{prefix}manifest.json"), manifest.to_owned());
    }

    async fn try_ask(&self, payload: Value) -> Result<Summary> {
        let function = PlanRetention {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            vault: self.vault.clone(),
            recovery_vault: self.away.clone(),
            ledger: self.ledger.clone(),
            plans: PlanDocument::parse(self.plans).unwrap(),
        };
        let deadline = Deadline::after(Duration::from_mins(5));
        let ask = Ask::parse(payload)?;
        run(&function, &self.ledger.journal(), ask, self.now, deadline, Budget::default()).await
    }

    async fn ask(&self, payload: Value) -> Summary {
        self.try_ask(payload).await.unwrap()
    }

    async fn tick(&self) -> Summary {
        self.ask(json!({"wake": "tick"})).await
    }

    fn a_day_later(&mut self) {
        self.now += SignedDuration::from_hours(24);
        self.vault.set_now(self.now);
    }

    fn documents(&self) -> Vec<Published> {
        let objects = self.vault.objects();
        let plans = objects.iter().filter(|(key, _)| key.starts_with("retention/us-east-1/plans/"));
        plans.map(|(key, text)| Published::parse(key, text).unwrap()).collect()
    }

    fn published(&self) -> Vec<RetentionPlan> {
        self.documents().into_iter().map(|document| document.plan).collect()
    }

    fn ledger_kinds(&self) -> Vec<String> {
        self.ledger.entries().keys().map(|key| key.as_str().rsplit('/').next().unwrap().to_owned()).collect()
    }

    fn board(&self) -> Vec<Finding> {
        let text = self.ledger.documents.text("findings/plan-retention.json").unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().findings
    }

    fn conditions(&self) -> Vec<String> {
        self.board().iter().map(Finding::condition).collect()
    }
}

fn actions(summary: &Summary) -> Vec<&'static str> {
    summary.acted.iter().map(|acted| acted.action).collect()
}

#[tokio::test]
async fn each_day_has_one_plan_and_nothing_is_deleted() {
    let mut world = World::with_days(60);
    let first = world.tick().await;
    assert_eq!(actions(&first), ["publish-plan"]);
    assert_eq!(first.acted[0].detail["expired"], 47);
    let again = world.tick().await;
    assert_eq!((actions(&again), again.settled), (vec![], 1));
    assert_eq!(world.ledger_kinds(), ["retention-planned"]);
    world.a_day_later();
    assert_eq!(actions(&world.tick().await), ["publish-plan"]);
    assert_eq!(world.published().len(), 2);
    assert_eq!(world.account.snapshots(HOME).len(), 60);
    assert!(
        world.account.calls().iter().all(|call| call.contains("Describe")),
        "{:?}",
        world.account.calls()
    );
}

#[tokio::test]
async fn the_day_begins_after_the_nights_backups() {
    let mut world = World::with_days(3);
    world.tick().await;
    for (hours, published) in [(18, 1), (23, 1), (24, 2)] {
        world.now = "2026-11-22T05:30:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours);
        world.tick().await;
        assert_eq!(world.published().len(), published, "{hours} hours later");
    }
}

#[tokio::test]
async fn killed_after_it_published_the_next_tick_writes_it_down() {
    let world = World::with_days(3);
    world.ledger.refuse_next_append(Error::retryable("SlowDown", "busy"));
    assert!(world.tick().await.take_error().is_some());
    assert_eq!((world.published().len(), world.ledger_kinds().len()), (1, 0));
    assert_eq!(actions(&world.tick().await), ["record"]);
    assert_eq!((world.published().len(), world.ledger_kinds()), (1, vec!["retention-planned".to_owned()]));
    assert_eq!(actions(&world.tick().await), [""; 0]);
}

#[tokio::test]
async fn what_vanished_is_told_and_too_much_of_it_stops_the_plan() {
    let mut world = World::with_days(60);
    world.tick().await;
    let kept: Vec<String> = world.published()[0].kept().map(|(_, one)| one.id.to_string()).collect();
    world.a_day_later();
    world.account.remove_snapshot(HOME, &kept[0]);
    for _ in 0..2 {
        world.tick().await;
        assert_eq!(world.conditions(), ["recovery-point-vanished"], "until the next plan");
    }
    assert!(
        world.board()[0].says.contains(&kept[0]) && world.board()[0].resource.to_string() == "rds/orders"
    );
    world.a_day_later();
    for id in &kept[1..4] {
        world.account.remove_snapshot(HOME, id);
    }
    world.tick().await;
    assert_eq!(
        (world.conditions(), world.published().len()),
        (vec!["refused-InventoryShrank".to_owned()], 2)
    );
    // Until a person says that it is well.
    world.tick().await;
    assert_eq!(world.published().len(), 2);
    assert_eq!(actions(&world.ask(json!({"plan": "in-spite-of-losses"})).await), ["publish-plan"]);
    assert_eq!(world.conditions(), ["recovery-point-vanished"]);
    world.a_day_later();
    world.tick().await;
    assert!(world.board().is_empty(), "{:?}", world.board());
}

/// What one Region lost is lost, however much there is of other engines and elsewhere.
#[tokio::test]
async fn a_region_that_lost_its_copies_stops_the_plan() {
    let mut world = World::with_days(60);
    for day in 0..9 {
        let copied = world.snapshot(day);
        world.account.put_snapshot(AWAY, Snapshot { copied_from: Some(copied.arn.clone()), ..copied });
    }
    world.tick().await;
    world.a_day_later();
    for snapshot in world.account.snapshots(AWAY).iter().take(1) {
        world.account.remove_snapshot(AWAY, &snapshot.id);
    }
    world.tick().await;
    assert_eq!(world.conditions(), ["refused-InventoryShrank"]);
    let says = &world.board()[0].says;
    assert!(
        says.contains("1 of the 8 recovery points of rds") && says.contains("in the recovery Region"),
        "{says}"
    );
    assert_eq!(actions(&world.ask(json!({"plan": "in-spite-of-losses"})).await), ["publish-plan"]);
}

#[tokio::test]
async fn a_plan_that_nobody_can_read_stops_the_next_one_until_a_person_says_that_it_may_go_on() {
    let mut world = World::with_days(9);
    world.tick().await;
    let key = world.documents()[0].key(HOME);
    world.vault.put(&key, "{");
    world.a_day_later();
    assert_eq!(world.try_ask(json!({"wake": "tick"})).await.unwrap_err().code(), "RetentionPlanUnreadable");
    assert_eq!(actions(&world.ask(json!({"plan": "in-spite-of-losses"})).await), ["publish-plan"]);
    world.vault.remove(&key);
    assert_eq!(world.published().len(), 1);
}

#[tokio::test]
async fn an_empty_inventory_plans_nothing() {
    let mut world = World::with_days(9);
    world.tick().await;
    world.a_day_later();
    for snapshot in world.account.snapshots(HOME) {
        world.account.remove_snapshot(HOME, &snapshot.id);
    }
    world.tick().await;
    assert_eq!(
        (world.conditions(), world.published().len()),
        (vec!["refused-InventoryShrank".to_owned()], 1)
    );
    let young = World::with_days(0);
    assert_eq!((young.tick().await.settled, young.published().len()), (1, 0));
}

#[tokio::test]
async fn what_does_not_answer_is_not_decided_about_and_the_rest_is() {
    let mut world = World::with_days(30);
    for day in 0..20 {
        world.put_copy(day, &manifest(&world, day, "default"));
    }
    world.tick().await;
    let engines =
        |plan: &RetentionPlan| plan.lineages.iter().map(|one| one.resource.engine).collect::<Vec<_>>();
    assert_eq!(engines(&world.published()[0]), [Engine::Rds, Engine::Turso]);
    world.a_day_later();
    let denied = Error::misconfigured("AccessDenied", "no");
    world.account.refuse_next("us-west-2 DescribeDBSnapshots", denied);
    world.tick().await;
    let partial = &world.published()[1];
    assert_eq!((partial.undecided.as_slice(), engines(partial).len()), (["rds".to_owned()].as_slice(), 2));
    let snapshots = partial.lineages.iter().find(|one| one.resource.engine == Engine::Rds).unwrap();
    assert_eq!((snapshots.keep.len(), snapshots.expire.len()), (30, 0), "nothing of it is expired");
    assert_eq!(world.conditions(), ["refused-AccessDenied"], "and nothing is said to have vanished");
    world.now += SignedDuration::from_hours(1);
    world.tick().await;
    assert_eq!((world.published().len(), world.board().len()), (3, 0), "it is decided as soon as it answers");
    world.tick().await;
    assert_eq!(world.published().len(), 3);
}

fn manifest(world: &World, days_ago: i64, plan: &str) -> String {
    let slot = Slot::at(world.now - SignedDuration::from_hours(24 * days_ago));
    json!({
        "version": 1, "id": RecoveryPointId::new("shop", "id-1", slot, 1), "resource": "turso/shop", "incarnation": "id-1",
        "slot": slot.to_string(), "plan": plan, "method": "page-export", "taken_at": slot.to_string(),
        "verified_at": slot.to_string(), "objects": [], "source": {}, "content": {},
    })
    .to_string()
}

#[rstest]
#[case::of_nonsense("{", Some("refused-ManifestUnreadable"))]
#[case::of_a_plan_that_is_gone("", None)]
#[tokio::test]
async fn where_nobody_knows_the_plan_all_is_kept(#[case] newest: &str, #[case] told: Option<&str>) {
    let world = World::with_days(0);
    for day in 0..20 {
        world.put_copy(day, &manifest(&world, day, "gone"));
    }
    if !newest.is_empty() {
        world.put_copy(0, newest);
    }
    world.tick().await;
    let [plan] = world.published().try_into().unwrap();
    assert_eq!((plan.kept().count(), plan.expired().count()), (20, 0));
    assert_eq!(world.conditions(), told.into_iter().collect::<Vec<_>>());
}

/// What looks like Tidemark's own and is not: told when nobody can be at work on it any more, once for all, and never touched.
#[tokio::test]
async fn strays_are_named_in_the_plan_and_told_after_a_week() {
    let mut world = World::with_days(9);
    let by_hand = Snapshot { id: "before-upgrade".to_owned(), created: Some(world.now), ..world.snapshot(0) };
    world.account.put_snapshot(HOME, by_hand);
    for number in 0..4 {
        world.away.put(&format!("turso/by-hand-{number}"), "x");
    }
    let first = world.tick().await;
    assert_eq!(first.acted[0].detail["strays"], 5);
    assert!(first.acted[0].reason.contains("5 strays"), "{}", first.acted[0].reason);
    let entry = world.ledger.entries().into_values().next().unwrap();
    assert_eq!(entry["strays"], 5, "{entry}");
    let strays = &world.published()[0].strays;
    let named = strays.named.iter().find(|stray| stray.name == "before-upgrade").unwrap();
    assert_eq!((strays.count, named.engine, named.made_at), (5, Engine::Rds, Some(world.now)));
    for _ in 0..7 {
        assert_eq!(world.conditions(), [""; 0], "somebody may be at work on them");
        world.a_day_later();
        world.account.put_snapshot(HOME, world.snapshot(0));
        world.tick().await;
    }
    world.now += SignedDuration::from_hours(1);
    assert_eq!(actions(&world.ask(json!({"plan": "now"})).await), ["publish-plan"]);
    for _ in 0..2 {
        let [told] = world.board().try_into().unwrap();
        assert_eq!((told.condition().as_str(), told.severity), ("stray-found", Severity::Warning));
        assert!(
            told.says.contains("5 things") && told.says.contains("snapshot before-upgrade at home"),
            "{}",
            told.says
        );
        assert!(
            told.says.contains("object turso/by-hand-1 in the recovery Region")
                && told.says.ends_with("and 2 more")
        );
        assert!(
            told.next.contains("delete-db-snapshot") && told.next.contains("delete-object"),
            "{}",
            told.next
        );
        assert!(
            told.says.len() <= 1_000 && told.next.len() <= 500,
            "{} {}",
            told.says.len(),
            told.next.len()
        );
        // The day has its plan, and nothing is looked at.
        world.tick().await;
    }
    // Where one of them does not answer, nobody knows whether it ended.
    world.account.refuse_next("us-west-2 DescribeDBSnapshots", Error::misconfigured("AccessDenied", "no"));
    world.ask(json!({"plan": "now"})).await;
    assert!(world.conditions().contains(&"stray-found".to_owned()), "{:?}", world.conditions());
    world.account.remove_snapshot(HOME, "before-upgrade");
    for number in 0..4 {
        world.away.remove(&format!("turso/by-hand-{number}"));
    }
    world.ask(json!({"plan": "now"})).await;
    assert_eq!(world.conditions(), [""; 0]);
    assert!(world.account.calls().iter().all(|call| call.contains("Describe")), "nothing is deleted");
}

/// Strays are told where there is nothing else, and where there is no plan.
#[tokio::test]
async fn strays_do_not_wait_for_a_plan() {
    let mut world = World::with_days(9);
    world.tick().await;
    world.a_day_later();
    let long_ago = Some(world.now - SignedDuration::from_hours(24 * 30));
    let by_hand = |world: &World| Snapshot { id: "x".repeat(255), created: long_ago, ..world.snapshot(0) };
    world.account.put_snapshot(HOME, by_hand(&world));
    for snapshot in world.account.snapshots(HOME).iter().filter(|one| one.id.starts_with("tidemark-")) {
        world.account.remove_snapshot(HOME, &snapshot.id);
    }
    world.tick().await;
    assert_eq!(
        (world.conditions(), world.published().len()),
        (vec!["refused-InventoryShrank".to_owned(), "stray-found".to_owned()], 1)
    );
    let alone = World::with_days(0);
    alone.account.put_snapshot(HOME, by_hand(&world));
    alone.tick().await;
    assert_eq!((alone.published()[0].strays.count, alone.conditions()), (1, vec!["stray-found".to_owned()]));
    assert!(alone.board()[0].says.len() < 500, "{}", alone.board()[0].says);
}

#[test]
fn every_kind_has_its_section_in_the_runbook() {
    let runbook = include_str!("../../../docs/runbooks/alerts.md");
    for kind in [crate::findings::VANISHED, crate::findings::STRAY] {
        assert!(runbook.contains(&format!("\n## {kind}\n")), "docs/runbooks/alerts.md has no section {kind}");
    }
}

#[tokio::test]
async fn a_person_acknowledges_what_was_published_last_and_nothing_else() {
    let mut world = World::with_days(30);
    let none = world.try_ask(json!({"acknowledge": "a".repeat(64)})).await.unwrap_err();
    assert_eq!(none.code(), "NoRetentionPlan");
    world.tick().await;
    let old = world.documents()[0].hash.clone();
    world.a_day_later();
    world.account.put_snapshot(HOME, world.snapshot(0));
    world.tick().await;
    let new = world.documents()[1].hash.clone();
    let outdated = world.try_ask(json!({"acknowledge": old})).await.unwrap_err();
    assert_eq!(outdated.code(), "AcknowledgementOutdated");
    assert!(outdated.to_string().contains(&new), "{outdated}");
    for _ in 0..2 {
        assert_eq!(actions(&world.ask(json!({"acknowledge": new})).await), ["acknowledge-plan"]);
    }
    let acknowledged = format!("retention/{HOME}/acknowledged/{new}.json");
    assert_eq!(world.vault.writes(&acknowledged), 1);
    assert!(world.ledger_kinds().contains(&"retention-acknowledged".to_owned()));
}

#[tokio::test]
async fn what_a_person_holds_is_kept_until_it_is_released() {
    let mut world = World::with_days(60);
    world.tick().await;
    let id = world.published()[0].expired().next().unwrap().1.id.to_string();
    let hold = |key: &str| json!({key: id, "resource": "rds/orders", "why": "case 17"});
    assert_eq!(actions(&world.ask(hold("hold")).await), ["hold-recovery-point"]);
    let is_expired =
        |world: &World| world.published().last().unwrap().expired().any(|(_, one)| one.id.as_str() == id);
    world.a_day_later();
    world.tick().await;
    assert!(!is_expired(&world));
    assert_eq!(actions(&world.ask(hold("release")).await), ["release-recovery-point"]);
    world.a_day_later();
    world.tick().await;
    assert!(is_expired(&world));
    let unknown =
        json!({"hold": "tidemark-orders-20201122t0300z-ellsxv", "resource": "rds/orders", "why": "x"});
    assert_eq!(world.try_ask(unknown).await.unwrap_err().code(), "RecoveryPointUnknown");
    let kinds = world.ledger_kinds();
    assert!(
        kinds.contains(&"recovery-point-held".to_owned())
            && kinds.contains(&"recovery-point-released".to_owned())
    );
}

#[tokio::test]
async fn a_person_may_hold_what_nobody_can_see_and_lets_go_only_what_is_seen() {
    let world = World::with_days(3);
    let (id, denied) = (world.snapshot(0).id, || Error::misconfigured("AccessDenied", "no"));
    let ask = |key: &str| json!({key: id, "resource": "rds/orders", "why": "case 17"});
    world.account.refuse_next("us-west-2 DescribeDBSnapshots", denied());
    assert_eq!(actions(&world.ask(ask("hold")).await), ["hold-recovery-point"]);
    world.account.refuse_next("us-west-2 DescribeDBSnapshots", denied());
    assert_eq!(world.try_ask(ask("release")).await.unwrap_err().code(), "AccessDenied");
    let mut tagged = world.snapshot(0);
    tagged.tags.insert(tag::LEGAL_HOLD.to_owned(), String::new());
    world.account.put_snapshot(HOME, tagged);
    assert_eq!(world.try_ask(ask("release")).await.unwrap_err().code(), "HeldByTag");
}
