use std::collections::{BTreeMap, BTreeSet};

use domain::{
    BackupPlan, Engine as Kind, PlanDocument, RecoveryPointId, RecoverySet, ResourceId,
    drill::history,
    retention::{Region, Worth},
};
use futures::{StreamExt, join, stream};
use inventory::{Held, Inventory, Places, What};
use jiff::{SignedDuration, Timestamp};
use plans::Plans;
use rds::Rds;
use reconcile::{Documents, EntryKey, Error, Journal, Ledger, Result};
use vault::Store;

use crate::{
    Ask, budget,
    engine::{Engine, Engines, Looked, Stored, Subject},
    record::Kept,
    restored,
    set::{self, KeptSet, SetCandidate, SetDrill},
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
    /// The Region of the databases, which with the name of restore-database says which deployment this is.
    pub region: String,
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
    /// Without them nothing is begun, and what is under way goes on.
    pub(crate) plans: Result<PlanDocument>,
    pub(crate) limits: Limits,
    /// What the ids of this deployment's drills end in: several may share an account and its Regions.
    pub(crate) mark: String,
    /// What each engine answered.
    pub(crate) looked: BTreeMap<Kind, Result<Looked>>,
    /// What is remembered, of everything that is protected or was ever drilled.
    pub(crate) records: BTreeMap<ResourceId, Result<Option<Kept>>>,
    /// What the ledger has of the days of drills under way, and of those whose restores may still be measured.
    pub(crate) recorded: Result<BTreeSet<EntryKey>>,
    /// What could be begun, in this order.
    pub(crate) candidates: Vec<Candidate>,
    /// What is remembered of the drills of recovery sets.
    pub(crate) sets: BTreeMap<String, Result<Option<KeptSet>>>,
    /// The set of which a drill could be begun.
    pub(crate) set_candidates: Vec<SetCandidate>,
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
    let plans = function.plans.read().await;
    let known = plans.as_ref().cloned().unwrap_or_default();
    // Before the documents: what a drill made is seen with the document that it was made by.
    let (rds, redis, turso) = join!(
        Box::pin(engines.rds.look(&known)),
        Box::pin(engines.redis.look(&known)),
        Box::pin(engines.turso.look(&known)),
    );
    let looked = BTreeMap::from([(Kind::Rds, rds), (Kind::Redis, redis), (Kind::Turso, turso)]);
    let records = records(&journal.documents, &looked).await?;
    let under_way = kept(&records).filter_map(|kept| kept.record.under_way.as_ref());
    let of_drills = under_way.flat_map(crate::drill::Drill::days);
    let of_restores = restored::days(&known, now).filter(|_| ask == Ask::Tick);
    let days: BTreeSet<_> = of_drills.chain(of_restores).collect();
    let recorded = if days.is_empty() { Ok(BTreeSet::new()) } else { journal.ledger.keys(&days).await };
    let sets = sets(&journal.documents, &known).await?;
    let mut observed = Observed {
        ask,
        plans,
        limits: *limits,
        mark: RecoveryPointId::mark(&format!("{}/{}", function.region, function.restore)),
        looked,
        records,
        recorded,
        candidates: Vec::new(),
        sets,
        set_candidates: Vec::new(),
    };
    let (of_sets, wanted) = (set::due(&observed, now), budget::due(&observed, now));
    if of_sets.is_empty() && wanted.is_empty() {
        return Ok(observed);
    }
    let inventory = function.points.points(now).await;
    let plans = &known;
    for (set, members) in of_sets {
        let members = candidates(function, plans, &inventory, members, now).await;
        observed.set_candidates.push(SetCandidate { set, members });
    }
    observed.candidates = candidates(function, plans, &inventory, wanted, now).await;
    Ok(observed)
}

impl Observed {
    /// The plan of that name, as far as plans are known.
    pub(crate) fn plan(&self, name: &str) -> Option<&BackupPlan> {
        self.plans.as_ref().ok()?.get(name)
    }

    /// The recovery sets, as far as plans are known.
    pub(crate) fn recovery_sets(&self) -> &[RecoverySet] {
        self.plans.as_ref().map(PlanDocument::recovery_sets).unwrap_or_default()
    }

    /// The drills of sets under way.
    pub(crate) fn sets_under_way(&self) -> impl Iterator<Item = &SetDrill> {
        self.sets.values().filter_map(|read| read.as_ref().ok()?.as_ref()?.record.under_way.as_ref())
    }
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

/// Of the sets that the plans name, and of those that they named once and of which a drill is under way.
async fn sets(
    documents: &impl Documents,
    plans: &PlanDocument,
) -> Result<BTreeMap<String, Result<Option<KeptSet>>>> {
    let prefix = set::document("");
    let prefix = prefix.trim_end_matches(".json");
    let names = documents.names(prefix).await?;
    let there =
        names.iter().filter_map(|name| name.strip_prefix(prefix)?.strip_suffix(".json").map(str::to_owned));
    let named: BTreeSet<String> = plans.recovery_sets().iter().map(|set| set.name.clone()).collect();
    let mut sets = BTreeMap::new();
    for name in named.iter().cloned().chain(there).collect::<BTreeSet<_>>() {
        let read = KeptSet::read(documents, &name).await;
        let is_over = matches!(&read, Ok(Some(kept)) if kept.record.under_way.is_none());
        if named.contains(&name) || !is_over {
            sets.insert(name, read);
        }
    }
    Ok(sets)
}

async fn candidates<R: Engine, E: Engine, T: Engine, I, P, C, L, B, D>(
    function: &RunDrill<R, E, T, I, P, C, L, B, D>,
    plans: &PlanDocument,
    inventory: &Result<Inventory>,
    wanted: Vec<(ResourceId, String)>,
    now: Timestamp,
) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (resource, name) in wanted {
        let Some(plan) = plans.get(&name) else { continue };
        let (points, stored) = match inventory.as_ref().map_err(again).and_then(|all| points(all, &resource))
        {
            Ok((points, stored)) => (Ok(points), stored),
            Err(error) => (Err(error), Stored::default()),
        };
        let subject = function.engines.subject(&resource, plan, stored, now).await;
        candidates.push(Candidate { resource, plan: name, subject, points });
    }
    candidates
}

/// What there is to restore of the newest database of that name.
fn points(inventory: &Inventory, resource: &ResourceId) -> Result<([Vec<RecoveryPointId>; 2], Stored)> {
    let lineages = match inventory.engines.get(&resource.engine) {
        Some(Ok(lineages)) => lineages,
        Some(Err(error)) => return Err(again(error)),
        None => return Ok(Default::default()),
    };
    let own = lineages.iter().filter(|(lineage, _)| lineage.resource == *resource);
    let newest = own.map(|(_, points)| points).max_by_key(|points| points.last().map(|point| point.slot));
    let all = newest.map(Vec::as_slice).unwrap_or_default();
    let is_whole = |point: &&Held, region: Region| {
        point.holding(region).is_some_and(|holding| holding.worth == Worth::Verified)
    };
    let verified = |region: Region| -> Vec<RecoveryPointId> {
        all.iter().filter(|point| is_whole(point, region)).map(|point| point.id.clone()).collect()
    };
    let whole: Vec<&Held> =
        all.iter().filter(|point| Region::ALL.iter().any(|region| is_whole(point, *region))).collect();
    let home = verified(Region::Home);
    let stored = Stored {
        newest: home.last().cloned(),
        bytes: whole.last().map_or(0, |point| bytes(point)),
        // The first may have been taken long after its slot, and the database made in between.
        earliest: whole.get(1).map(|point| point.slot.instant()),
    };
    Ok(([home, verified(Region::Recovery)], stored))
}

fn bytes(point: &Held) -> u64 {
    let of_region = |region: &Region| match &point.holding(*region)?.what {
        What::Objects(listed) => Some(listed.objects.values().map(|object| object.bytes).sum()),
        What::Snapshots(_) => None,
    };
    Region::ALL.iter().find_map(of_region).unwrap_or(0)
}

/// The same error for each whom it concerns.
pub(crate) fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.code().to_owned(), error.report())
}
