//! States, quotas, pages and events, on instances without servers.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::{ACCOUNT, AWAY, Cloud, HOME, until, value, values};
use jiff::{SignedDuration, Timestamp};
use local_rds::{Quotas, Seed, SeedSnapshot, Speed};

fn slow() -> Speed {
    let mut speed = Speed::instant();
    speed.snapshot = Duration::from_hours(1);
    speed.copy = Duration::from_hours(1);
    speed
}

/// All pages of a list: one value of each of its members, and how many pages there were.
async fn pages(cloud: &Cloud, action: &str, size: &str, field: &str) -> (Vec<String>, usize) {
    let (mut all, mut marker, mut count) = (Vec::new(), None::<String>, 0);
    loop {
        let mut parameters = vec![("MaxRecords", size)];
        parameters.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let xml = cloud.ok(HOME, action, &parameters).await;
        all.extend(values(&xml, field).into_iter().map(str::to_owned));
        count += 1;
        marker = value(&xml, "Marker").map(str::to_owned);
        if marker.is_none() {
            return (all, count);
        }
    }
}

#[tokio::test]
async fn many_seeded_instances_and_snapshots_come_in_pages() {
    let cloud = Cloud::start().await;
    let created = Timestamp::now() - SignedDuration::from_hours(48);
    let seeds = (0..250).map(|number| {
        let mut seed = Seed::new(&format!("db-{number:03}"), created);
        seed.tags = BTreeMap::from([("tidemark:plan".to_owned(), "standard".to_owned())]);
        let snapshot = |kind: &str| SeedSnapshot {
            identifier: format!("{kind}db-{number:03}-2026-03-01-03-00"),
            taken: created + SignedDuration::from_hours(1),
            tags: BTreeMap::new(),
        };
        seed.snapshots = vec![snapshot(""), snapshot("rds:")];
        seed
    });
    cloud.rds.seed(HOME, seeds).unwrap();
    let (instances, count) = pages(&cloud, "DescribeDBInstances", "100", "DBInstanceIdentifier").await;
    assert_eq!((instances.len(), count), (250, 3));
    let (snapshots, count) = pages(&cloud, "DescribeDBSnapshots", "20", "DBSnapshotIdentifier").await;
    assert_eq!((snapshots.iter().collect::<BTreeSet<_>>().len(), count), (500, 25));
    let xml = cloud.ok(HOME, "DescribeDBInstances", &[("DBInstanceIdentifier", "db-007")]).await;
    let latest: Timestamp = value(&xml, "LatestRestorableTime").unwrap().parse().unwrap();
    let age = Timestamp::now().duration_since(latest);
    assert!(age >= SignedDuration::ZERO && age <= SignedDuration::from_mins(6), "{age}");
    assert!(cloud.ok(AWAY, "DescribeDBInstances", &[]).await.contains("<DBInstances></DBInstances>"));
    assert!(cloud.rds.seed(HOME, [Seed::new("no--name", created)]).is_err());
    cloud.stop().await;
}

#[tokio::test]
async fn quotas_answer_with_their_codes() {
    let cloud = Cloud::start().await;
    cloud.rds.set_quotas(Quotas {
        instances: 2,
        manual_snapshots: 2,
        cross_region_copies: 1,
        replicated_backups: 0,
    });
    cloud.create_simulated("orders", &[]).await;
    cloud.instance(HOME, "orders").await;
    let snapshot = |id| [("DBInstanceIdentifier", "orders"), ("DBSnapshotIdentifier", id)];
    for id in ["one", "two"] {
        cloud.ok(HOME, "CreateDBSnapshot", &snapshot(id)).await;
        cloud.snapshot(HOME, id).await;
        cloud.instance(HOME, "orders").await;
    }
    // The automated one does not count.
    assert_eq!(cloud.fault(HOME, "CreateDBSnapshot", &snapshot("three")).await, "SnapshotQuotaExceeded");
    let xml = cloud.ok(HOME, "DescribeAccountAttributes", &[]).await;
    let (_, manual) = xml.split_once("ManualSnapshots").unwrap();
    assert_eq!((value(manual, "Used"), value(manual, "Max")), (Some("2"), Some("2")));
    let last = [("DBInstanceIdentifier", "orders"), ("FinalDBSnapshotIdentifier", "last")];
    assert_eq!(cloud.fault(HOME, "DeleteDBInstance", &last).await, "SnapshotQuotaExceeded");

    cloud.rds.set_speed(slow());
    let arn = format!("arn:aws:rds:{HOME}:{ACCOUNT}:snapshot:one");
    let copy = |id| [("SourceDBSnapshotIdentifier", arn.as_str()), ("TargetDBSnapshotIdentifier", id)];
    cloud.ok(AWAY, "CopyDBSnapshot", &copy("a")).await;
    assert_eq!(cloud.fault(AWAY, "CopyDBSnapshot", &copy("b")).await, "SnapshotQuotaExceeded");
    cloud.rds.set_speed(Speed::instant());
    cloud.snapshot(AWAY, "a").await;
    cloud.ok(AWAY, "CopyDBSnapshot", &copy("b")).await;

    cloud.create_simulated("second", &[]).await;
    let restore = [("DBInstanceIdentifier", "third"), ("DBSnapshotIdentifier", "one")];
    assert_eq!(cloud.fault(HOME, "RestoreDBInstanceFromDBSnapshot", &restore).await, "InstanceQuotaExceeded");
    let source = format!("arn:aws:rds:{HOME}:{ACCOUNT}:db:orders");
    let replicate = [("SourceDBInstanceArn", source.as_str())];
    let code = cloud.fault(AWAY, "StartDBInstanceAutomatedBackupsReplication", &replicate).await;
    assert_eq!(code, "DBInstanceAutomatedBackupQuotaExceeded");
    cloud.stop().await;
}

#[tokio::test]
async fn a_snapshot_under_way_is_of_no_use_yet() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[]).await;
    cloud.instance(HOME, "orders").await;
    cloud.rds.set_speed(slow());
    let take = |id| [("DBInstanceIdentifier", "orders"), ("DBSnapshotIdentifier", id)];
    cloud.ok(HOME, "CreateDBSnapshot", &take("slow")).await;
    let xml = cloud.ok(HOME, "DescribeDBInstances", &[]).await;
    assert_eq!(value(&xml, "DBInstanceStatus"), Some("backing-up"));
    assert_eq!(cloud.fault(HOME, "CreateDBSnapshot", &take("next")).await, "InvalidDBInstanceState");
    let copy = [("SourceDBSnapshotIdentifier", "slow"), ("TargetDBSnapshotIdentifier", "copy")];
    assert_eq!(cloud.fault(HOME, "CopyDBSnapshot", &copy).await, "InvalidDBSnapshotState");
    let restore = [("DBInstanceIdentifier", "restored"), ("DBSnapshotIdentifier", "slow")];
    assert_eq!(
        cloud.fault(HOME, "RestoreDBInstanceFromDBSnapshot", &restore).await,
        "InvalidDBSnapshotState"
    );
    let name = [("DBSnapshotIdentifier", "slow")];
    assert_eq!(cloud.fault(HOME, "DeleteDBSnapshot", &name).await, "InvalidDBSnapshotState");

    // Progress follows the speed, also when that changes on the way.
    let mut speed = slow();
    speed.snapshot = Duration::from_millis(400);
    cloud.rds.set_speed(speed);
    let seen = until("available", || async {
        let xml = cloud.ok(HOME, "DescribeDBSnapshots", &name).await;
        let percent: u32 = value(&xml, "PercentProgress").unwrap().parse().unwrap();
        let available = value(&xml, "Status") == Some("available");
        assert_eq!(available, percent == 100, "{xml}");
        available.then_some(percent)
    })
    .await;
    assert_eq!(seen, 100);
    cloud.stop().await;
}

#[tokio::test]
async fn a_copy_fails_with_its_source_and_ends_with_itself() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[]).await;
    cloud.instance(HOME, "orders").await;
    cloud
        .ok(HOME, "CreateDBSnapshot", &[("DBInstanceIdentifier", "orders"), ("DBSnapshotIdentifier", "one")])
        .await;
    cloud.snapshot(HOME, "one").await;
    cloud.rds.set_speed(slow());
    let arn = format!("arn:aws:rds:{HOME}:{ACCOUNT}:snapshot:one");
    for id in ["kept", "dropped"] {
        let copy = [("SourceDBSnapshotIdentifier", arn.as_str()), ("TargetDBSnapshotIdentifier", id)];
        cloud.ok(AWAY, "CopyDBSnapshot", &copy).await;
    }
    cloud.ok(AWAY, "DeleteDBSnapshot", &[("DBSnapshotIdentifier", "dropped")]).await;
    cloud.ok(HOME, "DeleteDBSnapshot", &[("DBSnapshotIdentifier", "one")]).await;
    cloud.rds.set_speed(Speed::instant());
    let kept = [("DBSnapshotIdentifier", "kept")];
    until("failed", || async {
        let xml = cloud.ok(AWAY, "DescribeDBSnapshots", &kept).await;
        assert_ne!(value(&xml, "Status"), Some("available"));
        (value(&xml, "Status") == Some("failed")).then_some(())
    })
    .await;
    assert_eq!(values(&cloud.ok(AWAY, "DescribeDBSnapshots", &[]).await, "DBSnapshotIdentifier"), ["kept"]);
    for id in ["kept", "dropped"] {
        assert_eq!(cloud.observer.ids(id), ["RDS-EVENT-0059", "RDS-EVENT-0061"], "{id}");
    }
    cloud.stop().await;
}

#[tokio::test]
async fn an_instance_can_be_deleted_while_it_is_restored_but_not_saved() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[]).await;
    cloud.instance(HOME, "orders").await;
    let take = [("DBInstanceIdentifier", "orders"), ("DBSnapshotIdentifier", "one")];
    cloud.ok(HOME, "CreateDBSnapshot", &take).await;
    cloud.snapshot(HOME, "one").await;
    let mut speed = slow();
    (speed.restore, speed.delete) = (Duration::from_hours(1), Duration::from_hours(1));
    cloud.rds.set_speed(speed);
    let from_snapshot = [("DBInstanceIdentifier", "a"), ("DBSnapshotIdentifier", "one")];
    cloud.ok(HOME, "RestoreDBInstanceFromDBSnapshot", &from_snapshot).await;
    let from_instant = [
        ("SourceDBInstanceIdentifier", "orders"),
        ("TargetDBInstanceIdentifier", "b"),
        ("UseLatestRestorableTime", "true"),
    ];
    cloud.ok(HOME, "RestoreDBInstanceToPointInTime", &from_instant).await;
    for id in ["a", "b"] {
        let name = ("DBInstanceIdentifier", id);
        let saved = [name, ("FinalDBSnapshotIdentifier", "last")];
        assert_eq!(cloud.fault(HOME, "DeleteDBInstance", &saved).await, "InvalidDBInstanceState");
        let skipped = [name, ("SkipFinalSnapshot", "true")];
        let xml = cloud.ok(HOME, "DeleteDBInstance", &skipped).await;
        assert_eq!(value(&xml, "DBInstanceStatus"), Some("deleting"));
        assert_eq!(cloud.fault(HOME, "DeleteDBInstance", &skipped).await, "InvalidDBInstanceState");
    }
    // Their restores end first, and bring nothing back; that of another tells that they have.
    speed.restore = Duration::ZERO;
    cloud.rds.set_speed(speed);
    let other =
        [("DBInstanceIdentifier", "c"), ("DBSnapshotIdentifier", "one"), ("BackupRetentionPeriod", "0")];
    cloud.ok(HOME, "RestoreDBInstanceFromDBSnapshot", &other).await;
    cloud.instance(HOME, "c").await;
    for id in ["a", "b"] {
        let xml = cloud.ok(HOME, "DescribeDBInstances", &[("DBInstanceIdentifier", id)]).await;
        assert_eq!(value(&xml, "DBInstanceStatus"), Some("deleting"));
    }
    cloud.rds.set_speed(Speed::instant());
    until("the deletions", || async {
        let xml = cloud.ok(HOME, "DescribeDBInstances", &[]).await;
        (values(&xml, "DBInstanceIdentifier") == ["c", "orders"]).then_some(())
    })
    .await;
    let xml = cloud.ok(HOME, "DescribeDBInstanceAutomatedBackups", &[]).await;
    assert_eq!(values(&xml, "DBInstanceIdentifier"), ["orders"]);
    cloud.stop().await;
}

#[tokio::test]
async fn deletion_protection_holds_until_it_is_lifted() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[("DeletionProtection", "true")]).await;
    cloud.instance(HOME, "orders").await;
    let delete = [("DBInstanceIdentifier", "orders"), ("SkipFinalSnapshot", "true")];
    assert_eq!(cloud.fault(HOME, "DeleteDBInstance", &delete).await, "InvalidParameterCombination");
    cloud.ok(HOME, "ModifyDBInstance", &[delete[0], ("DeletionProtection", "false")]).await;
    cloud.instance(HOME, "orders").await;
    cloud.ok(HOME, "DeleteDBInstance", &delete).await;
    until("the deletion", || async {
        let code = cloud.fault(HOME, "DeleteDBInstance", &delete).await;
        assert!(["InvalidDBInstanceState", "DBInstanceNotFound"].contains(&code.as_str()), "{code}");
        (code == "DBInstanceNotFound").then_some(())
    })
    .await;
    cloud.stop().await;
}

#[tokio::test]
async fn events_have_the_shape_of_aws() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[]).await;
    cloud.instance(HOME, "orders").await;
    let restore = [
        ("SourceDBInstanceIdentifier", "orders"),
        ("TargetDBInstanceIdentifier", "then"),
        ("UseLatestRestorableTime", "true"),
        ("BackupRetentionPeriod", "0"),
    ];
    cloud.ok(HOME, "RestoreDBInstanceToPointInTime", &restore).await;
    cloud.instance(HOME, "then").await;
    assert_eq!(cloud.observer.ids("orders"), ["RDS-EVENT-0005", "RDS-EVENT-0001", "RDS-EVENT-0002"]);
    assert_eq!(cloud.observer.ids("then"), ["RDS-EVENT-0019"]);
    let events = cloud.observer.events.lock().unwrap().clone();
    let (region, event) = events.last().unwrap();
    let arn = format!("arn:aws:rds:{HOME}:{ACCOUNT}:db:then");
    assert_eq!(
        (region.as_str(), event.source, event.detail_type),
        (HOME, "aws.rds", "RDS DB Instance Event")
    );
    assert_eq!(event.resources, [arn.as_str()]);
    assert_eq!(event.detail["SourceArn"], arn.as_str());
    assert_eq!(event.detail["SourceType"], "DB_INSTANCE");
    assert_eq!(event.detail["EventCategories"][0], "restoration");
    assert_eq!(event.detail["Message"], "Restored from DB instance orders to then");
    assert!(event.detail["Date"].as_str().unwrap().parse::<Timestamp>().is_ok());
    let (_, snapshot) =
        events.iter().find(|(_, event)| event.detail_type == "RDS DB Snapshot Event").unwrap();
    assert_eq!(snapshot.detail["EventID"], "RDS-EVENT-0090");
    assert_eq!(snapshot.detail["SourceType"], "SNAPSHOT");

    let (messages, _) = pages(&cloud, "DescribeEvents", "20", "Message").await;
    assert_eq!(messages.len(), events.len());
    let backup = [("EventCategories.EventCategory.1", "backup")];
    assert_eq!(values(&cloud.ok(HOME, "DescribeEvents", &backup).await, "Message").len(), 2);
    cloud.stop().await;
}

#[tokio::test]
async fn requests_are_refused_with_the_codes_of_aws() {
    let cloud = Cloud::start().await;
    cloud.create_simulated("orders", &[("BackupRetentionPeriod", "0")]).await;
    cloud.instance(HOME, "orders").await;
    for (action, parameters, code) in [
        ("", vec![], "MissingAction"),
        ("DescribeDBClusters", vec![], "InvalidAction"),
        ("CreateDBSnapshot", vec![("DBInstanceIdentifier", "orders")], "MissingParameter"),
        ("DescribeDBSnapshots", vec![("SnapshotType", "odd")], "InvalidParameterValue"),
        ("DescribeDBInstances", vec![("MaxRecords", "5")], "InvalidParameterValue"),
        ("DescribeEvents", vec![("SourceIdentifier", "orders")], "InvalidParameterCombination"),
        (
            "ModifyDBInstance",
            vec![("DBInstanceIdentifier", "orders"), ("BackupRetentionPeriod", "x")],
            "InvalidParameterValue",
        ),
        ("DeleteDBInstance", vec![("DBInstanceIdentifier", "orders")], "InvalidParameterCombination"),
        ("ListTagsForResource", vec![("ResourceName", "orders")], "InvalidParameterValue"),
        (
            "RestoreDBInstanceToPointInTime",
            vec![
                ("SourceDBInstanceIdentifier", "orders"),
                ("TargetDBInstanceIdentifier", "x"),
                ("UseLatestRestorableTime", "true"),
            ],
            "PointInTimeRestoreNotEnabled",
        ),
    ] {
        assert_eq!(cloud.fault(HOME, action, &parameters).await, code, "{action} {parameters:?}");
    }
    let response = cloud.call(HOME, "DescribeDBInstances", &[("DBInstanceIdentifier", "none")]).await;
    assert_eq!((response.status, response.action.as_str()), (404, "DescribeDBInstances"));
    assert_eq!(response.resource.as_deref(), Some("none"));
    assert!(String::from_utf8(response.body).unwrap().contains(&response.request_id));
    cloud.stop().await;
}
