//! The errors of the ElastiCache API, with AWS's own codes and statuses (botocore's model of ElastiCache 2015-02-02).

aws_query::faults! {
    cluster_exists = 400 "CacheClusterAlreadyExists";
    cluster_not_found = 404 "CacheClusterNotFound";
    cluster_state = 400 "InvalidCacheClusterState";
    group_exists = 400 "ReplicationGroupAlreadyExists";
    group_not_found = 404 "ReplicationGroupNotFoundFault";
    group_state = 400 "InvalidReplicationGroupState";
    invalid_arn = 400 "InvalidARN";
    node_quota = 400 "NodeQuotaForCustomerExceeded";
    serverless_exists = 400 "ServerlessCacheAlreadyExistsFault";
    serverless_not_found = 404 "ServerlessCacheNotFoundFault";
    serverless_quota = 400 "ServerlessCacheQuotaForCustomerExceededFault";
    serverless_snapshot_exists = 400 "ServerlessCacheSnapshotAlreadyExistsFault";
    serverless_snapshot_not_found = 404 "ServerlessCacheSnapshotNotFoundFault";
    serverless_snapshot_quota = 400 "ServerlessCacheSnapshotQuotaExceededFault";
    serverless_snapshot_state = 400 "InvalidServerlessCacheSnapshotStateFault";
    serverless_state = 400 "InvalidServerlessCacheStateFault";
    shard_quota = 400 "NodeGroupsPerReplicationGroupQuotaExceeded";
    snapshot_exists = 400 "SnapshotAlreadyExistsFault";
    snapshot_not_found = 404 "SnapshotNotFoundFault";
    snapshot_not_supported = 400 "SnapshotFeatureNotSupportedFault";
    snapshot_quota = 400 "SnapshotQuotaExceededFault";
    snapshot_state = 400 "InvalidSnapshotState";
    tag_not_found = 404 "TagNotFound";
    tag_quota = 400 "TagQuotaPerResourceExceeded";
}
