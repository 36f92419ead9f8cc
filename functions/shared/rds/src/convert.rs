//! From the SDK's types into ours.

use aws_sdk_rds::{primitives::DateTime, types};
use jiff::Timestamp;

use crate::{AutomatedBackup, Endpoint, Instance, PitrWindow, Snapshot, SnapshotKind, Tags};

pub(crate) fn timestamp(from: &DateTime) -> Option<Timestamp> {
    Timestamp::new(from.secs(), i32::try_from(from.subsec_nanos()).ok()?).ok()
}

pub(crate) fn tags(from: &[types::Tag]) -> Tags {
    from.iter().filter_map(|tag| Some((tag.key.clone()?, tag.value.clone().unwrap_or_default()))).collect()
}

pub(crate) fn sdk_tags(from: &Tags) -> Vec<types::Tag> {
    from.iter().map(|(key, value)| types::Tag::builder().key(key).value(value).build()).collect()
}

pub(crate) fn instance(from: types::DbInstance) -> Instance {
    let endpoint = from.endpoint.and_then(|endpoint| {
        Some(Endpoint { host: endpoint.address?, port: u16::try_from(endpoint.port?).ok()? })
    });
    Instance {
        id: from.db_instance_identifier.unwrap_or_default(),
        arn: from.db_instance_arn.unwrap_or_default(),
        incarnation: from.dbi_resource_id.unwrap_or_default(),
        status: from.db_instance_status.unwrap_or_default(),
        engine: from.engine.unwrap_or_default(),
        class: from.db_instance_class.unwrap_or_default(),
        allocated_gib: from.allocated_storage.unwrap_or_default(),
        latest_restorable: from.latest_restorable_time.as_ref().and_then(timestamp),
        retention_days: from.backup_retention_period.unwrap_or_default(),
        endpoint,
        subnet_group: from.db_subnet_group.and_then(|group| group.db_subnet_group_name),
        security_groups: from
            .vpc_security_groups
            .unwrap_or_default()
            .into_iter()
            .filter_map(|group| group.vpc_security_group_id)
            .collect(),
        parameter_group: from
            .db_parameter_groups
            .unwrap_or_default()
            .into_iter()
            .find_map(|group| group.db_parameter_group_name),
        option_group: from
            .option_group_memberships
            .unwrap_or_default()
            .into_iter()
            .find_map(|group| group.option_group_name),
        multi_az: from.multi_az.unwrap_or_default(),
        database: from.db_name,
        encrypted: from.storage_encrypted.unwrap_or_default(),
        kms_key: from.kms_key_id,
        deletion_protection: from.deletion_protection.unwrap_or_default(),
        // Of a replica of an Aurora cluster the other field is filled.
        replica_of: from
            .read_replica_source_db_instance_identifier
            .or(from.read_replica_source_db_cluster_identifier),
        tags: tags(&from.tag_list.unwrap_or_default()),
    }
}

pub(crate) fn snapshot(from: types::DbSnapshot) -> Snapshot {
    Snapshot {
        id: from.db_snapshot_identifier.unwrap_or_default(),
        arn: from.db_snapshot_arn.unwrap_or_default(),
        instance: from.db_instance_identifier.unwrap_or_default(),
        incarnation: from.dbi_resource_id.unwrap_or_default(),
        kind: match from.snapshot_type.as_deref() {
            Some("manual") => SnapshotKind::Manual,
            Some("automated") => SnapshotKind::Automated,
            _ => SnapshotKind::Other,
        },
        status: from.status.unwrap_or_default(),
        percent: from.percent_progress.unwrap_or_default(),
        allocated_gib: from.allocated_storage.unwrap_or_default(),
        created: from.snapshot_create_time.as_ref().and_then(timestamp),
        encrypted: from.encrypted.unwrap_or_default(),
        kms_key: from.kms_key_id,
        copied_from: from.source_db_snapshot_identifier,
        tags: tags(&from.tag_list.unwrap_or_default()),
    }
}

pub(crate) fn automated_backup(from: types::DbInstanceAutomatedBackup) -> AutomatedBackup {
    let window = from.restore_window.and_then(|window| {
        Some(PitrWindow {
            earliest: timestamp(&window.earliest_time?)?,
            latest: timestamp(&window.latest_time?)?,
        })
    });
    AutomatedBackup {
        arn: from.db_instance_automated_backups_arn.unwrap_or_default(),
        instance: from.db_instance_identifier.unwrap_or_default(),
        incarnation: from.dbi_resource_id.unwrap_or_default(),
        status: from.status.unwrap_or_default(),
        source_region: from.region.unwrap_or_default(),
        window,
    }
}
