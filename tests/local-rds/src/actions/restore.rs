//! `RestoreDBInstanceFromDBSnapshot`, and what both kinds of restore share.

use std::sync::Arc;

use aws_query::{Element, Fault, Parameters};

use super::{Answer, Request, result, settings};
use crate::documents;
use crate::faults;
use crate::plane::Plane;
use crate::state::{SnapshotStatus, Traits};
use crate::work::{self, Origin};

/// If neither request nor source has a class: a snapshot does not keep it.
const DEFAULT_CLASS: &str = "db.t4g.micro";

pub(super) async fn from_snapshot(request: Request) -> Answer {
    let Request { plane, region, parameters } = request;
    parameters.required("DBInstanceIdentifier")?;
    let text = parameters.required("DBSnapshotIdentifier")?;
    let snapshot = plane.region(&region, |region| region.snapshot(text).cloned())?;
    if snapshot.status != SnapshotStatus::Available {
        return Err(faults::snapshot_state(format!(
            "Cannot restore the snapshot {} because it is in the state {}, not available.",
            snapshot.id,
            snapshot.status.text()
        )));
    }
    let origin = Origin::Snapshot { id: snapshot.id, backup: snapshot.data };
    let document =
        start(&plane, &region, &parameters, "DBInstanceIdentifier", snapshot.traits, None, origin).await?;
    Ok(result("RestoreDBInstanceFromDBSnapshot", document))
}

/// Makes the new instance and sends its restore on the way.
pub(super) async fn start(
    plane: &Arc<Plane>,
    region: &str,
    parameters: &Parameters,
    identifier: &'static str,
    traits: Traits,
    class: Option<&str>,
    origin: Origin,
) -> Result<Element, Fault> {
    let id = parameters.required(identifier)?;
    if let Some(engine) = parameters.get("Engine")
        && engine != traits.engine
    {
        return Err(Fault::invalid_combination(format!("Cannot restore {} as {engine}.", traits.engine)));
    }
    // Without its key, what is encrypted cannot be read.
    if let Some(key) = &traits.key {
        plane.key(region, key).await?;
    }
    let instance = settings::instance(parameters, region, traits, class.unwrap_or(DEFAULT_CLASS))?;
    let quotas = plane.quotas();
    let (document, resource_id) = plane.region(region, |region| {
        let mut instance = instance;
        instance.traits.instance = settings::new_identifier(region, quotas, identifier, id)?;
        let resource_id = instance.traits.resource_id.clone();
        let document = documents::instance(region, &instance);
        region.instances.insert(instance.traits.instance.clone(), instance);
        Ok::<_, Fault>((document, resource_id))
    })?;
    plane.tasks.spawn(work::bring_up(Arc::clone(plane), region.to_owned(), resource_id, origin));
    Ok(document)
}
