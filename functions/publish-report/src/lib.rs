//! `publish-report`: weekly, monthly and on demand, a page of how every protected resource stands, with its JSON, in the vault;
//! word of it goes to people through send-alert, as information. It changes nothing else.

mod act;
mod ask;
mod compose;
mod due;
mod observe;
mod plan;
mod recorded;
mod seen;
#[cfg(test)]
mod tests;

use plans::Plans;
use rds::Rds;
use reconcile::{Documents, Done, Ledger, Plan, Reconciler, Result, Timestamp};
use vault::Store;

use crate::{act::Action, observe::Observed};
pub use crate::{
    ask::Ask,
    compose::compose,
    observe::PublishReport,
    recorded::{Known, Recorded},
    seen::{DAYS, Seen},
};

const NAME: &str = "publish-report";

impl<R, S, L, P, D> Reconciler for PublishReport<R, S, L, P, D>
where
    R: Rds,
    S: Store,
    L: Ledger,
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
        Ok(plan::plan(observed, now))
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }
}
