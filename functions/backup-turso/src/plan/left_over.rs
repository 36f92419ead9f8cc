//! What becomes of branches whose database is gone, or protected no more.

use std::{cmp::Reverse, collections::BTreeMap};

use domain::{Finding, RecoveryPointId, ResourceId, Severity, retention::Region};
use jiff::SignedDuration;
use turso::Database;
use vault::Listed;

use super::Planner;
use crate::{
    act::Action,
    attempt,
    left_over::{LeftOver, left_over},
    observe::Evidence,
};

/// Whoever ended the protection by mistake still has the branch for so long: it is there at once, and the vault's copy is not.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Nobody tends what is left of a database, and it is not deleted.
const STRANDED: &str = "left-over-stranded";

/// How many names a finding tells.
const NAMED: usize = 5;

/// What the vaults have of a database, as late as one of its branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kept {
    /// No recovery point: the branch may be its last state.
    No,
    /// It is verified at home, and on its way to the other Region.
    Once,
    /// A recovery point, verified in both Regions.
    Twice,
}

impl<'o> Planner<'o> {
    /// A branch that is left over goes once it is a week old and both vaults have its database, verified, as late as the branch.
    /// Without that it never goes, and is told of.
    pub(super) fn tend_left_over(&mut self, here: &ResourceId, databases: &'o [Database]) {
        let observed = self.observed;
        let left = left_over(databases, &observed.plans);
        if left.is_empty() {
            return;
        }
        if observed.plans.iter().all(|plan| plan.turso.databases.is_empty()) {
            return self.find_forsaken(here, &left);
        }
        let evidence = match &observed.evidence {
            Ok(evidence) => evidence,
            Err(error) => return self.plan.miss("branches", error, &[STRANDED]),
        };
        let mut stranded: BTreeMap<ResourceId, Vec<LeftOver<'o>>> = BTreeMap::new();
        // Of a day that was not listed nobody knows what the vault has.
        for one in left.into_iter().filter(|one| evidence.days.contains(&one.slot.utc_date())) {
            match self.kept(&one, evidence) {
                Kept::Twice => self.release(&one, evidence),
                // For so long somebody is at it, and then nobody.
                Kept::Once if self.age(&one) < KEPT => {}
                Kept::Once | Kept::No => stranded.entry(one.resource()).or_default().push(one),
            }
        }
        for (resource, mut left) in stranded {
            left.sort_by_key(|one| Reverse(one.slot));
            self.find_stranded(&resource, &left);
        }
    }

    fn age(&self, one: &LeftOver<'_>) -> SignedDuration {
        self.now.duration_since(one.slot.instant())
    }

    /// A recovery point of an earlier slot is not enough, unless nothing was written between the two.
    fn kept(&self, one: &LeftOver<'_>, evidence: &Evidence) -> Kept {
        let (resource, mark) = (one.resource(), RecoveryPointId::mark(one.id));
        let current = self.observed.current.databases.get(one.name);
        let current = current
            .filter(|current| current.incarnation == one.id && current.current_as_of >= one.slot.instant());
        let is_as_late =
            |point: &Listed| point.slot >= one.slot || current.is_some_and(|current| current.id == point.id);
        let is_doubted = |id: &RecoveryPointId| {
            Region::ALL.into_iter().any(|region| evidence.marks.is_doubted(&resource, id, region))
        };
        let points = super::whole(&evidence.home).filter(|point| {
            point.resource == resource
                && point.id.parts().is_some_and(|parts| parts.mark == mark)
                && is_as_late(point)
                && !is_doubted(&point.id)
        });
        let is_copied = |point: &Listed| {
            let of_it = |copy: &&Listed| copy.id == point.id && copy.resource == point.resource;
            super::whole(&evidence.away).find(of_it).is_some_and(|copy| point.is_held_by(copy))
        };
        points.map(|point| if is_copied(point) { Kept::Twice } else { Kept::Once }).max().unwrap_or(Kept::No)
    }

    /// Deletes what the vaults have, once it is old enough and nobody holds it.
    fn release(&mut self, one: &LeftOver<'_>, evidence: &Evidence) {
        let (resource, name) = (one.resource(), &one.branch.name);
        let mut ids = attempt::ids_of(one.name, one.id, one.slot);
        let is_held = ids.any(|id| evidence.marks.is_held(&resource, &id));
        let age = self.age(one);
        if is_held || one.branch.delete_protection || age < KEPT {
            let reason = if age < KEPT { "stays for a week" } else { "is held" };
            return self.plan.settled(&resource, format!("{name} is left over, and {reason}"));
        }
        let reason = format!("{}, and both vaults have it as late as {name}", why(one));
        let action = Action::RemoveLeftOver { branch: Box::new(one.branch.clone()), is_gone: one.is_gone };
        self.plan.act(&resource, action, reason);
    }

    fn find_stranded(&mut self, resource: &ResourceId, left: &[LeftOver<'_>]) {
        let Some(newest) = left.first() else { return };
        let says = format!(
            "{}. Of its branches at Turso that Tidemark made, both vaults do not have a verified recovery point as late as {}: that \
             may be its last state, and stays.",
            why(newest),
            names(left)
        );
        let name = &newest.branch.name;
        let next = format!(
            "Restore it from {name}, or keep that elsewhere (`turso db export {name}`), if anybody may want it; then delete the \
             branch by hand. If the database should be protected, name it in a plan again."
        );
        self.plan.find(Finding::new(resource, STRANDED, Severity::Warning, self.now, says, next));
    }

    /// What is protected stands in one document, and no database is: that may be meant, or a slip. Nothing goes for it.
    fn find_forsaken(&mut self, here: &ResourceId, left: &[LeftOver<'_>]) {
        let says = format!(
            "No plan names any Turso database any more, and branches are there that Tidemark made: {}. They stay, since that may \
             be a slip.",
            names(left)
        );
        let next = "Name the databases in turso.databases of a plan; if that is not meant, delete the branches by hand \
                    (`turso db destroy`).";
        self.plan.find(Finding::new(here, STRANDED, Severity::Warning, self.now, says, next));
    }
}

fn names(left: &[LeftOver<'_>]) -> String {
    let names: Vec<&str> = left.iter().take(NAMED).map(|one| one.branch.name.as_str()).collect();
    match left.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn why(one: &LeftOver<'_>) -> &'static str {
    if one.is_gone { "the database is gone" } else { "no plan names the database any more" }
}
