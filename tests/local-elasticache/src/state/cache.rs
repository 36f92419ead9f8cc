//! A cache: a replication group, a cache cluster of its own, or a serverless cache.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Form, Tags};
use crate::valkey::{Fleet, SLOTS, Slots};

/// The three that ElastiCache has; each has names of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A replication group, cluster mode enabled or not.
    Group,
    /// A cache cluster that is in no replication group: one node.
    Cluster,
    Serverless,
}

impl Kind {
    /// As ARNs have it.
    pub(crate) fn arn(self) -> &'static str {
        match self {
            Self::Group => "replicationgroup",
            Self::Cluster => "cluster",
            Self::Serverless => "serverlesscache",
        }
    }

    /// What its snapshots are.
    pub(crate) fn form(self) -> Form {
        match self {
            Self::Group | Self::Cluster => Form::Node,
            Self::Serverless => Form::Serverless,
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CacheStatus {
    Creating,
    Available,
    Modifying,
    Snapshotting,
    Deleting,
    Failed,
    IncompatibleNetwork,
    RebootingNodes,
}

impl CacheStatus {
    const ALL: [Self; 8] = [
        Self::Creating,
        Self::Available,
        Self::Modifying,
        Self::Snapshotting,
        Self::Deleting,
        Self::Failed,
        Self::IncompatibleNetwork,
        Self::RebootingNodes,
    ];

    /// As the API writes it.
    pub(crate) fn text(self, kind: Kind) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Available => "available",
            Self::Modifying => "modifying",
            Self::Snapshotting => "snapshotting",
            Self::Deleting => "deleting",
            Self::Failed if kind == Kind::Cluster => "restore-failed",
            Self::Failed => "create-failed",
            Self::IncompatibleNetwork => "incompatible-network",
            Self::RebootingNodes => "rebooting cluster nodes",
        }
    }

    pub(crate) fn named(text: &str, kind: Kind) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.text(kind) == text)
    }
}

/// A shard, which the API calls a node group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    /// `0001` and up.
    pub(crate) id: String,
    /// What it holds of the keys; all of them without cluster mode.
    pub(crate) slots: Slots,
}

/// As many shards, which share the slots evenly.
pub(crate) fn shards(count: usize) -> Vec<Shard> {
    let bound = |shard: usize| shard * usize::from(SLOTS) / count.max(1);
    let slot = |at: usize| u16::try_from(at).unwrap_or(SLOTS);
    (0..count)
        .map(|shard| Shard {
            id: format!("{:04}", shard + 1),
            slots: Slots { first: slot(bound(shard)), last: slot(bound(shard + 1) - 1) },
        })
        .collect()
}

/// What a cache and its snapshots have in common; a snapshot keeps what was true when it was taken.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are the API's own")]
pub(crate) struct Traits {
    /// The name of the cache.
    pub(crate) cache: String,
    pub(crate) kind: Kind,
    pub(crate) description: String,
    /// `valkey` or `redis`.
    pub(crate) engine: String,
    pub(crate) engine_version: String,
    pub(crate) node_type: String,
    pub(crate) cluster_mode: bool,
    pub(crate) shards: Vec<Shard>,
    /// Of each shard. They are told of and have no server.
    pub(crate) replicas: u32,
    pub(crate) automatic_failover: bool,
    pub(crate) data_tiering: bool,
    pub(crate) parameter_group: String,
    pub(crate) subnet_group: String,
    /// What was asked for; servers here have ports of their own.
    pub(crate) port: u16,
    pub(crate) zone: String,
    pub(crate) retention_days: u32,
    /// `HH:MM-HH:MM`, UTC.
    pub(crate) snapshot_window: String,
    pub(crate) maintenance_window: String,
    pub(crate) auto_minor_version_upgrade: bool,
    /// When the cache became available first.
    pub(crate) created: Option<Timestamp>,
    /// There is no server and there are no bytes.
    pub(crate) simulated: bool,
}

impl Traits {
    pub(crate) fn nodes(&self) -> usize {
        self.shards.len() * (1 + self.replicas as usize)
    }

    /// The cache clusters of a shard: the primary, then replicas.
    pub(crate) fn members(&self, shard: &Shard) -> Vec<String> {
        let number = |node: u32| format!("{node:03}");
        (1..=1 + self.replicas)
            .map(|node| match (self.kind, self.cluster_mode) {
                (Kind::Group, true) => format!("{}-{}-{}", self.cache, shard.id, number(node)),
                (Kind::Group, false) => format!("{}-{}", self.cache, number(node)),
                _ => self.cache.clone(),
            })
            .collect()
    }

    /// The first part of `9.1.2`.
    pub(crate) fn major(&self) -> &str {
        self.engine_version.split('.').next().unwrap_or_default()
    }
}

/// What only a running cache has.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) security_groups: Vec<String>,
    pub(crate) subnets: Vec<String>,
    pub(crate) multi_az: bool,
    pub(crate) at_rest_encryption: bool,
    /// The ARN of the KMS key, if a customer's own.
    pub(crate) key: Option<String>,
    /// Told, not done: the servers have no TLS.
    pub(crate) transit_encryption: bool,
    pub(crate) transit_mode: String,
    pub(crate) auth_token: Option<String>,
    /// Of a serverless cache, in GB.
    pub(crate) storage_limit_gb: Option<u32>,
}

/// What is behind a cache.
#[derive(Clone)]
pub(crate) enum Data {
    /// Nothing yet, or nothing any more.
    None,
    Simulated,
    Real(Arc<Fleet>),
}

/// A cache.
#[derive(Clone)]
pub(crate) struct Cache {
    /// Tells it from a later one with the same name.
    pub(crate) number: u64,
    pub(crate) status: CacheStatus,
    pub(crate) traits: Traits,
    pub(crate) settings: Settings,
    pub(crate) tags: Tags,
    /// When manual snapshots were asked for, for the quota.
    pub(crate) snapshots_asked: Vec<Timestamp>,
    pub(crate) data: Data,
}
