//! From a person's request to one call, or to a refusal that says what is possible instead.

use std::cmp::Reverse;

use domain::{RecoveryPointState, tag};
use jiff::{SignedDuration, Timestamp};
use rds::{AutomatedBackup, PitrSource, PitrWindow, Restore, RestoreFrom, Snapshot, Tags};
use reconcile::{Error, Plan, Result};

use super::{
    act::Action,
    observe::{Asked, Restored},
};
use crate::{
    drill::{Asker, Drill, is_needed},
    request::Target,
    restore::Part,
};

/// Decides how the request is carried out.
pub(crate) fn plan(asked: &Asked, now: Timestamp) -> Result<Plan<Action>> {
    // What is being made needs its source no more, which may have gone since.
    if let Some(restored) = begun(asked, now)? {
        return Ok(going_on(asked, restored));
    }
    is_needed(asked.request.drill.as_ref(), now)?;
    known(asked)?;
    let from = source(asked, now)?;
    let by = asked.request.by();
    let reason = match &from {
        RestoreFrom::Snapshot(id) => format!("{by} asked for recovery point {id}"),
        RestoreFrom::Instant(_, Some(instant)) => format!("{by} asked for {instant}"),
        RestoreFrom::Instant(_, None) => format!("{by} asked for the latest"),
    };
    let mut plan = Plan::empty();
    let resource = &asked.request.resource;
    let notes = notes(asked, &from);
    let action =
        Action::Restore { region: asked.region.clone(), new: Box::new(settings(asked, from, now)), notes };
    plan.act(resource, action, reason);
    Ok(plan)
}

/// Something must be known of the resource in the Region, or there is nothing to restore.
fn known(asked: &Asked) -> Result<()> {
    let Asked { request, region, source, automated_backups, snapshots, .. } = asked;
    if automated_backups.is_empty() && snapshots.is_empty() {
        let there = if source.is_some() { "exists but has no backups" } else { "is not known" };
        return Err(Error::misconfigured(
            "ResourceUnknown",
            format!(
                "{} {there} in {region}: no automated backups and no snapshots of it there; check the name with `aws rds \
                 describe-db-snapshots`, or name the other Region; nothing was done",
                request.resource
            ),
        ));
    }
    Ok(())
}

/// The instance that this same request made a moment ago, if it did. Otherwise the new name must be free.
fn begun(asked: &Asked, now: Timestamp) -> Result<Option<Restored>> {
    let (request, Some(bearer)) = (&asked.request, &asked.bearer) else { return Ok(None) };
    let is_same = |restored: &Restored| {
        let says_to = bearer.tags.get(tag::RESTORED_TO) == Some(&request.to.as_tag());
        says_to
            && restored.restore.resource == request.resource
            && request.asker().is_same(Asker::of(&bearer.tags), restored.restore.requested_at, now)
    };
    if let Some(restored) = Restored::of(bearer, &asked.region).filter(is_same) {
        return Ok(Some(restored));
    }
    let what = bearer.tags.get(tag::RESTORE).map_or("no restore".to_owned(), |id| format!("restore {id}"));
    Err(Error::misconfigured(
        "NameTaken",
        format!(
            "there is a DB instance {} in {} already, made by {what}; choose another name for \"as\"; nothing was done",
            request.name, asked.region
        ),
    ))
}

fn going_on(asked: &Asked, restored: Restored) -> Plan<Action> {
    let reason = format!("{} was asked for already", restored.restore.id);
    let as_of = |snapshot: &&Snapshot| {
        let created = snapshot.created.map(|created| created.to_string());
        created.is_some() && restored.instance.tags.get(tag::AS_OF) == created.as_ref()
    };
    let recovery_point = completed(asked).find(as_of).map(|snapshot| snapshot.id.clone());
    let mut plan = Plan::empty();
    plan.act(&asked.request.resource, Action::GoOn { restored: Box::new(restored), recovery_point }, reason);
    plan
}

fn source(asked: &Asked, now: Timestamp) -> Result<RestoreFrom> {
    match &asked.request.to {
        Target::RecoveryPoint(id) => recovery_point(asked, id),
        Target::Latest => {
            let (backup, _) = newest_window(asked)?;
            Ok(RestoreFrom::Instant(pitr_source(asked, backup), None))
        }
        Target::Instant(instant) => {
            // RDS: "must be before the latest restorable time".
            let holds = |window: &PitrWindow| window.earliest <= *instant && *instant < window.latest;
            match windows(asked).into_iter().find(|(_, window)| holds(window)) {
                Some((backup, _)) => Ok(RestoreFrom::Instant(pitr_source(asked, backup), Some(*instant))),
                None => match before_the_windows(asked, *instant, now) {
                    Some(snapshot) => Ok(RestoreFrom::Snapshot(snapshot.id.clone())),
                    None => Err(outside_window(asked, *instant, now)),
                },
            }
        }
    }
}

/// A set has one instant for all of it, which may be before what can be restored to a second here: then it is the recovery point
/// that comes closest before it. What is not restorable yet is waited for.
fn before_the_windows(asked: &Asked, instant: Timestamp, now: Timestamp) -> Option<&Snapshot> {
    let within = newest_window(asked).is_ok_and(|(_, newest)| instant >= newest.earliest);
    asked.request.part.as_ref().filter(|_| !within && instant <= now)?;
    newest_before(asked, instant)
}

fn recovery_point(asked: &Asked, id: &str) -> Result<RestoreFrom> {
    let refuse =
        |code: &str, problem: String| Err(Error::misconfigured(code, format!("{problem}; nothing was done")));
    match asked.snapshots.iter().find(|snapshot| snapshot.id == id) {
        Some(snapshot) if snapshot.state() == RecoveryPointState::Completed => {
            Ok(RestoreFrom::Snapshot(id.to_owned()))
        }
        Some(snapshot) => refuse(
            "RecoveryPointNotReady",
            format!(
                "recovery point {id} is {}, {}% done; {}",
                snapshot.status,
                snapshot.percent,
                possible(asked)
            ),
        ),
        None => refuse(
            "RecoveryPointUnknown",
            format!(
                "{} has no recovery point {id} in {}; {}",
                asked.request.resource,
                asked.region,
                possible(asked)
            ),
        ),
    }
}

/// What can be restored to a second: the living database's window first, then those of databases that bore the name
/// before it and whose backups were retained, the newest first.
fn windows(asked: &Asked) -> Vec<(&AutomatedBackup, PitrWindow)> {
    let with_window = |backup| Some((backup, window(asked, backup)?));
    let mut windows: Vec<_> = asked.automated_backups.iter().filter_map(with_window).collect();
    windows.sort_by_key(|(backup, window)| Reverse((asked.is_living(&backup.incarnation), window.latest)));
    windows
}

/// The window that "latest" means. While a database of that name lives it is that one's: an older one's newest state is
/// not what a person means who asks for the latest.
fn newest_window(asked: &Asked) -> Result<(&AutomatedBackup, PitrWindow)> {
    let found = windows(asked).into_iter().next();
    match found {
        Some((backup, window)) if asked.source.is_none() || asked.is_living(&backup.incarnation) => {
            Ok((backup, window))
        }
        Some(_) => Err(not_possible(
            asked,
            "its automated backups are off, and older databases of that name can be restored to",
        )),
        None => Err(not_possible(
            asked,
            "there are no automated backups of it with a PITR window, and none can be restored to",
        )),
    }
}

/// The newest whole second that "latest" means: "must be before the latest restorable time", as RDS says. `None` where no second
/// can be restored to.
pub(crate) fn newest(asked: &Asked) -> Option<Timestamp> {
    let (_, window) = newest_window(asked).ok()?;
    Timestamp::from_second((window.latest - SignedDuration::from_nanos(1)).as_second()).ok()
}

fn not_possible(asked: &Asked, why: &str) -> Error {
    Error::misconfigured(
        "PitrNotPossible",
        format!(
            "{} cannot be restored to its latest state in {}: {why} a second: {}; {}; nothing was done",
            asked.request.resource,
            asked.region,
            described_windows(asked),
            possible(asked)
        ),
    )
}

fn described_windows(asked: &Asked) -> String {
    let described = |(backup, window): &(&AutomatedBackup, PitrWindow)| {
        let which = if asked.is_living(&backup.incarnation) {
            ""
        } else {
            " (a database of that name deleted since)"
        };
        format!("from {} to {}{which}", window.earliest, window.latest)
    };
    let all: Vec<String> = windows(asked).iter().map(described).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", or ") }
}

/// The window of a backup. The instance itself knows its latest restorable time sooner than the backup's record does.
fn window(asked: &Asked, backup: &AutomatedBackup) -> Option<PitrWindow> {
    let mut window = backup.window?;
    let source = asked
        .source
        .as_ref()
        .filter(|source| source.incarnation == backup.incarnation && asked.region == asked.home);
    if let Some(latest) = source.and_then(|source| source.latest_restorable) {
        window.latest = window.latest.max(latest);
    }
    Some(window)
}

fn pitr_source(asked: &Asked, backup: &AutomatedBackup) -> PitrSource {
    if backup.source_region.is_empty() || backup.source_region == asked.region {
        PitrSource::Incarnation(backup.incarnation.clone())
    } else {
        PitrSource::AutomatedBackup(backup.arn.clone())
    }
}

fn outside_window(asked: &Asked, instant: Timestamp, now: Timestamp) -> Error {
    let Some((_, newest)) = windows(asked).into_iter().next() else {
        return not_possible(
            asked,
            "there are no automated backups of it with a PITR window, and none can be restored to",
        );
    };
    let why = if instant > now {
        "is in the future"
    } else if instant >= newest.latest {
        "is not restorable yet: the log of that second is shipped within minutes, ask again then"
    } else {
        "is before the PITR window"
    };
    Error::misconfigured(
        "OutsidePitrWindow",
        format!(
            "{} cannot be restored to {instant} in {}: that second {why}; possible is any second {}; {}; nothing was done",
            asked.request.resource,
            asked.region,
            described_windows(asked),
            nearest(asked, instant)
        ),
    )
}

/// The recovery point that comes closest before `instant`, in words.
fn nearest(asked: &Asked, instant: Timestamp) -> String {
    match newest_before(asked, instant) {
        Some(snapshot) => format!("the nearest recovery point before it is {}", described(snapshot)),
        None => possible(asked),
    }
}

fn newest_before(asked: &Asked, instant: Timestamp) -> Option<&Snapshot> {
    let before =
        completed(asked).filter(|snapshot| snapshot.created.is_some_and(|created| created <= instant));
    before.max_by_key(|snapshot| snapshot.created)
}

/// The newest recovery points, in words.
fn possible(asked: &Asked) -> String {
    let mut points: Vec<&Snapshot> = completed(asked).collect();
    points.sort_by_key(|snapshot| Reverse(snapshot.created));
    let shown: Vec<String> = points.iter().take(3).map(|snapshot| described(snapshot)).collect();
    if shown.is_empty() {
        format!("no recovery point is completed in {}", asked.region)
    } else {
        format!("the newest of {} recovery points in {} are {}", points.len(), asked.region, shown.join(", "))
    }
}

fn completed(asked: &Asked) -> impl Iterator<Item = &Snapshot> {
    asked.snapshots.iter().filter(|snapshot| snapshot.state() == RecoveryPointState::Completed)
}

fn described(snapshot: &Snapshot) -> String {
    let taken =
        snapshot.created.map_or_else(|| "at an unknown time".to_owned(), |created| created.to_string());
    format!("{} ({taken})", snapshot.id)
}

/// The source's own settings, unless told otherwise; without them RDS would use the account's defaults, and a restored
/// database that nobody can reach, or that has other parameters, is no restored database. Its settings only hold in its
/// own Region.
fn settings(asked: &Asked, from: RestoreFrom, now: Timestamp) -> Restore {
    let (request, overrides) = (&asked.request, &asked.request.wish);
    let source = asked.source.as_ref();
    let here = source.filter(|_| asked.region == asked.home);
    let pick = |given: &Option<String>, kept: Option<&String>| given.clone().or_else(|| kept.cloned());
    let tags = tags(asked, &from, now);
    Restore {
        from,
        instance: request.name.clone(),
        class: pick(&overrides.instance_class, source.map(|source| &source.class)),
        subnet_group: pick(&overrides.subnet_group, here.and_then(|source| source.subnet_group.as_ref())),
        security_groups: overrides
            .security_groups
            .clone()
            .or_else(|| here.map(|source| source.security_groups.clone()))
            .unwrap_or_default(),
        parameter_group: pick(
            &overrides.parameter_group,
            here.and_then(|source| source.parameter_group.as_ref()),
        ),
        option_group: pick(&overrides.option_group, here.and_then(|source| source.option_group.as_ref())),
        multi_az: overrides.multi_az.unwrap_or_else(|| source.is_some_and(|source| source.multi_az)),
        // Never public by inheritance: whoever wants that says so.
        publicly_accessible: overrides.publicly_accessible.unwrap_or(false),
        tags,
    }
}

/// The tags by which ticks find the restore again. The source's own are not taken over: `tidemark:plan` would put a
/// restored copy under backup, and billing tags would lie.
fn tags(asked: &Asked, from: &RestoreFrom, now: Timestamp) -> Tags {
    let request = &asked.request;
    let restore = request.identity(&asked.region, now);
    let tag = |key: &str, value: String| (key.to_owned(), value);
    let mut tags = Tags::from([
        tag(tag::RESTORE, restore.id),
        tag(tag::RESOURCE, request.resource.to_string()),
        tag(tag::RESTORED_TO, request.to.as_tag()),
        tag(tag::REQUESTED_AT, restore.requested_at.to_string()),
    ]);
    let kept = asked.source.as_ref().and_then(|source| source.tags.get(tag::SECRET));
    if let Some(secret) = request.wish.secret.as_ref().or(kept) {
        tags.insert(tag::SECRET.to_owned(), secret.clone());
    }
    tags.extend(request.drill.iter().flat_map(Drill::tags));
    tags.extend(request.part.iter().flat_map(Part::tags));
    if let (Some(_), RestoreFrom::Snapshot(id)) = (&request.part, from) {
        let snapshot = asked.snapshots.iter().find(|snapshot| snapshot.id == *id);
        let created = snapshot.and_then(|snapshot| snapshot.created);
        tags.extend(created.map(|created| tag(tag::AS_OF, created.to_string())));
    }
    tags
}

/// What the person should know beside the answer.
fn notes(asked: &Asked, from: &RestoreFrom) -> Vec<String> {
    let mut notes = Vec::new();
    if let RestoreFrom::Instant(PitrSource::Incarnation(incarnation), _) = from
        && asked.source.is_some()
        && !asked.is_living(incarnation)
    {
        notes.push(format!(
            "restored from an earlier database of that name, {incarnation}, which was deleted since"
        ));
    }
    if let (Some(part), RestoreFrom::Snapshot(id)) = (&asked.request.part, from) {
        notes.push(format!(
            "{} cannot be restored to a second so old here: recovery point {id} comes closest before it",
            part.instant
        ));
    }
    let groups = "subnet group, security groups, parameter group and option group are the Region's defaults unless named in the request";
    if asked.source.is_none() {
        notes.push(format!("{} is gone, so its settings are not known: {groups}", asked.request.resource));
    } else if asked.region != asked.home {
        notes.push(format!("in {} the source's groups do not exist: {groups}", asked.region));
    }
    notes
}
