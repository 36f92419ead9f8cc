//! What can happen to all databases of an account at once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use local_cloud::{CallFilter, Effect, Fault};
use local_rds::Quotas;
use scenarios::{Estate, poll};

use crate::{
    backed_up,
    common::cloud,
    estate,
    postgres::{ROWS, fill, rows},
    shell::{follow, shell},
};

/// Home has room for no more, and one of the snapshots there is somebody's whom nobody knows any more.
pub(crate) async fn quota_full(page: &str) -> Result<()> {
    let estate = estate().await?;
    let rds = estate.rds(estate.home());
    // What others still need would take the room that is made.
    cloud().ticks("backup-rds", Duration::from_mins(2)).await?;
    estate.create_instance("full").await?;
    let create = rds.create_db_snapshot().db_instance_identifier("full");
    create.db_snapshot_identifier("full-before-migration").send().await?;
    estate.wait_available(estate.home(), "full").await?;
    let there = rds.describe_db_snapshots().snapshot_type("manual").send().await?.db_snapshots().len();
    cloud().rds().set_quotas(Quotas { manual_snapshots: there, ..Quotas::default() });
    estate.protect("full").await?;
    told(&estate, "backup-rds", "SnapshotQuota").await?;

    let values = [
        ("STAGE", "dev"),
        ("AWS_REGION", estate.home()),
        ("RECOVERY", estate.recovery()),
        ("FULL", estate.home()),
        ("SNAPSHOT", "full-before-migration"),
    ];
    let followed = follow(page, &values).await;
    cloud().rds().set_quotas(Quotas::default());
    let printed = followed?;
    ensure!(printed.contains(&format!("{} {there}\t{there}", estate.home())), "{printed}");
    estate.recovery_point("full", estate.home()).await.map(drop)
}

/// The key of the recovery Region's vault will be deleted, and no copy can be made.
pub(crate) async fn kms_key_disabled(page: &str) -> Result<()> {
    let estate = estate().await?;
    let key = format!(
        "aws kms describe-key --region {} --key-id alias/tidemark-dev --query KeyMetadata.Arn --output text",
        estate.recovery()
    );
    let key = shell(&key).await?.trim().to_owned();
    estate.create_instance("keyed").await?;
    shell(&format!(
        "aws kms schedule-key-deletion --region {} --key-id {key} --pending-window-in-days 7",
        estate.recovery()
    ))
    .await?;
    // Not earlier: whatever wakes backup-rds would have it copied.
    estate.protect("keyed").await?;
    told(&estate, "backup-rds", "KMSKeyNotAccessible").await?;

    let values = [
        ("STAGE", "dev"),
        ("AWS_REGION", estate.home()),
        ("RECOVERY", estate.recovery()),
        ("RESOURCE", "rds/keyed"),
        ("KEY", &key),
    ];
    let printed = follow(page, &values).await?;
    ensure!(printed.contains("PendingDeletion") && printed.contains("\nEnabled\n"), "{printed}");
    let posture = estate.findings("check-posture").await?;
    ensure!(posture.iter().all(|finding| finding["kind"] != "key-unusable"), "{posture:#?}");
    estate.recovery_point("keyed", estate.recovery()).await.map(drop)
}

/// Ticks until something with that code stands on the function's board.
async fn told(estate: &Estate<'_>, function: &str, code: &str) -> Result<()> {
    poll(&format!("{code} on the board of {function}"), async || {
        // It may fail: that is the situation.
        _ = cloud().fire_schedule(&format!("{function}-tick")).await?;
        let found = estate.findings(function).await?;
        let says_so = |code_found: &str| code_found.starts_with(code);
        Ok(found.iter().any(|finding| finding["code"].as_str().is_some_and(says_so)).then_some(()))
    })
    .await
}

/// Nothing of the home Region answers any more.
pub(crate) async fn region_gone(page: &str) -> Result<()> {
    let estate = estate().await?;
    estate.create_instance("away").await?;
    fill(&estate.connect(estate.home(), "away").await?).await?;
    estate.protect("away").await?;
    let mut cache = estate.create_cache("away").await?;
    cache.fill(100).await?;
    let whole = cache.contents().await?;
    estate.protect_cache("away").await?;
    backed_up(&estate, "backup-rds", "rds/away").await?;
    backed_up(&estate, "backup-redis", "redis/away").await?;
    let lost = Effect::Error {
        code: "ServiceUnavailable".to_owned(),
        status: 503,
        message: "the Region is gone".to_owned(),
    };
    cloud().inject(Fault::new(lost, CallFilter::all().region(estate.home())).times(u32::MAX));
    let asked = estate.rds(estate.home()).describe_db_instances().send().await;
    asked.err().context("the home Region answers")?;

    let values = [
        ("STAGE", "dev"),
        ("AWS_REGION", estate.recovery()),
        ("DATABASE", "away"),
        ("CLASS", "db.t4g.medium"),
        ("SUBNET_GROUP", "default"),
        ("SECURITY_GROUP", "sg-0123456789abcdef0"),
        ("PGDATABASE", "shop"),
        ("TABLE", "public.orders"),
        ("CACHE", "away"),
        ("NODE_TYPE", "cache.t4g.small"),
        ("CACHE_SUBNET_GROUP", "default"),
        ("CACHE_TLS", ""),
    ];
    let followed = follow(page, &values).await;
    cloud().clear_faults();
    let printed = followed?;
    ensure!(printed.contains(&format!(" {ROWS}\n")), "{printed}");
    let mut restored = estate.connect_cache(estate.recovery(), "away").await?;
    assert_eq!(restored.contents().await?, whole);
    let refused = rows(&estate, estate.recovery(), "away").await;
    refused.err().context("the old password still opens it")?;
    Ok(())
}
