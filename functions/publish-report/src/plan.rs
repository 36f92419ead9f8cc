//! What should be done: pure.

use domain::{Finding, ResourceId, Severity, Standing};
use jiff::Timestamp;
use reconcile::Plan;
use serde_json::Value;

use crate::{
    NAME,
    act::{Action, KIND},
    due::Name,
    observe::{Observed, about},
};

pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan<Action> {
    let mut plan = Plan::empty();
    for (name, published) in &observed.published {
        match &published.entry {
            Some(entry) if published.has_page => {
                plan.find(news(name, entry, now));
                if observed.again.as_ref() == Some(name) {
                    let action = Action::Finish { name: name.clone() };
                    plan.act(&about(name), action, "a person asked for it a moment ago");
                }
            }
            _ => {
                let action = Action::Finish { name: name.clone() };
                plan.act(&about(name), action, "its JSON is there, and not all that belongs to it");
            }
        }
    }
    for (name, report) in &observed.reports {
        if report.resources.is_empty() && report.unknown.is_empty() && !observed.is_asked_for {
            // A new deployment, that protects nothing yet.
            plan.settled(&about(name), "there is nothing to report on");
            continue;
        }
        let action = Action::Publish { name: name.clone(), report: Box::new(report.clone()) };
        let reason = if observed.is_asked_for { "a person asks for it" } else { "it is due" };
        plan.act(&about(name), action, reason);
    }
    if plan.decisions.is_empty() {
        plan.settled(&ResourceId::tidemark(NAME), "no report is due");
    }
    plan
}

/// Word of a report, for send-alert to tell: nothing is wrong.
pub(crate) fn news(name: &Name, entry: &Value, now: Timestamp) -> Finding {
    let text = |key: &str| entry[key].as_str().unwrap_or_default();
    Finding {
        resource: about(name),
        kind: KIND.to_owned(),
        code: None,
        severity: Severity::Info,
        since: text("at").parse().unwrap_or(now),
        says: format!("{} {}", text("summary"), text("page")),
        next: format!("Look at it: {} or {}", text("fetch"), text("console")),
        standing: Standing::default(),
    }
}
