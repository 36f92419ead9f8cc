//! How long each transition takes at least.

use std::time::Duration;

/// The least time that each transition takes, however quick the real work is.
///
/// A thing changes state when its real work is done *and* this time has passed, so a scenario sees
/// the states in between, and a slow machine is never hurried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// A new, empty cache: `creating` to `available`.
    pub create: Duration,
    /// A snapshot: `creating` to `available`.
    pub snapshot: Duration,
    /// `CopySnapshot` within ElastiCache.
    pub copy: Duration,
    /// Until an export's objects are in the bucket.
    pub export: Duration,
    /// A new cache from a snapshot or from S3.
    pub restore: Duration,
    /// Deletion of a cache, final snapshot not counted, or of a snapshot.
    pub delete: Duration,
}

impl Speed {
    /// No time but the work's own. For tests.
    pub const fn instant() -> Self {
        Self::every(Duration::ZERO)
    }

    /// A second or two each. For a person who watches.
    pub const fn demo() -> Self {
        let mut speed = Self::every(Duration::from_secs(1));
        speed.export = Duration::from_secs(2);
        speed.restore = Duration::from_secs(2);
        speed
    }

    /// What a small cache takes on AWS.
    pub const fn aws_like() -> Self {
        Self {
            create: Duration::from_mins(6),
            snapshot: Duration::from_mins(3),
            copy: Duration::from_mins(2),
            export: Duration::from_mins(3),
            restore: Duration::from_mins(8),
            delete: Duration::from_mins(3),
        }
    }

    const fn every(transition: Duration) -> Self {
        Self {
            create: transition,
            snapshot: transition,
            copy: transition,
            export: transition,
            restore: transition,
            delete: transition,
        }
    }
}
