//! Branches of databases that a plan protects, and those that were made a moment ago, of whatever.

use std::collections::BTreeMap;

use domain::{BackupPlan, ResourceId, Slot};
use turso::{Database, NewBranch, branch_name, own_branch_slot};

use super::Planner;
use crate::{act::Action, observe::Known};

impl Planner<'_> {
    /// The newest slots have a branch at Turso, where the plan wants that. Older ones go that Tidemark made and nobody can have
    /// written to, and only when that many newer ones of the same kind are there.
    pub(super) fn tend_branches(
        &mut self,
        database: &Database,
        resource: &ResourceId,
        plan: &BackupPlan,
        slot: Slot,
        databases: &[Database],
    ) {
        let Some(keep) = usize::try_from(plan.turso.branches).ok().filter(|keep| *keep > 0) else { return };
        // Without what is known of them none is made, since nobody could say that it is, and none is deleted.
        let Ok(Known { made, .. }) = &self.observed.known else { return };
        let own: BTreeMap<Slot, &Database> = databases
            .iter()
            .filter_map(|branch| Some((own_branch_slot(database, branch)?, branch)))
            .collect();
        if !own.contains_key(&slot) && self.is_branchable(database, slot) {
            let name = branch_name(database, slot);
            let (group, of) = (database.group.clone(), database.name.clone());
            let new = NewBranch { name, group, of, at: slot.instant() };
            self.plan.act(resource, Action::Branch { slot, new }, format!("slot {slot} has no branch"));
        }
        let (untouched, touched): (Vec<&Database>, Vec<&Database>) =
            own.into_values().rev().partition(|branch| made.is_untouched(branch));
        for branch in untouched.into_iter().skip(keep).filter(|branch| !branch.delete_protection) {
            let reason = format!("{keep} newer branches are there than {}", branch.name);
            let action = Action::Unbranch { branch: Box::new(branch.clone()) };
            self.plan.act(resource, action, reason);
        }
        let touched = touched.into_iter().filter(|branch| !made.is_new(branch, self.now));
        let names: Vec<&str> = touched.map(|branch| branch.name.as_str()).collect();
        if !names.is_empty() {
            let reason = "open to writes, or was: somebody may have taken it into use";
            self.plan.settled(resource, format!("stays, because it is {reason}: {}", names.join(", ")));
        }
    }

    /// Turso does not tell since when a database exists. One with an older recovery point did at its newest slot; in a new one's
    /// first slot it may not have, and no branch begins before its source.
    fn is_branchable(&self, database: &Database, slot: Slot) -> bool {
        let window = self.observed.organization.as_ref().map(turso::Organization::pitr_window);
        let is_within = window.is_some_and(|window| self.now.duration_since(slot.instant()) < window);
        let existed = self.points(database).any(|point| point.slot < slot);
        is_within && existed && !database.archived
    }

    /// Closes the branches to writes whose making was cut off before that, and writes down what became of all.
    pub(super) fn close_new_branches(
        &mut self,
        here: &ResourceId,
        databases: &[Database],
        Known { made, .. }: &Known,
    ) {
        for branch in databases.iter().filter(|one| made.is_new(one, self.now) && !one.block_writes) {
            let action = Action::Close { branch: Box::new(branch.clone()) };
            self.plan.act(here, action, format!("{} was made, and is open to writes", branch.name));
        }
        let changes = made.changes(databases, self.now);
        if !changes.is_empty() {
            let reason = format!("{} branches are not as they were", changes.len());
            self.plan.act(here, Action::NoteBranches { changes }, reason);
        }
    }
}
