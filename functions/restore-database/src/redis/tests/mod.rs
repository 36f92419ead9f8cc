//! Redis and Valkey over an account, buckets and documents in memory.

mod caches;
mod directories;
mod faults;

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use bytes::Bytes;
use domain::{RecoveryPointId, ResourceId, Slot};
use jiff::Timestamp;
use reconcile::{Result, Summary};
use redis::elasticache::{Cache, CacheKind, FakeAccount, Shard, Snapshot, Source, Tags};
use serde_json::{Map, Value, json};
use state::FakeDocuments;
use vault::{Digests, FakeLedger, FakeStore, MANIFEST, Manifest, point_prefix};

use super::{RedisRegion, RedisRestores};
use crate::fixture::{self, AWAY, FakeSecrets, HOME, at};

pub(crate) type Function = fixture::Function<fixture::Rds, fixture::Redis, fixture::Turso>;

pub(crate) struct World {
    pub(crate) caches: FakeAccount,
    pub(crate) away: FakeAccount,
    pub(crate) vault: FakeStore,
    pub(crate) documents: FakeDocuments,
    pub(crate) ledger: FakeLedger,
    pub(crate) now: Timestamp,
}

/// The names of the buckets.
const VAULT: &str = "vault";
const EXPORTS: &str = "exports";

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            caches: FakeAccount::default(),
            away: FakeAccount::default(),
            vault: FakeStore::new(HOME, VAULT),
            documents: FakeDocuments::default(),
            ledger: FakeLedger::default(),
            now: at("2026-11-22T12:00:00Z"),
        };
        world.caches.put_cache(sessions());
        world
    }

    fn bucket(&self, region: &str, name: &str) -> FakeStore {
        if region == HOME {
            self.vault.beside(HOME, name)
        } else {
            self.vault.beside(AWAY, &format!("{name}-away"))
        }
    }

    pub(crate) fn exports(&self) -> FakeStore {
        self.bucket(HOME, EXPORTS)
    }

    pub(crate) fn function(&self) -> Function {
        let region = |account: &FakeAccount, name: &str| RedisRegion {
            caches: account.region(name),
            vault: self.bucket(name, VAULT),
            exports: self.bucket(name, EXPORTS),
        };
        let redis = RedisRestores {
            home: region(&self.caches, HOME),
            recovery: region(&self.away, AWAY),
            documents: self.documents.clone(),
            ledger: self.ledger.clone(),
            secrets: FakeSecrets(Rc::from("a-password-of-16-or-more")),
        };
        fixture::function(None, Some(redis), None, &self.ledger)
    }

    async fn ask(&self, payload: Value) -> Result<Value> {
        fixture::ask(&self.function(), &self.ledger, payload, self.now).await
    }

    async fn tick(&self) -> Summary {
        let tick = json!({"wake": "tick"});
        fixture::pass(&self.function(), &self.ledger, tick, self.now, Duration::from_mins(5)).await.unwrap()
    }

    fn later(&mut self, minutes: u64) {
        self.now += Duration::from_mins(minutes);
        self.caches.finish();
        self.away.finish();
    }

    fn completed(&self) -> Option<Value> {
        fixture::entries(&self.ledger, "restore-completed").pop()
    }

    fn creates(&self) -> usize {
        self.caches.calls().iter().filter(|call| call.starts_with("CreateCache")).count()
    }

    /// A recovery point in the vault of both Regions, with what ElastiCache exported of `shards` shards.
    pub(crate) fn point(&self, slot: &str, taken_at: &str, shards: usize) -> RecoveryPointId {
        let files: Vec<(String, Bytes)> = (1..=shards)
            .map(|shard| {
                (format!("sessions-{shard:04}.rdb"), Bytes::from(format!("RDB of shard {shard} at {slot}")))
            })
            .collect();
        let mut cache = sessions();
        let shard = |number| Shard { id: format!("{number:04}"), slots: Some(format!("{number}")) };
        cache.settings.shards = (1..=shards).map(shard).collect();
        self.put("sessions", "elasticache-snapshot", slot, taken_at, None, cache.source().to_map(), &files)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a field of the manifest")]
    fn put(
        &self,
        name: &str,
        method: &str,
        slot: &str,
        taken_at: &str,
        restorable_to: Option<&str>,
        source: Map<String, Value>,
        files: &[(String, Bytes)],
    ) -> RecoveryPointId {
        let slot = Slot::at(at(slot));
        let id = RecoveryPointId::new(name, "2026-01-01", slot, 1);
        let prefix = point_prefix(&ResourceId::redis(name), slot, &id);
        let object = |(name, body): &(String, Bytes)| {
            let mut digests = Digests::new(5 << 20);
            body.chunks(5 << 20).for_each(|part| digests.add(part));
            digests.into_object(name.as_str())
        };
        let manifest = Manifest {
            version: 1,
            id: id.clone(),
            resource: ResourceId::redis(name),
            incarnation: "2026-01-01".to_owned(),
            slot,
            plan: "default".to_owned(),
            method: method.to_owned(),
            taken_at: at(taken_at),
            restorable_to: restorable_to.map(at),
            verified_at: at(taken_at),
            objects: files.iter().map(object).collect(),
            source,
            content: Map::new(),
        };
        for region in [HOME, AWAY] {
            let vault = self.bucket(region, VAULT);
            for (name, body) in files {
                vault.put(&format!("{prefix}{name}"), body.clone());
            }
            vault.put(&format!("{prefix}{MANIFEST}"), manifest.to_json());
        }
        id
    }

    /// ElastiCache still has the snapshot behind it.
    fn snapshot(&self, id: &RecoveryPointId) {
        self.caches.put_snapshot(Snapshot {
            name: id.to_string(),
            arn: format!("arn:aws:elasticache:us-east-1:123456789012:snapshot:{id}"),
            kind: CacheKind::ReplicationGroup,
            cache: "sessions".to_owned(),
            status: "available".to_owned(),
            shards: Vec::new(),
            engine: None,
            engine_version: None,
            created: None,
            tags: Tags::new(),
        });
    }

    /// All that no restore may change: the vault, and every cache but the new one.
    async fn untouched(&self) -> (BTreeMap<String, Bytes>, Option<Cache>) {
        use redis::elasticache::ElastiCache;
        let cache = self.caches.region(HOME).cache(CacheKind::ReplicationGroup, "sessions").await.unwrap();
        (self.vault.objects(), cache)
    }

    async fn made(&self, region: &str) -> Option<Cache> {
        use redis::elasticache::ElastiCache;
        let account = if region == HOME { &self.caches } else { &self.away };
        account.region(region).cache(CacheKind::ReplicationGroup, "sessions-2").await.unwrap()
    }
}

fn sessions() -> Cache {
    let mut cache = Cache::fake(CacheKind::ReplicationGroup, "sessions", "2026-01-01", 1);
    cache.settings.subnet_group = Some("private".to_owned());
    cache.settings.security_groups = vec!["sg-1".to_owned()];
    cache.settings.parameter_group = Some("sessions-valkey8".to_owned());
    cache.settings.replicas = 1;
    cache.tags = Tags::from([("tidemark:plan".to_owned(), "default".to_owned())]);
    cache
}

fn to(to: &str) -> Value {
    json!({"resource": "redis/sessions", "to": to, "as": "sessions-2"})
}

fn with(mut payload: Value, key: &str, value: impl Into<Value>) -> Value {
    payload[key] = value.into();
    payload
}

#[test]
fn a_source_is_what_the_manifest_keeps() {
    assert_eq!(Source::from_map(&sessions().source().to_map()).unwrap(), sessions().source());
}
