//! An ElastiCache control plane over real Valkey.
//!
//! It answers the ElastiCache Query protocol as AWS does (asynchronous states, validation, pagination, quotas, bucket
//! policies), and behind it the data is real: a shard is a `valkey-server` process, a snapshot its RDB file, an export
//! that file in S3, a restore a server that loaded it. Cluster mode is real, too: clients follow redirects between shards.
//!
//! A cache with the tag `local-cloud:data=simulated` has no server and its snapshots no keys; all else about it is the
//! same. What is told and not done: replicas (they have their primary's endpoint), encryption in transit and at rest.

mod actions;
mod documents;
mod faults;
mod identifiers;
mod objects;
mod plane;
mod policy;
mod quotas;
mod seed;
mod speed;
mod state;
mod steering;
mod tagging;
mod valkey;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

pub use aws_query::{Alone, Key, Keys, Processes, Response};
pub use objects::{Bucket, Encryption, Head, MemoryObjects, Objects, ObjectsError};
pub use quotas::Quotas;
pub use seed::{Seed, SeedKind, SeedSnapshot};
pub use speed::Speed;
pub use steering::Damage;

/// What the control plane is started with.
#[derive(Clone)]
pub struct Options {
    /// The AWS account: 12 digits.
    pub account: String,
    /// The folder for servers and snapshots. Made if absent. What we put there goes with [`LocalElastiCache::stop`].
    pub data: PathBuf,
    /// The folder with `valkey-server`.
    pub valkey: PathBuf,
    /// The least time of each transition.
    pub speed: Speed,
    /// Where KMS keys are looked up.
    pub keys: Arc<dyn Keys>,
    /// The way into S3.
    pub objects: Arc<dyn Objects>,
    /// The crash guard.
    pub processes: Arc<dyn Processes>,
}

/// Why the control plane cannot do what was asked of it outside the API.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The account is not 12 digits.
    #[error("{0:?} is not an AWS account number (12 digits)")]
    Account(String),
    /// Valkey cannot be used.
    #[error("cannot use Valkey")]
    Valkey(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// There is no such cache, or snapshot where one will do.
    #[error("there is no cache or snapshot {0}")]
    Cache(String),
    /// ElastiCache has no such status of a cache of that kind.
    #[error("{0:?} is not a status of a cache of that kind")]
    Status(String),
    /// An identifier that ElastiCache would refuse.
    #[error("{0:?} is not an identifier of a cache: letters, digits and single hyphens, a letter first")]
    Identifier(String),
}

/// The control plane. Clones share one state.
#[derive(Clone)]
pub struct LocalElastiCache {
    plane: Arc<plane::Plane>,
}

impl LocalElastiCache {
    /// Starts with no caches.
    pub async fn start(options: Options) -> Result<Self, Error> {
        if options.account.len() != 12 || !options.account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::Account(options.account));
        }
        Ok(Self { plane: plane::Plane::start(options).await? })
    }

    /// Answers one request of the signing name `elasticache`: `body` is `application/x-www-form-urlencoded`.
    pub async fn handle(&self, region: &str, body: &[u8]) -> Response {
        actions::answer(Arc::clone(&self.plane), region, body).await
    }

    /// Answers one request of the signing name `tagging` about things of ElastiCache: `target` is the header
    /// `X-Amz-Target`, `body` JSON. The Describe calls of ElastiCache tell no tags.
    pub fn handle_tagging(&self, region: &str, target: &str, body: &[u8]) -> Response {
        tagging::answer(&self.plane, region, target, body)
    }

    /// Changes the speed, also of transitions under way.
    pub fn set_speed(&self, speed: Speed) {
        self.plane.pace.set(speed);
    }

    /// The quotas, AWS's defaults at first.
    pub fn quotas(&self) -> Quotas {
        self.plane.quotas()
    }

    /// Changes the quotas.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.plane.set_quotas(quotas);
    }

    /// Adds simulated caches and snapshots to a Region at once: no waiting, no quotas.
    pub fn seed(&self, region: &str, seeds: impl IntoIterator<Item = Seed>) -> Result<(), Error> {
        self.plane.region(region, |region| {
            seeds.into_iter().try_for_each(|seed| {
                let id = seed.identifier.clone();
                seed::plant(&self.plane, region, seed).ok_or(Error::Identifier(id))
            })
        })
    }

    /// Stops every server and deletes the data. Nothing can be started afterwards.
    pub async fn stop(&self) {
        self.plane.stop().await;
    }
}
