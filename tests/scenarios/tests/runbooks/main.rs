//! The runbooks, followed to the letter: each page's situation is brought about on the local cloud, all its blocks are copied into
//! one shell, and what it promises is looked for. They share a cloud; each has databases of its own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

#[path = "../common/mod.rs"]
mod common;

mod account;
mod caches;
mod functions;
mod page;
mod pages;
mod postgres;
mod shell;
mod turso;

use std::time::Duration;

use anyhow::Result;
use common::cloud;
use scenarios::{Estate, poll};
use serde_json::json;
use tokio::sync::{OnceCell, RwLock};

/// Of those pages that change what all have in common, one is followed at a time, and nothing else meanwhile.
static ACCOUNT: RwLock<()> = RwLock::const_new(());

/// Each page with the situation that it is about.
macro_rules! followed {
    ($($test:ident, $page:literal, $lock:ident, $situation:path;)*) => {
        /// The pages that are followed.
        const PAGES: &[&str] = &[$($page),*];

        $(#[tokio::test]
        async fn $test() -> Result<()> {
            let _turn = ACCOUNT.$lock().await;
            $situation($page).await
        })*
    };
}

followed! {
    a_dropped_table_is_copied_back, "table-dropped", read, postgres::table_dropped;
    an_instance_that_is_gone_is_back_under_its_name, "instance-gone", read, postgres::instance_gone;
    a_restore_is_rolled_back, "roll-back-a-restore", read, postgres::roll_back_a_restore;
    a_cache_that_was_flushed_is_back, "redis-lost-data", read, caches::redis_lost_data;
    a_turso_database_that_was_deleted_is_back, "turso-database-deleted", read, turso::database_deleted;
    what_was_hidden_is_found_verified_held_and_restored, "compromised-credentials", read, turso::compromised_credentials;
    a_backup_that_failed_is_made, "backup-failed", read, functions::backup_failed;
    a_watcher_that_somebody_stopped_runs_again, "watcher-silent", read, functions::watcher_silent;
    a_full_quota_has_room, "quota-full", write, account::quota_full;
    a_key_about_to_be_deleted_is_enabled, "kms-key-disabled", write, account::kms_key_disabled;
    databases_of_a_lost_region_are_in_the_other, "region-gone", write, account::region_gone;
    the_index_says_how_long_it_took, "README", read, pages::how_long_it_took;
}

/// An estate in which the default plan names all Turso databases.
async fn estate() -> Result<Estate<'static>> {
    static PLANNED: OnceCell<()> = OnceCell::const_new();
    let estate = Estate::new(cloud());
    let plans = json!({"plans": {"default": {"turso": {"databases": ["default/*"]}}}});
    PLANNED.get_or_try_init(async || estate.set_plans(&plans).await).await?;
    Ok(estate)
}

/// The name of the recovery point that the ticks of `function` make of `resource`, once it is in both Regions.
async fn backed_up(estate: &Estate<'_>, function: &str, resource: &str) -> Result<String> {
    for region in [estate.home(), estate.recovery()] {
        poll(&format!("a recovery point of {resource} in {region}"), async || {
            estate.cloud.fire_schedule(&format!("{function}-tick")).await?;
            Ok(estate.recovery_point_of(resource, region).await.ok())
        })
        .await?;
    }
    let point = estate.recovery_point_of(resource, estate.home()).await?;
    Ok(point["subject"].as_str().unwrap_or_default().to_owned())
}

/// Does something while something else happens again and again, as it does by itself in an account.
async fn meanwhile<T>(again: impl AsyncFn(), work: impl Future<Output = Result<T>>) -> Result<T> {
    let forever = async {
        loop {
            again().await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    tokio::select! {
        done = work => done,
        never = forever => never,
    }
}

/// Fires a schedule, as the minute does. A tick that fails is followed by the next.
async fn tick(schedule: &str) {
    _ = cloud().fire_schedule(schedule).await;
}
