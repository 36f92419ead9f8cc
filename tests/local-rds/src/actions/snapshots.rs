//! `CreateDBSnapshot`, `DescribeDBSnapshots`, `DeleteDBSnapshot`.

use std::sync::Arc;

use aws_query::{Element, Fault, Filters, Page, identifier, same};

use super::{Answer, PAGING, Request, result, tags};
use crate::Quotas;
use crate::documents;
use crate::events::Notice;
use crate::faults;
use crate::identifiers::SNAPSHOT;
use crate::state::{Region, Snapshot, SnapshotKind, SnapshotStatus};
use crate::work;

const FILTERS: [&str; 5] = ["db-instance-id", "db-snapshot-id", "dbi-resource-id", "snapshot-type", "engine"];

/// The identifier of a new manual snapshot, which must be free.
pub(super) fn new_identifier(
    region: &Region,
    quotas: Quotas,
    parameter: &str,
    text: &str,
) -> Result<String, Fault> {
    let id = identifier(parameter, text, SNAPSHOT)?;
    if region.snapshots.contains_key(&id) {
        return Err(faults::snapshot_exists(format!(
            "Cannot create the snapshot because a snapshot with the identifier {id} already exists."
        )));
    }
    if region.manual_snapshots() >= quotas.manual_snapshots {
        return Err(faults::snapshot_quota(format!(
            "Cannot create more than {} manual snapshots",
            quotas.manual_snapshots
        )));
    }
    Ok(id)
}

pub(super) fn create(request: &Request) -> Answer {
    let (plane, parameters) = (&request.plane, &request.parameters);
    let id = parameters.required("DBSnapshotIdentifier")?;
    let instance_id = parameters.required("DBInstanceIdentifier")?;
    let asked = tags::read(parameters)?;
    let (quotas, number, speed) = (plane.quotas(), plane.number(), plane.pace.now());
    let (document, snapshot) = plane.region(&request.region, |region| {
        region.instance(instance_id)?;
        let id = new_identifier(region, quotas, "DBSnapshotIdentifier", id)?;
        let instance = region.instance(instance_id)?;
        if !instance.status.allows_snapshots() {
            return Err(faults::instance_state(format!(
                "Cannot create a snapshot because the database instance {} is not currently in the available state.",
                instance.traits.instance
            )));
        }
        let mut tags = instance.snapshot_tags();
        tags.extend(asked);
        let snapshot = work::new_snapshot(id.clone(), number, SnapshotKind::Manual, instance, tags);
        region.snapshots.insert(id, snapshot.clone());
        Ok((documents::snapshot(region, &snapshot, &speed), snapshot))
    })?;
    plane.tasks.spawn(work::snapshot(Arc::clone(plane), request.region.clone(), snapshot));
    Ok(result("CreateDBSnapshot", document))
}

pub(super) fn describe(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters, PAGING)?;
    let filters = Filters::of(parameters, &FILTERS)?;
    let kind = parameters.get("SnapshotType");
    if let Some(kind) = kind
        && !["manual", "automated", "shared", "public", "awsbackup"].contains(&kind)
    {
        return Err(Fault::invalid_value(format!("Invalid snapshot type: {kind}")));
    }
    let resource_id = parameters.get("DbiResourceId");
    let speed = request.plane.pace.now();
    request.plane.region(&request.region, |region| {
        let wanted = match parameters.get("DBSnapshotIdentifier") {
            Some(text) => Some(region.snapshot(text)?.id.clone()),
            None => None,
        };
        let instance = parameters
            .get("DBInstanceIdentifier")
            .map(|text| region.local(text, "db").unwrap_or_default().into_owned());
        let region = &*region;
        let matching = region.snapshots.iter().filter(|(id, snapshot)| {
            let traits = &snapshot.traits;
            let passes = |name: &str, value: &str| match name {
                "db-instance-id" => {
                    same(value, &traits.instance) || same(value, &region.arn("db", &traits.instance))
                }
                "db-snapshot-id" => same(value, id),
                "dbi-resource-id" => same(value, &traits.resource_id),
                "snapshot-type" => same(value, snapshot.kind.text()),
                "engine" => same(value, &traits.engine),
                _ => false,
            };
            wanted.as_ref().is_none_or(|wanted| wanted == *id)
                && instance.as_ref().is_none_or(|instance| *instance == traits.instance)
                && resource_id.is_none_or(|resource_id| resource_id == traits.resource_id)
                && kind.is_none_or(|kind| kind == snapshot.kind.text())
                && filters.pass(passes)
        });
        let matching = matching.map(|(id, snapshot)| (id.as_str(), snapshot));
        let result = Element::new("DescribeDBSnapshotsResult");
        let document = |snapshot: &Snapshot| documents::snapshot(region, snapshot, &speed);
        Ok(page.element(result, "DBSnapshots", matching, document))
    })
}

pub(super) fn delete(request: &Request) -> Answer {
    let id = request.parameters.required("DBSnapshotIdentifier")?;
    let speed = request.plane.pace.now();
    let document = request.plane.region(&request.region, |region| {
        let snapshot = region.snapshot(id)?;
        if snapshot.kind == SnapshotKind::Automated {
            return Err(faults::snapshot_state("automated snapshots cannot be deleted."));
        }
        // A copy under way may be deleted, which ends it; a snapshot under way may not.
        if snapshot.creating() && !snapshot.copy {
            return Err(faults::snapshot_state("Snapshot is in state creating, must be in available state."));
        }
        let id = snapshot.id.clone();
        let cancelled = snapshot.creating().then(|| {
            let source = snapshot.source_region.clone().unwrap_or_default();
            if snapshot.source_arn.is_some() {
                Notice::remote_copy_cancelled(&id, &source)
            } else {
                Notice::copy_cancelled(&id, &source)
            }
        });
        let Some(mut snapshot) = region.snapshots.remove(&id) else {
            return Err(Fault::internal("The snapshot is gone."));
        };
        region.snapshot_event(&id, cancelled.unwrap_or_else(Notice::snapshot_deleted));
        // The answer shows it as it was; what it held goes when nobody reads from it any more.
        snapshot.data = None;
        if snapshot.creating() {
            snapshot.status = SnapshotStatus::Failed;
        }
        Ok(documents::snapshot(region, &snapshot, &speed))
    })?;
    Ok(result("DeleteDBSnapshot", document))
}
