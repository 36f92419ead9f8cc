"""Drives every action of the local RDS with boto3: drive.py ENDPOINT HOME_REGION AWAY_REGION."""

import datetime
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from judge import Judge

ENDPOINT, HOME, AWAY = sys.argv[1:]
ACCOUNT = "000000000000"
ACTIONS = {
    "AddTagsToResource",
    "CopyDBSnapshot",
    "CreateDBInstance",
    "CreateDBSnapshot",
    "DeleteDBInstance",
    "DeleteDBInstanceAutomatedBackup",
    "DeleteDBSnapshot",
    "DescribeAccountAttributes",
    "DescribeDBInstanceAutomatedBackups",
    "DescribeDBInstances",
    "DescribeDBSnapshotAttributes",
    "DescribeDBSnapshots",
    "DescribeEvents",
    "ListTagsForResource",
    "ModifyDBInstance",
    "ModifyDBSnapshotAttribute",
    "RemoveTagsFromResource",
    "RestoreDBInstanceFromDBSnapshot",
    "RestoreDBInstanceToPointInTime",
    "StartDBInstanceAutomatedBackupsReplication",
    "StopDBInstanceAutomatedBackupsReplication",
}

judge = Judge()


def client(region):
    config = Config(retries={"max_attempts": 0})
    keys = {"aws_access_key_id": ACCOUNT, "aws_secret_access_key": "secret"}
    return judge.watch(boto3.client("rds", region_name=region, endpoint_url=ENDPOINT, config=config, **keys))


home, away = client(HOME), client(AWAY)


def refused(code, action, **parameters):
    try:
        action(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, f"{code} expected: {error}"
        assert error.response["Error"]["Message"], "no message"
    else:
        raise AssertionError(f"{code} expected, but it went well: {parameters}")


def until(what, ask):
    deadline = time.monotonic() + 60
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what}: not in time"
        time.sleep(0.05)
    return answer


def available(rds, kind, waiter, **name):
    rds.get_waiter(waiter).wait(**name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})
    if kind == "instance":
        return rds.describe_db_instances(**name)["DBInstances"][0]
    return rds.describe_db_snapshots(**name)["DBSnapshots"][0]


def instance(rds, name):
    return available(rds, "instance", "db_instance_available", DBInstanceIdentifier=name)


def snapshot(rds, name):
    return available(rds, "snapshot", "db_snapshot_available", DBSnapshotIdentifier=name)


def create():
    created = home.create_db_instance(
        DBInstanceIdentifier="Orders",
        Engine="postgres",
        EngineVersion="18",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="app",
        MasterUserPassword="correct-horse",
        DBName="shop",
        BackupRetentionPeriod=7,
        StorageEncrypted=True,
        VpcSecurityGroupIds=["sg-1", "sg-2"],
        DBSubnetGroupName="private",
        Tags=[{"Key": "tidemark:plan", "Value": "standard"}, {"Key": "empty", "Value": ""}],
        CopyTagsToSnapshot=True,
    )["DBInstance"]
    assert created["DBInstanceStatus"] == "creating" and "Endpoint" not in created, created
    refused("InvalidDBInstanceState", home.create_db_snapshot, DBInstanceIdentifier="orders", DBSnapshotIdentifier="s")
    refused(
        "DBInstanceAlreadyExists",
        home.create_db_instance,
        DBInstanceIdentifier="orders",
        Engine="postgres",
        DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20,
        MasterUsername="app",
        MasterUserPassword="correct-horse",
    )
    orders = instance(home, "orders")
    assert orders["Endpoint"]["Address"] == "127.0.0.1" and orders["Endpoint"]["Port"] > 0, orders
    assert [group["VpcSecurityGroupId"] for group in orders["VpcSecurityGroups"]] == ["sg-1", "sg-2"]
    assert orders["DBSubnetGroup"]["DBSubnetGroupName"] == "private"
    assert {"Key": "empty", "Value": ""} in orders["TagList"]
    assert orders["StorageEncrypted"] and orders["KmsKeyId"].startswith(f"arn:aws:kms:{HOME}:")
    return until("LatestRestorableTime", lambda: latest_restorable("orders"))


def latest_restorable(name):
    found = home.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"][0]
    return found if "LatestRestorableTime" in found else None


def snapshots(orders):
    taken = home.create_db_snapshot(
        DBInstanceIdentifier="orders", DBSnapshotIdentifier="first", Tags=[{"Key": "tier", "Value": "daily"}]
    )["DBSnapshot"]
    assert taken["Status"] == "creating" and "SnapshotCreateTime" not in taken, taken
    first = snapshot(home, "first")
    tags = {tag["Key"]: tag["Value"] for tag in first["TagList"]}
    assert tags == {"tidemark:plan": "standard", "empty": "", "tier": "daily"}, tags
    assert first["PercentProgress"] == 100 and first["OriginalSnapshotCreateTime"] == first["SnapshotCreateTime"]
    assert first["DbiResourceId"] == orders["DbiResourceId"]
    again = {"DBInstanceIdentifier": "orders", "DBSnapshotIdentifier": "first"}
    refused("DBSnapshotAlreadyExists", home.create_db_snapshot, **again)
    refused("InvalidParameterValue", home.create_db_snapshot, DBInstanceIdentifier="orders", DBSnapshotIdentifier="a--b")
    refused("DBInstanceNotFound", home.create_db_snapshot, DBInstanceIdentifier="none", DBSnapshotIdentifier="x")
    refused("DBSnapshotNotFound", home.describe_db_snapshots, DBSnapshotIdentifier="none")

    automated = home.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"]
    assert [one["DBSnapshotIdentifier"][:11] for one in automated] == ["rds:orders-"], automated
    refused("InvalidDBSnapshotState", home.delete_db_snapshot, DBSnapshotIdentifier=automated[0]["DBSnapshotIdentifier"])
    for name, value, count in [
        ("db-instance-id", orders["DBInstanceArn"], 2),
        ("db-instance-id", "orders", 2),
        ("db-snapshot-id", "first", 1),
        ("snapshot-type", "manual", 1),
        ("dbi-resource-id", orders["DbiResourceId"], 2),
        ("engine", "mysql", 0),
    ]:
        found = home.describe_db_snapshots(Filters=[{"Name": name, "Values": [value]}])["DBSnapshots"]
        assert len(found) == count, (name, value, found)
    refused("InvalidParameterValue", home.describe_db_snapshots, Filters=[{"Name": "no", "Values": ["x"]}])

    shared = home.modify_db_snapshot_attribute
    refused(
        "InvalidDBSnapshotState",
        shared,
        DBSnapshotIdentifier="first",
        AttributeName="restore",
        ValuesToAdd=["111111111111"],
    )
    return first


def copies(first):
    arn = first["DBSnapshotArn"]
    key = f"arn:aws:kms:{AWAY}:{ACCOUNT}:key/away"
    to = {"SourceDBSnapshotIdentifier": arn, "TargetDBSnapshotIdentifier": "copied"}
    refused("InvalidParameterValue", away.copy_db_snapshot, **to)
    wrong = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/home"
    refused("KMSKeyNotAccessibleFault", away.copy_db_snapshot, **to, KmsKeyId=wrong)
    refused("KMSKeyNotAccessibleFault", away.copy_db_snapshot, **to, KmsKeyId="disabled")
    away.copy_db_snapshot(**to, KmsKeyId=key, CopyTags=True, SourceRegion=HOME, Tags=[{"Key": "tier", "Value": "weekly"}])
    copied = snapshot(away, "copied")
    assert copied["SourceRegion"] == HOME and copied["SourceDBSnapshotIdentifier"] == arn, copied
    assert copied["KmsKeyId"] == key and copied["Encrypted"], copied
    assert copied["OriginalSnapshotCreateTime"] == first["SnapshotCreateTime"] < copied["SnapshotCreateTime"]
    assert {"Key": "tier", "Value": "weekly"} in copied["TagList"] and len(copied["TagList"]) == 3, copied
    missing = arn.replace(":first", ":missing")
    gone = {"SourceDBSnapshotIdentifier": missing, "TargetDBSnapshotIdentifier": "x"}
    refused("DBSnapshotNotFound", away.copy_db_snapshot, **gone, KmsKeyId=key)

    home_key = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/home"
    home.copy_db_snapshot(
        SourceDBSnapshotIdentifier="first", TargetDBSnapshotIdentifier="shareable", KmsKeyId=home_key
    )
    shareable = snapshot(home, "shareable")
    assert "SourceDBSnapshotIdentifier" not in shareable and shareable["TagList"] == [], shareable
    share = {"DBSnapshotIdentifier": "shareable", "AttributeName": "restore"}
    home.modify_db_snapshot_attribute(**share, ValuesToAdd=["111111111111", "222222222222"])
    home.modify_db_snapshot_attribute(**share, ValuesToRemove=["111111111111"])
    shown = home.describe_db_snapshot_attributes(DBSnapshotIdentifier="shareable")["DBSnapshotAttributesResult"]
    assert shown["DBSnapshotAttributes"] == [{"AttributeName": "restore", "AttributeValues": ["222222222222"]}], shown
    many = [f"{number:012}" for number in range(30)]
    refused("SharedSnapshotQuotaExceeded", home.modify_db_snapshot_attribute, **share, ValuesToAdd=many)


def tags(arn):
    home.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "ü +=:/"}])
    home.remove_tags_from_resource(ResourceName=arn, TagKeys=["a", "unknown"])
    listed = {tag["Key"]: tag["Value"] for tag in home.list_tags_for_resource(ResourceName=arn)["TagList"]}
    assert listed["b"] == "ü +=:/" and "a" not in listed, listed
    refused("DBSnapshotNotFound", home.list_tags_for_resource, ResourceName=arn + "x")
    refused("InvalidParameterValue", away.list_tags_for_resource, ResourceName=arn)
    refused("InvalidParameterValue", home.add_tags_to_resource, ResourceName=arn, Tags=[{"Key": "aws:x", "Value": "1"}])


def restores(orders):
    restored = home.restore_db_instance_from_db_snapshot(
        DBInstanceIdentifier="restored",
        DBSnapshotIdentifier="first",
        DBSubnetGroupName="staging",
        VpcSecurityGroupIds=["sg-3"],
        BackupRetentionPeriod=0,
        DeletionProtection=True,
        Tags=[{"Key": "tidemark:drill", "Value": "yes"}],
    )["DBInstance"]
    assert restored["DBInstanceStatus"] == "creating", restored
    exists = {"DBInstanceIdentifier": "restored", "DBSnapshotIdentifier": "first"}
    refused("DBInstanceAlreadyExists", home.restore_db_instance_from_db_snapshot, **exists)
    exists["DBSnapshotIdentifier"] = "none"
    refused("DBSnapshotNotFound", home.restore_db_instance_from_db_snapshot, **exists)

    recover = home.restore_db_instance_to_point_in_time
    names = {"SourceDBInstanceIdentifier": "orders", "TargetDBInstanceIdentifier": "recovered"}
    late = orders["LatestRestorableTime"] + datetime.timedelta(hours=1)
    refused("InvalidParameterValue", recover, **names, RestoreTime=late)
    refused("InvalidParameterCombination", recover, **names)
    refused("InvalidParameterCombination", recover, **names, RestoreTime=late, UseLatestRestorableTime=True)
    recover(**names, UseLatestRestorableTime=True, BackupRetentionPeriod=0)
    recovered, restored = instance(home, "recovered"), instance(home, "restored")
    assert restored["TagList"] == [{"Key": "tidemark:drill", "Value": "yes"}], restored
    assert recovered["TagList"] == [] and recovered["DBInstanceClass"] == orders["DBInstanceClass"], recovered
    assert recovered["DBSubnetGroup"]["DBSubnetGroupName"] == "default", recovered
    ports = {one["Endpoint"]["Port"] for one in (orders, recovered, restored)}
    assert len(ports) == 3, ports
    names = {"SourceDBInstanceIdentifier": "restored", "TargetDBInstanceIdentifier": "x"}
    refused("PointInTimeRestoreNotEnabled", recover, **names, UseLatestRestorableTime=True)

    refused("InvalidParameterCombination", home.delete_db_instance, DBInstanceIdentifier="recovered")
    skip = {"DBInstanceIdentifier": "restored", "SkipFinalSnapshot": True}
    refused("InvalidParameterCombination", home.delete_db_instance, **skip)
    home.modify_db_instance(DBInstanceIdentifier="restored", DeletionProtection=False)
    for name in ("restored", "recovered"):
        home.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    for name in ("restored", "recovered"):
        home.get_waiter("db_instance_deleted").wait(
            DBInstanceIdentifier=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
        )


def modifications():
    pending = home.modify_db_instance(DBInstanceIdentifier="orders", DBInstanceClass="db.m7g.large")["DBInstance"]
    assert pending["PendingModifiedValues"] == {"DBInstanceClass": "db.m7g.large"}, pending
    assert pending["DBInstanceClass"] == "db.t4g.micro" and pending["DBInstanceStatus"] == "available", pending
    modified = home.modify_db_instance(
        DBInstanceIdentifier="orders", BackupRetentionPeriod=14, AllocatedStorage=40, ApplyImmediately=True
    )["DBInstance"]
    assert modified["DBInstanceStatus"] == "modifying", modified
    orders = instance(home, "orders")
    assert (orders["DBInstanceClass"], orders["AllocatedStorage"], orders["BackupRetentionPeriod"]) == (
        "db.m7g.large",
        40,
        14,
    )
    refused("InvalidParameterValue", home.modify_db_instance, DBInstanceIdentifier="orders", BackupRetentionPeriod=36)
    refused("DBInstanceNotFound", home.modify_db_instance, DBInstanceIdentifier="none", BackupRetentionPeriod=1)


def automated_backups(orders):
    arn, key = orders["DBInstanceArn"], f"arn:aws:kms:{AWAY}:{ACCOUNT}:key/away"
    start, stop = away.start_db_instance_automated_backups_replication, away.stop_db_instance_automated_backups_replication
    refused("KMSKeyNotAccessibleFault", start, SourceDBInstanceArn=arn, KmsKeyId="none")
    refused("DBInstanceNotFound", start, SourceDBInstanceArn=arn + "x", KmsKeyId=key)
    started = start(SourceDBInstanceArn=arn, KmsKeyId=key, BackupRetentionPeriod=3)["DBInstanceAutomatedBackup"]
    assert started["Status"] == "pending" and started["Region"] == HOME, started
    replica = until("replication", replicating)
    assert replica["BackupRetentionPeriod"] == 3 and replica["KmsKeyId"] == key, replica
    shown = home.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]
    arns = [one["DBInstanceAutomatedBackupsArn"] for one in shown["DBInstanceAutomatedBackupsReplications"]]
    assert arns == [replica["DBInstanceAutomatedBackupsArn"]], arns
    away.restore_db_instance_to_point_in_time(
        SourceDBInstanceAutomatedBackupsArn=arns[0],
        TargetDBInstanceIdentifier="elsewhere",
        UseLatestRestorableTime=True,
        BackupRetentionPeriod=0,
    )
    instance(away, "elsewhere")
    delete = away.delete_db_instance_automated_backup
    refused("InvalidDBInstanceAutomatedBackupState", delete, DBInstanceAutomatedBackupsArn=arns[0])
    assert stop(SourceDBInstanceArn=arn)["DBInstanceAutomatedBackup"]["Status"] == "retained"
    refused("DBInstanceNotFound", stop, SourceDBInstanceArn=arn)
    delete(DBInstanceAutomatedBackupsArn=arns[0])
    refused("DBInstanceAutomatedBackupNotFound", delete, DBInstanceAutomatedBackupsArn=arns[0])
    own = home.describe_db_instance_automated_backups(Filters=[{"Name": "status", "Values": ["active"]}])
    own = own["DBInstanceAutomatedBackups"]
    assert [one["DBInstanceIdentifier"] for one in own] == ["orders"] and own[0]["RestoreWindow"]["EarliestTime"], own


def replicating():
    found = away.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
    return found[0] if found[0]["Status"] == "replicating" and "LatestTime" in found[0]["RestoreWindow"] else None


def the_end():
    ended = home.delete_db_instance(
        DBInstanceIdentifier="orders", FinalDBSnapshotIdentifier="last", DeleteAutomatedBackups=False
    )["DBInstance"]
    assert ended["DBInstanceStatus"] == "deleting", ended
    home.get_waiter("db_instance_deleted").wait(
        DBInstanceIdentifier="orders", WaiterConfig={"Delay": 0.1, "MaxAttempts": 600}
    )
    refused("DBInstanceNotFound", home.describe_db_instances, DBInstanceIdentifier="orders")
    snapshot(home, "last")
    retained = home.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]
    assert [one["Status"] for one in retained] == ["retained"], retained
    home.delete_db_instance_automated_backup(DbiResourceId=retained[0]["DbiResourceId"])
    assert home.describe_db_snapshots(SnapshotType="automated")["DBSnapshots"] == []
    for name in ("first", "shareable", "last"):
        home.delete_db_snapshot(DBSnapshotIdentifier=name)
    refused("DBSnapshotNotFound", home.delete_db_snapshot, DBSnapshotIdentifier="first")


def account():
    quotas = home.describe_account_attributes()["AccountQuotas"]
    named = {quota["AccountQuotaName"]: (quota["Used"], quota["Max"]) for quota in quotas}
    assert named["ManualSnapshots"] == (2, 100) and named["DBInstances"][0] == 1, named
    seen = home.describe_events(SourceType="db-snapshot", SourceIdentifier="first")["Events"]
    assert [event["Message"] for event in seen][:2] == ["Creating manual snapshot", "Manual snapshot created"], seen
    backup = home.describe_events(SourceType="db-instance", EventCategories=["backup"], Duration=10)["Events"]
    assert backup and all(event["SourceArn"] for event in backup), backup
    pages = home.get_paginator("describe_events").paginate(PaginationConfig={"PageSize": 20})
    assert len([event for page in pages for event in page["Events"]]) >= 15
    refused("InvalidParameterValue", home.describe_db_instances, MaxRecords=10)
    refused("InvalidAction", home.describe_db_clusters)


orders = create()
first = snapshots(orders)
copies(first)
tags(first["DBSnapshotArn"])
restores(orders)
modifications()
automated_backups(orders)
account()
the_end()
assert judge.seen == ACTIONS, judge.seen ^ ACTIONS
print(f"{len(judge.seen)} actions, {len(judge.errors)} kinds of errors")
