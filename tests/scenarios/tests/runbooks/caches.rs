//! What can happen to a cache.

use anyhow::{Result, ensure};
use jiff::{Timestamp, Unit};

use crate::{backed_up, estate, meanwhile, shell::follow, tick};

const KEYS: usize = 400;

pub(crate) async fn redis_lost_data(page: &str) -> Result<()> {
    let estate = estate().await?;
    let mut cache = estate.create_cache("flushed").await?;
    cache.fill(KEYS).await?;
    let whole = cache.contents().await?;
    estate.protect_cache("flushed").await?;
    let point = backed_up(&estate, "backup-redis", "redis/flushed").await?;
    let last_good = Timestamp::now().round(Unit::Second)?.to_string();
    cache.call(&["FLUSHALL"]).await?;

    let values = [
        ("STAGE", "dev"),
        ("AWS_REGION", estate.home()),
        ("CACHE", "flushed"),
        ("LAST_GOOD", &last_good),
        ("RESTORED", "flushed-2"),
        ("CACHE_TLS", ""),
    ];
    let printed = meanwhile(async || tick("restore-database-tick").await, follow(page, &values)).await?;
    ensure!(printed.contains(&format!("{point} ")), "{printed}");
    let mut restored = estate.connect_cache(estate.home(), "flushed-2").await?;
    assert_eq!(restored.contents().await?, whole);
    assert_eq!(cache.contents().await?.total(), 0, "the old one is as it was left");
    backed_up(&estate, "backup-redis", "redis/flushed-2").await.map(drop)
}
