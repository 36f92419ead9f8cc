//! A row for each resource.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Ages, BackupPlan, Engine, ResourceId, Severity, Slot, drill::history::History};
use inventory::Held;
use jiff::{Timestamp, ToSpan};
use report::{Age, CHARTED, Drills, Open, Point, Resource, State, nearest_to_rto};

use super::{kept::Kept, plan_name, slots::Calendar};
use crate::{
    recorded,
    seen::{DAYS, Seen, days, first_day},
};

/// With more resources than these the ages have coarser steps: the page, and the JSON, should stay small.
const FINE: usize = 40;
const COARSE: usize = 200;

/// So many drills stand in a report, and at least so many of each resource. Those that have a chart have all of theirs.
const DRILLS: usize = 2_400;
const FEWEST_DRILLS: usize = 3;

/// All that is known to be, or to have been, protected; the worst first.
pub(super) fn all(
    seen: &Seen,
    findings: &[Open],
    kept: &Kept<'_>,
    is_watched: bool,
    now: Timestamp,
) -> Vec<Resource> {
    let names = names(seen, findings);
    let step = match names.len() {
        count if count <= FINE => 1,
        count if count <= COARSE => 6,
        _ => 24,
    };
    let points = points(seen);
    let mut calendar = Calendar::new(seen, now);
    let severities = severities(findings);
    let mut resources: Vec<Resource> = names
        .into_iter()
        .map(|name| {
            let of = kept.of_resource(&name);
            let plan = plan_name(seen, &name).map(str::to_owned);
            let backup_plan = plan.as_deref().and_then(|name| seen.plans.as_ref()?.get(name));
            let watched = seen.watched.as_ref().and_then(|watched| watched.get(&name));
            let protected_since = watched.and_then(|watched| watched.seen_since);
            let (age, worst) = measured(seen, &name);
            Resource {
                state: state(seen, &name, severities.get(&name).copied(), is_watched, protected_since),
                plan,
                protected_since,
                rpo_seconds: backup_plan.map(|plan| plan.objectives.rpo_of(name.engine).as_secs()),
                rto_seconds: backup_plan.map(|plan| plan.objectives.rto.as_secs()),
                age,
                worst,
                ages: steps(seen, &name, step, now),
                age_step_hours: step,
                slots: calendar.of(&name, backup_plan, protected_since, of.points()),
                points: points.get(&name).map(daily).unwrap_or_default(),
                held: of.held(),
                tiers: of.tiers(),
                drills: drills(seen, &name, backup_plan, protected_since, now),
                resource: name,
            }
        })
        .collect();
    resources
        .sort_by(|one, other| one.state.cmp(&other.state).then_with(|| one.resource.cmp(&other.resource)));
    leave_drills(&mut resources);
    resources
}

/// How its drills stand; not known where its plan, or what stays of them, is not.
fn drills(
    seen: &Seen,
    name: &ResourceId,
    plan: Option<&BackupPlan>,
    protected_since: Option<Timestamp>,
    now: Timestamp,
) -> Drills {
    let is_protected = protected_since.is_some() || seen.watched.is_none();
    let plan = plan.filter(|_| is_protected);
    let history = match seen.drills.as_ref().map(|all| all.get(name)) {
        _ if is_protected && plan.is_none() => None,
        None | Some(Some(None)) => None,
        Some(None) => Some(History::default()),
        Some(Some(Some(history))) => Some(history.clone()),
    };
    history.map_or_else(Drills::default, |history| Drills::of(history, plan, first_day(now), now))
}

/// Many resources show fewer drills each.
fn leave_drills(resources: &mut [Resource]) {
    let most = (DRILLS / resources.len().max(1)).max(FEWEST_DRILLS);
    let nearest = nearest_to_rto(resources).into_iter().take(CHARTED);
    let charted: BTreeSet<ResourceId> = nearest.map(|resource| resource.resource.clone()).collect();
    for resource in resources.iter_mut().filter(|resource| !charted.contains(&resource.resource)) {
        resource.drills.leave(most, resource.resource.engine);
    }
}

/// Those that watch-rpo expects, those of which there is a recovery point, and those of which something is found.
fn names(seen: &Seen, findings: &[Open]) -> BTreeSet<ResourceId> {
    let watched = seen.watched.iter().flatten().filter(|(_, watched)| watched.seen_since.is_some());
    let held = seen.inventory.iter().flat_map(inventory::Inventory::known);
    watched
        .map(|(name, _)| name)
        .chain(held.map(|(lineage, _)| &lineage.resource))
        .chain(findings.iter().map(|open| &open.finding.resource))
        .filter(|name| name.engine != Engine::Tidemark)
        .cloned()
        .collect()
}

fn severities(findings: &[Open]) -> BTreeMap<ResourceId, Severity> {
    let mut worst = BTreeMap::new();
    for Open { finding, .. } in findings {
        let severity = worst.entry(finding.resource.clone()).or_insert(finding.severity);
        *severity = finding.severity.max(*severity);
    }
    worst
}

fn state(
    seen: &Seen,
    name: &ResourceId,
    severity: Option<Severity>,
    is_watched: bool,
    protected_since: Option<Timestamp>,
) -> State {
    let answers =
        seen.inventory.as_ref().is_some_and(|seen| seen.engines.get(&name.engine).is_some_and(Result::is_ok));
    match severity {
        Some(Severity::Critical) => State::AtRisk,
        _ if !answers || !is_watched || seen.watched.is_none() || seen.plans.is_none() => State::Unknown,
        Some(Severity::Warning) => State::NeedsALook,
        _ if protected_since.is_none() => State::NotProtected,
        _ => State::Well,
    }
}

/// The age that was measured last, and the largest of these days.
fn measured(seen: &Seen, name: &ResourceId) -> (Option<Age>, Option<Age>) {
    let of = || seen.ages.values().filter_map(|day| day.resources.get(name));
    let age = |measured: &domain::MeasuredAge| Age { seconds: measured.age_seconds, at: measured.at };
    let last = of().next_back().map(|ages| age(&ages.last));
    let worst = of()
        .map(|ages| age(&ages.worst))
        .reduce(|one, other| if other.seconds > one.seconds { other } else { one });
    (last, worst)
}

/// The largest of each step of so many hours.
fn steps(seen: &Seen, name: &ResourceId, step: u32, now: Timestamp) -> Vec<Option<i64>> {
    let of_day = |ages: Option<&Ages>, from: u32| -> Option<i64> {
        let hours = ages?.hours.iter().filter(|(hour, _)| (from..from + step).contains(&u32::from(**hour)));
        hours.map(|(_, age)| *age).max()
    };
    days(now)
        .into_iter()
        .flat_map(|day| {
            let ages = seen.ages.get(&day).and_then(|day| day.resources.get(name));
            (0..24 / step).map(move |at| of_day(ages, at * step)).collect::<Vec<_>>()
        })
        .collect()
}

/// What is known of each slot's recovery point: from what there is, and from the ledger, which still has what was deleted.
type Points = BTreeMap<Slot, (Option<u64>, Option<i64>)>;

fn points(seen: &Seen) -> BTreeMap<ResourceId, Points> {
    let mut points: BTreeMap<ResourceId, Points> = BTreeMap::new();
    for entry in seen.recorded.iter().flat_map(|recorded| &recorded.completed) {
        let id = recorded::text(entry, "subject");
        let id = domain::RecoveryPointId::from(id.as_str());
        let (Some(resource), Some(parts)) = (recorded::resource(entry), id.parts()) else { continue };
        let bytes = entry["bytes"].as_u64().or_else(|| entry["allocated_bytes"].as_u64());
        points.entry(resource).or_default().insert(parts.slot, (bytes, entry["duration_ms"].as_i64()));
    }
    for (lineage, held) in seen.inventory.iter().flat_map(inventory::Inventory::known) {
        let of = points.entry(lineage.resource.clone()).or_default();
        for one in held.iter().filter(|one| super::kept::is_complete(one)) {
            let (bytes, _) = of.entry(one.slot).or_default();
            *bytes = bytes.or_else(|| size(one));
        }
    }
    points
}

/// What one Region has of it.
fn size(held: &Held) -> Option<u64> {
    held.home.as_ref().or(held.recovery.as_ref()).map(super::kept::bytes)
}

/// One for each day: its last size, and its longest duration.
fn daily(points: &Points) -> Vec<Point> {
    let mut daily: Vec<Point> = Vec::new();
    for (slot, (bytes, duration_ms)) in points {
        let point = Point { slot: slot.instant(), bytes: *bytes, duration_ms: *duration_ms };
        match daily.last_mut() {
            Some(last) if Slot::at(last.slot).utc_date() == slot.utc_date() => {
                *last = Point {
                    slot: point.slot,
                    bytes: point.bytes.or(last.bytes),
                    duration_ms: point.duration_ms.max(last.duration_ms),
                };
            }
            _ => daily.push(point),
        }
    }
    daily
}

/// Within the days that a report looks back on.
pub(super) fn is_within(slot: Slot, now: Timestamp) -> bool {
    let first = first_day(now);
    let end = first.checked_add(i64::from(DAYS).days()).unwrap_or(first);
    (first..end).contains(&slot.utc_date())
}
