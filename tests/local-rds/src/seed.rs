//! Many simulated instances and snapshots at once, without requests, waiting or quotas.

use std::collections::{BTreeMap, BTreeSet};

use aws_query::identifier;
use jiff::Timestamp;

use crate::documents::DEFAULT_CA;
use crate::identifiers::{ARNS, INSTANCE, backup_id, resource_id};
use crate::plane::Plane;
use crate::state::{
    AutomatedBackup, BackupStatus, Data, Deferred, Instance, InstanceStatus, Region, Snapshot, SnapshotKind,
    SnapshotStatus, Store, Tags, Traits,
};

/// A simulated instance to be there, with snapshots.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The instance's identifier. One that exists is replaced.
    pub identifier: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was created: its restore window begins then.
    pub created: Timestamp,
    /// In GiB.
    pub allocated_storage_gib: u32,
    /// 0 for no automated backups.
    pub retention_days: u32,
    /// The ARN of a KMS key, for an encrypted one.
    pub key: Option<String>,
    /// Its snapshots.
    pub snapshots: Vec<SeedSnapshot>,
    /// Its automated backups in other Regions.
    pub replicas: Vec<SeedReplica>,
}

/// Simulated automated backups that are replicated to another Region. Their window stays as it is, unless
/// [`crate::LocalRds::set_archive_lag`] moves it.
#[derive(Clone, Debug)]
pub struct SeedReplica {
    /// Where they are replicated to.
    pub region: String,
    /// The earliest restorable time there.
    pub earliest: Timestamp,
    /// The latest.
    pub latest: Timestamp,
    /// At least 1.
    pub retention_days: u32,
    /// The ARN of a KMS key of that Region, for encrypted ones.
    pub key: Option<String>,
}

impl SeedReplica {
    /// Unencrypted, with a window and 7 days of retention.
    pub fn new(region: &str, earliest: Timestamp, latest: Timestamp) -> Self {
        Self { region: region.to_owned(), earliest, latest, retention_days: 7, key: None }
    }
}

/// A simulated snapshot to be there.
#[derive(Clone, Debug)]
pub struct SeedSnapshot {
    /// Its identifier; one of an automated snapshot begins with `rds:`.
    pub identifier: String,
    /// When it was taken.
    pub taken: Timestamp,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Seed {
    /// An instance of 100 GiB with 7 days of automated backups, without tags and snapshots.
    pub fn new(identifier: &str, created: Timestamp) -> Self {
        Self {
            identifier: identifier.to_owned(),
            tags: BTreeMap::new(),
            created,
            allocated_storage_gib: 100,
            retention_days: 7,
            key: None,
            snapshots: Vec::new(),
            replicas: Vec::new(),
        }
    }
}

/// Puts one into a Region. Returns what is to be put into others; nothing if its identifier is none.
pub(crate) fn plant(
    plane: &Plane,
    region: &mut Region,
    seed: Seed,
) -> Option<Vec<(String, AutomatedBackup)>> {
    let id = identifier("DBInstanceIdentifier", &seed.identifier, INSTANCE).ok()?;
    let traits = traits(&id, &region.name, &plane.clusters.install.version, &seed);
    for snapshot in seed.snapshots {
        let id = snapshot.identifier.to_ascii_lowercase();
        region.snapshots.insert(id.clone(), planted(plane, id, &traits, snapshot));
    }
    let own = AutomatedBackup {
        id: backup_id(),
        traits: traits.clone(),
        status: BackupStatus::Active,
        instance_arn: region.arn("db", &id),
        source_region: region.name.clone(),
        replica: false,
        replicas: Vec::new(),
        tags: Tags::new(),
        store: Store::Simulated { from: seed.created, until: None },
        lag: None,
    };
    let replicas: Vec<_> = seed.replicas.into_iter().map(|replica| replicated(&own, replica)).collect();
    if seed.retention_days > 0 {
        let arn = |(there, replica): &(String, AutomatedBackup)| {
            ARNS.text(there, &plane.account, "auto-backup", &replica.id)
        };
        let replicas = replicas.iter().map(arn).collect();
        region.backups.insert(own.id.clone(), AutomatedBackup { replicas, ..own });
    }
    let instance = Instance {
        status: InstanceStatus::Available,
        class: "db.t4g.micro".to_owned(),
        maintenance_window: "sun:05:00-sun:05:30".to_owned(),
        security_groups: vec!["sg-0d0c0ffee0d0c0ffe".to_owned()],
        parameter_group: "default.postgres18".to_owned(),
        subnet_group: "default".to_owned(),
        multi_az: false,
        public: false,
        ca: DEFAULT_CA.to_owned(),
        copy_tags: false,
        deletion_protection: false,
        tags: seed.tags,
        pending: Deferred::default(),
        address: Some(format!("{id}.simulated.{}.rds.amazonaws.com", region.name)),
        data: Data::Simulated,
        traits,
    };
    region.instances.insert(id, instance);
    Some(replicas)
}

fn replicated(source: &AutomatedBackup, seed: SeedReplica) -> (String, AutomatedBackup) {
    let traits = Traits { retention_days: seed.retention_days, key: seed.key, ..source.traits.clone() };
    let replica = AutomatedBackup {
        id: backup_id(),
        traits,
        status: BackupStatus::Replicating,
        replica: true,
        store: Store::Simulated { from: seed.earliest, until: Some(seed.latest) },
        ..source.clone()
    };
    (seed.region, replica)
}

fn traits(id: &str, region: &str, version: &str, seed: &Seed) -> Traits {
    Traits {
        instance: id.to_owned(),
        resource_id: resource_id(),
        engine: "postgres".to_owned(),
        engine_version: version.to_owned(),
        allocated_storage_gib: seed.allocated_storage_gib,
        storage_type: "gp3".to_owned(),
        iops: None,
        master_username: "postgres".to_owned(),
        database: None,
        zone: format!("{region}a"),
        port: 5432,
        option_group: "default:postgres-18".to_owned(),
        iam_authentication: false,
        created: Some(seed.created),
        key: seed.key.clone(),
        retention_days: seed.retention_days,
        backup_window: "03:00-03:30".to_owned(),
        simulated: true,
    }
}

fn planted(plane: &Plane, id: String, traits: &Traits, seed: SeedSnapshot) -> Snapshot {
    Snapshot {
        kind: if id.starts_with("rds:") { SnapshotKind::Automated } else { SnapshotKind::Manual },
        id,
        number: plane.number(),
        status: SnapshotStatus::Available,
        traits: traits.clone(),
        taken: Some(seed.taken),
        original: Some(seed.taken),
        source_arn: None,
        source_region: None,
        copy: false,
        tags: seed.tags,
        shared_with: BTreeSet::new(),
        data: None,
    }
}
