//! What a tick does with the restores under way: pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reconcile::{Entry, EntryKey, Outcome, Plan};
use serde_json::Map;

use crate::{act::Action, observe::Restored};

/// The states of an instance out of which no restore finds by itself (RDS User Guide, "Viewing DB instance status").
const DEAD_ENDS: [&str; 8] = [
    "failed",
    "incompatible-create",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
    "inaccessible-encryption-credentials",
];

/// Decides for each restore whether it is over, waits for RDS, or is asked its first query.
pub(crate) fn plan(restores: &[Restored], recorded: &BTreeSet<EntryKey>) -> Plan<Action> {
    let mut plan = Plan::empty();
    for restored in restores {
        let (id, status) = (&restored.id, restored.instance.status.as_str());
        let is_recorded =
            |kind, outcome| recorded.contains(&entry(restored, kind, outcome, restored.requested_at).key());
        let over = is_recorded("restore-completed", Outcome::Completed)
            || FAILURES.iter().any(|code| is_recorded("restore-failed", Outcome::Failed((*code).to_owned())));
        if over {
            plan.settled(&restored.resource, format!("{id} is over"));
        } else if DEAD_ENDS.contains(&status) {
            plan.act(
                &restored.resource,
                Action::GiveUp { restored: restored.clone() },
                format!("{id} ended {status}"),
            );
        } else if status == "available" {
            let seen = is_recorded("restore-available", Outcome::Completed);
            let action = Action::FirstQuery { restored: restored.clone(), available_recorded: seen };
            plan.act(&restored.resource, action, format!("{} is available", restored.instance.id));
        } else {
            plan.wait(&restored.resource, format!("{id}: {} is {status}", restored.instance.id));
        }
    }
    plan
}

/// The codes under which a restore ends badly.
pub(crate) const FAILURES: [&str; 2] = [DEAD_END, FIRST_QUERY_FAILED];
pub(crate) const DEAD_END: &str = "RestoreFailed";
pub(crate) const FIRST_QUERY_FAILED: &str = "FirstQueryFailed";

/// An entry about a restore, filed under the day it was asked for.
pub(crate) fn entry(restored: &Restored, kind: &'static str, outcome: Outcome, now: Timestamp) -> Entry {
    Entry {
        day: restored.day(),
        at: now,
        function: "restore-database",
        kind,
        resource: restored.resource.clone(),
        subject: restored.id.clone(),
        region: restored.region.clone(),
        outcome,
        detail: Map::new(),
    }
}
