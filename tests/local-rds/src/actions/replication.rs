//! `StartDBInstanceAutomatedBackupsReplication`, `StopDBInstanceAutomatedBackupsReplication`: called where the replica
//! shall be.

use std::sync::Arc;

use aws_query::Fault;

use super::{Answer, Request, result, settings, tags};
use crate::documents;
use crate::faults;
use crate::identifiers::{ARNS, backup_id};
use crate::plane::Plane;
use crate::state::{AutomatedBackup, BackupStatus, Store, Traits};
use crate::work;

pub(super) async fn start(request: Request) -> Answer {
    let Request { plane, region, parameters } = request;
    let source_arn = parameters.required("SourceDBInstanceArn")?;
    let retention = settings::retention(&parameters)?.unwrap_or(7);
    if retention == 0 {
        return Err(Fault::invalid_value("Invalid backup retention period: 0. Must be between 1 and 35."));
    }
    let tags = tags::read(&parameters)?;
    let (source_region, source) = source(&plane, &region, source_arn)?;
    let mut traits: Traits = source.traits.clone();
    traits.retention_days = retention;
    traits.key = match (parameters.get("KmsKeyId"), &source.traits.key) {
        (None, None) => None,
        (Some(key), Some(_)) => Some(plane.key(&region, key).await?),
        (None, Some(_)) => {
            return Err(Fault::invalid_combination(
                "KmsKeyId must be specified to replicate the automated backups of an encrypted DB instance.",
            ));
        }
        (Some(_), None) => {
            return Err(Fault::invalid_combination(
                "KmsKeyId cannot be specified for an unencrypted DB instance.",
            ));
        }
    };
    let store = match &source.store {
        Store::Real(_) => {
            Store::Real(plane.clusters.archive().map_err(|error| Fault::internal(error.to_string()))?)
        }
        simulated @ Store::Simulated { .. } => simulated.clone(),
    };
    let replica = AutomatedBackup {
        id: backup_id(),
        traits,
        status: BackupStatus::Pending,
        instance_arn: source.instance_arn.clone(),
        source_region: source_region.clone(),
        replica: true,
        replicas: Vec::new(),
        tags,
        store,
        lag: None,
    };
    let (id, quota) = (replica.id.clone(), plane.quotas().replicated_backups);
    let document = plane.region(&region, |region| {
        let replicas = || region.backups.values().filter(|backup| backup.replica);
        let running = |backup: &&AutomatedBackup| backup.status != BackupStatus::Retained;
        if replicas().filter(running).any(|backup| backup.instance_arn == source.instance_arn) {
            return Err(faults::backup_state(format!(
                "The automated backups of {source_arn} are replicated to this Region already."
            )));
        }
        if replicas().filter(running).count() >= quota {
            return Err(faults::backup_quota(format!(
                "Cannot replicate more than {quota} automated backups."
            )));
        }
        let document = documents::backup(region, &replica);
        region.backups.insert(replica.id.clone(), replica);
        Ok(document)
    })?;
    let arn = plane.arn(&region, "auto-backup", &id);
    plane.region(&source_region, |region| {
        if let Some(source) = region.own_backup(&source.traits.resource_id) {
            source.replicas.push(arn);
        }
    });
    plane.tasks.spawn(work::replicate(Arc::clone(&plane), region, id, (source_region, source.id)));
    Ok(result("StartDBInstanceAutomatedBackupsReplication", document))
}

/// The automated backup to replicate, and its Region, which must be another.
fn source(plane: &Plane, region: &str, arn: &str) -> Result<(String, AutomatedBackup), Fault> {
    let parsed = ARNS.parse(arn).filter(|arn| arn.kind == "db");
    let parsed =
        parsed.ok_or_else(|| Fault::invalid_value(format!("Invalid ARN of a DB instance: {arn}")))?;
    if parsed.region == region {
        return Err(Fault::invalid_value("The source DB instance must be in another Region."));
    }
    let backup = plane.region(&parsed.region, |region| {
        let resource_id = region.instance(arn)?.traits.resource_id.clone();
        region
            .own_backup(&resource_id)
            .cloned()
            .ok_or_else(|| faults::instance_state(format!("Automated backups are not enabled for {arn}.")))
    })?;
    Ok((parsed.region, backup))
}

pub(super) fn stop(request: &Request) -> Answer {
    let arn = request.parameters.required("SourceDBInstanceArn")?;
    let plane = &request.plane;
    let (document, id) = plane.region(&request.region, |region| {
        let running = region.backups.values_mut().find(|backup| {
            backup.replica && backup.instance_arn == arn && backup.status != BackupStatus::Retained
        });
        let replica = running.ok_or_else(|| {
            faults::instance_not_found(format!(
                "The automated backups of {arn} are not replicated to this Region."
            ))
        })?;
        work::retain(replica, &plane.clock);
        let replica = replica.clone();
        Ok::<_, Fault>((documents::backup(region, &replica), replica.id))
    })?;
    let stopped = plane.arn(&request.region, "auto-backup", &id);
    if let Some(source) = ARNS.parse(arn) {
        plane.region(&source.region, |region| {
            for backup in region.backups.values_mut() {
                backup.replicas.retain(|replica| *replica != stopped);
            }
        });
    }
    Ok(result("StopDBInstanceAutomatedBackupsReplication", document))
}
