use std::{collections::BTreeSet, sync::Arc};

use domain::{PlanDocument, RecoveryPointId, ResourceId, Slot, tag};
use futures::{join, try_join};
use jiff::{SignedDuration, Timestamp, civil::Date};
use plans::Plans;
use rds::{Instance, Quota, Rds, Snapshot};
use reconcile::{EntryKey, Error, Ledger, Result};

/// The function, with the outside systems that it sees.
pub struct BackupRds<R, L, P> {
    /// The Region of the databases.
    pub home: R,
    /// The Region of the copies.
    pub recovery: R,
    /// What is recorded already.
    pub ledger: L,
    /// The backup plans.
    pub plans: P,
    /// The key of the recovery Region under which copies are encrypted.
    pub recovery_key: String,
}

/// What is true now.
#[derive(Clone, Debug)]
pub struct Observed {
    pub(crate) plans: PlanDocument,
    pub(crate) home: RegionView,
    /// An error there stops the copies, and nothing else.
    pub(crate) recovery: Result<RegionView, Arc<Error>>,
    pub(crate) recovery_key: String,
    pub(crate) instances: Vec<Instance>,
    /// The days whose ledger was read. What belongs to another day is history, and not looked at again.
    pub(crate) ledger_days: BTreeSet<Date>,
    /// An error there stops the recording, and nothing else.
    pub(crate) recorded: Result<BTreeSet<EntryKey>, Arc<Error>>,
}

/// What one Region holds.
#[derive(Clone, Debug)]
pub(crate) struct RegionView {
    pub(crate) name: String,
    pub(crate) quota: Quota,
    /// Our own recovery points.
    pub(crate) recovery_points: Vec<RecoveryPoint>,
    /// Copies from other snapshots that are in progress, ours or anybody's: they share one quota.
    pub(crate) copies_in_progress: usize,
}

/// A snapshot that Tidemark made, with what its tags say.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RecoveryPoint {
    pub(crate) resource: ResourceId,
    pub(crate) slot: Slot,
    pub(crate) plan: String,
    pub(crate) requested_at: Option<Timestamp>,
    pub(crate) snapshot: Snapshot,
}

impl RecoveryPoint {
    /// Reads the tags; `None` for a snapshot that is not Tidemark's.
    pub(crate) fn of(snapshot: &Snapshot) -> Option<Self> {
        if !snapshot.id.starts_with(RecoveryPointId::PREFIX) {
            return None;
        }
        let tag = |key: &str| snapshot.tags.get(key).map(String::as_str);
        Some(Self {
            resource: ResourceId::rds(tag(tag::RESOURCE)?.strip_prefix("rds/")?),
            slot: Slot::at(tag(tag::SLOT)?.parse().ok()?),
            plan: tag(tag::PLAN)?.to_owned(),
            requested_at: tag(tag::REQUESTED_AT).and_then(|instant| instant.parse().ok()),
            snapshot: snapshot.clone(),
        })
    }
}

/// How long after it was made a recovery point is still looked up in the ledger: longer than any snapshot or copy takes,
/// and than a deployment stays broken over the holidays. One list call for each day.
const FRESH: SignedDuration = SignedDuration::from_hours(14 * 24);

/// One `Describe` a page of 100, whatever the number of resources. What woke the function is not looked at.
pub(crate) async fn observe<R: Rds, L: Ledger, P: Plans>(
    function: &BackupRds<R, L, P>,
    now: Timestamp,
) -> Result<Observed> {
    let home = async { try_join!(function.plans.read(), function.home.instances(), view(&function.home)) };
    let (home, recovery) = join!(home, view(&function.recovery));
    let (plans, instances, home) = home?;
    let recovery = recovery.map_err(Arc::new);
    let ledger_days = ledger_days(home.recovery_points.iter().chain(copies(&recovery)), now);
    let recorded = function.ledger.keys(&ledger_days).await.map_err(Arc::new);
    let recovery_key = function.recovery_key.clone();
    Ok(Observed { plans, home, recovery, recovery_key, instances, ledger_days, recorded })
}

async fn view(rds: &impl Rds) -> Result<RegionView> {
    let (snapshots, quota) = try_join!(rds.manual_snapshots(), rds.quota())?;
    let copying = |snapshot: &&Snapshot| {
        snapshot.copied_from.is_some() && snapshot.state() == domain::RecoveryPointState::Pending
    };
    Ok(RegionView {
        name: rds.region().to_owned(),
        quota,
        copies_in_progress: snapshots.iter().filter(copying).count(),
        recovery_points: snapshots.iter().filter_map(RecoveryPoint::of).collect(),
    })
}

/// What the recovery Region holds, if it answered.
pub(crate) fn copies(recovery: &Result<RegionView, Arc<Error>>) -> impl Iterator<Item = &RecoveryPoint> {
    recovery.iter().flat_map(|region| &region.recovery_points)
}

fn ledger_days<'p>(points: impl Iterator<Item = &'p RecoveryPoint>, now: Timestamp) -> BTreeSet<Date> {
    let fresh = |point: &&RecoveryPoint| {
        point.snapshot.created.is_none_or(|created| now.duration_since(created) < FRESH)
    };
    points.filter(fresh).map(|point| point.slot.utc_date()).collect()
}
