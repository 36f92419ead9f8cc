use std::{collections::BTreeMap, fmt};

use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::server::Server;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// What AWS calls a cache, of which there are three sorts with calls of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheKind {
    /// Nodes with replicas, in one shard or several.
    ReplicationGroup,
    /// A single node that belongs to no replication group; memcached is always this.
    Cluster,
    /// A serverless cache.
    Serverless,
}

impl CacheKind {
    /// The word for it in messages and manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReplicationGroup => "replication-group",
            Self::Cluster => "cluster",
            Self::Serverless => "serverless",
        }
    }

    /// How many manual snapshots ElastiCache takes of one in 24 hours (ElastiCache User Guide, "Quotas"): of a node, and so
    /// of each shard; of a serverless cache.
    pub const fn snapshots_a_day(self) -> usize {
        match self {
            Self::ReplicationGroup | Self::Cluster => 20,
            Self::Serverless => 24,
        }
    }
}

impl fmt::Display for CacheKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A cache, as far as backups and restores need to know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Its name; ElastiCache stores names in lower case.
    pub name: String,
    /// Which sort.
    pub kind: CacheKind,
    /// Its ARN.
    pub arn: String,
    /// The instant at which it was made: unlike the name no two have the same. The ARN where ElastiCache tells none.
    pub incarnation: String,
    /// `available`, `creating`, `modifying`, `snapshotting`, …, in lower case.
    pub status: String,
    /// Where clients connect, once it is there: of one shard its primary, of several whichever knows the others.
    pub endpoint: Option<Server>,
    /// Everything that a restore makes it anew with.
    pub settings: Settings,
    /// Its tags.
    pub tags: Tags,
}

impl Cache {
    /// What a recovery point's manifest keeps of it.
    pub fn source(&self) -> Source {
        Source {
            kind: self.kind,
            name: self.name.clone(),
            arn: self.arn.clone(),
            settings: self.settings.clone(),
        }
    }
}

/// What a recovery point's manifest says of the cache that it was made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Which sort.
    pub kind: CacheKind,
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Everything that a restore makes it anew with.
    #[serde(flatten)]
    pub settings: Settings,
}

impl Source {
    /// As it stands in a manifest.
    pub fn to_map(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    /// Reads what [`Source::to_map`] wrote. What a later version added is ignored, what an earlier one left out is as it
    /// is by default.
    pub fn from_map(map: &Map<String, Value>) -> Result<Self> {
        serde_json::from_value(Value::Object(map.clone())).map_err(|error| {
            Error::permanent(
                "ManifestUnreadable",
                format!("the manifest's source is no ElastiCache cache that this version reads: {error}"),
            )
        })
    }
}

/// What a cache is made with. What its sort does not have is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "they are ElastiCache's own, and each stands for itself")]
pub struct Settings {
    /// `redis`, `valkey` or `memcached`.
    pub engine: String,
    /// `7.1.0`; of a serverless cache the major version alone.
    pub engine_version: Option<String>,
    /// What people wrote of it.
    pub description: Option<String>,
    /// The shards (ElastiCache: node groups); of a serverless cache ElastiCache tells none.
    pub shards: Vec<Shard>,
    /// Whether clients see the shards.
    pub cluster_mode: ClusterMode,
    /// Replicas of each shard, the primary not counted.
    pub replicas: u32,
    /// `cache.r7g.large`, …
    pub node_type: Option<String>,
    /// Whether part of the data is on disks: then it cannot be exported.
    pub data_tiering: bool,
    /// Valkey's `durability`: `sync`, `async`, `disabled` or `default`.
    pub durability: Option<String>,
    /// Name of the cache subnet group.
    pub subnet_group: Option<String>,
    /// The subnets of a serverless cache.
    pub subnets: Vec<String>,
    /// Ids of the VPC security groups.
    pub security_groups: Vec<String>,
    /// Name of the cache parameter group.
    pub parameter_group: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Whether connections are encrypted.
    pub in_transit_encryption: bool,
    /// `required` or `preferred`.
    pub in_transit_mode: Option<String>,
    /// Whether it is encrypted at rest.
    pub at_rest_encryption: bool,
    /// With which key (ARN), if not the service's own.
    pub kms_key: Option<String>,
    /// Whether clients need a password (an AUTH token), which nobody can read back.
    pub auth_token: bool,
    /// Ids of the user groups (RBAC).
    pub user_groups: Vec<String>,
    /// Whether a replica takes over by itself.
    pub automatic_failover: bool,
    /// Whether the nodes are in several Availability Zones.
    pub multi_az: bool,
    /// `ipv4`, `ipv6` or `dual_stack`.
    pub network_type: Option<String>,
    /// `ipv4` or `ipv6`.
    pub ip_discovery: Option<String>,
    /// The limits of a serverless cache.
    pub limits: Option<UsageLimits>,
}

impl Settings {
    /// Whether clients must say who they are: by a password for all, or as users.
    #[must_use]
    pub const fn needs_credentials(&self) -> bool {
        self.auth_token || !self.user_groups.is_empty()
    }
}

/// Whether clients see the shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterMode {
    /// One shard, any client.
    #[default]
    Disabled,
    /// On the way from one to the other: both sorts of clients.
    Compatible,
    /// Cluster clients.
    Enabled,
}

/// A shard (ElastiCache: node group).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// `0001`, …
    pub id: String,
    /// Its slots, `0-8191`; a restore from S3 needs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<String>,
}

/// The limits of a serverless cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UsageLimits {
    /// Least data storage in GB that is paid for.
    pub least_gb: Option<i32>,
    /// Most data storage in GB.
    pub most_gb: Option<i32>,
    /// Least ECPUs per second that are paid for.
    pub least_ecpu_per_second: Option<i32>,
    /// Most ECPUs per second.
    pub most_ecpu_per_second: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_survives_its_manifest() {
        let settings = Settings {
            engine: "valkey".to_owned(),
            shards: vec![Shard { id: "0001".to_owned(), slots: Some("0-16383".to_owned()) }],
            cluster_mode: ClusterMode::Enabled,
            limits: Some(UsageLimits { most_gb: Some(10), ..UsageLimits::default() }),
            ..Settings::default()
        };
        let source = Source { kind: CacheKind::Serverless, name: "a".into(), arn: "arn:a".into(), settings };
        assert_eq!(Source::from_map(&source.to_map()).unwrap(), source);
    }

    #[test]
    fn what_another_version_wrote_is_read() {
        let map = r#"{"kind": "cluster", "name": "a", "arn": "arn:a", "engine": "redis", "colour": "red"}"#;
        let source = Source::from_map(&serde_json::from_str(map).unwrap()).unwrap();
        assert_eq!((source.kind, source.settings.engine.as_str()), (CacheKind::Cluster, "redis"));
        let error = Source::from_map(&Map::new()).unwrap_err();
        assert_eq!(error.code(), "ManifestUnreadable");
    }
}
