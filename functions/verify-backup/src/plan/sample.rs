//! Which recovery points are opened, and not only compared byte by byte: of each lineage the newest, and one by lot.

use std::collections::BTreeMap;

use domain::{
    Engine, RecoveryPointId,
    retention::{Region, Worth},
};
use inventory::{Held, Lineage};
use jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};

use super::{
    RHYTHM,
    there::{There, is_in},
};
use crate::{
    memory::{Place, Sample},
    observe::Observed,
};

/// What is opened, where and why, and when one of its lineage was last opened for that reason.
pub(super) fn samples(observed: &Observed, now: Timestamp) -> BTreeMap<Place, (Sample, Option<Timestamp>)> {
    let mut samples = BTreeMap::new();
    for (lineage, points) in observed.inventory.known().filter(|(lineage, _)| can_be_opened(lineage)) {
        let last = |sample| observed.memory.opened(lineage, sample);
        let is_due = |sample| last(sample).is_none_or(|at| now.duration_since(at) >= RHYTHM);
        let mut put = |point: &Held, sample| {
            let place = region(point).map(|region| Place {
                resource: point.resource.clone(),
                id: point.id.clone(),
                region,
            });
            samples.extend(place.map(|place| (place, (sample, last(sample)))));
        };
        let mut verified = points.iter().filter(|point| point.worth() == Worth::Verified);
        let Some(newest) = verified.next_back() else { continue };
        if is_due(Sample::Newest) {
            put(newest, Sample::Newest);
        }
        let drawn = is_due(Sample::ByLot).then(|| verified.min_by_key(|point| lot(&point.id, now)));
        if let Some(drawn) = drawn.flatten() {
            put(drawn, Sample::ByLot);
        }
    }
    samples
}

/// Whether this is where it is opened, if it is.
pub(super) fn is_here(there: &There<'_>) -> bool {
    can_be_opened(there.lineage) && region(there.point) == Some(there.region)
}

/// Whether it is opened on the disk, which cannot be gone on with in another invocation.
pub(super) fn is_on_disk(there: &There<'_>) -> bool {
    there.lineage.resource.engine == Engine::Turso
}

/// RDS opens its snapshots to nobody: drills do that.
fn can_be_opened(lineage: &Lineage) -> bool {
    lineage.resource.engine != Engine::Rds
}

/// Where it is opened: both Regions have the same bytes, and those at home cost nothing to fetch. Where it is damaged, only if
/// there is nothing better.
fn region(point: &Held) -> Option<Region> {
    let is_verified =
        |region: &Region| point.holding(*region).is_some_and(|holding| holding.worth == Worth::Verified);
    let mut complete = Region::ALL.into_iter().filter(|region| is_in(point, *region));
    Region::ALL.into_iter().find(is_verified).or_else(|| complete.next())
}

/// The least of the week wins: a pure function, so that whoever asks again draws the same.
fn lot(id: &RecoveryPointId, now: Timestamp) -> [u8; 32] {
    let week = now.to_zoned(TimeZone::UTC).date().iso_week_date();
    Sha256::digest(format!("{id} {}-W{}", week.year(), week.week())).into()
}
