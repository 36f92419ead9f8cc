//! Both functions over an account and vaults in memory: what the one publishes the other carries out, with the world moving in
//! between, and every call of it broken in turn.

use std::time::Duration;

use domain::{Finding, Findings, PlanDocument, RecoveryPointId, ResourceId, Slot, retention::Worth, tag};
use inventory::{Mark, Published, mark_key};
use jiff::{SignedDuration, Timestamp};
use plan_retention::PlanRetention;
use rds::{FakeAccount, Snapshot, SnapshotKind};
use reconcile::{Budget, Deadline, Error, Request, Result, Summary, run};
use rstest::rstest;
use serde_json::{Value, json};
use vault::{FakeConfiguration, FakeLedger, FakeStore, Replication, Setup, point_prefix};

use crate::{Ask, DeleteExpired};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

/// Two of a day, and nothing else but the newest one, so that a test sees at a glance what goes.
const PLANS: &str = r#"{"plans": {"default": {"keep": {"daily": 2, "weekly": 0, "monthly": 0, "annual": 0, "redundancy": 1}}}}"#;

struct World {
    account: FakeAccount,
    vault: FakeStore,
    away: FakeStore,
    ledger: FakeLedger,
    plans: &'static str,
    now: Timestamp,
    at_most: usize,
}

impl World {
    fn new() -> Self {
        let vault = FakeStore::new(HOME, "vault");
        let away = vault.beside(AWAY, "vault-away");
        vault.replicate_to(&away, Replication::On);
        for store in [&vault, &away] {
            store.set_default_lock(SignedDuration::from_hours(8 * 24));
        }
        Self {
            account: FakeAccount::default(),
            vault,
            away,
            ledger: FakeLedger::default(),
            plans: PLANS,
            now: "2026-11-22T05:30:00Z".parse().unwrap(),
            at_most: 200,
        }
    }

    /// With a snapshot and its copy on each of so many days until today.
    fn with_snapshots(days: i64) -> Self {
        let world = Self::new();
        for day in 0..days {
            let snapshot = world.snapshot(day);
            let arn = snapshot.arn.replace(HOME, AWAY);
            let copy = Snapshot { copied_from: Some(snapshot.arn.clone()), arn, ..snapshot.clone() };
            world.account.put_snapshot(HOME, snapshot);
            world.account.put_snapshot(AWAY, copy);
        }
        world
    }

    /// With a Turso recovery point on each of so many days until today, in both vaults.
    fn with_copies(days: i64) -> Self {
        let world = Self::new();
        for day in (0..days).rev() {
            let slot = Slot::at(world.now - SignedDuration::from_hours(24 * day));
            world.vault.set_now(slot.instant());
            world.put_copy(slot);
        }
        world.vault.set_now(world.now);
        world
    }

    fn put_copy(&self, slot: Slot) {
        let prefix = prefix(slot);
        let manifest = json!({
            "version": 1, "id": shop(slot), "resource": "turso/shop", "incarnation": "id-1", "slot": slot.to_string(),
            "plan": "default", "method": "page-export", "taken_at": slot.to_string(), "verified_at": slot.to_string(),
            "objects": [], "source": {}, "content": {},
        });
        self.vault.put(&format!("{prefix}database.sqlite.zst"), "content");
        self.vault.put(&format!("{prefix}manifest.json"), manifest.to_string());
    }

    fn slot(&self, days_ago: i64) -> Slot {
        Slot::at(self.now - SignedDuration::from_hours(24 * days_ago))
    }

    fn snapshot(&self, days_ago: i64) -> Snapshot {
        let slot = Slot::at(self.now - SignedDuration::from_hours(24 * days_ago + 2));
        let id = RecoveryPointId::new("orders", "db-ABC", slot, 1).to_string();
        let tags = [(tag::PLAN, "default"), (tag::RESOURCE, "rds/orders"), (tag::SLOT, &slot.to_string())]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        Snapshot {
            arn: format!("arn:aws:rds:{HOME}:123456789012:snapshot:{id}"),
            id,
            instance: "orders".to_owned(),
            incarnation: "db-ABC".to_owned(),
            kind: SnapshotKind::Manual,
            status: "available".to_owned(),
            percent: 100,
            allocated_gib: 20,
            created: Some(slot.instant()),
            encrypted: true,
            kms_key: None,
            copied_from: None,
            tags: tags.into(),
        }
    }

    async fn plan(&self, payload: Value) -> Summary {
        let function = PlanRetention {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            vault: self.vault.clone(),
            recovery_vault: self.away.clone(),
            ledger: self.ledger.clone(),
            plans: PlanDocument::parse(self.plans).unwrap(),
        };
        let ask = plan_retention::Ask::parse(payload).unwrap();
        let deadline = Deadline::after(Duration::from_mins(5));
        run(&function, &self.ledger.journal(), ask, self.now, deadline, Budget::default()).await.unwrap()
    }

    /// A plan, read by a person.
    async fn agree(&self) {
        self.plan(json!({"plan": "now"})).await;
        let hash = self.published().hash;
        self.plan(json!({"acknowledge": hash})).await;
    }

    fn published(&self) -> Published {
        let objects = self.vault.objects();
        let newest = objects.iter().rfind(|(key, _)| key.starts_with("retention/us-east-1/plans/")).unwrap();
        Published::parse(newest.0, newest.1).unwrap()
    }

    async fn try_ask(&self, payload: Value) -> Result<Summary> {
        let function = DeleteExpired {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            vault: self.vault.clone(),
            recovery_vault: self.away.clone(),
            setups: [HOME, AWAY]
                .map(|region| FakeConfiguration::new(region, "vault", Setup::of_a_vault("key", None))),
            ledger: self.ledger.clone(),
            plans: PlanDocument::parse(self.plans).unwrap(),
            documents: self.ledger.documents.clone(),
            at_most: self.at_most,
        };
        let deadline = Deadline::after(Duration::from_mins(5));
        let ask = Ask::parse(payload)?;
        run(&function, &self.ledger.journal(), ask, self.now, deadline, Budget::default()).await
    }

    async fn tick(&self) -> Summary {
        self.try_ask(json!({"wake": "tick"})).await.unwrap()
    }

    fn later(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
        self.vault.set_now(self.now);
        self.account.set_now(self.now);
    }

    /// The days of November whose snapshots are there.
    fn snapshot_days(&self, region: &str) -> Vec<i8> {
        let snapshots = self.account.snapshots(region);
        let day = |one: &Snapshot| one.tags[tag::SLOT].parse::<Timestamp>().unwrap();
        snapshots.iter().map(|one| Slot::at(day(one)).utc_date().day()).collect()
    }

    /// The days of November of which a vault has any version of anything.
    fn copy_days(store: &FakeStore) -> Vec<i8> {
        let keys = store.all_versions();
        let mut days: Vec<i8> = keys
            .iter()
            .filter_map(|key| key.strip_prefix("turso/2026-11-")?.get(..2)?.parse().ok())
            .collect();
        days.dedup();
        days
    }

    fn deleted(&self) -> usize {
        let entries = self.ledger.entries();
        entries.keys().filter(|key| key.as_str().ends_with("/recovery-point-deleted")).count()
    }

    fn conditions(&self) -> Vec<String> {
        let text = self.ledger.documents.text("findings/delete-expired.json").unwrap();
        let board: Findings = serde_json::from_str(&text).unwrap();
        board.findings.iter().map(Finding::condition).collect()
    }
}

fn shop(slot: Slot) -> RecoveryPointId {
    RecoveryPointId::new("shop", "id-1", slot, 1)
}

fn prefix(slot: Slot) -> String {
    point_prefix(&ResourceId::turso("shop"), slot, &shop(slot))
}

fn actions(summary: &Summary) -> Vec<&'static str> {
    summary.acted.iter().map(|acted| acted.action).collect()
}

fn count(summary: &Summary, action: &str) -> usize {
    summary.acted.iter().filter(|acted| acted.action == action).count()
}

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

#[tokio::test]
async fn objects_go_when_their_locks_have_ended_with_all_their_versions() {
    let world = World::with_copies(12);
    // Somebody wrote over an old one, and deleted it besides.
    let old = prefix(world.slot(11));
    world.vault.put(&format!("{old}database.sqlite.zst"), "ruined");
    world.vault.remove(&format!("{old}manifest.json"));
    world.agree().await;
    world.tick().await;
    // Locked for eight days: of the twelve those of the last eight days are, and the one that was written over.
    let home: Vec<i8> = (11..=22).filter(|day| !(12..15).contains(day)).collect();
    assert_eq!(World::copy_days(&world.vault), home);
    let mut world = world;
    world.later(24 * 9);
    world.put_copy(world.slot(0));
    world.plan(json!({"plan": "now"})).await;
    world.tick().await;
    assert_eq!(World::copy_days(&world.vault), [22], "and December's");
    assert_eq!(World::copy_days(&world.away), [22]);
}

#[tokio::test]
async fn a_legal_hold_of_s3_stops_it_too() {
    let world = World::with_copies(12);
    world.agree().await;
    world.away.set_legal_hold(&format!("{}manifest.json", prefix(world.slot(11))), true);
    let first = world.tick().await;
    let left: Vec<_> = first.acted.iter().filter_map(|acted| acted.detail.get("left")).collect();
    assert!(left.len() == 1 && left[0].to_string().contains("legal hold"), "{left:?}");
    assert!(World::copy_days(&world.vault).contains(&11) && World::copy_days(&world.away).contains(&11));
}

#[tokio::test]
async fn locks_grow_with_the_tier_and_never_shrink() {
    let mut world = World::with_copies(3);
    world.plans =
        r#"{"plans": {"default": {"keep": {"daily": 30, "weekly": 0, "monthly": 12, "annual": 0}}}}"#;
    assert_eq!(actions(&world.tick().await), [""; 0], "nobody has agreed to it");
    world.agree().await;
    assert_eq!(actions(&world.tick().await), ["lock-recovery-points"; 2], "five at a time");
    let until =
        |store: &FakeStore, days| store.locked_until(&format!("{}manifest.json", prefix(world.slot(days))));
    let (month, day) = (world.slot(2).instant(), world.slot(1).instant());
    for store in [&world.vault, &world.away] {
        assert_eq!(until(store, 2), Some("2027-11-20T05:30:00Z".parse().unwrap()), "{month}");
        assert_eq!(until(store, 1), Some(day + SignedDuration::from_hours(24 * 30)));
    }
    let calls = world.vault.count("protection");
    assert_eq!(
        (actions(&world.tick().await), world.vault.count("protection")),
        (vec![], calls),
        "it is remembered"
    );
    // A plan that keeps less shortens nothing; what was forgotten is looked at once more.
    world.ledger.documents.put("retention/locks.json", "{");
    world.plans = PLANS;
    world.tick().await;
    let until = world.away.locked_until(&format!("{}manifest.json", prefix(world.slot(2))));
    assert_eq!(until, Some("2027-11-20T05:30:00Z".parse().unwrap()));
}

/// Backups have stopped: what there is is all that there is, and is locked for as long as nothing newer comes.
#[tokio::test]
async fn what_outlives_its_tier_stays_locked() {
    let mut world = World::with_copies(3);
    world.agree().await;
    for _ in 0..6 {
        world.later(24 * 5);
        world.tick().await;
        for days in [0, 1] {
            let slot = Slot::at(
                "2026-11-22T05:30:00Z".parse::<Timestamp>().unwrap() - SignedDuration::from_hours(24 * days),
            );
            let locked = [&world.vault, &world.away]
                .map(|store| store.locked_until(&format!("{}manifest.json", prefix(slot))));
            assert!(
                locked.iter().all(|until| until.is_some_and(|until| until > world.now)),
                "{locked:?} {}",
                world.now
            );
        }
    }
}

/// As long as all goes well, nothing is locked beyond its tier and its bucket's default: what is expired can go.
#[tokio::test]
async fn nothing_is_locked_for_longer_than_it_is_needed() {
    let mut world = World::with_copies(1);
    world.plans = r#"{"plans": {"default": {"keep": {"daily": 7, "weekly": 0, "monthly": 0, "annual": 0, "redundancy": 1}}}}"#;
    world.agree().await;
    let first = world.slot(0);
    for _ in 0..9 {
        world.tick().await;
        let until = world.vault.locked_until(&format!("{}manifest.json", prefix(first)));
        assert!(
            until.is_none_or(|until| until <= first.instant() + SignedDuration::from_hours(8 * 24)),
            "{until:?}"
        );
        world.later(24);
        world.put_copy(world.slot(0));
        world.plan(json!({"plan": "now"})).await;
    }
    world.tick().await;
    assert!(!World::copy_days(&world.vault).contains(&first.utc_date().day()), "it is gone");
}

/// An object was mended: what was remembered of its lock is of another version.
#[tokio::test]
async fn what_came_later_is_looked_at_again() {
    let mut world = World::with_copies(3);
    world.plans =
        r#"{"plans": {"default": {"keep": {"daily": 30, "weekly": 0, "monthly": 12, "annual": 0}}}}"#;
    world.agree().await;
    world.tick().await;
    world.later(1);
    let mended = format!(
        "{}database.sqlite.zst",
        prefix(Slot::at("2026-11-20T05:30:00Z".parse::<Timestamp>().unwrap()))
    );
    world.vault.put(&mended, "content");
    world.tick().await;
    for store in [&world.vault, &world.away] {
        assert_eq!(store.locked_until(&mended), Some("2027-11-20T05:30:00Z".parse().unwrap()));
    }
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
