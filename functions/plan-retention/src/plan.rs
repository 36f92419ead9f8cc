//! What should be done: pure, so that every case is a test.

use domain::{RecoveryPointId, ResourceId, tag};
use inventory::{Held, Mark, Published, RetentionPlan};
use jiff::Timestamp;
use reconcile::{Error, Plan, Result};

use crate::{
    Ask, NAME,
    act::{Action, planned},
    findings,
    observe::Observed,
};

pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
    let mut plan = Plan::empty();
    let here = ResourceId::tidemark(NAME);
    match &observed.ask {
        Ask::Plan => match observed.published.as_ref().filter(|published| published.is_of_the_day(now)) {
            Some(published) => record(observed, published, &here, &mut plan),
            None => publish(observed, false, now, &here, &mut plan)?,
        },
        Ask::PlanNow { in_spite_of_losses } => {
            publish(observed, *in_spite_of_losses, now, &here, &mut plan)?;
        }
        Ask::Acknowledge(hash) => acknowledge(observed, hash, &here, &mut plan)?,
        Ask::Hold { resource, id, is_held, why } => {
            check_hold(observed, resource, id, *is_held)?;
            let mark = if *is_held { Mark::Held } else { Mark::Released };
            let action = Action::Mark { resource: resource.clone(), id: id.clone(), mark, why: why.clone() };
            plan.act(resource, action, "a person asks for it");
        }
    }
    Ok(plan)
}

/// Whether that recovery point can be held, or let go.
fn check_hold(observed: &Observed, resource: &ResourceId, id: &RecoveryPointId, is_held: bool) -> Result<()> {
    let names = id.parts().is_some_and(|parts| parts.resource == resource.name.to_lowercase());
    if !names {
        return Err(unknown(resource, id));
    }
    match observed.inventory.find(resource, id) {
        // Whether it is there nobody can tell, and to hold it does no harm.
        Err(_) if is_held => Ok(()),
        Err(error) => Err(Error::new(error.kind(), error.code().to_owned(), error.report())),
        Ok(None) => Err(unknown(resource, id)),
        Ok(Some(held)) if !is_held && held.is_held_by_tag() => Err(held_by_tag(held)),
        Ok(Some(_)) => Ok(()),
    }
}

/// Killed after it published, it left no entry.
fn record(observed: &Observed, published: &Published, here: &ResourceId, plan: &mut Plan<Action>) {
    // What the pass that made the plan found goes on until the next one is made: this one has not looked.
    plan.leave(&[findings::VANISHED, findings::STRAY]);
    let entry = planned(published, &observed.region, published.plan.made_at);
    let hash = &published.hash;
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
) -> Result<()> {
    for (engine, error) in observed.inventory.unknown() {
        plan.do_without(&format!("{engine}-recovery-points"), error);
    }
    for (lineage, error) in &observed.backup_plans.unknown {
        let error = Error::new(error.kind(), error.code().to_owned(), error.report());
        plan.refuse(&lineage.resource, error);
    }
    plan.findings.extend(findings::strays(here, &observed.inventory.strays, now));
    let last = observed.published.as_ref().map(|last| &last.plan);
    let losses = last.map_or_else(Vec::new, |last| last.losses(&observed.inventory));
    if let Some(loss) = losses.iter().find(|loss| loss.is_large()).filter(|_| !in_spite_of_losses) {
        plan.refuse(here, loss.refusal());
        return Ok(());
    }
    plan.findings.extend(findings::lost(here, &losses, now));
    let made = RetentionPlan::make(&observed.inventory, &observed.plans, &observed.backup_plans, last, now);
    if made.lineages.is_empty() && made.strays.is_empty() {
        plan.settled(here, "there is no recovery point to decide about");
        return Ok(());
    }
    let strays = match made.strays.count {
        0 => String::new(),
        count => format!("; {count} strays belong to none"),
    };
    let (kept, expired) = (made.kept().count(), made.expired().count());
    let reason = format!("{kept} recovery points are kept, {expired} expired{strays}");
    plan.act(here, Action::Publish(Box::new(Published::new(made)?)), reason);
    Ok(())
}

fn acknowledge(observed: &Observed, hash: &str, here: &ResourceId, plan: &mut Plan<Action>) -> Result<()> {
    let Some(published) = &observed.published else {
        let message =
            "there is no retention plan yet; the first comes with the daily run, or with {\"plan\": \"now\"}";
        return Err(Error::misconfigured("NoRetentionPlan", message));
    };
    let newest = &published.hash;
    if newest != hash {
        let message = format!(
            "the newest plan has hash {newest} ({}), not {hash}; read that one, and acknowledge it. Nothing was done",
            published.key(&observed.region)
        );
        return Err(Error::misconfigured("AcknowledgementOutdated", message));
    }
    plan.act(here, Action::Acknowledge { hash: newest.clone() }, "a person has read it");
    Ok(())
}

fn unknown(resource: &ResourceId, id: &RecoveryPointId) -> Error {
    let message = format!(
        "there is no recovery point {id} of {resource} in either Region; the ledger and the newest retention plan have the names. \
         Nothing was done"
    );
    Error::misconfigured("RecoveryPointUnknown", message)
}

fn held_by_tag(held: &Held) -> Error {
    let message = format!(
        "{} is held by the tag {} of its snapshot; remove the tag, in both Regions, to let it go. Nothing was done",
        held.id,
        tag::LEGAL_HOLD
    );
    Error::misconfigured("HeldByTag", message)
}
