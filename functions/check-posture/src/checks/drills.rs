//! Whether anybody knows that what is backed up can be restored: whether a drill has passed of late.

use std::collections::BTreeMap;

use domain::{
    Finding, LONGEST_WITHOUT, ResourceId, Severity,
    drill::history::{History, Past, Verdict},
};
use jiff::Timestamp;

use super::{Check, Of, check, many, plans};
use crate::{kind, observe::Seen};

pub(super) fn checks(seen: &Seen, now: Timestamp) -> Vec<Check<'_>> {
    let kind = &kind::DRILL_OVERDUE;
    let (since, histories) = match (&seen.protected_since, &seen.drills) {
        (Ok(since), Ok(histories)) => (since, histories),
        (Err(error), _) | (_, Err(error)) => return vec![check(kind, Of::All, Err::<Vec<_>, _>(error))],
    };
    let mut checks = Vec::new();
    for (engine, drilled) in plans::drilled(seen) {
        let drilled = match drilled {
            Ok(drilled) => drilled,
            Err(error) => {
                checks.push(check(kind, Of::Engine(engine), Err::<Vec<_>, _>(error)));
                continue;
            }
        };
        for resource in drilled {
            let history = histories.get(&resource).map(Result::as_ref).transpose();
            let found = history.map(|history| overdue(&resource, history, since, now));
            checks.push(check(kind, Of::One(resource), found));
        }
    }
    checks
}

/// Whether so much time went by since a drill of it passed; or, where none did, since it is seen protected.
fn overdue(
    resource: &ResourceId,
    history: Option<&History>,
    since: &BTreeMap<ResourceId, Timestamp>,
    now: Timestamp,
) -> Option<Finding> {
    // What watch-rpo has not seen yet is new.
    let protected = *since.get(resource)?;
    let passed = history.and_then(History::last_passed).map(|past| past.judged_at);
    let overdue =
        passed.map_or(protected, |passed| passed.max(protected)).checked_add(LONGEST_WITHOUT).ok()?;
    if now <= overdue {
        return None;
    }
    let ago = |at: Timestamp| many(now.duration_since(at).as_hours() / 24, "day");
    let proven = match passed {
        Some(at) => format!("the last drill that passed was judged at {at}, {} ago", ago(at)),
        None => format!("no drill of it has ever passed, and it has been protected for {}", ago(protected)),
    };
    let says = match history.and_then(|history| history.past.last()) {
        Some(Past { judged_at, verdict: Verdict::Failed { code, says }, .. }) => {
            format!("{proven}; the last one failed at {judged_at} with {code}: {says}")
        }
        Some(_) => format!("{proven}; none was held since"),
        None => format!("{proven}; none was ever held"),
    };
    let next = format!(
        "Find out why none passed: run-drill's findings and its entries in the ledger say it. Then hold one: `aws lambda invoke \
         --function-name <run-drill> --cli-binary-format raw-in-base64-out --payload '{{\"drill\": \"{resource}\"}}' /dev/stdout`."
    );
    Some(Finding::new(resource, kind::DRILL_OVERDUE, Severity::Warning, overdue, says, next))
}
