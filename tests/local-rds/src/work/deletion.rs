//! The end of an instance.

use std::sync::Arc;
use std::time::Instant;

use aws_query::Clock;

use super::snapshots::take;
use crate::events::Notice;
use crate::plane::Plane;
use crate::state::{BackupStatus, InstanceStatus, Region, Snapshot, SnapshotKind, Store};

/// What is to be left of an instance.
pub(crate) struct Deletion {
    pub(crate) resource_id: String,
    pub(crate) final_snapshot: Option<Snapshot>,
    pub(crate) keep_backups: bool,
}

/// Takes an instance from `deleting` to nothing.
pub(crate) async fn delete(plane: Arc<Plane>, region: String, deletion: Deletion) {
    let resource_id = &deletion.resource_id;
    if let Some(snapshot) = &deletion.final_snapshot
        && take(&plane, &region, snapshot).await.is_none()
    {
        // Without its final snapshot the instance stays: it would be all that is left of the data.
        plane.region(&region, |region| {
            if let Some(instance) = region.by_resource(resource_id) {
                instance.status = InstanceStatus::Available;
            }
        });
        return;
    }
    let since = Instant::now();
    let Some(data) =
        plane.region(&region, |region| region.by_resource(resource_id).map(|found| found.data.clone()))
    else {
        return;
    };
    if let Some(archiver) = data.archiver().filter(|_| deletion.keep_backups)
        && let Err(error) = archiver.now().await
    {
        tracing::warn!(%error, "what was written last is not in the retained backup");
    }
    if let Some(cluster) = data.cluster() {
        cluster.server.stop().await;
    }
    plane.pace.at_least(since, |speed| speed.delete).await;
    let replicas = plane.region(&region, |region| remove(region, resource_id, deletion.keep_backups));
    // With the last hold on it goes the data folder: a thousand files.
    drop(tokio::task::spawn_blocking(move || drop(data)));
    for arn in replicas {
        let Some(there) = crate::identifiers::ARNS.parse(&arn) else { continue };
        plane.region(&there.region, |region| {
            if let Ok(replica) = region.backup(&arn) {
                retain(replica, &plane.clock);
            }
        });
    }
}

/// Forgets the instance, and what need not stay of its backups. Returns the ARNs of replicas.
fn remove(region: &mut Region, resource_id: &str, keep_backups: bool) -> Vec<String> {
    let Some(identifier) = region.by_resource(resource_id).map(|found| found.traits.instance.clone()) else {
        return Vec::new();
    };
    region.instances.remove(&identifier);
    let clock = region.clock.clone();
    let replicas = region.own_backup(resource_id).map(|backup| std::mem::take(&mut backup.replicas));
    match region.own_backup(resource_id) {
        Some(backup) if keep_backups => retain(backup, &clock),
        _ => drop_backups(region, resource_id),
    }
    region.instance_event(&identifier, Notice::instance_deleted());
    replicas.unwrap_or_default()
}

/// The automated backup has all that it will ever have.
pub(crate) fn retain(backup: &mut crate::state::AutomatedBackup, clock: &Clock) {
    backup.status = BackupStatus::Retained;
    if let Store::Simulated { until, .. } = &mut backup.store {
        until.get_or_insert_with(|| clock.now());
    }
}

/// Deletes the automated backup of an instance with its automated snapshots.
pub(crate) fn drop_backups(region: &mut Region, resource_id: &str) {
    region.backups.retain(|_, backup| backup.replica || backup.traits.resource_id != resource_id);
    region.snapshots.retain(|_, snapshot| {
        snapshot.kind == SnapshotKind::Manual || snapshot.traits.resource_id != resource_id
    });
}
