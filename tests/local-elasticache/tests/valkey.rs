//! Real data: what a snapshot holds, what an export holds, what a restore brings back.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Cloud, HOME, VAULT, endpoint, value, values};
use local_elasticache::Encryption;

/// `SnapshotArns` of objects.
fn arns(keys: &[String]) -> Vec<(String, String)> {
    let arn = |(at, key): (usize, &String)| {
        (format!("SnapshotArns.SnapshotArn.{}", at + 1), format!("arn:aws:s3:::{VAULT}/{key}"))
    };
    keys.iter().enumerate().map(arn).collect()
}

fn borrowed(parameters: &[(String, String)]) -> Vec<(&str, &str)> {
    parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_comes_back_key_by_key() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[]).await;
    let (host, port) = endpoint(&cloud.group("orders").await);
    assert_eq!(host, "127.0.0.1");
    cloud.python(&["fill", &port, "1800"]).await;
    let before = cloud.python(&["digest", &port]).await;
    assert!(before.starts_with("1800 keys of 6 types"), "{before}");

    let keys = cloud.export("orders", "nightly").await;
    assert_eq!(keys, ["nightly-0001.rdb"]);
    // Written after the snapshot: not in it.
    cloud.python(&["fill", &port, "2000"]).await;
    assert_ne!(cloud.python(&["digest", &port]).await, before);

    cloud.create("from-s3", &borrowed(&arns(&keys))).await;
    let (_, restored) = endpoint(&cloud.group("from-s3").await);
    assert_ne!(restored, port);
    assert_eq!(cloud.python(&["digest", &restored]).await, before);

    cloud.create("from-snapshot", &[("SnapshotName", "nightly")]).await;
    let (_, restored) = endpoint(&cloud.group("from-snapshot").await);
    assert_eq!(cloud.python(&["digest", &restored]).await, before);

    // The same file seeds one node, and cluster mode.
    let arn = format!("arn:aws:s3:::{VAULT}/{}", keys[0]);
    let node =
        [("CacheClusterId", "node"), ("Engine", "valkey"), ("SnapshotArns.SnapshotArn.1", arn.as_str())];
    cloud.ok(HOME, "CreateCacheCluster", &node).await;
    let (_, restored) = endpoint(&cloud.cluster("node").await);
    assert_eq!(cloud.python(&["digest", &restored]).await, before);
    let mut two =
        borrowed(&arns(&keys)).iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
    two.push(("NumNodeGroups".to_owned(), "2".to_owned()));
    cloud.create("spread", &borrowed(&two)).await;
    let (_, restored) = endpoint(&cloud.group("spread").await);
    assert_eq!(cloud.python(&["digest-cluster", &restored]).await, before);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_shard_of_a_cluster_has_its_own_file() {
    let cloud = Cloud::start().await;
    cloud.create("sessions", &[("NumNodeGroups", "3")]).await;
    let group = cloud.group("sessions").await;
    assert_eq!(value(&group, "ClusterEnabled"), Some("true"));
    assert_eq!(values(&group, "Slots"), ["0-5460", "5461-10921", "10922-16383"]);
    let (_, port) = endpoint(value(&group, "ConfigurationEndpoint").unwrap());
    cloud.python(&["fill-cluster", &port, "1200"]).await;
    let before = cloud.python(&["digest-cluster", &port]).await;
    assert!(before.starts_with("1200 keys of 6 types"), "{before}");
    let mut total = 0;
    for member in values(&group, "ClusterId") {
        let (_, port) = endpoint(&cloud.cluster(&member).await);
        let line = cloud.python(&["slots", &port]).await;
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[1], words[2], "{line}");
        total += words[1].parse::<u32>().unwrap();
    }
    assert_eq!(total, 1200);

    let keys = cloud.export("sessions", "weekly").await;
    assert_eq!(keys, ["weekly-0001.rdb", "weekly-0002.rdb", "weekly-0003.rdb"]);
    let snapshot = cloud.snapshot("weekly").await;
    assert_eq!(value(&snapshot, "NumNodeGroups"), Some("3"));

    // In whatever order, into as many shards or into another number of them.
    let reversed: Vec<String> = keys.iter().rev().cloned().collect();
    for (id, shards, keys) in [("again", "3", &reversed), ("fewer", "2", &keys)] {
        let mut parameters = arns(keys);
        parameters.push(("NumNodeGroups".to_owned(), shards.to_owned()));
        cloud.create(id, &borrowed(&parameters)).await;
        let (_, restored) = endpoint(value(&cloud.group(id).await, "ConfigurationEndpoint").unwrap());
        assert_eq!(cloud.python(&["digest-cluster", &restored]).await, before, "{id}");
    }
    cloud.create("by-name", &[("SnapshotName", "weekly")]).await;
    let restored = cloud.group("by-name").await;
    assert_eq!(values(&restored, "NodeGroupId").len(), 3);
    let (_, restored) = endpoint(value(&restored, "ConfigurationEndpoint").unwrap());
    assert_eq!(cloud.python(&["digest-cluster", &restored]).await, before);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serverless_cache_round_trips() {
    let cloud = Cloud::start().await;
    let create = [("ServerlessCacheName", "carts"), ("Engine", "valkey")];
    cloud.ok(HOME, "CreateServerlessCache", &create).await;
    let named = "ServerlessCacheName";
    let available =
        |id: &'static str| cloud.until_status("DescribeServerlessCaches", named, id, "Status", "available");
    let (_, port) = endpoint(&available("carts").await);
    cloud.python(&["fill-cluster", &port, "1000"]).await;
    let before = cloud.python(&["digest-cluster", &port]).await;
    let take = [("ServerlessCacheSnapshotName", "carts-1"), (named, "carts")];
    cloud.ok(HOME, "CreateServerlessCacheSnapshot", &take).await;
    let taken = || {
        let action = "DescribeServerlessCacheSnapshots";
        cloud.until_status(action, "ServerlessCacheSnapshotName", "carts-1", "Status", "available")
    };
    let size: usize = value(&taken().await, "BytesUsedForCache").unwrap().parse().unwrap();
    let export = [("ServerlessCacheSnapshotName", "carts-1"), ("S3BucketName", VAULT)];
    cloud.ok(HOME, "ExportServerlessCacheSnapshot", &export).await;
    taken().await;
    assert_eq!(cloud.objects.read(VAULT, "carts-1-0001.rdb").unwrap().len(), size);

    let arns = [
        ("from-s3", format!("arn:aws:s3:::{VAULT}/carts-1-0001.rdb")),
        ("from-snapshot", format!("arn:aws:elasticache:{HOME}:000000000000:serverlesscachesnapshot:carts-1")),
    ];
    for (id, arn) in &arns {
        let list = "SnapshotArnsToRestore.SnapshotArn.1";
        let create = [(named, *id), ("Engine", "valkey"), (list, arn)];
        cloud.ok(HOME, "CreateServerlessCache", &create).await;
        let (_, restored) = endpoint(&available(id).await);
        assert_eq!(cloud.python(&["digest-cluster", &restored]).await, before, "{id}");
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_guards_a_cache_and_its_restore() {
    let cloud = Cloud::start().await;
    let token = "sixteen-characters!";
    let guarded = [("TransitEncryptionEnabled", "true"), ("AuthToken", token)];
    cloud.create("guarded", &guarded).await;
    let (_, port) = endpoint(&cloud.group("guarded").await);
    cloud.python(&["fill", &port, "100", token]).await;
    let keys = cloud.export("guarded", "one").await;
    let mut parameters =
        borrowed(&arns(&keys)).iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
    for (name, value) in guarded.iter().chain(&[("NumNodeGroups", "2")]) {
        parameters.push(((*name).to_owned(), (*value).to_owned()));
    }
    cloud.create("again", &borrowed(&parameters)).await;
    let group = cloud.group("again").await;
    assert_eq!(value(&group, "AuthTokenEnabled"), Some("true"));
    let mut total = 0;
    for member in values(&group, "ClusterId") {
        let (_, port) = endpoint(&cloud.cluster(&member).await);
        total += cloud.python(&["count", &port, token]).await.parse::<u32>().unwrap();
    }
    assert_eq!(total, 100);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_valkey_cannot_load_make_no_cache() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[]).await;
    let (_, port) = endpoint(&cloud.group("orders").await);
    cloud.python(&["fill", &port, "300"]).await;
    let keys = cloud.export("orders", "good").await;
    let good = cloud.objects.read(VAULT, &keys[0]).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let cases = [
        ("flipped", flipped),
        ("cut", good[..good.len() / 2].to_vec()),
        ("text", b"not a dump".to_vec()),
        ("empty", Vec::new()),
    ];
    for (name, bytes) in cases {
        assert!(cloud.objects.write(VAULT, name, bytes, Encryption::Aes256));
        for (id, shards) in [(format!("{name}-one"), "1"), (format!("{name}-two"), "2")] {
            let mut parameters = arns(&[name.to_owned()]);
            parameters.push(("NumNodeGroups".to_owned(), shards.to_owned()));
            cloud.create(&id, &borrowed(&parameters)).await;
            let action = "DescribeReplicationGroups";
            cloud.until_status(action, "ReplicationGroupId", &id, "Status", "create-failed").await;
        }
    }
    // It can be deleted, as on AWS.
    cloud.ok(HOME, "DeleteReplicationGroup", &[("ReplicationGroupId", "cut-two")]).await;
    // An export of simulated data can be loaded: it is a dump without keys.
    cloud.create_simulated("nothing", &[]).await;
    let keys = cloud.export("nothing", "none").await;
    cloud.create("loaded", &borrowed(&arns(&keys))).await;
    let (_, port) = endpoint(&cloud.group("loaded").await);
    assert_eq!(cloud.python(&["count", &port]).await, "0");
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_final_snapshot_keeps_what_a_deleted_group_held() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[]).await;
    let (_, port) = endpoint(&cloud.group("orders").await);
    cloud.python(&["fill", &port, "200"]).await;
    let before = cloud.python(&["digest", &port]).await;
    let delete = [("ReplicationGroupId", "orders"), ("FinalSnapshotIdentifier", "last")];
    cloud.ok(HOME, "DeleteReplicationGroup", &delete).await;
    common::until("the group is gone", || async {
        let answer = cloud.call(HOME, "DescribeReplicationGroups", &delete[..1]).await;
        (answer.error_code.as_deref() == Some("ReplicationGroupNotFoundFault")).then_some(())
    })
    .await;
    assert!(cloud.observer.running.lock().unwrap().is_empty(), "its server is stopped");
    cloud.create("again", &[("SnapshotName", "last")]).await;
    let (_, port) = endpoint(&cloud.group("again").await);
    assert_eq!(cloud.python(&["digest", &port]).await, before);
    cloud.stop().await;
}
