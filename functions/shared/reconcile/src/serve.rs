use std::{
    cell::Cell,
    time::{Duration, Instant, SystemTime},
};

use jiff::Timestamp;
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::Value;

use crate::{
    Budget, Deadline, Documents, Error, Facts, Journal, Ledger, Metric, Reconciler, Request, Result, Summary,
    logs, metrics, run,
};

/// Serves invocations until Lambda ends the process.
///
/// `build` makes the reconciler and its journal, before the first invocation. If that fails (an environment variable
/// missing), every invocation answers with that error, which tells the reader more than a runtime that exits.
pub async fn serve<R, L, F, D>(
    build: impl AsyncFnOnce() -> Result<(R, Journal<L, F, D>)>,
) -> Result<(), lambda_runtime::Error>
where
    R: Reconciler,
    L: Ledger,
    F: Facts,
    D: Documents,
{
    let started = Instant::now();
    logs::start();
    let built = Box::pin(build()).await;
    let init = Cell::new(Some(started.elapsed()));
    let (built, init) = (&built, &init);
    lambda_runtime::run(service_fn(async move |event: LambdaEvent<Value>| {
        let (reconciler, journal) = built.as_ref().map_err(repeat).map_err(Diagnostic::from)?;
        Box::pin(invoke(reconciler, journal, event, init.take())).await.map_err(Diagnostic::from)
    }))
    .await
}

/// One invocation: parse, run a pass, emit metrics, answer.
async fn invoke<R, L, F, D>(
    reconciler: &R,
    journal: &Journal<L, F, D>,
    event: LambdaEvent<Value>,
    init: Option<Duration>,
) -> Result<Value>
where
    R: Reconciler,
    L: Ledger,
    F: Facts,
    D: Documents,
{
    let (begun, now) = (Instant::now(), Timestamp::now());
    let deadline =
        Deadline::after(event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default());
    let mut surveys = false;
    let outcome = match R::Request::parse(event.payload) {
        Ok(request) => {
            surveys = request.surveys();
            let budget = Budget { concurrency: R::CONCURRENCY, ..Budget::default() };
            run(reconciler, journal, request, now, deadline, budget).await
        }
        Err(error) => Err(error),
    };
    let mut values = measured(&outcome, begun.elapsed(), init);
    if surveys {
        // Whether what the pass found can be read: what the alarms on silence listen for.
        let posted = outcome.as_ref().is_ok_and(|summary| summary.findings.is_some());
        values.push(Metric::count("heartbeat", usize::from(posted)));
    }
    logs::metric_line(&metrics::embedded(now, &[("function", R::NAME)], &values));
    let mut summary = outcome?;
    let error = if R::IS_TOLD_OF { summary.take_unsaid_error() } else { summary.take_error() };
    match error {
        Some(error) => Err(error),
        None => Ok(R::answer(summary)),
    }
}

/// The metrics of one invocation.
fn measured(outcome: &Result<Summary>, took: Duration, init: Option<Duration>) -> Vec<Metric> {
    let mut values = vec![Metric::milliseconds("duration_ms", milliseconds(took))];
    match outcome {
        Ok(summary) => {
            values.extend([
                Metric::count("acted", summary.acted.len()),
                Metric::count("failed", summary.failed.len()),
                Metric::count("deferred", summary.deferred),
                Metric::count("unfinished", summary.unfinished),
            ]);
            values.extend(summary.findings.map(|count| Metric::count("findings", count)));
        }
        Err(error) => {
            tracing::error!(
                error.code = error.code(),
                error.kind = error.kind().as_str(),
                "{}",
                error.report()
            );
            values.push(Metric::count("failed", 1));
        }
    }
    values.extend(init.map(|init| Metric::milliseconds("init_ms", milliseconds(init))));
    values.extend(peak_memory_bytes().map(|bytes| Metric::bytes("peak_memory_bytes", bytes)));
    values
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The most memory that this process ever held, as Linux counts it (`proc_pid_status(5)`, `VmHWM`).
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// An error that stood at the start, said again for each invocation.
fn repeat(error: &Error) -> Error {
    Error::new(error.kind(), error.code().to_owned(), error.report())
}
