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
    let home_region = home.region();
    let (home, recovery) = try_join!(home.manual_snapshots(), recovery.manual_snapshots())?;
    let mut gathered = Gathered::new(marks);
    for (region, snapshots) in [(Region::Home, home), (Region::Recovery, recovery)] {
        for snapshot in snapshots {
            if let Some((id, resource)) = ours(region, home_region, &snapshot) {
                gathered.add(region, &id, &resource, holding(snapshot));
            }
        }
    }
    Ok(gathered.into_lineages())
}

/// Of which resource Tidemark made it; `None` for one that Tidemark did not make, or whose name and tags contradict each other.
fn ours(region: Region, home: &str, snapshot: &Snapshot) -> Option<(RecoveryPointId, ResourceId)> {
    // Whose copies come from elsewhere is another deployment, with plans and holds of its own; a copy at home, or a first snapshot
    // where the copies are, is of one that works the other way round. What is being deleted is there no more.
    let is_in_place = match (region, &snapshot.copied_from) {
        (Region::Home, None) => true,
        (Region::Recovery, Some(source)) => of_region_and_account(source, home, &snapshot.arn),
        _ => false,
    };
    if !is_in_place || snapshot.status == "deleting" {
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

/// Whether an ARN is of that Region, and of the account of another one: `arn:aws:rds:us-east-1:123456789012:snapshot:…`.
fn of_region_and_account(arn: &str, region: &str, other: &str) -> bool {
    let mut parts = arn.split(':').skip(3);
    let account = other.split(':').nth(4);
    parts.next() == Some(region) && account.is_some() && parts.next() == account
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
