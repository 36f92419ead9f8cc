//! Heartbeats in a real PostgreSQL, by the role that may write nothing else.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod support;

use domain::ResourceId;
use heartbeat::{KEEP, Keys, Place, READ_TO_WRITE, Row, next, postgres::GRANTS, postgres::TABLE};
use jiff::{SignedDuration, Timestamp};
use postgres::heartbeats::Table;
use reconcile::Kind;
use support::Cluster;

const ROLE: &str = "tidemark_heartbeat";

fn keys() -> Keys {
    let secret = format!(r#"{{"keys": [{{"id": "2026-11", "secret": "{}"}}]}}"#, "5a".repeat(32));
    Keys::parse(&secret.into()).unwrap()
}

fn at(minute: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T10:40:00Z".parse().unwrap();
    start + SignedDuration::from_mins(minute)
}

async fn table(cluster: &Cluster) -> Table {
    Table::new(cluster.connect("postgres", ROLE).await)
}

async fn beat(table: &mut Table, minute: i64) -> Row {
    let rows = table.read(READ_TO_WRITE).await.unwrap();
    let made = next(&ResourceId::rds("orders"), &rows, at(minute), &keys()).unwrap();
    assert!(table.write(&made.heartbeat).await.unwrap());
    assert!(!table.write(&made.heartbeat).await.unwrap(), "the same again is another writer's");
    Row::from(&made.heartbeat)
}

#[tokio::test]
async fn they_go_in_and_come_back() {
    let cluster = Cluster::start(true).await;
    cluster.run("CREATE ROLE tidemark_heartbeat LOGIN").await;
    let mut writer = table(&cluster).await;
    let error = writer.read(1).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("42P01", Kind::Misconfigured), "{}", error.report());
    cluster.run(TABLE).await;
    let error = writer.read(1).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("42501", Kind::Misconfigured), "{}", error.report());
    // As often as somebody likes.
    cluster.run(&[TABLE, GRANTS, TABLE, GRANTS].concat()).await;
    let mut written = Vec::new();
    for minute in 0..20 {
        written.push(beat(&mut writer, minute).await);
    }
    written.reverse();
    assert_eq!(writer.read(KEEP).await.unwrap(), written);
    assert_eq!(writer.read(3).await.unwrap(), written[..3]);
}

#[tokio::test]
async fn two_days_of_them_stay() {
    let cluster = Cluster::start(true).await;
    cluster.run(&["CREATE ROLE tidemark_heartbeat LOGIN;", TABLE, GRANTS].concat()).await;
    let fill = "INSERT INTO tidemark.tidemark_heartbeat
        SELECT i, i - 1, 0, 'rds/orders', '2026-11', 'v1:' FROM generate_series(1, 2900) AS i";
    cluster.run(fill).await;
    let mut writer = table(&cluster).await;
    let rows = writer.read(READ_TO_WRITE).await.unwrap();
    let made = next(&ResourceId::rds("orders"), &rows, at(0), &keys()).unwrap();
    assert!(writer.write(&made.heartbeat).await.unwrap());
    let rows = writer.read(4_000).await.unwrap();
    assert_eq!((rows.len(), rows[0].number.as_str()), (KEEP as usize, "2901"));
    // A writer that was not quick enough makes room as if it had been.
    assert!(!writer.write(&made.heartbeat).await.unwrap());
    assert_eq!(writer.read(4_000).await.unwrap().len(), KEEP as usize - 1);
}

/// Somebody holds a lock on the table: the role's own limits end the wait, and it passes.
#[tokio::test]
async fn a_lock_is_not_waited_for() {
    let cluster = Cluster::start(true).await;
    let impatient = "ALTER ROLE tidemark_heartbeat SET lock_timeout = '50ms'";
    cluster.run(&["CREATE ROLE tidemark_heartbeat LOGIN;", TABLE, GRANTS, impatient].concat()).await;
    let locked = cluster.connect("postgres", "admin").await;
    locked
        .batch_execute("BEGIN; LOCK TABLE tidemark.tidemark_heartbeat IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let mut writer = table(&cluster).await;
    let error = writer.read(1).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("55P03", Kind::Retryable), "{}", error.report());
    locked.batch_execute("ROLLBACK").await.unwrap();
    beat(&mut writer, 0).await;
}
