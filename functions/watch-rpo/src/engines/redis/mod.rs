//! Redis and Valkey: ElastiCache's caches that carry a plan's tag, and the archives of append-only directories that plans
//! name.

mod observe;
mod says;

use domain::{BackupPlan, Engine, Finding, PlanDocument, RecoveryPointId, tag};
use jiff::Timestamp;
use redis::elasticache::{Cache, ensure::exportable};

pub(crate) use self::observe::{is_named, observe};
use crate::{
    engines::{GivenUp, Key, Lost, Parts, Protected, Under, vaulted},
    point::Point,
    watched::Watched,
};

const FUNCTION: &str = "backup-redis";

/// A cache or an archive.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    kind: Kind,
    /// [`RecoveryPointId::mark`] of it.
    mark: String,
    /// Another one that is protected bears the same name.
    clashes: bool,
}

#[derive(Clone, Debug)]
enum Kind {
    Cache(Box<Cache>),
    Archive {
        name: String,
        /// Which plan names it.
        plan: String,
        /// `s3://bucket/prefix/`.
        place: String,
    },
}

impl Source {
    fn cache(cache: Cache) -> Self {
        let mark = RecoveryPointId::mark(&cache.incarnation);
        Self { kind: Kind::Cache(Box::new(cache)), mark, clashes: false }
    }

    fn archive(plan: &BackupPlan, archive: &domain::AppendOnlyArchive) -> Self {
        // As backup-redis has it: a rewrite gives the directory another base each time; its place stays.
        let place = format!("s3://{}/{}", archive.bucket, archive.prefix);
        let mark = RecoveryPointId::mark(&place);
        let kind = Kind::Archive { name: archive.name.clone(), plan: plan.name.to_string(), place };
        Self { kind, mark, clashes: false }
    }

    /// The plan that somebody named for it, whether or not there is one of that name.
    fn plan_name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Cache(cache) => tag::plan(&cache.tags),
            Kind::Archive { plan, .. } => Some(plan),
        }
    }

    /// Whether ElastiCache can export it at all; backup-redis refuses what it cannot.
    fn is_supported(&self) -> bool {
        match &self.kind {
            Kind::Cache(cache) => {
                ["redis", "valkey"].contains(&cache.settings.engine.as_str()) && exportable(cache).is_ok()
            }
            Kind::Archive { .. } => true,
        }
    }
}

impl Protected for Source {
    const ENGINE: Engine = Engine::Redis;
    const THING: &'static str = "cache";
    const STATE: &'static str = "restorable state";
    const PARTS: Parts = Parts { resources: "caches", points: "redis-vault", copies: "redis-copies" };
    const PAGE: usize = vaulted::PAGE;
    type Beside = ();

    fn name(&self) -> &str {
        match &self.kind {
            Kind::Cache(cache) => &cache.name,
            Kind::Archive { name, .. } => name,
        }
    }

    fn incarnation(&self) -> &str {
        match &self.kind {
            Kind::Cache(cache) => &cache.incarnation,
            Kind::Archive { place, .. } => place,
        }
    }

    fn under<'p>(&self, plans: &'p PlanDocument) -> Under<'p> {
        let Some(name) = self.plan_name() else { return Under::Nothing };
        let plan = plans.get(name).filter(|_| self.is_supported() && !self.clashes);
        plan.map_or(Under::Refused, Under::Plan)
    }

    fn looked_since(plan: &BackupPlan, now: Timestamp) -> Timestamp {
        vaulted::looked_since(plan, Self::ENGINE, now)
    }

    fn key(&self) -> Key<'_> {
        (&self.mark, self.name())
    }

    fn key_of(point: &Point) -> Key<'_> {
        (&point.incarnation, &point.resource)
    }

    fn own_findings(
        watched: &Watched<'_, Self>,
        _beside: Option<&()>,
        _region: &str,
        now: Timestamp,
    ) -> Vec<Finding> {
        let Kind::Cache(cache) = &watched.of.kind else { return Vec::new() };
        is_unhealthy(&cache.status)
            .then(|| says::unhealthy(&watched.resource, cache, now))
            .into_iter()
            .collect()
    }

    fn next_for_rpo(&self) -> String {
        match &self.kind {
            Kind::Cache(cache) => says::next_for_rpo(cache),
            Kind::Archive { place, .. } => says::next_for_archive(place),
        }
    }

    fn next_for_slot(&self) -> String {
        vaulted::next_for_slot(FUNCTION)
    }

    fn failed(&self, point: &Point) -> GivenUp {
        vaulted::failed(Self::ENGINE, FUNCTION, point)
    }

    fn copy_failed(&self, copy: &Point, region: &str) -> GivenUp {
        vaulted::copy_failed(Self::ENGINE, copy, region)
    }

    fn next_for_copy(&self, point: &Point, region: &str) -> String {
        vaulted::next_for_copy(Self::ENGINE, FUNCTION, point, region)
    }

    fn next_for_slow_copy(&self, point: &Point, region: &str) -> String {
        vaulted::next_for_slow_copy(Self::ENGINE, point, region)
    }

    fn next_for_shrunk(&self) -> &'static str {
        "See whether so much was deleted or has expired on purpose; then this ends as the next recovery points come."
    }

    fn measures(point: &Point) -> String {
        format!("holds {}", Self::size(point.bytes))
    }

    fn size(bytes: u64) -> String {
        vaulted::size(bytes)
    }

    fn lost(name: &str, there: Option<&Self>, plan: Option<&str>) -> Lost {
        match there.map(|there| &there.kind) {
            Some(Kind::Cache(cache)) => says::untagged(cache, plan),
            Some(Kind::Archive { .. }) | None => says::gone(name),
        }
    }
}

/// Whether a cache that is so is not backed up, and will not be so no more by itself (API Reference, `ReplicationGroup`,
/// `CacheCluster`, `ServerlessCache`: Status).
fn is_unhealthy(status: &str) -> bool {
    matches!(
        status,
        "create-failed"
            | "restore-failed"
            | "deleting"
            | "deleted"
            | "incompatible-network"
            | "incompatible-parameters"
    )
}
