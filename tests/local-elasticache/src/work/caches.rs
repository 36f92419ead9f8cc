//! New caches: empty, from a snapshot, from files in S3.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::Speed;
use crate::identifiers::ObjectArn;
use crate::plane::Plane;
use crate::state::{CacheStatus, Data, Region, SnapshotStatus};
use crate::valkey::{Contents, Dumps, Error, Fleet, Plan};

/// How a new cache comes by its data.
pub(crate) enum Origin {
    New,
    Snapshot {
        number: u64,
        /// Nothing of a simulated one.
        data: Option<Arc<Dumps>>,
    },
    Objects(Vec<ObjectArn>),
}

impl Origin {
    fn least(&self) -> fn(&Speed) -> Duration {
        match self {
            Self::New => |speed| speed.create,
            Self::Snapshot { .. } | Self::Objects(_) => |speed| speed.restore,
        }
    }
}

/// Takes a cache from `creating` to `available`, or to `create-failed`.
pub(crate) async fn bring_up(plane: Arc<Plane>, region: String, number: u64, origin: Origin) {
    let since = Instant::now();
    let cache = plane.region(&region, |region| region.numbered_cache(number).cloned());
    let Some(cache) = cache else { return };
    let built = if cache.traits.simulated {
        Ok(Data::Simulated)
    } else {
        let plan = Plan {
            slots: cache.traits.shards.iter().map(|shard| shard.slots).collect(),
            cluster_mode: cache.traits.cluster_mode,
            password: cache.settings.auth_token.clone(),
        };
        build(&plane, &plan, &origin).await.map(|fleet| Data::Real(Arc::new(fleet)))
    };
    plane.pace.at_least(since, origin.least()).await;
    let now = plane.clock.now();
    plane.region(&region, |region| {
        if let Origin::Snapshot { number, .. } = origin {
            rest(region, number, SnapshotStatus::Restoring);
        }
        let Some(cache) = region.numbered_cache(number) else { return };
        match built {
            Ok(data) => {
                cache.status = CacheStatus::Available;
                cache.traits.created = Some(now);
                cache.data = data;
            }
            Err(error) => {
                tracing::warn!(
                    cache = cache.traits.cache,
                    error = &error as &dyn std::error::Error,
                    "a cache was not made"
                );
                cache.status = CacheStatus::Failed;
            }
        }
    });
}

/// A snapshot is available again, unless it is up to something else by now.
pub(super) fn rest(region: &mut Region, number: u64, after: SnapshotStatus) {
    if let Some(snapshot) = region.numbered_snapshot(number)
        && snapshot.status == after
    {
        snapshot.status = SnapshotStatus::Available;
    }
}

async fn build(plane: &Plane, plan: &Plan, origin: &Origin) -> Result<Fleet, Error> {
    let contents = match origin {
        Origin::New => Contents::Nothing,
        Origin::Snapshot { data, .. } => Contents::Files(data.clone().ok_or(Error::Gone)?),
        Origin::Objects(objects) => Contents::Files(Arc::new(fetch(plane, objects).await?)),
    };
    Fleet::start(&plane.install, plan, &contents).await
}

async fn fetch(plane: &Plane, objects: &[ObjectArn]) -> Result<Dumps, Error> {
    let folder = plane.install.folder("fetched-")?;
    let paths = Dumps::paths(folder.path(), objects.len());
    for (object, to) in objects.iter().zip(&paths) {
        plane.objects.get(&object.bucket, &object.key, to).await.map_err(Error::Objects)?;
    }
    Dumps::of(folder, &paths)
}
