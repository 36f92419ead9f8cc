//! What a tick does with the restores under way: pure.

use std::collections::BTreeSet;

use domain::{Finding, Severity, Standing, tag};
use jiff::{SignedDuration, Timestamp};
use reconcile::{EntryKey, Outcome, Plan};

use super::{
    act::Action,
    observe::{Restored, Restores},
};
use crate::restore::{End, Restore};

/// The states of an instance out of which no restore finds by itself (RDS User Guide, "Viewing DB instance status").
const DEAD_ENDS: [&str; 10] = [
    "failed",
    "incompatible-create",
    "incompatible-network",
    "incompatible-option-group",
    "incompatible-parameters",
    "incompatible-restore",
    "insufficient-capacity",
    "inaccessible-encryption-credentials",
    "inaccessible-encryption-credentials-recoverable",
    "restore-error",
];

/// The states in which a restored instance takes connections already, beside `available` (same table).
const IN_SERVICE: [&str; 7] = [
    "available",
    "backing-up",
    "maintenance",
    "modifying",
    "storage-config-upgrade",
    "storage-initialization",
    "storage-optimization",
];

/// How long a restore is waited for. RDS takes hours for the largest ones, never days.
const PATIENCE: SignedDuration = SignedDuration::from_hours(72);

/// Decides for each restore whether it is over, waits for RDS, or is asked its first query.
pub(crate) fn plan(observed: &Restores, now: Timestamp) -> Plan<Action> {
    let mut plan = Plan::empty();
    for (region, error) in &observed.silent {
        plan.do_without(region, error);
    }
    for restored in &observed.all {
        follow(restored, &observed.recorded, now, &mut plan);
    }
    plan
}

fn follow(restored: &Restored, recorded: &BTreeSet<EntryKey>, now: Timestamp, plan: &mut Plan<Action>) {
    let (restore, instance) = (&restored.restore, &restored.instance.id);
    let (id, resource) = (&restore.id, &restore.resource);
    let status = restored.instance.status.as_str();
    let end = restore.end(recorded);
    // What became of a drill's, the drill tells.
    let is_drill = restored.instance.tags.contains_key(tag::DRILL);
    if let Some(End::Failed(code)) = end.filter(|_| !is_drill) {
        plan.find(failed_restore(restored, code));
    }
    let in_service = IN_SERVICE.contains(&status) || status.starts_with("configuring-");
    if end.is_some() {
        plan.settled(resource, format!("{id} is over"));
    } else if DEAD_ENDS.contains(&status) {
        plan.act(resource, Action::GiveUp { restored: restored.clone() }, format!("{id} ended {status}"));
    } else if in_service && restored.instance.endpoint.is_some() {
        let action = Action::FirstQuery {
            restored: restored.clone(),
            requested_recorded: restore.is_recorded(recorded, "restore-requested", Outcome::Completed),
            available_recorded: restore.is_recorded(recorded, "restore-available", Outcome::Completed),
        };
        plan.act(resource, action, format!("{instance} is {status}"));
    } else if now.duration_since(restore.requested_at) > PATIENCE {
        plan.act(
            resource,
            Action::GiveUp { restored: restored.clone() },
            format!("{id} is {status} for days"),
        );
    } else {
        plan.wait(resource, format!("{id}: {instance} is {status}"));
    }
}

/// A restore that failed is told of until its instance is deleted, or is looked up no more: nobody has dealt with it yet.
fn failed_restore(restored: &Restored, code: &str) -> Finding {
    let Restored { restore: Restore { id, resource, region, requested_at, .. }, instance } = restored;
    Finding {
        resource: resource.clone(),
        kind: "restore-failed".to_owned(),
        code: Some(code.to_owned()),
        severity: Severity::Critical,
        since: *requested_at,
        says: format!(
            "{id}, asked for at {requested_at}, failed: instance {} in {region} is {}",
            instance.id, instance.status
        ),
        next: format!(
            "Read the ledger's entry of {id} and the instance's events, delete {}, and ask again.",
            instance.id
        ),
        standing: Standing::default(),
    }
}
