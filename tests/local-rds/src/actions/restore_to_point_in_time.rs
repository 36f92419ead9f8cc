//! `RestoreDBInstanceToPointInTime`.

use aws_query::{Clock, Fault, Parameters};
use jiff::Timestamp;

use super::{Answer, Request, restore, result};
use crate::faults;
use crate::state::{AutomatedBackup, InstanceStatus, Region, Store};
use crate::work::Origin;

pub(super) async fn restore(request: Request) -> Answer {
    let Request { plane, region, parameters } = request;
    parameters.required("TargetDBInstanceIdentifier")?;
    let time = parameters.time("RestoreTime")?;
    let latest = parameters.boolean("UseLatestRestorableTime")?.unwrap_or(false);
    if time.is_some() == latest {
        return Err(Fault::invalid_combination(
            "Exactly one of RestoreTime and UseLatestRestorableTime must be specified.",
        ));
    }
    let (backup, class) = plane.region(&region, |region| source(region, &parameters))?;
    let told = target(&plane.clock, &backup, time)?;
    // What is really there was committed by the machine's clock.
    let target = match &backup.store {
        Store::Real(_) => plane.clock.machine(told),
        Store::Simulated { .. } => told,
    };
    let origin = Origin::PointInTime { source: backup.traits.instance.clone(), target, store: backup.store };
    let class = class.as_deref();
    let name = "TargetDBInstanceIdentifier";
    let document = restore::start(&plane, &region, &parameters, name, backup.traits, class, origin).await?;
    Ok(result("RestoreDBInstanceToPointInTime", document))
}

/// The automated backup to restore from, and the class of its instance if there still is one.
fn source(region: &mut Region, parameters: &Parameters) -> Result<(AutomatedBackup, Option<String>), Fault> {
    let by_identifier = parameters.get("SourceDBInstanceIdentifier");
    let by_resource = parameters.get("SourceDbiResourceId");
    let by_backup = parameters.get("SourceDBInstanceAutomatedBackupsArn");
    match (by_identifier, by_resource, by_backup) {
        (Some(id), None, None) => {
            let instance = region.instance(id)?;
            let (class, resource_id) = (instance.class.clone(), instance.traits.resource_id.clone());
            if matches!(instance.status, InstanceStatus::Creating | InstanceStatus::Deleting) {
                return Err(faults::instance_state(format!(
                    "DB instance {id} is in the state {}.",
                    instance.status.text()
                )));
            }
            let not_enabled = instance.traits.retention_days == 0;
            let backup = region.own_backup(&resource_id).filter(|_| !not_enabled);
            let backup = backup.ok_or_else(|| {
                faults::restore_not_enabled(format!(
                    "Point in time restore is not enabled for {id}: its BackupRetentionPeriod is 0."
                ))
            })?;
            Ok((backup.clone(), Some(class)))
        }
        (None, Some(resource_id), None) => {
            let backup = region.own_backup(resource_id).cloned().ok_or_else(|| {
                faults::backup_not_found(format!("There is no automated backup of {resource_id}."))
            })?;
            let class = region.by_resource(resource_id).map(|instance| instance.class.clone());
            Ok((backup, class))
        }
        (None, None, Some(arn)) => Ok((region.backup(arn)?.clone(), None)),
        _ => Err(Fault::invalid_combination(
            "Exactly one of SourceDBInstanceIdentifier, SourceDbiResourceId and SourceDBInstanceAutomatedBackupsArn \
             must be specified.",
        )),
    }
}

/// The instant to restore to, which must be in the window.
fn target(clock: &Clock, backup: &AutomatedBackup, time: Option<Timestamp>) -> Result<Timestamp, Fault> {
    let id = &backup.traits.instance;
    let (earliest, latest) = backup.window(clock).ok_or_else(|| {
        faults::instance_state(format!("The first automated backup of {id} is not complete yet."))
    })?;
    let time = time.unwrap_or(latest);
    if time < earliest || time > latest {
        return Err(Fault::invalid_value(format!(
            "The specified instance {id} cannot be restored to {time}: the restorable times are {earliest} to {latest}."
        )));
    }
    Ok(time)
}
