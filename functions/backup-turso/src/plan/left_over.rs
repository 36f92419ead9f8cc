//! What becomes of branches whose database is gone, or protected no more.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use domain::{Finding, RecoveryPointId, ResourceId, Severity};
use inventory::{GRACE, Kept, LeftOverSince};
use jiff::SignedDuration;
use turso::Database;
use vault::Listed;

use super::Planner;
use crate::{
    act::Action,
    attempt,
    left_over::{LeftOver, left_over},
    observe::{Evidence, Known},
};

/// Nobody tends what is left of a database, and it is not deleted.
pub(super) const STRANDED: &str = "left-over-stranded";

/// How many names a finding tells.
const NAMED: usize = 5;

/// What stays of one database, the newest first, and why.
#[derive(Default)]
struct Stranded<'o> {
    /// The vaults do not have it as late.
    unkept: Vec<LeftOver<'o>>,
    /// Somebody may have written to it.
    touched: Vec<LeftOver<'o>>,
}

impl<'o> Planner<'o> {
    /// A branch that is left over goes once it has been that for a week, if both vaults have its database, verified, as late as the
    /// branch, and nobody can have written to it. Without that it never goes, and is told of.
    pub(super) fn tend_left_over(
        &mut self,
        here: &ResourceId,
        databases: &'o [Database],
        Known { made, since }: &'o Known,
    ) {
        let observed = self.observed;
        let mut left = left_over(databases, &observed.plans, &observed.current, made);
        left.retain(|one| !made.is_new(one.branch, self.now));
        left.sort_by_key(|one| Reverse(one.slot));
        if !left.is_empty() && observed.plans.iter().all(|plan| plan.turso.databases.is_empty()) {
            return self.find_forsaken(here, &left);
        }
        self.remember(here, &left, since);
        if left.is_empty() {
            return;
        }
        let evidence = match &observed.evidence {
            Ok(evidence) => evidence,
            Err(error) => return self.plan.miss("branches", error, &[STRANDED]),
        };
        let mut stranded: BTreeMap<ResourceId, Stranded<'o>> = BTreeMap::new();
        let (untouched, touched): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|one| made.is_untouched(one.branch));
        for one in touched {
            stranded.entry(one.resource()).or_default().touched.push(one);
        }
        // Of a day that was not listed nobody knows what the vault has.
        for one in untouched.into_iter().filter(|one| evidence.days.contains(&one.slot.utc_date())) {
            match self.kept(&one, evidence) {
                Kept::Twice => self.release(&one, evidence, since),
                // For so long somebody is at it, and then nobody.
                Kept::Once if self.age(&one) < GRACE => {}
                Kept::Once | Kept::No => stranded.entry(one.resource()).or_default().unkept.push(one),
            }
        }
        for (resource, left) in stranded {
            self.find_stranded(&resource, &left);
        }
    }

    /// Since when something is left over of which database.
    fn remember(&mut self, here: &ResourceId, left: &[LeftOver<'_>], since: &LeftOverSince) {
        let lineages: BTreeSet<_> = left.iter().map(LeftOver::lineage).collect();
        if let Some(next) = since.next(&lineages, self.now) {
            let reason = "other databases have branches left over than before";
            self.plan.act(here, Action::NoteLeftOver { since: next }, reason);
        }
    }

    fn age(&self, one: &LeftOver<'_>) -> SignedDuration {
        self.now.duration_since(one.slot.instant())
    }

    /// A recovery point of an earlier slot is not enough, unless nothing was written between the two.
    fn kept(&self, one: &LeftOver<'_>, evidence: &Evidence) -> Kept {
        let (resource, mark) = (one.resource(), RecoveryPointId::mark(one.id));
        let current = self.observed.current.of_incarnation(one.name, one.id);
        let current = current.filter(|current| current.current_as_of >= one.slot.instant());
        let is_as_late =
            |point: &Listed| point.slot >= one.slot || current.is_some_and(|current| current.id == point.id);
        let points = evidence.home.iter().filter(|point| {
            point.resource == resource
                && point.id.parts().is_some_and(|parts| parts.mark == mark)
                && is_as_late(point)
        });
        let copy_of = |point: &Listed| {
            evidence.away.iter().find(|copy| copy.id == point.id && copy.resource == point.resource)
        };
        Kept::of(points.map(|point| (point, copy_of(point))), &evidence.marks)
    }

    /// Deletes what the vaults have, once it has been left over for long enough and nobody holds it.
    fn release(&mut self, one: &LeftOver<'_>, evidence: &Evidence, since: &LeftOverSince) {
        let (resource, name) = (one.resource(), &one.branch.name);
        let mut ids = attempt::ids_of(one.name, one.id, one.slot);
        let is_held = ids.any(|id| evidence.marks.is_held(&resource, &id));
        let is_over = since.is_over(&one.lineage(), one.slot.instant(), self.now);
        if is_held || one.branch.delete_protection || !is_over {
            let reason = if is_over { "is held" } else { "stays for a week" };
            return self.plan.settled(&resource, format!("{name} is left over, and {reason}"));
        }
        let reason = format!("{}, and both vaults have it as late as {name}", why(one));
        let action = Action::RemoveLeftOver { branch: Box::new(one.branch.clone()), is_gone: one.is_gone };
        self.plan.act(&resource, action, reason);
    }

    fn find_stranded(&mut self, resource: &ResourceId, Stranded { unkept, touched }: &Stranded<'_>) {
        let Some(one) = unkept.first().or(touched.first()) else { return };
        let told: Vec<[String; 2]> = tell_unkept(unkept).into_iter().chain(tell_touched(touched)).collect();
        let join = |which: fn(&[String; 2]) -> &str| told.iter().map(which).collect::<Vec<_>>().join(" ");
        let says = format!("{}. {}", why(one), join(|[says, _]| says));
        let next = join(|[_, next]| next);
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

/// What is wrong with what the vaults do not have as late, and the next step.
fn tell_unkept(left: &[LeftOver<'_>]) -> Option<[String; 2]> {
    let name = &left.first()?.branch.name;
    let says = format!(
        "Of its branches at Turso that Tidemark made, both vaults do not have a verified recovery point as late as {}: that may be \
         its last state, and stays.",
        names(left)
    );
    let next = format!(
        "Restore it from {name}, or keep that elsewhere (`turso db export {name}`), if anybody may want it; then delete the branch \
         by hand. If the database should be protected, name it in a plan again."
    );
    Some([says, next])
}

/// The same of what somebody may have written to.
fn tell_touched(left: &[LeftOver<'_>]) -> Option<[String; 2]> {
    let name = &left.first()?.branch.name;
    let is_open = left.iter().all(|one| !one.branch.block_writes);
    let why = if is_open { "it is open to writes" } else { "it is open to writes, or was" };
    let says =
        format!("Because {why}, so that somebody may have taken it into use, this stays: {}.", names(left));
    let next = format!(
        "If {name} is in use, have it under a name of your own, which a plan can name (`turso db create <name> --from-db {name}`): \
         under this one it is not backed up. If it is not, delete it by hand (`turso db destroy {name}`)."
    );
    Some([says, next])
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
