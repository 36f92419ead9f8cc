//! What was really backed up is read again by the deployed function, in both Regions; what somebody damages is found, told and
//! marked, and ends when it is mended. One cloud of its own: keys are taken away here.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

mod common;

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use common::{changes, cloud};
use local_cloud::CallFilter;
use scenarios::{Estate, Libsql, poll};
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// What the ledger says of a resource: `us-east-1 recovery-point-verified`.
async fn recorded(resource: &str) -> Result<Vec<String>> {
    let of_it = |entry: &Value| (entry["resource"] == resource).then(|| entry.clone());
    let line = |entry: Value| {
        let failed = entry["outcome"]["failed"].as_str().map(|code| format!("-{code}")).unwrap_or_default();
        Some(format!("{} {}{failed}", entry["region"].as_str()?, entry["kind"].as_str()?))
    };
    Ok(cloud().ledger().await?.iter().filter_map(of_it).filter_map(line).collect())
}

/// A recovery point in both Regions; its id.
async fn backed_up(estate: &Estate<'_>, function: &str, resource: &str) -> Result<String> {
    estate.cloud.fire_schedule(&format!("{function}-slot")).await?;
    poll(&format!("a copy of {resource}"), async || {
        estate.cloud.fire_schedule(&format!("{function}-tick")).await?;
        Ok(recorded(resource).await?.iter().any(|line| line.ends_with("copy-completed")).then_some(()))
    })
    .await?;
    let point = estate.recovery_point_of(resource, estate.home()).await?;
    Ok(point["subject"].as_str().context("no subject")?.to_owned())
}

async fn verify(payload: &Value) -> Result<Value> {
    Ok(cloud().invoke("verify-backup", payload).await?.into_payload()?)
}

/// What stands on the board about a resource.
async fn found(estate: &Estate<'_>, resource: &str) -> Result<Vec<Value>> {
    let all = estate.findings("verify-backup").await?;
    Ok(all.into_iter().filter(|finding| finding["resource"] == resource).collect())
}

async fn marks(resource: &str) -> Result<Vec<String>> {
    let keys = cloud().object_keys(cloud().stack().vault_bucket(), &format!("marks/{resource}/")).await?;
    Ok(keys.iter().filter_map(|key| Some(key.rsplit_once("Z-")?.1.to_owned())).collect())
}

/// Each looks at all that there is.
static ALONE: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn what_was_backed_up_is_read_again_and_what_is_damaged_is_told_until_it_is_mended() -> Result<()> {
    let _alone = ALONE.lock().await;
    let estate = Estate::new(cloud());
    let plan = json!({"turso": {"databases": ["default/shop"]}});
    estate.set_plans(&json!({"plans": {"default": plan}})).await?;
    Libsql::create(cloud(), "shop").await?.fill(500).await?;
    let mut cache = estate.create_cache("sessions").await?;
    cache.fill(2_000).await?;
    estate.protect_cache("sessions").await?;
    let shop = backed_up(&estate, "backup-turso", "turso/shop").await?;
    backed_up(&estate, "backup-redis", "redis/sessions").await?;

    // What is due, all of it, and each opened.
    let answer = verify(&json!({"wake": "tick"})).await?;
    for resource in ["turso/shop", "redis/sessions"] {
        let recorded = recorded(resource).await?;
        for region in [estate.home(), estate.recovery()] {
            let line = format!("{region} recovery-point-verified");
            assert!(recorded.contains(&line), "{resource}: {recorded:?}, {answer:#}");
        }
        assert!(found(&estate, resource).await?.is_empty());
    }
    let acted = answer["acted"].as_array().context("no acted")?;
    let opened = acted.iter().filter(|acted| acted["opened"] == "newest").count();
    assert_eq!((acted.len(), opened), (4, 2), "{answer:#}");
    let again = verify(&json!({"wake": "tick"})).await?;
    assert_eq!((&again["acted"], &again["unfinished"]), (&json!([]), &json!(0)), "{again:#}");

    // Somebody overwrites the copy with something else of the same size.
    let away = cloud().stack().recovery_vault_bucket();
    let keys = cloud().object_keys(away, "turso/").await?;
    let key = keys.iter().find(|key| key.contains("/database.sqlite")).context("no object")?;
    let whole = cloud().object(away, key).await?;
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    cloud().put_object(away, key, damaged).await?;
    let ask = json!({"verify": shop, "resource": "turso/shop"});
    verify(&ask).await?;
    assert_eq!(marks("turso/shop").await?, ["unverified-away"]);
    let line = format!("{} recovery-point-unverified-ChecksumMismatch", estate.recovery());
    assert!(recorded("turso/shop").await?.contains(&line));
    verify(&json!({"wake": "tick"})).await?;
    let [finding] = found(&estate, "turso/shop").await?.try_into().ok().context("not one finding")?;
    assert_eq!(
        (&finding["kind"], &finding["severity"]),
        (&json!("recovery-point-damaged"), &json!("critical"))
    );
    let says = finding["says"].as_str().context("no says")?;
    let whole_at_home = format!("in {} it was found whole at", estate.home());
    assert!(says.contains(&shop) && says.contains(&whole_at_home), "{says}");
    assert!(found(&estate, "redis/sessions").await?.is_empty());

    cloud().put_object(away, key, whole).await?;
    verify(&ask).await?;
    assert_eq!(marks("turso/shop").await?, ["unverified-away", "verified-away"]);
    verify(&json!({"wake": "tick"})).await?;
    assert!(found(&estate, "turso/shop").await?.is_empty());
    writes_nothing_else();
    Ok(())
}

/// It writes to the ledger, the marks, its board and its memory, and changes nothing else.
fn writes_nothing_else() {
    let calls = cloud().calls(&CallFilter::all().service("s3").function("verify-backup"));
    let written: BTreeSet<String> = calls
        .iter()
        .filter(|call| !["Get", "Head", "List"].iter().any(|read| call.action.starts_with(read)))
        .map(|call| {
            let place = call.resource.as_deref().unwrap_or_default();
            let (bucket, key) = place.split_once('/').unwrap_or((place, ""));
            let kind = if bucket == cloud().stack().vault_bucket() { "vault" } else { bucket };
            let kind = if kind.starts_with("tidemark-state-") { "state" } else { kind };
            format!("{} {kind}/{}", call.action, key.split('/').next().unwrap_or_default())
        })
        .collect();
    let expected = [
        "PutObject state/findings",
        "PutObject state/verify",
        "PutObject vault/ledger",
        "PutObject vault/marks",
    ];
    assert_eq!(written.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_snapshot_whose_key_is_disabled_is_told_as_long_as_it_is() -> Result<()> {
    let _alone = ALONE.lock().await;
    let estate = Estate::new(cloud());
    estate.create_instance("orders").await?;
    estate.protect("orders").await?;
    let id = backed_up(&estate, "backup-rds", "rds/orders").await?;
    verify(&json!({"verify": "all", "resource": "rds/orders"})).await?;
    let recorded = recorded("rds/orders").await?;
    for region in [estate.home(), estate.recovery()] {
        assert!(recorded.contains(&format!("{region} recovery-point-verified")), "{recorded:?}");
    }
    assert!(found(&estate, "rds/orders").await?.is_empty());

    let key = format!("alias/{}", cloud().stack().name);
    cloud().set_key_enabled(estate.recovery(), &key, false).await?;
    verify(&json!({"wake": "tick"})).await?;
    let told = found(&estate, "rds/orders").await?;
    assert_eq!(marks("rds/orders").await?, ["unverified-away"], "retention counts on it no more");
    cloud().set_key_enabled(estate.recovery(), &key, true).await?;
    let [finding] = told.try_into().ok().context("not one finding")?;
    assert_eq!(finding["kind"], "snapshot-key-unusable");
    let says = finding["says"].as_str().context("no says")?;
    assert!(says.contains(&id) && says.contains("is Disabled"), "{says}");
    verify(&json!({"wake": "tick"})).await?;
    assert!(found(&estate, "rds/orders").await?.is_empty());
    assert!(changes("verify-backup", "orders").is_empty());
    assert_eq!(marks("rds/orders").await?, ["unverified-away", "verified-away"]);
    Ok(())
}
