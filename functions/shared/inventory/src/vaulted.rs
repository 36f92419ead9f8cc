use domain::{Engine, retention::Worth};
use futures::try_join;
use jiff::Timestamp;
use reconcile::Result;
use vault::{Listed, Store, list_all};

use crate::{
    Lineages, Marks,
    held::{Gathered, Holding, Region, What},
};

/// The recovery points in the vaults of both Regions: one call for each 1,000 objects.
pub(crate) async fn observe(
    engine: Engine,
    vault: &impl Store,
    recovery_vault: &impl Store,
    marks: &Marks,
) -> Result<Lineages> {
    let (home, recovery) = try_join!(list_all(vault, engine), list_all(recovery_vault, engine))?;
    let mut gathered = Gathered::new(marks);
    for (region, points) in [(Region::Home, home), (Region::Recovery, recovery)] {
        for point in points {
            let (id, resource) = (point.id.clone(), point.resource.clone());
            gathered.add(region, &id, &resource, holding(point));
        }
    }
    Ok(gathered.into_lineages())
}

/// The manifest is written last of all, once every byte was read back: where it is, the recovery point is verified.
fn holding(point: Listed) -> Holding {
    let newest = point.objects.values().map(|object| object.modified).max();
    let worth = if point.completed().is_some() { Worth::Verified } else { Worth::Pending };
    Holding { worth, made_at: newest.unwrap_or(Timestamp::MAX), what: What::Objects(point) }
}
