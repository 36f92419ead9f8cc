//! `delete-expired`: the only function that may delete recovery points, and only what the published retention plan expires, a
//! person has agreed to, and is expired by a look of now as well. What is kept it locks for as long as its tier asks for.

mod act;
mod ask;
mod delete;
mod locks;
mod observe;
mod overdue;
mod plan;
#[cfg(test)]
mod tests;

use plans::Plans;
use rds::Rds;
use reconcile::{Documents, Done, Ledger, Plan, Reconciler, Result, Timestamp};
use vault::{Configuration, Store, Versions};

use crate::{act::Action, observe::Observed};
pub use crate::{ask::Ask, observe::DeleteExpired};

const NAME: &str = "delete-expired";

/// A vault, with the versions of its objects.
pub trait Vault: Store + Versions {}
impl<V: Store + Versions> Vault for V {}

impl<R: Rds, V: Vault, C: Configuration, L: Ledger, P: Plans, D: Documents> Reconciler
    for DeleteExpired<R, V, C, L, P, D>
{
    const NAME: &'static str = NAME;
    type Request = Ask;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, ask: Ask, now: Timestamp) -> Result<Observed> {
        observe::observe(self, ask, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        Ok(plan::plan(observed, now))
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }
}
