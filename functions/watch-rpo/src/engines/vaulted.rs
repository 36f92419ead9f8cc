//! What engines have in common whose recovery points are objects in the vault: they are found by listing its days.

use std::{
    cmp::{max, min},
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use domain::{BackupPlan, Engine, PlanDocument, RecoveryPointState, Slot};
use futures::{future::try_join_all, join};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};
use reconcile::{Error, Result};
use vault::{Listed, MANIFEST, Store, list};

use crate::{
    engines::{Asked, Away, GivenUp, Look, Protected, Under},
    look::{in_time, is_credible},
    point::Point,
};

/// How many objects S3 lists at once.
pub(crate) const PAGE: usize = 1_000;

/// The days that are always listed: today's and the two before it.
const DAYS: i64 = 3;

/// Nothing has come to an unfinished recovery point for so long: nobody seems to work on it any more.
const STALLED: SignedDuration = SignedDuration::from_hours(1);

/// The vaults of both Regions.
pub(crate) struct Vaults<'f, S> {
    pub(crate) home: &'f S,
    pub(crate) recovery: &'f S,
}

fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The slots of a plan whose recovery points are judged now: the one that should be complete, the one that should be
/// copied, and the one before these, for whoever wants to know what there is instead.
fn judged(plan: &BackupPlan, engine: Engine, now: Timestamp) -> Vec<Slot> {
    let Some(schedule) = plan.schedules.get(&engine) else { return Vec::new() };
    let before = |grace| schedule.latest_at(now.checked_sub(grace).ok()?);
    let (due, ripe) = (before(plan.objectives.slot_grace), before(plan.objectives.copy_grace));
    let oldest = min(due, ripe).map(|slot| slot.instant() - SignedDuration::from_secs(1));
    due.into_iter().chain(ripe).chain(oldest.and_then(|at| schedule.latest_at(at))).collect()
}

/// Since when all of a plan's recovery points are looked for.
pub(crate) fn looked_since(plan: &BackupPlan, engine: Engine, now: Timestamp) -> Timestamp {
    let days = day(now).saturating_sub((DAYS - 1).days());
    let recent = days.to_zoned(TimeZone::UTC).map_or(Timestamp::MIN, |midnight| midnight.timestamp());
    judged(plan, engine, now).into_iter().map(Slot::instant).fold(recent, min)
}

/// The days to list: the last three, and those of rarer slots.
fn days<'p>(plans: impl Iterator<Item = &'p BackupPlan>, engine: Engine, now: Timestamp) -> BTreeSet<Date> {
    let recent = (0..DAYS).map(|ago| day(now).saturating_sub(ago.days()));
    let rarer = plans.flat_map(|plan| judged(plan, engine, now)).map(Slot::utc_date);
    recent.chain(rarer).collect()
}

/// Looks at both vaults, if it is time to, for the resources that stand under plans.
pub(crate) async fn look_if<R: Protected, S: Store>(
    asked: Asked,
    vaults: &Vaults<'_, S>,
    resources: &[R],
    plans: &PlanDocument,
    now: Timestamp,
) -> Option<Look<()>> {
    if !asked.points {
        return None;
    }
    let mut under: Vec<&BackupPlan> = Vec::new();
    for resource in resources {
        match resource.under(plans) {
            Under::Plan(plan) if under.iter().all(|there| there.name != plan.name) => under.push(plan),
            _ => {}
        }
    }
    if under.is_empty() {
        // There is nothing to look for.
        let away = Away { copies: Vec::new(), beside: () };
        return Some(Look { home: Ok(Vec::new()), away: Ok(away), pages: 0 });
    }
    let days = days(under.into_iter(), R::ENGINE, now);
    Some(look(vaults, R::ENGINE, &days, now).await)
}

/// Looks at both vaults.
async fn look<S: Store>(
    vaults: &Vaults<'_, S>,
    engine: Engine,
    days: &BTreeSet<Date>,
    now: Timestamp,
) -> Look<()> {
    let listed = async |store| {
        let lists = days.iter().map(|day| list(store, engine, [*day]));
        let mut points: Vec<Listed> = try_join_all(lists).await?.into_iter().flatten().collect();
        // One for a slot that is yet to come is nobody's: it would fill every slot until then.
        points.retain(|point| is_credible(point.slot.instant(), now));
        Ok(points)
    };
    let what = format!("the recovery points of {engine} were");
    let (home, away) = join!(in_time(&what, listed(vaults.home)), in_time(&what, listed(vaults.recovery)));
    let pages = |points: &Result<Vec<Listed>>| {
        let objects = points.iter().flatten().map(|point| point.objects.len()).sum::<usize>();
        objects.div_ceil(PAGE).max(days.len())
    };
    let pages = pages(&home) + pages(&away);
    let away =
        away.map(|away| Away { copies: copies(&away, home.as_deref().unwrap_or_default(), now), beside: () });
    Look {
        home: home.map(|home| own(&home, now)).map_err(Arc::new),
        away: away.map_err(|error: Error| Arc::new(error)),
        pages,
    }
}

/// Of what a recovery point is: resource and incarnation.
type Origin<'l> = (&'l str, &'l str);

fn origin(listed: &Listed) -> Origin<'_> {
    (&listed.resource.name, listed.id.parts().map_or("", |parts| parts.mark))
}

fn attempt(listed: &Listed) -> u32 {
    listed.id.parts().map_or(1, |parts| parts.attempt)
}

/// The recovery points at home. One without a manifest is still being made, unless another attempt has taken its place,
/// or nothing has come to it for an hour while one of a later slot was begun.
fn own(listed: &[Listed], now: Timestamp) -> Vec<Point> {
    let mut newest: HashMap<Origin<'_>, Slot> = HashMap::new();
    let mut attempts: HashMap<(Origin<'_>, Slot), u32> = HashMap::new();
    for point in listed {
        let newest = newest.entry(origin(point)).or_insert(point.slot);
        *newest = max(*newest, point.slot);
        let last = attempts.entry((origin(point), point.slot)).or_default();
        *last = max(*last, attempt(point));
    }
    let state = |point: &Listed| {
        let replaced = attempts.get(&(origin(point), point.slot)).is_some_and(|last| *last > attempt(point));
        let left =
            is_stalled(point, now) && newest.get(&origin(point)).is_some_and(|last| *last > point.slot);
        match point.completed() {
            Some(_) => RecoveryPointState::Completed,
            None if replaced || left => RecoveryPointState::Failed,
            None => RecoveryPointState::Pending,
        }
    };
    listed.iter().map(|listed| point(listed, state(listed), now)).collect()
}

/// The recovery points in the recovery Region, each compared with what is there at home.
fn copies(away: &[Listed], home: &[Listed], now: Timestamp) -> Vec<Point> {
    let home: HashMap<_, &Listed> = home.iter().map(|point| ((&point.resource, &point.id), point)).collect();
    let state = |copy: &Listed| {
        let original = home.get(&(&copy.resource, &copy.id)).copied();
        let differs = |original: &Listed| {
            let mut shared =
                original.objects.iter().filter_map(|(name, object)| Some((object, copy.objects.get(name)?)));
            shared.any(|(object, copied)| object.bytes != copied.bytes)
        };
        match original {
            Some(original) if differs(original) => RecoveryPointState::Failed,
            _ if copy.completed().is_none() => RecoveryPointState::Pending,
            Some(original) if !original.is_held_by(copy) => RecoveryPointState::Pending,
            _ => RecoveryPointState::Completed,
        }
    };
    away.iter().map(|copy| Point { is_copy: true, ..point(copy, state(copy), now) }).collect()
}

fn moved_at(listed: &Listed) -> Timestamp {
    listed.objects.values().map(|object| object.modified).max().unwrap_or(listed.slot.instant())
}

fn is_stalled(listed: &Listed, now: Timestamp) -> bool {
    now.duration_since(moved_at(listed)) > STALLED
}

fn point(listed: &Listed, state: RecoveryPointState, now: Timestamp) -> Point {
    let (resource, mark) = origin(listed);
    let content = listed.objects.iter().filter(|(name, _)| *name != MANIFEST);
    Point {
        id: listed.id.to_string(),
        resource: resource.to_owned(),
        incarnation: mark.to_owned(),
        slot: listed.slot,
        state,
        // What was taken for a slot holds what was there at its slot, and somewhat more, which only manifests tell.
        taken: if state == RecoveryPointState::Completed { listed.slot.instant() } else { moved_at(listed) },
        bytes: content.map(|(_, object)| object.bytes).fold(0, u64::saturating_add),
        is_copy: false,
        is_stalled: state == RecoveryPointState::Pending && is_stalled(listed, now),
    }
}

/// One resource of each name, a protected one before others; and the names that several protected ones bear.
pub(crate) fn without_namesakes<R: Protected>(
    resources: Vec<R>,
    is_protected: impl Fn(&R) -> bool,
) -> (Vec<R>, HashSet<String>) {
    let mut seen: HashMap<String, R> = HashMap::new();
    let mut clashes = HashSet::new();
    for resource in resources {
        match seen.get(resource.name()) {
            Some(there) if is_protected(there) && is_protected(&resource) => {
                clashes.insert(resource.name().to_owned());
            }
            Some(there) if is_protected(there) || !is_protected(&resource) => {}
            _ => _ = seen.insert(resource.name().to_owned(), resource),
        }
    }
    (seen.into_values().collect(), clashes)
}

/// What to do about a slot that is missed.
pub(crate) fn next_for_slot(function: &str) -> String {
    format!(
        "See what {function} found and logged, and whether it runs at all; invoke it with {{\"wake\": \"slot\"}}: it makes the \
         recovery point of the current slot, or says why it cannot."
    )
}

/// Where a recovery point's objects are.
fn place(engine: Engine, point: &Point) -> String {
    format!("{engine}/{}/{}/{}/", point.slot.utc_date(), point.resource, point.id)
}

/// A recovery point that will never have its manifest.
pub(crate) fn failed(engine: Engine, function: &str, point: &Point) -> GivenUp {
    let Point { id, slot, .. } = point;
    GivenUp {
        code: "ManifestMissing",
        says: format!(
            "recovery point {id}, for slot {slot}, was given up without a manifest: what came into the vault was not whole or not \
             readable, and none has completed in its place yet"
        ),
        next: format!(
            "{function} tries three times by itself. See what it found and logged; what there is of it stays in the vault under \
             `{}` and is no backup.",
            place(engine, point)
        ),
    }
}

/// A copy that cannot become what it should be.
pub(crate) fn copy_failed(engine: Engine, copy: &Point, region: &str) -> GivenUp {
    let Point { id, slot, .. } = copy;
    GivenUp {
        code: "CopyDiffers",
        says: format!(
            "copy {id} in {region}, for slot {slot}, has an object of another size than the recovery point itself, and none has \
             completed in its place yet"
        ),
        next: format!(
            "Compare `{}` in both vaults (`aws s3api list-object-versions`): nobody should have written there but S3's replication \
             and Tidemark.",
            place(engine, copy)
        ),
    }
}

/// What to do about a copy that is not there.
pub(crate) fn next_for_copy(engine: Engine, function: &str, point: &Point, region: &str) -> String {
    format!(
        "S3 replicates the vault, and {function} copies what that leaves out. See what it found and logged, and whether the vault's \
         replication works (`aws s3api head-object` of `{}manifest.json` in the home vault shows its ReplicationStatus; FAILED: a \
         permission, or a key of {region}); mend that, and invoke it with {{\"wake\": \"tick\"}}.",
        place(engine, point)
    )
}

/// What to do about a copy that takes long.
pub(crate) fn next_for_slow_copy(engine: Engine, point: &Point, region: &str) -> String {
    format!(
        "Nothing, unless it lasts: see what has come to {region}, under `{}` in the vault there.",
        place(engine, point)
    )
}

/// A size as a person says it: `512 bytes`, `34.2 MiB`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let (mut size, mut unit) = (bytes as f64 / 1024.0, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        (size, unit) = (size / 1024.0, unit + 1);
    }
    format!("{size:.1} {}", UNITS[unit])
}
