//! The function over an account, keys and vaults in memory: one run after another, with the world moving in between.

mod damage;
mod opened;
mod rhythm;
mod snapshots;

use std::{cell::Cell, time::Duration};

use bytes::Bytes;
use domain::{Finding, Findings, RecoveryPointId, ResourceId, Slot, retention::Region};
use jiff::{SignedDuration, Timestamp};
use kms::{FakeKms, Key};
use rds::{FakeAccount, FakeRds, Snapshot};
use reconcile::{Budget, Deadline, Reconciler as _, Request, Result, Summary, run};
use redis::{content, rdb::Inspector};
use serde_json::{Map, Value, json};
use state::FakeDocuments;
use tempfile::TempDir;
use turso::{check, compress};
use vault::{Digests, FakeLedger, FakeStore, Manifest, Replication, StoredObject, point_prefix};

use crate::{
    Ask, Desk, Pace, VerifyBackup,
    act::Action,
    memory::{Change, Look, MEMORY, Memory, Place},
    observe::Observed,
};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/orders";
const VAULT_KEY: &str = "arn:aws:kms:us-west-2:123456789012:key/vault";
const RDB: &[u8] = include_bytes!("../../../shared/redis/tests/corpus/valkey-8.1.8.rdb");

/// A recovery point in the vault, as its tests name it.
#[derive(Clone, Debug)]
struct Point {
    resource: ResourceId,
    id: RecoveryPointId,
    prefix: String,
}

type Function = VerifyBackup<FakeRds, FakeStore, FakeKms, FakeLedger, FakeLedger, FakeDocuments>;

struct World {
    account: FakeAccount,
    vault: FakeStore,
    away: FakeStore,
    home_keys: FakeKms,
    away_keys: FakeKms,
    ledger: FakeLedger,
    folder: TempDir,
    now: Timestamp,
    budget: u64,
    /// How much later each look at the clock is.
    clock_step: SignedDuration,
}

thread_local! {
    static CLOCK: Cell<(Timestamp, SignedDuration)> = const { Cell::new((Timestamp::UNIX_EPOCH, SignedDuration::ZERO)) };
}

fn clock() -> Timestamp {
    let (now, step) = CLOCK.get();
    CLOCK.set((now + step, step));
    now
}

impl World {
    fn new() -> Self {
        let vault = FakeStore::new(HOME, "vault");
        let away = vault.beside(AWAY, "vault-away");
        vault.replicate_to(&away, Replication::On);
        let world = Self {
            account: FakeAccount::default(),
            vault,
            away,
            home_keys: FakeKms::new(HOME),
            away_keys: FakeKms::new(AWAY),
            ledger: FakeLedger::default(),
            folder: TempDir::new().unwrap(),
            now: "2026-11-23T04:30:00Z".parse().unwrap(),
            budget: u64::MAX,
            clock_step: SignedDuration::ZERO,
        };
        world.home_keys.put(&[], Key::fake(KEY));
        world.away_keys.put(&["alias/tidemark"], Key::fake(VAULT_KEY));
        world
    }

    fn slot(&self, days_ago: i64) -> Slot {
        Slot::at(self.now - SignedDuration::from_hours(24 * days_ago + 2))
    }

    /// What is stored is replicated at once, and of an hour after its slot.
    fn store(
        &self,
        resource: &str,
        days_ago: i64,
        objects: Vec<(StoredObject, Bytes)>,
        about: &Value,
    ) -> Point {
        let resource = ResourceId::try_from(resource.to_owned()).unwrap();
        let slot = self.slot(days_ago);
        let id = RecoveryPointId::new(&resource.name, "id-1", slot, 1);
        let prefix = point_prefix(&resource, slot, &id);
        let made_at = slot.instant() + SignedDuration::from_hours(1);
        self.vault.set_now(made_at);
        let (names, bodies): (Vec<_>, Vec<_>) = objects.into_iter().unzip();
        for (object, body) in names.iter().zip(bodies) {
            self.vault.put(&format!("{prefix}{}", object.name), body);
        }
        let object = |key: &str| about[key].as_object().cloned().unwrap_or_default();
        let manifest = Manifest {
            version: 1,
            id: id.clone(),
            resource: resource.clone(),
            incarnation: "id-1".to_owned(),
            slot,
            plan: "default".to_owned(),
            method: about["method"].as_str().unwrap().to_owned(),
            taken_at: slot.instant(),
            restorable_to: None,
            verified_at: made_at,
            objects: names,
            source: Map::new(),
            content: object("content"),
        };
        self.vault.put(&format!("{prefix}manifest.json"), manifest.to_json());
        self.vault.set_now(self.now);
        Point { resource, id, prefix }
    }

    /// A cache of two shards, in parts of so many bytes.
    fn cache(&self, name: &str, days_ago: i64, part_bytes: usize) -> Point {
        let mut inspector = Inspector::with_length(RDB.len() as u64);
        inspector.feed(RDB).unwrap();
        let report = inspector.finish(None);
        let content = content::summary([&report, &report].into_iter(), report.created);
        let objects = ["1.rdb", "2.rdb"].map(|name| stored(name, RDB.into(), part_bytes));
        let about = json!({"method": "elasticache-snapshot", "content": content});
        self.store(&format!("redis/{name}"), days_ago, objects.into(), &about)
    }

    /// A database of so many rows.
    fn database(&self, name: &str, days_ago: i64, rows: usize) -> Point {
        let path = self.folder.path().join("made.sqlite");
        _ = std::fs::remove_file(&path);
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch("CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT)").unwrap();
        file.execute_batch("BEGIN").unwrap();
        for row in 0..rows {
            file.execute("INSERT INTO orders (what) VALUES (?1)", [format!("order {row}")]).unwrap();
        }
        file.execute_batch("COMMIT").unwrap();
        file.close().unwrap();
        let mut content = json!(check::check(&path).unwrap());
        let plain = compress::digest(&path).unwrap();
        (content["plain_bytes"], content["plain_sha256"]) = (plain.bytes.into(), plain.sha256.into());
        let mut parts = compress::Parts::new(std::fs::File::open(&path).unwrap(), 1 << 20).unwrap();
        let mut body = Vec::new();
        while let Some(part) = parts.next_part().unwrap() {
            body.extend_from_slice(&part);
        }
        let object = stored("database.sqlite.zst", body.into(), 1 << 10);
        let about = json!({"method": "page-export", "content": content});
        self.store(&format!("turso/{name}"), days_ago, vec![object], &about)
    }

    /// A snapshot and its copy.
    fn snapshot(&self, days_ago: i64) -> String {
        let slot = self.slot(days_ago);
        let taken = Snapshot::fake(HOME, "orders", "db-ABC", slot);
        let (copy, id) = (Snapshot::fake_copy(AWAY, &taken), taken.id.clone());
        for (region, snapshot, key) in [(HOME, taken, KEY), (AWAY, copy, VAULT_KEY)] {
            self.account.put_snapshot(region, Snapshot { kms_key: Some(key.to_owned()), ..snapshot });
        }
        id
    }

    fn function(&self) -> Function {
        let turn = SignedDuration::from_mins(10);
        CLOCK.set((self.now, self.clock_step));
        VerifyBackup {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            vault: self.vault.clone(),
            recovery_vault: self.away.clone(),
            home_keys: self.home_keys.clone(),
            recovery_keys: self.away_keys.clone(),
            recovery_key: "alias/tidemark".to_owned(),
            journal: self.ledger.journal(),
            pace: Pace::new(self.folder.path().join("opened"), turn, self.budget, clock),
            desk: Desk::default(),
        }
    }

    async fn try_ask(&self, payload: Value) -> Result<Summary> {
        let (function, journal) = (self.function(), self.ledger.journal());
        let deadline = Deadline::after(Duration::from_mins(15));
        run(&function, &journal, Ask::parse(payload)?, self.now, deadline, Budget::default()).await
    }

    async fn ask(&self, payload: Value) -> Summary {
        self.try_ask(payload).await.unwrap()
    }

    async fn tick(&self) -> Summary {
        self.ask(json!({"wake": "tick"})).await
    }

    async fn verify(&self, point: &Point) -> Summary {
        self.ask(json!({"verify": point.id, "resource": point.resource})).await
    }

    fn later(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
        self.vault.set_now(self.now);
    }

    fn memory(&self) -> Memory {
        serde_json::from_str(&self.ledger.documents.text(MEMORY).unwrap()).unwrap()
    }

    fn board(&self) -> Vec<Finding> {
        let text = self.ledger.documents.text("findings/verify-backup.json").unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().findings
    }

    fn conditions(&self) -> Vec<String> {
        self.board().iter().map(|finding| format!("{} {}", finding.resource, finding.condition())).collect()
    }

    /// What was recorded, without days and subjects: `us-east-1/recovery-point-verified`.
    fn recorded(&self) -> Vec<String> {
        let last = |key: &str| {
            key.rsplitn(3, '/').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("/")
        };
        self.ledger.entries().keys().map(|key| last(key.as_str())).collect()
    }

    fn marks(&self) -> Vec<String> {
        let objects = self.vault.objects();
        let marks = objects.keys().filter_map(|key| key.strip_prefix("marks/"));
        marks.map(|key| key.rsplit_once("Z-").unwrap().1.to_owned()).collect()
    }
}

fn stored(name: &str, body: Bytes, part_bytes: usize) -> (StoredObject, Bytes) {
    let mut digests = Digests::new(part_bytes as u64);
    body.chunks(part_bytes).for_each(|part| digests.add(part));
    (digests.into_object(name), body)
}

/// What was looked at, in order: `tidemark-… us-east-1`, and ` opened` where it was.
fn looked_at(summary: &Summary) -> Vec<String> {
    let one = |acted: &reconcile::Acted| {
        let opened = acted.detail.get("opened").and_then(Value::as_str).map(|why| format!(" {why}"));
        let text = |key: &str| acted.detail[key].as_str().unwrap().to_owned();
        format!("{} {}{}", text("recovery_point"), text("region"), opened.unwrap_or_default())
    };
    summary.acted.iter().map(one).collect()
}

/// What would be done, in order.
fn actions(observed: &Observed, now: Timestamp) -> Vec<Action> {
    let plan = crate::plan::plan(observed, now).unwrap();
    let act = |decision: reconcile::Decision<Action>| match decision.verdict {
        reconcile::Verdict::Act(action) => Some(action),
        _ => None,
    };
    plan.decisions.into_iter().filter_map(act).collect()
}
