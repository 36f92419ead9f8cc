use std::cell::RefCell;

use domain::ResourceId;
use futures::{StreamExt, stream};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Map, Value};
use tokio::time::timeout_at;

use crate::{
    Acted, Action, Budget, Deadline, Decision, Done, Entry, Error, Facts, Failed, Journal, Kind, Ledger,
    Outcome, Reconciler, Result, Summary, Verdict, logs, metrics, summary::Waiting,
};

/// One pass: observe, plan, act within the budget, record.
///
/// Fails as a whole only where nothing was done: the observation failed, or the request was refused. Anything that one
/// resource's action meets stays with that resource, in [`Summary::failed`].
pub async fn run<R, L, F>(
    reconciler: &R,
    journal: &Journal<L, F>,
    request: R::Request,
    now: Timestamp,
    deadline: Deadline,
    budget: Budget,
) -> Result<Summary>
where
    R: Reconciler,
    L: Ledger,
    F: Facts,
{
    // Boxed, here and below: the SDK's futures are large, and nesting them by value exceeds what the compiler lays out.
    let observed = timeout_at(deadline.last_call(), Box::pin(reconciler.observe(request, now)))
        .await
        .map_err(|_| out_of_time())??;
    let plan = R::plan(&observed, now)?;
    let pass =
        Pass { reconciler, journal, now, deadline, budget, summary: RefCell::new(Summary::new::<R>(now)) };
    stream::iter(plan.decisions)
        .for_each_concurrent(budget.concurrency, |decision| pass.carry_out(decision))
        .await;
    Ok(pass.summary.into_inner())
}

/// What the decisions of one pass share.
struct Pass<'p, R, L, F> {
    reconciler: &'p R,
    journal: &'p Journal<L, F>,
    now: Timestamp,
    deadline: Deadline,
    budget: Budget,
    /// Borrowed only between awaits: the pass runs on one thread.
    summary: RefCell<Summary>,
}

impl<R: Reconciler, L: Ledger, F: Facts> Pass<'_, R, L, F> {
    async fn carry_out(&self, decision: Decision<R::Action>) {
        let Decision { resource, verdict, reason } = decision;
        match verdict {
            Verdict::Settled => self.summary.borrow_mut().settled += 1,
            Verdict::Wait => {
                let mut summary = self.summary.borrow_mut();
                summary.unfinished += 1;
                summary.waiting.push(Waiting { resource, reason });
            }
            Verdict::Refuse(error) => {
                let error = self.record_failure(self.refusal(&resource, &error), error).await;
                self.failed(Failed { resource, action: "plan", error });
            }
            Verdict::Act(_) if !self.deadline.allows(self.budget.reserve) => {
                let mut summary = self.summary.borrow_mut();
                summary.deferred += 1;
                summary.unfinished += 1;
            }
            Verdict::Act(action) => match self.attempt(&action).await {
                Ok(done) => {
                    tracing::info!(resource = %resource, action = action.name(), reason, "done");
                    let mut summary = self.summary.borrow_mut();
                    summary.unfinished += usize::from(done.unfinished);
                    if !done.metrics.is_empty() {
                        let name = resource.to_string();
                        logs::metric_line(&metrics::embedded(
                            self.now,
                            &[("resource", &name)],
                            &done.metrics,
                        ));
                    }
                    summary.acted.push(Acted {
                        resource,
                        action: action.name(),
                        reason,
                        detail: done.detail,
                    });
                }
                Err(error) => {
                    let error = self.record_failure(action.failure(&error, self.now), error).await;
                    self.failed(Failed { resource, action: action.name(), error });
                }
            },
        }
    }

    /// Acts and records what came of it, within the invocation's time.
    async fn attempt(&self, action: &R::Action) -> Result<Done> {
        timeout_at(self.deadline.last_call(), async {
            let done = Box::pin(self.reconciler.act(action, self.now)).await?;
            for entry in &done.entries {
                self.journal.record(entry).await.map_err(|error| unrecorded(action, &done, &error))?;
            }
            Ok(done)
        })
        .await
        .map_err(|_| out_of_time())?
    }

    /// Writes the failure into the ledger. A ledger that cannot be written is worse news than the failure itself, so
    /// it becomes the error, with the failure in its text.
    async fn record_failure(&self, entry: Option<Entry>, error: Error) -> Error {
        let Some(entry) = entry else { return error };
        match self.journal.record_once(&entry).await {
            Ok(()) => error,
            Err(ledger) => Error::new(
                ledger.kind(),
                ledger.code().to_owned(),
                format!("{}; and it could not be recorded: {ledger}", error.report()),
            ),
        }
    }

    /// The entry for what should be done and cannot be: once a day for as long as it lasts.
    fn refusal(&self, resource: &ResourceId, error: &Error) -> Option<Entry> {
        (error.kind() != Kind::Retryable).then(|| Entry {
            day: self.now.to_zoned(TimeZone::UTC).date(),
            at: self.now,
            function: R::NAME,
            kind: "refused",
            resource: resource.clone(),
            subject: R::NAME.to_owned(),
            region: "any".to_owned(),
            outcome: Outcome::Failed(error.code().to_owned()),
            detail: Map::from_iter([("error".to_owned(), error.report().into())]),
        })
    }

    fn failed(&self, failed: Failed) {
        tracing::error!(
            resource = %failed.resource, action = failed.action,
            error.code = failed.error.code(), error.kind = failed.error.kind().as_str(), "{}", failed.error.report()
        );
        let mut summary = self.summary.borrow_mut();
        summary.unfinished += 1;
        summary.failed.push(failed);
    }
}

/// The action took effect and could not be written down: the reader must hear of both.
fn unrecorded(action: &impl Action, done: &Done, error: &Error) -> Error {
    let detail = Value::Object(done.detail.clone());
    let message =
        format!("{} was done ({detail}) and could not be recorded: {}", action.name(), error.report());
    Error::new(error.kind(), error.code().to_owned(), message)
}

fn out_of_time() -> Error {
    Error::retryable(
        "OutOfTime",
        "the invocation's time is nearly over; the next tick goes on from what it finds",
    )
}

impl Summary {
    fn new<R: Reconciler>(now: Timestamp) -> Self {
        Self {
            function: R::NAME,
            at: now,
            acted: Vec::new(),
            waiting: Vec::new(),
            failed: Vec::new(),
            settled: 0,
            deferred: 0,
            unfinished: 0,
        }
    }
}
