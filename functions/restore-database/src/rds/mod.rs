//! RDS: a second or a snapshot becomes one call; the new instance's tags say all that ticks need to know.

mod act;
mod follow;
mod observe;
mod overrides;
mod plan;
#[cfg(test)]
pub(crate) mod tests;

use jiff::Timestamp;
use postgres::Postgres;
use rds::Rds;
use reconcile::{Done, Ledger, Plan, Result};
use secrets::Secrets;

pub use self::observe::RdsRestores;
pub(crate) use self::overrides::Overrides;
use self::{
    act::Action,
    observe::{Asked, Restores},
};
use crate::{engine::Engine, request::RestoreRequest};

impl<R: Rds, L: Ledger, S: Secrets, P: Postgres> Engine for RdsRestores<R, L, S, P> {
    type Wish = Overrides;
    type Asked = Asked;
    type Restores = Restores;
    type Action = Action;
    const NEEDS: &'static str = "nothing else";

    async fn observe(&self, request: RestoreRequest<Overrides>, _now: Timestamp) -> Result<Asked> {
        self.observe_request(request).await
    }

    fn plan(asked: &Asked, now: Timestamp) -> Result<Plan<Action>> {
        plan::plan(asked, now)
    }

    fn newest(asked: &Asked) -> Option<Timestamp> {
        plan::newest(asked)
    }

    async fn restores(&self, now: Timestamp) -> Result<Restores> {
        self.observe_restores(now).await
    }

    fn ids(restores: &Restores) -> Vec<&str> {
        restores.all.iter().map(|restored| restored.restore.id.as_str()).collect()
    }

    fn follow(restores: &Restores, now: Timestamp) -> Plan<Action> {
        follow::plan(restores, now)
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }
}
