//! A DB snapshot.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::{Tags, Traits};
use crate::Speed;
use crate::postgres::Folder;

/// Who took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotKind {
    Manual,
    Automated,
}

impl SnapshotKind {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Automated => "automated",
        }
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotStatus {
    /// Since when.
    Creating(Instant),
    Available,
    Failed,
}

impl SnapshotStatus {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Creating(_) => "creating",
            Self::Available => "available",
            Self::Failed => "failed",
        }
    }
}

/// A DB snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) id: String,
    /// Tells it from a later one with the same identifier.
    pub(crate) number: u64,
    pub(crate) kind: SnapshotKind,
    pub(crate) status: SnapshotStatus,
    pub(crate) traits: Traits,
    /// The instant that it shows: all that was committed before is in it. Not known right after the request.
    pub(crate) taken: Option<Timestamp>,
    /// That of the first in a chain of copies.
    pub(crate) original: Option<Timestamp>,
    /// Of a copy from another Region: its ARN there.
    pub(crate) source_arn: Option<String>,
    pub(crate) source_region: Option<String>,
    /// It is a copy, whether from another Region or not.
    pub(crate) copy: bool,
    pub(crate) tags: Tags,
    /// Accounts that may restore it, or `all`.
    pub(crate) shared_with: BTreeSet<String>,
    /// The backup; nothing while it is made and for simulated data.
    pub(crate) data: Option<Arc<Folder>>,
}

impl Snapshot {
    pub(crate) fn creating(&self) -> bool {
        matches!(self.status, SnapshotStatus::Creating(_))
    }

    /// In percent, by the time that it takes at least; 100 only when it is available.
    pub(crate) fn progress(&self, speed: &Speed) -> u32 {
        let least = if self.copy { speed.copy } else { speed.snapshot };
        match self.status {
            SnapshotStatus::Available => 100,
            SnapshotStatus::Failed => 0,
            SnapshotStatus::Creating(since) => {
                let (passed, least) = (since.elapsed().as_millis(), least.as_millis());
                let percent = (passed * 100).checked_div(least).unwrap_or(0);
                u32::try_from(percent).unwrap_or(99).min(99)
            }
        }
    }
}
