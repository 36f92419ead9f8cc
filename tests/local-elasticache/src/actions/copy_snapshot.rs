//! `CopySnapshot`: within ElastiCache, or into a bucket.

use std::sync::Arc;

use aws_query::{Fault, identifier};

use super::origin::s3_failed;
use super::{Answer, Request, result, snapshots, tags};
use crate::identifiers::SNAPSHOT;
use crate::plane::Plane;
use crate::state::{Form, Snapshot, SnapshotSource, SnapshotStatus};
use crate::work::{self, Export};
use crate::{documents, policy};

pub(super) async fn copy(request: Request) -> Answer {
    let document = match request.parameters.owned("TargetBucket") {
        Some(bucket) => export(&request, &bucket).await?,
        None => within(&request).await?,
    };
    Ok(result("CopySnapshot", document))
}

async fn within(request: &Request) -> Answer {
    let (plane, parameters) = (&request.plane, &request.parameters);
    let source = parameters.required("SourceSnapshotName")?;
    let target = parameters.required("TargetSnapshotName")?;
    let asked = tags::read(parameters)?;
    let key = plane.key(&request.region, parameters.get("KmsKeyId")).await?;
    let number = plane.number();
    let (document, source) = plane.region(&request.region, |region| {
        let before = available(region.snapshot(Form::Node, source)?)?;
        let name = snapshots::new_name(region, Form::Node, "TargetSnapshotName", target)?;
        region.snapshot(Form::Node, source)?.status = SnapshotStatus::Copying;
        let copy = Snapshot {
            name: name.clone(),
            number,
            source: SnapshotSource::Manual,
            status: SnapshotStatus::Creating,
            key: key.or_else(|| before.key.clone()),
            tags: asked,
            data: None,
            ..before.clone()
        };
        let document = documents::snapshot(region, &copy, false);
        region.snapshots.insert((Form::Node, name), copy);
        Ok((document, before))
    })?;
    plane.tasks.spawn(work::copy(Arc::clone(plane), request.region.clone(), source, number));
    Ok(document)
}

fn available(snapshot: &Snapshot) -> Result<Snapshot, Fault> {
    if snapshot.status == SnapshotStatus::Available {
        Ok(snapshot.clone())
    } else {
        Err(snapshots::unavailable(snapshot))
    }
}

async fn export(request: &Request, bucket: &str) -> Answer {
    let (plane, parameters) = (&request.plane, &request.parameters);
    let source = parameters.required("SourceSnapshotName")?;
    let target = parameters.required("TargetSnapshotName")?;
    let target = identifier("TargetSnapshotName", target, SNAPSHOT)?;
    let snapshot = begin(plane, &request.region, Form::Node, source, bucket, &target).await?;
    Ok(plane.region(&request.region, |region| documents::snapshot(region, &snapshot, false)))
}

/// Checks that a snapshot can be exported, and begins to. Returns it, `exporting`.
pub(super) async fn begin(
    plane: &Arc<Plane>,
    region: &str,
    form: Form,
    source: &str,
    bucket: &str,
    target: &str,
) -> Result<Snapshot, Fault> {
    let snapshot = plane.region(region, |region| available(region.snapshot(form, source)?))?;
    if snapshot.traits.data_tiering {
        return Err(Fault::invalid_value(
            "Exporting a snapshot of a cluster with data tiering to S3 is not supported.",
        ));
    }
    let keys: Vec<String> =
        (1..=snapshot.traits.shards.len()).map(|shard| format!("{target}-{shard:04}.rdb")).collect();
    writable(plane, region, bucket, &keys).await?;
    let snapshot = plane.region(region, |region| {
        // Another request may have been quicker while S3 was asked.
        let found = region.snapshot(form, source)?;
        available(found)?;
        found.status = SnapshotStatus::Exporting;
        Ok(found.clone())
    })?;
    let export = Export { source: snapshot.clone(), bucket: bucket.to_owned(), keys };
    plane.tasks.spawn(work::export(Arc::clone(plane), region.to_owned(), export));
    Ok(snapshot)
}

/// Whether ElastiCache can put new objects into a bucket; the messages are those of the API reference of `CopySnapshot`.
async fn writable(plane: &Plane, region: &str, name: &str, keys: &[String]) -> Result<(), Fault> {
    let bucket = plane.objects.bucket(name).await.map_err(|error| s3_failed(&error))?;
    let bucket =
        bucket.ok_or_else(|| Fault::invalid_value(format!("The S3 bucket {name} does not exist.")))?;
    if bucket.region != region {
        return Err(Fault::invalid_value(format!("The S3 bucket {name} is outside of the region.")));
    }
    for (permission, actions) in policy::EXPORT {
        let denied = |action: &&str| {
            !keys.iter().all(|key| policy::allows(bucket.policy.as_deref(), region, action, name, key))
        };
        let missing: Vec<&str> = actions.iter().copied().filter(|action| denied(action)).collect();
        if !missing.is_empty() {
            return Err(Fault::invalid_value(format!(
                "ElastiCache has not been granted {permission} permissions {} on the S3 Bucket.",
                missing.join(", ")
            )));
        }
    }
    for key in keys {
        let head = plane.objects.head(name, key).await.map_err(|error| s3_failed(&error))?;
        if head.is_some() {
            return Err(Fault::invalid_value(format!(
                "The S3 bucket {name} already contains an object with key {key}."
            )));
        }
    }
    Ok(())
}
