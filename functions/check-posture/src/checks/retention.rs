//! The vault's lock against what the plans keep: a lock outlives its need, or ends before it.

use ::vault::DefaultLock;
use domain::{BackupPlan, Finding, ResourceId};
use jiff::Timestamp;

use super::{Check, Of, buckets, check, info, many, warning};
use crate::{
    checks::plans,
    kind,
    observe::{BucketSeen, Seen},
};

/// A recovery point is let go within a day of when the plan no longer keeps it.
const SLACK: i64 = 1;

pub(super) fn checks(seen: &Seen, now: Timestamp) -> [Check<'_>; 2] {
    [&seen.home.vault, &seen.recovery.vault].map(|bucket| {
        let found = found(bucket, seen, now);
        check(&kind::LOCK_CONTRADICTS_PLAN, Of::One(buckets::resource(bucket)), found)
    })
}

fn found<'s>(
    bucket: &'s BucketSeen,
    seen: &'s Seen,
    now: Timestamp,
) -> Result<Option<Finding>, &'s reconcile::Error> {
    let (lock, kept) = (bucket.lock.as_ref()?, plans::in_the_vault(seen)?);
    let Some(default) = lock.and_then(|lock| lock.default) else { return Ok(None) };
    Ok(contradiction(&buckets::resource(bucket), default, &kept, now))
}

/// The default lock is for the daily tier: delete-expired extends the lock of what is kept for longer.
fn contradiction(
    bucket: &ResourceId,
    lock: DefaultLock,
    plans: &[&BackupPlan],
    now: Timestamp,
) -> Option<Finding> {
    let DefaultLock { compliance, days } = lock;
    let shortest = plans.iter().min_by_key(|plan| plan.keep.daily)?;
    let longest = plans.iter().max_by_key(|plan| plan.keep.daily)?;
    let (least, most) = (i64::from(shortest.keep.daily), i64::from(longest.keep.daily));
    let kind = kind::LOCK_CONTRADICTS_PLAN;
    let mode = if compliance { "COMPLIANCE" } else { "GOVERNANCE" };
    let locked = format!("a new object is locked for {} ({mode})", many(days, "day"));
    let next = format!(
        "Deploy infra/vault.yaml with ObjectLockDays={}, or change what the plans keep.",
        most + SLACK
    );
    if days < most {
        let says = format!(
            "{locked}, and plan {} keeps a daily recovery point for {}: in the last {} it can be deleted by whoever may delete there, unless \
             delete-expired has extended its lock by then",
            longest.name,
            many(most, "day"),
            many(most - days, "day"),
        );
        return Some(warning(now).of(bucket, kind, says, next));
    }
    let beyond = days - least - SLACK;
    if beyond <= 0 {
        return None;
    }
    let says = format!(
        "{locked}, and plan {} lets go a recovery point that fills no longer tier after {}: it stays, and is paid for, {} longer",
        shortest.name,
        many(least, "day"),
        many(beyond, "day"),
    );
    let whole = plans.iter().map(|plan| kept_at_most(plan)).max().unwrap_or(0);
    if compliance && days > whole {
        let says = format!(
            "{says}. Nothing is kept for more than {} by any plan, and nobody can shorten such a lock",
            many(whole, "day")
        );
        Some(warning(now).of(bucket, kind, says, next))
    } else {
        Some(info(now).of(bucket, kind, says, next))
    }
}

/// For how many days a plan keeps anything at most.
fn kept_at_most(plan: &BackupPlan) -> i64 {
    let keep = plan.keep;
    let tiers = [(keep.daily, 1), (keep.weekly, 7), (keep.monthly, 31), (keep.annual, 366)];
    tiers.into_iter().map(|(count, days)| i64::from(count) * days).max().unwrap_or(0)
}
