//! What to say: pure, so that every case is a test.

use domain::{Finding, ResourceId};
use jiff::Timestamp;
use reconcile::Plan;

use crate::{
    NAME,
    act::{Action, checked, counts},
    checks,
    observe::Observed,
};

/// Puts together what every check found. Of what did not answer, what was found before still stands.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan<Action> {
    let mut plan = Plan::empty();
    let here = ResourceId::tidemark(NAME);
    let Some(seen) = &observed.seen else {
        plan.settled(&here, "all was looked at today, and nothing was wrong");
        return plan;
    };
    let silent = seen.silent();
    for (part, error) in &silent {
        plan.miss(part, error, &[]);
    }
    for check in checks::all(seen, now) {
        match check.found {
            Ok(found) => plan.findings.extend(found),
            Err(_) => {
                let before = observed.board.iter().filter(|finding| check.of.includes(finding, check.kinds));
                plan.findings.extend(before.cloned());
            }
        }
    }
    for (resource, standing) in checks::standings(seen) {
        plan.standing(&resource, standing);
    }
    let mut findings = checks::told_elsewhere(seen, now);
    findings.extend(plan.findings.iter().cloned());
    findings.sort_by(|one, other| order(one).cmp(&order(other)));
    let complete = silent.is_empty();
    let mut entry = checked(&observed.region, now);
    entry.detail = counts(&findings);
    let is_recorded = matches!(seen.is_recorded, Ok(true));
    let entry = (complete && !is_recorded).then(|| Box::new(entry));
    let reason = format!("{} findings", findings.len());
    plan.act(&here, Action::Report { findings, complete, entry }, reason);
    plan
}

/// The worst first.
fn order(finding: &Finding) -> impl Ord {
    (std::cmp::Reverse(finding.severity), finding.key())
}
