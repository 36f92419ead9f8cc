//! What becomes of snapshots whose cache is gone, or under no backup plan any more.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use domain::{Finding, RecoveryPointId, ResourceId, Severity, tag};
use inventory::{Kept, LeftOverSince, Marks};
use reconcile::EntryKey;
use redis::elasticache::{SnapshotState, ensure};
use vault::Listed;

use super::{Planner, Work, again, caches::is_failed};
use crate::{
    act::{Action, entry},
    intake::Intake,
    left_over::{LeftOver, left_over},
    observe::Evidence,
};

/// Nobody tends what is left of a resource, and the vault does not have it.
const STRANDED: &str = "left-over-stranded";

/// How many names a finding tells.
const NAMED: usize = 5;

impl<'o> Planner<'o> {
    /// What is left over goes once it has been that for a week, if both vaults have it, or a later state of the same cache. What they
    /// do not have never goes: it may be the last state of its cache. It is brought there, where that can be done, and
    /// otherwise told of.
    ///
    /// `tended` are the resources that are protected, or should be: under their names others are at work.
    pub(super) fn tend_left_over(&mut self, tended: &BTreeSet<ResourceId>) {
        let observed = self.observed;
        // Without that nobody knows what is left over. That was said already.
        let Ok(live) = &observed.live else { return };
        let mut left = left_over(live);
        left.sort_by_key(|one| Reverse(one.slot));
        let (since, evidence) = match (&observed.since, &observed.evidence) {
            (Ok(since), Ok(evidence)) => (since, evidence),
            (Err(error), _) | (_, Err(error)) => return self.plan.miss("left-over", error, &[STRANDED]),
        };
        self.remember(&left, since);
        if observed.away.is_err() {
            return;
        }
        let mut unkept: BTreeMap<ResourceId, Vec<LeftOver<'o>>> = BTreeMap::new();
        // Of a day that was not listed nobody knows what the vault has.
        for one in left.into_iter().filter(|one| observed.days.contains(&one.slot.utc_date())) {
            match self.kept(&one, evidence) {
                Kept::Twice => self.release(&one, since, &evidence.marks),
                Kept::Once => {
                    let reason = format!("{} is left over, and not in both vaults yet", one.id);
                    self.plan.settled(&one.resource, reason);
                }
                Kept::No => unkept.entry(one.resource.clone()).or_default().push(one),
            }
        }
        for (resource, left) in unkept {
            self.tend_unkept(&resource, left, tended.contains(&resource), &evidence.marks);
        }
    }

    /// Since when something is left over of which cache.
    fn remember(&mut self, left: &[LeftOver<'_>], since: &LeftOverSince) {
        let lineages: BTreeSet<_> = left.iter().map(LeftOver::lineage).collect();
        if let Some(next) = since.next(&lineages, self.now) {
            let here = ResourceId::tidemark("backup-redis");
            let reason = "other caches have snapshots left over than before";
            self.plan.act(&here, Action::NoteLeftOver { since: next }, reason);
        }
    }

    /// What the vaults have of its cache that is as late as the snapshot: its own recovery point, or a later one.
    fn kept(&self, one: &LeftOver<'_>, evidence: &Evidence) -> Kept {
        let Ok(away) = &self.observed.away else { return Kept::No };
        let points = self.observed.home.values().chain(evidence.home.values());
        let as_late = points.filter(|point| point.slot >= one.slot && one.is_of(&point.resource, &point.id));
        let copy_of = |id: &RecoveryPointId| away.get(id).or_else(|| evidence.away.get(id));
        Kept::of(as_late.map(|point: &Listed| (point, copy_of(&point.id))), &evidence.marks)
    }

    /// Deletes what the vaults of both Regions have, once it has been left over for long enough and nobody holds it.
    fn release(&mut self, one: &LeftOver<'_>, since: &LeftOverSince, marks: &Marks) {
        let LeftOver { snapshot, id, resource, .. } = one;
        let stays = if is_held(one, marks) {
            Some("is held")
        } else if !since.is_over(&one.lineage(), one.made_at(), self.now) {
            Some("stays for a week")
        } else if snapshot.state() != SnapshotState::Available {
            Some("cannot be deleted as it is")
        } else {
            None
        };
        if let Some(stays) = stays {
            let reason = format!("{id} ({}) is left over, and {stays}", snapshot.status);
            return self.plan.settled(resource, reason);
        }
        let reason = format!("{}, and both vaults have it as late as {id}", why(one));
        let action = Action::Delete { resource: resource.clone(), snapshot: Box::new((*snapshot).clone()) };
        self.plan.act(resource, action, reason);
    }

    /// Of the snapshots that the vaults do not have, the newest first: those of which something can be made are brought there or
    /// told of.
    fn tend_unkept(
        &mut self,
        resource: &ResourceId,
        left: Vec<LeftOver<'o>>,
        is_tended: bool,
        marks: &Marks,
    ) {
        // Whether the vault once had it is not known, nor what failed: that was said already, and ends no finding.
        if self.observed.recorded.is_err() {
            return;
        }
        let mut rest = Vec::new();
        for one in left {
            let why = if is_failed(one.snapshot) {
                "holds nothing"
            } else if self.was_let_go(&one) {
                "was in the vault, and retention has let it go there"
            } else {
                rest.push(one);
                continue;
            };
            let reason = format!("{} ({}) is left over, and {why}", one.id, one.snapshot.status);
            self.plan.settled(resource, reason);
        }
        if !is_tended {
            if let Some(Err(error)) = self.observed.intakes.get(resource) {
                // One of them may be on its way.
                self.plan.leave_resource(resource);
                return self.plan.refuse(resource, again(error));
            }
            self.go_on_with(resource, &mut rest);
        }
        let (held, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|one| is_held(one, marks));
        for one in held {
            self.plan.settled(resource, format!("{} is left over, and is held", one.id));
        }
        self.find_stranded(resource, &rest);
    }

    /// Whether its recovery point was completed once, and its manifest is in the vault no more.
    fn was_let_go(&self, one: &LeftOver<'_>) -> bool {
        let Ok(recorded) = &self.observed.recorded else { return false };
        let (resource, region) = (one.resource.clone(), &self.observed.region);
        let completed: EntryKey =
            entry("recovery-point-completed", resource, one.slot, region, &one.id, self.now).key();
        recorded.contains(&completed) && !self.is_completed(&one.id)
    }

    /// Brings one snapshot of the resource into the vault, if there is one of which all is known that a manifest has to say.
    /// One at a time: all share one document. What can be brought there later is no more among `left`.
    fn go_on_with(&mut self, resource: &ResourceId, left: &mut Vec<LeftOver<'o>>) {
        let Some(Ok((intake, version))) = self.observed.intakes.get(resource) else { return };
        let begun = |id: &RecoveryPointId| intake.as_ref().filter(|intake| intake.id == *id);
        let can = |one: &LeftOver<'_>| {
            let is_known =
                begun(&one.id).is_some() || one.cache.is_some_and(|cache| ensure::exportable(cache).is_ok());
            let has_failed = is_failed(one.snapshot) || self.failure(resource, &one.id, one.slot).is_some();
            is_known && !has_failed && !self.is_completed(&one.id)
        };
        let (mut can, cannot): (Vec<_>, Vec<_>) = std::mem::take(left).into_iter().partition(can);
        *left = cannot;
        // What was begun is finished first.
        can.sort_by_key(|one| begun(&one.id).is_none());
        let Some(one) = can.first() else { return };
        let work = Work {
            id: one.id.clone(),
            slot: one.slot,
            attempt: one.id.parts().map_or(1, |parts| parts.attempt),
            intake: intake.clone(),
            version: version.clone(),
        };
        match (begun(&one.id), one.cache) {
            (Some(intake), _) if self.is_ready(intake) => self.take_in(intake.clone(), work),
            (Some(intake), cache) => self.bring_in(cache, one.snapshot, intake.clone(), work),
            (None, Some(cache)) => {
                let plan = one.snapshot.tags.get(tag::PLAN).cloned().unwrap_or_default();
                let asked = self.requested_at(one.snapshot);
                let new = Intake::new(&work.id, resource, (&cache.incarnation, &plan), one.slot, asked);
                self.bring_in(Some(cache), one.snapshot, new, work);
            }
            (None, None) => {}
        }
    }

    fn find_stranded(&mut self, resource: &ResourceId, left: &[LeftOver<'_>]) {
        let Some(newest) = left.first() else { return };
        let named = |one: &LeftOver<'_>| match one.snapshot.status.as_str() {
            "available" => one.id.to_string(),
            status => format!("{} ({status})", one.id),
        };
        let names: Vec<String> = left.iter().take(NAMED).map(named).collect();
        let more = match left.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let says = format!(
            "{}. Of what Tidemark left of it at ElastiCache, the vaults have neither {}{more} nor a later state, verified in both: \
             that may be its last one, and stays.",
            why(newest),
            names.join(", ")
        );
        let next = format!(
            "Restore it from {} or export that, if anybody may want it; then delete it by hand. If the cache should be protected, \
             tag it {} again.",
            newest.id,
            tag::PLAN
        );
        self.plan.find(Finding::new(resource, STRANDED, Severity::Warning, self.now, says, next));
    }
}

/// By its recovery point, or by its own tag.
fn is_held(one: &LeftOver<'_>, marks: &Marks) -> bool {
    marks.is_held(&one.resource, &one.id) || one.snapshot.tags.contains_key(tag::LEGAL_HOLD)
}

fn why(one: &LeftOver<'_>) -> String {
    match one.cache {
        Some(cache) => format!("the cache is under no backup plan any more ({})", tag::absence(&cache.tags)),
        None => "the cache is gone".to_owned(),
    }
}
