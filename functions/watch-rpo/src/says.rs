//! Findings in words: what is wrong, with the value and what is allowed, and the next step.

use domain::{Finding, ResourceId, Severity, Slot, Standing, tag};
use jiff::{SignedDuration, Timestamp};
use rds::Instance;

use crate::{
    kind,
    observe::Point,
    watched::{Newest, Watched, after},
};

fn finding(
    resource: &ResourceId,
    kind: &str,
    severity: Severity,
    since: Timestamp,
    says: impl Into<String>,
    next: impl Into<String>,
) -> Finding {
    Finding {
        resource: resource.clone(),
        kind: kind.to_owned(),
        code: None,
        severity,
        since,
        says: format!("{resource}: {}", says.into()),
        next: next.into(),
        // The pass adds it.
        standing: Standing::default(),
    }
}

pub(crate) fn rpo_exceeded(watched: &Watched<'_>, newest: Newest, age: SignedDuration) -> Finding {
    let rpo = watched.rpo();
    let from = newest.instant().unwrap_or(watched.seen_since);
    let writing = watched.writing_since(from);
    let newest = match newest.instant() {
        Some(newest) if writing > newest => format!(
            "the newest restorable second is {}, and the instance has been running again since {}, {} ago",
            second(newest),
            second(writing),
            length(age)
        ),
        Some(newest) => format!("the newest restorable second is {}, {} ago", second(newest), length(age)),
        None => {
            let what = if watched.has_automated_backups() { "restorable second" } else { "recovery point" };
            let seen = second(watched.seen_since);
            format!("there is no {what} yet, {} after it was first seen protected, at {seen}", length(age))
        }
    };
    let ends = if age > rpo {
        String::new()
    } else {
        format!(", and this ends when it is less than {} old", length(watched.calm()))
    };
    finding(
        &watched.resource,
        kind::RPO_EXCEEDED,
        Severity::Critical,
        after(writing, rpo),
        format!("{newest}; the objective is {}{ends}", length(rpo)),
        next_for_rpo(watched),
    )
}

fn next_for_rpo(watched: &Watched<'_>) -> String {
    let id = &watched.instance.id;
    if !watched.has_automated_backups() {
        return "Turn automated backups on, as the finding automated-backups-off says: nothing else meets an objective of minutes."
            .to_owned();
    }
    format!(
        "See what RDS says of it: {}. It ships logs every five minutes unless the storage is full, the key is gone or automated \
         backups are off; if none of these is so, ask AWS support. Until it is mended, a snapshot holds today's state: `aws rds \
         create-db-snapshot --db-instance-identifier {id} --db-snapshot-identifier {id}-by-hand`.",
        events(watched)
    )
}

/// How to read what happened to an instance in the last day.
fn events(watched: &Watched<'_>) -> String {
    format!(
        "`aws rds describe-events --source-type db-instance --source-identifier {} --duration 1440`",
        watched.instance.id
    )
}

pub(crate) fn automated_backups_off(watched: &Watched<'_>, wanted: i32, now: Timestamp) -> Finding {
    finding(
        &watched.resource,
        kind::AUTOMATED_BACKUPS_OFF,
        Severity::Critical,
        now,
        format!(
            "automated backups are off (retention 0 days; plan {} needs {}), so it can be restored to its snapshots and to no second \
             between them",
            watched.plan.name,
            days(wanted)
        ),
        format!(
            "Turn them on: {}. The instance may be unavailable for some seconds.",
            modify(watched, wanted)
        ),
    )
}

pub(crate) fn retention_too_short(watched: &Watched<'_>, wanted: i32, now: Timestamp) -> Finding {
    let has = watched.instance.retention_days;
    finding(
        &watched.resource,
        kind::RETENTION_TOO_SHORT,
        Severity::Warning,
        now,
        format!(
            "automated backups are kept for {}; plan {} keeps {} daily recovery points, so {} are needed (RDS allows up to 35)",
            days(has),
            watched.plan.name,
            watched.plan.keep.daily,
            days(wanted)
        ),
        format!("Keep them longer: {}. This needs no restart.", modify(watched, wanted)),
    )
}

fn modify(watched: &Watched<'_>, days: i32) -> String {
    format!(
        "`aws rds modify-db-instance --db-instance-identifier {} --backup-retention-period {days} --apply-immediately`",
        watched.instance.id
    )
}

pub(crate) fn unhealthy(watched: &Watched<'_>, now: Timestamp) -> Finding {
    let Instance { id, status, allocated_gib, .. } = watched.instance;
    // What the states mean: User Guide, "Viewing DB instance status".
    let next = match status.as_str() {
        "storage-full" => format!(
            "Give it more storage: `aws rds modify-db-instance --db-instance-identifier {id} --allocated-storage {} \
             --apply-immediately`.",
            allocated_gib + allocated_gib / 5 + 1
        ),
        "inaccessible-encryption-credentials-recoverable" => format!(
            "Enable its KMS key again and let RDS use it, then `aws rds start-db-instance --db-instance-identifier {id}`; RDS waits \
             for seven days."
        ),
        "inaccessible-encryption-credentials" => {
            "Its KMS key is gone for it: restore it under another name with restore-database, \
             from a copy in the recovery Region, which is under another key."
                .to_owned()
        }
        _ => format!(
            "See why: {}. If it cannot be mended, restore it under another name with restore-database.",
            events(watched)
        ),
    };
    finding(
        &watched.resource,
        kind::RESOURCE_UNHEALTHY,
        Severity::Critical,
        now,
        format!("the instance is {status}; only one that is available is backed up"),
        next,
    )
}

pub(crate) fn slot_missed(
    watched: &Watched<'_>,
    slot: Slot,
    newest: Option<&Point>,
    due: Timestamp,
) -> Finding {
    let newest = newest.map_or_else(
        || "there is no completed one at all".to_owned(),
        |point| format!("the newest completed one is {}, for slot {}", point.id, point.slot),
    );
    let grace = length(watched.plan.objectives.slot_grace);
    finding(
        &watched.resource,
        kind::SLOT_MISSED,
        Severity::Critical,
        due,
        format!(
            "slot {slot} of plan {} has no completed recovery point; it was due by {}, and {grace} are allowed; {newest}",
            watched.plan.name,
            second(due)
        ),
        "See what backup-rds found and logged, and whether it runs at all; invoke it with {\"wake\": \"slot\"}: it takes the snapshot \
         of the current slot, or says why it cannot.",
    )
}

pub(crate) fn recovery_point_failed(watched: &Watched<'_>, point: &Point) -> Finding {
    let Point { id, slot, .. } = point;
    given_up(
        watched,
        kind::RECOVERY_POINT_FAILED,
        &format!("snapshot {id}, for slot {slot}"),
        point,
        &events(watched),
    )
}

pub(crate) fn copy_failed(watched: &Watched<'_>, copy: &Point, region: &str) -> Finding {
    let Point { id, slot, .. } = copy;
    // What becomes of a copy is told as the copy's events, in its Region (User Guide, "Amazon RDS event categories").
    let events = format!(
        "`aws rds describe-events --region {region} --source-type db-snapshot --source-identifier {id} --duration 1440`"
    );
    given_up(watched, kind::COPY_FAILED, &format!("copy {id} in {region}, for slot {slot}"), copy, &events)
}

/// Told at once, and not only when a grace is over: it is tried again, and whatever was wrong may last.
fn given_up(watched: &Watched<'_>, kind: &str, what: &str, point: &Point, events: &str) -> Finding {
    let finding = finding(
        &watched.resource,
        kind,
        Severity::Warning,
        point.taken,
        format!("RDS gave up on {what}, and none has completed in its place yet"),
        format!("backup-rds tries three times by itself. See what RDS says: {events}."),
    );
    Finding { code: Some("SnapshotFailed".to_owned()), ..finding }
}

pub(crate) fn copy_missing(
    watched: &Watched<'_>,
    point: &Point,
    due: Timestamp,
    region: &str,
    failed: bool,
) -> Finding {
    let why = if failed { "the copy failed" } else { "there is none" };
    finding(
        &watched.resource,
        kind::COPY_MISSING,
        Severity::Critical,
        due,
        format!("{}; {why}", no_copy(watched, point, due, region)),
        format!(
            "See what backup-rds found and logged (a quota that is full, a key of {region} that it may not use), mend that, and \
             invoke it with {{\"wake\": \"tick\"}}: it makes the copy, or says why it cannot."
        ),
    )
}

pub(crate) fn copy_behind(watched: &Watched<'_>, point: &Point, due: Timestamp, region: &str) -> Finding {
    finding(
        &watched.resource,
        kind::COPY_BEHIND,
        Severity::Warning,
        due,
        format!("{}; it is still being made", no_copy(watched, point, due, region)),
        format!(
            "Nothing, unless it lasts: RDS works on 20 copies to a Region at once. See how far it is: `aws rds describe-db-snapshots \
             --region {region} --snapshot-type manual`."
        ),
    )
}

fn no_copy(watched: &Watched<'_>, point: &Point, due: Timestamp, region: &str) -> String {
    format!(
        "recovery point {} of slot {} has no completed copy in {region}; it was due by {}, and {} are allowed",
        point.id,
        point.slot,
        second(due),
        length(watched.plan.objectives.copy_grace)
    )
}

pub(crate) fn shrunk(watched: &Watched<'_>, newest: &Point, median: i64, before: usize) -> Finding {
    finding(
        &watched.resource,
        kind::RECOVERY_POINT_SHRUNK,
        Severity::Warning,
        newest.taken,
        format!(
            "recovery point {} was taken of {} GiB of storage; the median of the {before} before it is {median} GiB, and less than \
             half of that is suspect",
            newest.id, newest.allocated_gib
        ),
        format!(
            "See whether the database was moved to a smaller one on purpose; then this ends as the next recovery points come. If \
             not, restore {} under another name with restore-database and compare.",
            newest.id
        ),
    )
}

pub(crate) fn replication_behind(
    watched: &Watched<'_>,
    latest: Timestamp,
    behind: SignedDuration,
    region: &str,
) -> Finding {
    let allowed = watched.plan.objectives.replica_rpo;
    finding(
        &watched.resource,
        kind::REPLICATION_BEHIND,
        Severity::Warning,
        after(watched.writing_since(latest), allowed),
        format!(
            "its automated backups in {region} reach to {}, and lag by {}; {} are allowed",
            second(latest),
            length(behind),
            length(allowed)
        ),
        format!(
            "See the replication's state: `aws rds describe-db-instance-automated-backups --region {region} \
             --db-instance-identifier {}`; RDS stops it when it may no longer use the key there.",
            watched.instance.id
        ),
    )
}

pub(crate) fn protection_lost(
    resource: &ResourceId,
    plan: Option<String>,
    instance: Option<&Instance>,
    since: Timestamp,
) -> Finding {
    let by = plan.as_ref().map_or_else(|| "a plan".to_owned(), |plan| format!("plan {plan}"));
    let now = match instance {
        Some(_) => format!("now the instance has no tag {}", tag::PLAN),
        None => "now there is no such instance".to_owned(),
    };
    let otherwise = match instance {
        Some(instance) => format!(
            "put the tag back: `aws rds add-tags-to-resource --resource-name {} --tags Key={},Value={}`",
            instance.arn,
            tag::PLAN,
            plan.as_deref().unwrap_or("…")
        ),
        None => format!("restore {} with restore-database", resource.name),
    };
    let finding = finding(
        resource,
        kind::PROTECTION_LOST,
        Severity::Warning,
        since,
        format!("until {} it was protected by {by}; {now}, and it is not backed up any more", second(since)),
        format!("If that is meant, nothing: this ends 24 hours after it began. If not, {otherwise}."),
    );
    Finding { standing: Standing { plan, ..Standing::default() }, ..finding }
}

pub(crate) fn canary(resource: &ResourceId, since: Timestamp) -> Finding {
    finding(
        resource,
        kind::CANARY,
        Severity::Info,
        since,
        "nothing is wrong; this is the daily proof that what is found is told, and it ends within 10 minutes",
        "Nothing. Look into it on the day on which it does not come.",
    )
}

/// An instant, to the second.
fn second(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn days(days: i32) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}

/// A duration as a person says it: `47 minutes`, `3 hours 5 minutes`, `2 days 4 hours`.
pub(crate) fn length(duration: SignedDuration) -> String {
    let count = |number: i64, unit: &str| match number {
        1 => format!("1 {unit}"),
        _ => format!("{number} {unit}s"),
    };
    let two = |whole: (i64, &str), rest: (i64, &str)| match rest.0 {
        0 => count(whole.0, whole.1),
        _ => format!("{} {}", count(whole.0, whole.1), count(rest.0, rest.1)),
    };
    let (seconds, minutes, hours) = (duration.as_secs(), duration.as_mins(), duration.as_hours());
    match minutes {
        ..2 => count(seconds, "second"),
        2..120 => count(minutes, "minute"),
        120..2_880 => two((hours, "hour"), (minutes % 60, "minute")),
        _ => two((hours / 24, "day"), (hours % 24, "hour")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "0 seconds")]
    #[case(1, "1 second")]
    #[case(119, "119 seconds")]
    #[case(150, "2 minutes")]
    #[case(3_600, "60 minutes")]
    #[case(7_200, "2 hours")]
    #[case(7_260, "2 hours 1 minute")]
    #[case(172_800, "2 days")]
    #[case(176_400, "2 days 1 hour")]
    fn lengths(#[case] seconds: i64, #[case] text: &str) {
        assert_eq!(length(SignedDuration::from_secs(seconds)), text);
    }
}
