//! `ReplicationGroup`.

use aws_query::{Element, time};

use super::{endpoint, storage_encryption, switch, with};
use crate::state::{Cache, CacheStatus, Region, Shard};

/// A `ReplicationGroup`.
pub(crate) fn group(region: &Region, cache: &Cache) -> Element {
    let (traits, settings) = (&cache.traits, &cache.settings);
    let members: Vec<String> = traits.shards.iter().flat_map(|shard| traits.members(shard)).collect();
    let snapshotting = (cache.status == CacheStatus::Snapshotting).then(|| members.first()).flatten();
    let mut element = Element::new("ReplicationGroup")
        .text("ReplicationGroupId", &traits.cache)
        .text("Description", &traits.description)
        .text("Status", cache.status.text(traits.kind))
        .list("PendingModifiedValues", [])
        .list("MemberClusters", members.iter().map(|member| Element::of("ClusterId", member)))
        .maybe("SnapshottingClusterId", snapshotting)
        .text("AutomaticFailover", switch(traits.automatic_failover))
        .text("MultiAZ", switch(settings.multi_az))
        .text("SnapshotRetentionLimit", traits.retention_days)
        .text("SnapshotWindow", &traits.snapshot_window)
        .text("ClusterEnabled", traits.cluster_mode)
        .text("ClusterMode", switch(traits.cluster_mode))
        .text("CacheNodeType", &traits.node_type)
        .text("AuthTokenEnabled", settings.auth_token.is_some())
        .text("TransitEncryptionEnabled", settings.transit_encryption)
        .text("AtRestEncryptionEnabled", settings.at_rest_encryption)
        .text("StorageEncryptionType", storage_encryption(cache))
        .maybe("KmsKeyId", settings.key.as_ref())
        .text("ARN", region.arn(traits.kind.arn(), &traits.cache))
        .maybe("ReplicationGroupCreateTime", traits.created.map(time))
        .text("DataTiering", switch(traits.data_tiering))
        .text("AutoMinorVersionUpgrade", traits.auto_minor_version_upgrade)
        .text("NetworkType", "ipv4")
        .text("IpDiscovery", "ipv4")
        .text("Engine", &traits.engine)
        .list("LogDeliveryConfigurations", [])
        .list("UserGroupIds", []);
    if settings.transit_encryption {
        element = element.text("TransitEncryptionMode", &settings.transit_mode);
    }
    if traits.cluster_mode {
        element = with(element, endpoint("ConfigurationEndpoint", region, cache, 0));
    }
    // As on AWS, a group has no node groups while it is made.
    let made = !matches!(cache.status, CacheStatus::Creating | CacheStatus::Failed);
    let shards = traits.shards.iter().enumerate().filter(|_| made);
    element.list("NodeGroups", shards.map(|(at, shard)| node_group(region, cache, at, shard)))
}

fn node_group(region: &Region, cache: &Cache, at: usize, shard: &Shard) -> Element {
    let traits = &cache.traits;
    let mut element = Element::new("NodeGroup")
        .text("NodeGroupId", &shard.id)
        .text("Status", cache.status.text(traits.kind));
    if traits.cluster_mode {
        element = element.text("Slots", shard.slots);
    } else {
        element = with(element, endpoint("PrimaryEndpoint", region, cache, at));
        element = with(element, endpoint("ReaderEndpoint", region, cache, at));
    }
    let members = traits.members(shard).into_iter().enumerate().map(|(node, id)| {
        let member = Element::new("NodeGroupMember")
            .text("CacheClusterId", id)
            .text("CacheNodeId", "0001")
            .text("PreferredAvailabilityZone", &traits.zone);
        if traits.cluster_mode {
            return member;
        }
        let role = if node == 0 { "primary" } else { "replica" };
        with(member.text("CurrentRole", role), endpoint("ReadEndpoint", region, cache, at))
    });
    element.list("NodeGroupMembers", members)
}
