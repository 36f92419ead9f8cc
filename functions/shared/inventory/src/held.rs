use std::collections::BTreeMap;

use domain::{
    RecoveryPointId, RecoveryPointState, ResourceId, Slot,
    retention::{Candidate, Region, Worth},
    tag,
};
use jiff::Timestamp;
use rds::Snapshot;
use vault::Listed;

use crate::{Lineage, Lineages, Marks};

/// A recovery point, with what each Region has of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Its name, the same in both Regions.
    pub id: RecoveryPointId,
    /// What it is of.
    pub resource: ResourceId,
    /// The slot that it fills.
    pub slot: Slot,
    /// What the home Region has of it.
    pub home: Option<Holding>,
    /// What the recovery Region has of it.
    pub recovery: Option<Holding>,
    /// A person holds it.
    pub is_held: bool,
}

/// What one Region has of a recovery point.
#[derive(Clone, Debug, PartialEq)]
pub struct Holding {
    /// What it is worth there.
    pub worth: Worth,
    /// When the last of it was made there.
    pub made_at: Timestamp,
    /// What there is.
    pub what: What,
}

/// What a recovery point is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// RDS snapshots: one, and those of failed attempts at the same copy; the one that counts first.
    Snapshots(Vec<Snapshot>),
    /// Objects in a vault.
    Objects(Listed),
}

impl Held {
    /// What a Region has of it.
    pub fn holding(&self, region: Region) -> Option<&Holding> {
        match region {
            Region::Home => self.home.as_ref(),
            Region::Recovery => self.recovery.as_ref(),
        }
    }

    /// What is known of it: the best that either Region has.
    pub fn worth(&self) -> Worth {
        self.holdings().map(|holding| holding.worth).min().unwrap_or(Worth::Failed)
    }

    fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.home.iter().chain(&self.recovery)
    }

    /// Whether its copy is under way, which reads the other one all the while.
    fn is_copied(&self) -> bool {
        self.recovery.as_ref().is_some_and(Holding::is_pending)
    }

    /// Whether a snapshot of it says of itself that a person holds it: no mark ends that.
    pub fn is_held_by_tag(&self) -> bool {
        self.holdings().any(Holding::is_held)
    }

    /// As retention sees it. It was made when the latter of the two was: what was copied yesterday is a day old.
    pub fn candidate(&self) -> Candidate {
        Candidate {
            id: self.id.clone(),
            slot: self.slot,
            worth: Region::ALL.map(|region| self.holding(region).map(|holding| holding.worth)),
            made_at: self.holdings().map(|holding| holding.made_at).max().unwrap_or(self.slot.instant()),
            is_held: self.is_held,
            is_ours: true,
            is_copied: self.is_copied(),
        }
    }
}

impl Holding {
    /// Whether it says of itself that a person holds it.
    fn is_held(&self) -> bool {
        match &self.what {
            What::Snapshots(snapshots) => snapshots.iter().any(|one| one.tags.contains_key(tag::LEGAL_HOLD)),
            What::Objects(_) => false,
        }
    }

    /// Whether any of it is still being made.
    fn is_pending(&self) -> bool {
        let is_pending = |one: &Snapshot| one.state() == RecoveryPointState::Pending;
        self.worth == Worth::Pending
            || matches!(&self.what, What::Snapshots(snapshots) if snapshots.iter().any(is_pending))
    }

    /// With another attempt at the same: the better one counts, and none is forgotten.
    fn and(self, other: Self) -> Self {
        let (better, worse) = if other.worth < self.worth { (other, self) } else { (self, other) };
        let made_at = better.made_at.max(worse.made_at);
        let what = match (better.what, worse.what) {
            (What::Snapshots(mut snapshots), What::Snapshots(more)) => {
                snapshots.extend(more);
                What::Snapshots(snapshots)
            }
            (what, _) => what,
        };
        Self { worth: better.worth, made_at, what }
    }
}

/// Puts together what was seen of each recovery point.
pub(crate) struct Gathered<'m> {
    marks: &'m Marks,
    lineages: BTreeMap<Lineage, BTreeMap<(Slot, RecoveryPointId), Held>>,
}

impl<'m> Gathered<'m> {
    pub(crate) fn new(marks: &'m Marks) -> Self {
        Self { marks, lineages: BTreeMap::new() }
    }

    pub(crate) fn add(
        &mut self,
        region: Region,
        id: &RecoveryPointId,
        resource: &ResourceId,
        holding: Holding,
    ) {
        let Some(parts) = id.parts() else { return };
        let lineage = Lineage { resource: resource.clone(), mark: parts.mark.to_owned() };
        let slot = parts.slot;
        let points = self.lineages.entry(lineage).or_default();
        let point = points.entry((slot, id.clone())).or_insert_with(|| Held {
            id: id.clone(),
            resource: resource.clone(),
            slot,
            home: None,
            recovery: None,
            is_held: self.marks.is_held(resource, id),
        });
        let is_doubted = holding.worth == Worth::Verified && self.marks.is_doubted(resource, id, region);
        let worth = if is_doubted { Worth::Unverified } else { holding.worth };
        point.is_held |= holding.is_held();
        let holding = Holding { worth, ..holding };
        let place = match region {
            Region::Home => &mut point.home,
            Region::Recovery => &mut point.recovery,
        };
        *place = Some(match place.take() {
            Some(before) => before.and(holding),
            None => holding,
        });
    }

    pub(crate) fn into_lineages(self) -> Lineages {
        self.lineages.into_iter().map(|(lineage, points)| (lineage, points.into_values().collect())).collect()
    }
}
