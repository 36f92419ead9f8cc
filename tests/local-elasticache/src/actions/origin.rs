//! Where the data of a new cache is to come from, and whether it can.

use std::sync::Arc;

use aws_query::{Fault, Parameters};

use crate::identifiers::{ARNS, ObjectArn};
use crate::plane::Plane;
use crate::policy;
use crate::state::{Form, Snapshot, SnapshotStatus};
use crate::work::Origin;
use crate::{Encryption, ObjectsError};

/// The data of a new cache.
pub(super) enum Source {
    New,
    Snapshot(Box<Snapshot>),
    Objects(Vec<ObjectArn>),
}

impl Source {
    /// What the request names: `SnapshotName`, `ServerlessCacheSnapshotName`, or `list` of ARNs.
    pub(super) async fn of(
        plane: &Plane,
        region: &str,
        parameters: &Parameters,
        list: &str,
    ) -> Result<Self, Fault> {
        let arns = parameters.strings(list);
        let named = [("SnapshotName", Form::Node), ("ServerlessCacheSnapshotName", Form::Serverless)];
        let mut named = named.into_iter().filter_map(|(name, form)| Some((form, parameters.owned(name)?)));
        match (named.next(), named.next(), arns.as_slice()) {
            (None, _, []) => Ok(Self::New),
            (Some((form, name)), None, []) => snapshot(plane, region, form, &name),
            (None, _, [arn]) if ARNS.parse(arn).is_some() => by_arn(plane, region, arn),
            (None, _, arns) => objects(plane, region, arns).await.map(Self::Objects),
            _ => Err(Fault::invalid_combination(
                "Only one of a snapshot's name and ARNs of snapshots can be specified.",
            )),
        }
    }

    pub(super) fn snapshot(&self) -> Option<&Snapshot> {
        match self {
            Self::Snapshot(snapshot) => Some(snapshot),
            Self::New | Self::Objects(_) => None,
        }
    }

    /// How many files there are to load.
    pub(super) fn files(&self) -> usize {
        match self {
            Self::New => 0,
            Self::Snapshot(snapshot) => snapshot.traits.shards.len(),
            Self::Objects(objects) => objects.len(),
        }
    }

    /// For the work to come. The snapshot is `restoring` from here on.
    pub(super) fn begin(self, plane: &Plane, region: &str) -> Origin {
        match self {
            Self::New => Origin::New,
            Self::Objects(objects) => Origin::Objects(objects),
            Self::Snapshot(snapshot) => {
                plane.region(region, |region| {
                    if let Some(found) = region.numbered_snapshot(snapshot.number) {
                        found.status = SnapshotStatus::Restoring;
                    }
                });
                Origin::Snapshot { number: snapshot.number, data: snapshot.data.as_ref().map(Arc::clone) }
            }
        }
    }
}

/// The models of actions that make caches have no error of their own for a snapshot that is not there.
fn snapshot(plane: &Plane, region: &str, form: Form, name: &str) -> Result<Source, Fault> {
    let found = plane.region(region, |region| region.snapshot(form, name).cloned());
    let found = found.map_err(|_| Fault::invalid_value(format!("Snapshot {name} does not exist.")))?;
    if found.status != SnapshotStatus::Available {
        let status = found.status.text();
        return Err(Fault::invalid_value(format!(
            "Snapshot {name} is in the state {status}, not available."
        )));
    }
    Ok(Source::Snapshot(Box::new(found)))
}

fn by_arn(plane: &Plane, region: &str, text: &str) -> Result<Source, Fault> {
    let refused = || Fault::invalid_value(format!("The snapshot ARN {text} is not valid in this region."));
    let arn = ARNS.parse(text).ok_or_else(refused)?;
    let form = [Form::Node, Form::Serverless].into_iter().find(|form| form.arn() == arn.kind);
    match form {
        Some(form) if arn.region == region && arn.account == plane.account => {
            snapshot(plane, region, form, &arn.name)
        }
        _ => Err(refused()),
    }
}

async fn objects(plane: &Plane, region: &str, arns: &[String]) -> Result<Vec<ObjectArn>, Fault> {
    let mut objects = Vec::new();
    for arn in arns {
        let object = ObjectArn::parse(arn)
            .ok_or_else(|| Fault::invalid_value(format!("{arn} is not the ARN of an object in S3.")))?;
        readable(plane, region, &object).await?;
        objects.push(object);
    }
    Ok(objects)
}

/// S3 itself failed, which is nobody's mistake.
pub(super) fn s3_failed(error: &ObjectsError) -> Fault {
    Fault::internal(format!("S3 failed: {error}"))
}

/// Whether ElastiCache can read an object (ElastiCache User Guide, "Seeding a new self-designed cluster with an
/// externally created backup").
async fn readable(plane: &Plane, region: &str, object: &ObjectArn) -> Result<(), Fault> {
    let ObjectArn { bucket: name, key } = object;
    let unreadable = || {
        Fault::invalid_value(format!(
            "Unable to fetch metadata from S3 for bucket: {name} and object: {key}. Please verify that both the bucket \
             and object exist, and that you have granted ElastiCache sufficient permissions to access them."
        ))
    };
    let bucket = plane.objects.bucket(name).await.map_err(|error| s3_failed(&error))?;
    let bucket = bucket.ok_or_else(unreadable)?;
    if bucket.region != region {
        return Err(Fault::invalid_value(format!("The S3 bucket {name} is outside of the region.")));
    }
    let allowed = |action: &&str| policy::allows(bucket.policy.as_deref(), region, action, name, key);
    if !policy::RESTORE.iter().all(allowed) {
        return Err(unreadable());
    }
    let head = plane.objects.head(name, key).await.map_err(|error| s3_failed(&error))?;
    let head = head.ok_or_else(unreadable)?;
    if head.encryption == Encryption::Kms {
        return Err(Fault::invalid_value(format!(
            "The object {key} in the S3 bucket {name} is encrypted with SSE-KMS. Only SSE-S3 is supported."
        )));
    }
    Ok(())
}
