use std::collections::BTreeSet;

use domain::PlanDocument;
use futures::try_join;
use inventory::{BackupPlans, Inventory, Places, Published, is_acknowledged};
use jiff::{Timestamp, tz::TimeZone};
use plans::Plans;
use rds::Rds;
use reconcile::{EntryKey, Ledger, Result};
use vault::Store;

use crate::Ask;

/// The function, with the outside systems that it sees.
pub struct PlanRetention<R, S, L, P> {
    /// RDS where the databases are.
    pub home: R,
    /// RDS where the copies are.
    pub recovery: R,
    /// The vault at home, in which plans, acknowledgements and marks are, too.
    pub vault: S,
    /// The vault in the recovery Region.
    pub recovery_vault: S,
    /// What is recorded already.
    pub ledger: L,
    /// The backup plans.
    pub plans: P,
}

/// What is true now.
#[derive(Debug)]
pub struct Observed {
    pub(crate) ask: Ask,
    pub(crate) plans: PlanDocument,
    pub(crate) region: String,
    pub(crate) inventory: Inventory,
    pub(crate) backup_plans: BackupPlans,
    /// The plan that was published last.
    pub(crate) published: Option<Published>,
    /// Whether a person has ever read one.
    pub(crate) is_acknowledged: bool,
    /// What the ledger has of today.
    pub(crate) recorded: BTreeSet<EntryKey>,
}

/// Looks: a call for each page of what there is, and one for each newest manifest. Of a day that has its plan already only
/// whether that stands in the ledger.
pub(crate) async fn observe<R: Rds, S: Store, L: Ledger, P: Plans>(
    function: &PlanRetention<R, S, L, P>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed> {
    let PlanRetention { home, recovery, vault, recovery_vault, ledger, plans } = function;
    let today = BTreeSet::from([now.to_zoned(TimeZone::UTC).date()]);
    let (plans, published, is_acknowledged, recorded) =
        try_join!(plans.read(), last(vault, &ask), is_acknowledged(vault), ledger.keys(&today))?;
    let is_planned =
        ask == Ask::Plan && published.as_ref().is_some_and(|published| published.is_of_the_day(now));
    let inventory = if is_planned || matches!(ask, Ask::Acknowledge(_)) {
        Inventory::default()
    } else {
        Inventory::observe(Places { home, recovery, vault, recovery_vault }, now).await?
    };
    let backup_plans = match ask {
        Ask::Hold { .. } => BackupPlans::default(),
        _ => BackupPlans::read(&inventory, vault, recovery_vault).await,
    };
    let region = vault.region().to_owned();
    Ok(Observed { ask, plans, region, inventory, backup_plans, published, is_acknowledged, recorded })
}

/// The plan that was published last, where it matters. A person who says that losses are well needs none that nobody can read.
async fn last(vault: &impl Store, ask: &Ask) -> Result<Option<Published>> {
    if matches!(ask, Ask::Hold { .. }) {
        return Ok(None);
    }
    match Published::newest(vault).await {
        Err(error)
            if *ask == (Ask::PlanNow { in_spite_of_losses: true })
                && error.code() == "RetentionPlanUnreadable" =>
        {
            Ok(None)
        }
        newest => newest,
    }
}
