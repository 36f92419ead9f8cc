//! What should be done: pure, so that every case is a test.

use domain::{Finding, RecoveryPointId, ResourceId, Severity, Standing};
use inventory::{Mark, RetentionPlan};
use jiff::Timestamp;
use reconcile::{Error, Plan, Result};

use crate::{
    Ask, NAME,
    act::{Action, planned},
    observe::Observed,
    published::Published,
};

/// Of what the last plan kept, so much may be gone without anybody being asked: a tenth.
const LARGEST_LOSS: usize = 10;

/// So many names stand in a message.
const NAMED: usize = 5;

pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
    let mut plan = Plan::empty();
    let here = ResourceId::tidemark(NAME);
    match &observed.ask {
        Ask::Plan => match observed.published.as_ref().filter(|published| published.is_of_the_day(now)) {
            Some(published) => record(observed, published, &here, &mut plan),
            None => publish(observed, false, now, &here, &mut plan),
        },
        Ask::PlanNow { in_spite_of_losses } => {
            publish(observed, *in_spite_of_losses, now, &here, &mut plan);
        }
        Ask::Acknowledge(hash) => acknowledge(observed, hash, &here, &mut plan)?,
        Ask::Hold { resource, id, is_held, why } => {
            if !observed
                .inventory
                .known()
                .any(|(_, points)| points.iter().any(|point| point.id == *id && point.resource == *resource))
            {
                return Err(unknown(resource, id));
            }
            let mark = if *is_held { Mark::Held } else { Mark::Released };
            let action = Action::Mark { resource: resource.clone(), id: id.clone(), mark, why: why.clone() };
            plan.act(resource, action, "a person asks for it");
        }
    }
    Ok(plan)
}

/// Killed after it published, it left no entry.
fn record(observed: &Observed, published: &Published, here: &ResourceId, plan: &mut Plan<Action>) {
    // What the pass that made the plan found goes on until the next one is made: this one has not looked.
    plan.leave(&["recovery-point-vanished"]);
    let entry = planned(published, &observed.region, published.plan.made_at);
    let hash = published.plan.hash();
    if observed.recorded.contains(&entry.key()) {
        let dry =
            if observed.is_acknowledged { "" } else { "; a dry run, because nobody has acknowledged one" };
        plan.settled(here, format!("the day has its plan, {hash}{dry}"));
    } else {
        let action = Action::Record { entry: Box::new(entry) };
        plan.act(here, action, format!("plan {hash} does not stand in the ledger"));
    }
}

fn publish(
    observed: &Observed,
    in_spite_of_losses: bool,
    now: Timestamp,
    here: &ResourceId,
    plan: &mut Plan<Action>,
) {
    for (engine, error) in observed.inventory.unknown() {
        plan.do_without(&format!("{engine}-recovery-points"), error);
    }
    for (lineage, error) in &observed.backup_plans.unknown {
        let error = Error::new(error.kind(), error.code().to_owned(), error.report());
        plan.refuse(&lineage.resource, error);
    }
    let vanished =
        observed.published.as_ref().map_or_else(Vec::new, |last| last.plan.vanished(&observed.inventory));
    let kept = observed.published.as_ref().map_or(0, |last| last.plan.kept().count());
    if !vanished.is_empty() {
        if vanished.len() * LARGEST_LOSS > kept && !in_spite_of_losses {
            return plan.refuse(here, shrank(&vanished, kept));
        }
        plan.find(lost(here, &vanished, now));
    }
    let last = observed.published.as_ref().map(|last| &last.plan);
    let made = RetentionPlan::make(&observed.inventory, &observed.plans, &observed.backup_plans, last, now);
    if made.lineages.is_empty() {
        return plan.settled(here, "there is no recovery point to decide about");
    }
    let (kept, expired) = (made.kept().count(), made.expired().count());
    let published = Published { key: Published::key(&made), plan: made };
    let reason = format!("{kept} recovery points are kept, {expired} expired");
    plan.act(here, Action::Publish(Box::new(published)), reason);
}

fn acknowledge(observed: &Observed, hash: &str, here: &ResourceId, plan: &mut Plan<Action>) -> Result<()> {
    let Some(published) = &observed.published else {
        let message =
            "there is no retention plan yet; the first comes with the daily run, or with {\"plan\": \"now\"}";
        return Err(Error::misconfigured("NoRetentionPlan", message));
    };
    let newest = published.plan.hash();
    if newest != hash {
        let message = format!(
            "the newest plan has hash {newest} ({}), not {hash}; read that one, and acknowledge it. Nothing was done",
            published.key
        );
        return Err(Error::misconfigured("AcknowledgementOutdated", message));
    }
    plan.act(here, Action::Acknowledge { hash: newest }, "a person has read it");
    Ok(())
}

fn unknown(resource: &ResourceId, id: &RecoveryPointId) -> Error {
    let message = format!(
        "there is no recovery point {id} of {resource} in either Region; the ledger and the newest retention plan have the names. \
         Nothing was done"
    );
    Error::misconfigured("RecoveryPointUnknown", message)
}

fn names(vanished: &[(&ResourceId, &RecoveryPointId)]) -> String {
    let named: Vec<String> = vanished.iter().take(NAMED).map(|(_, id)| id.to_string()).collect();
    let more = vanished.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

fn shrank(vanished: &[(&ResourceId, &RecoveryPointId)], kept: usize) -> Error {
    let message = format!(
        "{} of the {kept} recovery points that the last plan kept are gone: {}. Nothing is planned, and so nothing deleted, until \
         that is understood; then invoke plan-retention with {{\"plan\": \"in-spite-of-losses\"}}",
        vanished.len(),
        names(vanished)
    );
    Error::misconfigured("InventoryShrank", message)
}

fn lost(here: &ResourceId, vanished: &[(&ResourceId, &RecoveryPointId)], now: Timestamp) -> Finding {
    // Of one resource it is said there; of several, once for all.
    let of: Vec<&ResourceId> = vanished.iter().map(|(resource, _)| *resource).collect();
    let resource = of.first().filter(|first| of.iter().all(|other| other == *first)).map_or(here, |one| *one);
    Finding {
        resource: resource.clone(),
        kind: "recovery-point-vanished".to_owned(),
        code: None,
        severity: Severity::Critical,
        since: now,
        says: format!(
            "{} is gone, which the last retention plan kept: Tidemark did not delete it.",
            names(vanished)
        ),
        next: "See in CloudTrail who deleted it; what is in the vault is still there as an older version."
            .to_owned(),
        standing: Standing::default(),
    }
}
