//! Redis and Valkey: a recovery point becomes a new cache, or an append-only directory as it was at a second.
//!
//! Either takes several steps, so what was ordered is kept as a document until it is over.

mod act;
mod cache;
mod directory;
mod follow;
mod observe;
mod plan;
#[cfg(test)]
pub(crate) mod tests;
mod wish;
mod work;

use jiff::Timestamp;
use reconcile::{Documents, Done, Ledger, Plan, Result};
use redis::elasticache::ElastiCache;
use secrets::Secrets;
use vault::Store;

pub use self::observe::{RedisRegion, RedisRestores};
pub(crate) use self::wish::Wish;
use self::{
    act::Action,
    observe::{Asked, Restores},
};
use crate::{engine::Engine, request::RestoreRequest};

/// What the keys of everything staged for the restore that makes `name` begin with.
fn staged_prefix(name: &str) -> String {
    format!("restores/{name}/")
}

impl<E: ElastiCache, S: Store, D: Documents, L: Ledger, K: Secrets> Engine for RedisRestores<E, S, D, L, K> {
    type Wish = Wish;
    type Asked = Asked;
    type Restores = Restores;
    type Action = Action;
    const NEEDS: &'static str =
        "TIDEMARK_EXPORT_BUCKET, TIDEMARK_RECOVERY_EXPORT_BUCKET and TIDEMARK_RECOVERY_VAULT_BUCKET";

    async fn observe(&self, request: RestoreRequest<Wish>, now: Timestamp) -> Result<Asked> {
        self.observe_request(request, now).await
    }

    fn plan(asked: &Asked, now: Timestamp) -> Result<Plan<Action>> {
        plan::plan(asked, now)
    }

    async fn restores(&self, now: Timestamp) -> Result<Restores> {
        self.observe_restores(now).await
    }

    fn ids(restores: &Restores) -> Vec<&str> {
        restores.all.iter().map(|seen| seen.ordered.order.restore.id.as_str()).collect()
    }

    fn follow(restores: &Restores, now: Timestamp) -> Plan<Action> {
        follow::plan(restores, now)
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }
}
