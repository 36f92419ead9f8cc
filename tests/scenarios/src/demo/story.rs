//! The story itself: backed up, broken, restored to the second before, and once more in the other Region.

use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp, Unit};
use local_cloud::Cloud;
use scenarios::{Commit, Contents, Database, Digest, Estate, Writer, poll};
use serde_json::json;

use crate::{
    broken::{self, Heard},
    drills, redis,
    telling::Telling,
    turso,
};

const DATABASE: &str = "orders";
const TABLES: [&str; 3] = ["pgbench_accounts", "pgbench_branches", "pgbench_tellers"];

/// What happened, as measured.
pub(crate) struct Story {
    /// The restore to the second before the disaster.
    pub(crate) pitr: Comparison,
    pub(crate) pitr_target: Timestamp,
    pub(crate) dropped_at: Timestamp,
    /// From the last commit before the disaster back to the newest one restored.
    pub(crate) lost_seconds: f64,
    pub(crate) restore_duration_ms: i64,
    /// The restore of the recovery Region's copy.
    pub(crate) copy: Comparison,
    pub(crate) copy_region: String,
    pub(crate) copy_restore_duration_ms: i64,
    pub(crate) backup_duration_ms: i64,
    pub(crate) copy_duration_ms: i64,
    pub(crate) redis: redis::Story,
    pub(crate) turso: turso::Story,
    pub(crate) drills: drills::Story,
    /// What was heard of a backup that was broken.
    pub(crate) heard: Heard,
}

/// The backup plans: the default one, with an archive of a server of our own, and a Turso database.
pub(crate) fn plans() -> serde_json::Value {
    json!({"plans": {"default": {
        "redis": {"append_only": {redis::ARCHIVE: redis::archive()}},
        "turso": {"databases": [format!("default/{}", turso::DATABASE)]},
    }}})
}

/// What was there against what came back.
pub(crate) struct Comparison {
    pub(crate) rows_expected: i64,
    pub(crate) rows_restored: i64,
    pub(crate) digests_match: bool,
    /// Every commit acknowledged by then is there, none begun later is, and none in between is missing.
    pub(crate) commits_exact: bool,
}

pub(crate) async fn run(cloud: &Cloud, telling: &Telling) -> Result<Story> {
    let estate = Estate::new(cloud);
    let (source, writer, before) = open_shop(&estate, telling).await?;

    telling.chapter("The instance is tagged tidemark:plan=default and the schedule fires: snapshot, copy in the other Region, ledger");
    let began_backup = Timestamp::now();
    estate.protect(DATABASE).await?;
    estate.back_up().await?;
    let completed = estate.recovery_point(DATABASE, estate.home()).await?;
    let copied = estate.recovery_point(DATABASE, estate.recovery()).await?;
    let recovery_point = completed["subject"].as_str().context("an entry without its subject")?.to_owned();
    let millis =
        |entry: &serde_json::Value| entry["duration_ms"].as_i64().context("an entry without its duration");
    let (backup_duration_ms, copy_duration_ms) = (millis(&completed)?, millis(&copied)?);
    telling.fact(&format!("recovery point {recovery_point} completed after {backup_duration_ms} ms"));
    telling.fact(&format!(
        "its copy in {} completed after {copy_duration_ms} ms; both stand in the ledger",
        estate.recovery()
    ));

    telling.chapter("Disaster: DROP TABLE pgbench_accounts");
    let dropped_at = source.clock().await?;
    source.run("DROP TABLE pgbench_accounts").await?;
    telling.fact(&format!("dropped at {dropped_at}; the writer goes on, knowing nothing"));
    let pitr_target = (dropped_at - SignedDuration::from_secs(1)).round(Unit::Millisecond)?;
    let commits = writer_after(writer, dropped_at).await?;

    telling.chapter(&format!("restore-database, to the second before: {pitr_target}"));
    estate.wait_restorable(DATABASE, pitr_target).await?;
    telling.fact("RDS says that this second is restorable");
    let (restored, restore_duration_ms) =
        restore(&estate, telling, &json!({"resource": DATABASE, "to": pitr_target, "as": "orders-restored"}))
            .await?;
    let pitr = compare(&source, &restored, &before, &commits, Some(pitr_target)).await?;
    let newest = restored.number("SELECT coalesce(max(number), 0) FROM commits").await?;
    let lost_seconds = lost(&commits, newest, dropped_at).as_secs_f64();
    telling.fact(&format!("{} rows are back, {lost_seconds:.2} s of commits are lost", pitr.rows_restored));

    telling.chapter(&format!("And from the copy, in {}", estate.recovery()));
    let request = json!({"resource": DATABASE, "to": recovery_point, "as": "orders-elsewhere", "region": estate.recovery()});
    let (restored, copy_restore_duration_ms) = restore(&estate, telling, &request).await?;
    let copy = compare(&source, &restored, &before, &commits, None).await?;
    ensure!(copy.rows_restored > 0, "the copy is empty");
    let newest = restored.number("SELECT coalesce(max(number), 0) FROM commits").await?;
    let held = commits.iter().find(|commit| commit.number == newest).map(|commit| commit.acknowledged);
    ensure!(
        held >= Some(began_backup),
        "the copy holds {held:?}, older than the backup begun at {began_backup}"
    );
    telling.fact(&format!("{} rows, as of the snapshot", copy.rows_restored));

    estate.set_plans(&plans()).await?;
    let redis = redis::run(&estate, telling).await?;
    let turso = turso::run(&estate, telling).await?;
    let drills = drills::run(&estate, DATABASE, telling).await?;
    let heard = broken::run(&estate, DATABASE, telling).await?;
    let copy_region = estate.recovery().to_owned();
    Ok(Story {
        pitr,
        pitr_target,
        dropped_at,
        lost_seconds,
        restore_duration_ms,
        copy,
        copy_region,
        copy_restore_duration_ms,
        backup_duration_ms,
        copy_duration_ms,
        redis,
        turso,
        drills,
        heard,
    })
}

/// A database with data in it and a writer that keeps committing.
async fn open_shop(estate: &Estate<'_>, telling: &Telling) -> Result<(Database, Writer, Contents)> {
    telling.chapter("A PostgreSQL instance with pgbench's tables and a writer");
    estate.create_instance(DATABASE).await?;
    telling.fact("instance orders is available");
    let database = estate.connect(estate.home(), DATABASE).await?;
    database.fill_pgbench(1).await?;
    database
        .run(&format!(
            "CREATE TABLE notes (note text NOT NULL); INSERT INTO notes VALUES ('{}')",
            drills::MARK
        ))
        .await?;
    let before = database.contents(&TABLES).await?;
    telling.fact(&format!("{} rows of pgbench", rows(&before)));
    let writer = Writer::start(estate.connect(estate.home(), DATABASE).await?).await?;
    poll("the writer's first hundred commits", async || Ok((writer.commits().len() >= 100).then_some(())))
        .await?;
    telling.fact("a writer commits numbered rows, one transaction each, and does not stop");
    Ok((database, writer, before))
}

/// Lets the writer go on for a while after the disaster, so that there is something that must not come back.
async fn writer_after(writer: Writer, dropped_at: Timestamp) -> Result<Vec<Commit>> {
    let enough = dropped_at + SignedDuration::from_secs(1);
    let writing = &writer;
    poll("commits after the disaster", async || {
        Ok(writing.commits().last().filter(|last| last.begun > enough).map(|_| ()))
    })
    .await?;
    writer.stop().await
}

async fn restore(
    estate: &Estate<'_>,
    telling: &Telling,
    request: &serde_json::Value,
) -> Result<(Database, i64)> {
    let answer = estate.ask_restore(request).await?;
    let id = answer["restore_id"].as_str().context("an answer without restore_id")?;
    telling.fact(&format!("asked; {id} is {}", answer["status"].as_str().unwrap_or("?")));
    let outcome = estate.follow_restore(id).await?;
    let phases = &outcome.entry["phases"];
    telling.fact(&format!(
        "available after {} ms, first query answered {} ms later",
        phases["creating_ms"], phases["first_query_ms"]
    ));
    let (region, instance) =
        (answer["region"].as_str().unwrap_or_default(), answer["instance"].as_str().unwrap_or_default());
    Ok((estate.connect(region, instance).await?, outcome.duration_ms))
}

/// Compares a restored database with what its source held.
///
/// The pgbench tables did not change, so they must be as they were before the disaster. Of the writer's rows, those that
/// came back must be the first so many of the source's, without a gap; and for a restore to `target`, exactly those whose
/// commit was acknowledged by then, give or take the ones that were being committed at that very instant.
async fn compare(
    source: &Database,
    restored: &Database,
    before: &Contents,
    commits: &[Commit],
    target: Option<Timestamp>,
) -> Result<Comparison> {
    let after = restored.contents(&TABLES).await?;
    let newest = restored.number("SELECT coalesce(max(number), 0) FROM commits").await?;
    let expected = source.digest("commits", Some(&format!("number <= {newest}"))).await?;
    let found: Digest = restored.digest("commits", None).await?;
    let gapless = expected.rows == newest;
    let exact = target.is_none_or(|target| {
        let must = commits.iter().filter(|commit| commit.acknowledged <= target).count();
        let may = commits.iter().filter(|commit| commit.begun <= target).count();
        usize::try_from(newest).is_ok_and(|newest| (must..=may).contains(&newest))
    });
    Ok(Comparison {
        rows_expected: rows(before) + expected.rows,
        rows_restored: rows(&after) + found.rows,
        digests_match: after == *before && found == expected,
        commits_exact: gapless && exact,
    })
}

fn rows(contents: &Contents) -> i64 {
    contents.values().map(|digest| digest.rows).sum()
}

/// From the newest restored commit to the last one before the disaster.
fn lost(commits: &[Commit], newest: i64, dropped_at: Timestamp) -> SignedDuration {
    let last = commits.iter().rfind(|commit| commit.acknowledged <= dropped_at);
    let restored = commits.iter().find(|commit| commit.number == newest);
    match (last, restored) {
        (Some(last), Some(restored)) => last.acknowledged.duration_since(restored.acknowledged),
        // Nothing came back: all is lost.
        (Some(last), None) => commits
            .first()
            .map_or(SignedDuration::ZERO, |first| last.acknowledged.duration_since(first.begun)),
        _ => SignedDuration::ZERO,
    }
}
