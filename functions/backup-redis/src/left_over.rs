//! Snapshots of our own that nobody tends, because their cache is gone or under no backup plan any more: pure, and the same
//! for whoever observes and whoever plans.

use domain::{Engine, RecoveryPointId, ResourceId, Slot, tag};
use inventory::Lineage;
use jiff::Timestamp;
use redis::elasticache::{Cache, Snapshot};

use crate::observe::Live;

/// A snapshot of ours that is left over.
#[derive(Clone, Debug)]
pub(crate) struct LeftOver<'l> {
    pub(crate) snapshot: &'l Snapshot,
    pub(crate) id: RecoveryPointId,
    pub(crate) slot: Slot,
    pub(crate) resource: ResourceId,
    /// What stands for its cache's incarnation in the names of recovery points.
    pub(crate) mark: String,
    /// Its cache, where that is still there and merely protected no more.
    pub(crate) cache: Option<&'l Cache>,
}

impl LeftOver<'_> {
    pub(crate) fn lineage(&self) -> Lineage {
        Lineage { resource: self.resource.clone(), mark: self.mark.clone() }
    }

    pub(crate) fn made_at(&self) -> Timestamp {
        self.snapshot.created.unwrap_or(self.slot.instant())
    }

    /// Whether a recovery point is of the very cache that the snapshot is of.
    pub(crate) fn is_of(&self, resource: &ResourceId, id: &RecoveryPointId) -> bool {
        *resource == self.resource && id.parts().is_some_and(|parts| parts.mark == self.mark)
    }
}

/// The snapshots that are left over, in the order in which they were listed.
///
/// A cache is protected as long as its owner's tag names a plan, whether or not there is such a plan: a plan that was
/// misspelt, or fell out of the document, is refused aloud and ends nothing. One that was made anew under the name of
/// another does not protect what is left of that.
///
/// The lists may lie. One that fails is an error, and nobody comes here. If the index of tags has nothing, no snapshot is
/// known to be ours either. If caches are missing, or all of them, what is judged left over here by mistake stays all the same
/// until it has been missing for a week, and is verified in both vaults: so no list, however wrong, costs anything that could
/// be restored. That the index of tags lags behind costs no more than that.
pub(crate) fn left_over(live: &Live) -> Vec<LeftOver<'_>> {
    let ours = live.snapshots.iter().filter_map(|snapshot| {
        let (id, slot, resource) = ours(snapshot)?;
        let mark = id.parts()?.mark.to_owned();
        let cache = live
            .caches
            .iter()
            .find(|cache| cache.name == snapshot.cache && RecoveryPointId::mark(&cache.incarnation) == mark);
        let is_protected = cache.is_some_and(|cache| tag::plan(&cache.tags).is_some());
        (!is_protected).then_some(LeftOver { snapshot, id, slot, resource, mark, cache })
    });
    ours.collect()
}

/// Of which slot of which cache a snapshot is, if its name and its tag agree that it is ours.
fn ours(snapshot: &Snapshot) -> Option<(RecoveryPointId, Slot, ResourceId)> {
    let id = RecoveryPointId::from(snapshot.name.as_str());
    let parts = id.parts()?;
    let resource = ResourceId::try_from(snapshot.tags.get(tag::RESOURCE)?.clone()).ok()?;
    let agree = resource.engine == Engine::Redis
        && resource.name == snapshot.cache
        && parts.resource == resource.name.to_lowercase();
    let slot = parts.slot;
    agree.then_some((id, slot, resource))
}
