//! Snapshots of caches.

use std::sync::Arc;
use std::time::Instant;

use crate::plane::Plane;
use crate::state::{
    Cache, CacheStatus, Data, Kind, Region, Snapshot, SnapshotSource, SnapshotStatus, Tags, Traits,
};
use crate::valkey::{Dumps, Error, Fleet};

/// A snapshot of a cache, about to be made. A node-based cache is `snapshotting` from here on; a serverless one stays
/// available.
pub(crate) fn new_snapshot(
    name: String,
    number: u64,
    cache: &mut Cache,
    key: Option<String>,
    tags: Tags,
) -> Snapshot {
    if cache.traits.kind != Kind::Serverless {
        cache.status = CacheStatus::Snapshotting;
    }
    Snapshot {
        name,
        form: cache.traits.kind.form(),
        number,
        source: SnapshotSource::Manual,
        status: SnapshotStatus::Creating,
        traits: cache.traits.clone(),
        taken: None,
        key,
        tags,
        data: None,
    }
}

/// Takes a snapshot from `creating` to `available`, and its cache out of `snapshotting`.
pub(crate) async fn snapshot(plane: Arc<Plane>, region: String, cache: u64, snapshot: Snapshot) {
    take(&plane, &region, cache, &snapshot).await;
    plane.region(&region, |region| rest(region, cache));
}

/// The cache is available again, unless it is up to something else by now.
fn rest(region: &mut Region, number: u64) {
    if let Some(cache) = region.numbered_cache(number)
        && cache.status == CacheStatus::Snapshotting
    {
        cache.status = CacheStatus::Available;
    }
}

/// Makes a snapshot. Whether it became available.
pub(super) async fn take(plane: &Plane, region: &str, cache: u64, snapshot: &Snapshot) -> bool {
    let since = Instant::now();
    // What was written before the dump begins is in it for sure: that is the instant it stands for.
    let taken = plane.clock.now();
    let data =
        plane.region(region, |region| region.numbered_cache(cache).map_or(Data::None, |it| it.data.clone()));
    let made = if plane.fails(region, &snapshot.traits.cache) {
        Err(Error::Dump { status: "told to fail".to_owned() })
    } else {
        match data {
            Data::Simulated => Ok(None),
            Data::Real(fleet) => dump(plane, &fleet, &snapshot.traits).await.map(|it| Some(Arc::new(it))),
            Data::None => Err(Error::Gone),
        }
    };
    plane.pace.at_least(since, |speed| speed.snapshot).await;
    plane.region(region, |region| {
        let Some(found) = region.numbered_snapshot(snapshot.number) else { return false };
        match made {
            Ok(data) => {
                found.status = SnapshotStatus::Available;
                found.taken = Some(taken);
                found.data = data;
                true
            }
            Err(error) => {
                tracing::warn!(
                    snapshot = snapshot.name,
                    error = &error as &dyn std::error::Error,
                    "a snapshot failed"
                );
                found.status = SnapshotStatus::Failed;
                false
            }
        }
    })
}

async fn dump(plane: &Plane, fleet: &Fleet, traits: &Traits) -> Result<Dumps, Error> {
    let folder = plane.install.folder("snapshot-")?;
    let paths = Dumps::paths(folder.path(), traits.shards.len());
    fleet.dump(&paths).await?;
    Dumps::of(folder, &paths)
}
