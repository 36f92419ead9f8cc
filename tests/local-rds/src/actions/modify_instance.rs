//! `ModifyDBInstance`.

use std::sync::Arc;

use aws_query::{Fault, Parameters, identifier};

use super::{Answer, Request, result, settings};
use crate::documents;
use crate::faults;
use crate::identifiers::INSTANCE;
use crate::state::{Deferred, Instance, InstanceStatus};
use crate::work;

pub(super) fn modify(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let id = parameters.required("DBInstanceIdentifier")?;
    let asked = deferred(parameters)?;
    let password = settings::password(parameters)?;
    let immediately = parameters.boolean("ApplyImmediately")?.unwrap_or(false);
    let (document, change) = request.plane.region(&request.region, |region| {
        if let Some(new) = &asked.identifier
            && region.instances.contains_key(new)
        {
            return Err(faults::instance_exists("DB instance already exists"));
        }
        let instance = region.instance(id)?;
        if instance.status != InstanceStatus::Available {
            return Err(faults::instance_state(format!(
                "Database instance is not in available state: {}.",
                instance.status.text()
            )));
        }
        if let Some(gib) = asked.allocated_storage_gib
            && gib < instance.traits.allocated_storage_gib
        {
            return Err(Fault::invalid_combination(
                "Requested size must not be smaller than the current size.",
            ));
        }
        set_at_once(parameters, instance)?;
        let now = apply_now(asked, instance, immediately);
        let resource_id = instance.traits.resource_id.clone();
        let change = (now != Deferred::default() || password.is_some()).then(|| {
            instance.status = if now.identifier.is_some() {
                InstanceStatus::Renaming
            } else if now == Deferred::default() {
                InstanceStatus::ResettingMasterCredentials
            } else {
                InstanceStatus::Modifying
            };
            work::Change { resource_id, deferred: now, password }
        });
        let identifier = instance.traits.instance.clone();
        let document = documents::instance(region, &region.instances[&identifier]);
        Ok((document, change))
    })?;
    if let Some(change) = change {
        request.plane.tasks.spawn(work::change(Arc::clone(&request.plane), request.region.clone(), change));
    }
    Ok(result("ModifyDBInstance", document))
}

fn deferred(parameters: &Parameters) -> Result<Deferred, Fault> {
    let identifier = match parameters.get("NewDBInstanceIdentifier") {
        Some(new) => Some(identifier("NewDBInstanceIdentifier", new, INSTANCE)?),
        None => None,
    };
    Ok(Deferred {
        class: settings::class(parameters)?,
        allocated_storage_gib: settings::storage(parameters)?,
        storage_type: parameters.owned("StorageType"),
        iops: parameters.integer("Iops")?,
        multi_az: parameters.boolean("MultiAZ")?,
        retention_days: settings::retention(parameters)?,
        identifier,
        engine_version: parameters.owned("EngineVersion"),
    })
}

/// What takes no time and no restart.
fn set_at_once(parameters: &Parameters, instance: &mut Instance) -> Result<(), Fault> {
    if let Some(window) = settings::backup_window(parameters)? {
        instance.traits.backup_window = window;
    }
    let security_groups = parameters.strings("VpcSecurityGroupIds");
    if !security_groups.is_empty() {
        instance.security_groups = security_groups;
    }
    for (name, field) in [
        ("PreferredMaintenanceWindow", &mut instance.maintenance_window),
        ("DBParameterGroupName", &mut instance.parameter_group),
        ("DBSubnetGroupName", &mut instance.subnet_group),
        ("OptionGroupName", &mut instance.traits.option_group),
        ("CACertificateIdentifier", &mut instance.ca),
    ] {
        if let Some(value) = parameters.owned(name) {
            *field = value;
        }
    }
    for (name, field) in [
        ("DeletionProtection", &mut instance.deletion_protection),
        ("CopyTagsToSnapshot", &mut instance.copy_tags),
        ("PubliclyAccessible", &mut instance.public),
        ("EnableIAMDatabaseAuthentication", &mut instance.traits.iam_authentication),
    ] {
        if let Some(value) = parameters.boolean(name)? {
            *field = value;
        }
    }
    Ok(())
}

/// Splits changes into those for now, which it returns, and those that become pending.
///
/// A retention period that stays above zero is changed as soon as possible, whatever `ApplyImmediately` says
/// (`ModifyDBInstance`, API reference).
fn apply_now(asked: Deferred, instance: &mut Instance, immediately: bool) -> Deferred {
    if immediately {
        let mut now = std::mem::take(&mut instance.pending);
        now.merge(asked);
        return now;
    }
    let mut later = asked;
    let current = instance.traits.retention_days;
    let soon = later.retention_days.filter(|days| (*days == 0) == (current == 0));
    if soon.is_some() {
        later.retention_days = None;
    }
    instance.pending.merge(later);
    Deferred { retention_days: soon.filter(|days| *days != current), ..Deferred::default() }
}
