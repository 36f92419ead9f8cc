//! What only RDS has, in words.

use domain::{Finding, Severity, tag};
use jiff::{SignedDuration, Timestamp};
use rds::Instance;

use crate::{
    engines::{GivenUp, Lost},
    kind,
    point::Point,
    says::{length, second},
    watched::{Watched, after},
};

pub(super) fn next_for_rpo(instance: &Instance) -> String {
    let id = &instance.id;
    if instance.retention_days <= 0 {
        return "Turn automated backups on, as the finding automated-backups-off says: nothing else meets an objective of minutes."
            .to_owned();
    }
    format!(
        "See what RDS says of it: {}. It ships logs every five minutes unless the storage is full, the key is gone or automated \
         backups are off; if none of these is so, ask AWS support. Until it is mended, a snapshot holds today's state: `aws rds \
         create-db-snapshot --db-instance-identifier {id} --db-snapshot-identifier {id}-by-hand`.",
        events(instance)
    )
}

/// How to read what happened to an instance in the last day.
pub(super) fn events(instance: &Instance) -> String {
    format!(
        "`aws rds describe-events --source-type db-instance --source-identifier {} --duration 1440`",
        instance.id
    )
}

pub(super) fn automated_backups_off(watched: &Watched<'_, Instance>, wanted: i32, now: Timestamp) -> Finding {
    Finding::new(
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
            modify(watched.of, wanted)
        ),
    )
}

pub(super) fn retention_too_short(watched: &Watched<'_, Instance>, wanted: i32, now: Timestamp) -> Finding {
    let has = watched.of.retention_days;
    Finding::new(
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
        format!("Keep them longer: {}. This needs no restart.", modify(watched.of, wanted)),
    )
}

fn modify(instance: &Instance, days: i32) -> String {
    format!(
        "`aws rds modify-db-instance --db-instance-identifier {} --backup-retention-period {days} --apply-immediately`",
        instance.id
    )
}

pub(super) fn unhealthy(watched: &Watched<'_, Instance>, now: Timestamp) -> Finding {
    let Instance { id, status, allocated_gib, .. } = watched.of;
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
            events(watched.of)
        ),
    };
    Finding::new(
        &watched.resource,
        kind::RESOURCE_UNHEALTHY,
        Severity::Critical,
        now,
        format!("the instance is {status}; only one that is available is backed up"),
        next,
    )
}

pub(super) fn replication_behind(
    watched: &Watched<'_, Instance>,
    latest: Timestamp,
    behind: SignedDuration,
    region: &str,
) -> Finding {
    let allowed = watched.plan.objectives.replica_rpo;
    Finding::new(
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
            watched.of.id
        ),
    )
}

pub(super) fn failed(instance: &Instance, point: &Point) -> GivenUp {
    given_up(&format!("snapshot {}, for slot {}", point.id, point.slot), &events(instance))
}

pub(super) fn copy_failed(copy: &Point, region: &str) -> GivenUp {
    let Point { id, slot, .. } = copy;
    // What becomes of a copy is told as the copy's events, in its Region (User Guide, "Amazon RDS event categories").
    let events = format!(
        "`aws rds describe-events --region {region} --source-type db-snapshot --source-identifier {id} --duration 1440`"
    );
    given_up(&format!("copy {id} in {region}, for slot {slot}"), &events)
}

fn given_up(what: &str, events: &str) -> GivenUp {
    GivenUp {
        code: "SnapshotFailed",
        says: format!("RDS gave up on {what}, and none has completed in its place yet"),
        next: format!("backup-rds tries three times by itself. See what RDS says: {events}."),
    }
}

pub(super) fn next_for_copy(region: &str) -> String {
    format!(
        "See what backup-rds found and logged (a quota that is full, a key of {region} that it may not use), mend that, and \
         invoke it with {{\"wake\": \"tick\"}}: it makes the copy, or says why it cannot."
    )
}

pub(super) fn next_for_slow_copy(region: &str) -> String {
    format!(
        "Nothing, unless it lasts: RDS works on 20 copies to a Region at once. See how far it is: `aws rds describe-db-snapshots \
         --region {region} --snapshot-type manual`."
    )
}

pub(super) fn lost(name: &str, there: Option<&Instance>, plan: Option<&str>) -> Lost {
    let Some(instance) = there else {
        return Lost {
            now: "now there is no such instance".to_owned(),
            otherwise: format!("restore {name} with restore-database"),
        };
    };
    Lost {
        now: format!("now the instance has {}", tag::absence(&instance.tags)),
        otherwise: format!(
            "put the tag back: `aws rds add-tags-to-resource --resource-name {} --tags Key={},Value={}`",
            instance.arn,
            tag::PLAN,
            plan.unwrap_or("…")
        ),
    }
}

fn days(days: i32) -> String {
    if days == 1 { "1 day".to_owned() } else { format!("{days} days") }
}
