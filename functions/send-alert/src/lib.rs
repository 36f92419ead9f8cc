//! `send-alert`: the only function that publishes to people. It compares what the functions say is wrong, what Lambda gave
//! up and what CloudWatch alarms on with what was told already, and tells the difference: one conversation for each
//! resource, from the alert over its reminders to the all-clear.

mod act;
mod conditions;
mod digest;
mod memory;
mod message;
mod observe;
mod plan;
mod request;
mod tell;
#[cfg(test)]
mod tests;

use alarms::Alarms;
use alerts::Topic;
use reconcile::{Documents, Done, Plan, Reconciler, Result, Timestamp};

pub use crate::observe::{Manner, SendAlert};
use crate::{act::Action, observe::Observed, request::Ask};

/// The function's name, and its board's.
pub(crate) const NAME: &str = "send-alert";

impl<A: Alarms, T: Topic, D: Documents> Reconciler for SendAlert<A, T, D> {
    const NAME: &'static str = NAME;
    /// What it cannot do, it cannot tell: its invocation fails, and CloudWatch's alarm on that tells.
    const IS_TOLD_OF: bool = false;
    type Request = Ask;
    type Observed = Observed;
    type Action = Action;

    async fn observe(&self, ask: Ask, _now: Timestamp) -> Result<Observed> {
        observe::observe(self, ask).await
    }

    fn plan(observed: &Observed, now: Timestamp) -> Result<Plan<Action>> {
        Ok(plan::plan(observed, now))
    }

    async fn act(&self, action: &Action, now: Timestamp) -> Result<Done> {
        act::act(self, action, now).await
    }
}
