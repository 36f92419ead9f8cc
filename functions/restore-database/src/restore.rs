//! A restore, whatever its engine: what it is called, and what the ledger holds of it.

use std::{collections::BTreeSet, time::Instant};

use domain::{ResourceId, tag};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use reconcile::{Entry, EntryKey, Error, Kind, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The codes under which a restore ends badly.
pub(crate) const FAILURES: [&str; 2] = [DEAD_END, FIRST_QUERY_FAILED];
pub(crate) const DEAD_END: &str = "RestoreFailed";
pub(crate) const FIRST_QUERY_FAILED: &str = "FirstQueryFailed";

/// The name of the action whose answer a person waits for.
pub(crate) const RESTORE: &str = "restore";

/// How long a restore is looked up in the ledger. By then it is over, or was given up.
pub(crate) const REMEMBERED: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What neither a tick nor a person can mend ends the restore. What a person can, such as a permission, is told of, and ticks
/// try again.
pub(crate) fn ended(error: Error) -> Error {
    if error.kind() != Kind::Permanent {
        return error;
    }
    Error::permanent(DEAD_END, "the restore cannot go on").caused_by(error)
}

/// One restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// Its name: `restore-orders-restored-20261122t120000z`.
    pub(crate) id: String,
    /// What is restored.
    pub(crate) resource: ResourceId,
    /// When it was asked for.
    pub(crate) requested_at: Timestamp,
    /// Where.
    pub(crate) region: String,
    /// The set's restore that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) set: Option<Part>,
}

/// What a restore knows of the set's restore that it is a part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// That one's id.
    pub(crate) restore: String,
    /// The recovery set.
    pub(crate) set: String,
    /// The one instant that all of it is restored to.
    pub(crate) instant: Timestamp,
    /// When the set was asked for, and with it each part.
    pub(crate) requested_at: Timestamp,
}

impl Part {
    /// What it writes onto what is made.
    pub(crate) fn tags(&self) -> [(String, String); 2] {
        [(tag::SET, self.set.clone()), (tag::SET_RESTORE, self.restore.clone())]
            .map(|(key, value)| (key.to_owned(), value))
    }

    /// For the ledger.
    pub(crate) fn detail(&self) -> [(&'static str, Value); 3] {
        [
            ("set", self.set.clone().into()),
            ("set_instant", self.instant.to_string().into()),
            ("set_restore_id", self.restore.clone().into()),
        ]
    }
}

impl Restore {
    /// The id of the restore that makes `name`, asked for now.
    pub(crate) fn id_of(name: &str, now: Timestamp) -> String {
        format!("restore-{name}-{}", now.strftime("%Y%m%dt%H%M%Sz"))
    }

    /// The day under which the ledger files it.
    pub(crate) fn day(&self) -> Date {
        self.requested_at.to_zoned(TimeZone::UTC).date()
    }

    /// Whether it is still looked up in the ledger.
    pub(crate) fn is_remembered(&self, now: Timestamp) -> bool {
        now.duration_since(self.requested_at) < REMEMBERED
    }

    /// An entry about it, filed under the day it was asked for.
    pub(crate) fn entry(&self, kind: &'static str, outcome: Outcome, now: Timestamp) -> Entry {
        let of_set = self.set.iter().flat_map(Part::detail);
        Entry {
            day: self.day(),
            at: now,
            function: "restore-database",
            kind,
            resource: self.resource.clone(),
            subject: self.id.clone(),
            region: self.region.clone(),
            outcome,
            detail: of_set.map(|(key, value)| (key.to_owned(), value)).collect(),
        }
    }

    /// The entry that it was asked for, with further detail.
    pub(crate) fn requested<const N: usize>(&self, detail: [(&str, Value); N], now: Timestamp) -> Entry {
        let mut entry = self.entry("restore-requested", Outcome::Completed, now);
        entry.detail.insert("requested_at".to_owned(), self.requested_at.to_string().into());
        entry.detail.extend(detail.map(|(key, value)| (key.to_owned(), value)));
        entry
    }

    /// The entry that it ended badly. Of other errors (a secret that cannot be read, a bucket that is denied) it may
    /// recover.
    pub(crate) fn failed(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        if !FAILURES.contains(&error.code()) {
            return None;
        }
        let mut entry = self.entry("restore-failed", Outcome::Failed(error.code().to_owned()), now);
        entry.detail.insert("error".to_owned(), error.report().into());
        Some(entry)
    }

    /// Whether that stands in the ledger.
    pub(crate) fn is_recorded(
        &self,
        recorded: &BTreeSet<EntryKey>,
        kind: &'static str,
        outcome: Outcome,
    ) -> bool {
        recorded.contains(&self.entry(kind, outcome, self.requested_at).key())
    }

    /// How it ended, if the ledger knows.
    pub(crate) fn end(&self, recorded: &BTreeSet<EntryKey>) -> Option<End> {
        let failed =
            |code: &&&str| self.is_recorded(recorded, "restore-failed", Outcome::Failed((**code).to_owned()));
        match FAILURES.iter().find(failed) {
            Some(code) => Some(End::Failed(code)),
            None => {
                self.is_recorded(recorded, "restore-completed", Outcome::Completed).then_some(End::Completed)
            }
        }
    }
}

/// How a restore ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Well.
    Completed,
    /// Badly, for the reason that this code names.
    Failed(&'static str),
}

pub(crate) fn elapsed_ms(begun: Instant) -> i64 {
    i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX)
}

pub(crate) fn between_ms(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(to.duration_since(from).as_millis()).unwrap_or(i64::MAX)
}
