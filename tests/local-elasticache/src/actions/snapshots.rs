//! `CreateSnapshot`, `DescribeSnapshots`, `DeleteSnapshot`.

use std::sync::Arc;

use aws_query::{Element, Fault, Page, identifier, same};
use jiff::{SignedDuration, Timestamp};

use super::{Answer, Request, SNAPSHOTS, result, tags};
use crate::identifiers::SNAPSHOT;
use crate::state::{Cache, CacheStatus, Form, Kind, Region, Shard, Snapshot, SnapshotSource, SnapshotStatus};
use crate::{Quotas, documents, faults, work};

/// What the quotas count over.
const DAY: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn create(request: Request) -> Answer {
    let (plane, parameters) = (&request.plane, &request.parameters);
    let name = parameters.required("SnapshotName")?;
    let asked = tags::read(parameters)?;
    let key = plane.key(&request.region, parameters.get("KmsKeyId")).await?;
    let (quotas, number, now) = (plane.quotas(), plane.number(), plane.clock.now());
    let (document, cache, snapshot) = plane.region(&request.region, |region| {
        let kind = source(&request, region)?;
        let name = new_name(region, Form::Node, "SnapshotName", name)?;
        let cache = region.cache(kind.0, &kind.1)?;
        let node_type = &cache.traits.node_type;
        if node_type.starts_with("cache.t1.") {
            return Err(faults::snapshot_not_supported(format!("{node_type} has no snapshots.")));
        }
        if cache.status != CacheStatus::Available {
            return Err(wrong_state(kind.0, &kind.1, cache.status));
        }
        spend(cache, quotas, now)?;
        let snapshot = work::new_snapshot(name, number, cache, key, asked);
        let cache = cache.number;
        region.snapshots.insert((Form::Node, snapshot.name.clone()), snapshot.clone());
        Ok((documents::snapshot(region, &snapshot, false), cache, snapshot))
    })?;
    plane.tasks.spawn(work::snapshot(Arc::clone(plane), request.region.clone(), cache, snapshot));
    Ok(result("CreateSnapshot", document))
}

/// The cache that the request names, by the id of a replication group or of a cache cluster.
fn source(request: &Request, region: &mut Region) -> Result<(Kind, String), Fault> {
    let parameters = &request.parameters;
    let cache = match (parameters.get("ReplicationGroupId"), parameters.get("CacheClusterId")) {
        (Some(group), None) => region.cache(Kind::Group, group)?,
        (None, Some(cluster)) => {
            let cache = region.with_cluster(cluster)?;
            if cache.traits.cluster_mode {
                return Err(Fault::invalid_combination(
                    "A snapshot of a replication group with cluster mode enabled is taken with ReplicationGroupId.",
                ));
            }
            cache
        }
        _ => {
            return Err(Fault::invalid_combination(
                "Exactly one of ReplicationGroupId and CacheClusterId must be specified.",
            ));
        }
    };
    Ok((cache.traits.kind, cache.traits.cache.clone()))
}

/// The name of a new snapshot, which must be free.
pub(super) fn new_name(
    region: &mut Region,
    form: Form,
    parameter: &str,
    text: &str,
) -> Result<String, Fault> {
    let name = identifier(parameter, text, SNAPSHOT)?;
    if region.snapshot(form, &name).is_ok() {
        let message = format!("Snapshot with specified name already exists: {name}");
        return Err(match form {
            Form::Node => faults::snapshot_exists(message),
            Form::Serverless => faults::serverless_snapshot_exists(message),
        });
    }
    Ok(name)
}

/// Counts one more manual snapshot of a cache, if the quota of 24 hours lets it.
pub(super) fn spend(cache: &mut Cache, quotas: Quotas, now: Timestamp) -> Result<(), Fault> {
    let form = cache.traits.kind.form();
    let quota = match form {
        Form::Node => quotas.snapshots_per_node_per_day,
        Form::Serverless => quotas.snapshots_per_serverless_cache_per_day,
    };
    cache.snapshots_asked.retain(|asked| now.duration_since(*asked) < DAY);
    if cache.snapshots_asked.len() >= quota {
        let message = format!(
            "The request cannot be processed because it would exceed {quota} manual snapshots in 24 hours."
        );
        return Err(match form {
            Form::Node => faults::snapshot_quota(message),
            Form::Serverless => faults::serverless_snapshot_quota(message),
        });
    }
    cache.snapshots_asked.push(now);
    Ok(())
}

/// A cache is up to something else.
pub(super) fn wrong_state(kind: Kind, name: &str, status: CacheStatus) -> Fault {
    let status = status.text(kind);
    match kind {
        Kind::Group => faults::group_state(format!(
            "Replication group {name} is not in a valid state: it is {status}, not available."
        )),
        Kind::Cluster => faults::cluster_state(format!(
            "Cache cluster {name} is not in a valid state: it is {status}, not available."
        )),
        Kind::Serverless => faults::serverless_state(format!(
            "Serverless cache {name} is not in a valid state: it is {status}, not available."
        )),
    }
}

pub(super) fn describe(request: &Request) -> Answer {
    let parameters = &request.parameters;
    let page = Page::of(parameters, SNAPSHOTS)?;
    let source = match parameters.get("SnapshotSource") {
        None => None,
        Some("system" | "automated") => Some(SnapshotSource::Automated),
        Some("user" | "manual") => Some(SnapshotSource::Manual),
        Some(other) => {
            return Err(Fault::invalid_value(format!(
                "Invalid SnapshotSource: {other}. Must be system or user."
            )));
        }
    };
    let configuration = parameters.boolean("ShowNodeGroupConfig")?.unwrap_or(false);
    request.plane.region(&request.region, |region| {
        let wanted = match parameters.get("SnapshotName") {
            Some(name) => Some(region.snapshot(Form::Node, name)?.name.clone()),
            None => None,
        };
        let region = &*region;
        let matching = region.snapshots(Form::Node).filter(|(name, snapshot)| {
            wanted.as_deref().is_none_or(|wanted| wanted == *name)
                && source.is_none_or(|source| source == snapshot.source)
                && parameters.get("ReplicationGroupId").is_none_or(|id| of_group(snapshot, id))
                && parameters.get("CacheClusterId").is_none_or(|id| of_cluster(snapshot, id))
        });
        let result = Element::new("DescribeSnapshotsResult");
        let document = |snapshot: &Snapshot| documents::snapshot(region, snapshot, configuration);
        Ok(page.element(result, "Snapshots", matching, document))
    })
}

fn of_group(snapshot: &Snapshot, id: &str) -> bool {
    snapshot.traits.kind == Kind::Group && same(&snapshot.traits.cache, id)
}

fn of_cluster(snapshot: &Snapshot, id: &str) -> bool {
    let traits = &snapshot.traits;
    let has = |shard: &Shard| traits.members(shard).iter().any(|member| same(member, id));
    traits.shards.iter().any(has)
}

pub(super) fn delete(request: &Request) -> Answer {
    let name = request.parameters.required("SnapshotName")?;
    let (document, number) = request.plane.region(&request.region, |region| {
        let snapshot = doomed(region, Form::Node, name)?;
        Ok((documents::snapshot(region, &snapshot, false), snapshot.number))
    })?;
    let plane = &request.plane;
    plane.tasks.spawn(work::delete_snapshot(Arc::clone(plane), request.region.clone(), number));
    Ok(result("DeleteSnapshot", document))
}

/// The snapshot, `deleting` from here on.
pub(super) fn doomed(region: &mut Region, form: Form, name: &str) -> Result<Snapshot, Fault> {
    let snapshot = region.snapshot(form, name)?;
    if !matches!(snapshot.status, SnapshotStatus::Available | SnapshotStatus::Failed) {
        return Err(unavailable(snapshot));
    }
    snapshot.status = SnapshotStatus::Deleting;
    Ok(snapshot.clone())
}

/// A snapshot is up to something else.
pub(super) fn unavailable(snapshot: &Snapshot) -> Fault {
    let message =
        format!("Snapshot {} is in the state {}, not available.", snapshot.name, snapshot.status.text());
    match snapshot.form {
        Form::Node => faults::snapshot_state(message),
        Form::Serverless => faults::serverless_snapshot_state(message),
    }
}
