//! What should be done and cannot be, said so that the reader knows what to do.

use domain::{PlanDocument, Slot, tag};
use rds::Instance;
use reconcile::Error;

use crate::observe::{RecoveryPoint, RegionView};

pub(crate) fn engine(instance: &Instance, plan_name: &str) -> Error {
    Error::misconfigured(
        "EngineNotSupported",
        format!(
            "{} is tagged {}={plan_name}, and its engine {} cannot be backed up by backup-rds, which knows postgres; \
             take the tag off or protect it otherwise",
            instance.id,
            tag::PLAN,
            instance.engine
        ),
    )
}

pub(crate) fn plan(instance: &Instance, plan_name: &str, plans: &PlanDocument) -> Error {
    let known: Vec<_> = plans.names().map(ToString::to_string).collect();
    Error::misconfigured(
        "PlanUnknown",
        format!(
            "{} is tagged {}={plan_name}, and there is no such plan, so it is not backed up; plans are: {}",
            instance.id,
            tag::PLAN,
            known.join(", ")
        ),
    )
}

pub(crate) fn overdue(instance: &Instance, slot: Slot) -> Error {
    Error::permanent(
        "SlotOverdue",
        format!(
            "slot {slot} of {} has no recovery point, because the instance is {} and takes no snapshot; start or mend it, \
             or take the tag {} off",
            instance.id,
            instance.status,
            tag::PLAN
        ),
    )
}

pub(crate) fn stuck(point: &RecoveryPoint, region: &str) -> Error {
    let (id, status, percent) = (&point.snapshot.id, &point.snapshot.status, point.snapshot.percent);
    Error::permanent(
        "SnapshotStuck",
        format!(
            "{id} in {region} is {status}, {percent}% done, for more than a day; ask AWS support, or delete it to have it \
             tried again"
        ),
    )
}

pub(crate) fn given_up(what: &str, slot: Slot, attempts: &[&RecoveryPoint]) -> Error {
    let names: Vec<&str> = attempts.iter().map(|point| point.snapshot.id.as_str()).collect();
    Error::permanent(
        "AttemptsExhausted",
        format!(
            "{} attempts at a {what} for slot {slot} failed: {}; look at the instance's events, then delete the failed snapshots \
             to have it tried again",
            names.len(),
            names.join(", ")
        ),
    )
}

pub(crate) fn quota_full(region: &RegionView) -> Error {
    Error::misconfigured(
        "SnapshotQuotaFull",
        format!(
            "{} of {} manual snapshots are used in {}; request a higher quota (Service Quotas, L-272F1212) or delete snapshots that \
             Tidemark did not make",
            region.quota.used, region.quota.limit, region.name
        ),
    )
}
