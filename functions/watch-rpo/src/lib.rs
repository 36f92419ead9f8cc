//! `watch-rpo`: every minute, how old each protected RDS instance's newest restorable state is, and everything that is
//! wrong with it. It finds by looking at what is there, so that it also finds what was never done: a slot for which no
//! function ran, a copy that nobody made. It changes nothing; send-alert tells.

mod act;
mod ask;
mod engines;
pub mod kind;
mod look;
mod memory;
mod observe;
mod plan;
mod point;
mod points;
mod restorable;
mod says;
#[cfg(test)]
mod tests;
mod watched;

use plans::Plans;
use rds::Rds;
use reconcile::{Documents, Done, Plan, Reconciler, Result, Timestamp};

use crate::{act::Action, observe::Observed};
pub use crate::{ask::Ask, observe::WatchRpo};

impl<R: Rds, P: Plans, D: Documents> Reconciler for WatchRpo<R, P, D> {
    const NAME: &'static str = "watch-rpo";
    type Request = Ask;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, ask: Ask, now: Timestamp) -> Result<Observed> {
        observe::observe(self, ask, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        plan::plan(observed, now)
    }

    async fn act(&self, action: &Action, _now: Timestamp) -> Result<Done> {
        act::act(self, action).await
    }
}
