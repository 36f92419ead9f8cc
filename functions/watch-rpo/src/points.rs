//! Recovery points, copies and what lies beside them by the resource that they are of, sorted once: a look at one resource
//! must not walk through those of all others.

use std::{
    cmp::{max, min},
    collections::HashMap,
};

use domain::{Finding, RecoveryPointState};
use jiff::{SignedDuration, Timestamp};

use crate::{
    engines::{Away, Key, Look, Protected},
    point::{Point, order},
    says,
    watched::{Watched, after},
};

/// What was seen, by resource. What was not looked at, or did not answer, is `None`.
pub(crate) struct Index<'o, R: Protected> {
    /// Newest first.
    home: Option<HashMap<Key<'o>, Vec<&'o Point>>>,
    away: Option<AwayIndex<'o>>,
    /// What the recovery Region shows beside copies.
    pub(crate) beside: Option<&'o R::Beside>,
}

struct AwayIndex<'o> {
    copies: HashMap<Key<'o>, Vec<&'o Point>>,
    by_name: HashMap<&'o str, Vec<&'o Point>>,
}

impl<'o, R: Protected> Index<'o, R> {
    pub(crate) fn new(look: Option<&'o Look<R::Beside>>) -> Self {
        let home = look.and_then(|look| look.home.as_ref().ok());
        let away = look.and_then(|look| look.away.as_ref().ok());
        Self {
            home: home.map(|points| by_resource::<R>(points)),
            away: away.map(AwayIndex::new::<R>),
            beside: away.map(|away| &away.beside),
        }
    }

    /// A resource's completed recovery points, newest first.
    pub(crate) fn completed<'s>(
        &'s self,
        resource: &'s R,
    ) -> Option<impl Iterator<Item = &'o Point> + use<'s, 'o, R>> {
        let points = self.home.as_ref()?.get(&resource.key());
        let points = points.into_iter().flatten().copied();
        Some(points.filter(|point| point.state == RecoveryPointState::Completed))
    }

    /// Everything that is wrong with a resource's recovery points and what became of them.
    pub(crate) fn findings(
        &self,
        watched: &Watched<'_, R>,
        now: Timestamp,
        region: &str,
    ) -> impl Iterator<Item = Finding> + use<R> {
        let found = [
            self.slot_missed(watched, now),
            self.given_up(watched),
            self.copy_given_up(watched, region),
            self.copy_late(watched, now, region),
            self.shrunk(watched),
        ];
        // The provider's clock may be a little ahead of this one.
        let begun = move |finding: Finding| Finding { since: min(finding.since, now), ..finding };
        found.into_iter().flatten().map(begun)
    }

    /// The latest slot whose grace has passed has no recovery point, and no later one has.
    fn slot_missed(&self, watched: &Watched<'_, R>, now: Timestamp) -> Option<Finding> {
        let (slot, newest) = (watched.due?, self.completed(watched.of)?.next());
        let due = due(watched, slot.instant(), watched.plan.objectives.slot_grace);
        let filled = newest.is_some_and(|point| point.slot >= slot)
            || watched.of.current_at().is_some_and(|current| current >= slot.instant());
        let missed = due <= now && !filled;
        missed.then(|| says::slot_missed(watched, slot, newest, due))
    }

    /// A recovery point failed, and none has completed in its place. One that has only begun puts nothing right.
    fn given_up(&self, watched: &Watched<'_, R>) -> Option<Finding> {
        let points = self.home.as_ref()?.get(&watched.of.key())?;
        let failed = newest_failed(points.iter().copied())?;
        Some(says::recovery_point_failed(watched, failed))
    }

    /// The same for a copy.
    fn copy_given_up(&self, watched: &Watched<'_, R>, region: &str) -> Option<Finding> {
        // Copies may bear the name that the resource had when its newest recovery point was taken.
        let newest = self.completed(watched.of)?.next();
        let name = newest.map_or(watched.of.name(), |point| &point.resource);
        let failed = newest_failed(self.away.as_ref()?.all_copies(watched.of, name))?;
        Some(says::copy_failed(watched, failed, region))
    }

    /// The newest recovery point that should be in the recovery Region by now is not, and no later one is.
    fn copy_late(&self, watched: &Watched<'_, R>, now: Timestamp, region: &str) -> Option<Finding> {
        let away = self.away.as_ref()?;
        let grace = watched.plan.objectives.copy_grace;
        let ripe = |point: &&Point| due(watched, point.slot.instant(), grace) <= now;
        let point = self.completed(watched.of)?.find(ripe)?;
        let copies: Vec<_> = away.copies(watched.of, point).collect();
        let any = |state| copies.iter().copied().find(|copy| copy.state == state);
        if any(RecoveryPointState::Completed).is_some() {
            return None;
        }
        let due = due(watched, point.slot.instant(), grace);
        let pending = any(RecoveryPointState::Pending);
        if copies.iter().any(|copy| copy.state == RecoveryPointState::Pending && !copy.is_stalled) {
            return Some(says::copy_behind(watched, point, due, region));
        }
        let why = match (any(RecoveryPointState::Failed), pending) {
            (Some(_), _) => "the copy failed",
            (None, Some(_)) => "the copy is not whole, and nothing has come to it for an hour",
            (None, None) => "there is none",
        };
        Some(says::copy_missing(watched, point, due, region, why))
    }

    /// The newest recovery point is less than half of what those before it were.
    fn shrunk(&self, watched: &Watched<'_, R>) -> Option<Finding> {
        let mut points = self.completed(watched.of)?;
        let newest = points.next()?;
        let mut sizes: Vec<u64> = points.take(7).map(|point| point.bytes).collect();
        if sizes.len() < 2 {
            return None;
        }
        sizes.sort_unstable();
        let (below, above) = (sizes[(sizes.len() - 1) / 2], sizes[sizes.len() / 2]);
        let shrunk = u128::from(newest.bytes) * 4 < u128::from(below) + u128::from(above);
        shrunk.then(|| says::shrunk(watched, newest, u64::midpoint(below, above), sizes.len()))
    }
}

/// When something that is expected `grace` after a slot is late. A resource that was not protected yet at its slot has
/// as much time from when it was.
fn due<R: Protected>(watched: &Watched<'_, R>, slot: Timestamp, grace: SignedDuration) -> Timestamp {
    after(max(slot, watched.seen_since), grace)
}

fn by_resource<R: Protected>(points: &[Point]) -> HashMap<Key<'_>, Vec<&Point>> {
    let mut groups: HashMap<Key<'_>, Vec<&Point>> = HashMap::new();
    for point in points {
        groups.entry(R::key_of(point)).or_default().push(point);
    }
    for group in groups.values_mut() {
        group.sort_unstable_by(|a, b| order(b).cmp(&order(a)));
    }
    groups
}

impl<'o> AwayIndex<'o> {
    fn new<R: Protected>(away: &'o Away<R::Beside>) -> Self {
        let mut by_name: HashMap<&str, Vec<&Point>> = HashMap::new();
        for copy in &away.copies {
            by_name.entry(&copy.resource).or_default().push(copy);
        }
        Self { copies: by_resource::<R>(&away.copies), by_name }
    }

    /// The copies of `point` and of later recovery points of the same resource.
    fn copies<'s, R: Protected>(
        &'s self,
        resource: &'s R,
        point: &'s Point,
    ) -> impl Iterator<Item = &'o Point> + use<'s, 'o, R> {
        let slot = point.slot;
        self.all_copies(resource, &point.resource).filter(move |copy| copy.slot >= slot)
    }

    /// The copies of a resource's recovery points, taken while it bore `name`.
    fn all_copies<'s, R: Protected>(
        &'s self,
        resource: &'s R,
        name: &'s str,
    ) -> impl Iterator<Item = &'o Point> + use<'s, 'o, R> {
        let same = self.copies.get(&resource.key()).into_iter().flatten();
        let named = self.by_name.get(name).into_iter().flatten();
        let named = named.filter(|copy| R::key_of(copy) != resource.key() && resource.is_named_for(copy));
        same.chain(named).copied()
    }
}

/// The newest that failed, unless one of its slot or a later one completed.
fn newest_failed<'o>(points: impl Iterator<Item = &'o Point>) -> Option<&'o Point> {
    let (mut completed, mut failed) = (None, None::<&Point>);
    for point in points {
        match point.state {
            RecoveryPointState::Completed => completed = max(completed, Some(point.slot)),
            RecoveryPointState::Failed if failed.is_none_or(|newest| order(newest) < order(point)) => {
                failed = Some(point);
            }
            RecoveryPointState::Failed | RecoveryPointState::Pending => {}
        }
    }
    failed.filter(|point| Some(point.slot) > completed)
}
