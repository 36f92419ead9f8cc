use std::collections::BTreeSet;

use domain::PlanDocument;
use futures::{join, try_join};
use inventory::{BackupPlans, Inventory, Places, Published, acknowledged_since};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use plans::Plans;
use rds::Rds;
use reconcile::{Documents, EntryKey, Ledger, Result};
use vault::{Configuration, Object};

use crate::{Ask, Vault, locks::Locks, plan::OUTDATED};

/// The function, with the outside systems that it sees.
pub struct DeleteExpired<R, V, C, L, P, D> {
    /// RDS where the databases are.
    pub home: R,
    /// RDS where the copies are.
    pub recovery: R,
    /// The vault at home, in which plans, acknowledgements and marks are, too.
    pub vault: V,
    /// The vault in the recovery Region.
    pub recovery_vault: V,
    /// How both vaults are set up.
    pub setups: [C; 2],
    /// What is recorded already.
    pub ledger: L,
    /// The backup plans.
    pub plans: P,
    /// What is remembered of locks.
    pub documents: D,
    /// So many recovery points are deleted in one pass at most.
    pub at_most: usize,
}

/// So many days of the ledger are read for one plan at most: an engine that was silent for longer is told of every hour.
const MOST_DAYS: usize = 16;

/// What is true now.
#[derive(Debug)]
pub struct Observed {
    pub(crate) ask: Ask,
    pub(crate) region: String,
    pub(crate) plans: PlanDocument,
    pub(crate) inventory: Inventory,
    pub(crate) backup_plans: BackupPlans,
    /// The plan that was published last.
    pub(crate) published: Option<Published>,
    /// The one before it, where passes have carried it out and may have left something unrecorded.
    pub(crate) before: Option<Published>,
    /// Since when a person has read one: nothing is deleted before.
    pub(crate) acknowledged_since: Option<Timestamp>,
    pub(crate) locks: Locks,
    /// How long a new object is locked, at home and in the recovery Region; `None` where that did not answer.
    pub(crate) default_locks: [Option<SignedDuration>; 2],
    /// What the ledger has of the plans' days, and of the day before each: a pass may have begun under an earlier one.
    pub(crate) recorded: BTreeSet<EntryKey>,
    pub(crate) at_most: usize,
}

impl Observed {
    pub(crate) const fn is_acknowledged(&self) -> bool {
        self.acknowledged_since.is_some()
    }

    /// How long a new object is locked at least. Whoever does not know it looks at each object's lock, and is none the worse for it.
    pub(crate) fn default_lock(&self) -> SignedDuration {
        let locks = self.default_locks.iter().map(|lock| lock.unwrap_or(SignedDuration::ZERO));
        locks.min().unwrap_or(SignedDuration::ZERO)
    }
}

/// Looks: everything anew, whatever the plan says of it.
pub(crate) async fn observe<R: Rds, V: Vault, C: Configuration, L: Ledger, P: Plans, D: Documents>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed> {
    let DeleteExpired { home, recovery, vault, recovery_vault, ledger, plans, documents, at_most, .. } =
        function;
    let (plans, published, acknowledged_since, locks) = try_join!(
        plans.read(),
        Published::newest_and_before(vault),
        acknowledged_since(vault),
        Locks::read(documents)
    )?;
    let (published, earlier) = published.unzip();
    let carried_out = acknowledged_since.filter(|_| ask == Ask::CarryOut);
    let before = match (&published, earlier.flatten(), carried_out) {
        (Some(newest), Some(earlier), Some(since)) => before(vault, newest, &earlier, since, now).await,
        _ => None,
    };
    let recorded = ledger.keys(&days(published.iter().chain(&before))).await?;
    let inventory = Inventory::observe(Places { home, recovery, vault, recovery_vault }, now).await?;
    let backup_plans = BackupPlans::read(&inventory, vault, recovery_vault).await;
    let [at_home, away] = &function.setups;
    let default_locks = join!(default_lock(at_home), default_lock(away)).into();
    let (region, at_most) = (vault.region().to_owned(), *at_most);
    Ok(Observed {
        ask,
        region,
        plans,
        inventory,
        backup_plans,
        published,
        before,
        acknowledged_since,
        locks,
        default_locks,
        recorded,
        at_most,
    })
}

/// The plan before the newest one. A pass that was killed after it deleted and before it wrote that down leaves it to the next,
/// and the newest plan does not name what is gone. Nothing was deleted by it if nobody had acknowledged a plan by the time of the
/// newest one; and when that is outdated, a day of passes has written everything down.
async fn before(
    vault: &impl Vault,
    newest: &Published,
    earlier: &Object,
    acknowledged_since: Timestamp,
    now: Timestamp,
) -> Option<Published> {
    let made_at = newest.plan.made_at;
    if acknowledged_since >= made_at || now.duration_since(made_at) > OUTDATED {
        return None;
    }
    // It is for the record alone: without it all else goes on.
    let read = Published::read(vault, earlier).await;
    read.inspect_err(|error| tracing::warn!(error.code = error.code(), "{}", error.report())).ok()
}

/// The days on which deletions by these plans may stand in the ledger: a plan's own and the day before; and where a plan names what
/// was to go and nobody has looked at since, all days from then on.
fn days<'p>(plans: impl Iterator<Item = &'p Published>) -> BTreeSet<Date> {
    let of = |published: &Published| {
        let day = published.plan.made_at.to_zoned(TimeZone::UTC).date();
        let unseen = published.plan.kept().filter_map(|(_, decided)| decided.since).min();
        let first = unseen.map_or(day, |since| since.to_zoned(TimeZone::UTC).date().min(day));
        let first = first.yesterday().unwrap_or(first);
        (0..MOST_DAYS)
            .scan(day, |day, _| {
                let this = *day;
                *day = this.yesterday().ok()?;
                Some(this)
            })
            .take_while(move |day| *day >= first)
            .collect::<Vec<_>>()
    };
    plans.flat_map(of).collect()
}

async fn default_lock(setup: &impl Configuration) -> Option<SignedDuration> {
    match setup.lock().await {
        Ok(lock) => {
            let days = lock.and_then(|lock| lock.default).map_or(0, |default| default.days);
            Some(SignedDuration::from_hours(days.saturating_mul(24)))
        }
        Err(error) => {
            tracing::warn!(error.code = error.code(), "{}", error.report());
            None
        }
    }
}
