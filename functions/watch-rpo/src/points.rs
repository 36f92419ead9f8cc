//! Recovery points, copies and replicas by the instance that they are of, sorted once: a look at one instance must not
//! walk through those of all others.

use std::{
    cmp::max,
    collections::{BTreeMap, HashMap},
};

use domain::{Finding, RecoveryPointId, RecoveryPointState};
use jiff::{SignedDuration, Timestamp};
use rds::Instance;

use crate::{
    kind,
    observe::{Away, Point, Snapshots},
    restorable::{Watched, after},
    says,
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
        found.into_iter().flatten().collect()
    }

    /// The latest slot whose grace has passed has no recovery point, and no later one has.
    fn slot_missed(&self, watched: &Watched<'_>, now: Timestamp) -> Option<Finding> {
        let (slot, newest) = (watched.due?, self.completed(watched.instance)?.next());
        let due = due(watched, slot.instant(), watched.plan.objectives.slot_grace);
        let missed = due <= now && newest.is_none_or(|point| point.slot < slot);
        missed.then(|| says::slot_missed(watched, slot, newest, due))
    }

    /// RDS gave up on the snapshot of the newest slot, and has completed none in its place.
    fn given_up(&self, watched: &Watched<'_>) -> Option<Finding> {
        let points = self.home.as_ref()?.get(&key(&watched.instance.incarnation, &watched.instance.id))?;
        let newest = points.first()?.slot;
        let of_slot = || points.iter().take_while(|point| point.slot == newest);
        let failed = of_slot().find(|point| point.state == RecoveryPointState::Failed)?;
        let replaced = of_slot().any(|point| point.state == RecoveryPointState::Completed);
        (!replaced).then(|| says::given_up(watched, kind::RECOVERY_POINT_FAILED, "snapshot", failed))
    }

    /// The same for the copy of the newest recovery point.
    fn copy_given_up(&self, watched: &Watched<'_>, region: &str) -> Option<Finding> {
        let point = self.completed(watched.instance)?.next()?;
        let copies: Vec<&Point> = self.away.as_ref()?.copies(watched.instance, point).collect();
        let failed = copies.iter().find(|copy| copy.state == RecoveryPointState::Failed)?;
        let replaced = copies.iter().any(|copy| copy.state == RecoveryPointState::Completed);
        let what = format!("copy in {region}");
        (!replaced).then(|| says::given_up(watched, kind::COPY_FAILED, &what, failed))
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

fn by_instance(points: &[Point]) -> HashMap<Key<'_>, Vec<&Point>> {
    let mut groups: HashMap<Key<'_>, Vec<&Point>> = HashMap::new();
    for point in points {
        groups.entry(key(&point.incarnation, &point.resource)).or_default().push(point);
    }
    for group in groups.values_mut() {
        group.sort_unstable_by(|a, b| (b.slot, b.taken, &b.id).cmp(&(a.slot, a.taken, &a.id)));
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
    ///
    /// AWS does not promise that a copy keeps `DbiResourceId`, which "is unique to an AWS Region"; its name, which says
    /// the same, is ours.
    fn copies<'s>(
        &'s self,
        instance: &'s Instance,
        point: &'s Point,
    ) -> impl Iterator<Item = &'o Point> + use<'s, 'o> {
        let (incarnation, slot) = (instance.incarnation.as_str(), point.slot);
        let same = self.copies.get(&key(&instance.incarnation, &instance.id)).into_iter().flatten();
        let named = self.by_name.get(point.resource.as_str()).into_iter().flatten();
        let named = named.filter(move |copy| {
            copy.slot >= slot && copy.incarnation != incarnation && is_named_for(copy, incarnation)
        });
        same.filter(move |copy| copy.slot >= slot).chain(named).copied()
    }
}

fn is_named_for(copy: &Point, incarnation: &str) -> bool {
    let name = RecoveryPointId::new(&copy.resource, incarnation, copy.slot, 1);
    copy.id.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}
