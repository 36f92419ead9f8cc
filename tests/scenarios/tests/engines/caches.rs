//! Caches of ElastiCache: one shard and several, nodes and serverless, damaged exports, the other Region.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use local_elasticache::Damage;
use rstest::rstest;
use scenarios::{Cache, CacheContents, poll};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{back_up, common::cloud, estate, kinds_of, restore};

/// A damage strikes the next export, whosever it is: these tests take turns.
pub(crate) static TURNS: Mutex<()> = Mutex::const_new(());

const KEYS: usize = 400;

async fn contents(shards: &mut [Cache]) -> Result<Vec<CacheContents>> {
    let mut all = Vec::new();
    for shard in shards {
        all.push(shard.contents().await?);
    }
    all.sort_by(|one, other| one.digest.cmp(&other.digest));
    Ok(all)
}

#[tokio::test]
async fn a_cluster_of_three_shards_comes_back_shard_by_shard() -> Result<()> {
    let (_turn, estate) = (TURNS.lock().await, estate().await?);
    let mut shards = estate.create_cluster("spread", 3).await?;
    Cache::spread(&mut shards, KEYS).await?;
    let before = contents(&mut shards).await?;
    assert!(before.len() == 3 && before.iter().all(|shard| shard.total() > KEYS / 10), "{before:?}");
    estate.protect_cache("spread").await?;
    let point = back_up(&estate, "backup-redis", "redis/spread").await?;
    let vault = cloud().stack().vault_bucket();
    let keys = cloud().object_keys(vault, "redis/").await?;
    let files =
        keys.iter().filter(|key| key.contains("/spread/") && !key.ends_with("/manifest.json")).count();
    assert_eq!(files, 3, "a file for each shard: {keys:#?}");

    let request =
        json!({"resource": "redis/spread", "to": point["subject"], "as": "spread-restored", "from": "vault"});
    restore(&estate, &request).await?;
    let mut restored = estate.connect_cluster(estate.home(), "spread-restored").await?;
    assert_eq!(contents(&mut restored).await?, before);
    Ok(())
}

#[tokio::test]
async fn a_serverless_cache_comes_back() -> Result<()> {
    let (_turn, estate) = (TURNS.lock().await, estate().await?);
    // How many files its export has, nobody tells: all are there when none came for a while.
    cloud().set_environment("backup-redis", "TIDEMARK_QUIET_SECONDS", "1").await?;
    let mut shards = estate.create_serverless("elastic").await?;
    Cache::spread(&mut shards, KEYS).await?;
    let before = contents(&mut shards).await?;
    back_up(&estate, "backup-redis", "redis/elastic").await?;
    let request =
        json!({"resource": "redis/elastic", "to": "latest", "as": "elastic-restored", "from": "vault"});
    let answer = restore(&estate, &request).await?;
    assert_eq!(answer["cache_kind"], "serverless", "{answer}");
    let mut restored = estate.connect_serverless(estate.home(), "elastic-restored").await?;
    assert_eq!(contents(&mut restored).await?, before);
    Ok(())
}

#[tokio::test]
async fn the_other_region_restores_by_itself() -> Result<()> {
    let (_turn, estate) = (TURNS.lock().await, estate().await?);
    let mut cache = estate.create_cache("far").await?;
    cache.fill(KEYS).await?;
    let before = cache.contents().await?;
    estate.protect_cache("far").await?;
    back_up(&estate, "backup-redis", "redis/far").await?;
    let copy = estate.recovery_point_of("redis/far", estate.recovery()).await?;
    let request = json!({
        "resource": "redis/far", "to": copy["subject"], "as": "far-restored", "region": estate.recovery()
    });
    let answer = restore(&estate, &request).await?;
    assert_eq!(answer["region"], estate.recovery(), "{answer}");
    let mut restored = estate.connect_cache(estate.recovery(), "far-restored").await?;
    assert_eq!(restored.contents().await?, before);
    Ok(())
}

#[rstest]
#[case::flipped_bit("flipped", Damage::FlipBit)]
#[case::cut("halved", Damage::Truncate)]
#[case::empty("hollow", Damage::Empty)]
#[tokio::test]
async fn a_damaged_export_is_told_of_and_never_a_recovery_point(
    #[case] name: &str,
    #[case] damage: Damage,
) -> Result<()> {
    let (_turn, estate) = (TURNS.lock().await, estate().await?);
    let mut cache = estate.create_cache(name).await?;
    cache.fill(KEYS).await?;
    let before = cache.contents().await?;
    estate.protect_cache(name).await?;
    cloud().elasticache().damage_next_export(damage);
    let resource = format!("redis/{name}");
    let point = back_up(&estate, "backup-redis", &resource).await?;
    // What was damaged is recorded as failed, and the slot is filled by another attempt.
    let kinds: BTreeSet<String> = kinds_of(&resource).await?.into_iter().collect();
    let expected = ["copy-completed", "recovery-point-completed", "recovery-point-failed"];
    assert_eq!(kinds, expected.map(str::to_owned).into());
    assert!(point["subject"].as_str().context("no subject")?.ends_with("-2"), "{point}");
    let target = format!("{name}-restored");
    let request = json!({"resource": resource, "to": "latest", "as": target, "from": "vault"});
    restore(&estate, &request).await?;
    assert_eq!(estate.connect_cache(estate.home(), &target).await?.contents().await?, before);
    Ok(())
}

#[tokio::test]
async fn data_tiering_is_a_finding_and_not_a_failure_each_time() -> Result<()> {
    let (_turn, estate) = (TURNS.lock().await, estate().await?);
    estate.create_cache("tiered").await?;
    cloud().elasticache().set_data_tiering(estate.home(), "tiered", true)?;
    estate.protect_cache("tiered").await?;
    let of_it = async || -> Result<Vec<Value>> {
        cloud().fire_schedule("backup-redis-tick").await?;
        let found = estate.findings("backup-redis").await?;
        Ok(found.into_iter().filter(|finding| finding["resource"] == "redis/tiered").collect())
    };
    let told = async || Ok(Some(of_it().await?).filter(|found| !found.is_empty()));
    poll("a finding about redis/tiered", told).await?;
    let of_it = of_it().await?;
    assert_eq!(of_it.len(), 1, "{of_it:#?}");
    assert!(of_it[0]["says"].as_str().is_some_and(|says| says.contains("data tiering")), "{of_it:#?}");
    assert!(kinds_of("redis/tiered").await?.len() <= 1, "told once");
    Ok(())
}
