//! When recovery points are looked at, and which instants are believed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Result};
use tokio::time::timeout;

/// An instant that lies further ahead than this is not another clock's but a mistake: AWS refuses requests that are
/// signed with a clock five minutes off (Signature Version 4).
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Whether that can have been.
pub(crate) fn is_credible(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) <= CLOCK_SKEW
}

/// How many pages of an engine's recovery points may be listed in a minute.
const PAGES_A_MINUTE: usize = 50;

/// How many minutes may lie between two looks at recovery points, however many there are.
pub(crate) const MOST_LOOK_MINUTES: i64 = 5;

/// How often recovery points are looked at: each minute, as everything is, as long as that is cheap; with more of them
/// less often, so that the cost of a minute stays what it is, but never less often than every five minutes.
pub(crate) fn look_minutes(pages: usize) -> i64 {
    let minutes = pages.div_ceil(PAGES_A_MINUTE);
    i64::try_from(minutes).unwrap_or(i64::MAX).clamp(1, MOST_LOOK_MINUTES)
}

/// How long an engine's lists may take. What takes longer must not cost the minute in which all else is judged.
const LOOK_LIMIT: Duration = Duration::from_secs(45);

/// What `look` sees, if that is soon. `what` names it: `snapshots were`.
pub(crate) async fn in_time<T>(what: &str, look: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(LOOK_LIMIT, look).await.map_err(|_| {
        let seconds = LOOK_LIMIT.as_secs();
        let message = format!("{what} not listed within {seconds} s; the next minute tries again");
        Error::retryable("OutOfTime", message)
    })?
}
