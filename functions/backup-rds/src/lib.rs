//! `backup-rds`: for every RDS instance that carries `tidemark:plan`, the current slot has a snapshot, the snapshot has
//! a copy in the recovery Region under that Region's key, and the ledger says so.

mod act;
mod observe;
mod plan;
mod refusal;
#[cfg(test)]
mod tests;

use plans::Plans;
use rds::Rds;
use reconcile::{Done, Ledger, Plan, Reconciler, Result, Timestamp, Wake};

pub use crate::observe::BackupRds;
use crate::{act::Action, observe::Observed};

impl<R: Rds, L: Ledger, P: Plans> Reconciler for BackupRds<R, L, P> {
    const NAME: &'static str = "backup-rds";
    type Request = Wake;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, _wake: Wake, now: Timestamp) -> Result<Observed> {
        observe::observe(self, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        Ok(plan::plan(observed, now))
    }

    async fn act(&self, action: &Action, _now: Timestamp) -> Result<Done> {
        act::act(self, action).await
    }
}
