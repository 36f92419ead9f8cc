//! Every call of every function, broken in every way. One case again: `TIDEMARK_SWEEP=backup-rds/rds.CopyDBSnapshot cargo
//! test -p scenarios --test sweep`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

mod common;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use common::{protected, start};
use domain::{RecoveryPointId, ResourceId, Slot, tag};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use local_elasticache::{Seed as CacheSeed, SeedKind};
use local_rds::Seed;
use report::Report;
use scenarios::{
    Libsql, poll, show,
    sweep::{Case, Clouds, KEPT, Sweep},
};
use serde_json::json;
use tokio::sync::OnceCell;
use vault::{MANIFEST, S3Store, Versions, point_prefix};

/// More than there are processors: cases mostly wait.
static CLOUDS: OnceCell<Clouds> = OnceCell::const_new();

async fn clouds() -> Result<&'static Clouds> {
    CLOUDS
        .get_or_try_init(async || {
            let starting: Vec<_> = (0..3).map(|_| std::thread::spawn(start)).collect();
            Clouds::new(starting.into_iter().map(|cloud| cloud.join().unwrap()).collect()).await
        })
        .await
}

async fn sweep(sweep: Sweep) -> Result<()> {
    let only = std::env::var("TIDEMARK_SWEEP").ok();
    if only.as_ref().is_some_and(|only| !only.starts_with(sweep.name)) {
        return Ok(());
    }
    let swept = sweep.run(clouds().await?, only.as_deref()).await?;
    show(&format!(
        "sweep of {}: {} calls, {} cases, in {:.1} s",
        sweep.name,
        swept.calls,
        swept.cases,
        swept.took.as_secs_f64()
    ));
    Ok(())
}

/// An instance whose newest restorable second is always as old, so that no run writes down a worse minute than another.
fn seed(case: &Case<'_>, seed: Seed) -> Result<()> {
    let (rds, home) = (case.estate.cloud.rds(), case.estate.home());
    let has_automated_backups = seed.retention_days > 0;
    rds.seed(home, [seed])?;
    if has_automated_backups {
        rds.set_archive_lag(home, &case.name, SignedDuration::from_mins(2))?;
    }
    Ok(())
}

/// A slot, from snapshot over copy to ledger.
fn back_up<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        seed(case, protected(&case.name, &[]))?;
        case.settle().await
    })
}

/// A person's restore, asked again and again until somebody answers.
fn restore<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        seed(case, protected(&case.name, &[]))?;
        let target = format!("{}-restored", case.name);
        let request = json!({"resource": case.name, "to": "latest", "as": target});
        case.insist("restore-database", &request).await?;
        case.settle().await
    })
}

/// A drill of a real database to a second, from a person's asking to the end of what it made.
fn drill<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        let (estate, name) = (&case.estate, case.name.as_str());
        estate.create_instance_keeping(name, 0).await?;
        let source = estate.connect(estate.home(), name).await?;
        source.run("CREATE TABLE orders AS SELECT generate_series(1, 1000) AS id").await?;
        estate.make_checkable(name).await?;
        estate.protect(name).await?;
        estate.begin_window(name).await?;
        case.drill(&format!("rds/{name}")).await
    })
}

/// A cache under the default plan.
fn seed_cache(case: &Case<'_>, name: &str) -> Result<()> {
    let mut seed = CacheSeed::new(name, SeedKind::ReplicationGroup, Timestamp::UNIX_EPOCH);
    seed.tags.insert(tag::PLAN.to_owned(), "default".to_owned());
    Ok(case.estate.cloud.elasticache().seed(case.estate.home(), [seed])?)
}

/// A Turso database with some rows, which the plan names.
async fn make_database(case: &Case<'_>, name: &str) -> Result<()> {
    let plan = json!({"turso": {"databases": [format!("default/{name}")]}});
    case.estate.set_plans(&json!({"plans": {"default": plan}})).await?;
    Libsql::create(case.estate.cloud, name).await?.fill(50).await
}

/// A slot, from ElastiCache's snapshot over its export to the vaults of both Regions, and the snapshot away again.
fn back_up_cache<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        seed_cache(case, &case.name)?;
        case.settle().await
    })
}

/// A slot, from a database's pages to the vaults of both Regions.
fn back_up_turso<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        make_database(case, &case.name).await?;
        case.settle().await
    })
}

/// A person's restore of what the vault holds, whose source is gone.
async fn restored(case: &Case<'_>, engine: &str, kept: &Kept) -> Result<()> {
    case.put_back(kept).await?;
    let (resource, target) = (format!("{engine}/{KEPT}"), format!("{}-restored", case.name));
    let request = json!({"resource": resource, "to": "latest", "as": target, "from": "vault"});
    case.insist("restore-database", &request).await?;
    case.settle().await
}

type Kept = Vec<(String, Vec<u8>)>;

/// What the vault holds of a cache that was backed up once.
async fn kept_cache(case: &Case<'_>) -> Result<&'static Kept> {
    static CACHE: OnceCell<Kept> = OnceCell::const_new();
    let keep = async || {
        seed_cache(case, KEPT)?;
        case.keep("redis", "backup-redis").await
    };
    CACHE.get_or_try_init(keep).await
}

/// The same of a Turso database.
async fn kept_database(case: &Case<'_>) -> Result<&'static Kept> {
    static DATABASE: OnceCell<Kept> = OnceCell::const_new();
    let keep = async || {
        make_database(case, KEPT).await?;
        case.keep("turso", "backup-turso").await
    };
    DATABASE.get_or_try_init(keep).await
}

fn restore_cache<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async { restored(case, "redis", kept_cache(case).await?).await })
}

fn restore_turso<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async { restored(case, "turso", kept_database(case).await?).await })
}

/// A person's restore of a set: an instance to a second, and a cache and a Turso database whose sources are gone.
fn restore_set<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        let (cache, database) = (kept_cache(case).await?, kept_database(case).await?);
        case.put_back(cache).await?;
        case.put_back(database).await?;
        seed(case, protected(&case.name, &[]))?;
        case.estate.cloud.rds().set_archive_lag(case.estate.home(), &case.name, LAG)?;
        let resources = [format!("rds/{}", case.name), format!("redis/{KEPT}"), format!("turso/{KEPT}")];
        let set = json!({"all": {"resources": resources}});
        case.estate.set_plans(&json!({"plans": {"default": {}}, "recovery_sets": set})).await?;
        kept_before_the_lag(case).await?;
        let request = json!({"set": "all", "to": "latest", "as": format!("{}-restored", case.name)});
        case.insist("restore-database", &request).await?;
        case.settle().await
    })
}

/// How far the newest second that the set's instance can be restored to lies behind.
const LAG: SignedDuration = SignedDuration::from_secs(5);

/// Waits until the set's instant is after what is kept was taken: once, in the first case.
async fn kept_before_the_lag(case: &Case<'_>) -> Result<()> {
    let mut newest = Timestamp::UNIX_EPOCH;
    for key in case.estate.cloud.object_keys(case.estate.cloud.stack().vault_bucket(), "").await? {
        if key.ends_with(MANIFEST) {
            let manifest = case.estate.cloud.object(case.estate.cloud.stack().vault_bucket(), &key).await?;
            let manifest: serde_json::Value = serde_json::from_slice(&manifest)?;
            newest = newest.max(manifest["taken_at"].as_str().context("no taken_at")?.parse()?);
        }
    }
    let after = newest + LAG + SignedDuration::from_secs(2);
    poll("what is kept older than the lag", async || Ok((Timestamp::now() > after).then_some(()))).await
}

/// What is in the vaults, and a snapshot, is looked at: all of it is whole but one copy, which is then mended.
fn verify_backup<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        let (cache, database) = (kept_cache(case).await?, kept_database(case).await?);
        case.put_back(cache).await?;
        case.put_back(database).await?;
        let night = Slot::at("2026-11-01T03:00:00Z".parse()?);
        seed(case, Seed { key: Some("alias/aws/rds".to_owned()), ..protected(&case.name, &[night]) })?;
        copied(case).await?;
        let (cloud, away) = (case.estate.cloud, case.estate.cloud.stack().recovery_vault_bucket());
        let (key, whole) = database.iter().find(|(key, _)| !key.ends_with(MANIFEST)).context("no object")?;
        poll("the copy", async || Ok(cloud.object_keys(away, key).await?.pop())).await?;
        let mut damaged = whole.clone();
        damaged[0] ^= 1;
        cloud.put_object(away, key, damaged).await?;
        case.settle().await?;
        cloud.put_object(away, key, whole.clone()).await?;
        until_verified(case, key.split('/').nth(3).context("no recovery point")?).await?;
        case.settle().await
    })
}

/// Copies the snapshots to the recovery Region, as backup-rds does.
async fn copied(case: &Case<'_>) -> Result<()> {
    let (home, away) = (case.estate.rds(case.estate.home()), case.estate.rds(case.estate.recovery()));
    let key = format!("alias/{}", case.estate.cloud.stack().name);
    for snapshot in home.describe_db_snapshots().send().await?.db_snapshots() {
        let copy =
            away.copy_db_snapshot().set_source_db_snapshot_identifier(snapshot.db_snapshot_arn.clone());
        let copy = copy.set_target_db_snapshot_identifier(snapshot.db_snapshot_identifier.clone());
        copy.kms_key_id(&key).copy_tags(true).send().await?;
    }
    poll("the copies", async || {
        let copies = away.describe_db_snapshots().send().await?;
        Ok(copies.db_snapshots().iter().all(|copy| copy.status() == Some("available")).then_some(()))
    })
    .await
}

/// Has the copy looked at until it is said to be whole: a call that was refused costs one look, and the person asks again.
async fn until_verified(case: &Case<'_>, id: &str) -> Result<()> {
    let (cloud, ask) = (case.estate.cloud, json!({"verify": id, "resource": format!("turso/{KEPT}")}));
    poll("a mark", async || {
        case.insist("verify-backup", &ask).await?;
        case.insist("send-alert", &json!({"wake": "tick"})).await?;
        let marks = cloud.object_keys(cloud.stack().vault_bucket(), "marks/").await?;
        Ok(marks.iter().any(|key| key.ends_with("Z-verified-away")).then_some(()))
    })
    .await
}

/// A day's plan over twelve days of snapshots, one of which a person then holds.
fn plan_retention<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        let night: Timestamp = "2026-11-01T03:00:00Z".parse()?;
        let slots: Vec<_> =
            (0..12).map(|day| Slot::at(night - SignedDuration::from_hours(24 * day))).collect();
        seed(case, protected(&case.name, &slots))?;
        case.settle().await?;
        let snapshots = case.estate.rds(case.estate.home()).describe_db_snapshots().send().await?;
        let id = snapshots.db_snapshots().iter().filter_map(|one| one.db_snapshot_identifier()).min();
        let hold = json!({"hold": id, "resource": format!("rds/{}", case.name), "why": "case 17"});
        case.insist("plan-retention", &hold).await
    })
}

/// What a plan that a person has read expires: snapshots, and recovery points of a vault that are older than their locks.
fn delete_expired<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        let keep = json!({"daily": 1, "weekly": 0, "monthly": 1, "annual": 0, "redundancy": 1});
        case.estate.set_plans(&json!({"plans": {"default": {"keep": keep}}})).await?;
        let now = Timestamp::now();
        let midnight = now.to_zoned(TimeZone::UTC).start_of_day()?.timestamp();
        let days_ago = |days: i64| Slot::at(midnight - SignedDuration::from_hours(24 * days));
        seed(case, protected(&case.name, &[days_ago(3), days_ago(50), days_ago(70)]))?;
        for days in [70, 50, 0] {
            put_turso_point(case, days_ago(days), 24 * u32::try_from(days)?).await?;
        }
        case.insist("plan-retention", &json!({"plan": "now"})).await?;
        let (cloud, vault) = (case.estate.cloud, case.estate.cloud.stack().vault_bucket());
        let plans = format!("retention/{}/plans/", case.estate.home());
        let key = cloud.object_keys(vault, &plans).await?.pop().context("no plan")?;
        let plan: serde_json::Value = serde_json::from_slice(&cloud.object(vault, &key).await?)?;
        case.insist("plan-retention", &json!({"acknowledge": plan["hash"]})).await?;
        case.settle().await?;
        // Whatever broke, of what is kept nothing is gone, and of what is gone nothing is left.
        for (region, bucket) in
            [(case.estate.home(), vault), (case.estate.recovery(), cloud.stack().recovery_vault_bucket())]
        {
            let store = S3Store::in_region(&cloud.config(case.estate.home()), region, bucket);
            let versions = store.versions("turso/").await?;
            let of_it: Vec<_> = versions.iter().filter(|version| version.key.contains(&case.name)).collect();
            let newest = days_ago(0).utc_date().to_string();
            ensure!(of_it.len() == 2 && of_it.iter().all(|one| one.key.contains(&newest)), "{of_it:?}");
            let locked = store.protection(of_it[0]).await?.and_then(|protection| protection.retained_until);
            let month = now + SignedDuration::from_hours(24 * 27);
            ensure!(locked.is_some_and(|until| until > month), "it is locked until {locked:?}");
        }
        Ok(())
    })
}

/// A recovery point of that slot in both vaults, so many hours old; its manifest names nothing, which nobody here reads.
async fn put_turso_point(case: &Case<'_>, slot: Slot, hours: u32) -> Result<()> {
    let (resource, id) = (ResourceId::turso(&case.name), RecoveryPointId::new(&case.name, "id-1", slot, 1));
    let prefix = point_prefix(&resource, slot, &id);
    let manifest = json!({
        "version": 1, "id": id, "resource": resource, "incarnation": "id-1", "slot": slot.to_string(), "plan": "default",
        "method": "page-export", "taken_at": slot.to_string(), "verified_at": slot.to_string(), "objects": [],
        "source": {}, "content": {},
    });
    let content = [
        ("database.sqlite.zst".to_owned(), "content".to_owned()),
        (MANIFEST.to_owned(), manifest.to_string()),
    ];
    for (name, body) in content {
        let vault = case.estate.cloud.stack().vault_bucket();
        case.estate.cloud.put_object(vault, &format!("{prefix}{name}"), body).await?;
    }
    let stack = case.estate.cloud.stack();
    for bucket in [stack.vault_bucket(), stack.recovery_vault_bucket()] {
        let aged = case.estate.cloud.age_objects(bucket, &prefix, hours).await?;
        ensure!(aged == 2, "{aged} objects in {bucket}");
    }
    Ok(())
}

/// How often a person asks for a report.
const TRIES: usize = 5;

/// A report that a person asks for, of a database with snapshots in both Regions.
fn publish_report<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        let night: Timestamp = "2026-11-01T03:00:00Z".parse()?;
        let slots: Vec<_> =
            (0..3).map(|day| Slot::at(night - SignedDuration::from_hours(24 * day))).collect();
        seed(case, protected(&case.name, &slots))?;
        case.estate.remember_watched(&[&case.name]).await?;
        case.estate.no_report_is_due().await?;
        // One that is refused is said, in the answer and on the board; then a person asks again.
        for _ in 0..TRIES {
            let answer = case.ask("publish-report", &json!({"report": "now"})).await?;
            if answer.is_some_and(|answer| answer["acted"] != json!([])) {
                break;
            }
            case.ask("send-alert", &json!({"wake": "tick"})).await?;
        }
        case.settle().await?;
        let (cloud, vault) = (case.estate.cloud, case.estate.cloud.stack().vault_bucket());
        let keys = cloud.object_keys(vault, "reports/").await?;
        ensure!(keys.iter().filter(|key| key.contains("on-demand")).count() == 2, "{keys:?}");
        for key in keys {
            if let Some(json) = key.strip_suffix("html").filter(|key| key.contains("on-demand")) {
                let report = Report::parse(&cloud.object(vault, &format!("{json}json")).await?)?;
                let page = cloud.object(vault, &key).await?;
                ensure!(page == report::html(&report).into_bytes(), "{key} is not the page of its JSON");
            }
        }
        Ok(())
    })
}

/// An instance that one call deletes is found, and then is no such one any more; all else is well.
fn check_posture<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        let listener = case.estate.subscribe_to_watch().await?;
        seed(case, protected(&case.name, &[]))?;
        case.insist("check-posture", &json!({"check": "now"})).await?;
        case.insist("send-alert", &json!({"wake": "tick"})).await?;
        let rds = case.estate.rds(case.estate.home());
        let protect = async |is_on: bool| {
            let modify = rds.modify_db_instance().db_instance_identifier(&case.name);
            modify.deletion_protection(is_on).apply_immediately(true).send().await
        };
        protect(true).await?;
        let settled = case.settle().await;
        // So that what the case has made can be taken away.
        protect(false).await?;
        listener.close().await?;
        settled
    })
}

/// Heartbeats of a real database, all of which somebody deletes; then nobody wants any more.
fn write_heartbeats<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        let (estate, name) = (&case.estate, case.name.as_str());
        estate.create_instance(name).await?;
        estate.protect(name).await?;
        let secret = estate.make_heartbeat_table(name).await?;
        estate.sign_heartbeats().await?;
        let heartbeats = json!({format!("rds/{name}"): secret});
        estate.set_plans(&json!({"plans": {"default": {"heartbeats": heartbeats}}})).await?;
        let owner = estate.connect(estate.home(), name).await?;
        let begun = Instant::now();
        while owner.number("SELECT count(*) FROM tidemark.tidemark_heartbeat").await? < 2 {
            a_minute(case, begun).await?;
        }
        owner.run("DELETE FROM tidemark.tidemark_heartbeat").await?;
        let set_back = json!("heartbeats-set-back");
        while !estate.findings("write-heartbeat").await?.iter().any(|found| found["kind"] == set_back) {
            a_minute(case, begun).await?;
        }
        estate.set_plans(&json!({"plans": {"default": {}}})).await?;
        case.settle().await
    })
}

/// One more wake; what is found in it is told in the same. That something has ended is told later: so what breaks at first and what is
/// found then are one trouble.
async fn a_minute(case: &Case<'_>, begun: Instant) -> Result<()> {
    ensure!(begun.elapsed() < Duration::from_mins(1), "a minute's heartbeat does not come");
    let tick = json!({"wake": "tick"});
    case.ask("write-heartbeat", &tick).await?;
    if case.estate.findings("write-heartbeat").await?.is_empty() {
        return Ok(());
    }
    case.insist("send-alert", &tick).await
}

/// Automated backups are found off, and then on again. There is a cache as well, of which it is known: then ElastiCache is
/// asked each minute, and not only in every fifth.
fn watch<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        seed_cache(case, &case.name)?;
        let known = [format!("redis/{}", case.name)];
        case.estate.remember_watched_since(&known, Timestamp::now()).await?;
        seed(case, Seed { retention_days: 0, ..protected(&case.name, &[]) })?;
        case.settle().await?;
        seed(case, protected(&case.name, &[]))?;
        case.settle().await
    })
}

/// Two conditions, of which one after the other ends.
fn tell<'c>(case: &'c Case<'c>) -> BoxFuture<'c, Result<()>> {
    Box::pin(async {
        let finding = |kind: &str| {
            json!({
                "resource": format!("rds/{}", case.name), "kind": kind, "severity": "critical",
                "since": "2026-11-22T03:00:00Z", "says": "it is broken", "next": "mend it"
            })
        };
        case.post("watch-rpo", json!([finding("slot-missed")])).await?;
        case.settle().await?;
        case.post("backup-rds", json!([finding("recovery-point-failed")])).await?;
        case.settle().await?;
        case.post("watch-rpo", json!([])).await?;
        case.post("backup-rds", json!([])).await?;
        case.settle().await
    })
}

#[tokio::test]
async fn posture_is_checked() -> Result<()> {
    let script = check_posture;
    sweep(Sweep { name: "check-posture", function: "check-posture", script }).await
}

#[tokio::test]
async fn backup_rds() -> Result<()> {
    sweep(Sweep { name: "backup-rds", function: "backup-rds", script: back_up }).await
}

#[tokio::test]
async fn restore_database() -> Result<()> {
    sweep(Sweep { name: "restore-database", function: "restore-database", script: restore }).await
}

#[tokio::test]
async fn run_drill() -> Result<()> {
    sweep(Sweep { name: "run-drill", function: "run-drill", script: drill }).await
}

#[tokio::test]
async fn backup_redis() -> Result<()> {
    sweep(Sweep { name: "backup-redis", function: "backup-redis", script: back_up_cache }).await
}

#[tokio::test]
async fn backup_turso() -> Result<()> {
    sweep(Sweep { name: "backup-turso", function: "backup-turso", script: back_up_turso }).await
}

#[tokio::test]
async fn restore_redis() -> Result<()> {
    sweep(Sweep { name: "restore-redis", function: "restore-database", script: restore_cache }).await
}

#[tokio::test]
async fn restore_a_turso_database() -> Result<()> {
    sweep(Sweep { name: "restore-turso", function: "restore-database", script: restore_turso }).await
}

#[tokio::test]
async fn restore_a_set() -> Result<()> {
    sweep(Sweep { name: "restore-set", function: "restore-database", script: restore_set }).await
}

#[tokio::test]
async fn retention_is_planned() -> Result<()> {
    let script = plan_retention;
    sweep(Sweep { name: "plan-retention", function: "plan-retention", script }).await
}

#[tokio::test]
async fn what_is_expired_is_deleted() -> Result<()> {
    let script = delete_expired;
    sweep(Sweep { name: "delete-expired", function: "delete-expired", script }).await
}

#[tokio::test]
async fn a_report_is_published() -> Result<()> {
    let script = publish_report;
    sweep(Sweep { name: "publish-report", function: "publish-report", script }).await
}

#[tokio::test]
async fn what_is_kept_is_verified() -> Result<()> {
    let script = verify_backup;
    sweep(Sweep { name: "verify-backup", function: "verify-backup", script }).await
}

#[tokio::test]
async fn heartbeats_are_written() -> Result<()> {
    let script = write_heartbeats;
    sweep(Sweep { name: "write-heartbeat", function: "write-heartbeat", script }).await
}

#[tokio::test]
async fn watch_rpo() -> Result<()> {
    sweep(Sweep { name: "watch-rpo", function: "watch-rpo", script: watch }).await
}

#[tokio::test]
async fn send_alert() -> Result<()> {
    sweep(Sweep { name: "send-alert", function: "send-alert", script: tell }).await
}
