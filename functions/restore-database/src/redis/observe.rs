use std::collections::BTreeSet;

use domain::tag;
use futures::{future::join_all, try_join};
use jiff::Timestamp;
use reconcile::{Documents, EntryKey, Error, Ledger, Result};
use redis::elasticache::{Cache, CacheKind, ElastiCache, Snapshot, Source};
use vault::{Object, Store};

use super::{
    staged_prefix,
    wish::{From, Wish},
    work::{Make, Work},
};
use crate::{
    orders::{self, Ordered},
    points::{self, Found, Point},
    request::RestoreRequest,
    restore::End,
};

/// Redis and Valkey, with the outside systems that their restores see.
pub struct RedisRestores<E, S, D, L, K> {
    /// The Region of the caches.
    pub home: RedisRegion<E, S>,
    /// The Region of the copies.
    pub recovery: RedisRegion<E, S>,
    /// Where orders are kept until they are over.
    pub documents: D,
    /// What is recorded already.
    pub ledger: L,
    /// The passwords of caches.
    pub secrets: K,
}

/// What there is in one Region.
pub struct RedisRegion<E, S> {
    /// Its `ElastiCache`.
    pub caches: E,
    /// The vault.
    pub vault: S,
    /// The bucket from which `ElastiCache` reads, and where directories are put together.
    pub exports: S,
}

/// What bears on a person's request.
#[derive(Debug)]
pub struct Asked {
    pub(crate) request: RestoreRequest<Wish>,
    /// The Region to restore in.
    pub(crate) region: String,
    pub(crate) home: String,
    /// The vault there.
    pub(crate) vault: String,
    /// The bucket for what is staged.
    pub(crate) exports: String,
    /// What the vault holds of it.
    pub(crate) found: Found,
    /// The snapshot behind it, where `ElastiCache` still has it.
    pub(crate) snapshot: Option<Snapshot>,
    /// The secret that the cache it was made of is tagged with, if that is still there.
    pub(crate) secret: Option<String>,
    /// The order under that name.
    pub(crate) order: Option<Ordered<Work>>,
    /// How it ended, if the ledger knows.
    pub(crate) order_end: Option<End>,
    /// The cache that bears the name.
    pub(crate) bearer: Option<Cache>,
    /// What is staged under the name.
    pub(crate) staged: Vec<Object>,
}

/// The restores there are.
#[derive(Debug)]
pub struct Restores {
    pub(crate) all: Vec<Seen>,
    /// What the ledger says of them.
    pub(crate) recorded: BTreeSet<EntryKey>,
    /// Documents that hold no order.
    pub(crate) unreadable: Vec<(String, Error)>,
}

/// A restore, and what there is of it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) ordered: Ordered<Work>,
    /// An error there stops this one, and no other.
    pub(crate) made: Result<Made>,
}

/// What there is of a restore.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Made {
    /// It is over; nobody looked.
    Over,
    /// That cache bears the name.
    Cache(Box<Option<Cache>>),
    /// Whether the directory is whole.
    Directory(bool),
}

const KINDS: [CacheKind; 3] = [CacheKind::ReplicationGroup, CacheKind::Cluster, CacheKind::Serverless];

impl<E: ElastiCache, S: Store, D: Documents, L: Ledger, K> RedisRestores<E, S, D, L, K> {
    /// The Region of that name.
    pub(crate) fn region(&self, name: &str) -> Result<&RedisRegion<E, S>> {
        [&self.home, &self.recovery].into_iter().find(|region| region.caches.region() == name).ok_or_else(
            || {
                let (home, recovery) = (self.home.caches.region(), self.recovery.caches.region());
                Error::misconfigured(
                    "RegionUnknown",
                    format!("\"region\" is {name:?}: this deployment restores in {home} or in {recovery}; nothing was done"),
                )
            },
        )
    }

    pub(crate) async fn observe_request(
        &self,
        request: RestoreRequest<Wish>,
        now: Timestamp,
    ) -> Result<Asked> {
        let home = self.home.caches.region().to_owned();
        let name = request.region.clone().unwrap_or_else(|| home.clone());
        let region = self.region(&name)?;
        let (document, directory) = (document(&name, &request.name), directory_prefix(&request.name));
        let (found, order, bearer, staged) = try_join!(
            points::find(&region.vault, &request.resource, &request.to, now),
            orders::read::<Work>(&self.documents, &document),
            bearer(&region.caches, &request.name),
            region.exports.list(&directory),
        )?;
        let order_end = match order.as_ref().map(|ordered| &ordered.order.restore) {
            Some(restore) => restore.end(&self.ledger.keys(&BTreeSet::from([restore.day()])).await?),
            None => None,
        };
        let snapshot = match &found {
            Found::Point(point) if name == home && request.wish.from != Some(From::Vault) => {
                self.snapshot(point).await?
            }
            _ => None,
        };
        let secret = match &found {
            Found::Point(point) if request.wish.secret.is_none() => self.secret(point, name == home).await?,
            _ => None,
        };
        let (vault, exports) = (region.vault.bucket().to_owned(), region.exports.bucket().to_owned());
        Ok(Asked {
            request,
            region: name,
            home,
            vault,
            exports,
            found,
            snapshot,
            secret,
            order,
            order_end,
            bearer,
            staged,
        })
    }

    /// The snapshot that the recovery point was exported from, if `ElastiCache` still has it.
    async fn snapshot(&self, point: &Point) -> Result<Option<Snapshot>> {
        // What an append-only directory is from is no cache.
        let Ok(source) = Source::from_map(&point.manifest.source) else { return Ok(None) };
        self.home.caches.snapshot(source.kind, point.manifest.id.as_str()).await
    }

    /// The secret in the tag of the cache that the recovery point is of, where its clients need one.
    async fn secret(&self, point: &Point, must_answer: bool) -> Result<Option<String>> {
        let Ok(source) = Source::from_map(&point.manifest.source) else { return Ok(None) };
        if !source.settings.needs_credentials() {
            return Ok(None);
        }
        match self.home.caches.cache(source.kind, &source.name).await {
            Ok(cache) => Ok(cache.and_then(|cache| cache.tags.get(tag::SECRET).cloned())),
            Err(error) if must_answer => Err(error),
            // When the home Region does not answer, that is likely why someone restores in the other one.
            Err(error) => {
                tracing::warn!(
                    error.code = error.code(),
                    "the source's tags are unknown: {}",
                    error.report()
                );
                Ok(None)
            }
        }
    }

    pub(crate) async fn observe_restores(&self, now: Timestamp) -> Result<Restores> {
        let (mut orders, unreadable) = orders::all::<Work>(&self.documents, DOCUMENTS).await?;
        orders.retain(|ordered| !ordered.order.refused && ordered.order.restore.is_remembered(now));
        let days = orders.iter().map(|ordered| ordered.order.restore.day()).collect();
        let recorded = self.ledger.keys(&days).await?;
        let looks = orders.into_iter().map(async |ordered| {
            let over = ordered.order.restore.end(&recorded).is_some();
            let made = if over { Ok(Made::Over) } else { self.look(&ordered).await };
            Seen { ordered, made }
        });
        let all = join_all(looks).await;
        Ok(Restores { all, recorded, unreadable })
    }

    async fn look(&self, ordered: &Ordered<Work>) -> Result<Made> {
        let order = &ordered.order;
        let region = self.region(&order.restore.region)?;
        match &order.work.make {
            Make::Cache(new) => {
                region.caches.cache(new.kind, &order.name).await.map(Box::new).map(Made::Cache)
            }
            Make::Directory(directory) => {
                let key = format!("{}{}", directory_prefix(&order.name), directory.manifest_name()?);
                Ok(Made::Directory(region.exports.head(&key).await?.is_some()))
            }
        }
    }
}

/// Whatever sort of cache bears that name: their clients would be confused by two.
async fn bearer(caches: &impl ElastiCache, name: &str) -> Result<Option<Cache>> {
    let [group, cluster, serverless] = KINDS.map(|kind| caches.cache(kind, name));
    let (group, cluster, serverless) = try_join!(group, cluster, serverless)?;
    Ok(group.or(cluster).or(serverless))
}

/// Where orders are.
const DOCUMENTS: &str = "restores/redis/";

/// The document of the restore that makes `name` in that Region.
pub(crate) fn document(region: &str, name: &str) -> String {
    format!("{DOCUMENTS}{region}/{name}.json")
}

/// What the keys of the files of a directory begin with.
pub(crate) fn directory_prefix(name: &str) -> String {
    format!("{}appendonlydir/", staged_prefix(name))
}
