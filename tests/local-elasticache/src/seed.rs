//! Many simulated caches and snapshots at once, without requests, waiting or quotas.

use std::collections::BTreeMap;

use aws_query::identifier;
use jiff::Timestamp;

use crate::identifiers::{CLUSTER, GROUP};
use crate::plane::Plane;
use crate::state::{
    Cache, CacheStatus, Data, Kind, Region, Settings, Snapshot, SnapshotSource, SnapshotStatus, Traits,
    shards,
};

/// What a seeded cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedKind {
    /// A replication group with cluster mode disabled.
    ReplicationGroup,
    /// A replication group with cluster mode enabled and as many shards.
    ClusterMode {
        /// At least 1.
        shards: usize,
    },
    /// A cache cluster of one node.
    CacheCluster,
    /// A serverless cache.
    Serverless,
}

impl SeedKind {
    fn parts(self) -> (Kind, bool, usize) {
        match self {
            Self::ReplicationGroup => (Kind::Group, false, 1),
            Self::ClusterMode { shards } => (Kind::Group, true, shards.max(1)),
            Self::CacheCluster => (Kind::Cluster, false, 1),
            Self::Serverless => (Kind::Serverless, true, 1),
        }
    }
}

/// A simulated cache to be there, with snapshots.
#[derive(Clone, Debug)]
pub struct Seed {
    /// The cache's name. One that exists is replaced.
    pub identifier: String,
    /// What it is.
    pub kind: SeedKind,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created: Timestamp,
    /// Days that automatic snapshots are kept; 0 for none.
    pub retention_days: u32,
    /// The ARN of a KMS key, for one that is encrypted with a customer's own.
    pub key: Option<String>,
    /// Its snapshots.
    pub snapshots: Vec<SeedSnapshot>,
}

/// A simulated snapshot to be there.
#[derive(Clone, Debug)]
pub struct SeedSnapshot {
    /// Its name; one of an automatic snapshot begins with `automatic.`.
    pub name: String,
    /// When it was taken.
    pub taken: Timestamp,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Seed {
    /// A Valkey cache without tags, automatic snapshots and snapshots.
    pub fn new(identifier: &str, kind: SeedKind, created: Timestamp) -> Self {
        Self {
            identifier: identifier.to_owned(),
            kind,
            tags: BTreeMap::new(),
            created,
            retention_days: 0,
            key: None,
            snapshots: Vec::new(),
        }
    }
}

/// Puts one into a Region. Nothing if its identifier is none.
pub(crate) fn plant(plane: &Plane, region: &mut Region, seed: Seed) -> Option<()> {
    let longest = if seed.kind == SeedKind::CacheCluster { CLUSTER } else { GROUP };
    let name = identifier("identifier", &seed.identifier, longest).ok()?;
    let traits = traits(plane, region, &name, &seed);
    for snapshot in seed.snapshots {
        let name = snapshot.name.to_ascii_lowercase();
        let planted = planted(plane, name, &traits, seed.key.clone(), snapshot);
        region.snapshots.insert((planted.form, planted.name.clone()), planted);
    }
    let cache = Cache {
        number: plane.number(),
        status: CacheStatus::Available,
        settings: Settings {
            security_groups: vec!["sg-0d0c0ffee0d0c0ffe".to_owned()],
            subnets: vec!["subnet-0d0c0ffee0d0c0ffa".to_owned()],
            multi_az: false,
            at_rest_encryption: true,
            key: seed.key,
            transit_encryption: true,
            transit_mode: "required".to_owned(),
            auth_token: None,
            storage_limit_gb: None,
        },
        tags: seed.tags,
        snapshots_asked: Vec::new(),
        data: Data::Simulated,
        traits,
    };
    region.caches.insert((cache.traits.kind, name), cache);
    Some(())
}

fn traits(plane: &Plane, region: &Region, name: &str, seed: &Seed) -> Traits {
    let (kind, cluster_mode, count) = seed.kind.parts();
    let version = plane.install.version.clone();
    let major = version.split('.').next().unwrap_or_default();
    let mode = if cluster_mode { ".cluster.on" } else { "" };
    Traits {
        cache: name.to_owned(),
        kind,
        description: "seeded".to_owned(),
        engine: "valkey".to_owned(),
        node_type: "cache.t4g.micro".to_owned(),
        cluster_mode,
        shards: shards(count),
        replicas: 0,
        automatic_failover: cluster_mode,
        data_tiering: false,
        parameter_group: format!("default.valkey{major}{mode}"),
        engine_version: version,
        subnet_group: "default".to_owned(),
        port: 6379,
        zone: format!("{}a", region.name),
        retention_days: seed.retention_days,
        snapshot_window: "03:00-04:00".to_owned(),
        maintenance_window: "sun:05:00-sun:06:00".to_owned(),
        auto_minor_version_upgrade: true,
        created: Some(seed.created),
        simulated: true,
    }
}

fn planted(
    plane: &Plane,
    name: String,
    traits: &Traits,
    key: Option<String>,
    seed: SeedSnapshot,
) -> Snapshot {
    let automated = name.starts_with("automatic.");
    Snapshot {
        name,
        form: traits.kind.form(),
        number: plane.number(),
        source: if automated { SnapshotSource::Automated } else { SnapshotSource::Manual },
        status: SnapshotStatus::Available,
        traits: traits.clone(),
        taken: Some(seed.taken),
        key,
        tags: seed.tags,
        data: None,
    }
}
