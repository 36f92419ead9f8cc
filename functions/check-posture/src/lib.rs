//! `check-posture`: once a day, and before a deployment, it finds what will break the next backup or restore before it does:
//! in the databases, the keys, the quotas, the buckets, the Turso token, the plans and the topics. It changes nothing.

mod act;
mod ask;
mod checks;
mod kind;
mod observe;
mod plan;
mod systems;
#[cfg(test)]
mod tests;

use reconcile::{Done, Plan, Reconciler, Result, Summary, Timestamp};
use serde_json::Value;

use crate::{act::Action, observe::Observed};
pub use crate::{
    ask::Ask,
    systems::{CheckPosture, Organization, Place, Systems, Topics},
};

const NAME: &str = "check-posture";

impl<W: Systems> Reconciler for CheckPosture<W> {
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

    async fn act(&self, action: &Action, _now: Timestamp) -> Result<Done> {
        Ok(act::act(action))
    }

    /// What a deployment has to know stands at the top: `ok`, and what was found.
    fn answer(mut summary: Summary) -> Value {
        let report = summary.acted.pop().map(|acted| acted.detail);
        let silent = summary.failed.len();
        let mut answer = summary.into_json();
        for (key, value) in report.into_iter().flatten() {
            // What did not answer stands in `failed`, and is no good sign either.
            answer[key.as_str()] = if key == "ok" && silent > 0 { false.into() } else { value };
        }
        answer
    }
}
