//! Drills of a recovery set and of an archive: what no engine's own drill shows.

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use scenarios::{Estate, Libsql, poll, show};
use serde_json::{Value, json};

use crate::{back_up, caches::TURNS, common::cloud, directories::written, estate, tick_until};

/// The set, and what must hold across it, for the plan document of these tests.
pub(crate) fn depot() -> Value {
    let products = json!({"resource": "turso/depot-catalog", "sql": "SELECT count(*) FROM products"});
    let orders = |sql: &str| json!({"resource": "rds/depot-orders", "database": "shop", "sql": sql});
    json!({
        "resources": ["rds/depot-orders", "redis/depot-sessions", "turso/depot-catalog"],
        "assertions": [
            {"name": "every order's product is in the catalog", "differ_by_at_most": 0,
             "sides": [orders("SELECT count(DISTINCT product) FROM orders"), products]},
            {"name": "as many users as accounts", "differ_by_at_most": 0,
             "sides": [{"resource": "redis/depot-sessions", "command": ["SCARD", "users"]},
                       orders("SELECT count(DISTINCT account) FROM orders")]},
        ],
    })
}

/// What came of the next drill of the set that a person asks for.
async fn drill(estate: &Estate<'_>) -> Result<Value> {
    cloud().invoke("run-drill", &json!({"drill": "set/depot"})).await?.into_payload()?;
    estate.follow_drill("sets/depot").await
}

/// What the ledger says of that drill's verdict on something.
async fn verdicts(drill: &str) -> Result<Vec<Value>> {
    let is_it = |entry: &Value| {
        ["drill-passed", "drill-failed"].contains(&entry["kind"].as_str().unwrap_or_default())
            && (entry["subject"] == drill || entry["set"] == "depot")
    };
    Ok(cloud().ledger().await?.into_iter().filter(is_it).collect())
}

async fn nothing_is_left(estate: &Estate<'_>) -> Result<()> {
    let groups = estate.elasticache(estate.home()).describe_replication_groups().send().await?;
    let caches = groups.replication_groups().iter().filter_map(|group| group.replication_group_id());
    let caches: Vec<&str> = caches.filter(|id| id.starts_with("tidemark-drill-")).collect();
    let databases = scenarios::platform(cloud(), http::Method::GET, "databases", None).await?;
    ensure!(estate.drilled("rds/depot-orders").await?.is_empty(), "an instance is left");
    ensure!(caches.is_empty(), "{caches:?}");
    ensure!(!databases.to_string().contains("tidemark-drill-"), "{databases}");
    Ok(())
}

#[tokio::test]
async fn a_set_of_three_stores_is_drilled_together_and_asked_across() -> Result<()> {
    let (_turn, estate) = (TURNS.lock().await, estate().await?);
    estate.create_instance("depot-orders").await?;
    estate.make_checkable("depot-orders").await?;
    let orders = estate.connect(estate.home(), "depot-orders").await?;
    orders
        .run(
            "CREATE TABLE orders (id int PRIMARY KEY, product text NOT NULL, account text NOT NULL);
             INSERT INTO orders VALUES (1, 'tea', 'ann'), (2, 'tea', 'bob'), (3, 'salt', 'cem')",
        )
        .await?;
    estate.protect("depot-orders").await?;
    let mut sessions = estate.create_cache("depot-sessions").await?;
    sessions.call(&["SADD", "users", "ann", "bob", "cem"]).await?;
    estate.protect_cache("depot-sessions").await?;
    let catalog = Libsql::create(cloud(), "depot-catalog").await?;
    let fill = "INSERT INTO products VALUES ('tea'), ('salt')".to_owned();
    catalog.run(&["CREATE TABLE products (name text PRIMARY KEY)".to_owned(), fill]).await?;
    back_up(&estate, "backup-redis", "redis/depot-sessions").await?;
    back_up(&estate, "backup-turso", "turso/depot-catalog").await?;
    cloud().turso().archive_now("depot-catalog").await?;
    estate.wait_restorable("depot-orders", Timestamp::now()).await?;

    let past = drill(&estate).await?;
    assert_eq!(past["verdict"], json!({"is": "passed"}), "{past:#}");
    let told = verdicts(past["id"].as_str().context("no id")?).await?;
    assert_eq!(told.len(), 4, "of each member, and of the set: {told:#?}");
    let of_set = told.iter().find(|entry| entry["subject"] == past["id"]).context("none of the set")?;
    let longest = told.iter().filter(|entry| entry["subject"] != past["id"]);
    let longest = longest.filter_map(|entry| entry["duration_ms"].as_u64()).max();
    assert_eq!(of_set["duration_ms"].as_u64(), longest, "{of_set:#}");
    show(&format!("a set's drill: {} ms, {}", of_set["duration_ms"], of_set["evidence"]));
    nothing_is_left(&estate).await?;

    // One of the three falls behind the others: each is whole by itself, and together they are not.
    catalog.run(&["DELETE FROM products WHERE name = 'salt'".to_owned()]).await?;
    cloud().turso().archive_now("depot-catalog").await?;
    let since = Timestamp::now();
    poll("the clock moving on", async || {
        Ok((Timestamp::now().as_second() > since.as_second() + 1).then_some(()))
    })
    .await?;
    estate.wait_restorable("depot-orders", Timestamp::now()).await?;
    let past = drill(&estate).await?;
    assert_eq!(past["verdict"]["is"], "failed", "{past:#}");
    let says = past["verdict"]["says"].as_str().unwrap_or_default();
    assert!(says.contains("every order's product is in the catalog"), "{past:#}");
    nothing_is_left(&estate).await
}

#[tokio::test]
async fn an_archive_is_drilled_to_a_second_of_it() -> Result<()> {
    // The budget is three drills at a time: a set of three has no room beside it.
    let (_turn, estate, folder) = (TURNS.lock().await, estate().await?, tempfile::tempdir()?);
    let server = written(&folder.path().join("own")).await?;
    server.archive(cloud(), "drilled", None).await?;
    server.stop().await?;
    tick_until(&estate, "backup-redis", "redis/drilled", "recovery-point-completed").await?;
    for way in ["newest", "instant"] {
        let begun = json!({"drill": "redis/drilled", "way": way});
        cloud().invoke("run-drill", &begun).await?.into_payload()?;
        let past = estate.follow_drill("redis/drilled").await?;
        assert_eq!((&past["verdict"], &past["way"]), (&json!({"is": "passed"}), &json!(way)), "{past:#}");
        show(&format!("an archive's drill, {way}: {} ms", past["phases"]["duration_ms"]));
    }
    // No server runs for it: what is put together is files, which go with the bucket's lifecycle.
    let caches = estate.elasticache(estate.home()).describe_replication_groups().send().await?;
    let made = caches.replication_groups().iter().filter_map(|group| group.replication_group_id());
    ensure!(!made.into_iter().any(|id| id.starts_with("tidemark-drill-drilled")), "{caches:?}");
    Ok(())
}
