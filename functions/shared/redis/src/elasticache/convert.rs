//! From the SDK's types into ours.

use std::collections::BTreeMap;

use aws_sdk_elasticache::{primitives::DateTime, types};
use jiff::Timestamp;

use super::{Cache, CacheKind, ClusterMode, Settings, Shard, Snapshot, Tags, UsageLimits};
use crate::server::Server;

pub(super) fn timestamp(from: &DateTime) -> Option<Timestamp> {
    Timestamp::new(from.secs(), i32::try_from(from.subsec_nanos()).ok()?).ok()
}

pub(super) fn tags(from: &[types::Tag]) -> Tags {
    from.iter().filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))).collect()
}

pub(super) fn sdk_tags(from: &Tags) -> Vec<types::Tag> {
    from.iter().map(|(key, value)| types::Tag::builder().key(key).value(value).build()).collect()
}

/// What no other cache ever has: when it was made. The ARN, which a later one may have too, where that is not told.
fn incarnation(created: Option<&DateTime>, arn: &str) -> String {
    created.and_then(timestamp).map_or_else(|| arn.to_owned(), |created| created.to_string())
}

fn lower(status: Option<String>) -> String {
    status.unwrap_or_default().to_lowercase()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A replication group. What all its nodes have in common is told of the nodes alone: `node` is one of them.
pub(super) fn replication_group(from: types::ReplicationGroup, node: Option<&types::CacheCluster>) -> Cache {
    let groups = from.node_groups.unwrap_or_default();
    let primary = groups.first().and_then(|group| group.primary_endpoint.as_ref());
    let endpoint = from.configuration_endpoint.as_ref().or(primary);
    let endpoint = endpoint.and_then(|found| server(found, from.transit_encryption_enabled));
    let members = groups.iter().map(|group| group.node_group_members().len()).max().unwrap_or(0);
    let mut settings = node.map(node_settings).unwrap_or_default();
    settings.description = from.description.filter(|text| !text.trim().is_empty());
    settings.shards = groups
        .into_iter()
        .map(|group| Shard { id: group.node_group_id.unwrap_or_default(), slots: group.slots })
        .collect();
    settings.cluster_mode = match from.cluster_mode {
        Some(types::ClusterMode::Enabled) => ClusterMode::Enabled,
        Some(types::ClusterMode::Compatible) => ClusterMode::Compatible,
        // Groups older than the setting only say whether it is on.
        None if from.cluster_enabled == Some(true) => ClusterMode::Enabled,
        _ => ClusterMode::Disabled,
    };
    settings.replicas = count(members.saturating_sub(1));
    settings.engine = from.engine.unwrap_or(settings.engine);
    settings.node_type = from.cache_node_type.or(settings.node_type);
    settings.data_tiering = from.data_tiering == Some(types::DataTieringStatus::Enabled);
    settings.durability = from.durability.map(|durability| durability.as_str().to_owned());
    settings.port = settings.port.or_else(|| from.configuration_endpoint.as_ref().and_then(port));
    settings.in_transit_encryption = from.transit_encryption_enabled.unwrap_or_default();
    settings.in_transit_mode = from.transit_encryption_mode.map(|mode| mode.as_str().to_owned());
    settings.at_rest_encryption = from.at_rest_encryption_enabled.unwrap_or_default();
    settings.kms_key = from.kms_key_id;
    settings.auth_token = from.auth_token_enabled.unwrap_or_default();
    settings.user_groups = from.user_group_ids.unwrap_or_default();
    settings.automatic_failover = matches!(
        from.automatic_failover,
        Some(types::AutomaticFailoverStatus::Enabled | types::AutomaticFailoverStatus::Enabling)
    );
    settings.multi_az = from.multi_az == Some(types::MultiAzStatus::Enabled);
    settings.network_type = from.network_type.map(|network| network.as_str().to_owned());
    settings.ip_discovery = from.ip_discovery.map(|discovery| discovery.as_str().to_owned());
    let arn = from.arn.unwrap_or_default();
    Cache {
        name: from.replication_group_id.unwrap_or_default(),
        kind: CacheKind::ReplicationGroup,
        incarnation: incarnation(from.replication_group_create_time.as_ref(), &arn),
        arn,
        status: lower(from.status),
        endpoint,
        settings,
        tags: Tags::new(),
    }
}

/// A node that belongs to no replication group.
pub(super) fn cluster(from: &types::CacheCluster) -> Cache {
    let arn = from.arn.clone().unwrap_or_default();
    Cache {
        name: from.cache_cluster_id.clone().unwrap_or_default(),
        kind: CacheKind::Cluster,
        incarnation: incarnation(from.cache_cluster_create_time.as_ref(), &arn),
        arn,
        status: lower(from.cache_cluster_status.clone()),
        endpoint: node_endpoint(from).and_then(|found| server(found, from.transit_encryption_enabled)),
        settings: node_settings(from),
        tags: Tags::new(),
    }
}

fn node_endpoint(from: &types::CacheCluster) -> Option<&types::Endpoint> {
    from.cache_nodes().first().and_then(|node| node.endpoint.as_ref())
}

fn node_settings(from: &types::CacheCluster) -> Settings {
    let endpoint = node_endpoint(from);
    Settings {
        engine: from.engine.clone().unwrap_or_default(),
        engine_version: from.engine_version.clone(),
        shards: vec![Shard { id: "0001".to_owned(), slots: None }],
        node_type: from.cache_node_type.clone(),
        subnet_group: from.cache_subnet_group_name.clone(),
        security_groups: from
            .security_groups()
            .iter()
            .filter_map(|group| group.security_group_id.clone())
            .collect(),
        parameter_group: from
            .cache_parameter_group
            .as_ref()
            .and_then(|group| group.cache_parameter_group_name.clone()),
        port: endpoint.or(from.configuration_endpoint.as_ref()).and_then(port),
        in_transit_encryption: from.transit_encryption_enabled.unwrap_or_default(),
        in_transit_mode: from.transit_encryption_mode.as_ref().map(|mode| mode.as_str().to_owned()),
        at_rest_encryption: from.at_rest_encryption_enabled.unwrap_or_default(),
        auth_token: from.auth_token_enabled.unwrap_or_default(),
        network_type: from.network_type.as_ref().map(|network| network.as_str().to_owned()),
        ip_discovery: from.ip_discovery.as_ref().map(|discovery| discovery.as_str().to_owned()),
        ..Settings::default()
    }
}

fn port(endpoint: &types::Endpoint) -> Option<u16> {
    u16::try_from(endpoint.port?).ok()
}

fn server(endpoint: &types::Endpoint, tls: Option<bool>) -> Option<Server> {
    Some(Server { host: endpoint.address.clone()?, port: port(endpoint)?, tls: tls.unwrap_or_default() })
}

pub(super) fn serverless(from: types::ServerlessCache) -> Cache {
    let limits = from.cache_usage_limits.map(|limits| UsageLimits {
        least_gb: limits.data_storage.as_ref().and_then(|storage| storage.minimum),
        most_gb: limits.data_storage.as_ref().and_then(|storage| storage.maximum),
        least_ecpu_per_second: limits.ecpu_per_second.as_ref().and_then(|ecpu| ecpu.minimum),
        most_ecpu_per_second: limits.ecpu_per_second.as_ref().and_then(|ecpu| ecpu.maximum),
    });
    let settings = Settings {
        engine: from.engine.unwrap_or_default(),
        engine_version: from.major_engine_version,
        description: from.description.filter(|text| !text.trim().is_empty()),
        cluster_mode: ClusterMode::Enabled,
        subnets: from.subnet_ids.unwrap_or_default(),
        security_groups: from.security_group_ids.unwrap_or_default(),
        port: from.endpoint.as_ref().and_then(port),
        // A serverless cache has no other choice (ElastiCache User Guide, "Data security").
        in_transit_encryption: true,
        at_rest_encryption: true,
        kms_key: from.kms_key_id,
        user_groups: from.user_group_id.into_iter().collect(),
        network_type: from.network_type.map(|network| network.as_str().to_owned()),
        limits,
        ..Settings::default()
    };
    let endpoint = from.endpoint.as_ref().and_then(|found| server(found, Some(true)));
    let arn = from.arn.unwrap_or_default();
    Cache {
        name: from.serverless_cache_name.unwrap_or_default(),
        kind: CacheKind::Serverless,
        incarnation: incarnation(from.create_time.as_ref(), &arn),
        arn,
        status: lower(from.status),
        endpoint,
        settings,
        tags: Tags::new(),
    }
}

pub(super) fn snapshot(from: types::Snapshot) -> Snapshot {
    let nodes = from.node_snapshots.unwrap_or_default();
    let created =
        nodes.iter().filter_map(|node| node.snapshot_create_time.as_ref().and_then(timestamp)).min();
    // A shard may be told of more than once, or, while it is being made, not at all.
    let mut shards: BTreeMap<String, Shard> = BTreeMap::new();
    for node in nodes {
        let id = node.node_group_id.unwrap_or_else(|| "0001".to_owned());
        let slots = node.node_group_configuration.and_then(|configuration| configuration.slots);
        let shard = shards.entry(id.clone()).or_insert(Shard { id, slots: None });
        shard.slots = shard.slots.take().or(slots);
    }
    let told = from.num_node_groups.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    for number in count(shards.len()) + 1..=told {
        let id = format!("{number:04}");
        shards.entry(id.clone()).or_insert(Shard { id, slots: None });
    }
    let (kind, cache) = match from.replication_group_id {
        Some(group) => (CacheKind::ReplicationGroup, group),
        None => (CacheKind::Cluster, from.cache_cluster_id.unwrap_or_default()),
    };
    Snapshot {
        name: from.snapshot_name.unwrap_or_default(),
        arn: from.arn.unwrap_or_default(),
        kind,
        cache,
        status: lower(from.snapshot_status),
        shards: shards.into_values().collect(),
        engine: from.engine,
        engine_version: from.engine_version,
        created,
        tags: Tags::new(),
    }
}

pub(super) fn serverless_snapshot(from: types::ServerlessCacheSnapshot) -> Snapshot {
    let of = from.serverless_cache_configuration;
    Snapshot {
        name: from.serverless_cache_snapshot_name.unwrap_or_default(),
        arn: from.arn.unwrap_or_default(),
        kind: CacheKind::Serverless,
        cache: of.as_ref().and_then(|of| of.serverless_cache_name.clone()).unwrap_or_default(),
        status: lower(from.status),
        shards: Vec::new(),
        engine: of.as_ref().and_then(|of| of.engine.clone()),
        engine_version: of.and_then(|of| of.major_engine_version),
        created: from.create_time.as_ref().and_then(timestamp),
        tags: Tags::new(),
    }
}
