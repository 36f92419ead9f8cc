//! Heartbeats on the deployed function: written into real PostgreSQL, Valkey and sqld with credentials that can write nothing
//! else, and read back from what was restored, where they tell what was lost.
//!
//! The tests share one cloud and one plan document; each has a database of its own.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is how a test fails, and progress is for who watches"
)]

mod common;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::cloud;
use domain::ResourceId;
use heartbeat::{Doubt, KEEP, Place, Question, Rhythm, Row, judge};
use http::Method;
use jiff::{Timestamp, Unit};
use local_cloud::ORGANIZATION;
use reconcile::Settings;
use redis::{
    heartbeats::Stream,
    server::{Connection, REFUSED, Server, Servers, TlsServers},
};
use scenarios::{Estate, HEARTBEAT_PASSWORD, Libsql, heartbeat_keys, platform, poll, show};
use secrecy::SecretString;
use secrets::Credentials;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use turso::{Connect, HttpConnector, Session};

/// An estate whose plan names the databases of these tests.
async fn estate() -> Result<Estate<'static>> {
    static PLANNED: OnceCell<()> = OnceCell::const_new();
    let estate = Estate::new(cloud());
    let plan = async || {
        estate.sign_heartbeats().await?;
        let heartbeats = json!({
            "rds/beaten": "tidemark/heartbeat-beaten",
            "redis/pulse": "tidemark/heartbeat-pulse",
            "turso/ledger": "tidemark/heartbeat-ledger",
        });
        let plan = json!({"turso": {"databases": ["default/ledger"]}, "heartbeats": heartbeats});
        estate.set_plans(&json!({"plans": {"default": plan}})).await
    };
    PLANNED.get_or_try_init(plan).await?;
    Ok(estate)
}

fn writer(username: &str) -> Credentials {
    Credentials { username: username.to_owned(), password: HEARTBEAT_PASSWORD.into() }
}

/// Wakes the function, as every minute does, until there are so many rows.
async fn beat_until<F: Future<Output = Result<Vec<Row>>>>(
    estate: &Estate<'_>,
    count: usize,
    rows: impl Fn() -> F,
) -> Result<Vec<Row>> {
    let wanted = format!("{count} heartbeats");
    poll(&wanted, async || {
        let there = rows().await?;
        if there.len() >= count {
            return Ok(Some(there));
        }
        estate.cloud.fire_schedule("write-heartbeat-tick").await?;
        Ok(None)
    })
    .await
}

async fn findings_of(estate: &Estate<'_>, resource: &str) -> Result<Vec<Value>> {
    let found = estate.findings("write-heartbeat").await?;
    Ok(found.into_iter().filter(|finding| finding["resource"] == resource).collect())
}

/// Wakes the function until it finds that of the resource.
async fn found(estate: &Estate<'_>, resource: &str, kind: &str) -> Result<Value> {
    poll(&format!("{kind} of {resource}"), async || {
        estate.cloud.fire_schedule("write-heartbeat-tick").await?;
        Ok(findings_of(estate, resource).await?.into_iter().find(|finding| finding["kind"] == kind))
    })
    .await
}

/// Has that restored, as a person does, and lets run-drill measure what was lost; what the ledger says of it.
async fn lost(estate: &Estate<'_>, request: &Value) -> Result<Value> {
    let answer = estate.ask_restore(request).await?;
    let restore = answer["restore_id"].as_str().context("no id")?;
    estate.follow_restore(restore).await?;
    poll(&format!("what {restore} lost"), async || {
        estate.cloud.fire_schedule("run-drill-tick").await?;
        let mut entries = estate.cloud.ledger().await?.into_iter();
        Ok(entries.find(|entry| entry["subject"] == restore && entry["kind"] == "restore-measured"))
    })
    .await
}

fn question(resource: &ResourceId, restored_to: Option<Timestamp>) -> Question<'_> {
    Question { resource, restored_to, asked_at: Timestamp::now(), rhythm: Rhythm::default() }
}

#[tokio::test]
async fn what_a_restore_to_a_second_lost_is_measured() -> Result<()> {
    let estate = estate().await?;
    estate.create_instance("beaten").await?;
    estate.protect("beaten").await?;
    estate.make_heartbeat_table("beaten").await?;
    let source = estate.connect(estate.home(), "beaten").await?;
    source
        .run("CREATE TABLE public.orders (id int PRIMARY KEY); INSERT INTO public.orders VALUES (1)")
        .await?;
    let credentials = writer("tidemark_heartbeat");
    let rows = async || estate.heartbeats("beaten", &credentials).await;
    let before = beat_until(&estate, 3, rows).await?;
    let to = source.clock().await?.round(Unit::Millisecond)?;
    poll("the clock moving on", async || Ok((source.clock().await? > to).then_some(()))).await?;
    beat_until(&estate, before.len() + 2, rows).await?;
    nothing_else_can_be_written(&estate, &credentials).await?;

    estate.wait_restorable("beaten", to).await?;
    let asked = Timestamp::now();
    let entry = lost(&estate, &json!({"resource": "beaten", "to": to, "as": "beaten-restored"})).await?;
    let restored = estate.heartbeats("beaten-restored", &credentials).await?;
    assert_eq!(restored, before, "those from after that second are not there");
    let (resource, keys) = (ResourceId::rds("beaten"), heartbeat_keys()?);
    let judgement = judge(&restored, Question { asked_at: asked, ..question(&resource, Some(to)) }, &keys);
    assert!(judgement.is_sound(), "{judgement:?}");
    let loss = judgement.loss.context("nothing is measured")?;
    let newest: i64 = before[0].at_ms.parse()?;
    assert_eq!(i64::try_from(loss.at_most_ms)?, to.as_millisecond() - newest);
    assert_eq!(loss.at_least_ms, 0, "the next one was not due yet");
    // As run-drill found by itself.
    assert_eq!((&entry["outcome"], &entry["restored_as"]), (&json!("completed"), &json!("beaten-restored")));
    assert_eq!(entry["evidence"]["loss"]["at_most_ms"], loss.at_most_ms, "{entry}");
    assert_eq!(entry["loss"]["is_measured"], true, "{entry}");
    show(&format!("heartbeats: the restore to {to} lost {} ms at most", loss.at_most_ms));

    // Somebody changes one of what was restored.
    let owner = estate.connect(estate.home(), "beaten-restored").await?;
    owner.run("UPDATE tidemark.tidemark_heartbeat SET at_ms = at_ms + 1 WHERE number = 2").await?;
    let restored = estate.heartbeats("beaten-restored", &credentials).await?;
    let judgement = judge(&restored, question(&resource, Some(to)), &keys);
    let bad: Vec<_> = judgement.bad.iter().map(|bad| (bad.number.as_str(), bad.doubt)).collect();
    assert_eq!(bad, [("2", Doubt::WrongSignature)]);

    // And of the source, while it is written to; then all of them are gone.
    source
        .run("UPDATE tidemark.tidemark_heartbeat SET signature = 'v1:' || repeat('0', 64) WHERE number = 2")
        .await?;
    let finding = found(&estate, "rds/beaten", "heartbeat-not-intact").await?;
    assert!(finding["says"].to_string().contains("2 (wrong signature)"), "{finding}");
    source.run("TRUNCATE tidemark.tidemark_heartbeat").await?;
    let finding = found(&estate, "rds/beaten", "heartbeats-set-back").await?;
    assert!(finding["says"].to_string().contains("none from before it"), "{finding}");
    measured().await
}

/// What the writer's role is refused, by PostgreSQL itself.
async fn nothing_else_can_be_written(estate: &Estate<'_>, credentials: &Credentials) -> Result<()> {
    let client = estate.connect_as("beaten", credentials).await?;
    for statement in [
        "SELECT * FROM public.orders",
        "INSERT INTO public.orders VALUES (2)",
        "DELETE FROM public.orders",
        "DROP TABLE public.orders",
        "UPDATE tidemark.tidemark_heartbeat SET at_ms = 0",
        "TRUNCATE tidemark.tidemark_heartbeat",
        "ALTER TABLE tidemark.tidemark_heartbeat DROP COLUMN signature",
        "DROP TABLE tidemark.tidemark_heartbeat",
        "CREATE TABLE tidemark.another (n int)",
        "CREATE TABLE public.another (n int)",
        "CREATE SCHEMA another",
        "CREATE ROLE another",
        "GRANT tidemark TO tidemark_heartbeat",
        "SELECT pg_read_file('PG_VERSION')",
        "COPY (SELECT 1) TO '/tmp/copied'",
    ] {
        let refused = client.batch_execute(statement).await.err().with_context(|| statement.to_owned())?;
        let code = refused.code().map(|code| code.code().to_owned());
        ensure!(code.as_deref() == Some("42501"), "{statement}: {refused:?}");
    }
    Ok(())
}

/// What the function says that its passes take.
async fn measured() -> Result<()> {
    let metrics = cloud().metrics("write-heartbeat").await?;
    let mut took: Vec<f64> = metrics.iter().filter_map(|line| line["duration_ms"].as_f64()).collect();
    took.sort_by(f64::total_cmp);
    let (median, most) = (took[took.len() / 2], took.last().copied().unwrap_or_default());
    let memory = metrics.iter().filter_map(|line| line["peak_memory_bytes"].as_f64()).fold(0.0, f64::max);
    show(&format!(
        "write-heartbeat: {} passes, {median} ms in the middle, {most} ms at most; {:.1} MiB at most",
        took.len(),
        memory / f64::from(1 << 20)
    ));
    Ok(())
}

#[tokio::test]
async fn a_cache_gets_them_from_a_user_who_may_do_nothing_else() -> Result<()> {
    let estate = estate().await?;
    let mut owner = estate.create_cache("pulse").await?;
    estate.protect_cache("pulse").await?;
    let rules =
        format!("ACL SETUSER tidemark-heartbeat reset >{HEARTBEAT_PASSWORD} {}", heartbeat::redis::ACL);
    owner.call(&rules.split(' ').collect::<Vec<_>>()).await?;
    let login = json!({"username": "tidemark-heartbeat", "password": HEARTBEAT_PASSWORD});
    estate.put_secret("tidemark/heartbeat-pulse", &login).await?;

    let (servers, server) = (TlsServers::new(None), endpoint(&estate, "pulse").await?);
    let credentials = writer("tidemark-heartbeat");
    let rows = async || {
        let mut stream = Stream::open(&servers, &server, Some(credentials.clone())).await?;
        Ok(stream.read(KEEP).await?)
    };
    let rows = beat_until(&estate, 3, rows).await?;
    let (resource, keys) = (ResourceId::redis("pulse"), heartbeat_keys()?);
    assert!(judge(&rows, question(&resource, None), &keys).is_sound(), "{rows:?}");
    let mut connection = servers.connect(&server, Some(&credentials)).await?;
    for command in [
        "SET orders 1",
        "GET orders",
        "DEL tidemark:heartbeat",
        "XTRIM tidemark:heartbeat MAXLEN 0",
        "XDEL tidemark:heartbeat 1-0",
        "EXPIRE tidemark:heartbeat 1",
        "XADD orders 1-0 a b",
        "FLUSHALL",
        "CONFIG GET dir",
        "ACL LIST",
        "EVAL return 0",
        "PUBLISH orders 1",
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let reply = connection.ask(&words, Duration::from_secs(5)).await?;
        let refused = reply.granted(command).err().with_context(|| command.to_owned())?;
        ensure!(refused.code() == REFUSED && refused.to_string().contains("NOPERM"), "{}", refused.report());
    }

    // It is lost, and the newest recovery point comes back.
    estate.cloud.fire_schedule("backup-redis-slot").await?;
    poll("a recovery point of redis/pulse", async || {
        estate.cloud.fire_schedule("backup-redis-tick").await?;
        let mut entries = estate.cloud.ledger().await?.into_iter();
        let is_it =
            |entry: &Value| entry["resource"] == "redis/pulse" && entry["kind"] == "recovery-point-completed";
        Ok(entries.any(|entry| is_it(&entry)).then_some(()))
    })
    .await?;
    let entry =
        lost(&estate, &json!({"resource": "redis/pulse", "to": "latest", "as": "pulse-restored"})).await?;
    let loss = &entry["evidence"]["loss"];
    assert_eq!((&entry["outcome"], &loss["known"]), (&json!("completed"), &json!("measured")), "{entry}");
    assert!(loss["heartbeat"]["number"].as_u64() >= Some(3), "{entry}");

    // Somebody else writes there.
    owner.call(&["XADD", heartbeat::redis::KEY, "900-0", "follows", "1"]).await?;
    let finding = found(&estate, "redis/pulse", "heartbeat-not-intact").await?;
    assert!(finding["says"].to_string().contains("900 (unreadable)"), "{finding}");
    Ok(())
}

async fn endpoint(estate: &Estate<'_>, name: &str) -> Result<Server> {
    let group = estate.elasticache(estate.home()).describe_replication_groups().replication_group_id(name);
    let found = group.send().await?;
    let primary = found.replication_groups().first().and_then(|group| group.node_groups().first());
    let endpoint = primary.and_then(|group| group.primary_endpoint()).context("no endpoint")?;
    Ok(Server {
        host: endpoint.address().context("no address")?.to_owned(),
        port: u16::try_from(endpoint.port().context("no port")?)?,
        tls: false,
    })
}

#[tokio::test]
async fn a_database_at_turso_gets_them_with_a_token_of_its_own() -> Result<()> {
    let estate = estate().await?;
    let database = Libsql::create(cloud(), "ledger").await?;
    database.run(&[heartbeat::sqlite::TABLE.to_owned()]).await?;
    let made = platform(cloud(), Method::POST, "databases/ledger/auth/tokens?expiration=1h", None).await?;
    let token = made["jwt"].as_str().context("no token")?;
    let listed = platform(cloud(), Method::GET, "databases/ledger", None).await?;
    let hostname = listed["database"]["Hostname"].as_str().context("no hostname")?;
    estate.put_secret("tidemark/heartbeat-ledger", &json!({"hostname": hostname, "token": token})).await?;

    let settings = Settings::new([("TIDEMARK_TURSO_API".to_owned(), cloud().turso().endpoint())]);
    let token = SecretString::from(token);
    let turso = HttpConnector::new(&settings, ORGANIZATION)?.connect(token.clone());
    let session = Session { hostname: hostname.to_owned(), token, encryption_key: None };
    let rows = async || {
        let mut table = turso::heartbeats::Table::new(turso.clone(), session.clone());
        Ok(table.read(KEEP).await?)
    };
    let rows = beat_until(&estate, 3, rows).await?;
    let (resource, keys) = (ResourceId::turso("ledger"), heartbeat_keys()?);
    assert!(judge(&rows, question(&resource, None), &keys).is_sound(), "{rows:?}");
    cloud().turso().archive_now("ledger").await?;
    let now = Timestamp::now();
    poll("the clock moving on", async || {
        Ok((Timestamp::now().as_second() > now.as_second() + 1).then_some(()))
    })
    .await?;
    let entry =
        lost(&estate, &json!({"resource": "turso/ledger", "to": now, "as": "ledger-restored"})).await?;
    assert_eq!(entry["outcome"], "completed", "{entry}");
    let newest = rows.iter().filter_map(|row| row.at_ms.parse::<i64>().ok()).max().context("none")?;
    // Other tests may have woken the writer since.
    let at_most = entry["loss"]["at_most_ms"].as_i64().filter(|_| entry["loss"]["is_measured"] == true);
    assert!(at_most.is_some_and(|lost| lost <= now.as_millisecond() - newest), "{entry}");
    database.run(&["DELETE FROM tidemark_heartbeat WHERE number = 2".to_owned()]).await?;
    let finding = found(&estate, "turso/ledger", "heartbeat-gap").await?;
    assert!(finding["says"].to_string().contains("1 between number 1"), "{finding}");
    Ok(())
}
