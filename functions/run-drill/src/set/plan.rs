//! What is done next with the drills of recovery sets: pure.

use std::collections::BTreeSet;

use domain::{
    RecoverySet, ResourceId,
    drill::{Choice, To, Way, history::Verdict},
    retention::Region,
};
use jiff::Timestamp;
use reconcile::{Error, Plan, Result};

use super::{KeptSet, SetAction, SetCandidate, SetDrill};
use crate::{
    Ask,
    act::Action,
    budget::{afford, room, spent},
    drill::{Drill, LONGEST, SetOf, Stage},
    observe::{Observed, again},
    plan::{new_drill_as, protected},
};

/// The sets of which a drill could be begun now, with the plan of each member. One that cannot be begun stops no other.
pub(crate) fn due(observed: &Observed, now: Timestamp) -> Vec<(RecoverySet, Vec<(ResourceId, String)>)> {
    let sets = observed.recovery_sets().iter();
    let wanted = sets.filter(|set| match &observed.ask {
        Ask::Set { name } => set.name == *name,
        Ask::Tick => is_due(observed, set, now),
        Ask::Now { .. } | Ask::All => false,
    });
    wanted.filter_map(|set| Some((set.clone(), members(observed, set).ok()?))).collect()
}

/// Each member with its plan; the first that is not protected, or not known.
fn members<'s>(
    observed: &Observed,
    set: &'s RecoverySet,
) -> Result<Vec<(ResourceId, String)>, &'s ResourceId> {
    let plan = |member| protected(observed).find(|(one, _)| one == member).cloned().ok_or(member);
    set.resources.iter().map(plan).collect()
}

/// By the schedule of its first member's plan.
fn is_due(observed: &Observed, set: &RecoverySet, now: Timestamp) -> bool {
    let Some(Ok(Some(kept))) = observed.sets.get(&set.name) else { return false };
    if kept.record.under_way.is_some() || room(observed) < set.resources.len() || !are_free(observed, set) {
        return false;
    }
    if kept.record.wanted.is_some() {
        return true;
    }
    let plan = set.resources.first().and_then(|first| protected(observed).find(|(one, _)| one == first));
    let schedule = plan.and_then(|(_, plan)| Some(&observed.plan(plan)?.drill.as_ref()?.schedule));
    let last = kept.record.past.last().map_or(kept.record.since, |past| past.asked_at);
    schedule
        .and_then(|schedule| schedule.latest_at(now))
        .is_some_and(|slot| slot.instant() > last.max(kept.record.since))
}

/// Whether none of its members is being drilled.
fn are_free(observed: &Observed, set: &RecoverySet) -> bool {
    set.resources.iter().all(|member| match observed.records.get(member) {
        Some(Ok(Some(kept))) => kept.record.under_way.is_none(),
        Some(Ok(None)) | None => true,
        // Of a document that cannot be read nobody knows, and its drill could not be written into it.
        Some(Err(_)) => false,
    })
}

/// Whether that resource is of a set whose drill is under way or begins now: its own waits.
pub(crate) fn holds(observed: &Observed, begun: &Begun, resource: &ResourceId) -> bool {
    let is_member = |drill: &SetDrill| drill.members.iter().any(|member| member.resource == *resource);
    begun.resources.contains(resource) || observed.sets_under_way().any(is_member)
}

/// Whether a set's drill that goes on may have made what has that tag. Of a document that cannot be read nobody knows.
pub(crate) fn is_under_way(observed: &Observed, id: &str) -> bool {
    observed.sets.values().any(Result::is_err) || observed.sets_under_way().any(|drill| drill.id == id)
}

/// Whether what a member's drill made may be torn down.
pub(crate) fn is_released(observed: &Observed, of: &SetOf) -> bool {
    match observed.sets.get(&of.set) {
        Some(Ok(Some(kept))) => match &kept.record.under_way {
            Some(drill) if drill.id == of.id => drill.is_released,
            _ => true,
        },
        Some(Err(_)) => false,
        // The set was taken out of the plans, and its record is gone: nobody will ask it anything.
        Some(Ok(None)) | None => true,
    }
}

/// What sets begin in a pass.
pub(crate) struct Begun {
    /// Of these.
    pub(crate) resources: BTreeSet<ResourceId>,
    /// What all drills of the month come to with them.
    pub(crate) spent: u64,
}

/// Decides about every set.
pub(crate) fn plan(observed: &Observed, now: Timestamp, plan: &mut Plan<Action>) -> Begun {
    for (name, read) in &observed.sets {
        let resource = SetDrill::resource(name);
        match read {
            Err(error) => plan.refuse(&resource, again(error)),
            Ok(Some(kept)) => {
                if kept.record.under_way.is_some() {
                    let reason = "its drill is under way";
                    plan.act(
                        &resource,
                        Action::Set(SetAction::Step { kept: Box::new(kept.clone()) }),
                        reason,
                    );
                }
                failed(kept, plan);
            }
            Ok(None) => {
                let kept = Box::new(KeptSet::new(name, now));
                plan.act(&resource, Action::Set(SetAction::Remember { kept }), "it was never seen before");
            }
        }
    }
    for set in observed.recovery_sets().iter().filter(|set| set.resources.len() > observed.limits.at_once) {
        plan.refuse(&SetDrill::resource(&set.name), too_many(observed, set));
    }
    for set in observed.recovery_sets() {
        // What an engine that did not answer protects is not known; that it did not is told by itself.
        if let (Err(member), true) = (members(observed, set), observed.looked.values().all(Result::is_ok)) {
            plan.refuse(&SetDrill::resource(&set.name), not_protected(set, member));
        }
    }
    let mut begun = Begun { resources: BTreeSet::new(), spent: spent(observed, now) };
    for candidate in &observed.set_candidates {
        let (set, resource) = (&candidate.set, SetDrill::resource(&candidate.set.name));
        let room = room(observed).saturating_sub(begun.resources.len());
        if room < set.resources.len() || set.resources.iter().any(|member| begun.resources.contains(member)) {
            plan.wait(&resource, "it is due, and waits for its turn");
            continue;
        }
        match begin(observed, candidate, begun.spent, "its schedule", now) {
            Ok((action, spent)) => {
                begun.resources.extend(set.resources.iter().cloned());
                begun.spent = spent;
                plan.act(&resource, action, "it is due");
            }
            Err(error) => plan.refuse(&resource, error),
        }
    }
    begun
}

fn not_protected(set: &RecoverySet, member: &ResourceId) -> Error {
    let says = format!(
        "{member} of set {} is protected by no plan, so the set cannot be drilled: protect it, or take it out of the set; nothing was done",
        set.name
    );
    Error::misconfigured("ResourceUnknown", says)
}

/// A set that never has room.
fn too_many(observed: &Observed, set: &RecoverySet) -> Error {
    let says = format!(
        "the {} databases of set {} are drilled together, and no more than {} drills may be under way at once: raise DrillsAtOnce; \
         nothing was done",
        set.resources.len(),
        set.name,
        observed.limits.at_once
    );
    Error::misconfigured("DrillBudgetExceeded", says)
}

fn failed(kept: &KeptSet, plan: &mut Plan<Action>) {
    let judged = kept.record.under_way.as_ref().and_then(|drill| Some((&drill.id, drill.judged.as_ref()?)));
    let newest = match (judged, kept.record.past.last()) {
        (Some((id, judged)), _) => Some((id, &judged.verdict, judged.at)),
        (None, Some(last)) => Some((&last.id, &last.verdict, last.judged_at)),
        (None, None) => None,
    };
    if let Some((id, Verdict::Failed { code, says }, at)) = newest {
        let (resource, again) = (SetDrill::resource(&kept.name), format!("set/{}", kept.name));
        plan.find(crate::findings::failed(&resource, id, code, says, at, &again));
    }
}

/// A person's drill of a set: begun now, or they hear why not.
pub(crate) fn asked(observed: &Observed, name: &str, now: Timestamp) -> Result<(ResourceId, Action, String)> {
    let resource = SetDrill::resource(name);
    let Some(set) = observed.recovery_sets().iter().find(|set| set.name == name) else {
        let names: Vec<&str> = observed.recovery_sets().iter().map(|set| set.name.as_str()).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let says =
            format!("there is no recovery set {name:?}; the plan document has {there}; nothing was done");
        return Err(Error::misconfigured("SetUnknown", says));
    };
    if let Some(Ok(Some(kept))) = observed.sets.get(name)
        && let Some(drill) = &kept.record.under_way
    {
        let reason = format!("{} was begun at {}", drill.id, drill.asked_at);
        return Ok((resource, Action::Set(SetAction::Step { kept: Box::new(kept.clone()) }), reason));
    }
    if let Some(Err(error)) = observed.sets.get(name) {
        return Err(again(error));
    }
    if set.resources.len() > observed.limits.at_once {
        return Err(too_many(observed, set));
    }
    if !are_free(observed, set) || room(observed) < set.resources.len() {
        let says = format!(
            "the {} databases of set {name} are drilled together, and one of them is being drilled, or no more than {} drills may be under \
             way at once; ask again when those are over, or raise DrillsAtOnce; nothing was done",
            set.resources.len(),
            observed.limits.at_once
        );
        return Err(Error::misconfigured("DrillBudgetExceeded", says));
    }
    let Some(candidate) = observed.set_candidates.first() else {
        let says = format!(
            "not every database of set {name} is protected by a plan, or known now; nothing was done"
        );
        return Err(Error::misconfigured("ResourceUnknown", says));
    };
    let (action, _) = begin(observed, candidate, spent(observed, now), "a person", now)?;
    Ok((resource, action, "a person asks for it".to_owned()))
}

fn begin(
    observed: &Observed,
    candidate: &SetCandidate,
    spent: u64,
    by: &str,
    now: Timestamp,
) -> Result<(Action, u64)> {
    let name = &candidate.set.name;
    let id = SetDrill::id_of(name, now, &observed.mark);
    let of = SetOf { set: name.clone(), id: id.clone() };
    let (mut members, mut after) = (Vec::new(), spent);
    for member in &candidate.members {
        // What it is restored to, restore-database chooses.
        let choice = Choice { way: Way::Instant, region: Region::Home, to: To::Instant(now) };
        let drill = Drill {
            set: Some(of.clone()),
            stage: Stage::Restoring,
            ..new_drill_as(observed, member, choice, by, now)?
        };
        after = afford(observed.limits, after, &drill.staging, &member.resource)?;
        members.push(drill);
    }
    let kept = match observed.sets.get(name) {
        Some(Ok(Some(kept))) => kept.clone(),
        _ => KeptSet::new(name, now),
    };
    let drill = SetDrill {
        id,
        set: name.clone(),
        name: SetDrill::name_of(now),
        asked_at: now,
        expires: now + LONGEST,
        by: by.to_owned(),
        members,
        assertions: candidate.set.assertions.clone(),
        told: Vec::new(),
        instant: None,
        judged: None,
        duration_ms: None,
        is_released: false,
    };
    let begin = SetAction::Begin { kept: Box::new(kept), drill: Box::new(drill), asked: by == "a person" };
    Ok((Action::Set(begin), after))
}
