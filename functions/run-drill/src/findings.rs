//! What drills find wrong, for as long as it is.

use domain::{
    Finding, ResourceId, Severity,
    drill::{
        Way, forecast,
        history::{Past, Verdict},
    },
};
use jiff::{SignedDuration, Timestamp};
use reconcile::Plan;

use crate::{
    act::Action,
    engine::Made,
    observe::{Observed, kept},
    plan::protected,
    record::Kept,
};

/// So far ahead somebody is warned that restores will take too long.
const AHEAD: SignedDuration = SignedDuration::from_hours(90 * 24);

/// What the last drill of each protected resource found, and what its history foretells. What is protected no more is not told
/// of.
pub(crate) fn of_records(observed: &Observed, now: Timestamp, plan: &mut Plan<Action>) {
    for kept in kept(&observed.records) {
        if !protected(observed).any(|(resource, _)| *resource == kept.resource) {
            continue;
        }
        let history = &kept.record.history;
        of_verdict(kept, plan);
        let Some(last) = history.past.last() else { continue };
        of_last(&kept.resource, last, plan);
        let objective =
            SignedDuration::from_millis(i64::try_from(last.objectives.rto_ms).unwrap_or(i64::MAX));
        if let Some(forecast) = forecast(&history.measured(), objective, AHEAD, now)
            && !is_too_slow(last)
        {
            let says = format!(
                "a restore takes {} now, and at this rate of growth more than the objective of {} from about {} on, at {}",
                minutes(forecast.now_ms),
                minutes(last.objectives.rto_ms),
                forecast.from.strftime("%Y-%m-%d"),
                gigabytes(forecast.bytes)
            );
            let next = "Plan for it before then: a larger class to restore into, less in one database, or an objective that can be met.";
            plan.find(Finding::new(
                &kept.resource,
                "restore-soon-too-slow",
                Severity::Warning,
                now,
                says,
                next,
            ));
        }
    }
}

/// The newest verdict: also of a drill that is still being torn down.
fn of_verdict(kept: &Kept, plan: &mut Plan<Action>) {
    let resource = &kept.resource;
    let judged = kept.record.under_way.as_ref().and_then(|drill| Some((drill, drill.judged.as_ref()?)));
    let newest = match (judged, kept.record.history.past.last()) {
        (Some((drill, judged)), _) => Some((&drill.id, &judged.verdict, judged.at, &judged.unchecked)),
        (None, Some(last)) => Some((&last.id, &last.verdict, last.judged_at, &last.unchecked)),
        (None, None) => None,
    };
    let Some((id, verdict, at, unchecked)) = newest else { return };
    match verdict {
        Verdict::Failed { code, says } => {
            plan.find(failed(resource, id, code, says, at, &resource.to_string()));
        }
        Verdict::Passed => {
            if let Some(first) = unchecked.first() {
                let more = unchecked.len() - 1;
                let more = if more > 0 { format!(", and {more} more") } else { String::new() };
                let says = format!("{id} passed, but not everything was checked: {first}{more}");
                let next = "Make possible what it names, and drill again; what is not checked is not proven.";
                plan.find(Finding::new(resource, "drill-incomplete", Severity::Warning, at, says, next));
            }
        }
    }
}

fn of_last(resource: &ResourceId, last: &Past, plan: &mut Plan<Action>) {
    if is_too_slow(last) {
        let says = format!(
            "{} took {} from the request to the last check, and the objective is {}",
            last.id,
            minutes(last.phases.duration_ms.unwrap_or(0)),
            minutes(last.objectives.rto_ms)
        );
        let next = "Look at which phase took so long: its ledger entry has them. A drill into the smallest class may be slower than a restore \
                    into the source's: the plan's drill.class says which.";
        plan.find(Finding::new(resource, "restore-too-slow", Severity::Critical, last.judged_at, says, next));
    }
    if let Some(loss) =
        last.loss.filter(|loss| promises_rpo(resource, last) && loss.at_least_ms > last.objectives.rpo_ms)
    {
        let says = format!(
            "{}: the restored database lacks at least {} before the wanted instant, and the objective is {}",
            last.id,
            minutes(loss.at_least_ms),
            minutes(last.objectives.rpo_ms)
        );
        let next = "Compare the heartbeats in the database with those in the drill's ledger entry: if the writer did not run, nothing \
                    was lost; if it did, what the provider says of its restores is not so.";
        plan.find(Finding::new(
            resource,
            "drill-lost-too-much",
            Severity::Critical,
            last.judged_at,
            says,
            next,
        ));
    }
}

/// The drill `id` failed; `again` is what to ask for another one.
pub(crate) fn failed(
    resource: &ResourceId,
    id: &str,
    code: &str,
    says: &str,
    since: Timestamp,
    again: &str,
) -> Finding {
    let next = format!(
        "Read the ledger's entry of {id}, mend what it names, and drill again ({{\"drill\": \"{again}\"}})."
    );
    let finding = Finding::new(
        resource,
        "drill-failed",
        Severity::Critical,
        since,
        format!("{id} failed: {says}"),
        next,
    );
    Finding { code: Some(code.to_owned()), ..finding }
}

fn is_too_slow(past: &Past) -> bool {
    past.has_passed() && past.phases.duration_ms.is_some_and(|duration| duration > past.objectives.rto_ms)
}

/// Whether what is lost in that way of restoring is what the objective is about: of RDS that is point-in-time restore; of the others the
/// newest recovery point, too.
fn promises_rpo(resource: &ResourceId, past: &Past) -> bool {
    past.way == Way::Instant || past.way == Way::Newest && resource.engine != domain::Engine::Rds
}

/// Something that a drill made is there, and the drill is not.
pub(crate) fn leaked(made: &Made, now: Timestamp) -> Finding {
    let (what, region, name) = (made.sort, &made.region, &made.name);
    let (says, next) = match &made.drill {
        Some(drill) => (
            format!(
                "{what} {name} in {region} was made by {drill}, which is over, or should be; it is {} and is deleted now",
                made.status
            ),
            "Nothing is to be done if this ends by itself; it costs money until then. Look why the drill did not tear it down: its \
             invocations' log.",
        ),
        None => (
            format!(
                "{what} {name} in {region} is called as what drills make, and nothing else says that a drill made it; it is left as it is"
            ),
            "Delete it if nobody needs it, or give it another name: what begins with tidemark-drill- is for drills.",
        ),
    };
    let finding = Finding::new(&made.resource, "drill-leaked", Severity::Warning, now, says, next);
    Finding { code: Some(made.name.clone()), ..finding }
}

fn minutes(milliseconds: u64) -> String {
    let seconds = milliseconds / 1_000;
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

fn gigabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000_000;
    format!("{}.{} GB", tenths / 10, tenths % 10)
}
