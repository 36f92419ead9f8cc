use jiff::{SignedDuration, Timestamp};
use reconcile::{Done, Entry, Error, Kind, Result};

use crate::{
    memory::Found,
    place::{self, Beat, Beaten},
    says,
    systems::{Systems, WriteHeartbeat},
};

/// Without a heartbeat for so long a database is told of: a failover, or a minor version, takes less.
const MISSING_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// All that write-heartbeat can do.
#[derive(Debug)]
pub enum Action {
    /// Write one more heartbeat.
    Beat(Box<Beat>),
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        "write-heartbeat"
    }

    /// It comes every minute, or is missed; the database itself is the record.
    fn failure(&self, _error: &Error, _now: Timestamp) -> Option<Entry> {
        None
    }
}

/// Carries out `action`.
pub(crate) async fn act<W: Systems>(
    function: &WriteHeartbeat<W>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    let Action::Beat(beat) = action;
    let mut found = beat.found.clone();
    match place::beat(function, beat, &mut found, now).await {
        Ok(beaten) => written(function, beat, &mut found, beaten, now).await,
        Err(error) if error.kind() == Kind::Retryable => {
            missed(function, beat, &mut found, &error, now).await
        }
        Err(error) => Err(error),
    }
}

async fn written<W: Systems>(
    function: &WriteHeartbeat<W>,
    beat: &Beat,
    found: &mut Found,
    beaten: Beaten,
    now: Timestamp,
) -> Result<Done> {
    let (mark, clock) = (beaten.next.heartbeat.mark(), says::clock(beat, &beaten, now));
    let memory = found.memory.after(beaten.is_written.then_some(mark), now);
    found.replace(&function.documents, &beat.resource, memory).await?;
    let findings = beaten.findings.into_iter().chain(clock).collect();
    let done = Done { findings, ..Done::default() };
    Ok(done.with("number", mark.number).with("written", beaten.is_written))
}

/// A minute without a heartbeat is a pause in it and no failure of this function. Several are told.
async fn missed<W: Systems>(
    function: &WriteHeartbeat<W>,
    beat: &Beat,
    found: &mut Found,
    error: &Error,
    now: Timestamp,
) -> Result<Done> {
    tracing::warn!(resource = %beat.resource, error.code = error.code(), "{}", error.report());
    let memory = found.memory.missed(now);
    let (since, newest) = (memory.missed_since.unwrap_or(now), memory.newest);
    found.replace(&function.documents, &beat.resource, memory).await?;
    let is_told = now.duration_since(since) >= MISSING_AFTER;
    let finding = is_told.then(|| says::missing(&beat.resource, since, newest, error));
    let done = Done { findings: finding.into_iter().collect(), ..Done::underway() };
    Ok(done.with("missed", error.code()))
}
