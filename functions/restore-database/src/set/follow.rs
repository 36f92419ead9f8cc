//! What a tick does with the restores of sets: pure. Their members are followed as all restores are.

use std::collections::BTreeSet;

use domain::{Finding, ResourceId, Severity, Standing};
use jiff::{SignedDuration, Timestamp};
use reconcile::{EntryKey, Error, Outcome, Plan, Result};

use super::{
    REQUESTED,
    act::Action,
    end,
    observe::{BEGINNING, Restores, Seen},
    plan::decide,
};
use crate::{
    databases::Engines,
    restore::{DEAD_END, End},
};

/// How long members are waited for: longer than any engine waits.
const PATIENCE: SignedDuration = SignedDuration::from_hours(96);

/// Decides for each set whether it is over, waits for its members, or has some that nobody has begun.
pub(crate) fn follow<G: Engines>(
    restores: &Result<Restores<G::Asked>>,
    now: Timestamp,
) -> Plan<Action<G::Action>> {
    let mut plan = Plan::empty();
    let observed = match restores {
        Ok(observed) => observed,
        Err(error) => {
            plan.do_without("set-restores", error);
            return plan;
        }
    };
    for (_, error) in &observed.unreadable {
        let error = Error::new(error.kind(), error.code().to_owned(), error.report());
        plan.refuse(&ResourceId::tidemark("restore-database"), error);
    }
    for seen in &observed.all {
        follow_one::<G>(seen, &observed.recorded, now, &mut plan);
    }
    plan
}

fn follow_one<G: Engines>(
    seen: &Seen<G::Asked>,
    recorded: &BTreeSet<EntryKey>,
    now: Timestamp,
    plan: &mut Plan<Action<G::Action>>,
) {
    let order = &seen.ordered.order;
    let (restore, resource, id) = (&order.restore, &order.restore.resource, &order.restore.id);
    if let Some(end) = end(restore, recorded) {
        let never = order.work.members.iter().zip(&seen.is_begun).filter(|(_, is_begun)| !**is_begun);
        let never: Vec<String> = never.map(|(member, _)| member.resource.to_string()).collect();
        // What became of a drill's, the drill tells; and of what was begun and failed, its own finding.
        if matches!(end, End::Failed(_)) && order.drill.is_none() && !never.is_empty() {
            plan.find(failed_restore(seen, &never));
        }
        return plan.settled(resource, format!("{id} is over"));
    }
    for (member, asked) in &seen.to_begin {
        match decide::<G>(asked, now) {
            Ok(member_action) => {
                let reason = format!("{id} was asked for, and {} is not begun", member.name);
                plan.act(&member.resource, Action::BeginMember { member: member_action }, reason);
            }
            Err(trouble) => plan.refuse(&member.resource, trouble.into()),
        }
    }
    let ends: Vec<Option<End>> = order.parts().map(|(_, part)| part.end(recorded)).collect();
    let age = now.duration_since(restore.requested_at);
    let underway = ends
        .iter()
        .zip(&seen.is_begun)
        .filter(|(end, is_begun)| end.is_none() && (age <= BEGINNING || **is_begun));
    let underway = underway.count();
    if underway > 0 && age <= PATIENCE {
        return plan.wait(resource, format!("{id}: {underway} of {} are not over", ends.len()));
    }
    let requested_recorded = restore.is_recorded(recorded, REQUESTED, Outcome::Completed);
    let reason = if ends.iter().all(Option::is_some) {
        format!("all of {id} are over")
    } else {
        format!("{id} is not whole after {} hours", age.as_hours())
    };
    let action = Action::Conclude { ordered: Box::new(seen.ordered.clone()), requested_recorded, ends };
    plan.act(resource, action, reason);
}

/// A set of which something was never begun is told of until it is looked up no more: nobody has dealt with it yet.
fn failed_restore<A>(seen: &Seen<A>, never: &[String]) -> Finding {
    let order = &seen.ordered.order;
    let (id, requested_at, never) = (&order.restore.id, order.restore.requested_at, never.join(", "));
    Finding {
        resource: order.restore.resource.clone(),
        kind: "restore-failed".to_owned(),
        code: Some(DEAD_END.to_owned()),
        severity: Severity::Critical,
        since: requested_at,
        says: format!("{id}, asked for at {requested_at}, is not whole: {never} could not be begun"),
        next: format!(
            "Read the ledger's entry of {id}, restore {never} by itself to {}, or delete what was made and the document {}, and ask again.",
            order.work.instant, seen.ordered.document
        ),
        standing: Standing::default(),
    }
}
