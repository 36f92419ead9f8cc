//! `CopyDBSnapshot`: called where the copy shall be.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use aws_query::{Fault, Parameters};

use super::{Answer, Request, result, snapshots, tags};
use crate::documents;
use crate::events::Notice;
use crate::faults;
use crate::identifiers::ARNS;
use crate::plane::Plane;
use crate::state::{Snapshot, SnapshotKind, SnapshotStatus};
use crate::work;

pub(super) async fn copy(request: Request) -> Answer {
    let Request { plane, region, parameters } = request;
    let text = parameters.required("SourceDBSnapshotIdentifier")?;
    let id = parameters.required("TargetDBSnapshotIdentifier")?;
    let asked = tags::read(&parameters)?;
    let copy_tags = parameters.boolean("CopyTags")?.unwrap_or(false);
    let source_region = ARNS.parse(text).map_or_else(|| region.clone(), |arn| arn.region);
    let source = source(&plane, &source_region, text)?;
    let remote = source_region != region;
    readable(&plane, &source_region, &source).await?;
    let key = key(&plane, &region, &parameters, &source, remote).await?;

    let (quotas, number, speed) = (plane.quotas(), plane.number(), plane.pace.now());
    let source_arn = remote.then(|| plane.arn(&source_region, "snapshot", &source.id));
    let (document, target) = plane.region(&region, |region| {
        let id = snapshots::new_identifier(region, quotas, "TargetDBSnapshotIdentifier", id)?;
        if remote && region.incoming_copies() >= quotas.cross_region_copies {
            return Err(faults::snapshot_quota(format!(
                "Cannot copy more than {} snapshots across regions",
                quotas.cross_region_copies
            )));
        }
        let mut tags = if copy_tags { source.tags.clone() } else { tags::none() };
        tags.extend(asked);
        let mut traits = source.traits.clone();
        traits.key = key;
        if remote {
            traits.zone = format!("{}a", region.name);
        }
        if let Some(group) = parameters.owned("OptionGroupName") {
            traits.option_group = group;
        }
        let target = Snapshot {
            id: id.clone(),
            number,
            kind: SnapshotKind::Manual,
            status: SnapshotStatus::Creating(Instant::now()),
            traits,
            taken: None,
            original: source.original,
            source_arn,
            source_region: Some(source_region.clone()),
            copy: true,
            tags,
            shared_with: BTreeSet::new(),
            data: None,
        };
        region.snapshots.insert(id.clone(), target.clone());
        region.snapshot_event(
            &id,
            if remote {
                Notice::remote_copy_started(&source.id, &source_region)
            } else {
                Notice::copy_started(&source.id, &source_region)
            },
        );
        Ok((documents::snapshot(region, &target, &speed), target))
    })?;
    plane.tasks.spawn(work::copy(Arc::clone(&plane), region, source_region, source, target));
    Ok(result("CopyDBSnapshot", document))
}

fn source(plane: &Plane, region: &str, text: &str) -> Result<Snapshot, Fault> {
    let source = plane.region(region, |region| region.snapshot(text).cloned())?;
    match source.status {
        SnapshotStatus::Available => Ok(source),
        other => Err(faults::snapshot_state(format!(
            "Cannot copy the snapshot {text} because it is in the state {}, not available.",
            other.text()
        ))),
    }
}

/// The key of the copy: the one named; else, in the same Region, the source's.
async fn key(
    plane: &Plane,
    region: &str,
    parameters: &Parameters,
    source: &Snapshot,
    remote: bool,
) -> Result<Option<String>, Fault> {
    match (parameters.get("KmsKeyId"), &source.traits.key) {
        (Some(key), _) => Ok(Some(plane.key(region, key).await?)),
        (None, None) => Ok(None),
        (None, Some(_)) if remote => {
            Err(Fault::invalid_value("Must specify new KMS key for cross region encrypted snapshot copy."))
        }
        (None, Some(key)) => Ok(Some(key.clone())),
    }
}

/// Whatever the copy's key is: without the source's nobody can read what is to be copied.
async fn readable(plane: &Plane, region: &str, source: &Snapshot) -> Result<(), Fault> {
    let Some(key) = &source.traits.key else { return Ok(()) };
    plane.key(region, key).await.map(|_| ()).map_err(|_| {
        faults::key_not_accessible(
            "The source snapshot KMS key does not exist, is not enabled or you do not have permissions to access it",
        )
    })
}
