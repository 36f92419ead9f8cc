use std::collections::BTreeMap;

use domain::{
    Engine, RecoveryPointId, ResourceId,
    retention::{Region, Worth},
};
use futures::try_join;
use jiff::{SignedDuration, Timestamp};
use reconcile::Result;
use vault::{Listed, Misplaced, Store, list_all};

use crate::{
    Lineages, Marks, Stray,
    held::{Gathered, Holding, What},
};

/// How long after its last object a recovery point without a manifest may still get one, or a copy its other objects.
pub const ABANDONED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The recovery points in the vaults of both Regions, and the strays among their objects: one call for each 1,000 objects.
pub(crate) async fn observe(
    engine: Engine,
    vault: &impl Store,
    recovery_vault: &impl Store,
    marks: &Marks,
    now: Timestamp,
) -> Result<(Lineages, Vec<Stray>)> {
    let (home, recovery) = try_join!(list_all(vault, engine), list_all(recovery_vault, engine))?;
    let mut pairs: BTreeMap<(ResourceId, RecoveryPointId), Pair> = BTreeMap::new();
    let mut strays = Vec::new();
    for (region, contents) in [(Region::Home, home), (Region::Recovery, recovery)] {
        strays.extend(contents.misplaced.into_iter().map(|one| stray(engine, region, one)));
        for point in contents.points {
            let pair = pairs.entry((point.resource.clone(), point.id.clone())).or_default();
            pair[region as usize] = Some(point);
        }
    }
    let mut gathered = Gathered::new(marks);
    for ((resource, id), pair) in pairs {
        let worths = worths(&pair, now);
        for ((region, point), worth) in Region::ALL.into_iter().zip(pair).zip(worths) {
            if let (Some(point), Some(worth)) = (point, worth) {
                let made_at = newest(&point);
                gathered.add(region, &id, &resource, Holding { worth, made_at, what: What::Objects(point) });
            }
        }
    }
    Ok((gathered.into_lineages(), strays))
}

fn stray(engine: Engine, region: Region, misplaced: Misplaced) -> Stray {
    let Misplaced { object, why } = misplaced;
    Stray { engine, region, name: object.key, why: why.to_owned(), made_at: Some(object.modified) }
}

/// What each Region has of a recovery point.
type Pair = [Option<Listed>; 2];

fn newest(point: &Listed) -> Timestamp {
    point.objects.values().map(|object| object.modified).max().unwrap_or(Timestamp::MAX)
}

/// The manifest is written last of all, once every byte was read back, and copied like the rest: where it is, the recovery
/// point is verified, as long as the Region has all that is known to belong to it.
fn worths([home, recovery]: &Pair, now: Timestamp) -> [Option<Worth>; 2] {
    let last = home.iter().chain(recovery).map(newest).max().unwrap_or(Timestamp::MAX);
    let is_young = now.duration_since(last) < ABANDONED;
    let pending_or = |worth| if is_young { Worth::Pending } else { worth };
    let is_completed = |point: &Option<Listed>| point.as_ref().is_some_and(|one| one.completed().is_some());
    let at_home = home.as_ref().map(|home| match home.completed() {
        // Nothing is written at home after the manifest. What is away and not here was lost; and one that lost its
        // manifest is one that is being deleted.
        Some(_) if home.is_bare() || recovery.as_ref().is_some_and(|copy| home.lacks_of(copy)) => {
            Worth::Unverified
        }
        Some(_) => Worth::Verified,
        None if is_completed(recovery) => Worth::Failed,
        None => pending_or(Worth::Failed),
    });
    let away = recovery.as_ref().map(|copy| match copy.completed() {
        Some(_) if home.as_ref().is_some_and(|home| copy.lacks_of(home)) => pending_or(Worth::Unverified),
        Some(_) if copy.is_bare() => pending_or(Worth::Unverified),
        Some(_) if home.as_ref().is_some_and(|home| !home.is_held_by(copy)) => Worth::Unverified,
        Some(_) => Worth::Verified,
        None => pending_or(Worth::Failed),
    });
    [at_home, away]
}
