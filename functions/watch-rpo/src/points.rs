//! Recovery points, copies and replicas by the instance that they are of, sorted once: a look at one instance must not
//! walk through those of all others.

use std::{
    cmp::{max, min},
    collections::{BTreeMap, HashMap},
};

use domain::{Finding, RecoveryPointId, RecoveryPointState, Slot};
use jiff::{SignedDuration, Timestamp};
use rds::Instance;

use crate::{
    observe::{Away, Point, Snapshots},
    says,
    watched::{Watched, after},
};

/// `DbiResourceId`; where RDS does not tell it, the name as well, so that the nameless are not taken for one another.
type Key<'o> = (&'o str, &'o str);

fn key<'o>(incarnation: &'o str, name: &'o str) -> Key<'o> {
    (incarnation, if incarnation.is_empty() { name } else { "" })
}

/// What was seen, by instance. What was not looked at, or did not answer, is `None`.
pub(crate) struct Index<'o> {
    /// Newest first.
    home: Option<HashMap<Key<'o>, Vec<&'o Point>>>,
    away: Option<AwayIndex<'o>>,
}

struct AwayIndex<'o> {
    copies: HashMap<Key<'o>, Vec<&'o Point>>,
    by_name: HashMap<&'o str, Vec<&'o Point>>,
    replicas: BTreeMap<&'o str, Timestamp>,
}

impl<'o> Index<'o> {
    pub(crate) fn new(snapshots: Option<&'o Snapshots>) -> Self {
        let home = snapshots.and_then(|snapshots| snapshots.home.as_ref().ok());
        let away = snapshots.and_then(|snapshots| snapshots.away.as_ref().ok());
        Self { home: home.map(|points| by_instance(points)), away: away.map(AwayIndex::new) }
    }

    /// An instance's completed recovery points, newest first.
    pub(crate) fn completed<'s>(
        &'s self,
        instance: &'s Instance,
    ) -> Option<impl Iterator<Item = &'o Point> + use<'s, 'o>> {
        let points = self.home.as_ref()?.get(&key(&instance.incarnation, &instance.id));
        let points = points.into_iter().flatten().copied();
        Some(points.filter(|point| point.state == RecoveryPointState::Completed))
    }

    /// Everything that is wrong with an instance's recovery points and what became of them.
    pub(crate) fn findings(&self, watched: &Watched<'_>, now: Timestamp, region: &str) -> Vec<Finding> {
        let found = [
            self.slot_missed(watched, now),
            self.given_up(watched),
            self.copy_given_up(watched, region),
            self.copy_late(watched, now, region),
            self.shrunk(watched),
            self.replication_behind(watched, now, region),
        ];
        // RDS's clock may be a little ahead of this one.
        let begun = |finding: Finding| Finding { since: min(finding.since, now), ..finding };
        found.into_iter().flatten().map(begun).collect()
    }

    /// The latest slot whose grace has passed has no recovery point, and no later one has.
    fn slot_missed(&self, watched: &Watched<'_>, now: Timestamp) -> Option<Finding> {
        let (slot, newest) = (watched.due?, self.completed(watched.instance)?.next());
        let due = due(watched, slot.instant(), watched.plan.objectives.slot_grace);
        let missed = due <= now && newest.is_none_or(|point| point.slot < slot);
        missed.then(|| says::slot_missed(watched, slot, newest, due))
    }

    /// RDS gave up on a snapshot, and has completed none in its place. One that has only begun puts nothing right.
    fn given_up(&self, watched: &Watched<'_>) -> Option<Finding> {
        let Instance { id, incarnation, .. } = watched.instance;
        let points = self.home.as_ref()?.get(&key(incarnation, id))?;
        let failed = newest_failed(points.iter().copied())?;
        Some(says::recovery_point_failed(watched, failed))
    }

    /// The same for a copy.
    fn copy_given_up(&self, watched: &Watched<'_>, region: &str) -> Option<Finding> {
        // Copies may bear the name that the database had when its newest recovery point was taken.
        let newest = self.completed(watched.instance)?.next();
        let name = newest.map_or(watched.instance.id.as_str(), |point| &point.resource);
        let failed = newest_failed(self.away.as_ref()?.all_copies(watched.instance, name))?;
        Some(says::copy_failed(watched, failed, region))
    }

    /// The newest recovery point that should be in the recovery Region by now is not, and no later one is.
    fn copy_late(&self, watched: &Watched<'_>, now: Timestamp, region: &str) -> Option<Finding> {
        let away = self.away.as_ref()?;
        let grace = watched.plan.objectives.copy_grace;
        let ripe = |point: &&Point| due(watched, point.slot.instant(), grace) <= now;
        let point = self.completed(watched.instance)?.find(ripe)?;
        let states: Vec<_> = away.copies(watched.instance, point).map(|copy| copy.state).collect();
        if states.contains(&RecoveryPointState::Completed) {
            return None;
        }
        let due = due(watched, point.slot.instant(), grace);
        Some(if states.contains(&RecoveryPointState::Pending) {
            says::copy_behind(watched, point, due, region)
        } else {
            says::copy_missing(watched, point, due, region, states.contains(&RecoveryPointState::Failed))
        })
    }

    /// The newest recovery point is less than half of what those before it were.
    fn shrunk(&self, watched: &Watched<'_>) -> Option<Finding> {
        let mut points = self.completed(watched.instance)?;
        let newest = points.next()?;
        let mut sizes: Vec<i64> = points.take(7).map(|point| point.allocated_gib).collect();
        if sizes.len() < 2 {
            return None;
        }
        sizes.sort_unstable();
        let (below, above) = (sizes[(sizes.len() - 1) / 2], sizes[sizes.len() / 2]);
        let shrunk = newest.allocated_gib * 4 < below + above;
        shrunk.then(|| says::shrunk(watched, newest, i64::midpoint(below, above), sizes.len()))
    }

    fn replication_behind(&self, watched: &Watched<'_>, now: Timestamp, region: &str) -> Option<Finding> {
        let latest = *self.away.as_ref()?.replicas.get(watched.instance.incarnation.as_str())?;
        let behind = watched.exposed(latest, now);
        let late = !watched.is_idle() && behind > watched.plan.objectives.replica_rpo;
        late.then(|| says::replication_behind(watched, latest, behind, region))
    }
}

/// When something that is expected `grace` after a slot is late. A database that was not protected yet at its slot has
/// as much time from when it was.
fn due(watched: &Watched<'_>, slot: Timestamp, grace: SignedDuration) -> Timestamp {
    after(max(slot, watched.seen_since), grace)
}

/// Recovery points from the oldest to the newest.
fn order(point: &Point) -> (Slot, Timestamp, &str) {
    (point.slot, point.taken, &point.id)
}

fn by_instance(points: &[Point]) -> HashMap<Key<'_>, Vec<&Point>> {
    let mut groups: HashMap<Key<'_>, Vec<&Point>> = HashMap::new();
    for point in points {
        groups.entry(key(&point.incarnation, &point.resource)).or_default().push(point);
    }
    for group in groups.values_mut() {
        group.sort_unstable_by(|a, b| order(b).cmp(&order(a)));
    }
    groups
}

impl<'o> AwayIndex<'o> {
    fn new(away: &'o Away) -> Self {
        let mut by_name: HashMap<&str, Vec<&Point>> = HashMap::new();
        for copy in &away.copies {
            by_name.entry(&copy.resource).or_default().push(copy);
        }
        let mut replicas = BTreeMap::new();
        for replica in away.replicas.iter().filter(|replica| !replica.incarnation.is_empty()) {
            let latest: &mut Timestamp =
                replicas.entry(replica.incarnation.as_str()).or_insert(replica.latest);
            *latest = max(*latest, replica.latest);
        }
        Self { copies: by_instance(&away.copies), by_name, replicas }
    }

    /// The copies of `point` and of later recovery points of the same instance.
    fn copies<'s>(
        &'s self,
        instance: &'s Instance,
        point: &'s Point,
    ) -> impl Iterator<Item = &'o Point> + use<'s, 'o> {
        let slot = point.slot;
        self.all_copies(instance, &point.resource).filter(move |copy| copy.slot >= slot)
    }

    /// The copies of an instance's recovery points, taken while it bore `name`.
    ///
    /// AWS does not promise that a copy keeps `DbiResourceId`, which "is unique to an AWS Region"; its name, which says
    /// the same, is ours.
    fn all_copies<'s>(
        &'s self,
        instance: &'s Instance,
        name: &'s str,
    ) -> impl Iterator<Item = &'o Point> + use<'s, 'o> {
        let incarnation = instance.incarnation.as_str();
        let same = self.copies.get(&key(incarnation, &instance.id)).into_iter().flatten();
        let named = self.by_name.get(name).into_iter().flatten();
        let named =
            named.filter(move |copy| copy.incarnation != incarnation && is_named_for(copy, incarnation));
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

fn is_named_for(copy: &Point, incarnation: &str) -> bool {
    let name = RecoveryPointId::new(&copy.resource, incarnation, copy.slot, 1);
    copy.id.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
