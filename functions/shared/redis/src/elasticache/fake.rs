//! An ElastiCache account in memory: stateful, with a quota, whose time a test moves and whose calls a test can break.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Result};

use super::{
    Cache, CacheKind, ClusterMode, ElastiCache, NewSnapshot, Restore, RestoreFrom, Settings, Shard, Snapshot,
    SnapshotState, Tags, Teardown, teardown,
};
use crate::server::Server;

/// The account, in its one Region.
#[derive(Clone, Debug, Default)]
pub struct FakeAccount(Arc<Mutex<State>>);

/// By kind of API, which a replication group and a cluster share, and name.
type Key = (bool, String);

#[derive(Debug, Default)]
struct State {
    now: Timestamp,
    caches: BTreeMap<(CacheKind, String), Cache>,
    snapshots: BTreeMap<Key, Snapshot>,
    /// Whom a snapshot was taken of, and when: deleted ones count too.
    taken: Vec<(CacheKind, String, Timestamp)>,
    exporting: Vec<(Key, String)>,
    exported: Vec<String>,
    tags_lag: bool,
    faults: VecDeque<(&'static str, Fault)>,
    calls: Vec<String>,
}

#[derive(Debug)]
enum Fault {
    Refuse(Error),
    LoseAnswer,
}

fn key(kind: CacheKind, name: &str) -> Key {
    (kind == CacheKind::Serverless, name.to_owned())
}

impl FakeAccount {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its ElastiCache, which calls itself by that Region's name.
    pub fn region(&self, region: &str) -> FakeElastiCache {
        FakeElastiCache { account: self.clone(), region: region.to_owned() }
    }

    /// Sets the clock by which things are stamped.
    pub fn set_now(&self, now: Timestamp) {
        self.state().now = now;
    }

    /// Adds or replaces a cache.
    pub fn put_cache(&self, cache: Cache) {
        self.state().caches.insert((cache.kind, cache.name.clone()), cache);
    }

    /// Removes a cache; its snapshots stay.
    pub fn remove_cache(&self, kind: CacheKind, name: &str) {
        self.state().caches.remove(&(kind, name.to_owned()));
    }

    /// Adds or replaces a snapshot.
    pub fn put_snapshot(&self, snapshot: Snapshot) {
        self.state().snapshots.insert(key(snapshot.kind, &snapshot.name), snapshot);
    }

    /// Somebody deletes a snapshot.
    pub fn remove_snapshot(&self, kind: CacheKind, name: &str) {
        self.state().snapshots.remove(&key(kind, name));
    }

    /// Whether lists show snapshots without their tags, as they do for a while after each was made.
    pub fn let_tags_lag(&self, lag: bool) {
        self.state().tags_lag = lag;
    }

    /// The cloud finishes whatever it was doing. The objects that its exports wrote: bucket, key, and of which shard.
    pub fn finish(&self) -> Vec<(String, String, String)> {
        let mut state = self.state();
        state.caches.retain(|_, cache| cache.status != "deleting");
        for cache in state.caches.values_mut() {
            "available".clone_into(&mut cache.status);
        }
        for snapshot in state.snapshots.values_mut() {
            if snapshot.state() != SnapshotState::Failed {
                "available".clone_into(&mut snapshot.status);
            }
        }
        let mut written = Vec::new();
        for (key, bucket) in std::mem::take(&mut state.exporting) {
            let Some(snapshot) = state.snapshots.get(&key) else { continue };
            let shards = match snapshot.shards.as_slice() {
                [] => vec!["0001".to_owned()],
                shards => shards.iter().map(|shard| shard.id.clone()).collect(),
            };
            let name = snapshot.name.clone();
            for shard in shards {
                let object = format!("{name}-{shard}.rdb");
                state.exported.push(object.clone());
                written.push((bucket.clone(), object, shard));
            }
        }
        written
    }

    /// The cloud gives up on that snapshot.
    pub fn fail_snapshot(&self, kind: CacheKind, name: &str) {
        if let Some(snapshot) = self.state().snapshots.get_mut(&key(kind, name)) {
            "failed".clone_into(&mut snapshot.status);
        }
    }

    /// The next call of `operation` (`CreateSnapshot`, as AWS names it for caches with nodes) answers `error` and does nothing.
    pub fn refuse_next(&self, operation: &'static str, error: Error) {
        self.state().faults.push_back((operation, Fault::Refuse(error)));
    }

    /// The next call of `operation` takes effect, and its answer is lost.
    pub fn lose_answer_of_next(&self, operation: &'static str) {
        self.state().faults.push_back((operation, Fault::LoseAnswer));
    }

    /// Every call so far: `CreateSnapshot tidemark-…`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The snapshots there are.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.state().snapshots.values().cloned().collect()
    }
}

impl Cache {
    /// A Valkey cache that is available: of one shard, or of `shards` in cluster mode; without tags.
    pub fn fake(kind: CacheKind, name: &str, created: &str, shards: u32) -> Self {
        let place = match kind {
            CacheKind::ReplicationGroup => "replicationgroup",
            CacheKind::Cluster => "cluster",
            CacheKind::Serverless => "serverlesscache",
        };
        let shard = |number| Shard { id: format!("{number:04}"), slots: None };
        let settings = Settings {
            engine: "valkey".to_owned(),
            engine_version: Some("8.1.0".to_owned()),
            node_type: (kind != CacheKind::Serverless).then(|| "cache.t4g.small".to_owned()),
            shards: if kind == CacheKind::Serverless {
                Vec::new()
            } else {
                (1..=shards).map(shard).collect()
            },
            cluster_mode: if shards > 1 { ClusterMode::Enabled } else { ClusterMode::Disabled },
            ..Settings::default()
        };
        Self {
            name: name.to_owned(),
            kind,
            arn: format!("arn:aws:elasticache:us-east-1:123456789012:{place}:{name}"),
            incarnation: created.to_owned(),
            status: "available".to_owned(),
            endpoint: Some(Server { host: format!("{name}.cache.example"), port: 6379, tls: true }),
            settings,
            tags: Tags::new(),
        }
    }
}

/// The ElastiCache of a [`FakeAccount`].
#[derive(Clone, Debug)]
pub struct FakeElastiCache {
    account: FakeAccount,
    region: String,
}

impl FakeElastiCache {
    /// Records the call, meets its fault if one waits, and otherwise lets `effect` happen.
    fn call<T>(
        &self,
        operation: &'static str,
        on: &str,
        effect: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let mut state = self.account.state();
        state.calls.push(format!("{operation} {on}").trim_end().to_owned());
        let fault = state.faults.iter().position(|(at, _)| *at == operation);
        match fault.and_then(|at| state.faults.remove(at)) {
            Some((_, Fault::Refuse(error))) => Err(error),
            Some((_, Fault::LoseAnswer)) => {
                effect(&mut state)?;
                Err(Error::retryable("RequestTimedOut", "the answer was lost"))
            }
            None => effect(&mut state),
        }
    }
}

/// The codes that ElastiCache has twice: for caches with nodes, and for serverless ones.
fn code(kind: CacheKind, nodes: &'static str, serverless: &'static str) -> &'static str {
    if kind == CacheKind::Serverless { serverless } else { nodes }
}

fn not_found(kind: CacheKind, name: &str) -> Error {
    let code = code(kind, "SnapshotNotFoundFault", "ServerlessCacheSnapshotNotFoundFault");
    Error::permanent(code, format!("{name} is not there"))
}

fn take(state: &mut State, new: &NewSnapshot) -> Result<Snapshot> {
    let NewSnapshot { kind, cache: of, id, tags } = new;
    let key = key(*kind, id.as_str());
    if state.snapshots.contains_key(&key) {
        let code = code(*kind, "SnapshotAlreadyExistsFault", "ServerlessCacheSnapshotAlreadyExistsFault");
        return Err(Error::permanent(code, format!("{id} exists")));
    }
    let Some(cache) = state.caches.get_mut(&(*kind, of.clone())) else {
        let code = code(*kind, "CacheClusterNotFound", "ServerlessCacheNotFoundFault");
        return Err(Error::permanent(code, format!("{of} is not there")));
    };
    if cache.status != "available" {
        let code = code(*kind, "InvalidReplicationGroupState", "InvalidServerlessCacheStateFault");
        return Err(Error::retryable(code, format!("{of} is {}", cache.status)));
    }
    let day_ago = state.now - SignedDuration::from_hours(24);
    let today =
        |(kind, name, at): &&(CacheKind, String, Timestamp)| (kind, name) == (&new.kind, of) && *at > day_ago;
    if state.taken.iter().filter(today).count() >= kind.snapshots_a_day() {
        let code = code(*kind, "SnapshotQuotaExceededFault", "ServerlessCacheSnapshotQuotaExceededFault");
        return Err(Error::misconfigured(code, "the quota of manual snapshots is used up"));
    }
    let place = code(*kind, "snapshot", "serverlesssnapshot");
    let snapshot = Snapshot {
        name: id.to_string(),
        arn: format!("arn:aws:elasticache:us-east-1:123456789012:{place}:{id}"),
        kind: *kind,
        cache: of.clone(),
        status: "creating".to_owned(),
        shards: cache.settings.shards.clone(),
        engine: Some(cache.settings.engine.clone()),
        engine_version: cache.settings.engine_version.clone(),
        created: Some(state.now),
        tags: tags.clone(),
    };
    "snapshotting".clone_into(&mut cache.status);
    state.taken.push((*kind, of.clone(), state.now));
    state.snapshots.insert(key, snapshot.clone());
    Ok(snapshot)
}

fn export(state: &mut State, kind: CacheKind, name: &str, bucket: &str) -> Result<()> {
    let key = key(kind, name);
    let snapshot = state.snapshots.get_mut(&key).ok_or_else(|| not_found(kind, name))?;
    if snapshot.state() != SnapshotState::Available {
        let code = code(kind, "InvalidSnapshotState", "InvalidServerlessCacheSnapshotStateFault");
        return Err(Error::retryable(code, format!("{name} is {}", snapshot.status)));
    }
    if let Some(object) = state.exported.iter().find(|object| object.starts_with(&format!("{name}-0"))) {
        let says = format!("The S3 bucket {bucket} already contains an object with key {object}.");
        return Err(Error::misconfigured("InvalidParameterValue", says));
    }
    "exporting".clone_into(&mut snapshot.status);
    state.exporting.push((key, bucket.to_owned()));
    Ok(())
}

/// The states in which a cache can be deleted. ElastiCache itself names them of a node: "Can only delete cache clusters with
/// state in: available, failed, incompatible-parameters, incompatible-network, restore-failed" (hashicorp/terraform, pull
/// request 1331).
fn can_be_deleted(status: &str) -> bool {
    status == "available" || status.contains("failed") || status.starts_with("incompatible")
}

impl ElastiCache for FakeElastiCache {
    fn region(&self) -> &str {
        &self.region
    }

    async fn caches(&self) -> Result<Vec<Cache>> {
        self.call("DescribeCaches", "", |state| Ok(state.caches.values().cloned().collect()))
    }

    async fn cache(&self, kind: CacheKind, name: &str) -> Result<Option<Cache>> {
        self.call("DescribeCaches", name, |state| Ok(state.caches.get(&(kind, name.to_owned())).cloned()))
    }

    async fn snapshots(&self) -> Result<Vec<Snapshot>> {
        self.call("DescribeSnapshots", "", |state| {
            let mut snapshots: Vec<Snapshot> = state.snapshots.values().cloned().collect();
            if state.tags_lag {
                for snapshot in &mut snapshots {
                    snapshot.tags.clear();
                }
            }
            Ok(snapshots)
        })
    }

    async fn snapshot(&self, kind: CacheKind, name: &str) -> Result<Option<Snapshot>> {
        self.call("DescribeSnapshots", name, |state| Ok(state.snapshots.get(&key(kind, name)).cloned()))
    }

    async fn tags(&self, arn: &str) -> Result<Tags> {
        self.call("ListTagsForResource", arn, |state| {
            let snapshot = state.snapshots.values().find(|snapshot| snapshot.arn == arn);
            let cache = || state.caches.values().find(|cache| cache.arn == arn).map(|cache| &cache.tags);
            let tags = snapshot.map(|snapshot| &snapshot.tags).or_else(cache).cloned();
            tags.ok_or_else(|| not_found(CacheKind::Cluster, arn))
        })
    }

    async fn take(&self, new: &NewSnapshot) -> Result<Snapshot> {
        self.call("CreateSnapshot", new.id.as_str(), |state| take(state, new))
    }

    async fn export(&self, kind: CacheKind, snapshot: &str, bucket: &str) -> Result<()> {
        self.call("CopySnapshot", snapshot, |state| export(state, kind, snapshot, bucket))
    }

    async fn delete(&self, kind: CacheKind, snapshot: &str) -> Result<()> {
        self.call("DeleteSnapshot", snapshot, |state| {
            let gone = state.snapshots.remove(&key(kind, snapshot));
            gone.map(drop).ok_or_else(|| not_found(kind, snapshot))
        })
    }

    async fn create(&self, new: &Restore) -> Result<Cache> {
        self.call("CreateCache", &new.name, |state| {
            let key = (new.kind, new.name.clone());
            if state.caches.contains_key(&key) {
                let code =
                    code(new.kind, "ReplicationGroupAlreadyExists", "ServerlessCacheAlreadyExistsFault");
                return Err(Error::permanent(code, format!("{} exists", new.name)));
            }
            if let RestoreFrom::Snapshot(name) | RestoreFrom::ServerlessSnapshot { name, .. } = &new.from
                && !state.snapshots.values().any(|snapshot| snapshot.name == *name)
            {
                return Err(not_found(new.kind, name));
            }
            // A token is for caches that have no users.
            if new.auth_token.is_some() != new.settings.auth_token {
                let says = "AuthToken goes with AuthTokenEnabled, and with nothing else";
                return Err(Error::permanent("InvalidParameterCombination", says));
            }
            let made = Cache {
                status: "creating".to_owned(),
                endpoint: None,
                settings: new.settings.clone(),
                tags: new.tags.clone(),
                ..Cache::fake(new.kind, &new.name, &state.now.to_string(), 1)
            };
            state.caches.insert(key, made.clone());
            Ok(made)
        })
    }
}

impl Teardown for FakeElastiCache {
    async fn delete_cache(&self, kind: CacheKind, name: &str) -> Result<()> {
        teardown::check(kind, name)?;
        self.call("DeleteCache", name, |state| {
            let Some(cache) = state.caches.get_mut(&(kind, name.to_owned())) else { return Ok(()) };
            if !can_be_deleted(&cache.status) {
                let code = match kind {
                    CacheKind::ReplicationGroup => "InvalidReplicationGroupState",
                    CacheKind::Cluster => "InvalidCacheClusterState",
                    CacheKind::Serverless => "InvalidServerlessCacheStateFault",
                };
                return Err(Error::retryable(code, format!("{name} is {}", cache.status)));
            }
            "deleting".clone_into(&mut cache.status);
            Ok(())
        })
    }
}
