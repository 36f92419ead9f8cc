use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use domain::{Engine, PlanDocument, RecoveryPointId, ResourceId};
use futures::{StreamExt, join, stream, try_join};
use inventory::{LeftOverSince, Marks};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use plans::Plans;
use reconcile::{Documents, EntryKey, Error, Ledger, Result};
use redis::elasticache::{Cache, ElastiCache, Snapshot};
use vault::{Listed, Object, Store, list};

use crate::{
    intake::{self, Intake},
    left_over::{LeftOver, left_over},
    note::{self, Notes},
    protected::{ATTEMPTS, Protected, What, protected},
};

/// The function, with the outside systems that it sees.
pub struct BackupRedis<C, S, B, L, P, D> {
    /// ElastiCache in the home Region.
    pub caches: C,
    /// The vault of the home Region.
    pub vault: S,
    /// The vault of the recovery Region.
    pub recovery: S,
    /// The bucket into which ElastiCache exports.
    pub exports: S,
    /// The buckets of append-only archives.
    pub archives: B,
    /// What is recorded already.
    pub ledger: L,
    /// The backup plans.
    pub plans: P,
    /// Work in progress.
    pub documents: D,
    /// In which steps.
    pub pace: Pace,
}

/// Makes a store of a bucket of the home Region: of those that plans name.
pub trait Buckets {
    /// A bucket.
    type Store: Store;
    /// The bucket of that name.
    fn store(&self, bucket: &str) -> Self::Store;
}

/// In which steps files are read back from the vault.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Read at once, and what a digest in the manifest is of.
    pub part_bytes: u64,
    /// After so many bytes the work done is written down; at most so many are read again by whoever goes on.
    pub save_every_bytes: u64,
    /// ElastiCache does not tell how many files the export of a serverless cache has. It has them all when none came for so
    /// long.
    pub quiet: SignedDuration,
}

impl Pace {
    /// Two parts of each of eight files are in memory at once.
    pub fn deployed(quiet: SignedDuration) -> Self {
        Self { part_bytes: 16 << 20, save_every_bytes: 128 << 20, quiet }
    }
}

/// What is true now.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(crate) quiet: SignedDuration,
    pub(crate) region: String,
    pub(crate) recovery_region: String,
    pub(crate) plans: PlanDocument,
    /// An error there stops the caches, and no archive.
    pub(crate) live: Result<Live, Arc<Error>>,
    /// The recovery points in the vault, of the days that were listed.
    pub(crate) home: BTreeMap<RecoveryPointId, Listed>,
    /// Those in the recovery Region. An error there stops the copies and the deletions, and nothing else.
    pub(crate) away: Result<BTreeMap<RecoveryPointId, Listed>, Arc<Error>>,
    /// The days that were listed. What belongs to another day is history, and not looked at again.
    pub(crate) days: BTreeSet<Date>,
    /// An error there stops the recording.
    pub(crate) recorded: Result<BTreeSet<EntryKey>, Arc<Error>>,
    /// The work in progress of the resources with a snapshot that is not in the vault yet, with the versions of the documents.
    pub(crate) intakes: Intakes,
    /// The files of the archives.
    pub(crate) archives: BTreeMap<ResourceId, Result<Vec<Object>, Arc<Error>>>,
    pub(crate) notes: Result<Notes, Arc<Error>>,
    /// Since when snapshots are left over. An error there stops what becomes of those, here and in the next.
    pub(crate) since: Result<LeftOverSince, Arc<Error>>,
    /// Asked for only where something is left over.
    pub(crate) evidence: Result<Evidence, Arc<Error>>,
}

/// What else the vaults say of caches of which snapshots are left over.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The recovery points of days on which later ones than the snapshots may be, besides the days that are listed anyway.
    pub(crate) home: BTreeMap<RecoveryPointId, Listed>,
    pub(crate) away: BTreeMap<RecoveryPointId, Listed>,
    /// Who holds what, and what was found damaged.
    pub(crate) marks: Marks,
}

/// Work in progress, with the version of its document.
pub(crate) type Intakes = BTreeMap<ResourceId, Result<(Option<Intake>, Option<String>), Arc<Error>>>;

/// What ElastiCache has.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) caches: Vec<Cache>,
    pub(crate) snapshots: Vec<Snapshot>,
    /// What it has exported.
    pub(crate) exported: Vec<Object>,
}

impl Observed {
    /// The caches, if ElastiCache answered.
    pub(crate) fn caches(&self) -> &[Cache] {
        self.live.as_ref().map_or(&[], |live| &live.caches)
    }
}

/// Back to when recovery points are still recorded and copied, without having the newest slot: longer than any of it takes.
const FRESH_DAYS: i64 = 3;

/// How many days of the vault are listed at most, so that a snapshot of last year keeps nobody busy.
const MOST_DAYS: usize = 60;

/// Resources whose documents or files are read at the same time.
const AT_ONCE: usize = 16;

/// Lists, whatever the number of resources; and one document for each of those that are not done. What woke the function
/// is not looked at.
pub(crate) async fn observe<C, S, B, L, P, D>(
    function: &BackupRedis<C, S, B, L, P, D>,
    now: Timestamp,
) -> Result<Observed>
where
    C: ElastiCache,
    S: Store,
    B: Buckets,
    L: Ledger,
    P: Plans,
    D: Documents,
{
    let (plans, live, notes, since) = join!(
        function.plans.read(),
        live(function),
        note::read(&function.documents),
        LeftOverSince::read(&function.documents, "backup-redis")
    );
    let (plans, live) = (plans?, live.map_err(Arc::new));
    let caches = live.as_ref().map_or(&[][..], |live| &live.caches);
    let (protected, _) = protected(caches, &plans, now);
    let snapshots = live.as_ref().map_or(&[][..], |live| &live.snapshots);
    let days = days(&protected, snapshots, now);
    let left_over = live.as_ref().map_or_else(|_| Vec::new(), left_over);
    let (home, away, recorded, evidence) = join!(
        points(&function.vault, &days),
        points(&function.recovery, &days),
        function.ledger.keys(&days),
        evidence(function, &left_over, since.as_ref().ok(), &days, now)
    );
    let home = home?;
    let unfinished = unfinished(&protected, &left_over, &home);
    let (intakes, archives) = join!(intakes(function, unfinished), archives(function, &protected));
    Ok(Observed {
        quiet: function.pace.quiet,
        region: function.vault.region().to_owned(),
        recovery_region: function.recovery.region().to_owned(),
        plans,
        live,
        home,
        away: away.map_err(Arc::new),
        days,
        recorded: recorded.map_err(Arc::new),
        intakes,
        archives,
        notes: notes.map_err(Arc::new),
        since: since.map_err(Arc::new),
        evidence: evidence.map_err(Arc::new),
    })
}

async fn live<C: ElastiCache, S: Store, B, L, P, D>(
    function: &BackupRedis<C, S, B, L, P, D>,
) -> Result<Live> {
    let (caches, snapshots) = try_join!(function.caches.caches(), function.caches.snapshots())?;
    // After the snapshots: what is not exporting any more has all its files there by now.
    let exported = function.exports.list(RecoveryPointId::PREFIX).await?;
    Ok(Live { caches, snapshots, exported })
}

/// The days whose recovery points matter: the last ones, those of the newest slots, and of snapshots that might be deleted.
fn days(protected: &[Protected], snapshots: &[Snapshot], now: Timestamp) -> BTreeSet<Date> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let mut days: BTreeSet<Date> =
        (0..FRESH_DAYS).filter_map(|back| today.checked_sub(back.days()).ok()).collect();
    days.extend(protected.iter().filter_map(|one| one.slot).map(domain::Slot::utc_date));
    let named = snapshots.iter().map(|snapshot| RecoveryPointId::from(snapshot.name.as_str()));
    let older: BTreeSet<Date> =
        named.filter_map(|id| id.parts().map(|parts| parts.slot.utc_date())).collect();
    days.extend(older.into_iter().rev().filter(|day| *day <= today).take(MOST_DAYS));
    days
}

async fn points(store: &impl Store, days: &BTreeSet<Date>) -> Result<BTreeMap<RecoveryPointId, Listed>> {
    let listed = list(store, Engine::Redis, days.iter().copied()).await?;
    Ok(listed.into_iter().map(|point| (point.id.clone(), point)).collect())
}

/// What is asked for only where somebody may want to delete by it. A later recovery point than a snapshot's may be of the day
/// after, or of the last days on which its cache was protected.
async fn evidence<C, S: Store, B, L, P, D>(
    function: &BackupRedis<C, S, B, L, P, D>,
    left_over: &[LeftOver<'_>],
    since: Option<&LeftOverSince>,
    days: &BTreeSet<Date>,
    now: Timestamp,
) -> Result<Evidence> {
    let Some(since) = since.filter(|_| !left_over.is_empty()) else { return Ok(Evidence::default()) };
    let today = now.to_zoned(TimeZone::UTC).date();
    let later = left_over.iter().flat_map(|one| {
        let next = one.slot.utc_date().checked_add(1.day()).ok();
        next.into_iter().chain(since.last_days(&one.lineage()))
    });
    let later: BTreeSet<Date> = later.filter(|day| *day <= today && !days.contains(day)).collect();
    let later: BTreeSet<Date> = later.into_iter().rev().take(MOST_DAYS).collect();
    let vaults = [&function.vault, &function.recovery];
    let (home, away, marks) =
        try_join!(points(&function.vault, &later), points(&function.recovery, &later), Marks::read(&vaults))?;
    Ok(Evidence { home, away, marks })
}

/// The resources whose newest slot is not filled, or of which something is left over that is not in the vault.
fn unfinished(
    protected: &[Protected],
    left_over: &[LeftOver<'_>],
    home: &BTreeMap<RecoveryPointId, Listed>,
) -> BTreeSet<ResourceId> {
    let is_there = |id: &RecoveryPointId| home.get(id).is_some_and(|point| point.completed().is_some());
    let is_done = |one: &&Protected| {
        one.slot.is_none_or(|slot| {
            (1..=ATTEMPTS).any(|attempt| {
                is_there(&RecoveryPointId::new(&one.resource.name, &one.incarnation, slot, attempt))
            })
        })
    };
    let unfilled = protected.iter().filter(|one| !is_done(one)).map(|one| &one.resource);
    let unkept = left_over.iter().filter(|one| !is_there(&one.id)).map(|one| &one.resource);
    unfilled.chain(unkept).cloned().collect()
}

async fn intakes<C, S, B, L, P, D: Documents>(
    function: &BackupRedis<C, S, B, L, P, D>,
    unfinished: BTreeSet<ResourceId>,
) -> Intakes {
    stream::iter(unfinished)
        .map(async |resource| {
            let read = intake::read(&function.documents, &resource).await;
            (resource, read.map_err(Arc::new))
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn archives<C, S, B: Buckets, L, P, D>(
    function: &BackupRedis<C, S, B, L, P, D>,
    protected: &[Protected],
) -> BTreeMap<ResourceId, Result<Vec<Object>, Arc<Error>>> {
    let archives = protected.iter().filter_map(|one| match &one.what {
        What::Archive(archive) => Some((&one.resource, archive)),
        What::Cache(_) => None,
    });
    stream::iter(archives)
        .map(async |(resource, archive)| {
            let files = function.archives.store(&archive.bucket).list(&archive.prefix).await;
            (resource.clone(), files.map_err(Arc::new))
        })
        .buffered(AT_ONCE)
        .collect()
        .await
}
