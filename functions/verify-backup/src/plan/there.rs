use domain::retention::{Region, Worth};
use inventory::{Held, Holding, Lineage, What};
use jiff::Timestamp;
use rds::Snapshot;
use vault::Listed;

use crate::{memory::Place, observe::Observed};

/// What one Region has of a recovery point, and claims to be whole.
#[derive(Clone, Copy)]
pub(super) struct There<'o> {
    pub(super) lineage: &'o Lineage,
    pub(super) point: &'o Held,
    pub(super) region: Region,
    pub(super) made_at: Timestamp,
    pub(super) worth: Worth,
    pub(super) stored: Stored<'o>,
}

/// As what it is stored.
#[derive(Clone, Copy)]
pub(super) enum Stored<'o> {
    Snapshot(&'o Snapshot),
    Objects(&'o Listed),
}

impl There<'_> {
    pub(super) fn place(&self) -> Place {
        Place { resource: self.point.resource.clone(), id: self.point.id.clone(), region: self.region }
    }

    /// The same recovery point in the other Region, which may have nothing of it.
    pub(super) fn elsewhere(&self) -> Place {
        let region = match self.region {
            Region::Home => Region::Recovery,
            Region::Recovery => Region::Home,
        };
        Place { region, ..self.place() }
    }
}

/// Everything that claims to be whole. What is still on its way, to a bucket or from one to the other, is nobody's concern yet.
pub(super) fn complete(observed: &Observed) -> impl Iterator<Item = There<'_>> {
    observed.inventory.known().flat_map(|(lineage, points)| {
        points.iter().flat_map(move |point| {
            let there = move |region| {
                let holding = point.holding(region).filter(|holding| is_complete(holding))?;
                let stored = match &holding.what {
                    What::Snapshots(snapshots) => Stored::Snapshot(snapshots.first()?),
                    What::Objects(listed) => Stored::Objects(listed),
                };
                Some(There { lineage, point, region, made_at: holding.made_at, worth: holding.worth, stored })
            };
            Region::ALL.into_iter().filter_map(there)
        })
    })
}

/// Whether it claims to be whole.
pub(super) fn is_complete(holding: &Holding) -> bool {
    matches!(holding.worth, Worth::Verified | Worth::Unverified)
}

/// Whether that Region has it, and it claims to be whole there.
pub(super) fn is_in(point: &Held, region: Region) -> bool {
    point.holding(region).is_some_and(is_complete)
}
