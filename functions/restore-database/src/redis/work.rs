use domain::RecoveryPointId;
use jiff::Timestamp;
use redis::{
    aof::{BaseScanner, IncrScanner},
    elasticache::{CacheKind, Settings, Tags},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault::{Intake, ReadBack, StoredObject};

use crate::points::Point;

/// How a restore is carried out, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// From which recovery point.
    pub(crate) chosen: Chosen,
    pub(crate) make: Make,
}

/// What is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Make {
    /// A cache.
    Cache(Box<NewCache>),
    /// An append-only directory, from which its owner starts a server.
    Directory(Box<Directory>),
}

/// The recovery point that a restore is from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Chosen {
    pub(crate) id: RecoveryPointId,
    pub(crate) taken_at: Timestamp,
    /// What the new one holds: the data as of then.
    pub(crate) as_of: Timestamp,
    /// The instant that was asked for, or at which "latest" was; `None` for a recovery point by name.
    pub(crate) wanted: Option<Timestamp>,
}

impl Chosen {
    pub(crate) fn new(point: &Point, as_of: Timestamp, wanted: Option<Timestamp>) -> Self {
        Self { id: point.manifest.id.clone(), taken_at: point.manifest.taken_at, as_of, wanted }
    }

    /// How many seconds before the instant that was asked for are not in it.
    pub(crate) fn missing_seconds(&self) -> Option<i64> {
        self.wanted.map(|wanted| wanted.duration_since(self.as_of).as_secs().max(0))
    }

    /// For answers and the ledger.
    pub(crate) fn detail(&self) -> [(&'static str, Value); 4] {
        [
            ("recovery_point", json!(self.id)),
            ("taken_at", json!(self.taken_at)),
            ("as_of", json!(self.as_of)),
            ("missing_seconds", json!(self.missing_seconds())),
        ]
    }
}

/// A cache that is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NewCache {
    pub(crate) kind: CacheKind,
    pub(crate) settings: Settings,
    pub(crate) tags: Tags,
    /// The secret with what its clients will need: the password for all, or a user's name and password.
    pub(crate) secret: Option<String>,
    pub(crate) from: Origin,
    /// When ElastiCache had taken the request on.
    pub(crate) accepted_at: Option<Timestamp>,
}

/// Where a new cache's data come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// A snapshot that ElastiCache still has.
    Snapshot { name: String, arn: String },
    /// RDB files, one for each shard, staged where ElastiCache can read them.
    Objects(Vec<Staged>),
}

/// An object of the vault, and where it is staged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Staged {
    pub(crate) from: String,
    pub(crate) etag: String,
    pub(crate) bytes: u64,
    pub(crate) to: String,
    /// The same as ElastiCache wants to be told.
    pub(crate) arn: String,
}

/// An append-only directory that is put together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Directory {
    /// Where the recovery point is in the vault.
    pub(crate) prefix: String,
    /// The files there.
    pub(crate) objects: Vec<StoredObject>,
    /// The last second whose commands it will hold; `None` where they carry no times: then all of them.
    pub(crate) target: Option<Timestamp>,
    /// What was read of the files so far.
    pub(crate) reading: Option<Box<Reading>>,
    /// The one file of which only the beginning is kept, on its way.
    pub(crate) cutting: Option<Box<Intake>>,
}

/// What was read so far: the base, then each increment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) base: BaseScanner,
    pub(crate) increments: Vec<IncrScanner>,
    /// The file that is being read.
    pub(crate) file: Option<ReadBack>,
    /// How many files were read to their end.
    pub(crate) files: usize,
}

impl PartialEq for Reading {
    /// How far it has come says what it holds: the files do not change.
    fn eq(&self, other: &Self) -> bool {
        (self.files, &self.file) == (other.files, &other.file)
    }
}
