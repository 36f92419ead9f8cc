use domain::{
    RecoveryPointId, RecoveryPointState, ResourceId, Slot,
    retention::{Region, Worth},
    tag,
};
use futures::try_join;
use rds::{Rds, Snapshot};
use reconcile::Result;

use crate::{
    Lineages, Marks,
    held::{Gathered, Holding, What},
};

/// The recovery points of RDS: the snapshots of ours in both Regions, in one call for each 100.
pub async fn observe(home: &impl Rds, recovery: &impl Rds, marks: &Marks) -> Result<Lineages> {
    let (home, recovery) = try_join!(home.manual_snapshots(), recovery.manual_snapshots())?;
    let mut gathered = Gathered::new(marks);
    for (region, snapshots) in [(Region::Home, home), (Region::Recovery, recovery)] {
        for snapshot in snapshots {
            if let Some((id, resource)) = ours(region, &snapshot) {
                gathered.add(region, &id, &resource, holding(snapshot));
            }
        }
    }
    Ok(gathered.into_lineages())
}

/// Of which resource Tidemark made it; `None` for one that Tidemark did not make, or whose name and tags contradict each other.
fn ours(region: Region, snapshot: &Snapshot) -> Option<(RecoveryPointId, ResourceId)> {
    // A copy at home, or a first snapshot where the copies are, comes from a deployment that works the other way round. What
    // is being deleted is there no more.
    let is_copy = snapshot.copied_from.is_some();
    if is_copy != (region == Region::Recovery) || snapshot.status == "deleting" {
        return None;
    }
    let (name, _) = RecoveryPointId::copied(&snapshot.id);
    let id = RecoveryPointId::from(name);
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
    Holding { worth, made_at, what: What::Snapshots(vec![snapshot]) }
}
