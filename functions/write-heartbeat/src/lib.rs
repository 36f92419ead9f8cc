//! `write-heartbeat`: every minute a numbered, signed mark in each database that a plan names. After a restore the newest intact
//! one tells what was lost, whatever an API claims (`docs/heartbeats.md`).

mod act;
pub mod kind;
mod known;
mod memory;
mod observe;
mod place;
mod plan;
mod says;
mod systems;
#[cfg(test)]
mod tests;

use reconcile::{Done, Plan, Reconciler, Result, Timestamp, Wake};

use crate::{act::Action, observe::Observed};
pub use crate::{known::Known, systems::Systems, systems::WriteHeartbeat};

const NAME: &str = "write-heartbeat";

impl<W: Systems> Reconciler for WriteHeartbeat<W> {
    const NAME: &'static str = NAME;
    /// Almost all of an action is waiting for a database, and none may wait for another's.
    const CONCURRENCY: usize = 64;
    type Request = Wake;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, _wake: Wake, now: Timestamp) -> Result<Observed> {
        observe::observe(self, now).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        Ok(plan::plan(observed, now))
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }
}
