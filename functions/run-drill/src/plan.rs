//! What is done next with each drill: pure.

use std::collections::BTreeSet;

use domain::{
    RecoveryPointId, ResourceId,
    drill::{
        Choice, Choices, To, Way, choose, choose_way,
        history::{Phases, Promised},
    },
};
use jiff::{SignedDuration, Timestamp};
use reconcile::{EntryKey, Error, Plan, Result};
use serde_json::Value;

use crate::{
    Ask,
    act::{Action, End, Sight},
    budget::{self, afford, record, room, spent},
    drill::{Drill, Heartbeats, LONGEST, Stage},
    engine::{Looked, Made, Staging},
    findings,
    observe::{Candidate, Observed, again, kept},
    record::{Kept, Wanted},
    restored, set,
};

/// How long after a drill what it made is reaped, whatever its record says: the time that its own steps get.
const GRACE: SignedDuration = SignedDuration::from_hours(1);

/// Decides.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
    let mut plan = Plan::empty();
    if let (Err(error), false) = (&observed.plans, observed.ask == Ask::Tick) {
        return Err(again(error));
    }
    match &observed.ask {
        Ask::Now { resource, .. } => now_asked(observed, resource, now, &mut plan)?,
        Ask::Set { name } => {
            let (resource, action, reason) = set::asked(observed, name, now)?;
            plan.act(&resource, action, reason);
        }
        Ask::All => all_asked(observed, now, &mut plan),
        Ask::Tick => {
            what_is_unknown(observed, &mut plan);
            under_way(observed, now, &mut plan);
            leaks(observed, now, &mut plan);
            restored::plan(observed, now, &mut plan);
            first_seen(observed, now, &mut plan);
            let begun = set::plan(observed, now, &mut plan);
            begin_due(observed, now, &begun, &mut plan);
            findings::of_records(observed, now, &mut plan);
        }
    }
    Ok(plan)
}

fn what_is_unknown(observed: &Observed, plan: &mut Plan<Action>) {
    if let Err(error) = &observed.plans {
        plan.do_without("plans", error);
    }
    if let Err(error) = &observed.recorded {
        plan.do_without("ledger", error);
    }
    for (engine, looked) in &observed.looked {
        match looked {
            Ok(looked) => {
                for (region, error) in &looked.silent {
                    plan.do_without(&format!("{engine}-in-{region}"), error);
                }
            }
            Err(error) => plan.do_without(engine.as_str(), error),
        }
    }
    for (resource, read) in &observed.records {
        if let Err(error) = read {
            plan.leave_resource(resource);
            plan.refuse(resource, again(error));
        }
    }
}

fn under_way(observed: &Observed, now: Timestamp, plan: &mut Plan<Action>) {
    for kept in kept(&observed.records) {
        let Some(drill) = &kept.record.under_way else { continue };
        let sight = sight(observed, drill, now);
        let reason = format!("{} is {}", drill.id, drill.stage.says());
        plan.act(&kept.resource, Action::Step { kept: Box::new(kept.clone()), sight }, reason);
    }
}

/// What there is of a drill.
fn sight(observed: &Observed, drill: &Drill, now: Timestamp) -> Sight {
    let looked = observed.looked.get(&drill.resource.engine).and_then(|looked| looked.as_ref().ok());
    let answered = |looked: &Looked| looked.answered.contains(&drill.staging.region);
    let made = looked.into_iter().flat_map(|looked| &looked.made);
    Sight {
        made: made.filter(|made| made.is_of(drill)).cloned().collect(),
        is_released: drill.has_expired(now)
            || drill.set.as_ref().is_none_or(|of| set::is_released(observed, of)),
        is_whole: looked.is_some_and(answered),
        end: drill.restore_id.as_deref().and_then(|id| end(observed.recorded.as_ref().ok()?, drill, id)),
    }
}

/// How the restore ended, if the ledger knows.
fn end(recorded: &BTreeSet<EntryKey>, drill: &Drill, restore_id: &str) -> Option<End> {
    let of_kind = |kind: &str| {
        let is_it = |key: &&EntryKey| {
            key.filed().is_some_and(|filed| {
                filed.resource == drill.resource && filed.subject == restore_id && filed.is(kind)
            })
        };
        recorded.iter().find(is_it).cloned()
    };
    of_kind("restore-failed").map(End::Failed).or_else(|| of_kind("restore-completed").map(End::Completed))
}

/// What no drill under way made, and what has outlived its drill, whatever that's record says. What another deployment's drill made is that
/// one's to delete.
fn leaks(observed: &Observed, now: Timestamp, plan: &mut Plan<Action>) {
    for made in observed.looked.values().flatten().flat_map(|looked| &looked.made) {
        let expired = made.expires.is_none_or(|expires| now.duration_since(expires) > GRACE);
        let is_others = made.drill.as_ref().is_some_and(|id| !id.ends_with(&format!("-{}", observed.mark)));
        // A drill without a tag that can be seen is known by its name alone, and does not expire.
        let is_known = is_under_way(observed, made) && (made.drill.is_none() || !expired);
        if is_others || is_known {
            continue;
        }
        plan.find(findings::leaked(made, now));
        if made.drill.is_some() {
            let reason = format!("{} in {} is of no drill under way", made.name, made.region);
            plan.act(&made.resource, Action::Reap { made: made.clone() }, reason);
        } else {
            plan.wait(&made.resource, format!("{} in {} only looks like a drill's", made.name, made.region));
        }
    }
}

/// Whether a drill that goes on may need it. Of a document that cannot be read nobody knows.
fn is_under_way(observed: &Observed, made: &Made) -> bool {
    let is_unreadable = matches!(observed.records.get(&made.resource), Some(Err(_)));
    let mut drills = kept(&observed.records).filter_map(|kept| kept.record.under_way.as_ref());
    (made.drill.is_some() && is_unreadable)
        || drills.any(|drill| made.is_of(drill))
        || made.drill.as_ref().is_some_and(|id| set::is_under_way(observed, id))
}

/// From when on a drill is missed, is counted from here.
fn first_seen(observed: &Observed, now: Timestamp, plan: &mut Plan<Action>) {
    for (resource, _) in protected(observed) {
        if let Some(Ok(None)) = observed.records.get(resource) {
            let kept = Box::new(Kept::new(resource, now));
            plan.act(resource, Action::Remember { kept }, "it is protected, and was never seen before");
        }
    }
}

pub(crate) fn protected(observed: &Observed) -> impl Iterator<Item = &(ResourceId, String)> {
    observed.looked.values().flatten().flat_map(|looked| &looked.protected)
}

/// As many as there is room and money for, beside the sets that begin.
fn begin_due(observed: &Observed, now: Timestamp, begun: &set::Begun, plan: &mut Plan<Action>) {
    let (mut room, mut spent) = (room(observed).saturating_sub(begun.resources.len()), begun.spent);
    for candidate in &observed.candidates {
        let Some(kept) = record(observed, &candidate.resource) else { continue };
        if set::holds(observed, begun, &candidate.resource) {
            plan.wait(&candidate.resource, "it is drilled with its set first");
            continue;
        }
        let drill = new_drill(observed, candidate, "its schedule", now);
        match drill.and_then(|drill| {
            let after = afford(observed.limits, spent, &drill.staging, &candidate.resource)?;
            Ok((drill, after))
        }) {
            Ok(_) if room == 0 => plan.wait(&candidate.resource, "it is due, and waits for its turn"),
            Ok((drill, after)) => {
                (room, spent) = (room - 1, after);
                begin(kept.clone(), drill, false, plan);
            }
            Err(error) => plan.refuse(&candidate.resource, error),
        }
    }
}

fn begin(kept: Kept, drill: Drill, asked: bool, plan: &mut Plan<Action>) {
    let resource = kept.resource.clone();
    let reason = format!("{} asks for {}", drill.by, drill.id);
    plan.act(&resource, Action::Begin { kept: Box::new(kept), drill: Box::new(drill), asked }, reason);
}

/// A person's drill: begun now, or they hear why not.
fn now_asked(
    observed: &Observed,
    resource: &ResourceId,
    now: Timestamp,
    plan: &mut Plan<Action>,
) -> Result<()> {
    let kept = match observed.records.get(resource) {
        Some(Err(error)) => return Err(again(error)),
        Some(Ok(Some(kept))) => kept.clone(),
        Some(Ok(None)) | None => Kept::new(resource, now),
    };
    if let Some(drill) = &kept.record.under_way {
        let sight = sight(observed, drill, now);
        let reason = format!("{} was begun at {} and is {}", drill.id, drill.asked_at, drill.stage.says());
        plan.act(resource, Action::Step { kept: Box::new(kept), sight }, reason);
        return Ok(());
    }
    let Some(candidate) = observed.candidates.first() else { return Err(not_protected(observed, resource)) };
    if room(observed) == 0 {
        return Err(Error::misconfigured(
            "DrillBudgetExceeded",
            format!(
                "{} drills are under way, and no more are allowed at once; ask again when one is over, or raise DrillsAtOnce; \
                 nothing was done",
                observed.limits.at_once
            ),
        ));
    }
    let drill = new_drill(observed, candidate, "a person", now)?;
    afford(observed.limits, spent(observed, now), &drill.staging, resource)?;
    begin(kept, drill, true, plan);
    Ok(())
}

fn not_protected(observed: &Observed, resource: &ResourceId) -> Error {
    if let Some(Err(error)) = observed.looked.get(&resource.engine) {
        return again(error);
    }
    let names: Vec<String> = protected(observed).map(|(one, _)| one.to_string()).take(20).collect();
    let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    Error::misconfigured(
        "ResourceUnknown",
        format!(
            "{resource} is not protected by any plan, so there is nothing to drill; protected is {there}; nothing was done"
        ),
    )
}

/// All are wanted; ticks begin them as the budget allows.
fn all_asked(observed: &Observed, now: Timestamp, plan: &mut Plan<Action>) {
    for (resource, _) in protected(observed) {
        let mut kept = match observed.records.get(resource) {
            Some(Ok(Some(kept))) => kept.clone(),
            Some(Err(error)) => {
                plan.refuse(resource, again(error));
                continue;
            }
            Some(Ok(None)) | None => Kept::new(resource, now),
        };
        if let Some(drill) = &kept.record.under_way {
            plan.settled(resource, format!("{} is under way", drill.id));
        } else if kept.record.wanted.is_some() {
            plan.settled(resource, "a drill is waiting for its turn already");
        } else {
            kept.record.wanted = Some(Wanted { at: now, way: None });
            plan.act(resource, Action::Remember { kept: Box::new(kept) }, "a person wants a drill of each");
        }
    }
}

/// What the next drill of it is.
fn new_drill(observed: &Observed, candidate: &Candidate, by: &str, now: Timestamp) -> Result<Drill> {
    let Candidate { resource, subject, points, .. } = candidate;
    let window = subject.as_ref().map_err(again)?.window;
    let [home, recovery] = points.as_ref().map_err(again)?;
    let past = record(observed, resource).map(|kept| kept.record.history.ways()).unwrap_or_default();
    let (choices, wanted) = (Choices { home, recovery, window }, budget::wanted_way(observed, resource));
    let id = Drill::id_of(resource, now, &observed.mark);
    let choice = wanted_choice(choices, &past, &id, wanted).ok_or_else(|| nothing(resource, wanted))?;
    new_drill_as(observed, candidate, choice, by, now)
}

/// The drill of it that is restored so.
pub(crate) fn new_drill_as(
    observed: &Observed,
    candidate: &Candidate,
    choice: Choice,
    by: &str,
    now: Timestamp,
) -> Result<Drill> {
    let Candidate { resource, plan, subject, points } = candidate;
    let subject = subject.as_ref().map_err(again)?;
    if let Some(invalid) = &subject.invalid {
        let message = format!("{resource} is not drilled: plan {plan}: {invalid}; mend the plan document");
        return Err(Error::misconfigured("AssertionsInvalid", message));
    }
    let id = Drill::id_of(resource, now, &observed.mark);
    let staging = staging(subject.staging(choice.region), resource)?;
    let backup_plan = observed.plan(plan);
    let objectives = backup_plan.map(|plan| plan.objectives).unwrap_or_default();
    let around = around(points, &choice);
    let milliseconds = |time: SignedDuration| u64::try_from(time.as_millis()).unwrap_or(0);
    Ok(Drill {
        name: Drill::name_of(resource, &id),
        id,
        resource: resource.clone(),
        plan: plan.clone(),
        by: by.to_owned(),
        choice,
        asked_at: now,
        expires: now + LONGEST,
        bytes: subject.bytes,
        staging,
        objectives: Promised {
            rpo_ms: milliseconds(objectives.rpo_of(resource.engine)),
            rto_ms: milliseconds(objectives.rto),
        },
        set: None,
        instant: None,
        as_of: None,
        around,
        trouble: None,
        assertions: subject.assertions.clone(),
        heartbeats: Heartbeats {
            are_planned: backup_plan.is_some_and(|plan| plan.heartbeats.contains_key(resource)),
            since: record(observed, resource).and_then(|kept| kept.record.heartbeats_since),
        },
        known: record(observed, resource).map(|kept| kept.record.known.clone()).unwrap_or_default(),
        stage: Stage::Asked,
        checked_since: None,
        point: None,
        is_refused: false,
        restore_id: None,
        phases: Phases::default(),
        checks: Value::Null,
        checked_ms: 0,
        judged: None,
    })
}

/// The verified recovery points before and after the instant that is chosen.
fn around(points: &Result<[Vec<RecoveryPointId>; 2]>, choice: &Choice) -> Option<[RecoveryPointId; 2]> {
    let (To::Instant(instant), Ok([home, _])) = (&choice.to, points) else { return None };
    let is_before = |id: &&RecoveryPointId| id.parts().is_some_and(|parts| parts.slot.instant() < *instant);
    let before = home.iter().rev().find(is_before)?;
    let after = home.iter().find(|id| !is_before(id))?;
    Some([before.clone(), after.clone()])
}

fn wanted_choice(choices: Choices<'_>, past: &[Way], id: &str, way: Option<Way>) -> Option<Choice> {
    match way {
        None => choose(choices, past, id),
        Some(way) => choose_way(choices, way, id),
    }
}

fn staging(staging: Result<&Staging, &String>, resource: &ResourceId) -> Result<Staging> {
    staging.cloned().map_err(|why| {
        Error::misconfigured("StagingMissing", format!("{resource} is not drilled: {why}; nothing was done"))
    })
}

fn nothing(resource: &ResourceId, way: Option<Way>) -> Error {
    let of = way.map_or_else(String::new, |way| {
        format!(" in that way ({})", serde_json::to_string(&way).unwrap_or_default().replace('"', ""))
    });
    Error::misconfigured(
        "NothingToRestore",
        format!(
            "{resource} cannot be drilled{of}: there is no verified recovery point and no PITR window for it; nothing was done"
        ),
    )
}

impl Stage {
    /// In a sentence.
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Asked => "asked for",
            Self::Restoring => "being restored",
            Self::Checking => "being checked",
            Self::TearingDown => "being torn down",
        }
    }
}
