//! Rows read from a real sqld.

mod common;
mod sqld;

use common::{HARD, content};
use sqld::Sqld;
use tempfile::TempDir;
use turso::{check, cursor};

const ROOM: u64 = 1 << 30;

#[tokio::test]
async fn every_value_comes_as_it_is() {
    let sqld = Sqld::start().await;
    sqld.execute(HARD).await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("copy");
    cursor::copy(&sqld.turso, &sqld.session, &path, ROOM).await.unwrap();
    let (_there, theirs) = sqld.files();
    let (expected, copied) = (content(&theirs), content(&path));
    for (what, rows) in &expected {
        assert_eq!(Some(rows), copied.get(what), "{what}");
    }
    assert_eq!(expected.len(), copied.len());
    let checked = check::check(&path).unwrap();
    assert_eq!(checked.user_version, -7);
    assert_eq!(checked.rows["counted"], 1);
    // The search index came along, and finds.
    let file = rusqlite::Connection::open(&path).unwrap();
    let found: i64 =
        file.query_row("SELECT rowid FROM notes WHERE notes MATCH 'mark'", [], |row| row.get(0)).unwrap();
    assert_eq!(found, 7);
    // The next number goes on where it was, and the trigger works.
    file.execute("INSERT INTO counted(x) VALUES ('next')", []).unwrap();
    let line: String =
        file.query_row("SELECT line FROM log ORDER BY rowid DESC LIMIT 1", [], |row| row.get(0)).unwrap();
    assert_eq!(line, "counted 501");
}

#[tokio::test]
async fn libsqls_own_vector_indexes_are_carried_over() {
    let sqld = Sqld::start().await;
    sqld.execute(&[
        "CREATE TABLE v(id INTEGER PRIMARY KEY, e F32_BLOB(3))",
        "CREATE INDEX vi ON v(libsql_vector_idx(e))",
        "INSERT INTO v VALUES (1, vector('[1,2,3]')), (2, vector('[4,5,6]'))",
    ])
    .await;
    let (_there, theirs) = sqld.files();
    // Its own file, with the log taken in, is whole to us although SQLite has no such index.
    rusqlite::Connection::open(&theirs).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert_eq!(check::check(&theirs).unwrap().rows["v"], 2);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("copy");
    cursor::copy(&sqld.turso, &sqld.session, &path, ROOM).await.unwrap();
    assert_eq!(check::check(&path).unwrap().schema_sha256, check::check(&theirs).unwrap().schema_sha256);
}

#[tokio::test]
async fn a_writer_is_seen_between_two_transactions() {
    let sqld = Sqld::start().await;
    // The trigger makes one transaction of both writes: a copy that has only one of them is torn.
    sqld.execute(&[
        "CREATE TABLE a(n)",
        "CREATE TABLE b(n)",
        "CREATE TRIGGER both AFTER INSERT ON a BEGIN INSERT INTO b VALUES (new.n); END",
    ])
    .await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("copy");
    let writer = async {
        loop {
            sqld.execute(&["INSERT INTO a VALUES (1)"]).await;
        }
    };
    let reader = async {
        let mut seen = Vec::new();
        while seen.len() < 3 {
            cursor::copy(&sqld.turso, &sqld.session, &path, ROOM).await.unwrap();
            let rows = check::check(&path).unwrap().rows;
            assert_eq!(rows["a"], rows["b"]);
            if seen.last() != Some(&rows["a"]) {
                seen.push(rows["a"]);
            }
        }
    };
    tokio::select! { () = writer => {}, () = reader => {} }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_sizes() {
    let sqld = Sqld::start().await;
    sqld.execute(&["CREATE TABLE a(n)", "INSERT INTO a VALUES (zeroblob(100000))"]).await;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("copy");
    let error = cursor::copy(&sqld.turso, &sqld.session, &path, 50_000).await.unwrap_err();
    assert_eq!(error.code(), "DatabaseTooLarge");
    assert!(error.report().contains("50000") && !path.exists(), "{}", error.report());
}
