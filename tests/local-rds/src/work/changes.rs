//! Changes of instances that take time.

use std::sync::Arc;
use std::time::Instant;

use super::backups;
use crate::events::Notice;
use crate::plane::Plane;
use crate::postgres::{Error, set_password};
use crate::state::{Data, Deferred, InstanceStatus, Region};

/// What is to be changed.
pub(crate) struct Change {
    pub(crate) resource_id: String,
    pub(crate) deferred: Deferred,
    pub(crate) password: Option<String>,
}

/// Takes an instance from `modifying` (or the like) to `available`.
pub(crate) async fn change(plane: Arc<Plane>, region: String, change: Change) {
    let since = Instant::now();
    let resource_id = &change.resource_id;
    let found = plane.region(&region, |region| {
        region.by_resource(resource_id).map(|found| (found.traits.clone(), found.data.clone()))
    });
    let Some((traits, data)) = found else { return };
    if let Some(password) = &change.password {
        let outcome = reset_password(&data, &traits.master_username, password).await;
        plane.region(&region, |region| match outcome {
            Ok(()) => region.instance_event(&traits.instance, Notice::password_changed()),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the password stays as it was");
            }
        });
    }
    plane.pace.at_least(since, |speed| speed.modify).await;
    plane.region(&region, |region| apply(region, resource_id, &change.deferred));
    match change.deferred.retention_days {
        Some(0) if traits.retention_days > 0 => {
            plane.region(&region, |region| backups::switch_off(region, resource_id));
        }
        Some(1..) if traits.retention_days == 0 => {
            if let Err(error) = switch_on(&plane, &region, resource_id, &data).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "automated backups are not on");
            }
        }
        _ => {}
    }
    plane.region(&region, |region| {
        if let Some(instance) = region.by_resource(resource_id)
            && instance.status != InstanceStatus::Deleting
            && instance.status != InstanceStatus::Failed
        {
            instance.status = InstanceStatus::Available;
        }
    });
}

async fn reset_password(data: &Data, user: &str, password: &str) -> Result<(), Error> {
    match data.cluster() {
        Some(cluster) => set_password(&cluster.server, user, password).await,
        None => Ok(()),
    }
}

async fn switch_on(plane: &Arc<Plane>, region: &str, resource_id: &str, data: &Data) -> Result<(), Error> {
    let archive = match data.cluster() {
        None => None,
        Some(cluster) => {
            let archive = plane.clusters.archive()?;
            cluster.attach(&archive)?;
            Some(archive)
        }
    };
    plane.region(region, |region| {
        if let Some(identifier) = region.by_resource(resource_id).map(|found| found.traits.instance.clone()) {
            region.instance_event(&identifier, Notice::backups_on());
        }
    });
    backups::switch_on(plane, region, resource_id, archive).await;
    Ok(())
}

fn apply(region: &mut Region, resource_id: &str, change: &Deferred) {
    let Some(instance) = region.by_resource(resource_id) else { return };
    let identifier = instance.traits.instance.clone();
    let mut notices = Vec::new();
    if let Some(class) = &change.class {
        instance.class.clone_from(class);
        notices.push(Notice::class_changed());
    }
    if let Some(size) = change.allocated_storage_gib {
        instance.traits.allocated_storage_gib = size;
        notices.push(Notice::storage_changed());
    }
    if let Some(kind) = &change.storage_type {
        instance.traits.storage_type.clone_from(kind);
    }
    if let Some(version) = &change.engine_version {
        instance.traits.engine_version.clone_from(version);
    }
    instance.traits.iops = change.iops.or(instance.traits.iops);
    instance.multi_az = change.multi_az.unwrap_or(instance.multi_az);
    instance.traits.retention_days = change.retention_days.unwrap_or(instance.traits.retention_days);
    let traits = instance.traits.clone();
    if let Some(backup) = region.own_backup(resource_id) {
        backup.traits = traits;
    }
    for notice in notices {
        region.instance_event(&identifier, notice);
    }
    if let Some(new) = &change.identifier {
        rename(region, &identifier, new);
    }
}

/// Snapshots that exist keep the old name, as on AWS.
fn rename(region: &mut Region, old: &str, new: &str) {
    if region.instances.contains_key(new) {
        return;
    }
    let Some(mut instance) = region.instances.remove(old) else { return };
    new.clone_into(&mut instance.traits.instance);
    let resource_id = instance.traits.resource_id.clone();
    region.instances.insert(new.to_owned(), instance);
    let arn = region.arn("db", new);
    if let Some(backup) = region.own_backup(&resource_id) {
        new.clone_into(&mut backup.traits.instance);
        backup.instance_arn = arn;
    }
    region.instance_event(new, Notice::renamed(old, new));
}
