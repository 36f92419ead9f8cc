use domain::{RecoveryPointId, RecoveryPointState, ResourceId, Slot, retention::Worth, tag};
use futures::try_join;
use rds::{Rds, Snapshot};
use reconcile::Result;

use crate::{
    Lineages, Marks,
    held::{Gathered, Holding, Region, What},
};

/// The snapshots of ours in both Regions: one call for each 100.
pub(crate) async fn observe(home: &impl Rds, recovery: &impl Rds, marks: &Marks) -> Result<Lineages> {
    let (home, recovery) = try_join!(home.manual_snapshots(), recovery.manual_snapshots())?;
    let mut gathered = Gathered::new(marks);
    for (region, snapshots) in [(Region::Home, home), (Region::Recovery, recovery)] {
        for snapshot in snapshots {
            if let Some((id, resource)) = ours(&snapshot) {
                gathered.add(region, &id, &resource, holding(snapshot));
            }
        }
    }
    Ok(gathered.into_lineages())
}

/// Of which resource Tidemark made it; `None` for one that Tidemark did not make, or whose name and tags contradict each other.
fn ours(snapshot: &Snapshot) -> Option<(RecoveryPointId, ResourceId)> {
    let id = RecoveryPointId::from(snapshot.id.as_str());
    let parts = id.parts()?;
    let resource = ResourceId::rds(snapshot.tags.get(tag::RESOURCE)?.strip_prefix("rds/")?);
    let slot = Slot::at(snapshot.tags.get(tag::SLOT)?.parse().ok()?);
    let agrees = parts.resource == resource.name.to_lowercase() && parts.slot == slot;
    agrees.then(|| (id.clone(), resource))
}

fn holding(snapshot: Snapshot) -> Holding {
    let worth = match snapshot.state() {
        RecoveryPointState::Completed => Worth::Verified,
        RecoveryPointState::Pending => Worth::Pending,
        RecoveryPointState::Failed => Worth::Failed,
    };
    let asked = || snapshot.tags.get(tag::REQUESTED_AT)?.parse().ok();
    // One of which nobody knows since when it exists has just been made, as far as deleting it goes.
    let made_at = snapshot.created.or_else(asked).unwrap_or(jiff::Timestamp::MAX);
    Holding { worth, made_at, what: What::Snapshot(Box::new(snapshot)) }
}
