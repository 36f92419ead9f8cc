//! What needs no data: states in between, pages, quotas, refusals.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{ACCOUNT, AWAY, Cloud, HOME, SIMULATED, VAULT, policy, until, value, values};
use jiff::{SignedDuration, Timestamp};
use local_elasticache::{Encryption, Quotas, Seed, SeedKind, SeedSnapshot, Speed};

fn slow() -> Speed {
    let hour = Duration::from_hours(1);
    Speed { create: hour, snapshot: hour, copy: hour, export: hour, restore: hour, delete: hour }
}

/// All names on all pages, and how many pages.
async fn pages(
    cloud: &Cloud,
    action: &str,
    sizes: (&str, &str),
    marker: &str,
    name: &str,
) -> (Vec<String>, usize) {
    let (mut found, mut count, mut next) = (Vec::new(), 0, None::<String>);
    loop {
        let mut parameters = vec![sizes];
        if let Some(next) = &next {
            parameters.push((marker, next));
        }
        let xml = cloud.ok(HOME, action, &parameters).await;
        found.extend(values(&xml, name));
        count += 1;
        next = value(&xml, marker).map(str::to_owned);
        if next.is_none() {
            return (found, count);
        }
    }
}

#[tokio::test]
async fn many_seeded_caches_and_snapshots_come_in_pages() {
    let cloud = Cloud::start().await;
    let created = Timestamp::now() - SignedDuration::from_hours(24 * 40);
    let seeds = (0..50).map(|n| {
        let kind = match n % 4 {
            0 => SeedKind::ClusterMode { shards: 3 },
            1 => SeedKind::ReplicationGroup,
            2 => SeedKind::CacheCluster,
            _ => SeedKind::Serverless,
        };
        let mut seed = Seed::new(&format!("cache-{n:02}"), kind, created);
        seed.tags.insert("team".to_owned(), format!("t{}", n % 2));
        let snapshot = |day: i64| SeedSnapshot {
            name: format!("{}cache-{n:02}-{day}", if day == 0 { "automatic." } else { "" }),
            taken: created + SignedDuration::from_hours(24 * day),
            tags: seed.tags.clone(),
        };
        seed.snapshots = (0..10).map(snapshot).collect();
        seed
    });
    cloud.cache.seed(HOME, seeds).unwrap();
    let sizes = ("MaxRecords", "20");
    let (groups, count) =
        pages(&cloud, "DescribeReplicationGroups", sizes, "Marker", "ReplicationGroupId").await;
    assert_eq!((groups.len(), count), (26, 2));
    let (clusters, _) = pages(&cloud, "DescribeCacheClusters", sizes, "Marker", "CacheClusterId").await;
    assert_eq!(clusters.len(), 13 * 3 + 13 + 12);
    let (snapshots, count) = pages(&cloud, "DescribeSnapshots", sizes, "Marker", "SnapshotName").await;
    assert_eq!((snapshots.iter().collect::<BTreeSet<_>>().len(), count), (380, 19));
    let sizes = ("MaxResults", "7");
    let name = "ServerlessCacheSnapshotName";
    let (snapshots, count) =
        pages(&cloud, "DescribeServerlessCacheSnapshots", sizes, "NextToken", name).await;
    assert_eq!((snapshots.iter().collect::<BTreeSet<_>>().len(), count), (120, 18));
    let automated = cloud.ok(HOME, "DescribeSnapshots", &[("SnapshotSource", "system")]).await;
    assert_eq!(values(&automated, "SnapshotName").len(), 38);
    assert!(cloud.ok(AWAY, "DescribeSnapshots", &[]).await.contains("<Snapshots></Snapshots>"));
    assert!(cloud.cache.seed(HOME, [Seed::new("no--name", SeedKind::Serverless, created)]).is_err());
    cloud.stop().await;
}

#[tokio::test]
async fn quotas_answer_with_their_codes_and_come_back_after_a_day() {
    let cloud = Cloud::start().await;
    assert_eq!(cloud.cache.quotas().snapshots_per_node_per_day, 20);
    assert_eq!(cloud.cache.quotas().snapshots_per_serverless_cache_per_day, 24);
    cloud.cache.set_quotas(Quotas {
        snapshots_per_node_per_day: 2,
        snapshots_per_serverless_cache_per_day: 1,
        serverless_caches: 1,
        nodes: 2,
        shards_per_group: 2,
    });
    cloud.create_simulated("orders", &[]).await;
    let take = |name| [("ReplicationGroupId", "orders"), ("SnapshotName", name)];
    for name in ["one", "two"] {
        cloud.ok(HOME, "CreateSnapshot", &take(name)).await;
        cloud.snapshot(name).await;
        cloud.group("orders").await;
    }
    assert_eq!(cloud.fault(HOME, "CreateSnapshot", &take("three")).await.0, "SnapshotQuotaExceededFault");
    // A deletion gives nothing back, a day does.
    cloud.ok(HOME, "DeleteSnapshot", &[("SnapshotName", "one")]).await;
    assert_eq!(cloud.fault(HOME, "CreateSnapshot", &take("three")).await.0, "SnapshotQuotaExceededFault");
    let last = [("ReplicationGroupId", "orders"), ("FinalSnapshotIdentifier", "last")];
    assert_eq!(cloud.fault(HOME, "DeleteReplicationGroup", &last).await.0, "SnapshotQuotaExceededFault");
    cloud.cache.set_clock_skew(SignedDuration::from_hours(24));
    cloud.ok(HOME, "CreateSnapshot", &take("three")).await;
    let taken: Timestamp =
        value(&cloud.snapshot("three").await, "SnapshotCreateTime").unwrap().parse().unwrap();
    let ahead = taken.duration_since(Timestamp::now());
    assert!(ahead > SignedDuration::from_hours(23) && ahead <= SignedDuration::from_hours(24), "{ahead}");

    let group = [
        ("ReplicationGroupId", "big"),
        ("ReplicationGroupDescription", "big"),
        ("NumNodeGroups", "2"),
        SIMULATED[0],
        SIMULATED[1],
    ];
    let create = "CreateReplicationGroup";
    assert_eq!(cloud.fault(HOME, create, &group).await.0, "NodeQuotaForCustomerExceeded");
    let mut wide = group;
    wide[2].1 = "3";
    assert_eq!(cloud.fault(HOME, create, &wide).await.0, "NodeGroupsPerReplicationGroupQuotaExceeded");

    let serverless = |name| [("ServerlessCacheName", name), ("Engine", "valkey"), SIMULATED[0], SIMULATED[1]];
    cloud.ok(HOME, "CreateServerlessCache", &serverless("carts")).await;
    let (code, _) = cloud.fault(HOME, "CreateServerlessCache", &serverless("more")).await;
    assert_eq!(code, "ServerlessCacheQuotaForCustomerExceededFault");
    let (action, name) = ("DescribeServerlessCaches", "ServerlessCacheName");
    cloud.until_status(action, name, "carts", "Status", "available").await;
    let take = |snapshot| [("ServerlessCacheSnapshotName", snapshot), (name, "carts")];
    cloud.ok(HOME, "CreateServerlessCacheSnapshot", &take("a")).await;
    let (code, _) = cloud.fault(HOME, "CreateServerlessCacheSnapshot", &take("b")).await;
    assert_eq!(code, "ServerlessCacheSnapshotQuotaExceededFault");
    cloud.stop().await;
}

#[tokio::test]
async fn what_is_under_way_is_told_and_refuses() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[]).await;
    let take = |name| [("ReplicationGroupId", "orders"), ("SnapshotName", name)];
    cloud.ok(HOME, "CreateSnapshot", &take("done")).await;
    cloud.snapshot("done").await;
    cloud.group("orders").await;

    cloud.cache.set_speed(slow());
    cloud.ok(HOME, "CreateSnapshot", &take("slow")).await;
    let xml = cloud.ok(HOME, "DescribeReplicationGroups", &[]).await;
    assert_eq!(value(&xml, "Status"), Some("snapshotting"));
    assert_eq!(value(&xml, "SnapshottingClusterId"), Some("orders-001"));
    assert_eq!(cloud.fault(HOME, "CreateSnapshot", &take("next")).await.0, "InvalidReplicationGroupState");
    let delete = [("ReplicationGroupId", "orders")];
    assert_eq!(cloud.fault(HOME, "DeleteReplicationGroup", &delete).await.0, "InvalidReplicationGroupState");
    let slow_one = [("SnapshotName", "slow")];
    assert_eq!(cloud.fault(HOME, "DeleteSnapshot", &slow_one).await.0, "InvalidSnapshotState");
    let copy = |source, more: &[(&'static str, &'static str)]| {
        [[("SourceSnapshotName", source), ("TargetSnapshotName", "copy")].as_slice(), more].concat()
    };
    assert_eq!(cloud.fault(HOME, "CopySnapshot", &copy("slow", &[])).await.0, "InvalidSnapshotState");

    let into = [("TargetBucket", VAULT)];
    cloud.ok(HOME, "CopySnapshot", &copy("done", &into)).await;
    let xml = cloud.ok(HOME, "DescribeSnapshots", &[("SnapshotName", "done")]).await;
    assert_eq!(value(&xml, "SnapshotStatus"), Some("exporting"));
    assert_eq!(cloud.fault(HOME, "CopySnapshot", &copy("done", &into)).await.0, "InvalidSnapshotState");
    assert_eq!(cloud.objects.keys(VAULT), Vec::<String>::new(), "not before the export is done");
    cloud.cache.set_speed(Speed::instant());
    cloud.snapshot("done").await;
    assert_eq!(cloud.objects.keys(VAULT), ["copy-0001.rdb"]);

    cloud.cache.set_speed(slow());
    cloud.ok(HOME, "CopySnapshot", &copy("done", &[])).await;
    let status = |name: &'static str| async {
        let xml = cloud.ok(HOME, "DescribeSnapshots", &[("SnapshotName", name)]).await;
        value(&xml, "SnapshotStatus").unwrap().to_owned()
    };
    assert_eq!((status("done").await.as_str(), status("copy").await.as_str()), ("copying", "creating"));
    cloud.cache.set_speed(Speed::instant());
    cloud.snapshot("copy").await;
    cloud.snapshot("done").await;
    cloud.cache.set_speed(slow());
    let xml = cloud.create("again", &[("SnapshotName", "done")]).await;
    assert_eq!(value(&xml, "Status"), Some("creating"));
    assert_eq!(status("done").await, "restoring");
    cloud.cache.set_speed(Speed::instant());
    cloud.group("again").await;
    assert_eq!(status("done").await, "available");
    cloud.stop().await;
}

#[tokio::test]
async fn a_bucket_refuses_by_its_policy_what_elasticache_may_not_do() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[("NumNodeGroups", "2")]).await;
    cloud.ok(HOME, "CreateSnapshot", &[("ReplicationGroupId", "orders"), ("SnapshotName", "one")]).await;
    cloud.snapshot("one").await;
    let whole = policy(HOME, "bucket");
    let cases = [
        (Some(whole.replace("s3:PutObject", "s3:PutObjectAcl")), "WRITE permissions s3:PutObject on"),
        (Some(whole.replace("s3:ListBucket\"", "s3:ListNothing\"")), "READ permissions s3:ListBucket on"),
        (
            Some(whole.replace("ListMultipartUploadParts", "X")),
            "READ permissions s3:ListMultipartUploadParts on",
        ),
        (Some(whole.replace("ListBucketMultipartUploads", "X")), "s3:ListBucketMultipartUploads on"),
        (Some(whole.replace("GetBucketAcl", "X")), "READ_ACP permissions s3:GetBucketAcl on"),
        (Some(whole.replace(HOME, AWAY)), "READ permissions"),
        (Some(whole.replace("bucket/*", "bucket/elsewhere/*")), "READ permissions s3:GetObject"),
        (None, "READ permissions"),
    ];
    let copy = [("SourceSnapshotName", "one"), ("TargetSnapshotName", "out"), ("TargetBucket", "bucket")];
    for (policy, expected) in cases {
        cloud.objects.make_bucket("bucket", HOME, policy.as_deref());
        let (code, message) = cloud.fault(HOME, "CopySnapshot", &copy).await;
        assert_eq!(code, "InvalidParameterValue");
        assert!(message.contains(expected), "{message} instead of {expected}");
    }
    cloud.objects.make_bucket("bucket", HOME, Some(&whole));
    // The second shard's object is in the way.
    assert!(cloud.objects.write("bucket", "out-0002.rdb", vec![1], Encryption::Aes256));
    let (_, message) = cloud.fault(HOME, "CopySnapshot", &copy).await;
    assert_eq!(message, "The S3 bucket bucket already contains an object with key out-0002.rdb.");
    cloud.cache.set_data_tiering(HOME, "one", true).unwrap();
    assert!(cloud.fault(HOME, "CopySnapshot", &copy).await.1.contains("data tiering"));
    cloud.stop().await;
}

#[tokio::test]
async fn a_restore_refuses_objects_that_elasticache_cannot_read() {
    let cloud = Cloud::start().await;
    for (bucket, region, readable) in [("away", AWAY, true), ("closed", HOME, false)] {
        let policy = policy(region, bucket);
        cloud.objects.make_bucket(bucket, region, readable.then_some(policy.as_str()));
        assert!(cloud.objects.write(bucket, "a.rdb", vec![1], Encryption::Aes256));
    }
    assert!(cloud.objects.write(VAULT, "kms.rdb", vec![1], Encryption::Kms));
    assert!(cloud.objects.write(VAULT, "plain.rdb", vec![1], Encryption::None));
    for (object, expected) in [
        ("vault/kms.rdb", "SSE-KMS"),
        ("vault/absent.rdb", "Unable to fetch metadata"),
        ("absent/a.rdb", "Unable to fetch metadata"),
        ("closed/a.rdb", "Unable to fetch metadata"),
        ("away/a.rdb", "outside of the region"),
        ("vault", "is not the ARN of an object"),
    ] {
        let arn = format!("arn:aws:s3:::{object}");
        let create = [
            ("ReplicationGroupId", "restored"),
            ("ReplicationGroupDescription", "restored"),
            ("SnapshotArns.SnapshotArn.1", arn.as_str()),
        ];
        let (code, message) = cloud.fault(HOME, "CreateReplicationGroup", &create).await;
        assert_eq!(code, "InvalidParameterValue");
        assert!(message.contains(expected), "{message} instead of {expected}");
        let create = [
            ("ServerlessCacheName", "s"),
            ("Engine", "redis"),
            ("SnapshotArnsToRestore.SnapshotArn.1", &arn),
        ];
        assert_eq!(cloud.fault(HOME, "CreateServerlessCache", &create).await.0, "InvalidParameterValue");
    }
    let two = [
        ("CacheClusterId", "node"),
        ("SnapshotArns.SnapshotArn.1", "arn:aws:s3:::vault/plain.rdb"),
        ("SnapshotArns.SnapshotArn.2", "arn:aws:s3:::vault/plain.rdb"),
    ];
    assert_eq!(cloud.fault(HOME, "CreateCacheCluster", &two).await.0, "InvalidParameterCombination");
    cloud.stop().await;
}

#[tokio::test]
async fn deletion_of_a_simulated_cache_ends() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[]).await;
    let named = [("ReplicationGroupId", "orders")];
    cloud.ok(HOME, "DeleteReplicationGroup", &named).await;
    until("orders is gone", || async {
        let answer = cloud.call(HOME, "DescribeReplicationGroups", &named).await;
        answer.error_code.filter(|code| code == "ReplicationGroupNotFoundFault")
    })
    .await;
    // Its name is free again.
    cloud.create_simulated("orders", &[]).await;
    cloud.stop().await;
}

#[tokio::test]
async fn only_a_cache_that_is_up_to_nothing_is_deleted_and_tells_its_tags() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[]).await;
    let name = [("ReplicationGroupId", "orders")];
    let arn = format!("arn:aws:elasticache:{HOME}:{ACCOUNT}:replicationgroup:orders");
    let tagged = [("ResourceName", arn.as_str())];
    for status in ["creating", "modifying", "snapshotting", "deleting"] {
        cloud.cache.set_status(HOME, "orders", status).unwrap();
        let refused = "InvalidReplicationGroupState";
        assert_eq!(cloud.fault(HOME, "DeleteReplicationGroup", &name).await.0, refused, "{status}");
        assert_eq!(cloud.fault(HOME, "ListTagsForResource", &tagged).await.0, refused, "{status}");
    }
    cloud.cache.set_status(HOME, "orders", "available").unwrap();
    assert_eq!(values(&cloud.ok(HOME, "ListTagsForResource", &tagged).await, "Key"), ["local-cloud:data"]);
    for status in ["available", "create-failed", "incompatible-network"] {
        cloud.cache.set_status(HOME, "orders", status).unwrap();
        cloud.ok(HOME, "DeleteReplicationGroup", &name).await;
        until("rest", || async { cloud.cache.is_at_rest().then_some(()) }).await;
        assert_eq!(
            cloud.fault(HOME, "DeleteReplicationGroup", &name).await.0,
            "ReplicationGroupNotFoundFault"
        );
        cloud.create_simulated("orders", &[]).await;
    }

    cloud.cache.set_speed(slow());
    let serverless = [("ServerlessCacheName", "carts"), ("Engine", "valkey"), SIMULATED[0], SIMULATED[1]];
    cloud.ok(HOME, "CreateServerlessCache", &serverless).await;
    let refused = "InvalidServerlessCacheStateFault";
    let arn = format!("arn:aws:elasticache:{HOME}:{ACCOUNT}:serverlesscache:carts");
    assert_eq!(cloud.fault(HOME, "DeleteServerlessCache", &serverless[..1]).await.0, refused);
    assert_eq!(cloud.fault(HOME, "ListTagsForResource", &[("ResourceName", &arn)]).await.0, refused);
    let node = [("CacheClusterId", "node"), ("Engine", "valkey"), SIMULATED[0], SIMULATED[1]];
    cloud.ok(HOME, "CreateCacheCluster", &node).await;
    let code = cloud.fault(HOME, "DeleteCacheCluster", &node[..1]).await.0;
    assert_eq!(code, "InvalidCacheClusterState");
    cloud.cache.set_speed(Speed::instant());
    cloud.stop().await;
}
