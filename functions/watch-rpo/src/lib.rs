//! `watch-rpo`: every minute, how old each protected resource's newest restorable state is, and everything that is wrong
//! with it. It finds by looking at what is there, so that it also finds what was never done: a slot for which no function
//! ran, a copy that nobody made. It changes nothing; send-alert tells.
//!
//! What an engine has of its own is a module of `engines`.

mod act;
mod ask;
mod engines;
mod history;
pub mod kind;
mod look;
mod memory;
mod observe;
mod organization;
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
use vault::Store;

use crate::{act::Action, observe::Observed};
pub use crate::{
    ask::Ask,
    observe::WatchRpo,
    organization::{Caches, Organization, SecretOrganization},
};

const NAME: &str = "watch-rpo";

impl<R, C, T, S, P, D> Reconciler for WatchRpo<R, C, T, S, P, D>
where
    R: Rds,
    C: Caches,
    T: Organization,
    S: Store,
    P: Plans,
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

    async fn act(&self, action: &Action, _now: Timestamp) -> Result<Done> {
        act::act(&self.documents, action).await
    }
}
