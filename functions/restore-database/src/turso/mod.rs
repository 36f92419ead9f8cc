//! Turso: a branch at an instant while the database lives, or else a new database with the vault's file as its content.
//!
//! Databases there carry no tags, so what was ordered, and which database was made for it, is kept as a document.

mod act;
mod count;
mod file;
mod follow;
mod observe;
mod plan;
#[cfg(test)]
pub(crate) mod tests;
mod wish;
mod work;

use jiff::Timestamp;
use reconcile::{Documents, Done, Ledger, Plan, Result};
use secrets::PlainSecrets;
use turso::Connect;
use vault::Store;

pub use self::observe::TursoRestores;
use self::{
    act::Action,
    observe::{Asked, Restores},
};
pub(crate) use self::{plan::REGION, wish::Wish};
use crate::{engine::Engine, request::RestoreRequest};

impl<C: Connect, K: PlainSecrets, S: Store, D: Documents, L: Ledger> Engine for TursoRestores<C, K, S, D, L> {
    type Wish = Wish;
    type Asked = Asked;
    type Restores = Restores;
    type Action = Action;
    const NEEDS: &'static str = "TIDEMARK_TURSO_ORGANIZATION, TIDEMARK_TURSO_SECRET, TIDEMARK_RECOVERY_VAULT_BUCKET and, where it is set, a valid TIDEMARK_TURSO_API";

    async fn observe(&self, request: RestoreRequest<Wish>, now: Timestamp) -> Result<Asked> {
        self.reach().await?.observe_request(request, now).await
    }

    fn plan(asked: &Asked, now: Timestamp) -> Result<Plan<Action>> {
        plan::plan(asked, now)
    }

    async fn restores(&self, now: Timestamp) -> Result<Restores> {
        self.observe_restores(now).await
    }

    fn ids(restores: &Restores) -> Vec<&str> {
        restores.all.iter().map(|ordered| ordered.order.restore.id.as_str()).collect()
    }

    fn follow(restores: &Restores, now: Timestamp) -> Plan<Action> {
        follow::plan(restores, now)
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(&self.reach().await?, action, now).await
    }
}
