//! Which recovery point of the vault is meant.

use std::cmp::Reverse;

use domain::{RecoveryPointId, ResourceId};
use futures::future::try_join_all;
use jiff::{SignedDuration, Span, Timestamp, civil::Date, tz::TimeZone};
use reconcile::{Error, Result};
use vault::{Listed, MANIFEST, Manifest, Store, point_prefix};

use crate::request::Target;

/// A recovery point that can be restored, with what its manifest says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) manifest: Manifest,
    /// What the list says of its objects.
    pub(crate) listed: Listed,
}

impl Point {
    /// What the keys of its objects begin with.
    pub(crate) fn prefix(&self) -> String {
        point_prefix(&self.listed.resource, self.listed.slot, &self.listed.id)
    }

    /// The last instant to which it can be restored.
    pub(crate) fn reaches(&self) -> Timestamp {
        self.manifest.restorable_to.unwrap_or(self.manifest.taken_at)
    }

    /// Whether it can be restored to that second exactly: commands are dated by the second.
    pub(crate) fn holds(&self, instant: Timestamp) -> bool {
        let (from, to) = (self.manifest.taken_at.as_second(), self.reaches().as_second());
        (from..=to).contains(&instant.as_second())
    }
}

/// What was found for a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    /// That one.
    Point(Box<Point>),
    /// There is one of that name, and it has no manifest: it is not whole, or was not verified yet.
    Pending,
    /// None. What there is instead, newest first, as far as somebody looked.
    Nothing(Vec<RecoveryPointId>),
}

/// How far back an instant is looked for. The default plan keeps seven annual recovery points.
const LOOK_BACK_DAYS: i32 = 7 * 366 + 31;

/// How many days are listed at once when nothing was found in those before.
const AT_ONCE: i32 = 32;

/// How long after an instant a directory that reaches back to it may have been copied.
const LOOK_AHEAD_DAYS: i64 = 8;

/// How many of the last days a refusal looks at for what there is instead.
const RECENT_DAYS: i64 = 4;

/// How many names of recovery points a refusal shows.
const SHOWN: usize = 3;

/// Looks for the recovery point that `target` means: the named one, the newest, or the newest that was taken at or before
/// the instant, unless a later one reaches from before it to after it, as append-only directories do.
pub(crate) async fn find(
    store: &impl Store,
    resource: &ResourceId,
    target: &Target,
    now: Timestamp,
) -> Result<Found> {
    let instant = match target {
        Target::RecoveryPoint(id) => return by_id(store, resource, id, now).await,
        Target::Latest => now,
        Target::Instant(instant) => *instant,
    };
    let before = newest_before(store, resource, instant).await?;
    match before {
        Some(point) if point.manifest.restorable_to.is_none() || point.holds(instant) => {
            Ok(Found::Point(Box::new(point)))
        }
        _ if *target == Target::Latest => match before {
            Some(point) => Ok(Found::Point(Box::new(point))),
            None => nothing(store, resource, now).await,
        },
        before => match reaching_back(store, resource, instant, now).await?.or(before) {
            Some(point) => Ok(Found::Point(Box::new(point))),
            None => nothing(store, resource, now).await,
        },
    }
}

/// A name says its day itself.
async fn by_id(store: &impl Store, resource: &ResourceId, id: &str, now: Timestamp) -> Result<Found> {
    let id = RecoveryPointId::from(id);
    let Some(day) = id.parts().map(|parts| parts.slot.utc_date()) else {
        return nothing(store, resource, now).await;
    };
    let listed = of(store, resource, [day]).await?.into_iter().find(|listed| listed.id == id);
    match listed {
        Some(listed) if listed.completed().is_some() => match read(store, listed).await? {
            Some(point) => Ok(Found::Point(Box::new(point))),
            None => Ok(Found::Pending),
        },
        Some(_) => Ok(Found::Pending),
        None => nothing(store, resource, now).await,
    }
}

async fn nothing(store: &impl Store, resource: &ResourceId, now: Timestamp) -> Result<Found> {
    let days: Vec<Date> = (0..RECENT_DAYS).filter_map(|back| day(now, -back)).collect();
    let mut points = of(store, resource, days).await?;
    points.retain(|listed| listed.completed().is_some());
    points.sort_by_key(|listed| Reverse(listed.slot));
    Ok(Found::Nothing(points.into_iter().map(|listed| listed.id).take(SHOWN).collect()))
}

/// The newest whose data is of that instant or older. Day by day: most often it is the first.
async fn newest_before(
    store: &impl Store,
    resource: &ResourceId,
    instant: Timestamp,
) -> Result<Option<Point>> {
    let (mut back, mut count) = (0, 1);
    while back < LOOK_BACK_DAYS {
        let days = (back..back + count).filter_map(|back| day(instant, -i64::from(back)));
        let mut points = of(store, resource, days).await?;
        // What was due later was taken later.
        points.retain(|listed| listed.completed().is_some() && listed.slot.instant() <= instant);
        points.sort_by_key(|listed| Reverse((listed.slot, attempt(listed))));
        for listed in points {
            if let Some(point) = read(store, listed).await?
                && point.manifest.taken_at <= instant
            {
                return Ok(Some(point));
            }
        }
        (back, count) = (back + count, (count * 8).min(AT_ONCE));
    }
    Ok(None)
}

/// The first one made after the instant that holds it all the same.
async fn reaching_back(
    store: &impl Store,
    resource: &ResourceId,
    instant: Timestamp,
    now: Timestamp,
) -> Result<Option<Point>> {
    let last = now + SignedDuration::from_hours(24);
    let days = (0..=LOOK_AHEAD_DAYS).filter_map(|ahead| day(instant, ahead));
    let days: Vec<Date> = days.filter(|day| Some(*day) <= self::day(last, 0)).collect();
    let mut points = of(store, resource, days).await?;
    points.retain(|listed| listed.completed().is_some() && listed.slot.instant() > instant);
    points.sort_by_key(|listed| (listed.slot, attempt(listed)));
    for listed in points {
        if let Some(point) = read(store, listed).await? {
            if point.holds(instant) {
                return Ok(Some(point));
            }
            // This one begins later, and so do those after it; or it is one that holds an instant alone.
            if point.manifest.taken_at > instant {
                return Ok(None);
            }
        }
    }
    Ok(None)
}

fn attempt(listed: &Listed) -> u32 {
    listed.id.parts().map_or(0, |parts| parts.attempt)
}

fn day(instant: Timestamp, days: i64) -> Option<Date> {
    instant.to_zoned(TimeZone::UTC).date().checked_add(Span::new().try_days(days).ok()?).ok()
}

/// The resource's recovery points of those days, whole or not.
async fn of(
    store: &impl Store,
    resource: &ResourceId,
    days: impl IntoIterator<Item = Date>,
) -> Result<Vec<Listed>> {
    let lists = days.into_iter().map(|day| vault::list(store, resource.engine, [day]));
    let all = try_join_all(lists).await?.into_iter().flatten();
    Ok(all.filter(|listed| listed.resource == *resource).collect())
}

/// Reads the manifest, and does not believe one that speaks of something else than its place, or of objects that are not
/// there as it says. `None` if it has gone meanwhile.
async fn read(store: &impl Store, listed: Listed) -> Result<Option<Point>> {
    let prefix = point_prefix(&listed.resource, listed.slot, &listed.id);
    let key = format!("{prefix}{MANIFEST}");
    let Some(text) = store.read_whole(&key).await? else { return Ok(None) };
    let manifest = Manifest::parse(&key, &text)?;
    let wrong = |what: String| Err(Error::permanent("ManifestUnreadable", format!("{key} {what}")));
    if manifest.id != listed.id || manifest.resource != listed.resource {
        return wrong(format!(
            "speaks of {} of {}, which is not where it is",
            manifest.id, manifest.resource
        ));
    }
    for object in &manifest.objects {
        match listed.objects.get(&object.name) {
            Some(there) if there.bytes == object.bytes => {}
            Some(there) => {
                let (said, found) = (object.bytes, there.bytes);
                return wrong(format!("says that {} has {said} bytes, and it has {found}", object.name));
            }
            None => return wrong(format!("names {}, which is not there", object.name)),
        }
    }
    Ok(Some(Point { manifest, listed }))
}

/// The answer to a request for which there is no recovery point.
pub(crate) fn refusal(
    resource: &ResourceId,
    target: &Target,
    found: &Found,
    vault: &str,
    now: Timestamp,
) -> Error {
    let (code, problem) = match (found, target) {
        (Found::Pending, Target::RecoveryPoint(id)) => (
            "RecoveryPointNotReady",
            format!(
                "recovery point {id} has no manifest in {vault}: it is not verified yet; ask again when it is"
            ),
        ),
        (_, Target::Instant(instant)) if *instant > now => (
            "OutsideRecoveryPoints",
            format!("{resource} cannot be restored to {instant}: that is in the future"),
        ),
        (_, Target::RecoveryPoint(id)) => {
            ("RecoveryPointUnknown", format!("{resource} has no recovery point {id} in {vault}"))
        }
        (_, Target::Instant(instant)) => (
            "OutsideRecoveryPoints",
            format!(
                "{resource} has no recovery point in {vault} that was taken at {instant} or in the {LOOK_BACK_DAYS} days before"
            ),
        ),
        (_, Target::Latest) => {
            ("ResourceUnknown", format!("{resource} has no recovery point in {vault}; check the name"))
        }
    };
    Error::misconfigured(code, format!("{problem}; {}; nothing was done", instead(found)))
}

fn instead(found: &Found) -> String {
    match found {
        Found::Nothing(newest) if !newest.is_empty() => {
            let names: Vec<&str> = newest.iter().map(RecoveryPointId::as_str).collect();
            format!("its newest recovery points are {}", names.join(", "))
        }
        Found::Nothing(_) => format!("in the last {RECENT_DAYS} days it has none"),
        Found::Pending | Found::Point(_) => "others can be restored meanwhile".to_owned(),
    }
}
