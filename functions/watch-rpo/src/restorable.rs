//! How old the newest restorable state is, and when that is too old.

use std::cmp::max;

use domain::Finding;
use jiff::Timestamp;

use crate::{
    engines::Protected,
    points::Index,
    says,
    watched::{Newest, Watched},
};

/// As far as the provider's point-in-time restore reaches; without one, as the newest recovery point holds it, or until
/// when that is known to be still what the resource holds.
pub(crate) fn newest<R: Protected>(watched: &Watched<'_, R>, index: &Index<'_, R>) -> Newest {
    if let Some(newest) = watched.of.continuous() {
        return newest;
    }
    let Some(points) = index.completed(watched.of) else { return Newest::Unknown };
    let taken = points.map(|point| point.taken).max();
    max(taken, watched.of.current_at()).map_or(Newest::Nothing, Newest::At)
}

/// Whether the objective is exceeded; `earlier` is the finding that stands.
pub(crate) fn rpo_exceeded<R: Protected>(
    watched: &Watched<'_, R>,
    newest: Newest,
    now: Timestamp,
    earlier: Option<&Finding>,
) -> Option<Finding> {
    if newest == Newest::Unknown {
        // Nobody looked, so what stood still stands.
        return earlier.cloned();
    }
    let age = watched.age(newest, now)?;
    let exceeded = match (newest, earlier) {
        (Newest::At(_), Some(_)) => age >= watched.calm(),
        _ => age > watched.rpo(),
    };
    exceeded.then(|| {
        let mut finding = says::rpo_exceeded(watched, newest, age);
        // One that stands may be within the objective by now.
        finding.since = finding.since.min(earlier.map_or(now, |earlier| earlier.since));
        finding
    })
}
