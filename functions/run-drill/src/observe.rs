use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Engine as Kind, PlanDocument, RecoveryPointId, ResourceId,
    drill::history,
    retention::{Region, Worth},
};
use futures::{StreamExt, join, stream};
use inventory::{Inventory, Places};
use jiff::{SignedDuration, Timestamp};
use plans::Plans;
use rds::Rds;
use reconcile::{Documents, EntryKey, Error, Journal, Ledger, Result};
use vault::Store;

use crate::{
    Ask, budget,
    engine::{Engine, Engines, Looked, Subject},
    record::Kept,
};

/// The function, with the outside systems that it sees.
pub struct RunDrill<R, E, T, I, P, C, L, B, D> {
    /// Everything that can be drilled.
    pub engines: Engines<R, E, T>,
    /// What recovery points there are.
    pub points: I,
    /// The backup plans.
    pub plans: P,
    /// Functions that can be invoked.
    pub functions: C,
    /// restore-database, as it is deployed.
    pub restore: String,
    /// Where it writes: the verdict stands in the ledger before anything is torn down.
    pub journal: Journal<L, B, D>,
    /// How much may be done.
    pub limits: Limits,
}

/// How much may be done.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Drills at a time.
    pub at_once: usize,
    /// Dollars a calendar month (UTC), in millionths.
    pub micro_usd_a_month: u64,
    /// For how long one invocation checks.
    pub turn: SignedDuration,
}

/// Where recovery points are seen.
pub trait Points {
    /// All of them.
    fn points(&self, now: Timestamp) -> impl Future<Output = Result<Inventory>>;
}

/// Both Regions.
pub struct Sources<I, S> {
    /// RDS where the databases are.
    pub home: I,
    /// RDS where the copies are.
    pub recovery: I,
    /// The vault at home.
    pub vault: S,
    /// The vault in the recovery Region.
    pub recovery_vault: S,
}

impl<I: Rds, S: Store> Points for Sources<I, S> {
    async fn points(&self, now: Timestamp) -> Result<Inventory> {
        let Self { home, recovery, vault, recovery_vault } = self;
        Inventory::observe(Places { home, recovery, vault, recovery_vault }, now).await
    }
}

/// What is true now.
#[derive(Debug)]
pub struct Observed {
    pub(crate) ask: Ask,
    pub(crate) plans: PlanDocument,
    pub(crate) limits: Limits,
    /// What each engine answered.
    pub(crate) looked: BTreeMap<Kind, Result<Looked>>,
    /// What is remembered, of everything that is protected or was ever drilled.
    pub(crate) records: BTreeMap<ResourceId, Result<Option<Kept>>>,
    /// What the ledger has of the days of drills under way.
    pub(crate) recorded: BTreeSet<EntryKey>,
    /// What could be begun, in this order.
    pub(crate) candidates: Vec<Candidate>,
}

/// A resource of which a drill could be begun.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) resource: ResourceId,
    pub(crate) plan: String,
    pub(crate) subject: Result<Subject>,
    /// Its verified recovery points in each Region, in the order of [`Region::ALL`], the earliest slot first.
    pub(crate) points: Result<[Vec<RecoveryPointId>; 2]>,
}

/// How many documents are read at a time.
const READS: usize = 16;

/// Looks: a call for each page of what is there and for each document; and where a drill could be begun, for each page of what
/// recovery points there are.
pub(crate) async fn observe<R, E, T, I, P, C, L, B, D>(
    function: &RunDrill<R, E, T, I, P, C, L, B, D>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed>
where
    R: Engine,
    E: Engine,
    T: Engine,
    I: Points,
    P: Plans,
    L: Ledger,
    D: Documents,
{
    let RunDrill { engines, journal, limits, .. } = function;
    let plans = function.plans.read().await?;
    // Before the documents: what a drill made is seen with the document that it was made by.
    let (rds, redis, turso) = join!(
        Box::pin(engines.rds.look(&plans)),
        Box::pin(engines.redis.look(&plans)),
        Box::pin(engines.turso.look(&plans)),
    );
    let looked = BTreeMap::from([(Kind::Rds, rds), (Kind::Redis, redis), (Kind::Turso, turso)]);
    let records = records(&journal.documents, &looked).await?;
    let days: BTreeSet<_> = kept(&records)
        .filter_map(|kept| kept.record.under_way.as_ref())
        .flat_map(crate::drill::Drill::days)
        .collect();
    let recorded = if days.is_empty() { BTreeSet::new() } else { journal.ledger.keys(&days).await? };
    let mut observed =
        Observed { ask, plans, limits: *limits, looked, records, recorded, candidates: Vec::new() };
    let wanted = budget::due(&observed, now);
    if !wanted.is_empty() {
        observed.candidates = candidates(function, &observed, wanted, now).await;
    }
    Ok(observed)
}

/// Those that could be read.
pub(crate) fn kept(records: &BTreeMap<ResourceId, Result<Option<Kept>>>) -> impl Iterator<Item = &Kept> {
    records.values().filter_map(|read| read.as_ref().ok()?.as_ref())
}

async fn records(
    documents: &impl Documents,
    looked: &BTreeMap<Kind, Result<Looked>>,
) -> Result<BTreeMap<ResourceId, Result<Option<Kept>>>> {
    let names = documents.names(history::DOCUMENTS).await?;
    let of_documents = names.iter().filter_map(|name| history::resource(name));
    let protected = looked.values().flatten().flat_map(|looked| &looked.protected);
    let all: BTreeSet<ResourceId> =
        of_documents.chain(protected.map(|(resource, _)| resource.clone())).collect();
    let reads = all.into_iter().map(async |resource| {
        let read = Kept::read(documents, &resource).await;
        (resource, read)
    });
    Ok(stream::iter(reads).buffered(READS).collect().await)
}

async fn candidates<R: Engine, E: Engine, T: Engine, I: Points, P, C, L, B, D>(
    function: &RunDrill<R, E, T, I, P, C, L, B, D>,
    observed: &Observed,
    wanted: Vec<(ResourceId, String)>,
    now: Timestamp,
) -> Vec<Candidate> {
    let inventory = function.points.points(now).await;
    let mut candidates = Vec::new();
    for (resource, name) in wanted {
        let Some(plan) = observed.plans.get(&name) else { continue };
        let subject = function.engines.subject(&resource, plan).await;
        let points = match &inventory {
            Ok(inventory) => points(inventory, &resource),
            Err(error) => Err(again(error)),
        };
        candidates.push(Candidate { resource, plan: name, subject, points });
    }
    candidates
}

/// What there is to restore of the newest database of that name.
fn points(inventory: &Inventory, resource: &ResourceId) -> Result<[Vec<RecoveryPointId>; 2]> {
    let lineages = match inventory.engines.get(&resource.engine) {
        Some(Ok(lineages)) => lineages,
        Some(Err(error)) => return Err(again(error)),
        None => return Ok(Default::default()),
    };
    let own = lineages.iter().filter(|(lineage, _)| lineage.resource == *resource);
    let newest = own.map(|(_, points)| points).max_by_key(|points| points.last().map(|point| point.slot));
    let verified = |region: Region| {
        let points = newest.into_iter().flatten();
        let whole = points
            .filter(|point| point.holding(region).is_some_and(|holding| holding.worth == Worth::Verified));
        whole.map(|point| point.id.clone()).collect()
    };
    Ok(Region::ALL.map(verified))
}

/// The same error for each whom it concerns.
pub(crate) fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.code().to_owned(), error.report())
}
