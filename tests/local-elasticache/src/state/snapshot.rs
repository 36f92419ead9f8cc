//! A snapshot.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Tags, Traits};
use crate::valkey::Dumps;

/// The two kinds; each has names and calls of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// Of a replication group or cache cluster.
    Node,
    Serverless,
}

impl Form {
    /// As ARNs have it.
    pub(crate) fn arn(self) -> &'static str {
        match self {
            Self::Node => "snapshot",
            Self::Serverless => "serverlesscachesnapshot",
        }
    }
}

/// Who took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotSource {
    Manual,
    Automated,
}

impl SnapshotSource {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Automated => "automated",
        }
    }
}

/// How far it is, or what goes on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotStatus {
    Creating,
    Available,
    Copying,
    Exporting,
    Restoring,
    Deleting,
    Failed,
}

impl SnapshotStatus {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Available => "available",
            Self::Copying => "copying",
            Self::Exporting => "exporting",
            Self::Restoring => "restoring",
            Self::Deleting => "deleting",
            Self::Failed => "failed",
        }
    }
}

/// A snapshot.
#[derive(Clone)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) form: Form,
    /// Tells it from a later one with the same name.
    pub(crate) number: u64,
    pub(crate) source: SnapshotSource,
    pub(crate) status: SnapshotStatus,
    pub(crate) traits: Traits,
    /// The instant that it shows. Not known right after the request.
    pub(crate) taken: Option<Timestamp>,
    /// The ARN of the KMS key, if a customer's own.
    pub(crate) key: Option<String>,
    pub(crate) tags: Tags,
    /// One file for each shard; nothing while it is made and for simulated data.
    pub(crate) data: Option<Arc<Dumps>>,
}

impl Snapshot {
    /// Of one shard, if it is known.
    pub(crate) fn size_bytes(&self, shard: usize) -> Option<u64> {
        self.data.as_ref().and_then(|data| data.files.get(shard)).map(|file| file.size_bytes)
    }
}
