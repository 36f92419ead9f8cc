//! `DeleteDBInstance`.

use std::sync::Arc;

use aws_query::Fault;

use super::{Answer, Request, result, snapshots};
use crate::documents;
use crate::faults;
use crate::state::{InstanceStatus, SnapshotKind};
use crate::work;

pub(super) fn delete(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let id = parameters.required("DBInstanceIdentifier")?;
    let skip = parameters.boolean("SkipFinalSnapshot")?.unwrap_or(false);
    let keep_backups = !parameters.boolean("DeleteAutomatedBackups")?.unwrap_or(true);
    let last = parameters.get("FinalDBSnapshotIdentifier");
    match (skip, last) {
        (true, Some(_)) => {
            return Err(Fault::invalid_combination(
                "FinalDBSnapshotIdentifier cannot be specified when deleting with SkipFinalSnapshot.",
            ));
        }
        (false, None) => {
            return Err(Fault::invalid_combination(
                "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.",
            ));
        }
        _ => {}
    }
    let plane = &request.plane;
    let (quotas, number) = (plane.quotas(), plane.number());
    let (document, deletion) = plane.region(&request.region, |region| {
        let instance = region.instance(id)?;
        let identifier = instance.traits.instance.clone();
        check(instance.status, instance.deletion_protection, last.is_some(), &identifier)?;
        let final_snapshot = match last {
            None => None,
            Some(last) => {
                let last = snapshots::new_identifier(region, quotas, "FinalDBSnapshotIdentifier", last)?;
                let instance = region.instance(&identifier)?;
                let tags = instance.snapshot_tags();
                let snapshot = work::new_snapshot(last.clone(), number, SnapshotKind::Manual, instance, tags);
                region.snapshots.insert(last, snapshot.clone());
                Some(snapshot)
            }
        };
        let instance = region.instance(&identifier)?;
        instance.status = InstanceStatus::Deleting;
        let resource_id = instance.traits.resource_id.clone();
        let document = documents::instance(region, &region.instances[&identifier]);
        Ok::<_, Fault>((document, work::Deletion { resource_id, final_snapshot, keep_backups }))
    })?;
    plane.tasks.spawn(work::delete(Arc::clone(plane), request.region.clone(), deletion));
    Ok(result("DeleteDBInstance", document))
}

/// Whether an instance in that state can be deleted: one that is being made, too, but without a final snapshot ("You can't create
/// a final snapshot of your DB instance if it has the status `creating`, `failed`, `incompatible-restore`, or
/// `incompatible-network`": RDS User Guide, "Deleting a DB instance").
fn check(status: InstanceStatus, protected: bool, snapshot: bool, id: &str) -> Result<(), Fault> {
    if protected {
        return Err(Fault::invalid_combination(
            "Cannot delete protected DB Instance, please disable deletion protection and try again.",
        ));
    }
    match status {
        InstanceStatus::Deleting => {
            Err(faults::instance_state(format!("Instance {id} is already being deleted.")))
        }
        other if snapshot && other != InstanceStatus::Available => Err(faults::instance_state(format!(
            "Instance {id} cannot be deleted with a final snapshot in the state {}.",
            other.text()
        ))),
        _ => Ok(()),
    }
}
