//! `run-drill`: each database is restored into staging once a month, by restore-database as a person would have it, is read to its
//! end, and torn down; what was lost and how long it took is measured. It is the only function that may delete databases, and
//! only those that carry a drill's tag.
//!
//! One module for each engine ([`Engine`]); what they have in common is beside them.

mod act;
mod ask;
mod budget;
mod drill;
mod engine;
mod findings;
mod manifest;
mod measure;
mod observe;
mod plan;
mod price;
mod rds;
mod record;
mod redis;
mod restored;
mod set;
#[cfg(test)]
mod tests;
mod turso;

use invoke::Functions;
use plans::Plans;
use reconcile::{Documents, Done, Facts, Ledger, Plan, Reconciler, Result, Summary, Timestamp};
use serde_json::Value;

pub use crate::{
    act::Action,
    ask::Ask,
    engine::{Engine, Engines},
    observe::{Limits, Observed, Points, RunDrill, Sources},
    rds::{Network, RdsDrills},
    redis::{CacheNetwork, CacheRegion, RedisDrills},
    turso::TursoDrills,
};

const NAME: &str = "run-drill";

impl<R, E, T, I, P, C, L, B, D> Reconciler for RunDrill<R, E, T, I, P, C, L, B, D>
where
    R: Engine,
    E: Engine,
    T: Engine,
    I: Points,
    P: Plans,
    C: Functions,
    L: Ledger,
    B: Facts,
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

    /// A person reads what became of the one drill; a tick's answer is its summary.
    fn answer(mut summary: Summary) -> Value {
        match summary.acted.pop_if(|acted| acted.action == act::ASKED) {
            Some(acted) => Value::Object(acted.detail),
            None => summary.into_json(),
        }
    }
}
