//! New instances: created, restored from a snapshot, restored to a point in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::backups;
use crate::Speed;
use crate::events::Notice;
use crate::plane::Plane;
use crate::postgres::{Archive, Cluster, Error, Folder, Master};
use crate::state::{Data, Instance, InstanceStatus, Region, Store};

/// How a new instance comes by its data.
pub(crate) enum Origin {
    New(Master),
    Snapshot {
        id: String,
        backup: Option<Arc<Folder>>,
    },
    PointInTime {
        /// The source's identifier.
        source: String,
        target: Timestamp,
        store: Store,
    },
}

impl Origin {
    fn least(&self) -> fn(&Speed) -> Duration {
        match self {
            Self::New(_) => |speed| speed.create,
            Self::Snapshot { .. } | Self::PointInTime { .. } => |speed| speed.restore,
        }
    }

    fn notice(&self, identifier: &str) -> Notice {
        match self {
            Self::New(_) | Self::Snapshot { .. } => Notice::instance_created(),
            Self::PointInTime { source, .. } => Notice::recovered(source, identifier),
        }
    }
}

/// Takes an instance from `creating` to `available`.
pub(crate) async fn bring_up(plane: Arc<Plane>, region: String, resource_id: String, origin: Origin) {
    let since = Instant::now();
    let traits =
        plane.region(&region, |region| region.by_resource(&resource_id).map(|found| found.traits.clone()));
    let Some(traits) = traits else { return };
    let built = if traits.simulated {
        Ok((None, None))
    } else {
        build(&plane, &origin, traits.retention_days > 0).await.map(|(made, wal)| (Some(made), wal))
    };
    plane.pace.at_least(since, origin.least()).await;
    match built {
        Ok((cluster, archive)) => {
            let cluster = cluster.map(Arc::new);
            if !open(&plane, &region, &resource_id, &origin, cluster.clone()) {
                // Deleted in the meantime.
                if let Some(cluster) = cluster {
                    cluster.server.stop().await;
                    drop(tokio::task::spawn_blocking(move || drop((cluster, archive))));
                }
                return;
            }
            if traits.retention_days > 0 {
                backups::switch_on(&plane, &region, &resource_id, archive).await;
            }
        }
        Err(error) => fail(&plane, &region, &resource_id, &error),
    }
}

async fn build(
    plane: &Plane,
    origin: &Origin,
    backups: bool,
) -> Result<(Cluster, Option<Arc<Archive>>), Error> {
    let clusters = &plane.clusters;
    let archive = if backups { Some(clusters.archive()?) } else { None };
    let to = archive.as_deref();
    let cluster = match origin {
        Origin::New(master) => clusters.create(master, to).await?,
        Origin::Snapshot { backup: Some(backup), .. } => clusters.restore(backup, to).await?,
        Origin::PointInTime { target, store: Store::Real(source), .. } => {
            let (backup, target) = source.route(*target).ok_or(Error::Interrupted)?;
            clusters.recover(&backup, source, target, to).await?
        }
        Origin::Snapshot { backup: None, .. }
        | Origin::PointInTime { store: Store::Simulated { .. }, .. } => {
            return Err(Error::Interrupted);
        }
    };
    Ok((cluster, archive))
}

/// Clients can connect from here on, unless the instance was deleted while it was made.
fn open(
    plane: &Arc<Plane>,
    region: &str,
    resource_id: &str,
    origin: &Origin,
    cluster: Option<Arc<Cluster>>,
) -> bool {
    let (watched, now) = (cluster.clone(), plane.clock.now());
    let is_open = plane.region(region, |region| {
        let name = region.name.clone();
        let Some(instance) = living(region, resource_id) else { return false };
        let identifier = instance.traits.instance.clone();
        instance.traits.created = Some(now);
        instance.status = if instance.traits.retention_days > 0 {
            InstanceStatus::BackingUp
        } else {
            InstanceStatus::Available
        };
        if let Some(cluster) = cluster {
            instance.traits.port = cluster.endpoint.port;
            instance.address = Some("127.0.0.1".to_owned());
            instance.data = Data::Real { cluster, archiver: None };
        } else {
            instance.address = Some(format!("{identifier}.simulated.{name}.rds.amazonaws.com"));
            instance.data = Data::Simulated;
        }
        region.instance_event(&identifier, origin.notice(&identifier));
        if let Origin::Snapshot { id, .. } = origin {
            region.snapshot_event(id, Notice::restored(id));
        }
        true
    });
    if let Some(cluster) = watched.filter(|_| is_open) {
        watch(plane, region, resource_id, cluster);
    }
    is_open
}

/// The instance, unless it is gone or going.
fn living<'r>(region: &'r mut Region, resource_id: &str) -> Option<&'r mut Instance> {
    region.by_resource(resource_id).filter(|instance| instance.status != InstanceStatus::Deleting)
}

/// A server that ends without having been told to has failed.
fn watch(plane: &Arc<Plane>, region: &str, resource_id: &str, cluster: Arc<Cluster>) {
    let (shared, region, resource_id) = (Arc::clone(plane), region.to_owned(), resource_id.to_owned());
    plane.tasks.spawn(async move {
        cluster.server.ended().await;
        let deleted = shared.region(&region, |region| living(region, &resource_id).is_none());
        if !deleted {
            fail(&shared, &region, &resource_id, &Error::Ended { log: String::new() });
        }
    });
}

fn fail(plane: &Plane, region: &str, resource_id: &str, error: &Error) {
    tracing::warn!(region, resource_id, error = error as &dyn std::error::Error, "an instance failed");
    plane.region(region, |region| {
        let Some(instance) = living(region, resource_id) else { return };
        instance.status = InstanceStatus::Failed;
        let identifier = instance.traits.instance.clone();
        region.instance_event(&identifier, Notice::instance_failed());
    });
}
