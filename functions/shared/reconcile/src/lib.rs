//! The loop that every Tidemark function is.
//!
//! ```text
//! observe   what is true now      Describe calls and vault listings; never an event's word for it
//! plan      what should be done   pure: what was observed and `now` in, decisions with reasons out
//! act       do it                 one decision, idempotently; what was done comes back as ledger entries
//! ```
//!
//! A function crate implements [`Reconciler`] and hands it to [`serve`]; everything that functions have in common
//! happens here, once: parsing of what woke it, the deadline, the concurrency budget, the isolation of one resource's
//! failure from all others, ledger entries and the facts published from them, findings, metrics, logs and error types.
//!
//! What a pass finds wrong is posted on the function's board, a document in the state bucket that send-alert reads: once
//! before anything is done, and again with what failed. What stands there no more has ended; what could not be looked at
//! stays as it was. A pass whose findings stand there gives a heartbeat.
//!
//! Nothing here waits for the cloud to finish something. A pass does what can be done now and reports how much is
//! *unfinished*; the next tick goes on from what it then observes. So a pass may be killed at any instruction or run
//! twice at once.

mod aws;
mod board;
mod clock;
mod documents;
mod entry;
mod error;
mod logs;
mod metrics;
mod plan;
mod run;
mod serve;
mod settings;
mod summary;
mod wake;

use std::future::Future;

pub use aws::{aws_config, aws_error};
pub use aws_config::SdkConfig;
pub use board::{FINDINGS, board_name, parse_findings};
pub use clock::{Budget, Deadline};
pub use documents::{Document, Documents};
pub use entry::{Entry, EntryKey, Facts, Filed, Journal, Ledger, Outcome};
pub use error::{Error, Kind, Result};
pub use jiff::Timestamp;
pub use metrics::{Metric, Unit};
pub use plan::{Action, Decision, Done, Plan, Verdict};
pub use run::run;
pub use serve::serve;
pub use settings::Settings;
pub use summary::{Acted, Failed, Summary};
pub use wake::{Request, Wake};

/// One function's observe, plan and act.
pub trait Reconciler {
    /// The function's name in logs, metrics and ledger entries, e.g. `backup-rds`.
    const NAME: &'static str;
    /// Whether somebody else tells of what stands on this function's board, so that the invocation need not fail for it
    /// too. Nobody tells of send-alert.
    const IS_TOLD_OF: bool = true;
    /// How many actions are carried out at the same time.
    const CONCURRENCY: usize = Budget::CONCURRENCY;
    /// What the function may be asked: [`Wake`] for those that take no input.
    type Request: Request;
    /// What `observe` saw, with the configuration that `plan` needs.
    type Observed;
    /// What `plan` may decide to do.
    type Action: Action;

    /// Looks at the world. An error ends the pass: nothing was done.
    fn observe(&self, request: Self::Request, now: Timestamp)
    -> impl Future<Output = Result<Self::Observed>>;

    /// Decides. Pure: the same observation and `now` give the same decisions. An error refuses the request as a whole.
    fn plan(observed: &Self::Observed, now: Timestamp) -> Result<Plan<Self::Action>>;

    /// Carries out one decision. Must be idempotent: it may have been carried out before, or by another invocation now.
    fn act(&self, action: &Self::Action, now: Timestamp) -> impl Future<Output = Result<Done>>;

    /// What the invoker gets to read; by default the summary of the pass.
    fn answer(summary: Summary) -> serde_json::Value {
        summary.into_json()
    }
}
