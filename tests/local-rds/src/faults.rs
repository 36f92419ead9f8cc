//! The errors of the RDS API, with AWS's own codes and statuses (botocore's model of RDS 2014-10-31).

aws_query::faults! {
    backup_not_found = 404 "DBInstanceAutomatedBackupNotFound";
    backup_quota = 400 "DBInstanceAutomatedBackupQuotaExceeded";
    backup_state = 400 "InvalidDBInstanceAutomatedBackupState";
    instance_exists = 400 "DBInstanceAlreadyExists";
    instance_not_found = 404 "DBInstanceNotFound";
    instance_quota = 400 "InstanceQuotaExceeded";
    instance_state = 400 "InvalidDBInstanceState";
    key_not_accessible = 400 "KMSKeyNotAccessibleFault";
    restore_not_enabled = 400 "PointInTimeRestoreNotEnabled";
    sharing_quota = 400 "SharedSnapshotQuotaExceeded";
    snapshot_exists = 400 "DBSnapshotAlreadyExists";
    snapshot_not_found = 404 "DBSnapshotNotFound";
    snapshot_quota = 400 "SnapshotQuotaExceeded";
    snapshot_state = 400 "InvalidDBSnapshotState";
}
