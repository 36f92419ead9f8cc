use domain::{Finding, ResourceId, Severity};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use reconcile::{Done, Entry, Error, Outcome};
use serde_json::{Map, Value, json};

use crate::NAME;

/// How long after midnight (UTC) the day's look is due: after the night's backups, and what retention lets go.
const DUE: SignedDuration = SignedDuration::from_hours(7);

/// So many findings stand in an answer: Lambda refuses asynchronous ones above 1 MB.
const ANSWERED: usize = 500;

/// What check-posture can do. It changes nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Say what was found.
    Report {
        /// All that is wrong, what another function tells of included; the worst first.
        findings: Vec<Finding>,
        /// Whether all was looked at.
        complete: bool,
        /// What stands in the ledger of it, if anything does.
        entry: Option<Box<Entry>>,
    },
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        "report-posture"
    }

    fn failure(&self, _error: &Error, _now: Timestamp) -> Option<Entry> {
        // The next tick looks anew.
        None
    }
}

/// The day that an instant belongs to: it begins when its look is due.
pub(crate) fn day(instant: Timestamp) -> Date {
    instant.checked_sub(DUE).unwrap_or(instant).to_zoned(TimeZone::UTC).date()
}

/// The entry that everything was looked at: one for each day.
pub(crate) fn checked(region: &str, now: Timestamp) -> Entry {
    Entry {
        day: day(now),
        at: now,
        function: NAME,
        kind: "posture-checked",
        resource: ResourceId::tidemark(NAME),
        subject: NAME.to_owned(),
        region: region.to_owned(),
        outcome: Outcome::Completed,
        detail: Map::new(),
    }
}

/// How many findings of each severity.
pub(crate) fn counts(findings: &[Finding]) -> Map<String, Value> {
    let count = |severity: Severity| findings.iter().filter(|finding| finding.severity == severity).count();
    [Severity::Critical, Severity::Warning, Severity::Info]
        .into_iter()
        .map(|severity| (severity.as_str().to_owned(), count(severity).into()))
        .collect()
}

/// Carries out `action`.
pub(crate) fn act(action: &Action) -> Done {
    let Action::Report { findings, complete, entry } = action;
    let is_critical = findings.iter().any(|finding| finding.severity == Severity::Critical);
    let mut detail = counts(findings);
    let shown = &findings[..findings.len().min(ANSWERED)];
    detail.extend([
        ("ok".to_owned(), (*complete && !is_critical).into()),
        ("complete".to_owned(), (*complete).into()),
        ("findings".to_owned(), json!(shown)),
        ("not_shown".to_owned(), (findings.len() - shown.len()).into()),
    ]);
    Done { entries: entry.iter().map(|entry| entry.as_ref().clone()).collect(), detail, ..Done::default() }
}
