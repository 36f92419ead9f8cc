//! An automated backup: what point-in-time restores start from, in a Region.

use std::sync::Arc;

use aws_query::Clock;
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
    /// The earliest and latest restorable time, by the clock of RDS.
    fn window(&self, clock: &Clock) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Real(archive) => {
                archive.window().map(|(earliest, latest)| (clock.told(earliest), clock.told(latest)))
            }
            Self::Simulated { from, until } => {
                // As on AWS: a log is shipped every five minutes.
                let shipped = until.unwrap_or_else(|| five_minutes(clock.now()));
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
    /// How far behind the latest restorable time is, if that was decided from outside.
    pub(crate) lag: Option<SignedDuration>,
}

impl AutomatedBackup {
    /// The earliest and latest restorable time, by the clock of RDS.
    pub(crate) fn window(&self, clock: &Clock) -> Option<(Timestamp, Timestamp)> {
        let (earliest, latest) = self.store.window(clock)?;
        let latest = match (self.lag, &self.store) {
            (None, _) => latest,
            (Some(lag), Store::Simulated { .. }) => clock.now() - lag,
            // What is not in the archive cannot be promised.
            (Some(lag), Store::Real(_)) => latest.min(clock.now() - lag),
        };
        Some((earliest, latest.max(earliest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn simulated_logs_are_shipped_every_five_minutes() {
        assert_eq!(five_minutes(at("2026-03-01T03:14:59Z")), at("2026-03-01T03:10:00Z"));
        let (clock, from) = (Clock::default(), at("2026-03-01T00:00:00Z"));
        let window = Store::Simulated { from, until: None }.window(&clock).unwrap();
        let age = clock.now().duration_since(window.1);
        assert_eq!(window.0, from);
        assert!(!age.is_negative() && age < SignedDuration::from_mins(5) + SignedDuration::from_secs(1));
        let ended = Store::Simulated { from, until: Some(at("2026-03-01T01:02:03Z")) };
        assert_eq!(ended.window(&clock).unwrap().1, at("2026-03-01T01:02:03Z"));
    }
}
