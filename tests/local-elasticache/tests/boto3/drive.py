"""Drives the control plane with boto3: every action, every list with its paginator, every waiter, refusals by their codes.

Arguments: endpoint, Region, bucket.
"""

import sys
import time

import boto3
import botocore.config
from judge import Judge

ENDPOINT, HOME, VAULT = sys.argv[1:]
ACCOUNT = "000000000000"
KEY = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/own"
SIMULATED = {"Key": "local-cloud:data", "Value": "simulated"}


def client(service):
    return boto3.client(
        service,
        region_name=HOME,
        endpoint_url=ENDPOINT,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="local",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


judge = Judge()
cache = judge.watch(client("elasticache"))
tagging = client("resourcegroupstaggingapi")


def arn(kind, name):
    return f"arn:aws:elasticache:{HOME}:{ACCOUNT}:{kind}:{name}"


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except cache.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__}{arguments} went well, not {code}")


def until(what, look):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within a minute: {what}")


def snapshot(name, **more):
    [found] = cache.describe_snapshots(SnapshotName=name, **more)["Snapshots"]
    return found


def settled(name):
    return until(name, lambda: snapshot(name)["SnapshotStatus"] == "available" and snapshot(name))


def groups():
    made = cache.create_replication_group(
        ReplicationGroupId="Sessions",
        ReplicationGroupDescription="web sessions",
        Engine="valkey",
        NodeGroupConfiguration=[{"Slots": "0-8000"}, {"Slots": "8001-16383"}],
        ReplicasPerNodeGroup=1,
        AutomaticFailoverEnabled=True,
        MultiAZEnabled=True,
        CacheNodeType="cache.r7g.large",
        CacheSubnetGroupName="private",
        SecurityGroupIds=["sg-1"],
        AtRestEncryptionEnabled=True,
        KmsKeyId=KEY,
        TransitEncryptionEnabled=True,
        SnapshotRetentionLimit=3,
        Tags=[{"Key": "team", "Value": "web"}],
    )["ReplicationGroup"]
    assert (made["ReplicationGroupId"], made["Status"]) == ("sessions", "creating"), made
    cache.get_waiter("replication_group_available").wait(
        ReplicationGroupId="sessions", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    [group] = cache.describe_replication_groups(ReplicationGroupId="sessions")["ReplicationGroups"]
    assert group["ClusterEnabled"] and group["ClusterMode"] == "enabled", group
    assert group["ConfigurationEndpoint"]["Address"] == "127.0.0.1", group
    assert [it["Slots"] for it in group["NodeGroups"]] == ["0-8000", "8001-16383"], group
    assert (group["KmsKeyId"], group["StorageEncryptionType"]) == (KEY, "sse-kms"), group
    assert group["MemberClusters"] == [f"sessions-{shard}-{node}" for shard in ("0001", "0002") for node in ("001", "002")]

    single = cache.create_cache_cluster(CacheClusterId="Queue", Engine="redis", EngineVersion="7.1", NumCacheNodes=1)
    assert single["CacheCluster"]["CacheClusterStatus"] == "creating", single
    cache.get_waiter("cache_cluster_available").wait(
        CacheClusterId="queue", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    described = cache.describe_cache_clusters(ShowCacheNodeInfo=True)["CacheClusters"]
    assert [it["CacheClusterId"] for it in described] == ["queue", *group["MemberClusters"]], described
    assert all(it["CacheNodes"][0]["Endpoint"]["Port"] > 1024 for it in described), described
    assert described[1]["ReplicationGroupId"] == "sessions" and described[1]["SecurityGroups"][0]["SecurityGroupId"] == "sg-1"
    [alone] = cache.describe_cache_clusters(ShowCacheClustersNotInReplicationGroups=True)["CacheClusters"]
    assert alone["CacheClusterId"] == "queue" and alone["EngineVersion"] == "7.1.0", alone

    new = {"ReplicationGroupId": "new", "ReplicationGroupDescription": "new"}
    create = cache.create_replication_group
    refused("ReplicationGroupAlreadyExists", create, **{**new, "ReplicationGroupId": "SESSIONS"})
    refused("CacheClusterAlreadyExists", cache.create_cache_cluster, CacheClusterId="sessions-0001-001")
    refused("InvalidParameterValue", create, **{**new, "ReplicationGroupId": "no--name"})
    refused("InvalidParameterValue", create, **new, SnapshotName="absent")
    refused("InvalidParameterValue", create, **new, Engine="memcached")
    refused("InvalidParameterValue", create, **new, AtRestEncryptionEnabled=True, KmsKeyId="disabled")
    refused("InvalidParameterCombination", create, **new, KmsKeyId=KEY, Engine="redis")
    refused("InvalidParameterCombination", create, **new, AuthToken="sixteen-characters!")
    refused("InvalidParameterCombination", create, **new, NumNodeGroups=2, AutomaticFailoverEnabled=False)
    refused("InvalidParameterCombination", create, **new, NumNodeGroups=2, ClusterMode="disabled")
    refused("ReplicationGroupNotFoundFault", cache.describe_replication_groups, ReplicationGroupId="absent")
    refused("ReplicationGroupNotFoundFault", cache.delete_replication_group, ReplicationGroupId="absent")
    refused("CacheClusterNotFound", cache.describe_cache_clusters, CacheClusterId="absent")
    refused("CacheClusterNotFound", cache.delete_cache_cluster, CacheClusterId="absent")
    refused("InvalidCacheClusterState", cache.delete_cache_cluster, CacheClusterId="sessions-0002-001")
    refused("InvalidParameterValue", cache.describe_replication_groups, MaxRecords=19)


def snapshots():
    made = cache.create_snapshot(
        ReplicationGroupId="sessions", SnapshotName="Nightly", KmsKeyId=KEY, Tags=[{"Key": "slot", "Value": "1"}]
    )["Snapshot"]
    assert (made["SnapshotName"], made["SnapshotStatus"]) == ("nightly", "creating"), made
    nightly = settled("nightly")
    assert (nightly["NumNodeGroups"], nightly["SnapshotSource"], nightly["KmsKeyId"]) == (2, "manual", KEY), nightly
    assert [it["CacheSize"] for it in nightly["NodeSnapshots"]] == ["1 MB", "1 MB"], nightly
    assert "NodeGroupConfiguration" not in nightly["NodeSnapshots"][0], nightly
    [first, _] = snapshot("nightly", ShowNodeGroupConfig=True)["NodeSnapshots"]
    assert first["NodeGroupConfiguration"]["Slots"] == "0-8000", first
    until("sessions", lambda: cache.describe_replication_groups()["ReplicationGroups"][0]["Status"] == "available")

    cache.create_snapshot(CacheClusterId="queue", SnapshotName="queue-1")
    queue = settled("queue-1")
    assert queue["CacheClusterId"] == "queue" and "ReplicationGroupId" not in queue, queue
    named = lambda **filters: [it["SnapshotName"] for it in cache.describe_snapshots(**filters)["Snapshots"]]
    assert named(ReplicationGroupId="sessions") == ["nightly"] and named(CacheClusterId="queue") == ["queue-1"]
    assert named(SnapshotSource="system") == [] and named(SnapshotSource="user") == ["nightly", "queue-1"]

    copied = cache.copy_snapshot(SourceSnapshotName="nightly", TargetSnapshotName="weekly")["Snapshot"]
    assert (copied["SnapshotName"], copied["SnapshotStatus"]) == ("weekly", "creating"), copied
    settled("weekly"), settled("nightly")
    exported = cache.copy_snapshot(SourceSnapshotName="weekly", TargetSnapshotName="monthly", TargetBucket=VAULT)
    assert exported["Snapshot"]["SnapshotStatus"] == "exporting", exported
    settled("weekly")

    refused("SnapshotAlreadyExistsFault", cache.create_snapshot, ReplicationGroupId="sessions", SnapshotName="nightly")
    refused("ReplicationGroupNotFoundFault", cache.create_snapshot, ReplicationGroupId="absent", SnapshotName="x")
    refused("CacheClusterNotFound", cache.create_snapshot, CacheClusterId="absent", SnapshotName="x")
    refused("InvalidParameterCombination", cache.create_snapshot, SnapshotName="x")
    refused("InvalidParameterCombination", cache.create_snapshot, CacheClusterId="sessions-0001-001", SnapshotName="x")
    refused("SnapshotNotFoundFault", cache.describe_snapshots, SnapshotName="absent")
    refused("SnapshotNotFoundFault", cache.delete_snapshot, SnapshotName="absent")
    refused("InvalidParameterValue", cache.describe_snapshots, MaxRecords=51)
    copy = lambda **more: refused(
        more.pop("code", "InvalidParameterValue"),
        cache.copy_snapshot,
        **{"SourceSnapshotName": "weekly", "TargetSnapshotName": "monthly", **more},
    )
    copy(code="SnapshotNotFoundFault", SourceSnapshotName="absent")
    copy(code="SnapshotAlreadyExistsFault", TargetSnapshotName="nightly")
    assert "monthly-0001.rdb" in copy(TargetBucket=VAULT)
    assert copy(TargetBucket="absent") == "The S3 bucket absent does not exist."
    assert copy(TargetBucket="elsewhere") == "The S3 bucket elsewhere is outside of the region."
    assert copy(TargetBucket="closed").startswith("ElastiCache has not been granted READ permissions")

    deleted = cache.delete_snapshot(SnapshotName="weekly")["Snapshot"]
    assert deleted["SnapshotStatus"] == "deleting", deleted
    until("weekly", lambda: named(SnapshotSource="user") == ["nightly", "queue-1"])


def restores():
    sources = [f"arn:aws:s3:::{VAULT}/monthly-000{shard}.rdb" for shard in (1, 2)]
    new = {"ReplicationGroupId": "restored", "ReplicationGroupDescription": "restored", "Engine": "valkey"}
    create = cache.create_replication_group
    refused("InvalidParameterCombination", create, **new, SnapshotArns=sources)
    refused("InvalidParameterCombination", create, **new, SnapshotName="nightly", ClusterMode="disabled")
    refused("InvalidParameterValue", create, **new, SnapshotArns=[f"arn:aws:s3:::{VAULT}/absent.rdb"])
    refused("InvalidParameterValue", create, **new, SnapshotArns=["arn:aws:s3:::closed/a.rdb"])
    refused("InvalidParameterCombination", create, **new, SnapshotArns=sources, SnapshotName="nightly")
    create(**new, SnapshotArns=sources, NumNodeGroups=2)
    cache.get_waiter("replication_group_available").wait(
        ReplicationGroupId="restored", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def tags():
    resource = arn("snapshot", "nightly")
    added = cache.add_tags_to_resource(ResourceName=resource, Tags=[{"Key": "tier", "Value": "weekly"}])
    expected = [{"Key": "slot", "Value": "1"}, {"Key": "tier", "Value": "weekly"}]
    assert added["TagList"] == expected, added
    assert cache.list_tags_for_resource(ResourceName=resource)["TagList"] == expected
    left = cache.remove_tags_from_resource(ResourceName=resource, TagKeys=["slot"])["TagList"]
    assert left == expected[1:], left
    assert cache.list_tags_for_resource(ResourceName=arn("cluster", "sessions-0001-002"))["TagList"] == [
        {"Key": "team", "Value": "web"}
    ]
    refused("InvalidARN", cache.list_tags_for_resource, ResourceName="sessions")
    refused("TagNotFound", cache.remove_tags_from_resource, ResourceName=resource, TagKeys=["slot"])
    refused("SnapshotNotFoundFault", cache.list_tags_for_resource, ResourceName=arn("snapshot", "absent"))
    many = [{"Key": f"k{n}", "Value": ""} for n in range(50)]
    refused("TagQuotaPerResourceExceeded", cache.add_tags_to_resource, ResourceName=resource, Tags=many)

    def found(**filters):
        pages = tagging.get_paginator("get_resources").paginate(**filters)
        listed = [it for page in pages for it in page["ResourceTagMappingList"]]
        return {it["ResourceARN"].split(":", 5)[5]: {tag["Key"]: tag["Value"] for tag in it["Tags"]} for it in listed}

    everything = found(PaginationConfig={"PageSize": 1})
    assert everything["replicationgroup:sessions"] == {"team": "web"}, everything
    assert "cluster:queue" not in everything, "it has no tags"
    assert found(ResourceTypeFilters=["elasticache:snapshot"]) == {"snapshot:nightly": {"tier": "weekly"}}
    both = found(TagFilters=[{"Key": "team", "Values": ["web", "data"]}], ResourceTypeFilters=["elasticache:replicationgroup"])
    assert list(both) == ["replicationgroup:sessions"], both
    assert found(TagFilters=[{"Key": "team", "Values": ["data"]}]) == {}
    assert list(found(ResourceARNList=[arn("snapshot", "nightly")])) == ["snapshot:nightly"]
    refused("InvalidParameterException", tagging.get_resources, ResourcesPerPage=101)
    refused("InvalidParameterException", tagging.get_resources, PaginationToken="nonsense")


def serverless():
    made = cache.create_serverless_cache(
        ServerlessCacheName="Carts",
        Description="shopping carts",
        Engine="valkey",
        MajorEngineVersion="8",
        CacheUsageLimits={"DataStorage": {"Maximum": 5, "Unit": "GB"}},
        KmsKeyId=KEY,
        Tags=[{"Key": "team", "Value": "shop"}],
    )["ServerlessCache"]
    assert (made["ServerlessCacheName"], made["Status"]) == ("carts", "creating"), made
    described = lambda: cache.describe_serverless_caches(ServerlessCacheName="carts")["ServerlessCaches"][0]
    found = until("carts", lambda: described()["Status"] == "available" and described())
    assert found["Endpoint"]["Address"] == "127.0.0.1" and found["StorageEncryptionType"] == "sse-kms", found
    assert found["CacheUsageLimits"]["DataStorage"] == {"Maximum": 5, "Unit": "GB"}, found

    one = {"ServerlessCacheSnapshotName": "carts-1"}
    taken = cache.create_serverless_cache_snapshot(**one, ServerlessCacheName="carts")["ServerlessCacheSnapshot"]
    assert taken["ServerlessCacheConfiguration"]["MajorEngineVersion"] == "8", taken
    listed = lambda: cache.describe_serverless_cache_snapshots(**one)["ServerlessCacheSnapshots"][0]
    until("carts-1", lambda: listed()["Status"] == "available")
    assert int(listed()["BytesUsedForCache"]) > 50 and listed()["ARN"] == arn("serverlesscachesnapshot", "carts-1")
    exported = cache.export_serverless_cache_snapshot(**one, S3BucketName=VAULT)["ServerlessCacheSnapshot"]
    assert exported["Status"] == "exporting", exported
    until("the export", lambda: listed()["Status"] == "available")
    cache.add_tags_to_resource(ResourceName=taken["ARN"], Tags=[{"Key": "tier", "Value": "daily"}])

    for number in range(2, 5):
        name = f"carts-{number}"
        cache.create_serverless_cache_snapshot(ServerlessCacheSnapshotName=name, ServerlessCacheName="carts")
    pages = cache.get_paginator("describe_serverless_cache_snapshots").paginate(
        ServerlessCacheName="carts", PaginationConfig={"PageSize": 2}
    )
    pages = [[it["ServerlessCacheSnapshotName"] for it in page["ServerlessCacheSnapshots"]] for page in pages]
    assert pages == [["carts-1", "carts-2"], ["carts-3", "carts-4"]], pages

    create = cache.create_serverless_cache
    refused("ServerlessCacheAlreadyExistsFault", create, ServerlessCacheName="carts", Engine="valkey")
    refused("ServerlessCacheNotFoundFault", cache.describe_serverless_caches, ServerlessCacheName="absent")
    refused(
        "ServerlessCacheSnapshotAlreadyExistsFault",
        cache.create_serverless_cache_snapshot,
        **one,
        ServerlessCacheName="carts",
    )
    refused(
        "ServerlessCacheNotFoundFault",
        cache.create_serverless_cache_snapshot,
        ServerlessCacheSnapshotName="x",
        ServerlessCacheName="absent",
    )
    refused("InvalidParameterValue", cache.export_serverless_cache_snapshot, **one, S3BucketName="closed")
    absent = {"ServerlessCacheSnapshotName": "absent"}
    refused("ServerlessCacheSnapshotNotFoundFault", cache.export_serverless_cache_snapshot, **absent, S3BucketName=VAULT)
    refused("ServerlessCacheSnapshotNotFoundFault", cache.delete_serverless_cache_snapshot, **absent)
    for number in range(1, 5):
        name = f"carts-{number}"
        one = {"ServerlessCacheSnapshotName": name}
        until(name, lambda: listed()["Status"] == "available")
        gone = cache.delete_serverless_cache_snapshot(**one)["ServerlessCacheSnapshot"]
        assert gone["Status"] == "deleting", gone
    deleted = cache.delete_serverless_cache(ServerlessCacheName="carts", FinalSnapshotName="carts-last")
    assert deleted["ServerlessCache"]["Status"] == "deleting", deleted
    until("carts", lambda: not cache.describe_serverless_caches()["ServerlessCaches"])
    [last] = cache.describe_serverless_cache_snapshots()["ServerlessCacheSnapshots"]
    assert (last["ServerlessCacheSnapshotName"], last["Status"]) == ("carts-last", "available"), last


def lists():
    for number in range(21):
        cache.create_replication_group(
            ReplicationGroupId=f"many-{number:02}", ReplicationGroupDescription="many", Tags=[SIMULATED]
        )
    for action, name in [("describe_replication_groups", "ReplicationGroups"), ("describe_cache_clusters", "CacheClusters")]:
        pages = list(cache.get_paginator(action).paginate(PaginationConfig={"PageSize": 20}))
        ids = [it["ARN"] for page in pages for it in page[name]]
        assert len(pages) == 2 and len(ids) == len(set(ids)) > 21, (action, ids)
    until("many-20", lambda: cache.describe_replication_groups(ReplicationGroupId="many-20")["ReplicationGroups"][0]["Status"] == "available")
    cache.delete_replication_group(ReplicationGroupId="many-20")
    cache.get_waiter("replication_group_deleted").wait(
        ReplicationGroupId="many-20", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    cache.delete_cache_cluster(CacheClusterId="queue", FinalSnapshotIdentifier="queue-last")
    cache.get_waiter("cache_cluster_deleted").wait(CacheClusterId="queue", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    assert snapshot("queue-last")["SnapshotStatus"] == "available"


for step in (groups, snapshots, restores, tags, serverless, lists):
    step()

EXPECTED = {
    "AddTagsToResource", "CopySnapshot", "CreateCacheCluster", "CreateReplicationGroup", "CreateServerlessCache",
    "CreateServerlessCacheSnapshot", "CreateSnapshot", "DeleteCacheCluster", "DeleteReplicationGroup",
    "DeleteServerlessCache", "DeleteServerlessCacheSnapshot", "DeleteSnapshot", "DescribeCacheClusters",
    "DescribeReplicationGroups", "DescribeServerlessCacheSnapshots", "DescribeServerlessCaches", "DescribeSnapshots",
    "ExportServerlessCacheSnapshot", "ListTagsForResource", "RemoveTagsFromResource",
}
assert judge.seen == EXPECTED, judge.seen ^ EXPECTED
