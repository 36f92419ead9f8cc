//! A DB instance.

use std::sync::Arc;

use super::{Tags, Traits};
use crate::postgres::{Archiver, Cluster};

/// What a DB instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InstanceStatus {
    Creating,
    BackingUp,
    Available,
    Modifying,
    Renaming,
    ResettingMasterCredentials,
    Deleting,
    Failed,
    /// One of [`TOLD`], decided from outside.
    Told(&'static str),
}

/// The statuses that nothing here leads to (RDS User Guide, "Viewing Amazon RDS DB instance status").
const TOLD: [&str; 24] = [
    "configuring-enhanced-monitoring",
    "configuring-iam-database-auth",
    "configuring-log-exports",
    "converting-to-vpc",
    "delete-precheck",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "incompatible-create",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
    "maintenance",
    "moving-to-vpc",
    "rebooting",
    "restore-error",
    "starting",
    "stopped",
    "stopping",
    "storage-config-upgrade",
    "storage-full",
    "storage-optimization",
    "upgrading",
];

impl InstanceStatus {
    /// The one that the API writes like this.
    pub(crate) fn named(text: &str) -> Option<Self> {
        let own = [
            Self::Creating,
            Self::BackingUp,
            Self::Available,
            Self::Modifying,
            Self::Renaming,
            Self::ResettingMasterCredentials,
            Self::Deleting,
            Self::Failed,
        ];
        let told = || TOLD.iter().find(|told| **told == text).map(|told| Self::Told(told));
        own.into_iter().find(|status| status.text() == text).or_else(told)
    }

    /// Whether snapshots can be taken (`CreateDBSnapshot`, API reference: `InvalidDBInstanceState`).
    pub(crate) fn allows_snapshots(self) -> bool {
        matches!(self, Self::Available | Self::Told("storage-optimization"))
    }

    /// As the API writes it.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Told(text) => text,
            Self::Creating => "creating",
            Self::BackingUp => "backing-up",
            Self::Available => "available",
            Self::Modifying => "modifying",
            Self::Renaming => "renaming",
            Self::ResettingMasterCredentials => "resetting-master-credentials",
            Self::Deleting => "deleting",
            Self::Failed => "failed",
        }
    }
}

/// What is behind an instance.
#[derive(Clone)]
pub(crate) enum Data {
    /// Nothing yet, or nothing any more.
    None,
    /// Nothing ever: an instance for show.
    Simulated,
    /// A server.
    Real {
        cluster: Arc<Cluster>,
        /// While automated backups are on.
        archiver: Option<Arc<Archiver>>,
    },
}

impl Data {
    pub(crate) fn cluster(&self) -> Option<Arc<Cluster>> {
        match self {
            Self::Real { cluster, .. } => Some(Arc::clone(cluster)),
            Self::None | Self::Simulated => None,
        }
    }

    pub(crate) fn archiver(&self) -> Option<Arc<Archiver>> {
        match self {
            Self::Real { archiver, .. } => archiver.clone(),
            Self::None | Self::Simulated => None,
        }
    }
}

/// Changes that wait for the maintenance window, or for `ApplyImmediately`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deferred {
    pub(crate) class: Option<String>,
    pub(crate) allocated_storage_gib: Option<u32>,
    pub(crate) storage_type: Option<String>,
    pub(crate) iops: Option<u32>,
    pub(crate) multi_az: Option<bool>,
    pub(crate) retention_days: Option<u32>,
    pub(crate) identifier: Option<String>,
    pub(crate) engine_version: Option<String>,
}

impl Deferred {
    /// Later changes win.
    pub(crate) fn merge(&mut self, later: Self) {
        self.class = later.class.or(self.class.take());
        self.allocated_storage_gib = later.allocated_storage_gib.or(self.allocated_storage_gib);
        self.storage_type = later.storage_type.or(self.storage_type.take());
        self.iops = later.iops.or(self.iops);
        self.multi_az = later.multi_az.or(self.multi_az);
        self.retention_days = later.retention_days.or(self.retention_days);
        self.identifier = later.identifier.or(self.identifier.take());
        self.engine_version = later.engine_version.or(self.engine_version.take());
    }
}

/// A DB instance.
#[expect(clippy::struct_excessive_bools, reason = "RDS has these switches, each independent of the others")]
pub(crate) struct Instance {
    pub(crate) traits: Traits,
    pub(crate) status: InstanceStatus,
    pub(crate) class: String,
    pub(crate) maintenance_window: String,
    pub(crate) security_groups: Vec<String>,
    pub(crate) parameter_group: String,
    pub(crate) subnet_group: String,
    pub(crate) multi_az: bool,
    pub(crate) public: bool,
    pub(crate) ca: String,
    pub(crate) copy_tags: bool,
    pub(crate) deletion_protection: bool,
    pub(crate) tags: Tags,
    pub(crate) pending: Deferred,
    /// Where clients connect, once they can.
    pub(crate) address: Option<String>,
    pub(crate) data: Data,
}

impl Instance {
    /// The tags that its snapshots get.
    pub(crate) fn snapshot_tags(&self) -> Tags {
        if self.copy_tags { self.tags.clone() } else { Tags::new() }
    }
}
