use std::collections::BTreeSet;

use domain::PlanDocument;
use futures::{join, try_join};
use inventory::{BackupPlans, Inventory, Places, Published, is_acknowledged};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use plans::Plans;
use rds::Rds;
use reconcile::{Documents, EntryKey, Ledger, Result};
use vault::Configuration;

use crate::{Ask, Vault, locks::Locks};

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
    /// Whether a person has ever read one: nothing is deleted before.
    pub(crate) is_acknowledged: bool,
    pub(crate) locks: Locks,
    /// How long a new object of a vault is locked at least.
    pub(crate) default_lock: SignedDuration,
    /// What the ledger has of the plan's day.
    pub(crate) recorded: BTreeSet<EntryKey>,
    pub(crate) at_most: usize,
}

/// Looks: everything anew, whatever the plan says of it.
pub(crate) async fn observe<R: Rds, V: Vault, C: Configuration, L: Ledger, P: Plans, D: Documents>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed> {
    let DeleteExpired { home, recovery, vault, recovery_vault, ledger, plans, documents, at_most, .. } =
        function;
    let (plans, published, is_acknowledged, locks) =
        try_join!(plans.read(), Published::newest(vault), is_acknowledged(vault), Locks::read(documents))?;
    let days = published.as_ref().map(|published| published.plan.made_at.to_zoned(TimeZone::UTC).date());
    let recorded = ledger.keys(&days.into_iter().collect()).await?;
    let inventory = Inventory::observe(Places { home, recovery, vault, recovery_vault }, now).await?;
    let backup_plans = BackupPlans::read(&inventory, vault, recovery_vault).await;
    let [at_home, away] = &function.setups;
    let (at_home, away) = join!(default_lock(at_home), default_lock(away));
    let (default_lock, region, at_most) = (at_home.min(away), vault.region().to_owned(), *at_most);
    Ok(Observed {
        ask,
        region,
        plans,
        inventory,
        backup_plans,
        published,
        is_acknowledged,
        locks,
        default_lock,
        recorded,
        at_most,
    })
}

/// Whoever does not know it looks at each object's lock, and is none the worse for it.
async fn default_lock(setup: &impl Configuration) -> SignedDuration {
    match setup.lock().await {
        Ok(lock) => {
            let days = lock.and_then(|lock| lock.default).map_or(0, |default| default.days);
            SignedDuration::from_hours(days.saturating_mul(24))
        }
        Err(error) => {
            tracing::warn!(error.code = error.code(), "{}", error.report());
            SignedDuration::ZERO
        }
    }
}
