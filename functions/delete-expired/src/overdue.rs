//! What is expired, was to be deleted, and is still there long after: pure. A pass says of each recovery point what keeps it, and
//! tries again; here is told what a person should look at.

use std::collections::BTreeMap;

use domain::{Finding, ResourceId, Severity, Slot, retention::Region};
use inventory::{Decided, Held, Holding, What};
use jiff::{SignedDuration, Timestamp};

use crate::observe::Observed;

pub(crate) const NOT_DELETED: &str = "expired-not-deleted";

/// How long after it could have gone an expired recovery point may still be there.
pub(crate) const PATIENCE: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The overdue ones, by resource.
#[derive(Default)]
pub(crate) struct Overdue<'o> {
    by_resource: BTreeMap<&'o ResourceId, Vec<Late>>,
}

/// One of them.
struct Late {
    slot: Slot,
    /// Since when it is overdue.
    since: Timestamp,
    /// What keeps it.
    why: String,
}

/// Since when an expired recovery point is overdue, if it is. What the bucket's default lock and its own tiers asked for is no
/// delay, nor is the time before a person agreed to plans.
pub(crate) fn since(
    observed: &Observed,
    held: &Held,
    decided: &Decided,
    now: Timestamp,
) -> Option<Timestamp> {
    let agreed = decided.since?.max(observed.acknowledged_since?);
    let mut unlocked = agreed;
    for region in Region::ALL {
        if let Some(Holding { what: What::Objects(_), made_at, .. }) = held.holding(region) {
            let asked = observed.locks.asked_until(&held.resource, &held.id, region, *made_at);
            // As long as nobody knows the default lock, nothing is overdue.
            let default = *made_at + observed.default_locks[region as usize]?;
            unlocked = unlocked.max(default).max(asked.unwrap_or(default));
        }
    }
    Some(unlocked + PATIENCE).filter(|since| *since < now)
}

impl<'o> Overdue<'o> {
    pub(crate) fn add(&mut self, held: &'o Held, since: Option<Timestamp>, why: Option<String>) {
        if let (Some(since), Some(why)) = (since, why) {
            let late = Late { slot: held.slot, since, why };
            self.by_resource.entry(&held.resource).or_default().push(late);
        }
    }

    /// One for each resource.
    pub(crate) fn findings(self) -> impl Iterator<Item = Finding> {
        self.by_resource.into_iter().filter_map(|(resource, late)| {
            let oldest = late.iter().min_by_key(|late| late.slot)?;
            let since = late.iter().map(|late| late.since).min()?;
            let points = match late.len() {
                1 => "1 recovery point".to_owned(),
                count => format!("{count} recovery points"),
            };
            let days = PATIENCE.as_hours() / 24;
            let says = format!(
                "{points} should have been deleted more than {days} days ago and is still there, the oldest of {}: {}",
                oldest.slot, oldest.why
            );
            Some(Finding::new(resource, NOT_DELETED, Severity::Warning, since, says, NEXT))
        })
    }
}

const NEXT: &str = "Every hour it is tried again, and a lock ends by itself. See whether it was meant to be locked or held; a legal hold \
                    of S3 is lifted with aws s3api put-object-legal-hold --bucket VAULT --key KEY --version-id ID --legal-hold Status=OFF.";
