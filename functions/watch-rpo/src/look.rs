//! When snapshots are looked at, and which instants are believed.

use jiff::{SignedDuration, Timestamp};

/// An instant that lies further ahead than this is not another clock's but a mistake: AWS refuses requests that are
/// signed with a clock five minutes off (Signature Version 4).
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Whether that can have been.
pub(crate) fn is_credible(at: Timestamp, now: Timestamp) -> bool {
    at.duration_since(now) <= CLOCK_SKEW
}

/// How many snapshots may be listed in a minute: fifty pages of a hundred.
pub(crate) const SNAPSHOTS_A_MINUTE: usize = 5_000;

/// How many minutes may lie between two looks at snapshots, however many there are.
pub(crate) const MOST_LOOK_MINUTES: i64 = 5;

/// How often snapshots are looked at: each minute, as everything is, as long as that is cheap; with more of them less
/// often, so that the cost of a minute stays what it is, but never less often than every five minutes.
pub(crate) fn look_minutes(snapshots: usize) -> i64 {
    let minutes = snapshots.div_ceil(SNAPSHOTS_A_MINUTE);
    i64::try_from(minutes).unwrap_or(i64::MAX).clamp(1, MOST_LOOK_MINUTES)
}
