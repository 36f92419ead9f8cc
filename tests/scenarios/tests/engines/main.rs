//! What must never break with ElastiCache, with servers of one's own, and with Turso, end to end: the deployed functions,
//! real Valkey and real sqld. The tests share one cloud and one plan document; each has names of its own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

#[path = "../common/mod.rs"]
mod common;

mod caches;
mod clients;
mod directories;
mod drilled;
mod left_over;
mod refused;
mod set;
mod turso;

use anyhow::{Context, Result};
use common::cloud;
use local_cloud::ARCHIVE_BUCKET;
use scenarios::{Estate, poll};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// An estate with [`plans`].
async fn estate() -> Result<Estate<'static>> {
    static PLANNED: OnceCell<()> = OnceCell::const_new();
    let estate = Estate::new(cloud());
    PLANNED.get_or_try_init(async || estate.set_plans(&plans()).await).await?;
    Ok(estate)
}

/// The default plan names every Turso database in the group `default`, and the archives of these tests; another one has a slot
/// each minute for those of the group `minutes`.
fn plans() -> Value {
    let archive = |name: &str| format!("s3://{ARCHIVE_BUCKET}/{name}/appendonlydir/");
    let plan = json!({
        "redis": {"append_only": {"cut": archive("cut"), "torn": archive("torn"), "drilled": archive("drilled")}},
        "turso": {"databases": ["default/*"], "branches": 1},
    });
    let each_minute = json!({
        "schedule": {"turso": "* * * * *"}, "turso": {"databases": ["minutes/*"], "branches": 1}
    });
    let shop = json!({"resources": ["rds/shop-orders", "redis/shop-sessions", "turso/shop-catalog"]});
    json!({"plans": {"default": plan, "each-minute": each_minute}, "recovery_sets": {"depot": drilled::depot(), "shop": shop}})
}

/// Fires the schedule of `function`, and ticks until the ledger has a recovery point of `resource` in both Regions; the entry
/// about it at home. Other tests' resources may be unfinished all the while.
async fn back_up(estate: &Estate<'_>, function: &str, resource: &str) -> Result<Value> {
    estate.cloud.fire_schedule(&format!("{function}-slot")).await?;
    for kind in ["recovery-point-completed", "copy-completed"] {
        tick_until(estate, function, resource, kind).await?;
    }
    estate.recovery_point_of(resource, estate.home()).await
}

/// Ticks until the ledger has an entry of that kind about `resource`.
async fn tick_until(estate: &Estate<'_>, function: &str, resource: &str, kind: &str) -> Result<()> {
    poll(&format!("{kind} of {resource}"), async || {
        estate.cloud.fire_schedule(&format!("{function}-tick")).await?;
        Ok(kinds_of(resource).await?.iter().any(|found| found == kind).then_some(()))
    })
    .await
}

/// Asks for a restore and follows it to its end; the answer to who asked.
async fn restore(estate: &Estate<'_>, request: &Value) -> Result<Value> {
    let answer = estate.ask_restore(request).await?;
    let id = answer["restore_id"].as_str().context("an answer without restore_id")?;
    estate.follow_restore(id).await?;
    Ok(answer)
}

/// The code and the words with which a restore is refused.
async fn refusal(request: &Value) -> Result<(String, String)> {
    let answer = cloud().invoke("restore-database", request).await?;
    let error = answer.error.with_context(|| format!("{request} was not refused: {}", answer.payload))?;
    Ok((error.error_type, error.error_message))
}

/// What the ledger says of a resource, by kind.
async fn kinds_of(resource: &str) -> Result<Vec<String>> {
    let of_it = |entry: &Value| entry["resource"] == resource;
    let entries = cloud().ledger().await?;
    Ok(entries
        .iter()
        .filter(|entry| of_it(entry))
        .filter_map(|entry| Some(entry["kind"].as_str()?.to_owned()))
        .collect())
}
