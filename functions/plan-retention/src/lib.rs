//! `plan-retention`: once a day it is decided which recovery points are kept, by the same rules in every engine and both
//! Regions, and published, with the reason for each, before anything is deleted. It deletes nothing, and may not.

mod act;
mod ask;
mod findings;
mod observe;
mod plan;
#[cfg(test)]
mod tests;

use plans::Plans;
use rds::Rds;
use reconcile::{Done, Ledger, Plan, Reconciler, Result, Timestamp};
use vault::Store;

use crate::{act::Action, observe::Observed};
pub use crate::{ask::Ask, observe::PlanRetention};

const NAME: &str = "plan-retention";

impl<R: Rds, S: Store, L: Ledger, P: Plans> Reconciler for PlanRetention<R, S, L, P> {
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
