//! Snapshots of instances.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use crate::events::Notice;
use crate::plane::Plane;
use crate::postgres::{Error, Folder};
use crate::state::{Data, Instance, InstanceStatus, Region, Snapshot, SnapshotKind, SnapshotStatus, Tags};

/// A snapshot of an instance, about to be made. The instance is `backing-up` from here on.
pub(crate) fn new_snapshot(
    id: String,
    number: u64,
    kind: SnapshotKind,
    instance: &mut Instance,
    tags: Tags,
) -> Snapshot {
    instance.status = InstanceStatus::BackingUp;
    Snapshot {
        id,
        number,
        kind,
        status: SnapshotStatus::Creating(Instant::now()),
        traits: instance.traits.clone(),
        taken: None,
        original: None,
        source_arn: None,
        source_region: None,
        copy: false,
        tags,
        shared_with: BTreeSet::new(),
        data: None,
    }
}

/// Takes a snapshot from `creating` to `available`, and its instance out of `backing-up`.
pub(crate) async fn snapshot(plane: Arc<Plane>, region: String, snapshot: Snapshot) {
    take(&plane, &region, &snapshot).await;
    plane.region(&region, |region| rest(region, &snapshot.traits.resource_id));
}

/// The instance is available again, unless it is up to something else by now.
pub(super) fn rest(region: &mut Region, resource_id: &str) {
    if let Some(instance) = region.by_resource(resource_id)
        && instance.status == InstanceStatus::BackingUp
    {
        instance.status = InstanceStatus::Available;
    }
}

/// Makes a snapshot. Returns its data if it became available.
pub(super) async fn take(plane: &Plane, region: &str, snapshot: &Snapshot) -> Option<Option<Arc<Folder>>> {
    let since = Instant::now();
    // What was committed before the backup begins is in it for sure: that is the instant it stands for.
    let taken = plane.clock.now();
    let resource_id = &snapshot.traits.resource_id;
    let data = plane.region(region, |region| {
        region.instance_event(&snapshot.traits.instance, Notice::backing_up());
        region.snapshot_event(
            &snapshot.id,
            match snapshot.kind {
                SnapshotKind::Manual => Notice::snapshot_started(),
                SnapshotKind::Automated => Notice::automated_started(),
            },
        );
        region.by_resource(resource_id).map_or(Data::None, |instance| instance.data.clone())
    });
    let made = match data {
        Data::Simulated => Ok(None),
        Data::Real { cluster, .. } => {
            plane.clusters.back_up(&cluster.server).await.map(|folder| Some(Arc::new(folder)))
        }
        Data::None => Err(Error::Interrupted),
    };
    plane.pace.at_least(since, |speed| speed.snapshot).await;
    plane.region(region, |region| {
        let found = region.numbered(&snapshot.id, snapshot.number)?;
        match made {
            Ok(data) => {
                found.status = SnapshotStatus::Available;
                (found.taken, found.original) = (Some(taken), Some(taken));
                found.data.clone_from(&data);
                region.snapshot_event(
                    &snapshot.id,
                    match snapshot.kind {
                        SnapshotKind::Manual => Notice::snapshot_created(),
                        SnapshotKind::Automated => Notice::automated_created(),
                    },
                );
                region.instance_event(&snapshot.traits.instance, Notice::backed_up());
                Some(data)
            }
            // As on AWS there is no event for it.
            Err(error) => {
                tracing::warn!(
                    snapshot = snapshot.id,
                    error = &error as &dyn std::error::Error,
                    "a snapshot failed"
                );
                found.status = SnapshotStatus::Failed;
                None
            }
        }
    })
}
