//! Valkey: a cache of ElastiCache is emptied and restored from the vault, and the append-only file of a server of our own
//! is cut to a second.

use std::{path::Path, time::Instant};

use ::redis::rdb::Inspector;
use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp, Unit};
use local_cloud::ARCHIVE_BUCKET;
use scenarios::{Estate, OwnServer};
use serde_json::json;

use crate::telling::Telling;

pub(crate) const CACHE: &str = "sessions";
const KEYS: usize = 50_000;

/// The resource whose append-only directory is archived.
pub(crate) const ARCHIVE: &str = "tokens";

/// Where it is archived.
pub(crate) fn archive() -> String {
    format!("s3://{ARCHIVE_BUCKET}/{ARCHIVE}/appendonlydir/")
}

/// What happened, as measured.
pub(crate) struct Story {
    pub(crate) keys_expected: usize,
    pub(crate) keys_restored: usize,
    pub(crate) digest_matches: bool,
    pub(crate) rdb_version: String,
    pub(crate) inspect_mb_per_s: f64,
    pub(crate) restore_duration_ms: i64,
    pub(crate) aof: Aof,
}

/// The append-only file, cut to a second.
pub(crate) struct Aof {
    pub(crate) target: Timestamp,
    /// When the first command was sent that is not there.
    pub(crate) first_lost: Timestamp,
    /// Every command up to that second is there, and none after it.
    pub(crate) commands_exact: bool,
}

pub(crate) async fn run(estate: &Estate<'_>, telling: &Telling) -> Result<Story> {
    telling.chapter(&format!("A Valkey cache with {KEYS} keys of every type, tagged tidemark:plan=default"));
    let mut cache = estate.create_cache(CACHE).await?;
    cache.fill(KEYS).await?;
    let before = cache.contents().await?;
    let types: Vec<String> = before.keys.iter().map(|(kind, keys)| format!("{keys} {kind}")).collect();
    telling.fact(&format!(
        "{} keys: {}; {} of them expire",
        before.total(),
        types.join(", "),
        before.expiring
    ));
    estate.protect_cache(CACHE).await?;
    let writes = Writes::begin(estate).await?;
    estate.back_up_by("backup-redis").await?;
    let resource = format!("redis/{CACHE}");
    let completed = estate.recovery_point_of(&resource, estate.home()).await?;
    estate.recovery_point_of(&resource, estate.recovery()).await?;
    let point = completed["subject"].as_str().context("an entry without its subject")?.to_owned();
    telling.fact(&format!(
        "recovery point {point}: snapshot, export, every byte read back from the vault; and its copy in {}",
        estate.recovery()
    ));
    let (rdb_version, inspect_mb_per_s) = inspect(estate, &point).await?;

    telling.chapter("Disaster: FLUSHALL; and restore-database, from the vault");
    cache.call(&["FLUSHALL"]).await?;
    let request = json!({"resource": resource, "to": point, "as": "sessions-restored", "from": "vault"});
    let answer = estate.ask_restore(&request).await?;
    let id = answer["restore_id"].as_str().context("an answer without restore_id")?;
    let outcome = estate.follow_restore(id).await?;
    let mut restored = estate.connect_cache(estate.home(), "sessions-restored").await?;
    let after = restored.contents().await?;
    telling.fact(&format!("{} keys are back after {} ms", after.total(), outcome.duration_ms));
    let aof = writes.cut(estate, telling).await?;
    Ok(Story {
        keys_expected: before.total(),
        keys_restored: after.total(),
        digest_matches: before == after,
        rdb_version,
        inspect_mb_per_s,
        restore_duration_ms: outcome.duration_ms,
        aof,
    })
}

/// The version of what the vault holds, and how quickly it is inspected here.
async fn inspect(estate: &Estate<'_>, point: &str) -> Result<(String, f64)> {
    let vault = estate.cloud.stack().vault_bucket();
    let keys = estate.cloud.object_keys(vault, "redis/").await?;
    let key =
        keys.iter().find(|key| key.contains(point) && key.contains(".rdb")).context("no RDB in the vault")?;
    let bytes = estate.cloud.object(vault, key).await?;
    let (mut seen, begun, mut version) = (0, Instant::now(), String::new());
    // A small file: as often as makes a quarter of a gigabyte.
    while seen < 256 << 20 {
        let mut inspector = Inspector::with_length(bytes.len() as u64);
        inspector.feed(&bytes).map_err(|corrupt| anyhow::anyhow!("{key}: {corrupt}"))?;
        version = inspector.finish(None).rdb_version;
        seen += bytes.len();
    }
    let megabytes = u32::try_from(seen / 1_000_000)?;
    Ok((version, f64::from(megabytes) / begun.elapsed().as_secs_f64()))
}

/// Commands to a server of our own, each with when it was sent and when it was answered.
struct Writes {
    server: OwnServer,
    folder: tempfile::TempDir,
    sent: Vec<(Timestamp, Timestamp)>,
}

impl Writes {
    /// Writes for some seconds, and archives what there is then.
    async fn begin(estate: &Estate<'_>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = OwnServer::start(estate.cloud.tools(), &folder.path().join("own")).await?;
        let mut client = server.connect().await?;
        let (mut sent, enough) = (Vec::new(), Timestamp::now() + SignedDuration::from_secs(4));
        while Timestamp::now() < enough {
            let begun = Timestamp::now();
            client.call(&["SET", &format!("token:{}", sent.len()), "1"]).await?;
            sent.push((begun, Timestamp::now()));
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        server.archive(estate.cloud, ARCHIVE, None).await?;
        Ok(Self { server, folder, sent })
    }

    /// Restores it to a second in between.
    async fn cut(self, estate: &Estate<'_>, telling: &Telling) -> Result<Aof> {
        let (first, _) = self.sent.first().context("nothing was written")?;
        let target = (*first + SignedDuration::from_secs(2)).round(Unit::Second)?;
        telling.chapter(&format!(
            "A server of our own, whose append-only file is archived: as it was at {target}"
        ));
        let resource = format!("redis/{ARCHIVE}");
        estate.recovery_point_of(&resource, estate.home()).await?;
        let request = json!({"resource": resource, "to": target, "as": "tokens-restored"});
        let answer = estate.ask_restore(&request).await?;
        let id = answer["restore_id"].as_str().context("an answer without restore_id")?;
        estate.follow_restore(id).await?;
        let folder = self.folder.path().join("restored");
        fetch(estate, &folder.join("appendonlydir")).await?;
        let restored = OwnServer::start(estate.cloud.tools(), &folder).await?;
        let mut client = restored.connect().await?;
        let keys = client.contents().await?.total();
        restored.stop().await?;
        self.server.stop().await?;
        ensure!(keys < self.sent.len(), "nothing was cut off");
        let (first_lost, _) = self.sent[keys];
        let first_lost = first_lost.round(Unit::Millisecond)?;
        telling.fact(&format!(
            "{keys} of {} commands are there; the next was sent at {first_lost}",
            self.sent.len()
        ));
        // Servers write down seconds: a command within the second belongs to it.
        let end = target + SignedDuration::from_secs(1);
        let must = self.sent.iter().filter(|(_, answered)| *answered < end).count();
        let may =
            self.sent.iter().filter(|(begun, _)| *begun <= end + SignedDuration::from_millis(100)).count();
        // The server's clock ticks ten times a second.
        let commands_exact = first_lost > target && (must.saturating_sub(5)..=may).contains(&keys);
        Ok(Aof { target, first_lost, commands_exact })
    }
}

async fn fetch(estate: &Estate<'_>, to: &Path) -> Result<()> {
    tokio::fs::create_dir_all(to).await?;
    let bucket = estate.cloud.stack().export_bucket();
    for key in estate.cloud.object_keys(bucket, "restores/tokens-restored/").await? {
        let name = key.rsplit('/').next().unwrap_or_default();
        tokio::fs::write(to.join(name), estate.cloud.object(bucket, &key).await?).await?;
    }
    Ok(())
}
