//! ElastiCache as Tidemark sees it.
//!
//! [`ElastiCache`] is the port: one Region of one account, in our own types. [`AwsElastiCache`] speaks to AWS; `FakeElastiCache`
//! (feature `fake`) is an account in memory whose time a test moves. [`ensure`] holds what makes asking twice harmless.
//! [`Teardown`] is apart, so that a function's bounds say whether it may delete caches.

mod adapter;
mod cache;
mod convert;
pub mod ensure;
#[cfg(feature = "fake")]
mod fake;
mod port;
mod restore;
mod teardown;

pub use adapter::AwsElastiCache;
pub use cache::{Cache, CacheKind, ClusterMode, Settings, Shard, Source, Tags, UsageLimits};
#[cfg(feature = "fake")]
pub use fake::{FakeAccount, FakeElastiCache};
pub use port::{ElastiCache, NewSnapshot, Restore, RestoreFrom, Snapshot, SnapshotState};
pub use teardown::Teardown;
