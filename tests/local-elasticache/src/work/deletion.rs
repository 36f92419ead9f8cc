//! Deletion of caches and snapshots.

use std::sync::Arc;
use std::time::Instant;

use super::snapshots::take;
use crate::plane::Plane;
use crate::state::{CacheStatus, Data, Snapshot, SnapshotStatus};

/// What is to be left of a cache.
pub(crate) struct Deletion {
    pub(crate) cache: u64,
    pub(crate) final_snapshot: Option<Snapshot>,
}

/// Takes a cache from `deleting` to nothing.
pub(crate) async fn delete(plane: Arc<Plane>, region: String, deletion: Deletion) {
    let number = deletion.cache;
    if let Some(snapshot) = &deletion.final_snapshot
        && !take(&plane, &region, number, snapshot).await
    {
        // Without its final snapshot the cache stays: it would be all that is left of the data.
        plane.region(&region, |region| {
            if let Some(cache) = region.numbered_cache(number) {
                cache.status = CacheStatus::Available;
            }
        });
        return;
    }
    let since = Instant::now();
    let data = plane.region(&region, |region| {
        region.numbered_cache(number).map(|cache| std::mem::replace(&mut cache.data, Data::None))
    });
    if let Some(Data::Real(fleet)) = &data {
        fleet.stop().await;
    }
    plane.pace.at_least(since, |speed| speed.delete).await;
    plane.region(&region, |region| region.caches.retain(|_, cache| cache.number != number));
}

/// Takes a snapshot from `deleting` to nothing. Its files go when nobody reads from them any more.
pub(crate) async fn delete_snapshot(plane: Arc<Plane>, region: String, number: u64) {
    plane.pace.at_least(Instant::now(), |speed| speed.delete).await;
    plane.region(&region, |region| {
        region.snapshots.retain(|_, it| it.number != number || it.status != SnapshotStatus::Deleting);
    });
}
