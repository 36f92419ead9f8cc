//! Heartbeats in a real sqld, and in the organization in memory, which must do the same.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod sqld;

use domain::ResourceId;
use heartbeat::{KEEP, Keys, Place, READ_TO_WRITE, Row, next, sqlite};
use jiff::{SignedDuration, Timestamp};
use reconcile::Kind;
use secrecy::SecretString;
use sqld::Sqld;
use turso::{FakeTurso, Session, Turso, heartbeats::Table};

fn keys() -> Keys {
    let secret = format!(r#"{{"keys": [{{"id": "2026-11", "secret": "{}"}}]}}"#, "5a".repeat(32));
    Keys::parse(&secret.into()).unwrap()
}

fn at(minute: i64) -> Timestamp {
    let start: Timestamp = "2026-11-23T10:40:00Z".parse().unwrap();
    start + SignedDuration::from_mins(minute)
}

async fn beat<T: Turso>(table: &mut Table<T>, minute: i64) -> Row {
    let rows = table.read(READ_TO_WRITE).await.unwrap();
    let made = next(&ResourceId::turso("shop"), &rows, at(minute), &keys()).unwrap();
    assert!(table.write(&made.heartbeat).await.unwrap());
    assert!(!table.write(&made.heartbeat).await.unwrap(), "the same again is another writer's");
    Row::from(&made.heartbeat)
}

async fn go_in_and_come_back<T: Turso>(mut table: Table<T>) {
    let mut written = Vec::new();
    for minute in 0..20 {
        written.push(beat(&mut table, minute).await);
    }
    written.reverse();
    assert_eq!(table.read(KEEP).await.unwrap(), written);
    assert_eq!(table.read(3).await.unwrap(), written[..3]);
}

#[tokio::test]
async fn sqld_takes_and_gives_them() {
    let sqld = Sqld::start().await;
    let mut table = Table::new(sqld.turso.clone(), sqld.session.clone());
    let error = table.read(1).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Misconfigured, "{}", error.report());
    assert!(error.report().contains("no such table"), "{}", error.report());
    sqld.execute(&[sqlite::TABLE]).await;
    go_in_and_come_back(table).await;
}

#[tokio::test]
async fn the_organization_in_memory_takes_and_gives_them() {
    let turso = FakeTurso::default();
    turso.put(FakeTurso::listed("shop", "db-1", "default"), sqlite::TABLE);
    let session = Session {
        hostname: "shop-acme.turso.io".to_owned(),
        token: SecretString::from("full-access-for-db-1"),
        encryption_key: None,
    };
    go_in_and_come_back(Table::new(turso, session)).await;
}

/// Every sixtieth deletes what is too much, also where much more is there than should be.
#[tokio::test]
async fn two_days_of_them_stay() {
    let sqld = Sqld::start().await;
    let mut table = Table::new(sqld.turso.clone(), sqld.session.clone());
    sqld.execute(&[
        sqlite::TABLE,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2998) \
         INSERT INTO tidemark_heartbeat SELECT i, i - 1, 0, 'turso/shop', '2026-11', 'v1:' FROM n",
    ])
    .await;
    beat(&mut table, 2_999).await;
    assert_eq!(table.read(4_000).await.unwrap().len(), 2_999);
    beat(&mut table, 3_000).await;
    let rows = table.read(4_000).await.unwrap();
    assert_eq!((rows.len(), rows[0].number.as_str()), (KEEP as usize, "3000"));
}
