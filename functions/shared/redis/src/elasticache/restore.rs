//! A cache made from a backup, with the settings of the one that was backed up.

use aws_sdk_elasticache::types::{
    CacheUsageLimits, ClusterMode as SdkClusterMode, DataStorage, DataStorageUnit, Durability, EcpuPerSecond,
    IpDiscovery, NetworkType, NodeGroupConfiguration, TransitEncryptionMode,
};
use reconcile::{Error, Result, aws_error};
use secrecy::ExposeSecret;

use super::{
    AwsElastiCache, Cache, CacheKind, ClusterMode, Restore, RestoreFrom, Settings, UsageLimits, convert,
};

pub(super) async fn create(caches: &AwsElastiCache, new: &Restore) -> Result<Cache> {
    match new.kind {
        CacheKind::ReplicationGroup => replication_group(caches, new).await,
        CacheKind::Cluster => cluster(caches, new).await,
        CacheKind::Serverless => serverless(caches, new).await,
    }
}

fn doing(caches: &AwsElastiCache, new: &Restore) -> String {
    format!("restore {} {} in {}", new.kind, new.name, caches.region)
}

fn number<N: TryInto<i32>>(number: N) -> i32 {
    number.try_into().unwrap_or(i32::MAX)
}

fn some(list: &[String]) -> Option<Vec<String>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn unfit(new: &Restore, what: &str) -> Error {
    let message = format!("{} {} cannot be restored from {what}", new.kind, new.name);
    Error::misconfigured("SourceUnfit", message)
}

async fn replication_group(caches: &AwsElastiCache, new: &Restore) -> Result<Cache> {
    let Settings { shards, replicas, .. } = &new.settings;
    let settings = &new.settings;
    let is_cluster = settings.cluster_mode != ClusterMode::Disabled;
    let request = caches
        .client
        .create_replication_group()
        .replication_group_id(&new.name)
        // It must not be empty.
        .replication_group_description(settings.description.as_deref().unwrap_or("restored by Tidemark"))
        .engine(&settings.engine)
        .set_engine_version(settings.engine_version.clone())
        .set_cache_node_type(settings.node_type.clone())
        .set_cache_parameter_group_name(settings.parameter_group.clone())
        .set_cache_subnet_group_name(settings.subnet_group.clone())
        .set_security_group_ids(some(&settings.security_groups))
        .set_port(settings.port.map(i32::from))
        .automatic_failover_enabled(settings.automatic_failover)
        .multi_az_enabled(settings.multi_az)
        .transit_encryption_enabled(settings.in_transit_encryption)
        .set_transit_encryption_mode(settings.in_transit_mode.as_deref().map(TransitEncryptionMode::from))
        .at_rest_encryption_enabled(settings.at_rest_encryption)
        .set_kms_key_id(settings.kms_key.clone())
        .set_auth_token(new.auth_token.as_ref().map(|token| token.expose_secret().to_owned()))
        .set_user_group_ids(some(&settings.user_groups))
        .set_data_tiering_enabled(settings.data_tiering.then_some(true))
        .set_network_type(settings.network_type.as_deref().map(NetworkType::from))
        .set_ip_discovery(settings.ip_discovery.as_deref().map(IpDiscovery::from))
        .set_durability(settings.durability.as_deref().map(Durability::from))
        .set_tags(Some(convert::sdk_tags(&new.tags)));
    let request = match settings.cluster_mode {
        ClusterMode::Disabled => request.num_cache_clusters(number(replicas.saturating_add(1))),
        ClusterMode::Compatible => request.cluster_mode(SdkClusterMode::Compatible),
        ClusterMode::Enabled => request.cluster_mode(SdkClusterMode::Enabled),
    };
    let request = match &new.from {
        // From S3 each shard must be told which slots are in its file (`CreateReplicationGroup`, NodeGroupConfiguration).
        RestoreFrom::Objects(arns) => {
            let request = request.set_snapshot_arns(Some(arns.clone()));
            if is_cluster {
                request.set_node_group_configuration(Some(node_groups(settings)))
            } else {
                request
            }
        }
        from => {
            let request = match from {
                RestoreFrom::ServerlessSnapshot { name, .. } => request.serverless_cache_snapshot_name(name),
                RestoreFrom::Snapshot(name) => request.snapshot_name(name),
                RestoreFrom::Objects(_) => request,
            };
            if is_cluster {
                request.num_node_groups(number(shards.len())).replicas_per_node_group(number(*replicas))
            } else {
                request
            }
        }
    };
    let answer = request.send().await.map_err(|error| aws_error(&doing(caches, new), error))?;
    let made = answer.replication_group.ok_or_else(|| caches.missing("the replication group"))?;
    Ok(convert::replication_group(made, None))
}

fn node_groups(settings: &Settings) -> Vec<NodeGroupConfiguration> {
    let group = |shard: &super::Shard| {
        NodeGroupConfiguration::builder()
            .node_group_id(&shard.id)
            .set_slots(shard.slots.clone())
            .replica_count(number(settings.replicas))
            .build()
    };
    settings.shards.iter().map(group).collect()
}

async fn cluster(caches: &AwsElastiCache, new: &Restore) -> Result<Cache> {
    let settings = &new.settings;
    let request = caches
        .client
        .create_cache_cluster()
        .cache_cluster_id(&new.name)
        .num_cache_nodes(1)
        .engine(&settings.engine)
        .set_engine_version(settings.engine_version.clone())
        .set_cache_node_type(settings.node_type.clone())
        .set_cache_parameter_group_name(settings.parameter_group.clone())
        .set_cache_subnet_group_name(settings.subnet_group.clone())
        .set_security_group_ids(some(&settings.security_groups))
        .set_port(settings.port.map(i32::from))
        .set_transit_encryption_enabled(settings.in_transit_encryption.then_some(true))
        .set_auth_token(new.auth_token.as_ref().map(|token| token.expose_secret().to_owned()))
        .set_network_type(settings.network_type.as_deref().map(NetworkType::from))
        .set_ip_discovery(settings.ip_discovery.as_deref().map(IpDiscovery::from))
        .set_tags(Some(convert::sdk_tags(&new.tags)));
    let request = match &new.from {
        RestoreFrom::Snapshot(name) => request.snapshot_name(name),
        RestoreFrom::Objects(arns) => request.set_snapshot_arns(Some(arns.clone())),
        RestoreFrom::ServerlessSnapshot { .. } => {
            return Err(unfit(
                new,
                "a serverless cache's snapshot; restore a replication group or a serverless cache",
            ));
        }
    };
    let answer = request.send().await.map_err(|error| aws_error(&doing(caches, new), error))?;
    let made = answer.cache_cluster.ok_or_else(|| caches.missing("the cache cluster"))?;
    Ok(convert::cluster(&made))
}

async fn serverless(caches: &AwsElastiCache, new: &Restore) -> Result<Cache> {
    let settings = &new.settings;
    // "The ARN(s) of the snapshot": of S3 objects or of a serverless cache's snapshot (`CreateServerlessCache`).
    let arns = match &new.from {
        RestoreFrom::Objects(arns) => arns.clone(),
        RestoreFrom::ServerlessSnapshot { arn, .. } => vec![arn.clone()],
        RestoreFrom::Snapshot(_) => {
            return Err(unfit(
                new,
                "the snapshot of a cache with nodes by its name; restore it from the vault",
            ));
        }
    };
    let request = caches
        .client
        .create_serverless_cache()
        .serverless_cache_name(&new.name)
        .set_description(settings.description.clone())
        .engine(&settings.engine)
        .set_major_engine_version(settings.engine_version.clone())
        .set_cache_usage_limits(settings.limits.as_ref().map(limits))
        .set_kms_key_id(settings.kms_key.clone())
        .set_security_group_ids(some(&settings.security_groups))
        .set_subnet_ids(some(&settings.subnets))
        .set_user_group_id(settings.user_groups.first().cloned())
        .set_network_type(settings.network_type.as_deref().map(NetworkType::from))
        .set_snapshot_arns_to_restore(Some(arns))
        .set_tags(Some(convert::sdk_tags(&new.tags)));
    let answer = request.send().await.map_err(|error| aws_error(&doing(caches, new), error))?;
    answer.serverless_cache.map(convert::serverless).ok_or_else(|| caches.missing("the serverless cache"))
}

fn limits(from: &UsageLimits) -> CacheUsageLimits {
    let storage = DataStorage::builder()
        .set_minimum(from.least_gb)
        .set_maximum(from.most_gb)
        .unit(DataStorageUnit::Gb)
        .build();
    let ecpu = EcpuPerSecond::builder()
        .set_minimum(from.least_ecpu_per_second)
        .set_maximum(from.most_ecpu_per_second)
        .build();
    let has_storage = from.least_gb.is_some() || from.most_gb.is_some();
    let has_ecpu = from.least_ecpu_per_second.is_some() || from.most_ecpu_per_second.is_some();
    CacheUsageLimits::builder()
        .set_data_storage(has_storage.then_some(storage))
        .set_ecpu_per_second(has_ecpu.then_some(ecpu))
        .build()
}
