//! What should be done and cannot be, said so that the reader knows what to do.

use domain::{PlanDocument, Slot, tag};
use jiff::{SignedDuration, Timestamp};
use reconcile::Error;
use redis::elasticache::{Cache, CacheKind, Snapshot};

use crate::protected::{ATTEMPTS, Protected, What};

pub(crate) fn engine(cache: &Cache, plan: &str) -> Error {
    Error::misconfigured(
        "EngineNotSupported",
        format!(
            "{} is tagged {}={plan}, and its engine {} cannot be backed up by backup-redis, which knows redis and valkey; \
             take the tag off or protect it otherwise",
            cache.name,
            tag::PLAN,
            cache.settings.engine
        ),
    )
}

pub(crate) fn name(cache: &Cache) -> Error {
    Error::misconfigured(
        "NameUnfit",
        format!(
            "ElastiCache tells of a cache named {:?}; a name is 1 to 50 letters, digits and hyphens, and nothing is done with \
             any other",
            cache.name
        ),
    )
}

pub(crate) fn plan(cache: &Cache, plan: &str, plans: &PlanDocument) -> Error {
    let known: Vec<_> = plans.names().map(ToString::to_string).collect();
    Error::misconfigured(
        "PlanUnknown",
        format!(
            "{} is tagged {}={plan}, and there is no such plan, so it is not backed up; plans are: {}",
            cache.name,
            tag::PLAN,
            known.join(", ")
        ),
    )
}

pub(crate) fn ambiguous(group: &[Protected]) -> Error {
    let shown = group.iter().map(|one| match &one.what {
        What::Cache(cache) => format!("the {} {}", cache.kind, cache.arn),
        What::Archive(archive) => {
            format!("the archive s3://{}/{} of plan {}", archive.bucket, archive.prefix, one.plan.name)
        }
    });
    Error::misconfigured(
        "NameAmbiguous",
        format!(
            "{} are all protected under one name, and none of them is backed up, because their recovery points could be taken for \
             one another's; take {} off all but one, or name the archive otherwise",
            shown.collect::<Vec<_>>().join(", "),
            tag::PLAN
        ),
    )
}

pub(crate) fn overdue(cache: &Cache, slot: Slot) -> Error {
    Error::permanent(
        "SlotOverdue",
        format!(
            "slot {slot} of {} has no recovery point, because the cache is {} and takes no snapshot; mend it, or take the tag {} off",
            cache.name,
            cache.status,
            tag::PLAN
        ),
    )
}

pub(crate) fn stuck(snapshot: &Snapshot) -> Error {
    Error::permanent(
        "SnapshotStuck",
        format!(
            "snapshot {} has been {} for more than a day; ask AWS support, or delete it to have it taken again",
            snapshot.name, snapshot.status
        ),
    )
}

pub(crate) fn given_up(slot: Slot, next: Option<Timestamp>) -> Error {
    let next = next.map_or_else(|| "the next slot".to_owned(), |next| format!("the next slot, {next},"));
    Error::permanent(
        "AttemptsExhausted",
        format!(
            "{ATTEMPTS} recovery points for slot {slot} failed; the ledger's entries recovery-point-failed say why; {next} is tried by \
             itself"
        ),
    )
}

pub(crate) fn room(kind: CacheKind, name: &str, again: Option<Timestamp>) -> Error {
    let again = again.map_or_else(String::new, |again| format!("; there is room again at {again}"));
    Error::misconfigured(
        "SnapshotQuotaUsed",
        format!(
            "all {} manual snapshots that ElastiCache takes of the {kind} {name} in 24 hours are used up{again}; let the plan's \
             schedule come less often, or somebody else take fewer",
            kind.snapshots_a_day()
        ),
    )
}

pub(crate) fn export_incomplete(
    snapshot: &Snapshot,
    found: usize,
    expected: usize,
    waited: SignedDuration,
) -> Error {
    Error::permanent(
        "ExportIncomplete",
        format!(
            "of the export of {} there are {found} of {expected} files in the bucket, and none has come for {} minutes; does the \
             bucket's policy let ElastiCache write? Another snapshot is taken",
            snapshot.name,
            waited.as_mins()
        ),
    )
}
