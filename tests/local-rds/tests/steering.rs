//! What a test decides from outside: the clock, the archive, statuses, keys.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{ACCOUNT, AWAY, Cloud, HOME, until, value, values};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use local_rds::{Key, Keys, Seed, SeedReplica};

fn time(xml: &str, name: &str) -> Timestamp {
    value(xml, name).unwrap_or_else(|| panic!("no {name}: {xml}")).parse().unwrap()
}

/// How far a told instant is ahead of this machine's clock, to the next minute.
fn minutes_ahead(told: Timestamp) -> i64 {
    let milliseconds = told.duration_since(Timestamp::now()).as_millis();
    i64::try_from((milliseconds + 30_000).div_euclid(60_000)).unwrap()
}

#[tokio::test]
async fn all_that_is_stamped_and_told_is_by_the_clock_of_rds() {
    let cloud = Cloud::start().await;
    for (id, skew) in [("behind", -120_i64), ("ahead", 60), ("right", 0)] {
        cloud.rds.set_clock_skew(SignedDuration::from_mins(skew));
        cloud.create_simulated(id, &[]).await;
        cloud.instance(HOME, id).await;
        let snapshot = format!("{id}-snapshot");
        let take = [("DBInstanceIdentifier", id), ("DBSnapshotIdentifier", snapshot.as_str())];
        cloud.ok(HOME, "CreateDBSnapshot", &take).await;
        let taken = cloud.snapshot(HOME, &snapshot).await;
        assert_eq!(minutes_ahead(time(&taken, "SnapshotCreateTime")), skew);
        let instance = cloud.instance(HOME, id).await;
        assert_eq!(minutes_ahead(time(&instance, "InstanceCreateTime")), skew);
        cloud.rds.set_archive_lag(HOME, id, SignedDuration::ZERO).unwrap();
        // It is told in whole seconds, and the first of them has to pass.
        let latest = until("LatestRestorableTime", || async {
            let instance = cloud.instance(HOME, id).await;
            value(&instance, "LatestRestorableTime").map(|told| told.parse().unwrap())
        });
        assert_eq!(minutes_ahead(latest.await), skew);
        let events = cloud.observer.events.lock().unwrap().clone();
        let (_, last) = events.last().unwrap();
        assert_eq!(minutes_ahead(last.time), skew);
        assert_eq!(minutes_ahead(last.detail["Date"].as_str().unwrap().parse().unwrap()), skew);
        // "The last hour" is by that clock, too.
        let told = cloud.ok(HOME, "DescribeEvents", &[("Duration", "5")]).await;
        assert!(told.contains(&snapshot), "{told}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn an_archive_lags_as_far_as_it_is_told_and_restores_no_later() {
    let cloud = Cloud::start().await;
    let now = Timestamp::now();
    let created = now - SignedDuration::from_hours(24 * 30);
    let mut seed = Seed::new("orders", created);
    let latest = now - SignedDuration::from_hours(5);
    let mut replica = SeedReplica::new(AWAY, created, latest);
    replica.retention_days = 14;
    seed.replicas = vec![replica];
    let mut without = Seed::new("none", created);
    without.retention_days = 0;
    let mut daily = Seed::new("daily", created);
    daily.retention_days = 1;
    cloud.rds.seed(HOME, [seed, without, daily]).unwrap();

    cloud.rds.set_archive_lag(HOME, "orders", SignedDuration::from_mins(47)).unwrap();
    assert_eq!(minutes_ahead(time(&cloud.instance(HOME, "orders").await, "LatestRestorableTime")), -47);
    let late = (Timestamp::now() - SignedDuration::from_mins(40)).to_string();
    let restore = [
        ("SourceDBInstanceIdentifier", "orders"),
        ("TargetDBInstanceIdentifier", "then"),
        ("RestoreTime", late.as_str()),
    ];
    assert_eq!(cloud.fault(HOME, "RestoreDBInstanceToPointInTime", &restore).await, "InvalidParameterValue");
    assert!(cloud.rds.set_archive_lag(HOME, "none", SignedDuration::ZERO).is_err());

    assert!(value(&cloud.instance(HOME, "none").await, "LatestRestorableTime").is_none());
    let backup = cloud.ok(AWAY, "DescribeDBInstanceAutomatedBackups", &[]).await;
    assert_eq!((value(&backup, "Status"), value(&backup, "Region")), (Some("replicating"), Some(HOME)));
    assert_eq!(
        (value(&backup, "DBInstanceIdentifier"), value(&backup, "BackupRetentionPeriod")),
        (Some("orders"), Some("14"))
    );
    assert_eq!(time(&backup, "LatestTime").as_second(), latest.as_second());
    let arn = value(&backup, "DBInstanceAutomatedBackupsArn").unwrap();
    let own =
        cloud.ok(HOME, "DescribeDBInstanceAutomatedBackups", &[("DBInstanceIdentifier", "orders")]).await;
    assert!(own.contains(arn), "{own}");
    cloud.rds.set_archive_lag(AWAY, "orders", SignedDuration::from_mins(90)).unwrap();
    let backup = cloud.ok(AWAY, "DescribeDBInstanceAutomatedBackups", &[]).await;
    assert_eq!(minutes_ahead(time(&backup, "LatestTime")), -90);
    let daily = cloud.instance(HOME, "daily").await;
    assert_eq!(value(&daily, "BackupRetentionPeriod"), Some("1"));
    cloud.stop().await;
}

#[tokio::test]
async fn automated_backups_are_listed_page_by_page() {
    let cloud = Cloud::start().await;
    let seeds = (0..130).map(|number| Seed::new(&format!("db-{number:03}"), Timestamp::now()));
    cloud.rds.seed(HOME, seeds).unwrap();
    let (mut seen, mut marker, mut pages) = (BTreeSet::new(), None::<String>, 0);
    loop {
        let parameters: Vec<_> = marker.iter().map(|marker| ("Marker", marker.as_str())).collect();
        let xml = cloud.ok(HOME, "DescribeDBInstanceAutomatedBackups", &parameters).await;
        seen.extend(values(&xml, "DBInstanceIdentifier").into_iter().map(str::to_owned));
        pages += 1;
        marker = value(&xml, "Marker").map(str::to_owned);
        if marker.is_none() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (130, 2));
    cloud.stop().await;
}

#[tokio::test]
async fn a_status_from_outside_is_told_and_refuses_as_its_own() {
    let cloud = Cloud::start().await;
    let mut seed = Seed::new("orders", Timestamp::now());
    seed.snapshots = vec![local_rds::SeedSnapshot {
        identifier: "before".to_owned(),
        taken: Timestamp::now(),
        tags: std::collections::BTreeMap::new(),
    }];
    cloud.rds.seed(HOME, [seed]).unwrap();
    let take = |id| [("DBInstanceIdentifier", "orders"), ("DBSnapshotIdentifier", id)];
    for status in ["storage-full", "incompatible-restore", "stopped", "failed"] {
        cloud.rds.set_status(HOME, "orders", status).unwrap();
        let xml = cloud.ok(HOME, "DescribeDBInstances", &[]).await;
        assert_eq!(value(&xml, "DBInstanceStatus"), Some(status));
        assert_eq!(cloud.fault(HOME, "CreateDBSnapshot", &take("no")).await, "InvalidDBInstanceState");
    }
    cloud.rds.set_status(HOME, "orders", "storage-optimization").unwrap();
    cloud.ok(HOME, "CreateDBSnapshot", &take("yes")).await;
    cloud.snapshot(HOME, "yes").await;
    assert!(cloud.rds.set_status(HOME, "orders", "storage-ful").is_err());
    assert!(cloud.rds.set_status(HOME, "none", "available").is_err());

    cloud.rds.set_snapshot_storage(HOME, "before", 5).unwrap();
    let small = cloud.snapshot(HOME, "before").await;
    assert_eq!(value(&small, "AllocatedStorage"), Some("5"));
    assert!(cloud.rds.set_snapshot_storage(HOME, "none", 5).is_err());
    cloud.stop().await;
}

/// Keys that exist under any name, all of them disabled at times; who was asked for.
#[derive(Default)]
struct Switched {
    off: AtomicBool,
    asked: Mutex<Vec<String>>,
}

impl Keys for Switched {
    fn describe<'a>(&'a self, region: &'a str, key: &'a str) -> BoxFuture<'a, Option<Key>> {
        self.asked.lock().unwrap().push(key.to_owned());
        let name = key.rsplit('/').next().unwrap_or(key);
        let enabled = name != "orders" || !self.off.load(Ordering::Relaxed);
        let arn = format!("arn:aws:kms:{region}:{ACCOUNT}:key/{name}");
        Box::pin(async move { Some(Key { arn, enabled }) })
    }
}

#[tokio::test]
async fn without_its_key_nothing_encrypted_is_copied_or_restored() {
    let keys = Arc::new(Switched::default());
    let cloud = Cloud::start_with(keys.clone()).await;
    cloud.create_simulated("orders", &[("StorageEncrypted", "true"), ("KmsKeyId", "orders")]).await;
    cloud.instance(HOME, "orders").await;
    let take = [("DBInstanceIdentifier", "orders"), ("DBSnapshotIdentifier", "one")];
    cloud.ok(HOME, "CreateDBSnapshot", &take).await;
    cloud.snapshot(HOME, "one").await;
    let source = format!("arn:aws:rds:{HOME}:{ACCOUNT}:snapshot:one");
    let copy = |key| {
        [
            ("SourceDBSnapshotIdentifier", source.as_str()),
            ("TargetDBSnapshotIdentifier", "copy"),
            ("KmsKeyId", key),
        ]
    };
    keys.off.store(true, Ordering::Relaxed);
    // The source's key counts where the source is, whatever the copy's key.
    for (region, key) in [(AWAY, "other"), (HOME, "other"), (HOME, "orders")] {
        let code = cloud.fault(region, "CopyDBSnapshot", &copy(key)).await;
        assert_eq!(code, "KMSKeyNotAccessibleFault", "{region} {key}");
    }
    assert_eq!(cloud.fault(HOME, "CopyDBSnapshot", &copy("orders")[..2]).await, "KMSKeyNotAccessibleFault");
    let restore = [("DBInstanceIdentifier", "then"), ("DBSnapshotIdentifier", "one")];
    let code = cloud.fault(HOME, "RestoreDBInstanceFromDBSnapshot", &restore).await;
    assert_eq!(code, "KMSKeyNotAccessibleFault");
    let point = [
        ("SourceDBInstanceIdentifier", "orders"),
        ("TargetDBInstanceIdentifier", "then"),
        ("UseLatestRestorableTime", "true"),
    ];
    assert_eq!(cloud.fault(HOME, "RestoreDBInstanceToPointInTime", &point).await, "KMSKeyNotAccessibleFault");
    keys.off.store(false, Ordering::Relaxed);
    cloud.ok(AWAY, "CopyDBSnapshot", &copy("other")).await;
    assert!(keys.asked.lock().unwrap().iter().any(|key| key.ends_with("/orders")));
    cloud.stop().await;
}
