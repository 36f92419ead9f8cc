//! Drills on the deployed functions: a real database is restored into staging, read to its end, measured and torn down, and
//! production hears nothing of it.
//!
//! The tests share one cloud, one after the other: each pass of run-drill is about all drills.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

mod common;

use anyhow::{Context, Result, ensure};
use common::{changes, cloud};
use domain::{RecoveryPointId, drill::PREFIX, tag};
use jiff::{SignedDuration, Timestamp};
use local_cloud::{Inbox, STAGING, STAGING_SECURITY_GROUP};
use local_rds::Seed;
use scenarios::{Alert, Database, Estate, alerts, poll, show};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

static ONE_AFTER_THE_OTHER: Mutex<()> = Mutex::const_new(());

/// How many orders a source has.
const ORDERS: i64 = 5_000;

/// The cloud for oneself. All orders of two sources must be there wherever they are restored.
async fn alone() -> Result<(MutexGuard<'static, ()>, Estate<'static>)> {
    let alone = ONE_AFTER_THE_OTHER.lock().await;
    let estate = Estate::new(cloud());
    let assertion = json!([{
        "name": "all orders are there", "database": "shop",
        "sql": "SELECT count(*) FROM orders", "expect": ORDERS
    }]);
    let drill = json!({"assertions": {"rds/whole": assertion, "rds/away": assertion}});
    estate.set_plans(&json!({"plans": {"default": {"drill": drill}}})).await?;
    Ok((alone, estate))
}

/// A protected database with orders in it; one of them says `MARK`.
async fn source(estate: &Estate<'_>, name: &str) -> Result<Database> {
    estate.create_instance_keeping(name, 0).await?;
    let source = estate.connect(estate.home(), name).await?;
    let fill = format!(
        "CREATE TABLE orders (id bigint PRIMARY KEY, note text NOT NULL);
         INSERT INTO orders SELECT n, CASE n WHEN 3000 THEN '{MARK}' ELSE 'order ' || n END
             FROM generate_series(1, {ORDERS}) AS n"
    );
    source.run(&fill).await?;
    estate.make_checkable(name).await?;
    estate.protect(name).await?;
    Ok(source)
}

const MARK: &str = "an order whose page will be torn";

/// What run-drill answers a person.
async fn ask(payload: &Value) -> Result<Value> {
    Ok(cloud().invoke("run-drill", payload).await?.into_payload()?)
}

async fn entries_of(resource: &str, kind: &str) -> Result<Vec<Value>> {
    let of_it = |entry: &Value| entry["resource"] == resource && entry["kind"] == kind;
    Ok(cloud().ledger().await?.into_iter().filter(of_it).collect())
}

/// Has minutes go by until something was told.
async fn until_told(inbox: &Inbox, what: &str, told: impl Fn(&[Alert]) -> bool) -> Result<Vec<Alert>> {
    poll(what, async || {
        cloud().fire_schedule("run-drill-tick").await?;
        cloud().invoke("send-alert", &json!({"wake": "tick"})).await?;
        let messages = alerts(&inbox.messages().await?)?;
        Ok(told(&messages).then_some(messages))
    })
    .await
}

/// Whether one of the messages is that, about that kind.
fn says(messages: &[Alert], event: &str, kind: &str) -> bool {
    messages.iter().any(|message| message.event() == event && message.kinds().contains(&kind))
}

/// Nothing of any drill of it is there, and run-drill has deleted nothing but what it made.
async fn nothing_is_left(estate: &Estate<'_>, resource: &str) -> Result<()> {
    ensure!(estate.drilled(resource).await?.is_empty(), "something is left of {resource}'s drills");
    for region in [estate.home(), estate.recovery()] {
        let backups = estate.rds(region).describe_db_instance_automated_backups().send().await?;
        let left = backups.db_instance_automated_backups().iter();
        let left =
            left.filter(|backup| backup.db_instance_identifier().unwrap_or_default().starts_with(PREFIX));
        ensure!(left.count() == 0, "automated backups of drills are left in {region}");
    }
    let of_others = changes("run-drill", "");
    ensure!(of_others.len() == changes("run-drill", PREFIX).len(), "run-drill did {of_others:?}");
    ensure!(of_others.iter().all(|action| action == "DeleteDBInstance"), "run-drill did {of_others:?}");
    Ok(())
}

#[tokio::test]
async fn a_database_is_restored_into_staging_checked_measured_and_torn_down() -> Result<()> {
    let (_alone, estate) = alone().await?;
    let source = source(&estate, "whole").await?;
    let before = source.contents(&["orders"]).await?;
    estate.begin_window("whole").await?;

    let begun = ask(&json!({"drill": "rds/whole"})).await?;
    assert_eq!(begun["way"], "instant", "{begun}");
    let made = estate.drilled("rds/whole").await?;
    let [(region, instance)] = &made[..] else { panic!("{made:?}") };
    assert_eq!(*region, estate.home());
    assert_eq!(instance.db_instance_identifier(), begun["restored_as"].as_str());
    // Where no client of production's comes.
    let group = instance.db_subnet_group().and_then(|group| group.db_subnet_group_name());
    let security = instance.vpc_security_groups().iter().map(|group| group.vpc_security_group_id());
    assert_eq!(group, Some(STAGING));
    assert_eq!(security.collect::<Vec<_>>(), [Some(STAGING_SECURITY_GROUP)]);
    assert_eq!((instance.publicly_accessible(), instance.multi_az()), (Some(false), Some(false)));
    let again = ask(&json!({"drill": "rds/whole"})).await?;
    let drill = begun["drill"].as_str().context("no drill")?;
    assert!(again.to_string().contains(drill), "asked again, it is the same drill: {again}");

    let past = estate.follow_drill("rds/whole").await?;
    assert_eq!(past["verdict"], json!({"is": "passed"}), "{past}");
    assert_eq!(past["id"], begun["drill"]);
    for phase in ["accepted_ms", "creating_ms", "first_query_ms", "checks_ms", "restore_ms", "duration_ms"] {
        assert!(past["phases"][phase].is_u64(), "{phase}: {past}");
    }
    let verdicts = entries_of("rds/whole", "drill-passed").await?;
    let [verdict] = &verdicts[..] else { panic!("{verdicts:?}") };
    assert_eq!(verdict["subject"], begun["drill"]);
    let databases = verdict["evidence"]["databases"].as_array().context("no databases")?;
    let shop = databases.iter().find(|one| one["database"] == "shop").context("no shop")?;
    assert_eq!(shop["rows"], ORDERS, "{shop}");
    assert_eq!(shop["assertions"][0]["holds"], true, "{shop}");
    assert_eq!(
        (&shop["amcheck"]["amcheck"], &past["unchecked"]),
        (&json!("available"), &Value::Null),
        "{past}"
    );
    assert_eq!(verdict["phases"], past["phases"]);
    assert_eq!(entries_of("rds/whole", "drill-torn-down").await?.len(), 1);
    let metrics = cloud().metrics("run-drill").await?;
    let is_duration = |line: &Value| line["resource"] == "rds/whole" && line["drill_duration_ms"].is_number();
    assert!(metrics.iter().any(is_duration));
    nothing_is_left(&estate, "rds/whole").await?;
    // Production is as it was.
    assert_eq!(source.contents(&["orders"]).await?, before);
    let passes = cloud().measurements("run-drill").await?;
    let peak = passes.iter().filter_map(|one| one.peak_rss_bytes).max().unwrap_or(0) / 1_000_000;
    show(&format!(
        "a drill of {ORDERS} orders: {}; {} passes of run-drill, {} of them gave way to another, {peak} MB at most",
        past["phases"],
        passes.len(),
        passes.iter().filter(|one| one.failed).count()
    ));
    Ok(())
}

#[tokio::test]
async fn a_page_that_is_torn_in_the_backup_fails_its_drill_and_is_told() -> Result<()> {
    let (_alone, estate) = alone().await?;
    source(&estate, "torn").await?;
    estate.back_up().await?;
    let point = estate.recovery_point("torn", estate.home()).await?;
    let point = point["subject"].as_str().context("no subject")?;
    // Nobody sees that: the snapshot is available, as it was.
    cloud().rds().tear_snapshot(estate.home(), point, MARK)?;
    let inbox = estate.subscribe_to("torn").await?;

    ask(&json!({"drill": "rds/torn", "way": "newest"})).await?;
    let past = estate.follow_drill("rds/torn").await?;
    assert_eq!((&past["verdict"]["code"], &past["to"]["point"]), (&json!("TableUnreadable"), &json!(point)));
    let says_it = past["verdict"]["says"].as_str().context("it says nothing")?;
    assert!(says_it.contains("public.orders, block ") && says_it.contains("invalid page"), "{says_it}");
    let verdicts = entries_of("rds/torn", "drill-failed").await?;
    let [verdict] = &verdicts[..] else { panic!("{verdicts:?}") };
    assert_eq!(verdict["outcome"], json!({"failed": "TableUnreadable"}));
    assert_eq!(verdict["first_failure"], says_it);
    nothing_is_left(&estate, "rds/torn").await?;

    let told = until_told(&inbox, "word of it", |told| says(told, "opened", "drill-failed")).await?;
    assert_eq!(told[0].body["severity"], "critical");
    assert!(told[0].body.to_string().contains("invalid page"), "{}", told[0].body);

    // To a second it can be restored, from another backup; the next drill shows it, and that ends.
    estate.begin_window("torn").await?;
    ask(&json!({"drill": "rds/torn", "way": "instant"})).await?;
    let past = estate.follow_drill("rds/torn").await?;
    assert_eq!(past["verdict"], json!({"is": "passed"}), "{past}");
    until_told(&inbox, "the all-clear", |told| told.iter().any(|one| one.event() == "cleared")).await?;
    nothing_is_left(&estate, "rds/torn").await
}

#[tokio::test]
async fn a_copy_is_drilled_where_it_is() -> Result<()> {
    let (_alone, estate) = alone().await?;
    source(&estate, "away").await?;
    estate.back_up().await?;
    let begun = ask(&json!({"drill": "rds/away", "way": "copy"})).await?;
    assert_eq!(begun["region"], estate.recovery(), "{begun}");
    let past = estate.follow_drill("rds/away").await?;
    assert_eq!((&past["verdict"], &past["region"]), (&json!({"is": "passed"}), &json!("recovery")), "{past}");
    let copy = estate.recovery_point("away", estate.recovery()).await?;
    assert_eq!(past["to"]["point"], copy["subject"]);
    assert_eq!(entries_of("rds/away", "drill-passed").await?[0]["region"], estate.recovery());
    nothing_is_left(&estate, "rds/away").await
}

#[tokio::test]
async fn what_leaked_is_reaped_and_told_and_what_only_looks_so_is_told() -> Result<()> {
    let (_alone, estate) = alone().await?;
    let inbox = estate.subscribe_to("leaky").await?;
    let seed = |name: &str| Seed { retention_days: 0, ..Seed::new(name, Timestamp::now()) };
    let mut leaked = seed("tidemark-drill-leaky-0123456789");
    // Of this deployment: another one's drills are its own business.
    let mark = format!("{}/{}", estate.home(), cloud().stack().function("restore-database")?);
    let mark = RecoveryPointId::mark(&mark);
    let expired = Timestamp::now() - SignedDuration::from_hours(2);
    leaked.tags.extend(
        [
            (tag::RESOURCE, "rds/leaky".to_owned()),
            (tag::DRILL, format!("drill-rds-leaky-20261122t100000z-{mark}")),
            (tag::EXPIRES, expired.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    let untagged = "tidemark-drill-of-somebody";
    cloud().rds().seed(estate.recovery(), [leaked, seed(untagged)])?;

    until_told(&inbox, "word of it", |told| says(told, "opened", "drill-leaked")).await?;
    until_told(&inbox, "the all-clear", |told| told.iter().any(|one| one.event() == "cleared")).await?;
    nothing_is_left(&estate, "rds/leaky").await?;
    let found = estate.findings("run-drill").await?;
    let left: Vec<&Value> = found.iter().filter(|one| one["kind"] == "drill-leaked").collect();
    assert_eq!(left.len(), 1, "{found:?}");
    assert_eq!(left[0]["code"], untagged);
    let delete = estate.rds(estate.recovery()).delete_db_instance().db_instance_identifier(untagged);
    delete.skip_final_snapshot(true).send().await?;
    Ok(())
}
