//! From a person's request to one call, or to a refusal that says what is possible instead.

use domain::{RecoveryPointState, tag};
use jiff::Timestamp;
use rds::{AutomatedBackup, PitrSource, PitrWindow, Restore, RestoreFrom, Snapshot, Tags};
use reconcile::{Error, Plan, Result};

use crate::{act::Action, observe::Asked, request::Target};

/// Decides how the request is carried out.
pub(crate) fn plan(asked: &Asked, now: Timestamp) -> Result<Plan<Action>> {
    known(asked)?;
    free(asked)?;
    let from = source(asked, now)?;
    let reason = match &from {
        RestoreFrom::Snapshot(id) => format!("a person asked for recovery point {id}"),
        RestoreFrom::Instant(_, Some(instant)) => format!("a person asked for {instant}"),
        RestoreFrom::Instant(_, None) => "a person asked for the latest".to_owned(),
    };
    let mut plan = Plan::empty();
    let resource = &asked.request.resource;
    let notes = notes(asked);
    let action = Action::Restore {
        resource: resource.clone(),
        region: asked.region.clone(),
        new: Box::new(settings(asked, from, now)),
        notes,
    };
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

/// The new name must be free, or taken by this same restore (an answer was lost and the person asks again).
fn free(asked: &Asked) -> Result<()> {
    let (request, Some(bearer)) = (&asked.request, &asked.bearer) else { return Ok(()) };
    let says = |key: &str, wanted: &str| bearer.tags.get(key).is_some_and(|found| found == wanted);
    if says(tag::RESOURCE, &request.resource.to_string()) && says(tag::RESTORED_TO, &request.to.as_tag()) {
        return Ok(());
    }
    Err(Error::misconfigured(
        "NameTaken",
        format!(
            "there is a DB instance {} in {} already, and it is not this restore; choose another name for \"as\"; nothing was done",
            request.name, asked.region
        ),
    ))
}

fn source(asked: &Asked, now: Timestamp) -> Result<RestoreFrom> {
    match &asked.request.to {
        Target::RecoveryPoint(id) => recovery_point(asked, id),
        Target::Latest => {
            let (backup, _) = backup_with_window(asked)?;
            Ok(RestoreFrom::Instant(pitr_source(asked, backup), None))
        }
        Target::Instant(instant) => {
            let (backup, window) = backup_with_window(asked)?;
            if *instant < window.earliest || *instant > window.latest {
                return Err(outside_window(asked, *instant, window, now));
            }
            Ok(RestoreFrom::Instant(pitr_source(asked, backup), Some(*instant)))
        }
    }
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

/// The automated backups to restore from: those of the instance that bears the name now, and otherwise of the last one
/// that did.
fn backup_with_window(asked: &Asked) -> Result<(&AutomatedBackup, PitrWindow)> {
    let living = asked.source.as_ref().map(|source| source.incarnation.as_str());
    let with_window = |backup| Some((backup, window(asked, backup)?));
    let mut candidates: Vec<_> = asked.automated_backups.iter().filter_map(with_window).collect();
    candidates.sort_by_key(|(backup, window)| (Some(backup.incarnation.as_str()) == living, window.latest));
    candidates.pop().ok_or_else(|| {
        Error::misconfigured(
            "PitrNotPossible",
            format!(
                "{} has no automated backups in {} with a PITR window, so it cannot be restored to a second there; {}; nothing was done",
                asked.request.resource,
                asked.region,
                possible(asked)
            ),
        )
    })
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

fn outside_window(asked: &Asked, instant: Timestamp, window: PitrWindow, now: Timestamp) -> Error {
    let PitrWindow { earliest, latest } = window;
    let why = if instant > now {
        "is in the future".to_owned()
    } else if instant > latest {
        "is not restorable yet: the log of that second is shipped within minutes, ask again then".to_owned()
    } else {
        "is before the PITR window".to_owned()
    };
    Error::misconfigured(
        "OutsidePitrWindow",
        format!(
            "{} cannot be restored to {instant} in {}: that second {why}; possible is any second from {earliest} to {latest}; {}; nothing \
             was done",
            asked.request.resource,
            asked.region,
            nearest(asked, instant)
        ),
    )
}

/// The recovery point that comes closest before `instant`, in words.
fn nearest(asked: &Asked, instant: Timestamp) -> String {
    let before =
        completed(asked).filter(|snapshot| snapshot.created.is_some_and(|created| created <= instant));
    match before.max_by_key(|snapshot| snapshot.created) {
        Some(snapshot) => format!("the nearest recovery point before it is {}", described(snapshot)),
        None => possible(asked),
    }
}

/// The newest recovery points, in words.
fn possible(asked: &Asked) -> String {
    let mut points: Vec<&Snapshot> = completed(asked).collect();
    points.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.created));
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
    let (request, overrides) = (&asked.request, &asked.request.overrides);
    let source = asked.source.as_ref();
    let here = source.filter(|_| asked.region == asked.home);
    let pick = |given: &Option<String>, kept: Option<&String>| given.clone().or_else(|| kept.cloned());
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
        tags: tags(asked, now),
    }
}

/// The tags by which ticks find the restore again. The source's own are not taken over: `tidemark:plan` would put a
/// restored copy under backup, and billing tags would lie.
fn tags(asked: &Asked, now: Timestamp) -> Tags {
    let request = &asked.request;
    let tag = |key: &str, value: String| (key.to_owned(), value);
    let mut tags = Tags::from([
        tag(tag::RESTORE, format!("restore-{}-{}", request.name, now.strftime("%Y%m%dt%H%M%Sz"))),
        tag(tag::RESOURCE, request.resource.to_string()),
        tag(tag::RESTORED_TO, request.to.as_tag()),
        tag(tag::REQUESTED_AT, now.to_string()),
    ]);
    let kept = asked.source.as_ref().and_then(|source| source.tags.get(tag::SECRET));
    if let Some(secret) = request.overrides.secret.as_ref().or(kept) {
        tags.insert(tag::SECRET.to_owned(), secret.clone());
    }
    tags
}

/// What the person should know beside the answer.
fn notes(asked: &Asked) -> Vec<String> {
    let mut notes = Vec::new();
    let groups = "subnet group, security groups, parameter group and option group are the Region's defaults unless named in the request";
    if asked.source.is_none() {
        notes.push(format!("{} is gone, so its settings are not known: {groups}", asked.request.resource));
    } else if asked.region != asked.home {
        notes.push(format!("in {} the source's groups do not exist: {groups}", asked.region));
    }
    notes
}
