//! What the control plane knows: Regions with instances, snapshots, automated backups and events.

mod backup;
mod instance;
mod region;
mod snapshot;

use jiff::Timestamp;

pub(crate) use aws_query::Tags;
pub(crate) use backup::{AutomatedBackup, BackupStatus, Store};
pub(crate) use instance::{Data, Deferred, Instance, InstanceStatus};
pub(crate) use region::Region;
pub(crate) use snapshot::{Snapshot, SnapshotKind, SnapshotStatus};

/// What an instance, its snapshots and its automated backups have in common; a snapshot keeps what was true when it
/// was taken.
#[derive(Clone, Debug)]
pub(crate) struct Traits {
    /// The identifier of the instance.
    pub(crate) instance: String,
    /// `db-…`: outlives a rename.
    pub(crate) resource_id: String,
    pub(crate) engine: String,
    pub(crate) engine_version: String,
    pub(crate) allocated_storage_gib: u32,
    pub(crate) storage_type: String,
    pub(crate) iops: Option<u32>,
    pub(crate) master_username: String,
    pub(crate) database: Option<String>,
    pub(crate) zone: String,
    pub(crate) port: u16,
    pub(crate) option_group: String,
    pub(crate) iam_authentication: bool,
    /// When the instance became available first.
    pub(crate) created: Option<Timestamp>,
    /// The ARN of the KMS key, if encrypted.
    pub(crate) key: Option<String>,
    pub(crate) retention_days: u32,
    /// `HH:MM-HH:MM`, UTC.
    pub(crate) backup_window: String,
    /// There is no server and there are no bytes.
    pub(crate) simulated: bool,
}

impl Traits {
    pub(crate) fn license(&self) -> &'static str {
        if self.engine == "postgres" { "postgresql-license" } else { "general-public-license" }
    }
}
