//! `restore-database`: a person asks for a database as it was at a second or at a recovery point, and it is made, under
//! a new name, in either Region. Ticks follow it until its first query is answered, and write down how long it took.

mod act;
mod entry;
mod follow;
mod observe;
mod plan;
mod request;
#[cfg(test)]
mod tests;

use postgres::Postgres;
use rds::Rds;
use reconcile::{Done, Ledger, Plan, Reconciler, Result, Summary, Timestamp};
use secrets::Secrets;
use serde_json::Value;

pub use crate::observe::RestoreDatabase;
use crate::{act::Action, observe::Observed, request::Ask};

impl<R: Rds, L: Ledger, S: Secrets, P: Postgres> Reconciler for RestoreDatabase<R, L, S, P> {
    const NAME: &'static str = "restore-database";
    type Request = Ask;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, ask: Ask, now: Timestamp) -> Result<Observed> {
        observe::observe(self, ask, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        match observed {
            Observed::Asked(asked) => plan::plan(asked, now),
            Observed::Restores(restores) => Ok(follow::plan(restores, now)),
        }
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }

    /// A person reads what became of the one request; a tick's answer is its summary.
    fn answer(mut summary: Summary) -> Value {
        match summary.acted.pop_if(|acted| acted.action == act::RESTORE) {
            Some(acted) => Value::Object(acted.detail),
            None => summary.into_json(),
        }
    }
}
