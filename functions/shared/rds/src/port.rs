use std::{collections::BTreeMap, future::Future};

use domain::{RecoveryPointId, RecoveryPointState};
use jiff::Timestamp;
use reconcile::Result;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// A DB instance, as far as backups and restores need to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// DB instance identifier.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// `DbiResourceId`: unlike the identifier it is never given twice.
    pub incarnation: String,
    /// `available`, `creating`, `backing-up`, …
    pub status: String,
    /// `postgres`, `aurora-postgresql`, …
    pub engine: String,
    /// `db.t4g.medium`, …
    pub class: String,
    /// Allocated storage.
    pub allocated_gib: i32,
    /// Up to when a point-in-time restore reaches.
    pub latest_restorable: Option<Timestamp>,
    /// Automated-backup retention; 0 means that automated backups are off.
    pub retention_days: i32,
    /// Where clients connect, once it is there.
    pub endpoint: Option<Endpoint>,
    /// Name of the DB subnet group.
    pub subnet_group: Option<String>,
    /// Ids of the VPC security groups.
    pub security_groups: Vec<String>,
    /// Name of the DB parameter group.
    pub parameter_group: Option<String>,
    /// Name of the option group.
    pub option_group: Option<String>,
    /// Whether it has a standby.
    pub multi_az: bool,
    /// The name of the first database in it.
    pub database: Option<String>,
    /// Whether its storage is encrypted, and with it every snapshot.
    pub encrypted: bool,
    /// With which key (ARN).
    pub kms_key: Option<String>,
    /// Whether RDS refuses to delete it.
    pub deletion_protection: bool,
    /// For a read replica: what it is one of, an identifier, or from another Region an ARN.
    pub replica_of: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// Where a database listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// DNS name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Who made a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Someone asked for it; it lives until someone deletes it.
    Manual,
    /// RDS, as part of the automated backups; RDS deletes it.
    Automated,
    /// AWS Backup, or shared from another account.
    Other,
}

/// A DB snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Its identifier; automated ones begin with `rds:`.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The DB instance identifier it was taken of.
    pub instance: String,
    /// That instance's `DbiResourceId`.
    pub incarnation: String,
    /// Who made it.
    pub kind: SnapshotKind,
    /// `creating`, `copying`, `available`, `failed`, …
    pub status: String,
    /// How far it has come, 0 to 100.
    pub percent: i32,
    /// The instance's allocated storage when it was taken.
    pub allocated_gib: i32,
    /// When it was taken; a copy has its own.
    pub created: Option<Timestamp>,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// With which key (ARN).
    pub kms_key: Option<String>,
    /// For a copy: the ARN of what it is a copy of.
    pub copied_from: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

impl Snapshot {
    /// How far it has come, in our words.
    pub fn state(&self) -> RecoveryPointState {
        match self.status.as_str() {
            "available" => RecoveryPointState::Completed,
            // AWS: "failed", "incompatible-restore", "incompatible-parameters" and such never become available.
            status if status.starts_with("failed") || status.starts_with("incompatible") => {
                RecoveryPointState::Failed
            }
            _ => RecoveryPointState::Pending,
        }
    }
}

/// The automated backups of one instance, as they stand in one Region.
#[derive(Clone, Debug, PartialEq)]
pub struct AutomatedBackup {
    /// ARN of the automated backup.
    pub arn: String,
    /// The DB instance identifier.
    pub instance: String,
    /// Its `DbiResourceId`.
    pub incarnation: String,
    /// `active`, `retained` (the instance is gone), `replicating`.
    pub status: String,
    /// The Region of the source instance.
    pub source_region: String,
    /// What can be restored.
    pub window: Option<PitrWindow>,
}

/// Earliest to latest restorable time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PitrWindow {
    /// Earliest.
    pub earliest: Timestamp,
    /// Latest.
    pub latest: Timestamp,
}

/// How many manual snapshots there are and may be in the Region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Manual snapshots there are.
    pub used: i64,
    /// How many there may be.
    pub limit: i64,
}

/// A snapshot to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSnapshot {
    /// Of which instance.
    pub instance: String,
    /// Under which name.
    pub id: RecoveryPointId,
    /// With which tags.
    pub tags: Tags,
}

/// A copy to be made, into the Region it is asked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCopy {
    /// ARN of the source snapshot.
    pub source: String,
    /// Under which name.
    pub id: RecoveryPointId,
    /// Encrypted with this key of the target Region (ARN, id or alias ARN).
    pub kms_key: String,
    /// With which tags.
    pub tags: Tags,
}

/// An instance to be made from a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// From what.
    pub from: RestoreFrom,
    /// DB instance identifier of the new instance.
    pub instance: String,
    /// Instance class.
    pub class: Option<String>,
    /// DB subnet group.
    pub subnet_group: Option<String>,
    /// VPC security groups; empty means the VPC's default one.
    pub security_groups: Vec<String>,
    /// DB parameter group.
    pub parameter_group: Option<String>,
    /// Option group.
    pub option_group: Option<String>,
    /// Whether it gets a standby.
    pub multi_az: bool,
    /// Whether it gets a public address.
    pub publicly_accessible: bool,
    /// Its tags.
    pub tags: Tags,
}

/// What to restore from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreFrom {
    /// The snapshot of that identifier.
    Snapshot(String),
    /// The automated backups, up to an instant; `None` means the latest there is.
    Instant(PitrSource, Option<Timestamp>),
}

/// Whose automated backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PitrSource {
    /// Those of an instance of this Region, alive or gone, by `DbiResourceId`.
    Incarnation(String),
    /// Replicated from another Region, by ARN.
    AutomatedBackup(String),
}

/// One Region of an account's RDS.
///
/// Lists are complete: every page is read. Errors carry AWS's own codes.
pub trait Rds {
    /// Which Region.
    fn region(&self) -> &str;
    /// All DB instances, tags included (one call per 100).
    fn instances(&self) -> impl Future<Output = Result<Vec<Instance>>>;
    /// The instance of that identifier.
    fn instance(&self, id: &str) -> impl Future<Output = Result<Option<Instance>>>;
    /// All manual snapshots, tags included (one call per 100).
    fn manual_snapshots(&self) -> impl Future<Output = Result<Vec<Snapshot>>>;
    /// Shows each manual snapshot to `visit`, page by page, so that whoever keeps little of each holds little at a time
    /// (one call per 100).
    fn visit_manual_snapshots(&self, visit: impl FnMut(Snapshot)) -> impl Future<Output = Result<()>>;
    /// All snapshots, automated ones too, of the instance of that identifier.
    fn snapshots_of(&self, instance: &str) -> impl Future<Output = Result<Vec<Snapshot>>>;
    /// The snapshot of that identifier.
    fn snapshot(&self, id: &str) -> impl Future<Output = Result<Option<Snapshot>>>;
    /// All automated backups that this Region holds, of its own instances and replicated ones (one call per 100).
    fn automated_backups(&self) -> impl Future<Output = Result<Vec<AutomatedBackup>>>;
    /// The automated backups that this Region holds of the instance of that identifier.
    fn automated_backups_of(&self, instance: &str) -> impl Future<Output = Result<Vec<AutomatedBackup>>>;
    /// The manual-snapshot quota.
    fn quota(&self) -> impl Future<Output = Result<Quota>>;
    /// Takes a snapshot. `DBSnapshotAlreadyExists` if the name is taken.
    fn create_snapshot(&self, new: &NewSnapshot) -> impl Future<Output = Result<Snapshot>>;
    /// Copies a snapshot into this Region. `DBSnapshotAlreadyExists` if the name is taken.
    fn copy_snapshot(&self, new: &NewCopy) -> impl Future<Output = Result<Snapshot>>;
    /// Deletes a manual snapshot. One that is gone already is no error; one that is being made is `InvalidDBSnapshotState`. A copy
    /// of it that is under way is terminated (RDS API Reference, `DeleteDBSnapshot`).
    fn delete_snapshot(&self, id: &str) -> impl Future<Output = Result<()>>;
    /// Adds tags to the snapshot of that ARN, or replaces those of the same keys.
    fn tag_snapshot(&self, arn: &str, tags: &Tags) -> impl Future<Output = Result<()>>;
    /// Makes an instance from a backup. `DBInstanceAlreadyExists` if the name is taken.
    fn restore(&self, new: &Restore) -> impl Future<Output = Result<Instance>>;
}
