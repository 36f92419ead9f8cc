use std::future::Future;

use domain::RecoveryPointId;
use jiff::Timestamp;
use reconcile::Result;
use secrecy::SecretString;

use super::{Cache, CacheKind, Settings, Shard, Tags};

/// A snapshot that somebody asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Of a cache of which sort; the calls differ.
    pub kind: CacheKind,
    /// That cache's name.
    pub cache: String,
    /// `creating`, `available`, `copying`, `exporting`, `restoring`, `deleting`, `failed`, in lower case.
    pub status: String,
    /// The shards in it, with their slots; ElastiCache tells none of a serverless cache's snapshot.
    pub shards: Vec<Shard>,
    /// `redis` or `valkey`.
    pub engine: Option<String>,
    /// The engine's version when it was taken.
    pub engine_version: Option<String>,
    /// As of when it holds the data: of several shards the earliest instant. `None` while ElastiCache does not tell.
    pub created: Option<Timestamp>,
    /// Its tags, as far as the index of tags has them, which lags behind: see [`ElastiCache::tags`].
    pub tags: Tags,
}

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotState {
    /// ElastiCache works on it: makes, copies, exports or restores it.
    Busy,
    /// It is there and idle.
    Available,
    /// It will never be available.
    Failed,
}

impl Snapshot {
    /// How far it has come.
    pub fn state(&self) -> SnapshotState {
        match self.status.as_str() {
            "available" => SnapshotState::Available,
            status if status.contains("fail") || status.starts_with("incompatible") => SnapshotState::Failed,
            _ => SnapshotState::Busy,
        }
    }
}

/// A snapshot to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Of a cache of which sort.
    pub kind: CacheKind,
    /// Of which cache.
    pub cache: String,
    /// Under which name.
    pub id: RecoveryPointId,
    /// With which tags.
    pub tags: Tags,
}

/// A cache to be made from a backup.
#[derive(Clone, Debug)]
pub struct Restore {
    /// Which sort.
    pub kind: CacheKind,
    /// Its name: 1 to 40 letters, digits and single hyphens, a letter first (`CreateReplicationGroup`); a cluster's 1 to 50.
    pub name: String,
    /// From what.
    pub from: RestoreFrom,
    /// What it is made with: the source's settings, as far as the caller does not want others.
    pub settings: Settings,
    /// The password that clients need, where the settings say that they need one.
    pub auth_token: Option<SecretString>,
    /// Its tags.
    pub tags: Tags,
}

/// What to restore from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreFrom {
    /// The snapshot of that name, of a cache with nodes.
    Snapshot(String),
    /// The snapshot of that name and ARN, of a serverless cache.
    ServerlessSnapshot {
        /// Its name.
        name: String,
        /// Its ARN.
        arn: String,
    },
    /// RDB files in S3, by ARN (`arn:aws:s3:::bucket/key`), one for each shard in the order of the settings' shards.
    Objects(Vec<String>),
}

/// One Region of an account's ElastiCache.
///
/// Lists are complete: every page is read. Errors carry AWS's own codes.
pub trait ElastiCache {
    /// Which Region.
    fn region(&self) -> &str;
    /// All caches of the three sorts, tags included (a call per 100 replication groups, nodes and tagged resources, and per
    /// 50 serverless caches).
    fn caches(&self) -> impl Future<Output = Result<Vec<Cache>>>;
    /// The cache of that name, with its tags as they are now; while it is being made or deleted, as the index of tags has them,
    /// and if that has none yet, `Invalid…State…`, which passes.
    fn cache(&self, kind: CacheKind, name: &str) -> impl Future<Output = Result<Option<Cache>>>;
    /// All manual snapshots of the three sorts, tags included (a call per 50, and per 100 that Tidemark made).
    fn snapshots(&self) -> impl Future<Output = Result<Vec<Snapshot>>>;
    /// The snapshot of that name, with its tags as they are now.
    fn snapshot(&self, kind: CacheKind, name: &str) -> impl Future<Output = Result<Option<Snapshot>>>;
    /// The tags of a resource as they are now.
    fn tags(&self, arn: &str) -> impl Future<Output = Result<Tags>>;
    /// Takes a snapshot. `SnapshotAlreadyExistsFault` or `ServerlessCacheSnapshotAlreadyExistsFault` if the name is taken.
    fn take(&self, new: &NewSnapshot) -> impl Future<Output = Result<Snapshot>>;
    /// Begins to export a snapshot into a bucket of the Region, as `<snapshot>-0001.rdb` and so on, one object a shard.
    /// An error if there is one already.
    fn export(&self, kind: CacheKind, snapshot: &str, bucket: &str) -> impl Future<Output = Result<()>>;
    /// Deletes a snapshot. `SnapshotNotFoundFault` or `ServerlessCacheSnapshotNotFoundFault` if it is gone.
    fn delete(&self, kind: CacheKind, snapshot: &str) -> impl Future<Output = Result<()>>;
    /// Makes a cache from a backup. `…AlreadyExists…` if the name is taken.
    fn create(&self, new: &Restore) -> impl Future<Output = Result<Cache>>;
}
