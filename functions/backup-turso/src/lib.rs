//! `backup-turso`: for every Turso database that a plan names, the current slot has a copy in the vault that was opened,
//! stored, read back and found to be the same; the recovery Region's vault has it too, and the ledger says so.

mod act;
mod attempt;
mod branches;
mod left_over;
mod made;
mod observe;
mod plan;
mod refusal;
mod staging;
mod take;
#[cfg(test)]
mod tests;
mod work;

use plans::Plans;
use reconcile::{Documents, Done, Ledger, Plan, Reconciler, Result, Timestamp, Wake};
use secrets::PlainSecrets;
use turso::Connect;
use vault::Store;

use crate::{act::Action, observe::Observed};
pub use crate::{
    observe::{BackupTurso, Pace},
    staging::Turn,
};

impl<C, K, S, L, D, P> Reconciler for BackupTurso<C, K, S, L, D, P>
where
    C: Connect,
    K: PlainSecrets,
    S: Store,
    L: Ledger,
    D: Documents,
    P: Plans,
{
    const NAME: &'static str = "backup-turso";
    type Request = Wake;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, _wake: Wake, now: Timestamp) -> Result<Observed> {
        observe::observe(self, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        Ok(plan::plan(observed, now))
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }
}
