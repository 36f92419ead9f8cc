//! Turso: a table is dropped, and the database is uploaded again from the vault, under a new name.

use anyhow::{Context, Result};
use scenarios::{Estate, Libsql};
use serde_json::json;

use crate::telling::Telling;

/// The database that the plan names.
pub(crate) const DATABASE: &str = "shop";

const ROWS: usize = 50_000;

/// What happened, as measured.
pub(crate) struct Story {
    pub(crate) rows_expected: i64,
    pub(crate) rows_restored: i64,
    pub(crate) digest_matches: bool,
    /// How the copy was made.
    pub(crate) method: String,
    pub(crate) restore_duration_ms: i64,
}

pub(crate) async fn run(estate: &Estate<'_>, telling: &Telling) -> Result<Story> {
    telling.chapter(&format!("A Turso database with {ROWS} rows, which the plan names"));
    let database = Libsql::create(estate.cloud, DATABASE).await?;
    database.fill(ROWS).await?;
    let before = database.contents().await?;
    telling.fact(&format!("{} rows in {} tables", before.total(), before.rows.len()));
    estate.back_up_by("backup-turso").await?;
    let resource = format!("turso/{DATABASE}");
    let completed = estate.recovery_point_of(&resource, estate.home()).await?;
    estate.recovery_point_of(&resource, estate.recovery()).await?;
    let point = completed["subject"].as_str().context("an entry without its subject")?.to_owned();
    let method = completed["method"].as_str().context("an entry without its method")?.to_owned();
    telling.fact(&format!(
        "recovery point {point}: by {method}, opened by SQLite; and its copy in {}",
        estate.recovery()
    ));

    telling.chapter("Disaster: DROP TABLE orders; and restore-database, from the vault");
    database.run(&["DROP TABLE orders".to_owned()]).await?;
    let request = json!({"resource": resource, "to": point, "as": "shop-restored", "from": "vault"});
    let answer = estate.ask_restore(&request).await?;
    let id = answer["restore_id"].as_str().context("an answer without restore_id")?;
    let outcome = estate.follow_restore(id).await?;
    let after = Libsql::open(estate.cloud, "shop-restored").await?.contents().await?;
    telling.fact(&format!("{} rows are back after {} ms", after.total(), outcome.duration_ms));
    Ok(Story {
        rows_expected: before.total(),
        rows_restored: after.total(),
        digest_matches: before == after,
        method,
        restore_duration_ms: outcome.duration_ms,
    })
}
