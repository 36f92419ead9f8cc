//! What the control plane knows: Regions with caches and snapshots.

mod cache;
mod region;
mod snapshot;

pub(crate) use aws_query::Tags;
pub(crate) use cache::{Cache, CacheStatus, Data, Kind, Settings, Shard, Traits, shards};
pub(crate) use region::Region;
pub(crate) use snapshot::{Form, Snapshot, SnapshotSource, SnapshotStatus};
