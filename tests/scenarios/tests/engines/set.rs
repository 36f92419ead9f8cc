//! A recovery set: PostgreSQL, Valkey and Turso of one application, back at one instant by one request.

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp, Unit};
use scenarios::{Cache, Database, Estate, Libsql, poll, show};
use serde_json::{Value, json};

use crate::{back_up, caches::TURNS, common::cloud, estate};

/// The three stores of the shop, and a mark in each.
struct Shop {
    orders: Database,
    sessions: Cache,
    catalog: Libsql,
}

impl Shop {
    async fn open(estate: &Estate<'_>, names: [&str; 3]) -> Result<Self> {
        Ok(Self {
            orders: estate.connect(estate.home(), names[0]).await?,
            sessions: estate.connect_cache(estate.home(), names[1]).await?,
            catalog: Libsql::open(cloud(), names[2]).await?,
        })
    }

    async fn mark(&mut self, mark: &str) -> Result<()> {
        self.orders.run(&format!("INSERT INTO marks VALUES ('{mark}')")).await?;
        self.sessions.call(&["SET", mark, "1"]).await?;
        self.catalog.run(&[format!("INSERT INTO marks VALUES ('{mark}')")]).await?;
        Ok(())
    }

    /// In which of the stores a mark is.
    async fn bears(&mut self, mark: &str) -> Result<[bool; 3]> {
        let count = format!("SELECT count(*) FROM marks WHERE mark = '{mark}'");
        let rows = self.catalog.query(&count).await?;
        let exists = self.sessions.call(&["EXISTS", mark]).await?;
        Ok([
            self.orders.number(&count).await? == 1,
            format!("{exists:?}").contains('1'),
            rows[0][0]["value"] == "1",
        ])
    }
}

#[tokio::test]
async fn three_stores_come_back_to_one_instant_by_one_request() -> Result<()> {
    let (_turn, estate) = (TURNS.lock().await, estate().await?);
    estate.create_instance("shop-orders").await?;
    estate.create_cache("shop-sessions").await?;
    Libsql::create(cloud(), "shop-catalog").await?;
    let mut shop = Shop::open(&estate, ["shop-orders", "shop-sessions", "shop-catalog"]).await?;
    let table = "CREATE TABLE marks (mark text PRIMARY KEY)";
    shop.orders.run(table).await?;
    shop.catalog.run(&[table.to_owned()]).await?;

    // The cache has recovery points alone: what is written after the newest is not in it, and the answer says so.
    shop.mark("before").await?;
    estate.protect_cache("shop-sessions").await?;
    let point = back_up(&estate, "backup-redis", "redis/shop-sessions").await?;
    shop.mark("between").await?;
    cloud().turso().archive_now("shop-catalog").await?;
    // Branches and the dates of commands are as fine as seconds.
    let instant = (Timestamp::now() + SignedDuration::from_secs(1)).round(Unit::Second)?;
    poll("the clock moving on", async || {
        Ok((Timestamp::now() > instant + SignedDuration::from_secs(1)).then_some(()))
    })
    .await?;
    shop.mark("after").await?;
    cloud().turso().archive_now("shop-catalog").await?;
    estate.wait_restorable("shop-orders", instant).await?;

    let request = json!({"set": "shop", "to": instant, "as": "shop-2"});
    let answer = estate.ask_restore(&request).await?;
    assert_eq!((&answer["begun"], &answer["set_instant"]), (&json!(3), &json!(instant)), "{answer:#}");
    assert_eq!(answer["members"][1]["recovery_point"], point["subject"], "{answer:#}");
    assert!(
        answer["members"][1]["missing_seconds"].as_i64().is_some_and(|missing| missing >= 1),
        "{answer:#}"
    );
    let again = estate.ask_restore(&request).await?;
    assert_eq!(again["restore_id"], answer["restore_id"]);

    let completed = ended(&estate, answer["restore_id"].as_str().context("no id")?).await?;
    assert_eq!(completed["kind"], "set-restore-completed", "{completed:#}");
    for member in completed["members"].as_array().context("no members")? {
        show(&format!("set: {} in {} ms", member["name"], member["duration_ms"]));
    }
    show(&format!("set: all in {} ms", completed["duration_ms"]));
    let names = ["shop-2-shop-orders", "shop-2-shop-sessions", "shop-2-shop-catalog"];
    let mut restored = Shop::open(&estate, names).await?;
    assert_eq!(restored.bears("before").await?, [true, true, true]);
    assert_eq!(restored.bears("between").await?, [true, false, true], "the cache is of its recovery point");
    assert_eq!(restored.bears("after").await?, [false, false, false]);
    assert_eq!(shop.bears("after").await?, [true, true, true], "the sources are as they were");

    // Of all members, and of nothing else.
    let of_set: Vec<Value> = cloud()
        .ledger()
        .await?
        .into_iter()
        .filter(|entry| entry["set_restore_id"] == answer["restore_id"])
        .collect();
    assert!(
        of_set.len() >= 9 && of_set.iter().all(|entry| entry["set_instant"] == json!(instant)),
        "{of_set:#?}"
    );
    Ok(())
}

#[tokio::test]
async fn of_a_set_that_one_member_cannot_follow_nothing_is_begun() -> Result<()> {
    let estate = estate().await?;
    let request = json!({"set": "shop", "to": "2099-01-01T00:00:00Z", "as": "shop-never"});
    let answer = estate.cloud.invoke("restore-database", &request).await?;
    let error = answer.error.context("it was not refused")?;
    assert_eq!(error.error_type, "SetRefused", "{}", error.error_message);
    for resource in ["rds/shop-orders", "redis/shop-sessions", "turso/shop-catalog"] {
        assert!(error.error_message.contains(resource), "{}", error.error_message);
    }
    Ok(())
}

/// Lets the ticks go on until the set is over; what the ledger says then.
async fn ended(estate: &Estate<'_>, id: &str) -> Result<Value> {
    poll(&format!("{id} over"), async || {
        estate.cloud.fire_schedule("restore-database-tick").await?;
        let entries = estate.cloud.ledger().await?;
        let mut of_it = entries.into_iter().filter(|entry| entry["subject"] == id);
        Ok(of_it.find(|entry| entry["kind"] != "set-restore-requested"))
    })
    .await
}
