//! What can happen to a DB instance.

use anyhow::{Context, Result, ensure};
use aws_sdk_rds::types::DbInstance;
use jiff::{SignedDuration, Timestamp, Unit};
use scenarios::{Database, Estate, poll};
use serde_json::json;

use crate::{
    ACCOUNT, backed_up, estate,
    page::Page,
    shell::{follow, shell},
};

pub(crate) const ROWS: i64 = 1_000;

/// The table that the pages speak of.
pub(crate) async fn fill(database: &Database) -> Result<()> {
    database
        .run(&format!(
            "CREATE TABLE orders (id serial PRIMARY KEY, note text NOT NULL); CREATE INDEX ON orders (note);
             INSERT INTO orders (note) SELECT 'order ' || i FROM generate_series(1, {ROWS}) AS i"
        ))
        .await
}

pub(crate) async fn rows(estate: &Estate<'_>, region: &str, instance: &str) -> Result<i64> {
    estate.connect(region, instance).await?.number("SELECT count(*) FROM orders").await
}

async fn instance(estate: &Estate<'_>, name: &str) -> Result<DbInstance> {
    let found = estate.rds(estate.home()).describe_db_instances().db_instance_identifier(name).send().await?;
    found.db_instances.unwrap_or_default().pop().context("no such instance")
}

fn plan(instance: &DbInstance) -> Option<&str> {
    let tag = instance.tag_list().iter().find(|tag| tag.key() == Some("tidemark:plan"));
    tag.and_then(|tag| tag.value())
}

async fn is_gone(estate: &Estate<'_>, name: &str) -> Result<Option<()>> {
    let all = estate.rds(estate.home()).describe_db_instances().send().await?;
    let mut names = all.db_instances().iter().filter_map(|found| found.db_instance_identifier());
    Ok(names.all(|found| found != name).then_some(()))
}

/// A whole second after all that was committed so far, and before all that comes.
async fn a_second(database: &Database) -> Result<Timestamp> {
    let second = database.clock().await?.round(Unit::Second)? + SignedDuration::from_secs(1);
    poll("the next second", async || Ok((database.clock().await? > second).then_some(()))).await?;
    Ok(second)
}

pub(crate) async fn table_dropped(page: &str) -> Result<()> {
    let estate = estate().await?;
    estate.create_instance("dropped").await?;
    let database = estate.connect(estate.home(), "dropped").await?;
    fill(&database).await?;
    let whole = database.digest("orders", None).await?;
    let last_good = a_second(&database).await?.to_string();
    database.run("DROP TABLE orders; CREATE TABLE written_since AS SELECT 1 AS one").await?;

    let values = [
        ("STAGE", "dev"),
        ("AWS_REGION", estate.home()),
        ("DATABASE", "dropped"),
        ("TABLE", "public.orders"),
        ("LAST_GOOD", &last_good),
        ("RESTORED", "dropped-restored"),
        ("PGDATABASE", "shop"),
        ("SECRET", "tidemark/dropped"),
    ];
    let printed = follow(page, &values).await?;
    ensure!(printed.contains(&format!("dropped-restored|{ROWS}\ndropped|{ROWS}\n")), "{printed}");
    assert_eq!(database.digest("orders", None).await?, whole);
    assert_eq!(database.number("SELECT count(*) FROM written_since").await?, 1);
    database.run("INSERT INTO orders (note) VALUES ('the next one')").await?;
    poll("the restored instance gone", async || is_gone(&estate, "dropped-restored").await).await
}

/// What the README's first screen says to whoever reads no further.
#[tokio::test]
async fn the_readme_s_command_restores() -> Result<()> {
    let _turn = ACCOUNT.read().await;
    let estate = estate().await?;
    estate.create_instance("readme").await?;
    let database = estate.connect(estate.home(), "readme").await?;
    fill(&database).await?;
    let second = a_second(&database).await?;
    estate.wait_restorable("readme", second).await?;
    let command = Page::read("../../README")?.first_under("## I need to restore NOW")?;
    let yours = [
        ("tidemark-prod-", "tidemark-dev-".to_owned()),
        ("2026-11-22T02:59:59Z", second.to_string()),
        ("orders", "readme".to_owned()),
    ];
    let command = yours.iter().fold(command, |command, (there, here)| {
        assert!(command.contains(there), "{there} is not in: {command}");
        command.replace(there, here)
    });
    let printed = shell(&command).await?;
    ensure!(printed.contains("restore-readme-restored-"), "{printed}");
    estate.wait_available(estate.home(), "readme-restored").await?;
    assert_eq!(rows(&estate, estate.home(), "readme-restored").await?, ROWS);
    // A refusal is nothing that the shell notices.
    let refused = shell(&command.replace("readme-restored", "readme")).await?;
    ensure!(refused.contains("FunctionError") && refused.contains("nothing was done"), "{refused}");
    Ok(())
}

pub(crate) async fn instance_gone(page: &str) -> Result<()> {
    let estate = estate().await?;
    estate.create_instance("gone").await?;
    fill(&estate.connect(estate.home(), "gone").await?).await?;
    estate.protect("gone").await?;
    let point = backed_up(&estate, "backup-rds", "rds/gone").await?;
    let delete = estate.rds(estate.home()).delete_db_instance().db_instance_identifier("gone");
    delete.skip_final_snapshot(true).delete_automated_backups(true).send().await?;
    poll("the instance gone", async || is_gone(&estate, "gone").await).await?;

    let values = [
        ("STAGE", "dev"),
        ("AWS_REGION", estate.home()),
        ("DATABASE", "gone"),
        ("RESTORED", "gone-restored"),
        ("CLASS", "db.t4g.medium"),
        ("SUBNET_GROUP", "default"),
        ("SECURITY_GROUP", "sg-0123456789abcdef0"),
        ("PGDATABASE", "shop"),
        ("TABLE", "public.orders"),
        ("SECRET", "tidemark/gone"),
        ("TO", &point),
    ];
    let printed = follow(page, &values).await?;
    ensure!(printed.contains(&point), "{printed}");
    assert_eq!(rows(&estate, estate.home(), "gone").await?, ROWS);
    let found = instance(&estate, "gone").await?;
    assert_eq!((plan(&found), found.deletion_protection()), (Some("default"), Some(true)));
    poll("a snapshot of the new one", async || {
        let all =
            estate.rds(estate.home()).describe_db_snapshots().db_instance_identifier("gone").send().await?;
        let of_it = |id: Option<&str>| id.is_some_and(|id| id.starts_with("tidemark-gone-") && id != point);
        Ok(all.db_snapshots().iter().any(|one| of_it(one.db_snapshot_identifier())).then_some(()))
    })
    .await
}

pub(crate) async fn roll_back_a_restore(page: &str) -> Result<()> {
    let estate = estate().await?;
    estate.create_instance("switched").await?;
    estate.protect("switched").await?;
    fill(&estate.connect(estate.home(), "switched").await?).await?;
    let original = instance(&estate, "switched").await?.dbi_resource_id;
    estate.cloud.rds().archive_now(estate.home(), "switched").await?;
    let request = json!({"resource": "switched", "to": "latest", "as": "switched-new"});
    let answer = estate.ask_restore(&request).await?;
    estate.follow_restore(answer["restore_id"].as_str().context("no id")?).await?;
    // Somebody switched, and applications write into the restored one.
    for (from, to) in [("switched", "switched-before"), ("switched-new", "switched")] {
        rename(&estate, from, to).await?;
    }
    let wrong = estate.connect(estate.home(), "switched").await?;
    wrong
        .run("DELETE FROM orders WHERE id > 10; INSERT INTO orders (note) VALUES ('since the switch')")
        .await?;

    let values = [
        ("STAGE", "dev"),
        ("AWS_REGION", estate.home()),
        ("DATABASE", "switched"),
        ("ORIGINAL", "switched-before"),
        ("ASIDE", "switched-aside"),
        ("PGDATABASE", "shop"),
        ("TABLE", "public.orders"),
        ("SECRET", "tidemark/switched"),
    ];
    let printed = follow(page, &values).await?;
    ensure!(printed.contains(&format!("switched|11\nswitched-before|{ROWS}\n")), "{printed}");
    let (found, aside) = (instance(&estate, "switched").await?, instance(&estate, "switched-aside").await?);
    assert_eq!(found.dbi_resource_id, original);
    assert_eq!((plan(&found), plan(&aside)), (Some("default"), None));
    assert_eq!(rows(&estate, estate.home(), "switched").await?, ROWS);
    assert_eq!(rows(&estate, estate.home(), "switched-aside").await?, 11, "what was written meanwhile stays");
    Ok(())
}

async fn rename(estate: &Estate<'_>, from: &str, to: &str) -> Result<()> {
    let rds = estate.rds(estate.home());
    let rds = &rds;
    poll(&format!("{from} renamed {to}"), async || {
        let rename = rds.modify_db_instance().db_instance_identifier(from).new_db_instance_identifier(to);
        // Refused as long as a snapshot of it is made.
        Ok(rename.apply_immediately(true).send().await.ok().map(drop))
    })
    .await?;
    poll(&format!("no more {from}"), async || is_gone(estate, from).await).await?;
    estate.wait_available(estate.home(), to).await.map(drop)
}
