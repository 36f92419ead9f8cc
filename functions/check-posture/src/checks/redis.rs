//! What only Redis and Valkey have.

use ::redis::elasticache::Cache;
use domain::{BackupPlan, Engine, Finding, ResourceId, Slot};
use jiff::{SignedDuration, Timestamp};

use super::{
    Check, Of, check, critical, plans,
    quotas::{DAYS, MOST_SLOTS},
    warning,
};
use crate::{kind, observe::Seen};

/// backup-redis tries a slot three times, and each attempt is a snapshot of its own.
const FURTHER_ATTEMPTS: usize = 2;

pub(super) fn checks(seen: &Seen, now: Timestamp) -> [Check<'_>; 1] {
    let protected = seen.caches.as_ref().map(|caches| plans::caches(caches, &seen.plans));
    let found = protected.map(|protected| {
        protected.into_iter().filter_map(move |(cache, plan)| snapshots_a_day(cache, plan, now))
    });
    [check(&kind::CACHE_SNAPSHOT_QUOTA, Of::Engine(Engine::Redis), found)]
}

/// Whether `ElastiCache` takes as many snapshots of a cache within 24 hours as its plan asks for.
fn snapshots_a_day(cache: &Cache, plan: &BackupPlan, now: Timestamp) -> Option<Finding> {
    let until = now.checked_add(SignedDuration::from_hours(24 * DAYS)).ok()?;
    let slots = plan.schedules.get(&Engine::Redis)?.slots(now, until, MOST_SLOTS);
    let (most, limit) = (busiest_day(&slots), cache.kind.snapshots_a_day());
    let says = format!(
        "plan {} asks for {most} snapshots within 24 hours, and ElastiCache takes {limit} of a {} in that time",
        plan.name, cache.kind
    );
    let next = format!("Let `plans.{}.schedule.redis` come round less often.", plan.name);
    let resource = ResourceId::redis(&cache.name);
    let kind = kind::CACHE_SNAPSHOT_QUOTA;
    if most > limit {
        let says = format!("{says}: the last {} slots of each day are missed", most - limit);
        Some(critical(now).of(&resource, kind, says, next))
    } else if most + FURTHER_ATTEMPTS > limit {
        let says = format!("{says}: an attempt that fails cannot be repeated");
        Some(warning(now).of(&resource, kind, says, next))
    } else {
        None
    }
}

/// The most slots within any 24 hours.
fn busiest_day(slots: &[Slot]) -> usize {
    let (mut first, mut most) = (0, 0);
    for (last, slot) in slots.iter().enumerate() {
        while slot.instant().duration_since(slots[first].instant()) >= SignedDuration::from_hours(24) {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}
