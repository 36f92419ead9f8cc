//! Instances, snapshots and automated backups as the API shows them.

use aws_query::{Element, time};
use jiff::{TimestampRound, Unit};

use crate::Speed;
use crate::state::{AutomatedBackup, Deferred, Instance, Region, Snapshot};

/// The one network there is.
const VPC: &str = "vpc-0d0c0ffee0d0c0ffe";
/// The certificate authority that RDS uses unless told otherwise.
pub(crate) const DEFAULT_CA: &str = "rds-ca-rsa2048-g1";

/// A `DBInstance`.
pub(crate) fn instance(region: &Region, instance: &Instance) -> Element {
    let traits = &instance.traits;
    let backup = region.backups.values().find(|b| !b.replica && b.traits.resource_id == traits.resource_id);
    let latest = backup.and_then(|backup| backup.window(&region.clock)).and_then(|(earliest, latest)| {
        // Whole seconds, as on AWS; never one before the window.
        let whole =
            latest.round(TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Trunc)).ok()?;
        (whole >= earliest).then_some(whole)
    });
    let mut element = Element::new("DBInstance")
        .text("DBInstanceIdentifier", &traits.instance)
        .text("DBInstanceArn", region.arn("db", &traits.instance))
        .text("DbiResourceId", &traits.resource_id)
        .text("DBInstanceStatus", instance.status.text())
        .text("DBInstanceClass", &instance.class)
        .text("Engine", &traits.engine)
        .text("EngineVersion", &traits.engine_version)
        .text("EngineLifecycleSupport", "open-source-rds-extended-support")
        .text("LicenseModel", traits.license())
        .text("MasterUsername", &traits.master_username)
        .maybe("DBName", traits.database.as_ref())
        .text("AllocatedStorage", traits.allocated_storage_gib)
        .text("StorageType", &traits.storage_type)
        .maybe("Iops", traits.iops)
        .text("DbInstancePort", 0)
        .text("AvailabilityZone", &traits.zone)
        .text("MultiAZ", instance.multi_az)
        .text("PubliclyAccessible", instance.public)
        .text("BackupRetentionPeriod", traits.retention_days)
        .text("PreferredBackupWindow", &traits.backup_window)
        .text("PreferredMaintenanceWindow", &instance.maintenance_window)
        .text("BackupTarget", "region")
        .text("AutoMinorVersionUpgrade", true)
        .text("CopyTagsToSnapshot", instance.copy_tags)
        .text("DeletionProtection", instance.deletion_protection)
        .text("IAMDatabaseAuthenticationEnabled", traits.iam_authentication)
        .text("StorageEncrypted", traits.key.is_some())
        .maybe("KmsKeyId", traits.key.as_ref())
        .text("CACertificateIdentifier", &instance.ca)
        .with(Element::new("CertificateDetails").text("CAIdentifier", &instance.ca))
        .text("NetworkType", "IPV4")
        .text("MonitoringInterval", 0)
        .text("PerformanceInsightsEnabled", false)
        .text("CustomerOwnedIpEnabled", false)
        .text("ActivityStreamStatus", "stopped")
        .maybe("InstanceCreateTime", traits.created.map(time))
        .maybe("LatestRestorableTime", latest.map(time))
        .with(pending(&instance.pending))
        .with(subnet_group(region, instance))
        .list("DBSecurityGroups", [])
        .list("ReadReplicaDBInstanceIdentifiers", [])
        .list("DomainMemberships", [])
        .list("AssociatedRoles", []);
    if let Some(address) = &instance.address {
        let endpoint = Element::new("Endpoint").text("Address", address).text("Port", traits.port);
        element = element.with(endpoint.text("HostedZoneId", "Z2R2ITUGPM61AM"));
    }
    element = element
        .list(
            "VpcSecurityGroups",
            instance.security_groups.iter().map(|id| {
                Element::new("VpcSecurityGroupMembership")
                    .text("VpcSecurityGroupId", id)
                    .text("Status", "active")
            }),
        )
        .list(
            "DBParameterGroups",
            [Element::new("DBParameterGroup")
                .text("DBParameterGroupName", &instance.parameter_group)
                .text("ParameterApplyStatus", "in-sync")],
        )
        .list(
            "OptionGroupMemberships",
            [Element::new("OptionGroupMembership")
                .text("OptionGroupName", &traits.option_group)
                .text("Status", "in-sync")],
        )
        .list("DBInstanceAutomatedBackupsReplications", replications(backup));
    element.tags(&instance.tags)
}

fn pending(pending: &Deferred) -> Element {
    Element::new("PendingModifiedValues")
        .maybe("DBInstanceClass", pending.class.as_ref())
        .maybe("AllocatedStorage", pending.allocated_storage_gib)
        .maybe("StorageType", pending.storage_type.as_ref())
        .maybe("Iops", pending.iops)
        .maybe("MultiAZ", pending.multi_az)
        .maybe("BackupRetentionPeriod", pending.retention_days)
        .maybe("DBInstanceIdentifier", pending.identifier.as_ref())
        .maybe("EngineVersion", pending.engine_version.as_ref())
}

fn subnet_group(region: &Region, instance: &Instance) -> Element {
    let subnets = ["a", "b"].map(|zone| {
        Element::new("Subnet")
            .text("SubnetIdentifier", format!("subnet-0d0c0ffee0d0c0ff{zone}"))
            .with(Element::new("SubnetAvailabilityZone").text("Name", format!("{}{zone}", region.name)))
            .text("SubnetStatus", "Active")
    });
    Element::new("DBSubnetGroup")
        .text("DBSubnetGroupName", &instance.subnet_group)
        .text("DBSubnetGroupDescription", &instance.subnet_group)
        .text("DBSubnetGroupArn", region.arn("subgrp", &instance.subnet_group))
        .text("VpcId", VPC)
        .text("SubnetGroupStatus", "Complete")
        .list("Subnets", subnets)
}

fn replications(backup: Option<&AutomatedBackup>) -> Vec<Element> {
    let arns = backup.map(|backup| backup.replicas.as_slice()).unwrap_or_default();
    let replication = |arn| {
        Element::new("DBInstanceAutomatedBackupsReplication").text("DBInstanceAutomatedBackupsArn", arn)
    };
    arns.iter().map(replication).collect()
}

/// A `DBSnapshot`.
pub(crate) fn snapshot(region: &Region, snapshot: &Snapshot, speed: &Speed) -> Element {
    let traits = &snapshot.traits;
    let element = Element::new("DBSnapshot")
        .text("DBSnapshotIdentifier", &snapshot.id)
        .text("DBSnapshotArn", region.arn("snapshot", &snapshot.id))
        .text("DBInstanceIdentifier", &traits.instance)
        .text("DbiResourceId", &traits.resource_id)
        .text("SnapshotType", snapshot.kind.text())
        .text("Status", snapshot.status.text())
        .text("PercentProgress", snapshot.progress(speed))
        .maybe("SnapshotCreateTime", snapshot.taken.map(time))
        .maybe("OriginalSnapshotCreateTime", snapshot.original.map(time))
        .maybe("SnapshotDatabaseTime", snapshot.original.map(time))
        .text("Engine", &traits.engine)
        .text("EngineVersion", &traits.engine_version)
        .text("LicenseModel", traits.license())
        .text("MasterUsername", &traits.master_username)
        .text("AllocatedStorage", traits.allocated_storage_gib)
        .text("StorageType", &traits.storage_type)
        .maybe("Iops", traits.iops)
        .text("Port", traits.port)
        .text("AvailabilityZone", &traits.zone)
        .text("VpcId", VPC)
        .maybe("InstanceCreateTime", traits.created.map(time))
        .text("OptionGroupName", &traits.option_group)
        .text("Encrypted", traits.key.is_some())
        .maybe("KmsKeyId", traits.key.as_ref())
        .text("IAMDatabaseAuthenticationEnabled", traits.iam_authentication)
        .text("SnapshotTarget", "region")
        .maybe("SourceRegion", snapshot.source_region.as_ref())
        .maybe("SourceDBSnapshotIdentifier", snapshot.source_arn.as_ref())
        .list("ProcessorFeatures", []);
    element.tags(&snapshot.tags)
}

/// A `DBInstanceAutomatedBackup`.
pub(crate) fn backup(region: &Region, backup: &AutomatedBackup) -> Element {
    let traits = &backup.traits;
    let mut window = Element::new("RestoreWindow");
    if let Some((earliest, latest)) = backup.window(&region.clock) {
        window = window.text("EarliestTime", time(earliest)).text("LatestTime", time(latest));
    }
    let element = Element::new("DBInstanceAutomatedBackup")
        .text("DBInstanceAutomatedBackupsArn", region.arn("auto-backup", &backup.id))
        .text("DBInstanceArn", &backup.instance_arn)
        .text("DBInstanceIdentifier", &traits.instance)
        .text("DbiResourceId", &traits.resource_id)
        .text("Region", &backup.source_region)
        .text("Status", backup.status.text())
        .with(window)
        .text("Engine", &traits.engine)
        .text("EngineVersion", &traits.engine_version)
        .text("LicenseModel", traits.license())
        .text("MasterUsername", &traits.master_username)
        .text("AllocatedStorage", traits.allocated_storage_gib)
        .text("StorageType", &traits.storage_type)
        .maybe("Iops", traits.iops)
        .text("Port", traits.port)
        .text("AvailabilityZone", &traits.zone)
        .text("VpcId", VPC)
        .maybe("InstanceCreateTime", traits.created.map(time))
        .text("OptionGroupName", &traits.option_group)
        .text("Encrypted", traits.key.is_some())
        .maybe("KmsKeyId", traits.key.as_ref())
        .text("IAMDatabaseAuthenticationEnabled", traits.iam_authentication)
        .text("BackupRetentionPeriod", traits.retention_days)
        .text("PreferredBackupWindow", &traits.backup_window)
        .text("BackupTarget", "region")
        .list("DBInstanceAutomatedBackupsReplications", replications(Some(backup)));
    element.tags(&backup.tags)
}
