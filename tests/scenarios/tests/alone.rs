//! Scenarios that need an account to themselves: many databases, or a configuration that is wrong for all of them.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result};
use common::{big_account, cloud, protected, slots};
use local_cloud::{Call, CallFilter};
use serde_json::json;
use tokio::sync::Mutex;

/// One at a time: each sets up the whole account.
static ACCOUNT: Mutex<()> = Mutex::const_new(());

fn pages(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut pages = BTreeMap::new();
    for call in calls {
        *pages.entry(format!("{} {}", call.region, call.action)).or_default() += 1;
    }
    pages
}

#[tokio::test]
async fn two_hundred_and_fifty_instances_and_five_hundred_snapshots_are_all_seen() -> Result<()> {
    let _alone = ACCOUNT.lock().await;
    let home = &cloud().stack().home_region;
    cloud().rds().set_quotas(big_account());
    // Two old recovery points each, and none for the current slot: all 250 must be found and backed up.
    let names: BTreeSet<String> = (0..250).map(|number| format!("page-{number:03}")).collect();
    cloud().rds().seed(home, names.iter().map(|name| protected(name, &slots(3)[1..])))?;
    cloud().fire_schedule("backup-rds-slot").await?.into_payload().context("the pass")?;
    let taken =
        cloud().calls(&CallFilter::all().service("rds").action("CreateDBSnapshot").function("backup-rds"));
    let taken: BTreeSet<String> = taken.into_iter().filter_map(|call| call.resource).collect();
    let missed: Vec<&String> =
        names.iter().filter(|name| !taken.iter().any(|resource| resource.contains(*name))).collect();
    assert!(missed.is_empty(), "not seen: {missed:?}");
    Ok(())
}

#[tokio::test]
async fn a_plan_document_with_five_mistakes_names_all_five_and_nothing_is_done() -> Result<()> {
    const GOOD: &str = r#"{"plans": {"default": {}}}"#;
    let _alone = ACCOUNT.lock().await;
    let parameter =
        cloud().stack().outputs.get("PlansParameterName").context("no output PlansParameterName")?;
    let bad = r#"{"plans": {"default": {
        "time_zone": "Mars/Olympus",
        "schedule": {"rds": "0 25 * * *"},
        "keep": {"daily": 0, "montly": 12},
        "objectives": {"rpo_minutes": "fifteen"}
    }}}"#;
    cloud().ssm_put(parameter, bad).await?;
    cloud().forget_calls();
    let error = cloud().fire_schedule("backup-rds-slot").await?.error;
    cloud().ssm_put(parameter, GOOD).await?;
    let error = error.context("it was not refused")?;
    assert_eq!(error.error_type, "PlansInvalid");
    for mistake in ["time_zone", "schedule.rds", "keep.montly", "keep.daily", "objectives.rpo_minutes"] {
        assert!(
            error.error_message.contains(&format!("plans.default.{mistake}:")),
            "{mistake} is not named: {error:?}"
        );
    }
    let changes = cloud().calls(&CallFilter::all().service("rds").function("backup-rds"));
    assert!(changes.iter().all(|call| call.action.starts_with("Describe")), "{changes:?}");
    Ok(())
}

/// A tick costs pages: 500 protected instances with 30 recovery points each, and as many copies.
#[tokio::test]
async fn a_settled_tick_over_fifteen_thousand_recovery_points_costs_pages() -> Result<()> {
    let _alone = ACCOUNT.lock().await;
    let (home, recovery) = (&cloud().stack().home_region, &cloud().stack().recovery_region);
    cloud().rds().set_quotas(big_account());
    let before = settled_tick().await?;
    let seeds = || (0..500).map(|number| protected(&format!("cost-{number:03}"), &slots(30)));
    cloud().rds().seed(home, seeds())?;
    cloud().rds().seed(recovery, seeds())?;
    let after = settled_tick().await?;
    let total: usize = after.values().sum();
    eprintln!(
        "one settled tick over 500 instances with 30 recovery points each: {total} AWS calls: {after:#?}"
    );
    let added = total - before.values().sum::<usize>();
    // 500 instances are 5 pages, 15,000 snapshots 150 in each Region; a few more where pages were not full before.
    assert!(added <= 5 + 150 + 150, "{added} calls more than without them");

    // The watcher's first look is at everything, and with so many snapshots the next minute's is at instances alone.
    let look = watch().await?;
    let minute = watch().await?;
    eprintln!("watch-rpo over the same: a look {look:#?}, an ordinary minute {minute:#?}");
    let pages = |calls: &BTreeMap<String, usize>| calls.values().sum::<usize>();
    assert!(pages(&look) <= 5 + 2 * (150 + 6) + 12, "{look:?}");
    assert!(pages(&minute) <= 5 + 3 + 12, "{minute:?}");
    Ok(())
}

/// The calls of one minute of the watcher.
async fn watch() -> Result<BTreeMap<String, usize>> {
    cloud().forget_calls();
    cloud().fire_schedule("watch-rpo-tick").await?.into_payload()?;
    Ok(pages(&cloud().calls(&CallFilter::all().function("watch-rpo"))))
}

/// The calls of one tick after which nothing is left to do, by Region and action.
async fn settled_tick() -> Result<BTreeMap<String, usize>> {
    cloud().ticks("backup-rds", Duration::from_mins(5)).await?;
    cloud().forget_calls();
    let tick = cloud().fire_schedule("backup-rds-tick").await?.into_payload()?;
    anyhow::ensure!(tick["unfinished"] == 0 && tick["acted"] == json!([]), "not settled: {tick}");
    Ok(pages(&cloud().calls(&CallFilter::all().function("backup-rds"))))
}
