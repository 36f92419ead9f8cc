//! How old the newest restorable state is, and when that is too old.

use domain::Finding;
use jiff::Timestamp;

use crate::{
    points::Index,
    says,
    watched::{Newest, Watched},
};

/// With automated backups up to `LatestRestorableTime`; without, as the newest recovery point holds it.
pub(crate) fn newest(watched: &Watched<'_>, index: &Index<'_>) -> Newest {
    if watched.has_automated_backups() {
        return watched.instance.latest_restorable.map_or(Newest::Nothing, Newest::At);
    }
    let Some(points) = index.completed(watched.instance) else { return Newest::Unknown };
    points.map(|point| point.taken).max().map_or(Newest::Nothing, Newest::At)
}

/// Whether the objective is exceeded; `earlier` is the finding that stands.
pub(crate) fn rpo_exceeded(
    watched: &Watched<'_>,
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
