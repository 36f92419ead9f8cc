//! `Snapshot`, of node-based caches.

use aws_query::{Element, time};

use super::{VPC, switch};
use crate::state::{Kind, Region, Shard, Snapshot};

/// A `Snapshot`; `configuration` is whether node groups are told in full.
pub(crate) fn snapshot(region: &Region, snapshot: &Snapshot, configuration: bool) -> Element {
    let traits = &snapshot.traits;
    let mut element = Element::new("Snapshot")
        .text("SnapshotName", &snapshot.name)
        .text("SnapshotStatus", snapshot.status.text())
        .text("SnapshotSource", snapshot.source.text())
        .text("CacheNodeType", &traits.node_type)
        .text("Engine", &traits.engine)
        .text("EngineVersion", &traits.engine_version)
        .text("PreferredMaintenanceWindow", &traits.maintenance_window)
        .text("Port", traits.port)
        .text("CacheParameterGroupName", &traits.parameter_group)
        .text("CacheSubnetGroupName", &traits.subnet_group)
        .text("VpcId", VPC)
        .text("AutoMinorVersionUpgrade", traits.auto_minor_version_upgrade)
        .text("SnapshotRetentionLimit", traits.retention_days)
        .text("SnapshotWindow", &traits.snapshot_window)
        .maybe("KmsKeyId", snapshot.key.as_ref())
        .text("ARN", region.arn(snapshot.form.arn(), &snapshot.name))
        .text("DataTiering", switch(traits.data_tiering));
    // Without cluster mode a snapshot is of one cache cluster, also if that is in a replication group.
    let first = traits.shards.first().and_then(|shard| traits.members(shard).into_iter().next());
    if !traits.cluster_mode {
        element = element
            .maybe("CacheClusterId", first)
            .text("NumCacheNodes", 1)
            .text("PreferredAvailabilityZone", &traits.zone)
            .maybe("CacheClusterCreateTime", traits.created.map(time));
    }
    if traits.kind == Kind::Group {
        element = element
            .text("ReplicationGroupId", &traits.cache)
            .text("ReplicationGroupDescription", &traits.description)
            .text("NumNodeGroups", traits.shards.len())
            .text("AutomaticFailover", switch(traits.automatic_failover));
    }
    let nodes = traits.shards.iter().enumerate();
    element.list("NodeSnapshots", nodes.map(|(at, shard)| node(snapshot, at, shard, configuration)))
}

fn node(snapshot: &Snapshot, at: usize, shard: &Shard, configuration: bool) -> Element {
    let traits = &snapshot.traits;
    let size = snapshot.size_bytes(at).map(|bytes| format!("{} MB", bytes.div_ceil(1 << 20)));
    let mut element = Element::new("NodeSnapshot")
        .maybe("CacheSize", size)
        .maybe("CacheNodeCreateTime", traits.created.map(time))
        .maybe("SnapshotCreateTime", snapshot.taken.map(time));
    if traits.cluster_mode {
        element =
            element.maybe("CacheClusterId", traits.members(shard).first()).text("NodeGroupId", &shard.id);
    }
    element = element.text("CacheNodeId", "0001");
    if configuration && traits.kind == Kind::Group {
        let group = Element::new("NodeGroupConfiguration")
            .text("NodeGroupId", &shard.id)
            .text("Slots", shard.slots)
            .text("ReplicaCount", traits.replicas)
            .text("PrimaryAvailabilityZone", &traits.zone)
            .list("ReplicaAvailabilityZones", []);
        element = element.with(group);
    }
    element
}
