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

/// Days within which delete-expired certainly looks again, though it fails on one.
const EXTENDED_WITHIN: i64 = 2;

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

/// A new object has the default lock, and delete-expired extends the locks of what fills a tier, hourly, to about when the tier
/// lets it go. So the default has to last until then, and over what a plan keeps whatever its tiers; and it need not last longer
/// than the daily tier.
fn contradiction(
    bucket: &ResourceId,
    lock: DefaultLock,
    plans: &[&BackupPlan],
    now: Timestamp,
) -> Option<Finding> {
    let DefaultLock { compliance, days } = lock;
    let kind = kind::LOCK_CONTRADICTS_PLAN;
    let mode = if compliance { "COMPLIANCE" } else { "GOVERNANCE" };
    let locked = format!("a new object is locked for {} ({mode})", many(days, "day"));
    let oldest = plans.iter().max_by_key(|plan| plan.keep.minimum_age)?;
    let floor = floor_days(oldest);
    if days < floor.max(EXTENDED_WITHIN) {
        let says = format!(
            "{locked}: less than what plan {} keeps whatever its tiers ({}), or than a day on which delete-expired, which extends \
             locks, does not run. Meanwhile recovery points stand unlocked",
            oldest.name,
            many(oldest.keep.minimum_age.as_hours(), "hour"),
        );
        let next =
            format!("Deploy infra/vault.yaml with ObjectLockDays={} or more.", floor.max(EXTENDED_WITHIN));
        return Some(warning(now).of(bucket, kind, says, next));
    }
    let let_go = |plan: &BackupPlan| i64::from(plan.keep.daily).max(floor_days(plan));
    let shortest = plans.iter().min_by_key(|plan| let_go(plan))?;
    let least = let_go(shortest);
    let next =
        format!("Deploy infra/vault.yaml with ObjectLockDays={}, or let the plans keep more.", least + SLACK);
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

/// Younger than so many days nothing is deleted.
const fn floor_days(plan: &BackupPlan) -> i64 {
    (plan.keep.minimum_age.as_hours() + 23) / 24
}

/// For how many days a plan keeps anything at most.
fn kept_at_most(plan: &BackupPlan) -> i64 {
    let keep = plan.keep;
    let tiers = [(keep.daily, 1), (keep.weekly, 7), (keep.monthly, 31), (keep.annual, 366)];
    tiers.into_iter().map(|(count, days)| i64::from(count) * days).max().unwrap_or(0)
}
