//! `verify-backup`: what was whole when it was stored is read again, in both Regions, week after week, so that damage is found
//! while there is still something else to restore from. What is found damaged is marked, so that retention counts on it no
//! more. It deletes nothing, and may not.

mod act;
mod ask;
mod desk;
mod doubts;
mod memory;
mod observe;
mod plan;
#[cfg(test)]
mod tests;

use kms::Kms;
use rds::Rds;
use reconcile::{Documents, Done, Facts, Ledger, Plan, Reconciler, Result, Timestamp};
use vault::Store;

use crate::{act::Action, observe::Observed};
pub use crate::{
    ask::Ask,
    desk::Desk,
    observe::{Pace, VerifyBackup},
};

const NAME: &str = "verify-backup";

impl<R, S, K, L, F, D> Reconciler for VerifyBackup<R, S, K, L, F, D>
where
    R: Rds,
    S: Store,
    K: Kms,
    L: Ledger,
    F: Facts,
    D: Documents,
{
    const NAME: &'static str = NAME;
    type Request = Ask;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, ask: Ask, now: Timestamp) -> Result<Observed> {
        observe::observe(self, ask, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        plan::plan(observed, now)
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }
}
