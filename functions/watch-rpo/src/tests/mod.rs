//! The function over an account in memory, one minute after another.

mod engines;
mod findings;
mod given_up;
mod hostile;
mod memory;
mod outages;
mod passes;
mod random;
mod random_vaults;
mod rhythm;
mod vaulted;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use domain::{Finding, Findings, PlanDocument, RecoveryPointId, Slot, tag};
use jiff::{SignedDuration, Timestamp};
use rds::{AutomatedBackup, FakeAccount, FakeRds, Instance, PitrWindow, Snapshot, SnapshotKind, Tags};
use reconcile::{Budget, Deadline, Error, Result, Summary, Wake, run};
use redis::elasticache::{FakeAccount as FakeCaches, FakeElastiCache};
use serde_json::{Value, json};
use state::FakeDocuments;
use vault::{FakeLedger, FakeStore, Replication};

use crate::{Ask, Organization, WatchRpo, look::MOST_LOOK_MINUTES};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";
/// Fifty pages of a hundred.
const SNAPSHOTS_A_MINUTE: usize = 5_000;
/// Default plan: a slot at 03:00, 15 minutes RPO, an hour's grace for slots, six for copies.
const PLAN: &str = r#"{"plans": {"default": {}}}"#;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// An organization at Turso, as far as it is asked.
#[derive(Clone, Default)]
struct FakeOrganization {
    databases: Rc<RefCell<BTreeMap<String, turso::Database>>>,
    calls: Rc<Cell<usize>>,
    fault: Rc<RefCell<Option<Error>>>,
}

impl Organization for FakeOrganization {
    async fn databases(&self) -> Result<Vec<turso::Database>> {
        self.calls.set(self.calls.get() + 1);
        match self.fault.take() {
            Some(error) => Err(error),
            None => Ok(self.databases.borrow().values().cloned().collect()),
        }
    }
}

/// A deployment over an account in memory, whose databases ship their logs unless told otherwise.
struct World {
    account: FakeAccount,
    caches: FakeCaches,
    turso: Option<FakeOrganization>,
    vault: FakeStore,
    recovery_vault: FakeStore,
    ledger: FakeLedger,
    now: Timestamp,
    plans: &'static str,
    databases: BTreeMap<String, Instance>,
    /// Those that ship no logs any more.
    stuck: BTreeSet<String>,
}

fn database(id: &str, incarnation: &str) -> Instance {
    let tags = Tags::from([(tag::PLAN.to_owned(), "default".to_owned())]);
    Instance { tags, allocated_gib: 100, ..Instance::fake(HOME, id, incarnation) }
}

/// What RDS tells when a database has failed, and the like.
fn event() -> Ask {
    Ask::Watch(Wake::Event { source: "aws.rds".to_owned(), detail_type: "RDS DB Instance Event".to_owned() })
}

/// A completed recovery point of `orders`, as both Regions know it.
fn point(incarnation: &str, slot: &str) -> Snapshot {
    let slot = Slot::at(at(slot));
    let id = RecoveryPointId::new("orders", incarnation, slot, 1).to_string();
    Snapshot {
        arn: format!("arn:aws:rds:{HOME}:123456789012:snapshot:{id}"),
        id,
        instance: "orders".to_owned(),
        incarnation: incarnation.to_owned(),
        kind: SnapshotKind::Manual,
        status: "available".to_owned(),
        percent: 100,
        allocated_gib: 100,
        created: Some(slot.instant() + minutes(1)),
        encrypted: true,
        kms_key: None,
        copied_from: None,
        tags: Tags::from([
            (tag::RESOURCE.to_owned(), "rds/orders".to_owned()),
            (tag::SLOT.to_owned(), slot.to_string()),
        ]),
    }
}

fn copy(of: &Snapshot) -> Snapshot {
    Snapshot { copied_from: Some(of.arn.clone()), ..of.clone() }
}

fn replica(incarnation: &str, latest: Timestamp) -> AutomatedBackup {
    AutomatedBackup {
        arn: format!("arn:aws:rds:{AWAY}:123456789012:auto-backup:ab-1"),
        instance: "orders".to_owned(),
        incarnation: incarnation.to_owned(),
        status: "replicating".to_owned(),
        source_region: HOME.to_owned(),
        window: Some(PitrWindow { earliest: at("2026-11-20T00:00:00Z"), latest }),
    }
}

type Function = WatchRpo<FakeRds, FakeElastiCache, FakeOrganization, FakeStore, PlanDocument, FakeDocuments>;

impl World {
    /// Nothing but the databases, never seen before.
    fn new(now: &str, databases: impl IntoIterator<Item = Instance>) -> Self {
        let vault = FakeStore::new(HOME, "vault");
        let recovery_vault = vault.beside(AWAY, "recovery-vault");
        vault.replicate_to(&recovery_vault, Replication::On);
        Self {
            account: FakeAccount::default(),
            caches: FakeCaches::default(),
            turso: Some(FakeOrganization::default()),
            vault,
            recovery_vault,
            ledger: FakeLedger::default(),
            now: at(now),
            plans: PLAN,
            databases: databases.into_iter().map(|database| (database.id.clone(), database)).collect(),
            stuck: BTreeSet::new(),
        }
    }

    /// `orders`, long protected, with the recovery points and copies of three nights.
    fn calm(now: &str) -> Self {
        let world = Self::new(now, [database("orders", "db-1")]);
        world.remember(&json!({"rds/orders": {
            "seen_since": "2026-11-01T12:00:00Z", "plan": "default", "incarnation": "db-1", "worst": null,
        }}));
        for day in ["2026-11-20", "2026-11-21", "2026-11-22"] {
            let point = point("db-1", &format!("{day}T03:00:00Z"));
            world.account.put_snapshot(AWAY, copy(&point));
            world.account.put_snapshot(HOME, point);
        }
        world
    }

    /// `calm`, in an account that holds so many snapshots that they are looked at every five minutes only.
    fn large(now: &str) -> Self {
        let world = Self::calm(now);
        // And some more, so that a test may remove a few.
        world.fill(4 * SNAPSHOTS_A_MINUTE + 100);
        world
    }

    /// Adds snapshots that are not Tidemark's, by turns in both Regions, until there are `count` in all.
    fn fill(&self, count: usize) {
        let there = self.account.snapshots(HOME).len() + self.account.snapshots(AWAY).len();
        let foreign = Snapshot { tags: Tags::default(), ..point("db-of-another", "2026-11-01T03:00:00Z") };
        for (n, region) in (there..count).zip([HOME, AWAY].into_iter().cycle()) {
            self.account.put_snapshot(region, Snapshot { id: format!("by-hand-{n}"), ..foreign.clone() });
        }
    }

    /// Leaves `resources` in the memory of November.
    fn remember(&self, resources: &Value) {
        let memory = json!({"month": "2026-11", "snapshots_seen_at": null, "resources": resources});
        self.documents().put("watch/2026-11.json", &memory.to_string());
    }

    fn documents(&self) -> &FakeDocuments {
        &self.ledger.documents
    }

    fn function(&self) -> Function {
        WatchRpo {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            caches: self.caches.region(HOME),
            turso: self.turso.clone(),
            vault: self.vault.clone(),
            recovery_vault: self.recovery_vault.clone(),
            plans: PlanDocument::parse(self.plans).unwrap(),
            documents: self.documents().clone(),
        }
    }

    fn orders(&mut self) -> &mut Instance {
        self.databases.get_mut("orders").unwrap()
    }

    /// A database is gone.
    fn drop(&mut self, id: &str) {
        self.databases.remove(id);
        self.account.remove_instance(HOME, id);
    }

    /// The cloud goes on to `now`: each database that can ships its logs.
    fn sync(&mut self) {
        self.account.set_now(self.now);
        self.vault.set_now(self.now);
        for (id, database) in &mut self.databases {
            let ships = database.retention_days > 0 && database.status == "available";
            if ships && !self.stuck.contains(id) {
                database.latest_restorable = Some(self.now - minutes(2));
            }
            self.account.put_instance(HOME, database.clone());
        }
    }

    async fn ask(&mut self, ask: Ask) -> Result<Summary> {
        self.sync();
        self.pass(ask).await
    }

    async fn pass(&self, ask: Ask) -> Result<Summary> {
        let deadline = Deadline::after(Duration::from_mins(5));
        run(&self.function(), &self.ledger.journal(), ask, self.now, deadline, Budget::default()).await
    }

    async fn tick(&mut self) -> Summary {
        self.ask(Ask::Watch(Wake::Tick)).await.unwrap()
    }

    async fn tick_at(&mut self, now: &str) -> Vec<String> {
        self.now = at(now);
        self.tick().await;
        self.kinds()
    }

    /// Ticks every minute until `kind` stands (or no longer stands) on the board: when that was.
    async fn minute_when(&mut self, kind: &str, stands: bool) -> Timestamp {
        for _ in 0..3_000 {
            self.tick().await;
            if self.kinds().iter().any(|there| there == kind) == stands {
                return self.now;
            }
            self.now += minutes(1);
        }
        panic!("{kind} never was {stands}");
    }

    /// What the function says is wrong.
    fn board(&self) -> Vec<Finding> {
        let text = self.documents().text("findings/watch-rpo.json").unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().findings
    }

    fn kinds(&self) -> Vec<String> {
        self.board().into_iter().map(|finding| finding.kind).collect()
    }

    fn finding(&self, kind: &str) -> Finding {
        let found = self.board().into_iter().find(|finding| finding.kind == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {:?}", self.kinds()))
    }

    /// What the function remembers of a month.
    fn memory(&self, month: &str) -> Value {
        let text = self.documents().text(&format!("watch/{month}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// How many calls of RDS the last `ask` cost.
    async fn cost(&mut self, ask: Ask) -> usize {
        let before = self.account.calls().len();
        self.ask(ask).await.unwrap();
        self.account.calls().len() - before
    }
}
