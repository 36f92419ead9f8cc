//! `CreateCacheCluster`: one node that is in no replication group.

use aws_query::{Fault, identifier};

use super::origin::Source;
use super::settings::{Asked, settings};
use super::{Answer, Request, caches, result, tags};
use crate::identifiers::CLUSTER;
use crate::state::{Kind, shards};
use crate::{documents, faults};

pub(super) async fn create(request: Request) -> Answer {
    let (plane, parameters) = (&request.plane, &request.parameters);
    let id = identifier("CacheClusterId", parameters.required("CacheClusterId")?, CLUSTER)?;
    if parameters.get("ReplicationGroupId").is_some() {
        return Err(Fault::invalid_combination("The local cloud adds no clusters to replication groups."));
    }
    if parameters.integer("NumCacheNodes")?.is_some_and(|nodes| nodes != 1) {
        return Err(Fault::invalid_value("NumCacheNodes must be 1 for this engine."));
    }
    let asked = tags::read(parameters)?;
    let source = Source::of(plane, &request.region, parameters, "SnapshotArns").await?;
    if source.files() > 1 || source.snapshot().is_some_and(|it| it.traits.cluster_mode) {
        return Err(Fault::invalid_combination(
            "A cache cluster is restored from one RDB file of a cache without cluster mode.",
        ));
    }
    let mut traits = Asked {
        parameters,
        region: &request.region,
        kind: Kind::Cluster,
        version: &plane.install.version,
        snapshot: source.snapshot(),
        cluster_mode: false,
        shards: shards(1),
        replicas: 0,
    }
    .traits()?;
    traits.cache.clone_from(&id);
    traits.simulated = tags::simulated(&asked) || source.snapshot().is_some_and(|it| it.traits.simulated);
    let settings = settings(parameters, &traits, None)?;
    let quota = plane.quotas().nodes;
    let cache = caches::new(plane, traits, settings, asked);
    let check = |region: &mut crate::state::Region| {
        // Members of replication groups have names of the same kind.
        if region.with_cluster(&id).is_ok() {
            return Err(faults::cluster_exists(format!("{id} already exists.")));
        }
        caches::room_for(region, 1, quota)
    };
    let document = caches::launch(&request, cache, source, check, documents::cluster)?;
    Ok(result("CreateCacheCluster", document))
}
