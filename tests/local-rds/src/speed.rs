//! How long each transition takes at least.

use std::time::Duration;

/// The least time that each transition takes, however quick the real work is.
///
/// A thing changes state when its real work is done *and* this time has passed, so a scenario sees
/// the states in between, and a slow machine is never hurried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// `CreateDBInstance`: `creating` to `available`.
    pub create: Duration,
    /// `CreateDBSnapshot` and automated snapshots.
    pub snapshot: Duration,
    /// `CopyDBSnapshot`, in a Region or across.
    pub copy: Duration,
    /// `RestoreDBInstanceFromDBSnapshot` and `RestoreDBInstanceToPointInTime`.
    pub restore: Duration,
    /// `ModifyDBInstance`.
    pub modify: Duration,
    /// `DeleteDBInstance`, final snapshot not counted.
    pub delete: Duration,
    /// How often WAL is switched and archived: the most that `LatestRestorableTime` lags behind.
    pub archive: Duration,
}

impl Speed {
    /// No time but the work's own; WAL is archived every 200 ms. For tests.
    pub const fn instant() -> Self {
        Self::every(Duration::ZERO, Duration::from_millis(200))
    }

    /// A second or two each; WAL is archived every second. For a person who watches.
    pub const fn demo() -> Self {
        let mut speed = Self::every(Duration::from_secs(1), Duration::from_secs(1));
        speed.copy = Duration::from_secs(2);
        speed.restore = Duration::from_secs(2);
        speed
    }

    /// What a small instance takes on AWS; WAL is archived every five minutes.
    pub const fn aws_like() -> Self {
        Self {
            create: Duration::from_mins(5),
            snapshot: Duration::from_mins(2),
            copy: Duration::from_mins(5),
            restore: Duration::from_mins(7),
            modify: Duration::from_secs(30),
            delete: Duration::from_mins(2),
            archive: Duration::from_mins(5),
        }
    }

    const fn every(transition: Duration, archive: Duration) -> Self {
        Self {
            create: transition,
            snapshot: transition,
            copy: transition,
            restore: transition,
            modify: transition,
            delete: transition,
            archive,
        }
    }
}
