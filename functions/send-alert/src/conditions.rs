//! What is wrong now, whoever says so, by resource: pure.

use std::collections::{BTreeMap, BTreeSet};

use alarms::Alarm;
use domain::{Finding, ResourceId, Severity, Standing};
use jiff::Timestamp;

use crate::{
    memory::{Failing, Failures, UNREADABLE, standing_failures},
    observe::Observed,
};

/// What is wrong now.
pub(crate) struct Conditions {
    /// By resource and condition: who says so, and what.
    pub(crate) by_resource: BTreeMap<ResourceId, BTreeMap<String, Said>>,
    /// The functions that have a board.
    known: BTreeSet<String>,
    /// Who could not be asked. What they said before goes on.
    unknown: BTreeSet<String>,
    /// The failures that stand, to be remembered.
    pub(crate) failures: Failures,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) source: String,
    pub(crate) finding: Finding,
}

/// The source of what CloudWatch says.
pub(crate) const ALARMS: &str = "alarms";
/// The source of what the failures queue says.
pub(crate) const FAILURES: &str = "failures";

pub(crate) fn gather(observed: &Observed, now: Timestamp) -> Conditions {
    let prefix = observed.manner.prefix.as_str();
    let well_at = |function: &str| {
        let board = observed.boards.get(own_name(function, prefix))?;
        board.as_ref().ok().map(|board| board.at)
    };
    let failures = standing_failures(&observed.open.failures, &observed.received.failures, well_at, now);
    let mut conditions = Conditions {
        by_resource: BTreeMap::new(),
        known: observed.boards.keys().cloned().collect(),
        unknown: BTreeSet::new(),
        failures: Failures::new(),
    };
    for (function, board) in &observed.boards {
        match board {
            Ok(board) => board.findings.iter().for_each(|finding| conditions.add(function, finding.clone())),
            Err(_) => _ = conditions.unknown.insert(function.clone()),
        }
    }
    match &observed.alarms {
        Ok(alarms) => alarms.iter().for_each(|alarm| conditions.add(ALARMS, of_alarm(alarm, prefix, now))),
        Err(_) => _ = conditions.unknown.insert(ALARMS.to_owned()),
    }
    for (function, failing) in &failures {
        conditions.add(FAILURES, of_failing(own_name(function, prefix), failing));
    }
    Conditions { failures, ..conditions }
}

impl Conditions {
    /// Whether nobody knows what that source would say: it could not be asked, or its board has vanished.
    pub(crate) fn is_unknown(&self, source: &str) -> bool {
        let is_ours = source == ALARMS || source == FAILURES;
        self.unknown.contains(source) || !(is_ours || self.known.contains(source))
    }

    /// Two that say the same of one resource are one condition, and the one that matters more is told.
    fn add(&mut self, source: &str, finding: Finding) {
        let of_resource = self.by_resource.entry(finding.resource.clone()).or_default();
        let said = Said { source: source.to_owned(), finding };
        let condition = said.finding.condition();
        if of_resource.get(&condition).is_none_or(|other| other.finding.severity < said.finding.severity) {
            of_resource.insert(condition, said);
        }
    }
}

/// `tidemark-prod-backup-rds` is `backup-rds`.
fn own_name<'n>(deployed: &'n str, prefix: &str) -> &'n str {
    deployed.strip_prefix(prefix).unwrap_or(deployed)
}

/// An alarm on a function belongs into the function's conversation.
fn of_alarm(alarm: &Alarm, prefix: &str, now: Timestamp) -> Finding {
    let name = own_name(&alarm.name, prefix);
    let about = alarm.function.as_deref().map_or(name, |function| own_name(function, prefix));
    Finding {
        resource: ResourceId::tidemark(alerts::plain(about, 100)),
        kind: "alarm".to_owned(),
        code: Some(alerts::plain(name, 100)),
        severity: Severity::Critical,
        since: alarm.since.unwrap_or(now),
        says: format!("CloudWatch alarm {}: {} ({})", alarm.name, alarm.description, alarm.reason),
        next: "Look at the alarm's metric and at the function's log.".to_owned(),
        standing: Standing::default(),
    }
}

fn of_failing(function: &str, failing: &Failing) -> Finding {
    let Failing { since, at, code, says, times } = failing;
    let again = if *times > 1 { format!(", {times} times, last at {at}") } else { String::new() };
    let what = if function == UNREADABLE {
        says.clone()
    } else {
        format!("Lambda gave {function} up after every retry{again}: {code}: {says}")
    };
    Finding {
        resource: ResourceId::tidemark(function),
        kind: "function-failed".to_owned(),
        code: Some(code.clone()),
        severity: Severity::Critical,
        since: *since,
        says: what,
        next: "Read what the error names and the function's log; its next good pass ends this by itself."
            .to_owned(),
        standing: Standing::default(),
    }
}
