//! What is left at ElastiCache and Turso of sources that are gone, or protected no more.

use anyhow::{Context, Result, ensure};
use domain::Slot;
use http::Method;
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use scenarios::{Estate, Libsql, platform, poll};
use serde_json::{Value, json};
use turso::{Database, FakeTurso, branch_name};

use crate::{back_up, caches::TURNS, common::cloud, estate, plans};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How a source comes to be protected no more.
#[derive(Clone, Copy, Debug)]
enum End {
    Gone,
    Forsaken,
}

/// The snapshots of a cache.
async fn snapshots(estate: &Estate<'_>, cache: &str) -> Result<Vec<String>> {
    let found = estate.elasticache(estate.home()).describe_snapshots().send().await?;
    let of_it = found.snapshots().iter().filter(|one| one.replication_group_id() == Some(cache));
    Ok(of_it.filter_map(|one| one.snapshot_name().map(str::to_owned)).collect())
}

/// Whether all that the vaults of both Regions have below a recovery point's name is there.
async fn is_in_both_vaults(point: &str) -> Result<bool> {
    let stack = cloud().stack();
    let mut sizes = Vec::new();
    for vault in [stack.vault_bucket(), stack.recovery_vault_bucket()] {
        let keys = cloud().object_keys(vault, "").await?;
        sizes.push(keys.iter().filter(|key| key.contains(&format!("/{point}/"))).count());
    }
    Ok(sizes[0] >= 2 && sizes[0] == sizes[1])
}

#[rstest]
#[case::gone("left-by-a-deleted", End::Gone)]
#[case::forsaken("left-by-a-forsaken", End::Forsaken)]
#[tokio::test]
async fn a_snapshot_that_both_vaults_have_goes_after_a_week(
    #[case] name: &str,
    #[case] end: End,
) -> Result<()> {
    let (_turn, estate) = (TURNS.lock().await, estate().await?);
    estate.create_cache(name).await?.fill(100).await?;
    estate.protect_cache(name).await?;
    back_up(&estate, "backup-redis", &format!("redis/{name}")).await?;
    estate.wait_for_caches().await?;
    let [snapshot] = snapshots(&estate, name).await?.try_into().ok().context("one snapshot is kept")?;
    match end {
        End::Gone => estate.delete_cache(name).await?,
        End::Forsaken => estate.forsake_cache(name).await?,
    }
    // It is older than a week already: what counts is since when it is left over.
    cloud().elasticache().age_snapshot(estate.home(), &snapshot, DAY * 8)?;
    cloud().fire_schedule("backup-redis-tick").await?;
    assert_eq!(snapshots(&estate, name).await?, [snapshot.as_str()]);
    let resource = format!("redis/{name}");
    estate.age_left_over("backup-redis", &resource, DAY * 6).await?;
    cloud().fire_schedule("backup-redis-tick").await?;
    assert_eq!(snapshots(&estate, name).await?, [snapshot.as_str()], "after six days");
    estate.age_left_over("backup-redis", &resource, DAY).await?;
    poll(&format!("{snapshot} gone"), async || {
        cloud().fire_schedule("backup-redis-tick").await?;
        Ok(snapshots(&estate, name).await?.is_empty().then_some(()))
    })
    .await?;
    assert!(is_in_both_vaults(&snapshot).await?);
    let told = estate.findings("backup-redis").await?;
    assert!(told.iter().all(|finding| finding["resource"] != resource), "{told:#?}");
    Ok(())
}

/// Makes a branch of `name` under the name that it would have had at the slot of so many days ago: closed to writes, and on record,
/// as backup-turso does.
async fn branch(estate: &Estate<'_>, name: &str, group: &str, days: i64) -> Result<String> {
    let found = platform(cloud(), Method::GET, &format!("databases/{name}"), None).await?;
    let id = found["database"]["DbId"].as_str().context("a database without an id")?;
    let slot = Slot::at("2026-01-01T03:00:00Z".parse::<Timestamp>()?);
    let days_gone = Timestamp::now().duration_since(slot.instant()).as_hours() / 24;
    let slot = Slot::at(slot.instant() + DAY * i32::try_from(days_gone - days)?);
    let branch = branch_name(&Database { id: id.to_owned(), ..FakeTurso::listed(name, id, group) }, slot);
    let seed = json!({"type": "database", "name": name});
    let body = json!({"name": branch, "group": group, "seed": seed});
    let made = platform(cloud(), Method::POST, "databases", Some(body)).await?;
    block_writes(&branch, true).await?;
    let closed = json!({"closed": made["database"]["DbId"]});
    estate.change_document("turso/branches.json", |made| made[&branch] = closed.clone()).await?;
    Ok(branch)
}

async fn block_writes(database: &str, blocked: bool) -> Result<()> {
    let (path, body) = (format!("databases/{database}/configuration"), json!({"block_writes": blocked}));
    platform(cloud(), Method::PATCH, &path, Some(body)).await.map(drop)
}

async fn is_there(database: &str) -> Result<bool> {
    let all = platform(cloud(), Method::GET, "databases", None).await?;
    let all = all["databases"].as_array().context("no list of databases")?;
    Ok(all.iter().any(|one| one["Name"] == database))
}

/// A group that no plan of [`plans`] names.
async fn group(name: &str) -> Result<()> {
    let body = json!({"name": name, "location": "aws-us-east-1"});
    platform(cloud(), Method::POST, "groups", Some(body)).await.map(drop)
}

#[tokio::test]
async fn branches_that_both_vaults_have_go_after_a_week() -> Result<()> {
    let estate = estate().await?;
    group("leaving").await?;
    for name in ["left-deleted", "left-forsaken"] {
        Libsql::create_in(cloud(), "leaving", name).await?.fill(100).await?;
    }
    let mut for_now: Value = plans();
    for_now["plans"]["leaving"] = json!({"turso": {"databases": ["leaving/*"]}});
    estate.set_plans(&for_now).await?;
    let (mut old, mut young, mut opened) = (Vec::new(), Vec::new(), Vec::new());
    for name in ["left-deleted", "left-forsaken"] {
        back_up(&estate, "backup-turso", &format!("turso/{name}")).await?;
        old.push(branch(&estate, name, "leaving", 9).await?);
        young.push(branch(&estate, name, "leaving", 2).await?);
        opened.push(branch(&estate, name, "leaving", 8).await?);
    }
    cloud().fire_schedule("backup-turso-tick").await?;
    for name in old.iter().chain(&young).chain(&opened) {
        ensure!(is_there(name).await?, "{name} went, although its database is protected");
    }
    estate.set_plans(&plans()).await?;
    platform(cloud(), Method::DELETE, "databases/left-deleted", None).await?;
    for name in &opened {
        // An application runs on it from now on.
        block_writes(name, false).await?;
        Libsql::open(cloud(), name).await?.run(&["CREATE TABLE sold (x)".to_owned()]).await?;
    }
    cloud().fire_schedule("backup-turso-tick").await?;
    for name in old.iter().chain(&young).chain(&opened) {
        ensure!(is_there(name).await?, "{name} went, although nobody had a week to see it");
    }
    for name in ["left-deleted", "left-forsaken"] {
        estate.age_left_over("backup-turso", &format!("turso/{name}"), DAY * 7).await?;
    }
    for name in &old {
        poll(&format!("{name} gone"), async || {
            cloud().fire_schedule("backup-turso-tick").await?;
            Ok((!is_there(name).await?).then_some(()))
        })
        .await?;
    }
    for name in young.iter().chain(&opened).map(String::as_str).chain(["left-forsaken"]) {
        assert!(is_there(name).await?, "{name}");
    }
    let told = estate.findings("backup-turso").await?;
    for (name, opened) in ["left-deleted", "left-forsaken"].into_iter().zip(opened) {
        let of_it = told.iter().find(|finding| finding["resource"] == format!("turso/{name}"));
        let says = of_it.and_then(|finding| finding["says"].as_str()).unwrap_or_default();
        assert!(says.contains(&opened) && says.contains("open to writes"), "{told:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_branch_that_no_vault_has_stays_and_is_told_of() -> Result<()> {
    let estate = estate().await?;
    group("stray").await?;
    Libsql::create_in(cloud(), "stray", "left-stray").await?.fill(100).await?;
    let branch = branch(&estate, "left-stray", "stray", 30).await?;
    platform(cloud(), Method::DELETE, "databases/left-stray", None).await?;
    let told = poll("the finding", async || {
        cloud().fire_schedule("backup-turso-tick").await?;
        let found = estate.findings("backup-turso").await?;
        Ok(found.into_iter().find(|finding| finding["resource"] == "turso/left-stray"))
    })
    .await?;
    assert_eq!(told["kind"], "left-over-stranded", "{told:#}");
    assert!(told["says"].as_str().is_some_and(|says| says.contains(&branch)), "{told:#}");
    assert!(is_there(&branch).await?);
    Ok(())
}
