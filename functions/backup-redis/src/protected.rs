//! What is protected: pure, and the same for whoever observes and whoever plans.

use std::collections::BTreeMap;

use domain::{AppendOnlyArchive, BackupPlan, Engine, PlanDocument, RecoveryPointId, ResourceId, Slot, tag};
use jiff::Timestamp;
use reconcile::Error;
use redis::elasticache::Cache;

use crate::refusal;

/// How many recovery points are tried for one slot. A third failure is no accident.
pub(crate) const ATTEMPTS: u32 = 3;

/// A cache or an archive under a plan.
#[derive(Clone, Debug)]
pub(crate) struct Protected {
    pub(crate) resource: ResourceId,
    pub(crate) incarnation: String,
    pub(crate) plan: BackupPlan,
    /// The plan's newest slot; `None` before the first one.
    pub(crate) slot: Option<Slot>,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Cache(Box<Cache>),
    Archive(AppendOnlyArchive),
}

/// What should be protected and cannot be.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) resource: ResourceId,
    pub(crate) plan: String,
    pub(crate) error: Error,
}

impl Protected {
    /// The recovery point of that slot that counts, and its attempt: the first that did not fail for good. `None` once all
    /// have.
    pub(crate) fn attempt(
        &self,
        slot: Slot,
        has_failed: impl Fn(&RecoveryPointId) -> bool,
    ) -> Option<(RecoveryPointId, u32)> {
        let named = |attempt| RecoveryPointId::new(&self.resource.name, &self.incarnation, slot, attempt);
        (1..=ATTEMPTS).map(|attempt| (named(attempt), attempt)).find(|(id, _)| !has_failed(id))
    }

    /// Whether that recovery point is of this very resource, and not of another that once had its name.
    pub(crate) fn is_of(&self, id: &RecoveryPointId) -> bool {
        id.parts().is_some_and(|parts| {
            parts.resource == self.resource.name.to_lowercase()
                && parts.mark == RecoveryPointId::mark(&self.incarnation)
        })
    }
}

/// The resources under a plan, in the order of their names, and those that a plan was meant for.
pub(crate) fn protected(
    caches: &[Cache],
    plans: &PlanDocument,
    now: Timestamp,
) -> (Vec<Protected>, Vec<Refused>) {
    let slot =
        |plan: &BackupPlan| plan.schedules.get(&Engine::Redis).and_then(|schedule| schedule.latest_at(now));
    let (mut found, mut refused) = (Vec::new(), Vec::new());
    for cache in caches {
        let Some(name) = tag::plan(&cache.tags) else { continue };
        let resource = ResourceId::redis(&cache.name);
        match plan_of(cache, name, plans) {
            Ok(plan) => found.push(Protected {
                resource,
                incarnation: cache.incarnation.clone(),
                slot: slot(plan),
                plan: plan.clone(),
                what: What::Cache(Box::new(cache.clone())),
            }),
            Err(error) => refused.push(Refused { resource, plan: name.to_owned(), error }),
        }
    }
    for plan in plans.iter() {
        let archives = plan.redis.append_only.iter().map(|archive| Protected {
            resource: ResourceId::redis(&archive.name),
            // A rewrite gives the directory another base each time; its place stays.
            incarnation: format!("s3://{}/{}", archive.bucket, archive.prefix),
            slot: slot(plan),
            plan: plan.clone(),
            what: What::Archive(archive.clone()),
        });
        found.extend(archives);
    }
    let (mut found, ambiguous) = without_namesakes(found);
    refused.extend(ambiguous);
    found.sort_by(|a, b| a.resource.cmp(&b.resource));
    (found, refused)
}

fn plan_of<'p>(cache: &Cache, name: &str, plans: &'p PlanDocument) -> Result<&'p BackupPlan, Error> {
    if !matches!(cache.settings.engine.as_str(), "redis" | "valkey") {
        return Err(refusal::engine(cache, name));
    }
    // It becomes part of keys and of other names. AWS gives no other (`CreateReplicationGroup`, `CreateCacheCluster`).
    let fits = (1..=50).contains(&cache.name.len())
        && cache.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !fits {
        return Err(refusal::name(cache));
    }
    plans.get(name).ok_or_else(|| refusal::plan(cache, name, plans))
}

/// Two of one name would fill each other's slots: neither is protected until one is called otherwise.
fn without_namesakes(found: Vec<Protected>) -> (Vec<Protected>, Vec<Refused>) {
    let mut by_name: BTreeMap<String, Vec<Protected>> = BTreeMap::new();
    for one in found {
        by_name.entry(one.resource.name.to_lowercase()).or_default().push(one);
    }
    let (mut single, mut refused) = (Vec::new(), Vec::new());
    for group in by_name.into_values() {
        match <[Protected; 1]>::try_from(group) {
            Ok([one]) => single.push(one),
            Err(group) => refused.extend(group.first().map(|first| Refused {
                resource: first.resource.clone(),
                plan: first.plan.name.to_string(),
                error: refusal::ambiguous(&group),
            })),
        }
    }
    (single, refused)
}
