//! How long each transition takes at least.

use std::time::Duration;

/// The least time that each transition takes, however quick the real work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speed {
    /// Creating a database without a seed, or for an upload.
    pub create: Duration,
    /// Creating a branch.
    pub branch: Duration,
    /// Deleting a database.
    pub delete: Duration,
    /// The first request to a database that sleeps.
    pub wake: Duration,
    /// How often the history of each database is looked at: the most that a branch at a time may lie before that time.
    pub archive: Duration,
}

impl Speed {
    /// No time but the work's own; looks every 200 ms. For tests.
    pub const fn instant() -> Self {
        Self::every(Duration::ZERO, Duration::from_millis(200))
    }

    /// Half a second each; looks every second. For a person who watches.
    pub const fn demo() -> Self {
        Self::every(Duration::from_millis(500), Duration::from_secs(1))
    }

    /// What Turso takes; looks every ten seconds (Turso promises 15).
    pub const fn turso_like() -> Self {
        let mut speed = Self::every(Duration::from_secs(1), Duration::from_secs(10));
        speed.branch = Duration::from_secs(3);
        speed
    }

    const fn every(transition: Duration, archive: Duration) -> Self {
        Self { create: transition, branch: transition, delete: transition, wake: transition, archive }
    }
}
