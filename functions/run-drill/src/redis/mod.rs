//! Drills of Redis and Valkey: caches, and append-only directories.

mod check;
mod directory;

use domain::{
    BackupPlan, DrillClass, PlanDocument, RecoveryPointId, ResourceId, Side,
    drill::{PREFIX, To},
    tag,
};
use futures::join;
use jiff::Timestamp;
use reconcile::{Error, Result};
use redis::{
    elasticache::{Cache, CacheKind, ClusterMode, ElastiCache, Teardown},
    server::Servers,
};
use secrets::{PlainSecrets, Secrets};
use serde_json::{Map, json};
use vault::{Manifest, Store};

use crate::{
    drill::Drill,
    engine::{Checked, Engine, Looked, Made, Staging, Stored, Subject, Turn, is_a_drills},
    manifest,
    measure::{self, Beats},
    price,
    restored::Restored,
};

/// Redis and Valkey, with the outside systems that their drills see.
pub struct RedisDrills<E, S, K, C> {
    /// The Region of the caches.
    pub home: CacheRegion<E, S>,
    /// The Region of the copies.
    pub recovery: CacheRegion<E, S>,
    /// The passwords of caches.
    pub secrets: K,
    /// Servers that can be checked.
    pub servers: C,
    /// The secret with the keys that sign heartbeats.
    pub heartbeat_secret: Option<String>,
}

/// What there is in one Region.
pub struct CacheRegion<E, S> {
    /// Its `ElastiCache`.
    pub caches: E,
    /// The vault.
    pub vault: S,
    /// The bucket in which restore-database puts directories together; what is there goes by itself after days.
    pub exports: S,
    /// Where to restore.
    pub staging: Option<CacheNetwork>,
}

/// Where nobody reaches what is restored, but for whoever checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheNetwork {
    /// The cache subnet group.
    pub subnet_group: String,
    /// The subnets of it, by which a serverless cache is placed.
    pub subnets: Vec<String>,
    /// The security groups.
    pub security_groups: Vec<String>,
}

/// The smallest node types and the bytes that they hold (ElastiCache User Guide, "Supported node types"), a fifth left for the server.
const SMALLEST: [(&str, u64); 3] = [
    ("cache.t4g.micro", 400_000_000),
    ("cache.t4g.small", 1_100_000_000),
    ("cache.t4g.medium", 2_600_000_000),
];

/// In memory data is so much larger than in an RDB, at most by experience.
const UNFOLDED: u64 = 4;

/// What drills make of directories is files: they need no network and cost next to nothing.
const DIRECTORY: &str = "append-only directory";

fn is_directory(drill: &Drill) -> bool {
    drill.staging.class.as_deref() == Some(DIRECTORY)
}

impl<E, S, K, C> Engine for RedisDrills<E, S, K, C>
where
    E: ElastiCache + Teardown,
    S: Store,
    K: Secrets + PlainSecrets,
    C: Servers,
{
    async fn look(&self, plans: &PlanDocument) -> Result<Looked> {
        let (home, recovery) = join!(self.home.caches.caches(), self.recovery.caches.caches());
        let home = home?;
        let mut looked = Looked { protected: protected(&home, plans), ..Looked::default() };
        let (here, there) = (self.home.caches.region(), self.recovery.caches.region());
        looked.add(here, Ok(made(&home, here)));
        looked.add(there, recovery.map(|caches| made(&caches, there)));
        Ok(looked)
    }

    async fn subject(
        &self,
        resource: &ResourceId,
        plan: &BackupPlan,
        stored: Stored,
        _: Timestamp,
    ) -> Result<Subject> {
        let is_directory = plan.redis.append_only.iter().any(|archive| archive.name == resource.name);
        let source = if is_directory {
            None
        } else {
            let caches = self.home.caches.caches().await?;
            Some(caches.into_iter().find(|cache| cache.name == resource.name).ok_or_else(|| gone(resource))?)
        };
        let class = plan.drill.as_ref().map(|drill| drill.class).unwrap_or_default();
        let staging = [(&self.home, true), (&self.recovery, false)].map(|(region, is_home)| {
            let name = region.caches.region();
            match &source {
                Some(cache) => staging(cache, class, stored.bytes, name, region.staging.as_ref(), is_home),
                None => Ok(of_directory(name, is_home)),
            }
        });
        let has_assertions = plan.drill.as_ref().is_some_and(|drill| drill.assertions.contains_key(resource));
        let invalid = has_assertions.then(|| {
            format!("drill.assertions.{resource}: assertions are SQL; of Redis, recovery sets can assert something")
        });
        let window = match &stored.newest {
            Some(newest) if is_directory => self.window(resource, newest).await?,
            _ => None,
        };
        Ok(Subject { bytes: stored.bytes, window, staging, assertions: Vec::new(), invalid })
    }

    async fn check(&self, drill: &Drill, turn: Turn) -> Result<Checked> {
        if is_directory(drill) {
            directory::check(self, drill, turn).await
        } else {
            check::check(self, drill, turn).await
        }
    }

    async fn number(&self, drill: &Drill, side: &Side) -> Result<i128> {
        if is_directory(drill) {
            return Err(measure::no_number(side, "of an append-only directory there is no server to ask"));
        }
        check::number(self, drill, side).await
    }

    async fn heartbeats(&self, restored: &Restored) -> Result<Option<Beats>> {
        check::of_restored(self, restored).await
    }

    async fn tear_down(&self, made: &Made) -> Result<()> {
        let kind = KINDS.into_iter().find(|kind| kind.as_str() == made.sort).ok_or_else(|| {
            Error::permanent("CacheKindUnknown", format!("{:?} is no sort of cache", made.sort))
        })?;
        let caches = &self.region(&made.region)?.caches;
        match caches.cache(kind, &made.name).await? {
            None => Ok(()),
            Some(cache) => {
                is_a_drills(&made.name, cache.tags.get(tag::DRILL), made)?;
                caches.delete_cache(kind, &made.name).await
            }
        }
    }
}

const KINDS: [CacheKind; 3] = [CacheKind::ReplicationGroup, CacheKind::Cluster, CacheKind::Serverless];

impl<E: ElastiCache, S: Store, K, C> RedisDrills<E, S, K, C> {
    fn region(&self, name: &str) -> Result<&CacheRegion<E, S>> {
        [&self.home, &self.recovery].into_iter().find(|region| region.caches.region() == name).ok_or_else(
            || Error::permanent("RegionUnknown", format!("{name} is no Region of this deployment")),
        )
    }

    /// The seconds that can be had of an archive: those of its newest recovery point, if its commands carry times.
    async fn window(
        &self,
        resource: &ResourceId,
        newest: &RecoveryPointId,
    ) -> Result<Option<(Timestamp, Timestamp)>> {
        let Some(manifest) = manifest::find(&self.home.vault, resource, newest).await? else {
            return Ok(None);
        };
        Ok(manifest.restorable_to.map(|last| (manifest.taken_at, last)).filter(|(first, end)| first < end))
    }

    /// What the vault of the drill's Region says is in the recovery point that was restored.
    async fn manifest(&self, drill: &Drill) -> Result<Manifest> {
        let id = match &drill.choice.to {
            To::Point(id) => Some(id),
            To::Instant(_) => drill.point.as_ref(),
        };
        let id = id.ok_or_else(|| {
            let says = "restore-database did not say from which recovery point it restored";
            Error::permanent("DrillsUnreadable", says)
        })?;
        manifest::read(&self.region(&drill.staging.region)?.vault, &drill.resource, id).await
    }
}

fn protected(caches: &[Cache], plans: &PlanDocument) -> Vec<(ResourceId, String)> {
    let of_plan = |cache: &Cache| {
        let plan = tag::plan(&cache.tags).filter(|plan| plans.get(plan).is_some())?;
        let is_source = cache.settings.engine != "memcached" && !cache.tags.contains_key(tag::RESTORE);
        is_source.then(|| (ResourceId::redis(cache.name.clone()), plan.to_owned()))
    };
    let archives = plans.iter().flat_map(|plan| {
        let name = plan.name.to_string();
        plan.redis
            .append_only
            .iter()
            .map(move |archive| (ResourceId::redis(archive.name.clone()), name.clone()))
    });
    caches.iter().filter_map(of_plan).chain(archives).collect()
}

/// What carries a drill's tag and name; and what has the name alone.
fn made(caches: &[Cache], region: &str) -> Vec<Made> {
    let ours = caches.iter().filter(|cache| cache.name.starts_with(PREFIX));
    ours.map(|cache| {
        let tag = |key: &str| cache.tags.get(key);
        let resource = tag(tag::RESOURCE).and_then(|text| ResourceId::try_from(text.clone()).ok());
        Made {
            resource: resource.unwrap_or_else(|| ResourceId::redis(cache.name.clone())),
            region: region.to_owned(),
            name: cache.name.clone(),
            sort: cache.kind.as_str(),
            drill: tag(tag::DRILL).cloned(),
            expires: tag(tag::EXPIRES).and_then(|text| text.parse().ok()),
            status: cache.status.clone(),
        }
    })
    .collect()
}

fn of_directory(region: &str, is_home: bool) -> Staging {
    let request = (!is_home).then(|| ("region".to_owned(), json!(region)));
    Staging {
        region: region.to_owned(),
        request: Map::from_iter(request),
        class: Some(DIRECTORY.to_owned()),
        otherwise: None,
        micro_usd_an_hour: 0,
    }
}

pub(crate) fn staging(
    source: &Cache,
    class: DrillClass,
    stored: u64,
    region: &str,
    network: Option<&CacheNetwork>,
    is_home: bool,
) -> Result<Staging, String> {
    let Some(network) = network else {
        let parameters = if is_home { "StagingCache…" } else { "RecoveryStagingCache…" };
        return Err(format!(
            "nothing says where in {region} it may be restored without production's clients reaching it: deploy with the \
             parameters {parameters} (docs/drills.md)"
        ));
    };
    let mut request = Map::from_iter([("security_groups".to_owned(), json!(network.security_groups))]);
    if !is_home {
        request.insert("region".to_owned(), json!(region));
    }
    let staging = |request: Map<_, _>, class: Option<String>, price, otherwise| Staging {
        region: region.to_owned(),
        request,
        class,
        otherwise,
        micro_usd_an_hour: price,
    };
    if source.kind == CacheKind::Serverless {
        request.insert("subnets".to_owned(), json!(network.subnets));
        let price = price::serverless(stored.saturating_mul(UNFOLDED));
        return Ok(staging(request, None, price, None));
    }
    request.insert("subnet_group".to_owned(), json!(network.subnet_group));
    if source.kind == CacheKind::ReplicationGroup && source.settings.cluster_mode == ClusterMode::Disabled {
        // Several shards fail over by themselves or not at all (CreateReplicationGroup, AutomaticFailoverEnabled).
        request
            .extend([("automatic_failover".to_owned(), json!(false)), ("multi_az".to_owned(), json!(false))]);
        request.insert("replicas".to_owned(), json!(0));
    }
    let shards = source.settings.shards.len().max(1) as u64;
    let nodes = if request.contains_key("replicas") {
        shards
    } else {
        shards * (1 + u64::from(source.settings.replicas))
    };
    let of_source = source.settings.node_type.clone();
    let with = |node_type: Option<&str>, otherwise| {
        let mut request = request.clone();
        request.extend(node_type.map(|node_type| ("node_type".to_owned(), json!(node_type))));
        let price = price::nodes(node_type.unwrap_or_default(), nodes);
        staging(request, node_type.map(str::to_owned), price, otherwise)
    };
    let as_source = with(of_source.as_deref(), None);
    let needs = stored.saturating_mul(UNFOLDED) / shards;
    // What is tiered is restored onto disks alone, and what is small already is not made larger.
    let is_fit = !source.settings.data_tiering
        && of_source.as_deref().is_none_or(|class| !class.starts_with("cache.t"));
    let smallest = SMALLEST.iter().find(|(_, holds)| *holds >= needs).filter(|_| is_fit && stored > 0);
    Ok(match (class, smallest) {
        (DrillClass::Smallest, Some((node_type, _))) => with(Some(*node_type), Some(Box::new(as_source))),
        (DrillClass::Smallest | DrillClass::Source, _) => as_source,
    })
}

fn gone(resource: &ResourceId) -> Error {
    Error::retryable("SourceGone", format!("{resource} is not there any more; the next tick looks again"))
}
