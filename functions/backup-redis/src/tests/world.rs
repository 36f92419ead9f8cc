use std::{collections::BTreeMap, time::Duration};

use crc_fast::{CrcAlgorithm, checksum};
use domain::{Finding, Findings, PlanDocument, tag};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Budget, Deadline, Result, Summary, Wake, run};
use redis::elasticache::{Cache, CacheKind, FakeAccount, FakeElastiCache, Snapshot};
use serde_json::Value;
use state::FakeDocuments;
use vault::{FakeLedger, FakeStore, MANIFEST, Manifest, Replication};

use crate::observe::{BackupRedis, Buckets, Pace};

pub(super) const HOME: &str = "us-east-1";
pub(super) const AWAY: &str = "us-west-2";

pub(super) type Function =
    BackupRedis<FakeElastiCache, FakeStore, FakeBuckets, FakeLedger, PlanDocument, FakeDocuments>;

/// The cloud's other buckets.
pub(super) struct FakeBuckets(FakeStore);

impl Buckets for FakeBuckets {
    type Store = FakeStore;

    fn store(&self, bucket: &str) -> FakeStore {
        self.0.beside(HOME, bucket)
    }
}

/// A deployment over a cloud in memory.
pub(super) struct World {
    pub(super) account: FakeAccount,
    pub(super) vault: FakeStore,
    pub(super) recovery: FakeStore,
    pub(super) exports: FakeStore,
    pub(super) archive: FakeStore,
    pub(super) ledger: FakeLedger,
    pub(super) now: Timestamp,
    pub(super) plans: String,
    /// What ElastiCache exports, shard by shard; otherwise ten keys.
    pub(super) contents: BTreeMap<String, Vec<u8>>,
}

pub(super) fn cache(kind: CacheKind, name: &str, shards: u32) -> Cache {
    let made = Cache::fake(kind, name, "2026-01-01T00:00:00Z", shards);
    Cache { tags: [(tag::PLAN.to_owned(), "default".to_owned())].into(), ..made }
}

pub(super) fn group(name: &str, shards: u32) -> Cache {
    cache(CacheKind::ReplicationGroup, name, shards)
}

/// An RDB of so many strings of a hundred bytes.
pub(super) fn rdb(keys: u32) -> Vec<u8> {
    let mut file = unsigned(keys);
    let sum = checksum(CrcAlgorithm::Crc64Redis, &file);
    file.extend_from_slice(&sum.to_le_bytes());
    file
}

/// The same of a server that runs with `rdbchecksum no`.
pub(super) fn rdb_without_checksum(keys: u32) -> Vec<u8> {
    let mut file = unsigned(keys);
    file.extend_from_slice(&[0; 8]);
    file
}

fn unsigned(keys: u32) -> Vec<u8> {
    let mut file = b"REDIS0011\xfa\x05ctime\xc2".to_vec();
    // 2026-11-22T06:00:00Z
    file.extend_from_slice(&1_795_327_200_u32.to_le_bytes());
    file.extend_from_slice(&[0xfe, 0]);
    for number in 0..keys {
        file.extend_from_slice(&[0, 8]);
        file.extend_from_slice(format!("{number:08}").as_bytes());
        file.extend_from_slice(&[0x40, 100]);
        file.extend_from_slice(&[b'x'; 100]);
    }
    file.push(0xff);
    file
}

impl World {
    pub(super) fn new(caches: &[Cache]) -> Self {
        let vault = FakeStore::new(HOME, "vault");
        let world = Self {
            account: FakeAccount::default(),
            recovery: vault.beside(AWAY, "recovery"),
            exports: vault.beside(HOME, "exports"),
            archive: vault.beside(HOME, "archive"),
            vault,
            ledger: FakeLedger::default(),
            now: "2026-11-22T06:00:10Z".parse().unwrap(),
            plans: r#"{"plans": {"default": {}}}"#.to_owned(),
            contents: BTreeMap::new(),
        };
        world.vault.replicate_to(&world.recovery, Replication::On);
        world.set_now();
        for cache in caches {
            world.account.put_cache(cache.clone());
        }
        world
    }

    fn set_now(&self) {
        self.account.set_now(self.now);
        self.vault.set_now(self.now);
    }

    pub(super) fn function(&self) -> Function {
        BackupRedis {
            caches: self.account.region(HOME),
            vault: self.vault.clone(),
            recovery: self.recovery.clone(),
            exports: self.exports.clone(),
            archives: FakeBuckets(self.vault.clone()),
            ledger: self.ledger.clone(),
            plans: PlanDocument::parse(&self.plans).unwrap(),
            documents: self.ledger.documents.clone(),
            pace: Pace { part_bytes: 256, save_every_bytes: 512, quiet: SignedDuration::from_mins(10) },
        }
    }

    pub(super) async fn pass(&self, time: Duration) -> Result<Summary> {
        let deadline = Deadline::after(time);
        run(&self.function(), &self.ledger.journal(), Wake::Tick, self.now, deadline, Budget::default()).await
    }

    pub(super) async fn tick(&self) -> Summary {
        self.pass(Duration::from_mins(5)).await.unwrap()
    }

    /// Five minutes later, with everything that the cloud was doing finished.
    pub(super) fn later(&mut self) {
        self.wait(Duration::from_mins(5));
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now.checked_add(time).unwrap();
        self.set_now();
        for (bucket, key, shard) in self.account.finish() {
            assert_eq!(bucket, "exports");
            let body = self.contents.get(&shard).cloned().unwrap_or_else(|| rdb(10));
            self.exports.put(&key, body);
        }
    }

    /// Ticks until nothing is unfinished.
    pub(super) async fn settle(&mut self) -> Summary {
        for _ in 0..40 {
            let summary = self.tick().await;
            if summary.unfinished == 0 {
                return summary;
            }
            self.later();
        }
        panic!("still unfinished after 40 ticks: {:?}", self.tick().await);
    }

    pub(super) fn actions(summary: &Summary) -> Vec<&'static str> {
        summary.acted.iter().map(|acted| acted.action).collect()
    }

    pub(super) fn manifests(&self) -> Vec<Manifest> {
        let is_manifest = |key: &&String| key.ends_with(&format!("/{MANIFEST}"));
        let objects = self.vault.objects();
        objects.keys().filter(is_manifest).map(|key| Manifest::parse(key, &objects[key]).unwrap()).collect()
    }

    pub(super) fn snapshots(&self) -> Vec<Snapshot> {
        self.account.snapshots()
    }

    pub(super) fn board(&self) -> Vec<Finding> {
        let text = self.ledger.documents.text("findings/backup-redis.json").unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().findings
    }

    pub(super) fn conditions(&self) -> Vec<String> {
        self.board().iter().map(Finding::condition).collect()
    }

    pub(super) fn ledger_kinds(&self) -> Vec<String> {
        self.ledger.entries().keys().map(|key| key.as_str().rsplit('/').next().unwrap().to_owned()).collect()
    }

    pub(super) fn entry(&self, kind: &str) -> Value {
        let entries = self.ledger.entries();
        entries.iter().find(|(key, _)| key.as_str().ends_with(kind)).map(|(_, value)| value.clone()).unwrap()
    }
}
