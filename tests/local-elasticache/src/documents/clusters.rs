//! `CacheCluster`: a node, of a replication group or on its own.

use aws_query::{Element, time};

use super::{endpoint, with};
use crate::state::{Cache, CacheStatus, Kind, Region};

/// The cache cluster that is in no replication group.
pub(crate) fn cluster(region: &Region, cache: &Cache) -> Element {
    cluster_of(region, cache, 0, &cache.traits.cache, false)
}

/// The cache cluster `id` of a shard.
pub(crate) fn cluster_of(region: &Region, cache: &Cache, shard: usize, id: &str, nodes: bool) -> Element {
    let (traits, settings) = (&cache.traits, &cache.settings);
    let status = match cache.status {
        CacheStatus::Failed => "restore-failed",
        other => other.text(Kind::Cluster),
    };
    let parameters = Element::new("CacheParameterGroup")
        .text("CacheParameterGroupName", &traits.parameter_group)
        .text("ParameterApplyStatus", "in-sync")
        .list("CacheNodeIdsToReboot", []);
    let groups = settings
        .security_groups
        .iter()
        .map(|group| Element::new("member").text("SecurityGroupId", group).text("Status", "active"));
    let mut element = Element::new("CacheCluster")
        .text("CacheClusterId", id)
        .text("CacheClusterStatus", status)
        .text("CacheNodeType", &traits.node_type)
        .text("Engine", &traits.engine)
        .text("EngineVersion", &traits.engine_version)
        .text("NumCacheNodes", 1)
        .text("PreferredAvailabilityZone", &traits.zone)
        .maybe("CacheClusterCreateTime", traits.created.map(time))
        .text("PreferredMaintenanceWindow", &traits.maintenance_window)
        .list("PendingModifiedValues", [])
        .list("CacheSecurityGroups", [])
        .with(parameters)
        .text("CacheSubnetGroupName", &traits.subnet_group)
        .text("AutoMinorVersionUpgrade", traits.auto_minor_version_upgrade)
        .list("SecurityGroups", groups)
        .text("SnapshotRetentionLimit", traits.retention_days)
        .text("SnapshotWindow", &traits.snapshot_window)
        .text("AuthTokenEnabled", settings.auth_token.is_some())
        .text("TransitEncryptionEnabled", settings.transit_encryption)
        .text("AtRestEncryptionEnabled", settings.at_rest_encryption)
        .text("ARN", region.arn("cluster", id))
        .text("ReplicationGroupLogDeliveryEnabled", false)
        .list("LogDeliveryConfigurations", [])
        .text("NetworkType", "ipv4")
        .text("IpDiscovery", "ipv4");
    if traits.kind == Kind::Group {
        element = element.text("ReplicationGroupId", &traits.cache);
    }
    if nodes {
        let node = Element::new("CacheNode")
            .text("CacheNodeId", "0001")
            .text("CacheNodeStatus", status)
            .maybe("CacheNodeCreateTime", traits.created.map(time))
            .text("ParameterGroupStatus", "in-sync")
            .text("CustomerAvailabilityZone", &traits.zone);
        element = element.list("CacheNodes", [with(node, endpoint("Endpoint", region, cache, shard))]);
    }
    element
}
