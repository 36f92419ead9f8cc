//! How new what was restored is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a server knows of its newest commits. Each is told by itself, because each means something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commits {
    /// When this server process began (`pg_postmaster_start_time`). What was committed later is not of the backup.
    pub started_at: Timestamp,
    /// The newest commit that the server remembers (`pg_last_committed_xact`): `None` unless `track_commit_timestamp` is on, and
    /// none was committed or replayed since it began. It may be one that came after the restore: RDS itself writes.
    #[serde(default)]
    pub last_committed_at: Option<Timestamp>,
    /// When the last commit was made, at the source, that the restore replayed from the log (`pg_last_xact_replay_timestamp`):
    /// `None` if nothing was replayed since the server began, as after a restart. It stays what it is when the recovery is
    /// over (`PostgreSQL` documentation, "Recovery Information Functions").
    #[serde(default)]
    pub last_replayed_at: Option<Timestamp>,
    /// Where in the log that ended (`pg_last_wal_replay_lsn`), such as `0/3000148`.
    #[serde(default)]
    pub last_replayed_lsn: Option<String>,
    /// Whether the server still replays, and takes no writes.
    pub is_in_recovery: bool,
}

impl Commits {
    /// The newest commit that is known to be the source's: what was replayed, or else what was remembered, unless it came after
    /// the server began.
    pub fn newest(&self) -> Option<Timestamp> {
        self.last_replayed_at.or_else(|| self.last_committed_at.filter(|at| *at < self.started_at))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(None, None, None)]
    #[case(Some("2026-11-22T02:59:58Z"), None, Some("2026-11-22T02:59:58Z"))]
    #[case(Some("2026-11-22T02:59:58Z"), Some("2026-11-22T10:00:00Z"), Some("2026-11-22T02:59:58Z"))]
    #[case(None, Some("2026-11-22T02:00:00Z"), Some("2026-11-22T02:00:00Z"))]
    #[case(None, Some("2026-11-22T09:30:00Z"), None)]
    fn the_servers_own_commits_are_not_the_sources(
        #[case] replayed: Option<&str>,
        #[case] committed: Option<&str>,
        #[case] newest: Option<&str>,
    ) {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let commits = Commits {
            started_at: at("2026-11-22T09:00:00Z"),
            last_committed_at: committed.map(at),
            last_replayed_at: replayed.map(at),
            last_replayed_lsn: None,
            is_in_recovery: false,
        };
        assert_eq!(commits.newest(), newest.map(at));
    }
}
