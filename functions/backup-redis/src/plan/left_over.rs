//! What becomes of snapshots whose cache is gone, or under no backup plan any more.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use domain::{Finding, RecoveryPointId, ResourceId, Severity, retention::Region, tag};
use inventory::Marks;
use jiff::SignedDuration;
use redis::elasticache::{SnapshotState, ensure};

use super::{Planner, Work, caches::is_failed};
use crate::{
    act::Action,
    intake::Intake,
    left_over::{LeftOver, left_over},
};

/// Whoever ended the protection by mistake still has the snapshot for so long: it restores faster than the vault does.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Nobody tends what is left of a resource, and the vault does not have it.
const STRANDED: &str = "left-over-stranded";

/// How many names a finding tells.
const NAMED: usize = 5;

impl<'o> Planner<'o> {
    /// What is left over goes once it is a week old and verified in both vaults. What is not in the vault never goes: it may be
    /// the last state of its cache. It is brought there, where that can be done, and otherwise told of.
    ///
    /// `tended` are the resources that are protected, or should be: under their names others are at work.
    pub(super) fn tend_left_over(&mut self, tended: &BTreeSet<ResourceId>) {
        let observed = self.observed;
        // Without any of these nobody knows what is left over, or what the vaults have of it. That was said already.
        let (Ok(live), Ok(_)) = (&observed.live, &observed.away) else { return };
        let marks = match &observed.marks {
            Ok(marks) => marks,
            Err(error) => return self.plan.miss("marks", error, &[STRANDED]),
        };
        let mut unkept: BTreeMap<ResourceId, Vec<LeftOver<'o>>> = BTreeMap::new();
        // Of a day that was not listed nobody knows what the vault has.
        for one in left_over(live).into_iter().filter(|one| observed.days.contains(&one.slot.utc_date())) {
            let is_kept = observed.home.get(&one.id).is_some_and(|point| point.completed().is_some());
            if !is_kept || is_doubted(marks, &one) {
                unkept.entry(one.resource.clone()).or_default().push(one);
            } else if self.copied(&one.id) {
                self.release(&one, marks);
            }
        }
        for (resource, mut left) in unkept {
            // The newest first: it is the likeliest to be the cache's last state.
            left.sort_by_key(|one| Reverse(one.slot));
            if !tended.contains(&resource) {
                self.go_on_with(&resource, &mut left);
            }
            self.find_stranded(&resource, &left);
        }
    }

    /// Deletes what the vaults of both Regions have, once it is old enough and nobody holds it.
    fn release(&mut self, one: &LeftOver<'_>, marks: &Marks) {
        let LeftOver { snapshot, id, resource, slot, .. } = one;
        let age = self.now.duration_since(snapshot.created.unwrap_or(slot.instant()));
        let is_held = marks.is_held(resource, id) || snapshot.tags.contains_key(tag::LEGAL_HOLD);
        if is_held || age < KEPT || snapshot.state() != SnapshotState::Available {
            let reason = if is_held { "is held" } else { "stays for a week" };
            return self.plan.settled(resource, format!("{id} is left over, and {reason}"));
        }
        let why = why(one);
        let reason = format!("{why}, and {id} is {} hours old and in both vaults", age.as_hours());
        let action = Action::Delete { resource: resource.clone(), snapshot: Box::new((*snapshot).clone()) };
        self.plan.act(resource, action, reason);
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
            "{}. Of what Tidemark left of it at ElastiCache, the vault has no verified recovery point of {}{more}: that may be its \
             last state, and stays.",
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

/// Whether a later look found the recovery point damaged in either Region: then the snapshot may be better than it.
fn is_doubted(marks: &Marks, one: &LeftOver<'_>) -> bool {
    Region::ALL.into_iter().any(|region| marks.is_doubted(&one.resource, &one.id, region))
}

fn why(one: &LeftOver<'_>) -> String {
    match one.cache {
        Some(cache) => format!("the cache is under no backup plan any more ({})", tag::absence(&cache.tags)),
        None => "the cache is gone".to_owned(),
    }
}
