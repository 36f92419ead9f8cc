//! What recovery points there are, of every engine and in both Regions, and what each is worth: seen anew each time, in calls
//! that grow with pages and not with recovery points.
//!
//! Those of RDS are snapshots and their copies, with what their tags say. Those of Redis and Turso are objects in the vaults
//! of both Regions. What else is known of a recovery point, that a person holds it or that a later look found it
//! damaged, are [`Marks`]: objects in the vault that are only ever added.

mod agreement;
mod backup_plans;
mod held;
mod judgement;
mod left_over;
mod marks;
mod published;
mod snapshots;
mod strays;
mod vaulted;

use std::collections::BTreeMap;

use domain::{Engine, RecoveryPointId, ResourceId};
use futures::join;
use jiff::Timestamp;
use rds::Rds;
use reconcile::{Error, Result};
use vault::Store;

pub use self::{
    agreement::{Decided, LineagePlan, Loss, RetentionPlan},
    backup_plans::BackupPlans,
    held::{Held, Holding, What},
    judgement::Judgement,
    left_over::{GRACE, Kept, LeftOverSince},
    marks::{Mark, Marks, mark_key, mark_prefix},
    published::{Published, acknowledged_since, acknowledgement_key, is_acknowledged, short_hash},
    snapshots::lineages as rds_lineages,
    strays::{Stray, Strays},
    vaulted::ABANDONED,
};

/// One incarnation of one resource: a database that was deleted and made anew under its name is another one, whose
/// recovery points neither fill its tiers nor count towards its floors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lineage {
    /// The resource, which may be there no more.
    pub resource: ResourceId,
    /// What stands for the incarnation in the recovery points' names.
    pub mark: String,
}

/// The recovery points of an engine, the earliest slot first, by whose they are.
pub type Lineages = BTreeMap<Lineage, Vec<Held>>;

/// What there is. Of an engine of which anything did not answer, in either Region, nothing is known.
#[derive(Debug, Default)]
pub struct Inventory {
    /// By engine.
    pub engines: BTreeMap<Engine, Result<Lineages>>,
    /// What belongs to no recovery point, of the engines that are known.
    pub strays: Vec<Stray>,
}

/// The places in which recovery points are.
#[derive(Clone, Copy, Debug)]
pub struct Places<'p, R, S> {
    /// RDS where the databases are.
    pub home: &'p R,
    /// RDS where the copies are.
    pub recovery: &'p R,
    /// The vault at home.
    pub vault: &'p S,
    /// The vault in the recovery Region.
    pub recovery_vault: &'p S,
}

impl Inventory {
    /// Looks. Without the marks nothing is known of any engine: what is under legal hold, for one.
    pub async fn observe<R: Rds, S: Store>(places: Places<'_, R, S>, now: Timestamp) -> Result<Self> {
        let Places { home, recovery, vault, recovery_vault } = places;
        let marks = Marks::read(&[vault, recovery_vault]).await?;
        let (rds, redis, turso) = join!(
            snapshots::observe(home, recovery, &marks),
            vaulted::observe(Engine::Redis, vault, recovery_vault, &marks, now),
            vaulted::observe(Engine::Turso, vault, recovery_vault, &marks, now),
        );
        let mut seen = Self::default();
        for (engine, answer) in [(Engine::Rds, rds), (Engine::Redis, redis), (Engine::Turso, turso)] {
            let lineages = answer.map(|(lineages, strays)| {
                seen.strays.extend(strays);
                lineages
            });
            seen.engines.insert(engine, lineages);
        }
        Ok(seen)
    }

    /// What is known, engine by engine.
    pub fn known(&self) -> impl Iterator<Item = (&Lineage, &Vec<Held>)> {
        self.engines.values().flatten().flatten()
    }

    /// The recovery point of that name, where its engine answered.
    pub fn find(&self, resource: &ResourceId, id: &RecoveryPointId) -> Result<Option<&Held>, &Error> {
        let Some(lineages) = self.engines.get(&resource.engine) else { return Ok(None) };
        let points = lineages.as_ref()?.iter().filter(|(lineage, _)| lineage.resource == *resource);
        Ok(points.flat_map(|(_, points)| points).find(|point| point.id == *id))
    }

    /// What did not answer.
    pub fn unknown(&self) -> impl Iterator<Item = (Engine, &Error)> {
        self.engines.iter().filter_map(|(engine, seen)| seen.as_ref().err().map(|error| (*engine, error)))
    }
}
