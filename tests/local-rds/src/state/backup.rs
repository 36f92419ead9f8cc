//! An automated backup: what point-in-time restores start from, in a Region.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, TimestampRound, Unit};

use super::{Tags, Traits};
use crate::postgres::Archive;

/// What an automated backup is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BackupStatus {
    /// Waits for the first automated snapshot.
    Creating,
    Active,
    /// Outlives its instance, or its replication.
    Retained,
    /// Replication was asked for.
    Pending,
    Replicating,
}

impl BackupStatus {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::Retained => "retained",
            Self::Pending => "pending",
            Self::Replicating => "replicating",
        }
    }
}

/// What an automated backup is made of.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Real(Arc<Archive>),
    /// As if there were one from an instant on, and until another if it has ended.
    Simulated {
        from: Timestamp,
        until: Option<Timestamp>,
    },
}

impl Store {
    /// The earliest and latest restorable time.
    pub(crate) fn window(&self, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Real(archive) => archive.window(),
            Self::Simulated { from, until } => {
                // As on AWS: a log is shipped every five minutes.
                let shipped = until.unwrap_or_else(|| five_minutes(now));
                Some((*from, shipped.max(*from)))
            }
        }
    }
}

fn five_minutes(now: Timestamp) -> Timestamp {
    let round = TimestampRound::new().smallest(Unit::Minute).increment(5).mode(jiff::RoundMode::Trunc);
    now.round(round).unwrap_or(now - SignedDuration::from_mins(5))
}

/// An automated backup of one instance, in the instance's Region or replicated to another.
#[derive(Clone, Debug)]
pub(crate) struct AutomatedBackup {
    /// `ab-…`.
    pub(crate) id: String,
    pub(crate) traits: Traits,
    pub(crate) status: BackupStatus,
    /// The ARN of the instance, where it is.
    pub(crate) instance_arn: String,
    /// The Region of the instance.
    pub(crate) source_region: String,
    /// It was replicated from there to here.
    pub(crate) replica: bool,
    /// ARNs of replicas of it.
    pub(crate) replicas: Vec<String>,
    pub(crate) tags: Tags,
    pub(crate) store: Store,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_logs_are_shipped_every_five_minutes() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let store = Store::Simulated { from: at("2026-03-01T00:00:00Z"), until: None };
        let window = store.window(at("2026-03-01T03:14:59Z")).unwrap();
        assert_eq!(window, (at("2026-03-01T00:00:00Z"), at("2026-03-01T03:10:00Z")));
        let ended =
            Store::Simulated { from: at("2026-03-01T00:00:00Z"), until: Some(at("2026-03-01T01:02:03Z")) };
        assert_eq!(ended.window(at("2026-03-02T00:00:00Z")).unwrap().1, at("2026-03-01T01:02:03Z"));
    }
}
