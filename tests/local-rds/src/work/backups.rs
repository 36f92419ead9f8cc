//! Automated backups of instances: on, off, and the daily one.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::snapshots::{new_snapshot, rest, take};
use crate::events::Notice;
use crate::identifiers::{automated_snapshot, backup_id};
use crate::plane::Plane;
use crate::postgres::{Archive, Archiver};
use crate::state::{
    AutomatedBackup, BackupStatus, Data, InstanceStatus, Region, Snapshot, SnapshotKind, Store, Tags,
};

/// Starts automated backups of an instance, with the first automated snapshot. WAL goes to `archive` already.
pub(super) async fn switch_on(
    plane: &Arc<Plane>,
    region: &str,
    resource_id: &str,
    archive: Option<Arc<Archive>>,
) {
    plane.region(region, |region| {
        let Some(instance) = region.by_resource(resource_id) else { return };
        if let (Data::Real { cluster, archiver }, Some(archive)) = (&mut instance.data, &archive) {
            let (server, archive) = (Arc::clone(&cluster.server), Arc::clone(archive));
            *archiver = Some(Arc::new(Archiver::start(server, archive, plane.pace.subscribe())));
        }
        let traits = instance.traits.clone();
        let store = match archive {
            Some(archive) => Store::Real(archive),
            None => Store::Simulated { from: region.clock.now(), until: None },
        };
        let backup = AutomatedBackup {
            id: backup_id(),
            status: BackupStatus::Creating,
            instance_arn: region.arn("db", &traits.instance),
            source_region: region.name.clone(),
            replica: false,
            replicas: Vec::new(),
            tags: Tags::new(),
            store,
            lag: None,
            traits,
        };
        region.backups.insert(backup.id.clone(), backup);
    });
    automated_backup(plane, region, resource_id).await;
}

/// Takes an automated snapshot, from which point-in-time restores may start then.
pub(crate) async fn automated_backup(plane: &Plane, region: &str, resource_id: &str) {
    let started = plane.region(region, |region| start(region, resource_id, plane.number()));
    let Some(snapshot) = started else { return };
    let Some(data) = take(plane, region, &snapshot).await else {
        plane.region(region, |region| rest(region, resource_id));
        return;
    };
    // WAL is replayed by the machine's clock.
    let complete = Timestamp::now();
    let archiver = plane.region(region, |region| {
        if let Some(backup) = region.own_backup(resource_id) {
            backup.status = BackupStatus::Active;
            if let (Store::Real(archive), Some(data)) = (&backup.store, data) {
                archive.add_base(&snapshot.id, complete, data);
            }
        }
        region.by_resource(resource_id).and_then(|instance| instance.data.archiver())
    });
    if let Some(archiver) = archiver
        && let Err(error) = archiver.now().await
    {
        tracing::debug!(%error, "the window opens with the next WAL that is archived");
    }
    plane.region(region, |region| rest(region, resource_id));
}

fn start(region: &mut Region, resource_id: &str, number: u64) -> Option<Snapshot> {
    let living = region.by_resource(resource_id).filter(|it| it.status != InstanceStatus::Deleting)?;
    let identifier = living.traits.instance.clone();
    let mut at = region.clock.now();
    let mut id = automated_snapshot(&identifier, at);
    // AWS takes one a day; we may be asked for several in one minute.
    while region.snapshots.contains_key(&id) {
        at += SignedDuration::from_mins(1);
        id = automated_snapshot(&identifier, at);
    }
    let instance = region.by_resource(resource_id)?;
    let tags = instance.snapshot_tags();
    let snapshot = new_snapshot(id.clone(), number, SnapshotKind::Automated, instance, tags);
    region.snapshots.insert(id, snapshot.clone());
    Some(snapshot)
}

/// What the backup window is for: the daily automated snapshot of every instance that is due, and the end of those
/// that are older than the retention period.
pub(crate) fn maintain(plane: &Arc<Plane>, now: Timestamp) {
    for name in plane.region_names() {
        let due = plane.region(&name, |region| {
            expire(region, now);
            due(region, now)
        });
        for resource_id in due {
            let (shared, name) = (Arc::clone(plane), name.clone());
            plane.tasks.spawn(async move { automated_backup(&shared, &name, &resource_id).await });
        }
    }
}

fn due(region: &Region, now: Timestamp) -> Vec<String> {
    let today = now.strftime("%Y-%m-%d").to_string();
    let minute = now.strftime("%H:%M").to_string();
    let available = region.instances.values().filter(|instance| {
        let window = &instance.traits.backup_window;
        let open = window.split_once('-').is_some_and(|(from, to)| {
            let (from, to) = (from, to);
            if from <= to {
                from <= minute.as_str() && minute.as_str() < to
            } else {
                minute.as_str() >= from || minute.as_str() < to
            }
        });
        open && instance.status == InstanceStatus::Available && instance.traits.retention_days > 0
    });
    let without_one = available.filter(|instance| {
        !region.snapshots.values().any(|snapshot| {
            snapshot.kind == SnapshotKind::Automated
                && snapshot.traits.resource_id == instance.traits.resource_id
                && snapshot.id.contains(&today)
        })
    });
    without_one.map(|instance| instance.traits.resource_id.clone()).collect()
}

/// The newest automated snapshot stays, whatever its age: the window must have a beginning.
fn expire(region: &mut Region, now: Timestamp) {
    let mut gone = Vec::new();
    for instance in region.instances.values() {
        let kept = SignedDuration::from_hours(24 * i64::from(instance.traits.retention_days));
        let mut automated: Vec<_> = region
            .snapshots
            .values()
            .filter(|snapshot| snapshot.kind == SnapshotKind::Automated && !snapshot.creating())
            .filter(|snapshot| snapshot.traits.resource_id == instance.traits.resource_id)
            .collect();
        automated.sort_by_key(|snapshot| snapshot.taken);
        automated.pop();
        let old = automated.into_iter().filter(|snapshot| snapshot.taken.is_some_and(|at| at + kept < now));
        gone.extend(old.map(|snapshot| (snapshot.id.clone(), instance.traits.resource_id.clone())));
    }
    for (id, resource_id) in gone {
        region.snapshots.remove(&id);
        if let Some(AutomatedBackup { store: Store::Real(archive), .. }) = region.own_backup(&resource_id) {
            archive.remove_base(&id);
        }
    }
}

/// Ends automated backups of an instance.
pub(super) fn switch_off(region: &mut Region, resource_id: &str) {
    if let Some(instance) = region.by_resource(resource_id)
        && let Data::Real { cluster, archiver } = &mut instance.data
    {
        cluster.detach();
        *archiver = None;
    }
    super::drop_backups(region, resource_id);
    if let Some(identifier) = region.by_resource(resource_id).map(|found| found.traits.instance.clone()) {
        region.instance_event(&identifier, Notice::backups_off());
    }
}
