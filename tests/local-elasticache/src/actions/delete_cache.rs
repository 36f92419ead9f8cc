//! `DeleteReplicationGroup` and `DeleteCacheCluster`.

use std::sync::Arc;

use aws_query::{Element, Fault};

use super::{Answer, Request, result, snapshots};
use crate::state::{Cache, CacheStatus, Kind, Region, Tags};
use crate::work::{self, Deletion};
use crate::{documents, faults};

pub(super) fn group(request: &Request) -> Answer {
    let id = request.parameters.required("ReplicationGroupId")?;
    if request.parameters.boolean("RetainPrimaryCluster")? == Some(true) {
        return Err(Fault::invalid_combination("The local cloud retains no primary cluster."));
    }
    let snapshot = request.parameters.get("FinalSnapshotIdentifier");
    let document = delete(request, Kind::Group, id, snapshot, documents::group)?;
    Ok(result("DeleteReplicationGroup", document))
}

pub(super) fn cluster(request: &Request) -> Answer {
    let id = request.parameters.required("CacheClusterId")?;
    let group = request.plane.region(&request.region, |region| {
        let cache = region.with_cluster(id)?;
        Ok((cache.traits.kind == Kind::Group).then(|| cache.traits.cache.clone()))
    })?;
    if let Some(group) = group {
        return Err(faults::cluster_state(format!(
            "{id} is in the replication group {group} and cannot be deleted without it."
        )));
    }
    let snapshot = request.parameters.get("FinalSnapshotIdentifier");
    let document = delete(request, Kind::Cluster, id, snapshot, documents::cluster)?;
    Ok(result("DeleteCacheCluster", document))
}

/// Begins to delete a cache that is not up to anything else.
pub(super) fn delete(
    request: &Request,
    kind: Kind,
    name: &str,
    snapshot: Option<&str>,
    document: impl FnOnce(&Region, &Cache) -> Element,
) -> Result<Element, Fault> {
    let plane = &request.plane;
    let (quotas, number, now) = (plane.quotas(), plane.number(), plane.clock.now());
    let (document, deletion) = plane.region(&request.region, |region| {
        let status = region.cache(kind, name)?.status;
        if !can_be_deleted(status) {
            return Err(snapshots::wrong_state(kind, name, status));
        }
        let snapshot_name = match snapshot {
            Some(text) => Some(snapshots::new_name(region, kind.form(), "FinalSnapshotIdentifier", text)?),
            None => None,
        };
        let cache = region.cache(kind, name)?;
        let final_snapshot = match snapshot_name {
            Some(snapshot_name) => {
                snapshots::spend(cache, quotas, now)?;
                Some(work::new_snapshot(snapshot_name, number, cache, None, Tags::new()))
            }
            None => None,
        };
        cache.status = CacheStatus::Deleting;
        let cache = cache.clone();
        if let Some(snapshot) = &final_snapshot {
            region.snapshots.insert((snapshot.form, snapshot.name.clone()), snapshot.clone());
        }
        let deletion = Deletion { cache: cache.number, final_snapshot };
        Ok((document(region, &cache), deletion))
    })?;
    plane.tasks.spawn(work::delete(Arc::clone(plane), request.region.clone(), deletion));
    Ok(document)
}

/// "Can only delete cache clusters with state in: available, failed, incompatible-parameters, incompatible-network,
/// restore-failed" is what ElastiCache says of one that is being made (hashicorp/terraform, pull request 1331); of a replication
/// group that it "has status modifying which is not valid for deletion" (aws-controllers-k8s/community, issue 948).
fn can_be_deleted(status: CacheStatus) -> bool {
    matches!(status, CacheStatus::Available | CacheStatus::Failed | CacheStatus::IncompatibleNetwork)
}
