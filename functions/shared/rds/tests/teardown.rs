//! What tears down, on the account in memory: what it deletes, and what it must not.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use domain::Slot;
use rds::{
    AutomatedBackup, FakeAccount, Instance, Rds, Restore, RestoreFrom, Snapshot, SnapshotKind, Tags, Teardown,
};
use reconcile::{Error, Kind};
use rstest::rstest;

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";
const DRILL: &str = "tidemark-drill-1";

fn instance(id: &str) -> Instance {
    Instance { deletion_protection: false, ..Instance::fake(HOME, id, &format!("db-{id}")) }
}

fn backup(region: &str, of: &Instance) -> AutomatedBackup {
    AutomatedBackup {
        arn: format!("arn:aws:rds:{region}:123456789012:auto-backup:{}", of.id),
        instance: of.id.clone(),
        incarnation: of.incarnation.clone(),
        status: "active".to_owned(),
        source_region: HOME.to_owned(),
        window: None,
    }
}

fn snapshot(of: &Instance, kind: SnapshotKind) -> Snapshot {
    let slot = Slot::at("2026-11-22T03:00:00Z".parse().unwrap());
    let snapshot = Snapshot::fake(HOME, &of.id, &of.incarnation, slot);
    Snapshot { id: format!("{}-{kind:?}", snapshot.id), kind, ..snapshot }
}

#[tokio::test]
async fn an_instance_goes_with_its_automated_backups_and_nothing_else() {
    let account = FakeAccount::default();
    let (made, other) = (instance(DRILL), instance("tidemark-drill-2"));
    for instance in [&made, &other] {
        account.put_instance(HOME, instance.clone());
        account.put_automated_backup(HOME, backup(HOME, instance));
        account.put_snapshot(HOME, snapshot(instance, SnapshotKind::Automated));
        account.put_snapshot(HOME, snapshot(instance, SnapshotKind::Manual));
    }
    let rds = account.region(HOME);
    rds.delete_instance(DRILL).await.unwrap();
    assert_eq!(rds.instance(DRILL).await.unwrap().unwrap().status, "deleting");
    let again = rds.delete_instance(DRILL).await.unwrap_err();
    assert_eq!((again.code(), again.kind()), ("InvalidDBInstanceState", Kind::Retryable));

    account.finish();
    assert_eq!(rds.instances().await.unwrap(), std::slice::from_ref(&other));
    assert_eq!(rds.automated_backups().await.unwrap(), [backup(HOME, &other)]);
    let left = account.snapshots(HOME).into_iter().map(|snapshot| (snapshot.instance, snapshot.kind));
    let mut left: Vec<_> = left.collect();
    left.sort_by_key(|(instance, kind)| (instance.clone(), format!("{kind:?}")));
    let (manual, automated) = (SnapshotKind::Manual, SnapshotKind::Automated);
    assert_eq!(left, [(made.id, manual), (other.id.clone(), automated), (other.id, manual)]);
    rds.delete_instance(DRILL).await.unwrap();
}

#[tokio::test]
async fn what_is_being_made_can_be_deleted() {
    let account = FakeAccount::default();
    let source = instance("orders");
    account.put_instance(HOME, source.clone());
    let point = snapshot(&source, SnapshotKind::Manual);
    account.put_snapshot(HOME, point.clone());
    let rds = account.region(HOME);
    let restore = Restore {
        from: RestoreFrom::Snapshot(point.id),
        instance: DRILL.to_owned(),
        class: None,
        subnet_group: None,
        security_groups: Vec::new(),
        parameter_group: None,
        option_group: None,
        multi_az: false,
        publicly_accessible: false,
        tags: Tags::new(),
    };
    assert_eq!(rds.restore(&restore).await.unwrap().status, "creating");
    rds.delete_instance(DRILL).await.unwrap();
    account.finish();
    assert_eq!(rds.instances().await.unwrap(), [source]);
}

#[rstest]
#[case("orders")]
#[case("tidemark-drill")]
#[case("my-tidemark-drill-1")]
#[case("")]
#[tokio::test]
async fn what_no_drill_made_is_refused_before_rds_is_asked(#[case] id: &str) {
    let account = FakeAccount::default();
    account.put_instance(HOME, instance(id));
    let error = account.region(HOME).delete_instance(id).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("NotADrills", Kind::Permanent));
    account.finish();
    assert_eq!(account.region(HOME).instances().await.unwrap().len(), 1);
    assert!(!account.calls().contains(&format!("{HOME} DeleteDBInstance")));
}

#[tokio::test]
async fn deletion_protection_holds() {
    let account = FakeAccount::default();
    account.put_instance(HOME, Instance { deletion_protection: true, ..instance(DRILL) });
    let error = account.region(HOME).delete_instance(DRILL).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("InvalidParameterCombination", Kind::Misconfigured));
    assert_eq!(account.region(HOME).instance(DRILL).await.unwrap().unwrap().status, "available");
}

#[tokio::test]
async fn a_deletion_can_be_refused_and_its_answer_lost() {
    let account = FakeAccount::default();
    account.put_instance(HOME, instance(DRILL));
    let rds = account.region(HOME);
    account.refuse_next("DeleteDBInstance", Error::retryable("InvalidDBInstanceState", "it is backing up"));
    assert_eq!(rds.delete_instance(DRILL).await.unwrap_err().code(), "InvalidDBInstanceState");
    assert_eq!(rds.instance(DRILL).await.unwrap().unwrap().status, "available");
    account.region(AWAY).delete_instance(DRILL).await.unwrap();
    assert_eq!(rds.instance(DRILL).await.unwrap().unwrap().status, "available", "of another Region");
    account.lose_answer_of_next("DeleteDBInstance");
    assert_eq!(rds.delete_instance(DRILL).await.unwrap_err().code(), "RequestTimedOut");
    assert_eq!(rds.instance(DRILL).await.unwrap().unwrap().status, "deleting");
}
