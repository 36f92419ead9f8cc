//! Snapshots, copies and restores of real data.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::time::Duration;

use common::{ACCOUNT, AWAY, Cloud, HOME, PASSWORD, until, value, values};
use jiff::{SignedDuration, Timestamp};
use local_rds::Speed;
use tokio_postgres::Client;

async fn fill(client: &Client) {
    client
        .batch_execute(
            "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 20000) n;
             CREATE TABLE ticks (at timestamptz DEFAULT clock_timestamp(), n int);",
        )
        .await
        .unwrap();
}

async fn digest(client: &Client) -> String {
    let query = "SELECT count(*) || ' ' || md5(string_agg(id || note, ',' ORDER BY id)) FROM orders";
    client.query_one(query, &[]).await.unwrap().get(0)
}

async fn ticks(client: &Client) -> Vec<i32> {
    let rows = client.query("SELECT n FROM ticks ORDER BY n", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn tick(client: &Client, n: i32) -> Timestamp {
    client.execute("INSERT INTO ticks (n) VALUES ($1)", &[&n]).await.unwrap();
    Timestamp::now()
}

/// Waits until a time is restorable.
async fn restorable(cloud: &Cloud, region: &str, id: &str, at: Timestamp) {
    until("LatestRestorableTime", || async {
        let xml = cloud.ok(region, "DescribeDBInstances", &[("DBInstanceIdentifier", id)]).await;
        let latest = value(&xml, "LatestRestorableTime")?.parse::<Timestamp>().unwrap();
        (latest >= at).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_snapshot_and_its_copy_hold_what_was_there() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[("BackupRetentionPeriod", "0")]).await;
    let source = cloud.instance(HOME, "orders").await;
    let client = cloud.connect(&source, PASSWORD).await.unwrap();
    fill(&client).await;
    let expected = digest(&client).await;

    cloud
        .ok(
            HOME,
            "CreateDBSnapshot",
            &[("DBInstanceIdentifier", "orders"), ("DBSnapshotIdentifier", "before")],
        )
        .await;
    cloud.snapshot(HOME, "before").await;
    client.batch_execute("DROP TABLE orders").await.unwrap();
    let arn = format!("arn:aws:rds:{HOME}:{ACCOUNT}:snapshot:before");
    let copy = [("SourceDBSnapshotIdentifier", arn.as_str()), ("TargetDBSnapshotIdentifier", "away")];
    cloud.ok(AWAY, "CopyDBSnapshot", &copy).await;
    let copied = cloud.snapshot(AWAY, "away").await;
    assert_eq!(value(&copied, "SourceRegion"), Some(HOME));
    assert_eq!(value(&copied, "SourceDBSnapshotIdentifier"), Some(arn.as_str()));

    // The copy must not need its source, nor the instance.
    cloud.ok(HOME, "DeleteDBSnapshot", &[("DBSnapshotIdentifier", "before")]).await;
    cloud
        .ok(HOME, "DeleteDBInstance", &[("DBInstanceIdentifier", "orders"), ("SkipFinalSnapshot", "true")])
        .await;
    until("deletion", || async {
        let described = cloud.call(HOME, "DescribeDBInstances", &[("DBInstanceIdentifier", "orders")]).await;
        (described.error_code.as_deref() == Some("DBInstanceNotFound")).then_some(())
    })
    .await;
    let restore = [("DBInstanceIdentifier", "restored"), ("DBSnapshotIdentifier", "away")];
    cloud.ok(AWAY, "RestoreDBInstanceFromDBSnapshot", &restore).await;
    let restored = cloud.instance(AWAY, "restored").await;
    // The master password is part of the data.
    let client = cloud.connect(&restored, PASSWORD).await.unwrap();
    assert_eq!(digest(&client).await, expected);
    client.batch_execute("CREATE TABLE mine (n int)").await.unwrap();
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_torn_snapshot_one_page_is_restored_that_nobody_can_read() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[("BackupRetentionPeriod", "0")]).await;
    let client = cloud.connect(&cloud.instance(HOME, "orders").await, PASSWORD).await.unwrap();
    fill(&client).await;
    client.batch_execute("UPDATE orders SET note = 'to be torn' WHERE id = 17").await.unwrap();
    let take = [("DBInstanceIdentifier", "orders"), ("DBSnapshotIdentifier", "torn")];
    cloud.ok(HOME, "CreateDBSnapshot", &take).await;
    cloud.snapshot(HOME, "torn").await;
    assert!(cloud.rds.tear_snapshot(HOME, "torn", "it stands nowhere").is_err());
    cloud.rds.tear_snapshot(HOME, "torn", "to be torn").unwrap();
    let restore = [("DBInstanceIdentifier", "restored"), ("DBSnapshotIdentifier", "torn")];
    cloud.ok(HOME, "RestoreDBInstanceFromDBSnapshot", &restore).await;
    let restored = cloud.connect(&cloud.instance(HOME, "restored").await, PASSWORD).await.unwrap();
    let error = restored.query("SELECT * FROM orders", &[]).await.unwrap_err();
    assert!(error.as_db_error().unwrap().message().contains("invalid page in block"), "{error:?}");
    assert_eq!(client.query("SELECT * FROM orders", &[]).await.unwrap().len(), 20_000, "the source is whole");
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_to_an_instant_has_the_commit_before_it_and_not_the_one_after() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[("BackupRetentionPeriod", "7")]).await;
    let source = cloud.instance(HOME, "orders").await;
    let automated = cloud.ok(HOME, "DescribeDBSnapshots", &[("SnapshotType", "automated")]).await;
    let id = value(&automated, "DBSnapshotIdentifier").unwrap();
    assert!(id.starts_with("rds:orders-20"), "{id}");

    let client = cloud.connect(&source, PASSWORD).await.unwrap();
    fill(&client).await;
    let expected = digest(&client).await;
    tick(&client, 1).await;
    let between = Timestamp::now();
    // The clock must move on between the two commits; the database's own is the same.
    until("the clock", || async {
        (Timestamp::now() > between + SignedDuration::from_millis(1)).then_some(())
    })
    .await;
    tick(&client, 2).await;
    client.batch_execute("DROP TABLE orders").await.unwrap();
    let after = Timestamp::now();

    cloud.rds.archive_now(HOME, "orders").await.unwrap();
    restorable(&cloud, HOME, "orders", between).await;
    let time = between.to_string();
    let restore = [
        ("SourceDBInstanceIdentifier", "orders"),
        ("TargetDBInstanceIdentifier", "then"),
        ("RestoreTime", time.as_str()),
    ];
    cloud.ok(HOME, "RestoreDBInstanceToPointInTime", &restore).await;
    let then = cloud.connect(&cloud.instance(HOME, "then").await, PASSWORD).await.unwrap();
    assert_eq!(digest(&then).await, expected);
    assert_eq!(ticks(&then).await, [1]);

    // The latest restorable time has all, and the restored instance can be restored in turn.
    restorable(&cloud, HOME, "orders", after).await;
    tick(&then, 3).await;
    cloud.rds.archive_now(HOME, "then").await.unwrap();
    for (from, to) in [("orders", "latest"), ("then", "again")] {
        let restore = [
            ("SourceDBInstanceIdentifier", from),
            ("TargetDBInstanceIdentifier", to),
            ("UseLatestRestorableTime", "true"),
        ];
        cloud.ok(HOME, "RestoreDBInstanceToPointInTime", &restore).await;
    }
    let latest = cloud.connect(&cloud.instance(HOME, "latest").await, PASSWORD).await.unwrap();
    assert_eq!(ticks(&latest).await, [1, 2]);
    assert!(latest.query("SELECT 1 FROM orders", &[]).await.is_err());
    let again = cloud.connect(&cloud.instance(HOME, "again").await, PASSWORD).await.unwrap();
    assert_eq!(ticks(&again).await, [1, 3]);
    assert_eq!(digest(&again).await, expected);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_a_wrong_clock_told_restores_what_was_there_then() {
    let cloud = Cloud::start().await;
    let skew = SignedDuration::from_mins(10);
    cloud.rds.set_clock_skew(skew);
    cloud.create("orders", &[("BackupRetentionPeriod", "7")]).await;
    let client = cloud.connect(&cloud.instance(HOME, "orders").await, PASSWORD).await.unwrap();
    fill(&client).await;
    tick(&client, 1).await;
    let between = Timestamp::now();
    until("the clock", || async {
        (Timestamp::now() > between + SignedDuration::from_millis(1)).then_some(())
    })
    .await;
    tick(&client, 2).await;
    cloud.rds.archive_now(HOME, "orders").await.unwrap();
    // Ahead of this machine, and restorable all the same.
    restorable(&cloud, HOME, "orders", between + skew).await;
    let time = (between + skew).to_string();
    let restore = [
        ("SourceDBInstanceIdentifier", "orders"),
        ("TargetDBInstanceIdentifier", "then"),
        ("RestoreTime", time.as_str()),
    ];
    cloud.ok(HOME, "RestoreDBInstanceToPointInTime", &restore).await;
    let then = cloud.connect(&cloud.instance(HOME, "then").await, PASSWORD).await.unwrap();
    assert_eq!(ticks(&then).await, [1]);
    cloud.stop().await;
}

/// The promise of `LatestRestorableTime`, with commits at all distances from the archiver's own: between its look at
/// the clock and its switch, just after it, and long after it.
#[tokio::test(flavor = "multi_thread")]
async fn every_instant_of_the_window_has_exactly_what_was_committed_by_then() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[]).await;
    let client = cloud.connect(&cloud.instance(HOME, "orders").await, PASSWORD).await.unwrap();
    fill(&client).await;
    let mut commits = Vec::new();
    let mut targets = Vec::new();
    for round in 0..6 {
        for n in 0..8 {
            commit(&client, round * 10 + n, &mut commits).await;
        }
        // One more while the archiver is at work, and then none.
        let during = async {
            tokio::time::sleep(Duration::from_millis(round.unsigned_abs().into())).await;
            commit(&client, round * 10 + 8, &mut commits).await;
        };
        let (archived, ()) = tokio::join!(cloud.rds.archive_now(HOME, "orders"), during);
        archived.unwrap();
        let last = commits.last().unwrap().2;
        targets.push(last);
        targets.push(until("the end of the window", || restorable_after(&cloud, "orders", last)).await);
    }
    for (number, target) in targets.iter().enumerate() {
        let (id, time) = (format!("then-{number}"), target.to_string());
        let restore = [
            ("SourceDBInstanceIdentifier", "orders"),
            ("TargetDBInstanceIdentifier", id.as_str()),
            ("RestoreTime", time.as_str()),
            ("BackupRetentionPeriod", "0"),
        ];
        cloud.ok(HOME, "RestoreDBInstanceToPointInTime", &restore).await;
    }
    for (number, target) in targets.iter().enumerate() {
        let restored = cloud.instance(HOME, &format!("then-{number}")).await;
        let there = ticks(&cloud.connect(&restored, PASSWORD).await.unwrap()).await;
        for (n, asked, done) in &commits {
            assert!(
                done > target || there.contains(n),
                "{n} was committed at {done}, and is not there at {target}"
            );
            assert!(
                asked <= target || !there.contains(n),
                "{n} was asked for at {asked}, and is there at {target}"
            );
        }
    }
    cloud.stop().await;
}

/// Commits, and remembers the number with the instants before and after.
async fn commit(client: &Client, n: i32, commits: &mut Vec<(i32, Timestamp, Timestamp)>) {
    let asked = Timestamp::now();
    commits.push((n, asked, tick(client, n).await));
}

/// The end of the window to the millisecond, once it is later than an instant.
async fn restorable_after(cloud: &Cloud, id: &str, after: Timestamp) -> Option<Timestamp> {
    let parameters = [("DBInstanceIdentifier", id)];
    let backups = cloud.ok(HOME, "DescribeDBInstanceAutomatedBackups", &parameters).await;
    let latest: Timestamp = value(&backups, "LatestTime")?.parse().unwrap();
    (latest > after).then_some(latest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_outside_the_window_is_refused() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[]).await;
    cloud.instance(HOME, "orders").await;
    cloud.rds.archive_now(HOME, "orders").await.unwrap();
    let hour = SignedDuration::from_hours(1);
    let (early, late) = ((Timestamp::now() - hour).to_string(), (Timestamp::now() + hour).to_string());
    let source = ("SourceDBInstanceIdentifier", "orders");
    let target = ("TargetDBInstanceIdentifier", "then");
    for (more, code) in [
        (vec![("RestoreTime", early.as_str())], "InvalidParameterValue"),
        (vec![("RestoreTime", late.as_str())], "InvalidParameterValue"),
        (vec![], "InvalidParameterCombination"),
        (
            vec![("RestoreTime", early.as_str()), ("UseLatestRestorableTime", "true")],
            "InvalidParameterCombination",
        ),
    ] {
        let parameters: Vec<_> = [source, target].into_iter().chain(more).collect();
        assert_eq!(
            cloud.fault(HOME, "RestoreDBInstanceToPointInTime", &parameters).await,
            code,
            "{parameters:?}"
        );
    }
    let off =
        [("DBInstanceIdentifier", "orders"), ("BackupRetentionPeriod", "0"), ("ApplyImmediately", "true")];
    cloud.ok(HOME, "ModifyDBInstance", &off).await;
    let xml = cloud.instance(HOME, "orders").await;
    assert_eq!(value(&xml, "LatestRestorableTime"), None);
    let latest = [source, target, ("UseLatestRestorableTime", "true")];
    assert_eq!(
        cloud.fault(HOME, "RestoreDBInstanceToPointInTime", &latest).await,
        "PointInTimeRestoreNotEnabled"
    );
    // On again: from here, not from before.
    let on =
        [("DBInstanceIdentifier", "orders"), ("BackupRetentionPeriod", "1"), ("ApplyImmediately", "true")];
    cloud.ok(HOME, "ModifyDBInstance", &on).await;
    cloud.instance(HOME, "orders").await;
    cloud.rds.archive_now(HOME, "orders").await.unwrap();
    cloud.ok(HOME, "RestoreDBInstanceToPointInTime", &latest).await;
    cloud.instance(HOME, "then").await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicated_and_retained_backups_outlive_their_instance() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[]).await;
    let source = cloud.instance(HOME, "orders").await;
    let client = cloud.connect(&source, PASSWORD).await.unwrap();
    fill(&client).await;
    let expected = digest(&client).await;
    let committed = Timestamp::now();
    let arn = format!("arn:aws:rds:{HOME}:{ACCOUNT}:db:orders");
    let started =
        cloud.ok(AWAY, "StartDBInstanceAutomatedBackupsReplication", &[("SourceDBInstanceArn", &arn)]).await;
    let replica = value(&started, "DBInstanceAutomatedBackupsArn").unwrap().to_owned();
    until("replication", || async {
        let xml = cloud.ok(AWAY, "DescribeDBInstanceAutomatedBackups", &[]).await;
        let latest = value(&xml, "LatestTime")?.parse::<Timestamp>().unwrap();
        (value(&xml, "Status") == Some("replicating") && latest >= committed).then_some(())
    })
    .await;

    let resource_id = value(&source, "DbiResourceId").unwrap();
    let delete = [
        ("DBInstanceIdentifier", "orders"),
        ("SkipFinalSnapshot", "true"),
        ("DeleteAutomatedBackups", "false"),
    ];
    cloud.ok(HOME, "DeleteDBInstance", &delete).await;
    for region in [HOME, AWAY] {
        until("retained", || async {
            let xml = cloud.ok(region, "DescribeDBInstanceAutomatedBackups", &[]).await;
            (value(&xml, "Status") == Some("retained")).then_some(())
        })
        .await;
    }
    let latest = ("UseLatestRestorableTime", "true");
    let home = [("SourceDbiResourceId", resource_id), ("TargetDBInstanceIdentifier", "home"), latest];
    cloud.ok(HOME, "RestoreDBInstanceToPointInTime", &home).await;
    let away = [
        ("SourceDBInstanceAutomatedBackupsArn", replica.as_str()),
        ("TargetDBInstanceIdentifier", "away"),
        latest,
    ];
    cloud.ok(AWAY, "RestoreDBInstanceToPointInTime", &away).await;
    for (region, id) in [(HOME, "home"), (AWAY, "away")] {
        let client = cloud.connect(&cloud.instance(region, id).await, PASSWORD).await.unwrap();
        assert_eq!(digest(&client).await, expected, "{region}");
    }
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_reach_the_server_and_a_final_snapshot_keeps_them() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[("BackupRetentionPeriod", "0")]).await;
    let source = cloud.instance(HOME, "orders").await;
    fill(&cloud.connect(&source, PASSWORD).await.unwrap()).await;
    let modify = [
        ("DBInstanceIdentifier", "orders"),
        ("NewDBInstanceIdentifier", "sales"),
        ("MasterUserPassword", "battery-staple'"),
        ("DBInstanceClass", "db.m7g.large"),
        ("ApplyImmediately", "true"),
    ];
    cloud.ok(HOME, "ModifyDBInstance", &modify).await;
    until("the new name", || async {
        let xml = cloud.call(HOME, "DescribeDBInstances", &[("DBInstanceIdentifier", "sales")]).await;
        (xml.status == 200).then_some(())
    })
    .await;
    let changed = cloud.instance(HOME, "sales").await;
    assert_eq!(value(&changed, "DBInstanceClass"), Some("db.m7g.large"));
    assert_eq!(value(&changed, "DbiResourceId"), value(&source, "DbiResourceId"));
    assert!(cloud.connect(&changed, PASSWORD).await.is_err());
    let client = cloud.connect(&changed, "battery-staple'").await.unwrap();
    let expected = digest(&client).await;

    let delete = [("DBInstanceIdentifier", "sales"), ("FinalDBSnapshotIdentifier", "last")];
    cloud.ok(HOME, "DeleteDBInstance", &delete).await;
    cloud.snapshot(HOME, "last").await;
    let restore = [("DBInstanceIdentifier", "restored"), ("DBSnapshotIdentifier", "last")];
    cloud.ok(HOME, "RestoreDBInstanceFromDBSnapshot", &restore).await;
    let restored = cloud.instance(HOME, "restored").await;
    let client = cloud.connect(&restored, "battery-staple'").await.unwrap();
    assert_eq!(digest(&client).await, expected);
    assert!(cloud.observer.ids("sales").contains(&"RDS-EVENT-0003".to_owned()));
    assert_eq!(values(&restored, "DBInstanceIdentifier"), ["restored"]);
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_tls_are_refused() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[("BackupRetentionPeriod", "0")]).await;
    let xml = cloud.instance(HOME, "orders").await;
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(value(&xml, "Port").unwrap().parse().unwrap());
    config.user("app").password(PASSWORD).dbname("shop");
    let error = config.connect(tokio_postgres::NoTls).await.err().unwrap();
    assert!(format!("{error:?}").contains("no encryption"), "{error:?}");
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_server_dies_has_failed() {
    let cloud = Cloud::start().await;
    cloud.create("orders", &[("BackupRetentionPeriod", "0")]).await;
    cloud.instance(HOME, "orders").await;
    let server = *cloud.observer.running.lock().unwrap().first().unwrap();
    let server = nix::unistd::Pid::from_raw(server.try_into().unwrap());
    nix::sys::signal::kill(server, nix::sys::signal::Signal::SIGKILL).unwrap();
    let name = [("DBInstanceIdentifier", "orders")];
    until("failed", || async {
        let xml = cloud.ok(HOME, "DescribeDBInstances", &name).await;
        (value(&xml, "DBInstanceStatus") == Some("failed")).then_some(())
    })
    .await;
    assert_eq!(cloud.observer.ids("orders").last().map(String::as_str), Some("RDS-EVENT-0031"));
    let take = [("DBInstanceIdentifier", "orders"), ("DBSnapshotIdentifier", "late")];
    assert_eq!(cloud.fault(HOME, "CreateDBSnapshot", &take).await, "InvalidDBInstanceState");
    cloud.ok(HOME, "DeleteDBInstance", &[name[0], ("SkipFinalSnapshot", "true")]).await;
    cloud.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_is_deleted_while_it_is_made_leaves_no_server() {
    let cloud = Cloud::start().await;
    let without_backups = [("BackupRetentionPeriod", "0")];
    cloud.create("orders", &without_backups).await;
    cloud.instance(HOME, "orders").await;
    // Long enough for its server to be seen.
    cloud.rds.set_speed(Speed { create: Duration::from_secs(2), ..Speed::instant() });
    cloud.create("more", &without_backups).await;
    let servers = async |count: usize| {
        until(&format!("{count} servers"), || async {
            (cloud.observer.running.lock().unwrap().len() == count).then_some(())
        })
        .await;
    };
    servers(2).await;
    let delete = [("DBInstanceIdentifier", "more"), ("SkipFinalSnapshot", "true")];
    cloud.ok(HOME, "DeleteDBInstance", &delete).await;
    servers(1).await;
    assert_eq!(cloud.fault(HOME, "DeleteDBInstance", &delete).await, "DBInstanceNotFound");
    cloud.stop().await;
}
