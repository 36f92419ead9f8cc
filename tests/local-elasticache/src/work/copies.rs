//! Copies of snapshots within ElastiCache.

use std::sync::Arc;
use std::time::Instant;

use super::caches::rest;
use crate::plane::Plane;
use crate::state::{Snapshot, SnapshotStatus};

/// Takes a copy from `creating` to `available`, and its source out of `copying`. Files are never changed, so the copy
/// has the source's.
pub(crate) async fn copy(plane: Arc<Plane>, region: String, source: Snapshot, target: u64) {
    plane.pace.at_least(Instant::now(), |speed| speed.copy).await;
    plane.region(&region, |region| {
        rest(region, source.number, SnapshotStatus::Copying);
        if let Some(found) = region.numbered_snapshot(target) {
            found.status = SnapshotStatus::Available;
            found.data = source.data;
        }
    });
}
