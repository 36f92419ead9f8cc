//! `CreateReplicationGroup`.

use aws_query::{Fault, Parameters, identifier};

use super::origin::Source;
use super::settings::{Asked, settings};
use super::{Answer, Request, caches, result, shards, tags};
use crate::identifiers::GROUP;
use crate::state::{Kind, Snapshot};
use crate::{documents, faults};

pub(super) async fn create(request: Request) -> Answer {
    let (plane, parameters) = (&request.plane, &request.parameters);
    let id = identifier("ReplicationGroupId", parameters.required("ReplicationGroupId")?, GROUP)?;
    parameters.required("ReplicationGroupDescription")?;
    for name in ["PrimaryClusterId", "GlobalReplicationGroupId"] {
        if parameters.get(name).is_some() {
            return Err(Fault::invalid_combination(format!("The local cloud has no {name}.")));
        }
    }
    let asked = tags::read(parameters)?;
    let source = Source::of(plane, &request.region, parameters, "SnapshotArns").await?;
    let shards = shards::read(parameters, source.snapshot())?;
    let cluster_mode = cluster_mode(parameters, shards.len(), source.snapshot())?;
    if !cluster_mode && source.files() > 1 {
        return Err(Fault::invalid_combination(format!(
            "A replication group with cluster mode disabled is restored from one RDB file, not from {}: a snapshot of \
             a group with cluster mode enabled can only be restored with cluster mode enabled.",
            source.files()
        )));
    }
    let replicas = replicas(parameters, cluster_mode)?;
    let mut traits = Asked {
        parameters,
        region: &request.region,
        kind: Kind::Group,
        version: &plane.install.version,
        snapshot: source.snapshot(),
        cluster_mode,
        shards,
        replicas,
    }
    .traits()?;
    traits.cache.clone_from(&id);
    traits.simulated = tags::simulated(&asked) || source.snapshot().is_some_and(|it| it.traits.simulated);
    check_failover(parameters, traits.automatic_failover, cluster_mode, replicas)?;
    let key = plane.key(&request.region, parameters.get("KmsKeyId")).await?;
    let settings = settings(parameters, &traits, key)?;
    let quotas = plane.quotas();
    let (shards, nodes) = (traits.shards.len(), traits.nodes());
    let cache = caches::new(plane, traits, settings, asked);
    let check = |region: &mut crate::state::Region| {
        caches::free(region, Kind::Group, &id, faults::group_exists)?;
        if shards > quotas.shards_per_group {
            return Err(faults::shard_quota(format!(
                "Cannot have more than {} node groups.",
                quotas.shards_per_group
            )));
        }
        caches::room_for(region, nodes, quotas.nodes)
    };
    let document = caches::launch(&request, cache, source, check, documents::group)?;
    Ok(result("CreateReplicationGroup", document))
}

/// Cluster mode is asked for by its name, by a parameter group for it, or by more than one shard; else it is as in the
/// snapshot.
fn cluster_mode(parameters: &Parameters, shards: usize, snapshot: Option<&Snapshot>) -> Result<bool, Fault> {
    let by_group = parameters.get("CacheParameterGroupName").map(|name| name.contains(".cluster.on"));
    let by_group =
        by_group.filter(|on| *on || parameters.get("CacheParameterGroupName").is_some_and(default));
    let enabled = match (parameters.get("ClusterMode"), by_group) {
        (Some("enabled"), _) | (None, Some(true)) => true,
        (Some("disabled" | "compatible"), _) | (None, Some(false)) => false,
        (Some(other), _) => return Err(Fault::invalid_value(format!("Invalid ClusterMode: {other}"))),
        (None, None) => shards > 1 || snapshot.is_some_and(|it| it.traits.cluster_mode),
    };
    // A snapshot of several shards may have brought them along.
    let asked =
        parameters.get("NumNodeGroups").is_some() || !parameters.list("NodeGroupConfiguration").is_empty();
    if !enabled && shards > 1 && asked {
        return Err(Fault::invalid_combination(
            "A replication group with cluster mode disabled has one node group.",
        ));
    }
    Ok(enabled)
}

/// A default parameter group, whose name says what it is for.
fn default(name: &str) -> bool {
    name.starts_with("default.")
}

/// Replicas of each shard.
fn replicas(parameters: &Parameters, cluster_mode: bool) -> Result<u32, Fault> {
    let each = parameters.integer("ReplicasPerNodeGroup")?;
    let all = parameters.integer("NumCacheClusters")?;
    let replicas = match (each, all) {
        (Some(_), Some(_)) => {
            return Err(Fault::invalid_combination(
                "NumCacheClusters and ReplicasPerNodeGroup cannot both be specified.",
            ));
        }
        (None, Some(_)) if cluster_mode => {
            return Err(Fault::invalid_combination(
                "NumCacheClusters cannot be specified with cluster mode enabled: use ReplicasPerNodeGroup.",
            ));
        }
        (each, all) => each.or(all.map(|all| all.saturating_sub(1))).unwrap_or(0),
    };
    if replicas > 5 {
        return Err(Fault::invalid_value("A node group can have at most 5 replicas."));
    }
    Ok(replicas)
}

fn check_failover(
    parameters: &Parameters,
    failover: bool,
    cluster_mode: bool,
    replicas: u32,
) -> Result<(), Fault> {
    if cluster_mode && !failover {
        return Err(Fault::invalid_combination(
            "Redis with cluster mode enabled cannot be created with auto failover turned off.",
        ));
    }
    if !cluster_mode && failover && replicas == 0 {
        return Err(Fault::invalid_value(
            "When using automatic failover, there must be at least 2 cache clusters in the replication group.",
        ));
    }
    if parameters.boolean("MultiAZEnabled")? == Some(true) && !failover {
        return Err(Fault::invalid_combination("MultiAZ needs automatic failover."));
    }
    Ok(())
}
