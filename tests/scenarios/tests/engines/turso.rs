//! Turso: copies by pages and by cursor, branches, and the other Region's vault.

use anyhow::Result;
use http::Method;
use jiff::Timestamp;
use local_cloud::{CallFilter, Effect, Fault};
use local_turso::Trouble;
use scenarios::{Libsql, LibsqlContents, platform, poll};
use serde_json::json;

use crate::{back_up, common::cloud, estate, restore};

const ROWS: usize = 500;

/// A database with rows in it, and what it holds.
async fn filled(name: &str) -> Result<(Libsql, LibsqlContents)> {
    let database = Libsql::create(cloud(), name).await?;
    database.fill(ROWS).await?;
    let contents = database.contents().await?;
    Ok((database, contents))
}

#[tokio::test]
async fn a_server_without_page_export_is_copied_by_its_cursor() -> Result<()> {
    let estate = estate().await?;
    let (_, before) = filled("by-cursor").await?;
    cloud().turso().trouble("by-cursor", Trouble::NoPageExport)?;
    let point = back_up(&estate, "backup-turso", "turso/by-cursor").await?;
    assert_eq!(point["method"], "cursor", "{point}");
    let request =
        json!({"resource": "turso/by-cursor", "to": point["subject"], "as": "by-cursor-2", "from": "vault"});
    restore(&estate, &request).await?;
    assert_eq!(Libsql::open(cloud(), "by-cursor-2").await?.contents().await?, before);
    Ok(())
}

#[tokio::test]
async fn a_second_inside_the_window_is_a_branch() -> Result<()> {
    let estate = estate().await?;
    let (database, before) = filled("branched").await?;
    cloud().turso().archive_now("branched").await?;
    let between = Timestamp::now();
    poll("the clock moving on", async || {
        Ok((Timestamp::now().as_second() > between.as_second() + 1).then_some(()))
    })
    .await?;
    database.run(&["DROP TABLE orders".to_owned()]).await?;
    cloud().turso().archive_now("branched").await?;
    let request = json!({"resource": "turso/branched", "to": between, "as": "branched-2"});
    let answer = restore(&estate, &request).await?;
    assert_eq!(answer["made"], "branch", "{answer}");
    assert_eq!(Libsql::open(cloud(), "branched-2").await?.contents().await?, before);
    assert_ne!(database.contents().await?, before, "the source is as it was");
    Ok(())
}

#[tokio::test]
async fn no_branch_is_asked_for_from_before_there_was_a_database() -> Result<()> {
    let estate = estate().await?;
    filled("younger").await?;
    back_up(&estate, "backup-turso", "turso/younger").await?;
    let found = estate.findings("backup-turso").await?;
    assert!(found.iter().all(|finding| finding["resource"] != "turso/younger"), "{found:#?}");
    Ok(())
}

#[tokio::test]
async fn the_newest_slot_has_a_branch_and_the_one_before_no_more() -> Result<()> {
    let estate = estate().await?;
    platform(cloud(), Method::POST, "groups", Some(json!({"name": "minutes", "location": "aws-us-east-1"})))
        .await?;
    let database = Libsql::create_in(cloud(), "minutes", "by-minute").await?;
    database.fill(ROWS).await?;
    let before = database.contents().await?;
    let branches = async || -> Result<Vec<String>> {
        let all = platform(cloud(), Method::GET, "databases", None).await?;
        let names = all["databases"].as_array().into_iter().flatten().filter_map(|one| one["Name"].as_str());
        Ok(names.filter(|name| name.starts_with("tidemark-by-minute-")).map(str::to_owned).collect())
    };
    let ticked = async || {
        estate.cloud.fire_schedule("backup-turso-tick").await?;
        branches().await
    };
    let first = poll("a branch", async || Ok(ticked().await?.pop())).await?;
    // It is read like any other, and nobody writes to it who has not opened it.
    let branch = Libsql::open(cloud(), &first).await?;
    assert_eq!(branch.contents().await?, before);
    let refused = branch.run(&["DROP TABLE orders".to_owned()]).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("block")), "it can be written to");
    let then = poll("the next slot's branch alone", async || {
        let there = ticked().await?;
        Ok(matches!(there.as_slice(), [next] if *next > first).then_some(there))
    });
    then.await?;
    assert_eq!(database.contents().await?, before, "the database itself stays");
    Ok(())
}

#[tokio::test]
async fn a_vault_that_does_not_answer_is_replaced_by_its_copy() -> Result<()> {
    let estate = estate().await?;
    let (_, before) = filled("twice").await?;
    back_up(&estate, "backup-turso", "turso/twice").await?;
    // What is below this database's prefix in the vault at home is not to be had, for whoever restores.
    let filter = CallFilter::all().service("s3").region(estate.home()).function("restore-database");
    let away =
        Effect::Error { code: "ServiceUnavailable".to_owned(), status: 503, message: "gone".to_owned() };
    cloud().inject(Fault::new(away, filter.resource("*/turso/*/twice/*")).times(u32::MAX));
    let request = json!({"resource": "turso/twice", "to": "latest", "as": "twice-2", "from": "vault"});
    let restored = restore(&estate, &request).await;
    cloud().clear_faults();
    let answer = restored?;
    assert!(answer["notes"].to_string().contains(estate.recovery()), "{answer:#}");
    assert_eq!(Libsql::open(cloud(), "twice-2").await?.contents().await?, before);
    Ok(())
}
