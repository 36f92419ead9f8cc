//! From a person's request to one action for all of the set, or to a refusal that names every reason.

use jiff::Timestamp;
use reconcile::{Error, Plan, Result, Verdict};

use super::{
    Trouble,
    act::Action,
    observe::{Asked, document},
    refused, troubles,
};
use crate::databases::Engines;

/// Decides how the request is carried out: all of it, or nothing.
pub(crate) fn plan<G: Engines>(asked: &Asked<G::Asked>, now: Timestamp) -> Result<Plan<Action<G::Action>>> {
    let order = &asked.order;
    let mut plan = Plan::empty();
    let members: Vec<_> = asked.members.iter().map(|asked| decide::<G>(asked, now)).collect();
    if let Some(ordered) = asked.there.as_ref().filter(|_| asked.is_there) {
        let reason = format!("{} was asked for already", order.restore.id);
        let action = Action::GoOn { ordered: Box::new(ordered.clone()), members };
        plan.act(&order.restore.resource, action, reason);
        return Ok(plan);
    }
    free(asked)?;
    let troubles = troubles(order, &members);
    if !troubles.is_empty() {
        let what = format!(
            "recovery set {} cannot be restored to {} as {}: of {} databases",
            order.work.set,
            order.work.instant,
            order.name,
            members.len()
        );
        return Err(refused(&what, &troubles, &instead::<G>(asked, now)));
    }
    let by = order.drill.as_ref().map_or("a person", |drill| drill.id.as_str());
    let reason = format!("{by} asked for {}; that is {}", order.to, order.work.instant);
    let action = Action::Begin {
        order: Box::new(order.clone()),
        document: document(&order.name),
        replacing: asked.there.as_ref().map(|ordered| ordered.version.clone()),
        members,
    };
    plan.act(&order.restore.resource, action, reason);
    Ok(plan)
}

/// What is done about one member.
pub(crate) fn decide<G: Engines>(asked: &Result<G::Asked>, now: Timestamp) -> Result<G::Action, Trouble> {
    let asked = asked.as_ref().map_err(Trouble::from)?;
    let plan = G::plan(asked, now).map_err(|error| Trouble::from(&error))?;
    let verdicts = plan.decisions.into_iter().map(|decision| decision.verdict);
    let decided = verdicts.filter_map(|verdict| match verdict {
        Verdict::Act(action) => Some(Ok(action)),
        Verdict::Refuse(error) => Some(Err(Trouble::from(&error))),
        Verdict::Wait | Verdict::Settled => None,
    });
    let nothing = || Err(Trouble::from(&Error::permanent("NothingPlanned", "nothing is to be done for it")));
    decided.into_iter().next().unwrap_or_else(nothing)
}

/// No other restore may be making a set under that name.
fn free<A>(asked: &Asked<A>) -> Result<()> {
    match &asked.there {
        Some(ordered) if !ordered.order.refused && asked.there_end.is_none() => {
            let there = &ordered.order;
            Err(Error::misconfigured(
                "NameTaken",
                format!(
                    "{}, of the set {} to {} ({}), is making {} already; choose another name for \"as\"; nothing was done",
                    there.restore.id, there.work.set, there.to, there.work.instant, there.name
                ),
            ))
        }
        // Whether what it made is still there, its members say.
        Some(_) | None => Ok(()),
    }
}

/// The newest instant that would be possible for all, if there is one.
fn instead<G: Engines>(asked: &Asked<G::Asked>, now: Timestamp) -> String {
    match &asked.newest {
        Some((instant, members)) if members.iter().all(|asked| decide::<G>(asked, now).is_ok()) => {
            format!("the newest instant that is possible for all of them is {instant}; ")
        }
        _ => String::new(),
    }
}
