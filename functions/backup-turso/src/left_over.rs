//! Branches of our own that nobody tends, because their database is gone or protected no more: pure, and the same for whoever
//! observes and whoever plans.

use std::collections::BTreeMap;

use domain::{BackupPlan, PlanDocument, RecoveryPointId, ResourceId, Slot};
use inventory::Lineage;
use turso::{Current, Database, is_own_branch, own_branch_slot, own_branch_source};

use crate::made::Made;

/// A branch of ours that is left over.
#[derive(Clone, Debug)]
pub(crate) struct LeftOver<'l> {
    pub(crate) branch: &'l Database,
    pub(crate) slot: Slot,
    /// The name and the id of the database that it is of.
    pub(crate) name: &'l str,
    pub(crate) id: &'l str,
    /// That database is not there any more; otherwise no plan names it.
    pub(crate) is_gone: bool,
}

impl LeftOver<'_> {
    pub(crate) fn resource(&self) -> ResourceId {
        ResourceId::turso(self.name)
    }

    pub(crate) fn lineage(&self) -> Lineage {
        Lineage { resource: self.resource(), mark: RecoveryPointId::mark(self.id) }
    }
}

/// The branches that are left over, of those that this deployment can judge.
///
/// Several deployments may share an organization, and a name says of no branch which of them made it. So it takes a word of this
/// one's own: that it made the branch, or a recovery point of the very database that the branch is of. What another one tends, or
/// a person has made under such a name, is neither deleted nor told of.
///
/// One that says of no database that it is of it, or has another name than we would give a branch of that, is not ours. A
/// database that several plans name is refused, and protected all the same. Branches and their sources are in one list: if that
/// fails or is empty, nothing is left over; if it lacks a source, its branches stay until it has lacked it for a week, their
/// databases are verified in both vaults, and Turso was asked for the source by its name.
pub(crate) fn left_over<'l>(
    databases: &'l [Database],
    plans: &PlanDocument,
    current: &Current,
    made: &Made,
) -> Vec<LeftOver<'l>> {
    let by_id: BTreeMap<&str, &Database> = databases.iter().map(|one| (one.id.as_str(), one)).collect();
    let by_name: BTreeMap<&str, &Database> = databases.iter().map(|one| (one.name.as_str(), one)).collect();
    let left = databases.iter().filter(|one| is_own_branch(one)).filter_map(|branch| {
        let parent = branch.parent.as_ref()?;
        // Where Turso tells no id, a database of that name may be it; the mark in the branch's name says whether.
        let source = by_id.get(parent.id.as_str()).or_else(|| by_name.get(parent.name.as_str()));
        if let Some((source, slot)) = source.and_then(|one| Some((one, own_branch_slot(one, branch)?))) {
            let is_protected = plans.iter().any(|plan| is_named(plan, source));
            let (name, id) = (source.name.as_str(), source.id.as_str());
            return (!is_protected).then_some(LeftOver { branch, slot, name, id, is_gone: false });
        }
        let (parent, slot) = own_branch_source(branch)?;
        // One of that id is there, and would make its branches otherwise.
        let is_gone = !by_id.contains_key(parent.id.as_str());
        is_gone.then_some(LeftOver { branch, slot, name: &parent.name, id: &parent.id, is_gone })
    });
    left.filter(|one| made.knows(one.branch) || current.of_incarnation(one.name, one.id).is_some()).collect()
}

/// Whether the plan protects the database.
pub(crate) fn is_named(plan: &BackupPlan, database: &Database) -> bool {
    plan.turso.databases.iter().any(|pattern| pattern.matches(&database.group, &database.name))
}
