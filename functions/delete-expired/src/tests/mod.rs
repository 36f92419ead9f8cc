//! Both functions over an account and vaults in memory: what the one publishes the other carries out, with the world moving in
//! between, and every call of it broken in turn.

mod deletions;
mod faults;
mod locks;
mod overdue;
mod records;

use std::time::Duration;

use domain::{Finding, Findings, PlanDocument, RecoveryPointId, ResourceId, Slot, tag};
use inventory::Published;
use jiff::{SignedDuration, Timestamp};
use plan_retention::PlanRetention;
use rds::{FakeAccount, Snapshot};
use reconcile::{Budget, Deadline, Request, Result, Summary, run};
use serde_json::{Value, json};
use vault::{DefaultLock, FakeConfiguration, FakeLedger, FakeStore, Lock, Replication, Setup, point_prefix};

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
    /// The default lock of both vaults.
    lock_days: i64,
}

impl World {
    fn new() -> Self {
        Self::with_lock(8)
    }

    fn with_lock(lock_days: i64) -> Self {
        let vault = FakeStore::new(HOME, "vault");
        let away = vault.beside(AWAY, "vault-away");
        vault.replicate_to(&away, Replication::On);
        for store in [&vault, &away] {
            store.set_default_lock(SignedDuration::from_hours(lock_days * 24));
        }
        Self {
            account: FakeAccount::default(),
            vault,
            away,
            ledger: FakeLedger::default(),
            plans: PLANS,
            now: "2026-11-22T05:30:00Z".parse().unwrap(),
            at_most: 200,
            lock_days,
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
        Self::new().copied(days)
    }

    fn copied(self, days: i64) -> Self {
        let world = self;
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
        Snapshot::fake(HOME, "orders", "db-ABC", slot)
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
            setups: [HOME, AWAY].map(|region| FakeConfiguration::new(region, "vault", self.setup())),
            ledger: self.ledger.clone(),
            plans: PlanDocument::parse(self.plans).unwrap(),
            documents: self.ledger.documents.clone(),
            at_most: self.at_most,
        };
        let deadline = Deadline::after(Duration::from_mins(5));
        let ask = Ask::parse(payload)?;
        run(&function, &self.ledger.journal(), ask, self.now, deadline, Budget::default()).await
    }

    fn setup(&self) -> Setup {
        let default = DefaultLock { compliance: false, days: self.lock_days };
        Setup { lock: Some(Lock { default: Some(default) }), ..Setup::of_a_vault("key", None) }
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

    fn board(&self) -> Vec<Finding> {
        let text = self.ledger.documents.text("findings/delete-expired.json").unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().findings
    }

    fn conditions(&self) -> Vec<String> {
        self.board().iter().map(Finding::condition).collect()
    }

    /// A day goes by, with its backup, its plan and two passes.
    async fn a_day(&mut self) {
        self.later(24);
        self.put_copy(self.slot(0));
        self.plan(json!({"plan": "now"})).await;
        self.tick().await;
        self.later(0);
        self.tick().await;
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
