//! A cache made from a snapshot, or from RDB files that are staged where ElastiCache reads them.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use reconcile::{Documents, Error, Result};
use redis::elasticache::{Cache, CacheKind, ElastiCache, Restore, RestoreFrom, ensure};
use secrets::Secrets;
use vault::{Encryption, Source, Store};

use super::{
    act::Progress,
    observe::{RedisRegion, RedisRestores},
    work::{Make, NewCache, Origin, Staged, Work},
};
use crate::orders::Ordered;

/// How many objects S3 copies at once.
const COPIES: usize = 4;

/// Stages what is missing, asks for the cache, or looks whether it is there.
pub(crate) async fn step<E: ElastiCache, S: Store, D: Documents, L, K: Secrets>(
    function: &RedisRestores<E, S, D, L, K>,
    region: &RedisRegion<E, S>,
    ordered: &mut Ordered<Work>,
    at_once_bytes: u64,
    now: Timestamp,
) -> Result<Progress> {
    let Make::Cache(new) = &ordered.order.work.make else {
        return Err(Error::permanent("RestoreUnreadable", "the order is for no cache"));
    };
    let name = ordered.order.name.clone();
    if let Some(cache) = region.caches.cache(new.kind, &name).await? {
        if !new.bears(&cache.tags) {
            return Err(Error::permanent(
                "NameTaken",
                format!("another {} bears the name {name} now; it is left as it is", cache.kind),
            ));
        }
        if is_in_service(&cache) {
            return Ok(Progress::Over(vec![
                ("cache", name.into()),
                ("cache_kind", new.kind.as_str().into()),
                ("arn", cache.arn.into()),
                ("first_query_note", NOT_ASKED.into()),
            ]));
        }
        return Ok(Progress::Underway(cache.status));
    }
    if new.accepted_at.is_some() {
        return Ok(Progress::Underway("not to be seen yet".to_owned()));
    }
    if let Origin::Objects(objects) = &new.from {
        let bytes: u64 = objects.iter().map(|object| object.bytes).sum();
        if bytes > at_once_bytes {
            return Ok(Progress::Underway(format!("{bytes} bytes are to be staged")));
        }
        stage(region, objects).await?;
    }
    let made = create(function, region, &name, new).await?;
    if let Make::Cache(new) = &mut ordered.order.work.make {
        new.accepted_at = Some(now);
    }
    ordered.save(&function.documents).await?;
    Ok(Progress::Underway(made.status))
}

const NOT_ASKED: &str =
    "the cache is reached from within its VPC alone, and with its own credentials; ask it PING from there";

fn is_in_service(cache: &Cache) -> bool {
    matches!(cache.status.as_str(), "available" | "modifying" | "snapshotting")
}

/// Has S3 copy what is not staged yet. Names hold the recovery point's, so what is there is the same bytes.
async fn stage<E, S: Store>(region: &RedisRegion<E, S>, objects: &[Staged]) -> Result<()> {
    let copies = objects.iter().map(async |object| {
        match region.exports.head(&object.to).await? {
            Some(there) if there.bytes == object.bytes => return Ok(()),
            Some(there) => {
                return Err(Error::permanent(
                    "StagedOtherwise",
                    format!(
                        "s3://{}/{} has {} bytes and should have {}; it is left as it is, restore under another name",
                        region.exports.bucket(),
                        object.to,
                        there.bytes,
                        object.bytes
                    ),
                ));
            }
            None => {}
        }
        let source = Source {
            bucket: region.vault.bucket().to_owned(),
            key: object.from.clone(),
            bytes: object.bytes,
            etag: object.etag.clone(),
        };
        region.exports.copy(&source, &object.to, Encryption::S3).await.map(drop)
    });
    stream::iter(copies).buffer_unordered(COPIES).try_collect().await
}

/// Asks for the cache, or finds it asked for.
async fn create<E: ElastiCache, S, D, L, K: Secrets>(
    function: &RedisRestores<E, S, D, L, K>,
    region: &RedisRegion<E, S>,
    name: &str,
    new: &NewCache,
) -> Result<Cache> {
    // Users have passwords of their own, which stay with their group.
    let auth_token = match &new.secret {
        Some(secret) if new.settings.auth_token => Some(function.secrets.credentials(secret).await?.password),
        _ => None,
    };
    let from = match &new.from {
        Origin::Snapshot { name, arn } if new.kind == CacheKind::Serverless => {
            RestoreFrom::ServerlessSnapshot { name: name.clone(), arn: arn.clone() }
        }
        Origin::Snapshot { name, .. } => RestoreFrom::Snapshot(name.clone()),
        Origin::Objects(objects) => {
            RestoreFrom::Objects(objects.iter().map(|object| object.arn.clone()).collect())
        }
    };
    let (kind, settings, tags) = (new.kind, new.settings.clone(), new.tags.clone());
    ensure::restore(
        &region.caches,
        &Restore { kind, name: name.to_owned(), from, settings, auth_token, tags },
    )
    .await
}
