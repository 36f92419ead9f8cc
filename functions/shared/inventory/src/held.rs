use std::collections::BTreeMap;

use domain::{
    RecoveryPointId, ResourceId, Slot,
    retention::{Candidate, Worth},
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
    /// When it was made there.
    pub made_at: Timestamp,
    /// What there is.
    pub what: What,
}

/// What a recovery point is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An RDS snapshot.
    Snapshot(Box<Snapshot>),
    /// Objects in a vault.
    Objects(Listed),
}

impl Held {
    /// What is known of it: the best that either Region has.
    pub fn worth(&self) -> Worth {
        let rank = |worth: &Worth| match worth {
            Worth::Verified => 0,
            Worth::Unverified => 1,
            Worth::Pending => 2,
            Worth::Failed => 3,
        };
        self.holdings().map(|holding| holding.worth).min_by_key(rank).unwrap_or(Worth::Failed)
    }

    fn holdings(&self) -> impl Iterator<Item = &Holding> {
        self.home.iter().chain(&self.recovery)
    }

    /// Whether its copy is under way, which reads the other one all the while.
    fn is_copied(&self) -> bool {
        let is = |holding: &Option<Holding>, worth| holding.as_ref().is_some_and(|one| one.worth == worth);
        is(&self.recovery, Worth::Pending) && !is(&self.home, Worth::Pending)
    }

    /// As retention sees it. It was made when the latter of the two was: what was copied yesterday is a day old.
    pub fn candidate(&self) -> Candidate {
        Candidate {
            id: self.id.clone(),
            slot: self.slot,
            worth: self.worth(),
            made_at: self.holdings().map(|holding| holding.made_at).max().unwrap_or(self.slot.instant()),
            is_held: self.is_held,
            is_ours: true,
            is_copied: self.is_copied(),
        }
    }
}

/// Where a recovery point was seen.
#[derive(Clone, Copy)]
pub(crate) enum Region {
    Home,
    Recovery,
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
        let is_doubted = holding.worth == Worth::Verified && self.marks.is_doubted(resource, id);
        let worth = if is_doubted { Worth::Unverified } else { holding.worth };
        point.is_held |= holding.is_held();
        let holding = Some(Holding { worth, ..holding });
        match region {
            Region::Home => point.home = holding,
            Region::Recovery => point.recovery = holding,
        }
    }

    pub(crate) fn into_lineages(self) -> Lineages {
        self.lineages.into_iter().map(|(lineage, points)| (lineage, points.into_values().collect())).collect()
    }
}

impl Holding {
    /// Whether it says of itself that a person holds it.
    fn is_held(&self) -> bool {
        match &self.what {
            What::Snapshot(snapshot) => snapshot.tags.contains_key(tag::LEGAL_HOLD),
            What::Objects(_) => false,
        }
    }
}
