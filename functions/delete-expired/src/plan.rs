//! What should be done: pure, so that every case is a test.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    RecoveryPointId, ResourceId, Slot,
    retention::{Decision, Floors, Policy, Region, Tier, Worth},
    tag,
};
use inventory::{Decided, Held, Holding, Judgement, Published, RetentionPlan, What};
use jiff::{SignedDuration, Timestamp};
use rds::Snapshot;
use reconcile::{EntryKey, Error, Plan};

use crate::{
    Ask, NAME,
    act::{Action, Gone, Lock, deleted},
    observe::Observed,
    overdue::{self, NOT_DELETED, Overdue},
};

/// What is kept is locked for so long ahead at least; renewed when no more than that is left.
const LEAST_LOCK: SignedDuration = SignedDuration::from_hours(10 * 24);
const RENEWED: SignedDuration = SignedDuration::from_hours(3 * 24);

/// No tier locks for longer from its slot on: what a plan says by mistake must end some day.
const LONGEST_LOCK: SignedDuration = SignedDuration::from_hours(3_650 * 24);

/// A bucket's default lock is believed to be as long as it says up to here: older objects may have a shorter one.
const LONGEST_DEFAULT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// So many recovery points are locked by one action.
const LOCKS_AT_ONCE: usize = 5;

/// An older plan is not carried out: by then there should be a new one.
pub(crate) const OUTDATED: SignedDuration = SignedDuration::from_hours(36);

/// Decides, in this order: write down what was done, lock and mark what is kept, delete what is expired by the published plan and
/// by a look of now as well.
pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan<Action> {
    let (mut plan, here) = (Plan::empty(), ResourceId::tidemark(NAME));
    for (engine, error) in observed.inventory.unknown() {
        plan.do_without(&format!("{engine}-recovery-points"), error);
    }
    for (lineage, error) in &observed.backup_plans.unknown {
        let error = Error::new(error.kind(), error.code().to_owned(), error.report());
        plan.refuse(&lineage.resource, error);
    }
    let judgements: Vec<Judgement> =
        Judgement::of_all(&observed.inventory, &observed.plans, &observed.backup_plans, now).collect();
    if observed.ask == Ask::CarryOut {
        record(observed, &mut plan, now);
        for judgement in &judgements {
            keep(observed, judgement, &mut plan, now);
        }
    }
    match agreed(observed, now) {
        Ok(published) => expire(observed, &judgements, published, &mut plan, now),
        Err(why) => {
            // What is overdue was not looked for.
            plan.leave(&[NOT_DELETED]);
            match why {
                Why::Not(reason) => plan.settled(&here, reason),
                Why::Refused(error) => plan.refuse(&here, error),
            }
        }
    }
    plan
}

/// Why nothing is deleted.
enum Why {
    Not(String),
    Refused(Error),
}

/// The plan that may be carried out.
fn agreed(observed: &Observed, now: Timestamp) -> Result<&Published, Why> {
    let Some(published) = &observed.published else {
        return Err(Why::Not("there is no retention plan yet".to_owned()));
    };
    let age = now.duration_since(published.plan.made_at);
    if age > OUTDATED {
        let made_at = published.plan.made_at;
        return Err(Why::Not(format!("the newest plan is of {made_at}, too old to be carried out")));
    }
    match published.plan.losses(&observed.inventory).iter().find(|loss| loss.is_large()) {
        Some(loss) => Err(Why::Refused(loss.refusal())),
        None if !observed.is_acknowledged() && observed.ask == Ask::CarryOut => {
            Err(Why::Not("a dry run, because nobody has acknowledged a plan".to_owned()))
        }
        None => Ok(published),
    }
}

/// What one of the last two plans expires, and is gone: a pass was killed before it wrote that down. What the newest one keeps was
/// there after the passes of the other: those did not delete it.
fn record(observed: &Observed, plan: &mut Plan<Action>, now: Timestamp) {
    let Some(newest) = observed.published.as_ref().filter(|_| observed.is_acknowledged()) else { return };
    let points = observed.inventory.known().flat_map(|(_, points)| points);
    let there = points.map(|held| (&held.resource, &held.id));
    let kept = newest.plan.kept().filter(|(_, decided)| decided.since.is_none());
    let kept = kept.map(|(resource, decided)| (resource, &decided.id));
    let mut done: BTreeSet<_> = there.chain(kept).collect();
    let is_known =
        |resource: &ResourceId| observed.inventory.engines.get(&resource.engine).is_some_and(Result::is_ok);
    let recorded: BTreeSet<&str> = observed.recorded.iter().map(filed).collect();
    for published in [newest].into_iter().chain(&observed.before) {
        for (resource, decided) in published.plan.expired_or_unseen() {
            if !is_known(resource) || !done.insert((resource, &decided.id)) {
                continue;
            }
            let entry = deleted(resource, decided, published, &observed.region, now);
            if !recorded.contains(filed(&entry.key())) {
                let gone = Gone { resource: resource.clone(), id: decided.id.clone() };
                let action = Action::Record { gone, entry: Box::new(entry) };
                plan.act(resource, action, format!("{} is gone, as the plan has it", decided.id));
            }
        }
    }
}

/// Where an entry is filed, apart from the day: the deletion of one recovery point is one, under whichever plan it was.
fn filed(key: &EntryKey) -> &str {
    key.as_str().split_once('/').map_or(key.as_str(), |(_, filed)| filed)
}

/// What is kept is locked for as long as its tier asks for, once a person has agreed to plans; a snapshot, which has no lock, says
/// its tier.
fn keep(observed: &Observed, judgement: &Judgement, plan: &mut Plan<Action>, now: Timestamp) {
    let Some(backup_plan) = judgement.plan else { return };
    let (policy, resource) = (backup_plan.policy(), &judgement.lineage.resource);
    let mut locks = Vec::new();
    for (held, decision) in judgement.decisions() {
        let Some(decision) = decision.filter(|decision| decision.is_kept()) else { continue };
        for region in Region::ALL {
            match held.holding(region).filter(|holding| holding.worth == Worth::Verified) {
                Some(Holding { what: What::Snapshots(snapshots), .. }) => {
                    promote(held, region, snapshots, decision.tier(), plan);
                }
                Some(Holding { what: What::Objects(_), made_at, .. }) if observed.is_acknowledged() => {
                    let (made_at, locked) = (*made_at, locked_until(observed, held, region));
                    let believed = locked.unwrap_or(made_at + observed.default_lock().min(LONGEST_DEFAULT));
                    let needed = needed_until(decision, held.slot, &policy).filter(|until| *until > now);
                    let until = match needed {
                        Some(until) => locked.is_none_or(|locked| locked < until).then_some(until),
                        // It outlives its tiers, because nothing newer came, or has none: from week to week.
                        None => (believed < now + RENEWED).then_some(now + LEAST_LOCK),
                    };
                    if let Some(until) = until {
                        locks.push(Lock { id: held.id.clone(), slot: held.slot, region, made_at, until });
                    }
                }
                _ => {}
            }
        }
    }
    // The newest first: what there is of today has no other lock than its bucket's.
    locks.reverse();
    for locks in locks.chunks(LOCKS_AT_ONCE) {
        let reason = format!("{} locks are shorter than they should be, or not known", locks.len());
        plan.act(resource, Action::Lock { resource: resource.clone(), locks: locks.to_vec() }, reason);
    }
}

fn promote(held: &Held, region: Region, snapshots: &[Snapshot], tier: Option<Tier>, plan: &mut Plan<Action>) {
    // Others are failed attempts at the same.
    let (Some(snapshot), Some(tier)) = (snapshots.first(), tier) else { return };
    if snapshot.tags.get(tag::TIER).is_none_or(|there| there != tier.as_str()) {
        let reason = format!("{} fills a tier {}: {}", held.id, region.says(), tier.as_str());
        let action = Action::Promote { region, arn: snapshot.arn.clone(), tier };
        plan.act(&held.resource, action, reason);
    }
}

/// Until when the longest of its tiers keeps it.
fn needed_until(decision: &Decision, slot: Slot, policy: &Policy) -> Option<Timestamp> {
    let until = decision.tiers().filter_map(|tier| tier.kept_until(slot, policy)).max();
    until.map(|until| until.min(slot.instant() + LONGEST_LOCK))
}

/// Deletes what both plans expire, the published one and that of now; the oldest first, and no more than the cap.
fn expire(
    observed: &Observed,
    judgements: &[Judgement],
    published: &Published,
    plan: &mut Plan<Action>,
    now: Timestamp,
) {
    let agreed = decisions(&published.plan);
    let (mut due, mut overdue) = (Vec::new(), Overdue::default());
    for (held, decision) in judgements.iter().flat_map(Judgement::decisions) {
        let (Some(decision), Some(decided)) = (decision, agreed.get(&(&held.resource, &held.id))) else {
            continue;
        };
        if !is_expired(held, decision, published.plan.made_at) {
            plan.settled(&held.resource, format!("{} is kept by a look of now", held.id));
        } else if let Some(until) = not_before(observed, held).filter(|until| *until > now) {
            plan.settled(&held.resource, format!("{} is locked, and looked at again at {until}", held.id));
            overdue.add(
                held,
                overdue::since(observed, held, decided, now),
                Some(format!("it is locked until {until}")),
            );
        } else {
            due.push((held, *decided));
        }
    }
    for (at, (held, decided)) in in_turn(due).into_iter().enumerate() {
        let (resource, since) = (&held.resource, overdue::since(observed, held, decided, now));
        if observed.ask == Ask::DryRun {
            let action = Action::WouldDelete { id: held.id.clone() };
            plan.act(resource, action, decided.why.join("; "));
        } else if at < observed.at_most {
            // One that nothing has stopped so far goes now, however late.
            overdue.add(held, since, observed.locks.stopped_by(resource, &held.id, now).map(str::to_owned));
            let entry = Box::new(deleted(resource, decided, published, &observed.region, now));
            let action = Action::Delete { held: Box::new(held.clone()), entry, is_overdue: since.is_some() };
            plan.act(resource, action, decided.why.join("; "));
        } else {
            let reason = format!("its turn has not come, {} are deleted at a time", observed.at_most);
            plan.wait(resource, format!("{}: {reason}", held.id));
            overdue.add(held, since, Some(reason));
        }
    }
    if observed.default_locks.contains(&None) {
        // Then nobody knows what is overdue.
        plan.leave(&[NOT_DELETED]);
    }
    plan.findings.extend(overdue.findings());
}

/// The oldest of each resource, then the second of each, and so on: what cannot go keeps only its own resource waiting.
fn in_turn<'d>(mut due: Vec<(&'d Held, &'d Decided)>) -> Vec<(&'d Held, &'d Decided)> {
    due.sort_by(|(one, _), (other, _)| (one.slot, &one.id).cmp(&(other.slot, &other.id)));
    let mut turns: BTreeMap<&ResourceId, usize> = BTreeMap::new();
    let mut ranked: Vec<_> = due
        .into_iter()
        .map(|one| {
            let turn = turns.entry(&one.0.resource).or_default();
            *turn += 1;
            (*turn, one)
        })
        .collect();
    ranked.sort_by_key(|(turn, _)| *turn);
    ranked.into_iter().map(|(_, one)| one).collect()
}

fn decisions(plan: &RetentionPlan) -> BTreeMap<(&ResourceId, &RecoveryPointId), &Decided> {
    let kept: BTreeSet<_> = plan.kept().map(|(resource, one)| (resource, &one.id)).collect();
    let expired = plan.expired().map(|(resource, one)| ((resource, &one.id), one));
    // Of a document that says both, the better.
    expired.filter(|(key, _)| !kept.contains(key)).collect()
}

/// Whether it is expired now. One that is only kept because it seems to be unfinished, and was finished when the plan was made, is
/// one whose deletion was begun: nothing has come to it since.
fn is_expired(held: &Held, decision: &Decision, planned_at: Timestamp) -> bool {
    let is_begun = || {
        let newest = [&held.home, &held.recovery].into_iter().flatten().map(|holding| holding.made_at).max();
        let only_pending = Floors::PENDING | Floors::COPIED;
        only_pending.contains(decision.floors)
            && decision.tier().is_none()
            && held.worth() == Worth::Pending
            && newest.is_some_and(|newest| newest < planned_at)
    };
    !decision.is_kept() || is_begun()
}

/// Until when it was seen to be locked there.
fn locked_until(observed: &Observed, held: &Held, region: Region) -> Option<Timestamp> {
    let made_at = held.holding(region)?.made_at;
    observed.locks.until(&held.resource, &held.id, region, made_at)
}

/// Before when it is not worth looking whether it can be deleted: what was seen, and how long new objects are locked.
fn not_before(observed: &Observed, held: &Held) -> Option<Timestamp> {
    let of = |region| {
        let Holding { what: What::Objects(_), made_at, .. } = held.holding(region)? else { return None };
        locked_until(observed, held, region)
            .max(Some(*made_at + observed.default_lock().min(LONGEST_DEFAULT)))
    };
    Region::ALL.into_iter().filter_map(of).max()
}
