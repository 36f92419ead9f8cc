//! Drills of all three engines; and of backups that were damaged behind everybody's back.

use anyhow::{Context, Result};
use domain::drill::PREFIX;
use local_cloud::Cloud;
use scenarios::{Estate, platform};
use serde_json::{Value, json};

use crate::{redis, story, telling::Telling, turso};

/// What came of the drills.
pub(crate) struct Story {
    /// The engines whose drills passed.
    pub(crate) engines: Vec<String>,
    /// How many were held, and how many of them passed, of backups that are whole.
    pub(crate) held: usize,
    pub(crate) passed: usize,
    pub(crate) corruptions_injected: usize,
    /// Each with the first failing thing.
    pub(crate) caught: Vec<(String, String)>,
    /// By the heartbeats in the restored PostgreSQL.
    pub(crate) measured_loss_seconds: Option<f64>,
    /// Of PostgreSQL, from the request until all checks had passed.
    pub(crate) restore_duration_ms: u64,
    /// What drills made and is still there.
    pub(crate) leaked: usize,
}

/// What stands in a row of which nobody will hear that its page was torn, until it is drilled.
pub(crate) const MARK: &str = "a note on a page that will be torn";

/// A protected resource that is drilled here.
struct Drilled {
    engine: &'static str,
    resource: String,
}

impl Story {
    /// Whether what is whole passed, what is damaged was caught, and nothing is left.
    pub(crate) fn held(&self) -> bool {
        self.passed == self.held
            && self.caught.len() == self.corruptions_injected
            && self.measured_loss_seconds.is_some()
            && self.leaked == 0
    }
}

pub(crate) async fn run(estate: &Estate<'_>, database: &str, telling: &Telling) -> Result<Story> {
    beat(estate, database, telling).await?;
    telling.chapter("run-drill: each is restored into staging, read to its end, measured, and torn down");
    let all = [
        Drilled { engine: "rds", resource: format!("rds/{database}") },
        Drilled { engine: "redis", resource: format!("redis/{}", redis::CACHE) },
        Drilled { engine: "turso", resource: format!("turso/{}", turso::DATABASE) },
    ];
    let (mut engines, mut passed, mut loss, mut duration) = (Vec::new(), 0, None, 0);
    for one in &all {
        // PostgreSQL to a second by lot, the others as they are chosen.
        let past = drill(estate, &one.resource, (one.engine == "rds").then_some("instant")).await?;
        let took = past["phases"]["duration_ms"].as_u64().unwrap_or(0);
        telling.fact(&format!("{}: {}, after {took} ms", one.resource, verdict(&past)));
        if past["verdict"]["is"] == "passed" {
            passed += 1;
            engines.push(one.engine.to_owned());
        }
        if one.engine == "rds" {
            duration = took;
            loss = measured(&past);
        }
    }
    if let Some(seconds) = loss {
        telling.fact(&format!(
            "lost, by the newest heartbeat in the restored PostgreSQL: at most {seconds:.1} s"
        ));
    }

    telling.chapter("Now three backups are damaged where nobody looks, and drilled again");
    let mut caught = Vec::new();
    for (one, way) in all.iter().zip(["newest", "copy", "newest"]) {
        let what = damage(estate, one).await?;
        let past = drill(estate, &one.resource, Some(way)).await?;
        telling.fact(&format!("{what}: {}", verdict(&past)));
        if past["verdict"]["is"] == "failed" {
            caught.push((what, verdict(&past)));
        }
    }
    // The second before is whole: the next drill passes, and the alert about the torn page ends.
    let whole = drill(estate, &all[0].resource, Some("instant")).await?;
    telling.fact(&format!("{} to a second, which is whole: {}", all[0].resource, verdict(&whole)));
    passed += usize::from(whole["verdict"]["is"] == "passed");
    let held = all.len() + 1;
    estate.cloud.fire_schedule("send-alert-tick").await?;
    let leaked = leaked(estate).await?;
    telling.fact(&format!("{leaked} of what the drills made is left"));
    Ok(Story {
        engines,
        held,
        passed,
        corruptions_injected: all.len(),
        caught,
        measured_loss_seconds: loss,
        restore_duration_ms: duration,
        leaked,
    })
}

/// Heartbeats, by a role that can write nothing else; and a PITR window at each second of which there are some.
async fn beat(estate: &Estate<'_>, database: &str, telling: &Telling) -> Result<()> {
    telling.chapter("write-heartbeat: a numbered, signed row, so that a restore tells itself what it lost");
    estate.sign_heartbeats().await?;
    let secret = estate.make_heartbeat_table(database).await?;
    estate.make_checkable(database).await?;
    let mut plans = story::plans();
    plans["plans"]["default"]["heartbeats"] = json!({format!("rds/{database}"): secret});
    estate.set_plans(&plans).await?;
    estate.cloud.invoke("write-heartbeat", &json!({"wake": "tick"})).await?.into_payload()?;
    estate.begin_window(database).await?;
    let source = estate.connect(estate.home(), database).await?;
    for _ in 0..3 {
        estate.cloud.invoke("write-heartbeat", &json!({"wake": "tick"})).await?.into_payload()?;
    }
    let count = source.number("SELECT count(*) FROM tidemark.tidemark_heartbeat").await?;
    estate.wait_restorable(database, source.clock().await?).await?;
    telling.fact(&format!("{count} heartbeats are there; on AWS there is one each minute"));
    Ok(())
}

async fn drill(estate: &Estate<'_>, resource: &str, way: Option<&str>) -> Result<Value> {
    let mut payload = json!({"drill": resource});
    if let Some(way) = way {
        payload["way"] = way.into();
    }
    estate.cloud.invoke("run-drill", &payload).await?.into_payload()?;
    estate.follow_drill(resource).await
}

fn verdict(past: &Value) -> String {
    match past["verdict"]["says"].as_str() {
        Some(says) => format!("failed: {says}"),
        None => "passed".to_owned(),
    }
}

fn measured(past: &Value) -> Option<f64> {
    let milliseconds = past["loss"]["at_most_ms"].as_u64().filter(|_| past["loss"]["is_measured"] == true)?;
    Some(f64::from(u32::try_from(milliseconds).ok()?) / 1_000.0)
}

/// Damages its newest backup.
async fn damage(estate: &Estate<'_>, one: &Drilled) -> Result<String> {
    let cloud = estate.cloud;
    match one.engine {
        "rds" => {
            let name = one.resource.trim_start_matches("rds/");
            let point = estate.recovery_point(name, estate.home()).await?;
            let point = point["subject"].as_str().context("an entry without its subject")?.to_owned();
            cloud.rds().tear_snapshot(estate.home(), &point, MARK)?;
            Ok(format!("a torn page in snapshot {point}"))
        }
        "redis" => {
            let (bucket, key) =
                object(cloud, cloud.stack().recovery_vault_bucket(), &one.resource, ".rdb").await?;
            let mut bytes = cloud.object(bucket, &key).await?;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            cloud.put_object(bucket, &key, bytes).await?;
            Ok("a flipped byte in an RDB of the other Region's vault".to_owned())
        }
        _ => {
            let (bucket, key) = object(cloud, cloud.stack().vault_bucket(), &one.resource, "").await?;
            let bytes = cloud.object(bucket, &key).await?;
            let cut = bytes[..bytes.len() * 2 / 3].to_vec();
            cloud.put_object(bucket, &key, cut).await?;
            Ok("a SQLite file in the vault, cut after two thirds".to_owned())
        }
    }
}

/// The largest object of the newest recovery point of a resource.
async fn object<'b>(
    cloud: &Cloud,
    bucket: &'b str,
    resource: &str,
    holds: &str,
) -> Result<(&'b str, String)> {
    let (engine, name) = resource.split_once('/').context("no resource")?;
    let keys = cloud.object_keys(bucket, &format!("{engine}/")).await?;
    let of_it = keys.into_iter().filter(|key| {
        key.contains(&format!("/{name}/")) && key.contains(holds) && !key.ends_with("manifest.json")
    });
    Ok((bucket, of_it.max().with_context(|| format!("{resource} has nothing in {bucket}"))?))
}

/// Instances, caches and databases that bear a drill's name.
async fn leaked(estate: &Estate<'_>) -> Result<usize> {
    let mut count = 0;
    for region in [estate.home(), estate.recovery()] {
        let instances = estate.rds(region).describe_db_instances().send().await?;
        let name = |one: &aws_sdk_rds::types::DbInstance| {
            one.db_instance_identifier().unwrap_or_default().to_owned()
        };
        count += instances.db_instances().iter().filter(|one| name(one).starts_with(PREFIX)).count();
        let groups = estate.elasticache(region).describe_replication_groups().send().await?;
        let is_drills = |id: Option<&str>| id.is_some_and(|id| id.starts_with(PREFIX));
        count +=
            groups.replication_groups().iter().filter(|one| is_drills(one.replication_group_id())).count();
    }
    let listed = platform(estate.cloud, http::Method::GET, "databases", None).await?;
    let names = listed["databases"].as_array().into_iter().flatten().filter_map(|one| one["Name"].as_str());
    Ok(count + names.filter(|name| name.starts_with(PREFIX)).count())
}
