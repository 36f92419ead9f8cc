use domain::{RecoveryPointId, ResourceId, Slot};
use jiff::Timestamp;
use rds::{NewCopy, NewSnapshot, Rds, ensure};
use reconcile::{Done, Entry, Error, Kind, Metric, Outcome, Result};
use serde_json::Map;

use crate::observe::BackupRds;

/// What backup-rds can do. It can not delete anything.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Take the slot's snapshot.
    Take { slot: Slot, region: String, new: NewSnapshot },
    /// Copy it to the recovery Region.
    Copy { resource: ResourceId, slot: Slot, region: String, new: NewCopy },
    /// Write down what was found to have happened.
    Record { entry: Box<Entry>, metrics: Vec<Metric> },
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Take { .. } => "take-snapshot",
            Self::Copy { .. } => "copy-snapshot",
            Self::Record { .. } => "record",
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        // What the next tick may put right is no failure yet; if it does not, the RPO watch finds the missed slot.
        if error.kind() == Kind::Retryable {
            return None;
        }
        let (kind, resource, slot, region, id) = match self {
            Self::Take { slot, region, new } => {
                ("recovery-point-failed", ResourceId::rds(&new.instance), slot, region, &new.id)
            }
            Self::Copy { resource, slot, region, new } => {
                ("copy-failed", resource.clone(), slot, region, &new.id)
            }
            Self::Record { .. } => return None,
        };
        let mut entry = entry(kind, resource, *slot, region, id, now);
        entry.outcome = Outcome::Failed(error.code().to_owned());
        entry.detail.insert("error".to_owned(), error.report().into());
        Some(entry)
    }
}

/// An entry about a recovery point, filed under its slot's day.
pub(crate) fn entry(
    kind: &'static str,
    resource: ResourceId,
    slot: Slot,
    region: &str,
    id: &RecoveryPointId,
    now: Timestamp,
) -> Entry {
    let mut entry = Entry {
        day: slot.utc_date(),
        at: now,
        function: "backup-rds",
        kind,
        resource,
        subject: id.to_string(),
        region: region.to_owned(),
        outcome: Outcome::Completed,
        detail: Map::new(),
    };
    entry.detail.insert("slot".to_owned(), slot.to_string().into());
    entry
}

/// Carries out `action`. Each is harmless to repeat: names are taken once, entries are written once.
pub(crate) async fn act<R: Rds, L, P>(function: &BackupRds<R, L, P>, action: &Action) -> Result<Done> {
    match action {
        Action::Take { new, .. } => {
            let snapshot = ensure::snapshot(&function.home, new).await?;
            Ok(Done::underway().with("recovery_point", snapshot.id).with("status", snapshot.status))
        }
        Action::Copy { new, .. } => {
            let copy = ensure::copy(&function.recovery, new).await?;
            Ok(Done::underway()
                .with("recovery_point", copy.id)
                .with("region", function.recovery.region())
                .with("status", copy.status))
        }
        Action::Record { entry, metrics } => {
            let done =
                Done { entries: vec![entry.as_ref().clone()], metrics: metrics.clone(), ..Done::default() };
            Ok(done.with("recorded", entry.kind).with("recovery_point", entry.subject.clone()))
        }
    }
}
