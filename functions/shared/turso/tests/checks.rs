//! What a drill finds in restored databases: those in memory, and a real sqld on damaged pages.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;
mod sqld;

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use common::HARD;
use reconcile::{Error, Kind};
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use sqld::Sqld;
use tempfile::TempDir;
use turso::{
    Access, FakeTurso, Session, Turso, check,
    checks::{self, Expected, FaultKind, Integrity, Remark, Walk},
};

const SCHEMA: &str = "CREATE TABLE t(a INTEGER, b TEXT); CREATE INDEX i ON t(a); CREATE TABLE other(k TEXT PRIMARY KEY, v) WITHOUT ROWID;
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000)
        INSERT INTO t SELECT x, printf('secret-%0100d', x) FROM n;
    INSERT INTO other SELECT a, b FROM t LIMIT 3000; CREATE TABLE empty(x); CREATE TABLE zz(x);
    INSERT INTO zz VALUES (zeroblob(100000)), ('x'), (NULL), (1), (2.5)";

fn plenty() -> Duration {
    Duration::from_mins(10)
}

async fn session(turso: &FakeTurso, access: Access) -> Session {
    let token = turso.token("orders", access, Duration::from_hours(1)).await.unwrap();
    Session { hostname: "orders-acme.turso.io".to_owned(), token, encryption_key: None }
}

async fn orders(sql: &str) -> (FakeTurso, Session) {
    let turso = FakeTurso::default();
    turso.put(FakeTurso::listed("orders", "id-1", "production"), sql);
    let session = session(&turso, Access::ReadOnly).await;
    (turso, session)
}

fn content(rows: &BTreeMap<String, u64>) -> Map<String, Value> {
    json!({"rows": rows}).as_object().unwrap().clone()
}

fn rows(rows: &[(&str, u64)]) -> Expected {
    let rows = rows.iter().map(|(table, count)| ((*table).to_owned(), *count)).collect();
    Expected::of_content(&content(&rows)).unwrap()
}

fn of_schema() -> Expected {
    rows(&[("t", 20_000), ("other", 3_000), ("empty", 0), ("zz", 5)])
}

async fn checked(turso: &impl Turso, at: &Session, expected: Option<&Expected>) -> Walk {
    let mut walk = Walk::default();
    checks::check(turso, at, expected, &mut walk, plenty).await.unwrap();
    assert!(walk.is_over);
    walk
}

/// Few steps in each invocation, between which the walk is a document.
async fn checked_in_steps(turso: &impl Turso, at: &Session, expected: Option<&Expected>, rows: u64) -> Walk {
    let mut walk = Walk::in_steps_of(rows);
    for _ in 0..10_000 {
        let left = Cell::new(4);
        let time = || {
            left.set(left.get() - 1);
            if left.get() == 0 { Duration::ZERO } else { plenty() }
        };
        let _ = checks::check(turso, at, expected, &mut walk, time).await;
        walk = serde_json::from_str(&serde_json::to_string(&walk).unwrap()).unwrap();
        if walk.is_over {
            return walk;
        }
    }
    panic!("it is never over: {walk:?}");
}

#[tokio::test]
async fn every_row_is_read_and_counted_in_one_go_and_in_many() {
    let (turso, at) = orders(SCHEMA).await;
    let walk = checked(&turso, &at, Some(&of_schema())).await;
    assert_eq!((&walk.evidence.findings, &walk.evidence.notes), (&Vec::new(), &Vec::new()));
    assert_eq!((walk.integrity, walk.tables_read, walk.rows), (Integrity::Whole, 4, 23_005));
    let zz = walk.tables.iter().find(|table| table.table == "zz").unwrap();
    assert_eq!((zz.rows, zz.bytes, zz.is_whole), (5, 100_005, true));
    for step in [1_000, 2_999, 3_000, 3_001, 30_000] {
        let again = checked_in_steps(&turso, &at, Some(&of_schema()), step).await;
        assert_eq!(
            (again.tables, again.evidence, again.bytes),
            (walk.tables.clone(), walk.evidence.clone(), walk.bytes)
        );
    }
    assert!(!serde_json::to_string(&walk).unwrap().contains("secret"));
}

/// Whatever a database may have is read, and counted as the recovery point counts it.
#[tokio::test]
async fn odd_tables_are_read() {
    let (turso, at) = orders(&HARD.join(";")).await;
    let path = TempDir::new().unwrap().keep().join("copy");
    turso::cursor::copy(&turso, &at, &path, 1 << 30).await.unwrap();
    let manifest = check::check(&path).unwrap().rows;
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    let walk = checked(&turso, &at, Some(&Expected::of_content(&content(&manifest)).unwrap())).await;
    assert_eq!((&walk.evidence.findings, walk.tables_read), (&Vec::new(), manifest.len() as u64));
    for step in [1, 2, 3] {
        assert_eq!(checked_in_steps(&turso, &at, None, step).await.tables, walk.tables);
    }
    let wide: Vec<String> = (0..1_900).map(|column| format!("c{column}")).collect();
    turso.execute(
        "orders",
        &format!("CREATE TABLE wide({}); INSERT INTO wide(c7, c1899) VALUES ('abc', 'd')", wide.join(",")),
    );
    let walk = checked(&turso, &at, None).await;
    assert_eq!(walk.tables.iter().find(|table| table.table == "wide").unwrap().bytes, 4);
    assert_eq!((walk.evidence.findings, walk.evidence.notes[0].what), (Vec::new(), Remark::NotCompared));
}

#[tokio::test]
async fn what_is_missing_or_too_much_is_found() {
    let faults = async |spoiling: &str, expected: &Expected| {
        let (turso, at) = orders(SCHEMA).await;
        turso.execute("orders", spoiling);
        let walk = checked(&turso, &at, Some(expected)).await;
        assert!(walk.evidence.findings.iter().all(|finding| finding.fault.kind == FaultKind::Different));
        walk.evidence.findings.into_iter().map(|finding| finding.table.unwrap()).collect::<Vec<_>>()
    };
    let expected = of_schema();
    assert_eq!(faults("DELETE FROM t WHERE a = 7", &expected).await, ["t"]);
    assert_eq!(faults("INSERT INTO empty VALUES (1)", &expected).await, ["empty"]);
    assert_eq!(faults("DROP TABLE zz; CREATE TABLE yy(x)", &expected).await, ["zz", "yy"]);
    // Of a branch only the tables are known.
    let had = |tables: &[&str]| content(&tables.iter().map(|table| ((*table).to_owned(), 1)).collect());
    let expected =
        Expected::of_neighbours(&had(&["t", "gone", "dropped"]), &had(&["t", "gone", "new"])).unwrap();
    assert_eq!(faults("DELETE FROM t WHERE a = 7", &expected).await, ["gone"]);
    assert!(Expected::of_content(&Map::new()).is_err());
}

/// Whichever call goes wrong, and however, the next invocation goes on, and finds the same.
#[tokio::test]
async fn a_call_that_is_lost_anywhere_changes_nothing() {
    let (turso, at) = orders(SCHEMA).await;
    let unbroken = checked(&turso, &at, Some(&of_schema())).await;
    for good in 0..9 {
        for fault in 0..4 {
            let mut walk = Walk::default();
            let left = Cell::new(good);
            let time = || {
                left.set(left.get() - 1);
                if left.get() < 0 { Duration::ZERO } else { plenty() }
            };
            checks::check(&turso, &at, Some(&of_schema()), &mut walk, time).await.unwrap();
            match fault {
                0 => turso.refuse_next("cursor", Error::retryable("TursoUnavailable", "down")),
                1 => turso.cut_next("cursor", 200),
                2 => turso.lose_answer_of_next("cursor"),
                _ => turso.garble_next("cursor", 30),
            }
            let met = checks::check(&turso, &at, Some(&of_schema()), &mut walk, plenty).await;
            assert_eq!(met.unwrap_err().kind(), Kind::Retryable, "{good} {fault}");
            walk = serde_json::from_str(&serde_json::to_string(&walk).unwrap()).unwrap();
            checks::check(&turso, &at, Some(&of_schema()), &mut walk, plenty).await.unwrap();
            assert_eq!(
                (walk.tables, walk.evidence),
                (unbroken.tables.clone(), unbroken.evidence.clone()),
                "{good} {fault}"
            );
        }
    }
}

#[tokio::test]
async fn what_never_comes_is_found_at_last_and_passed() {
    let (turso, at) = orders(SCHEMA).await;
    let down = || Error::retryable("TursoTimedOut", "no answer");
    // The pages of the whole database, three times.
    let mut walk = Walk::in_steps_of(16);
    for _ in 0..3 {
        turso.refuse_next("cursor", down());
        checks::check(&turso, &at, None, &mut walk, plenty).await.unwrap_err();
    }
    assert_eq!((walk.integrity, walk.evidence.notes.len()), (Integrity::ByTable, 0));
    // The first table: a look at the schema, and then nothing, down to a single row.
    let mut tries = 0;
    while walk.evidence.findings.is_empty() {
        let left = Cell::new(1);
        let first = || if left.replace(0) == 1 { plenty() } else { Duration::ZERO };
        checks::check(&turso, &at, None, &mut walk, first).await.unwrap();
        turso.refuse_next("cursor", down());
        checks::check(&turso, &at, None, &mut walk, plenty).await.unwrap_err();
        tries += 1;
        assert!(tries < 20, "{walk:?}");
    }
    assert_eq!(
        (walk.evidence.findings[0].fault.kind, walk.evidence.findings[0].table.as_deref()),
        (FaultKind::Unavailable, Some("empty"))
    );
    checks::check(&turso, &at, None, &mut walk, plenty).await.unwrap();
    assert_eq!((walk.is_over, walk.tables_read, walk.rows), (true, 4, 23_005));
}

/// The pages of a table that take too long are checked more quickly, and then not.
#[tokio::test]
async fn pages_are_checked_as_thoroughly_as_time_allows() {
    let (turso, at) = orders(SCHEMA).await;
    let mut walk = Walk::default();
    let lose = async |walk: &mut Walk, message: &str| {
        for _ in 0..3 {
            turso.refuse_next("cursor", Error::retryable("TursoUnavailable", message));
            checks::check(&turso, &at, None, walk, plenty).await.unwrap_err();
        }
    };
    lose(&mut walk, "no answer").await;
    // Reads the first table, and no more.
    let left = Cell::new(3);
    let time = || if left.replace(left.get() - 1) > 1 { plenty() } else { Duration::ZERO };
    checks::check(&turso, &at, None, &mut walk, time).await.unwrap();
    lose(&mut walk, "no answer").await;
    let mut quick = walk.clone();
    lose(&mut walk, "no answer").await;
    for (walk, what) in [(&mut quick, Remark::IndexesNotChecked), (&mut walk, Remark::TableNotChecked)] {
        checks::check(&turso, &at, None, walk, plenty).await.unwrap();
        let told: Vec<_> =
            walk.evidence.notes.iter().map(|note| (note.what, note.table.as_deref())).collect();
        assert_eq!(told, [(what, Some("empty")), (Remark::NotCompared, None)]);
        assert_eq!((walk.evidence.findings.len(), walk.tables_read), (0, 4));
    }
    let mut walk = Walk::default();
    lose(&mut walk, "Turso answers 500: unsupported statement: PRAGMA").await;
    assert_eq!(
        (walk.integrity, walk.evidence.notes[0].what),
        (Integrity::NotChecked, Remark::PagesNotChecked)
    );
}

#[tokio::test]
async fn a_token_that_is_refused_is_the_callers_to_mend() {
    let (turso, at) = orders(SCHEMA).await;
    turso.change("orders", |database| database.listed.block_reads = true);
    let mut walk = Walk::default();
    for _ in 0..5 {
        let error = checks::check(&turso, &at, None, &mut walk, plenty).await.unwrap_err();
        assert_eq!(error.code(), "TursoForbidden");
    }
    turso.change("orders", |database| database.listed.block_reads = false);
    turso.refuse_next("cursor", Error::permanent("TursoRequestInvalid", "no such pragma"));
    checks::check(&turso, &at, None, &mut walk, plenty).await.unwrap();
    assert_eq!(
        (walk.integrity, walk.evidence.findings.len(), walk.tables_read),
        (Integrity::NotChecked, 0, 4)
    );
}

/// The pages of a database, as a restore brings them.
fn pages(sql: &str) -> Vec<u8> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    let file = Connection::open(&path).unwrap();
    file.execute_batch("PRAGMA page_size = 4096").unwrap();
    file.execute_batch(sql).unwrap();
    drop(file);
    check::prepare_for_upload(&path).unwrap();
    std::fs::read(&path).unwrap()
}

const PAGE: usize = 4096;

#[tokio::test]
async fn sqld_is_checked_to_the_last_page() {
    let sound = pages(SCHEMA);
    let sqld = Sqld::on(Some(&sound)).await;
    let walk = checked(&sqld.turso, &sqld.session, Some(&of_schema())).await;
    assert_eq!(
        (&walk.evidence.findings, &walk.evidence.notes, walk.integrity),
        (&Vec::new(), &Vec::new(), Integrity::Whole)
    );
    assert_eq!(
        checked_in_steps(&sqld.turso, &sqld.session, Some(&of_schema()), 1_500).await.tables,
        walk.tables
    );

    // A page of zeros within `t`: the count comes from the index and knows of nothing.
    let inside =
        |needle: &[u8]| sound.windows(needle.len()).position(|bytes| bytes == needle).unwrap() / PAGE;
    let page = inside(b"secret-0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000010000");
    let mut damaged = sound.clone();
    damaged[page * PAGE..(page + 1) * PAGE].fill(0);
    let sqld = Sqld::on(Some(&damaged)).await;
    let walk = checked(&sqld.turso, &sqld.session, Some(&of_schema())).await;
    let found: Vec<_> =
        walk.evidence.findings.iter().map(|finding| (finding.table.as_deref(), finding.fault.kind)).collect();
    assert_eq!(found, [(None, FaultKind::Corrupt), (Some("t"), FaultKind::Corrupt)], "{:?}", walk.evidence);
    assert!(walk.evidence.findings[1].fault.message.contains("malformed"), "{:?}", walk.evidence);
    assert_eq!(
        walk.tables.iter().filter(|table| table.is_whole).count(),
        3,
        "the others are read all the same"
    );
    assert!(!serde_json::to_string(&walk).unwrap().contains("secret"));

    // An index that has lost its entries.
    let mut damaged = sound.clone();
    let root: i64 = {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, &sound).unwrap();
        let file = Connection::open(&path).unwrap();
        file.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'i'", [], |row| row.get(0)).unwrap()
    };
    let at = (usize::try_from(root).unwrap() - 1) * PAGE;
    // An empty leaf.
    damaged[at..at + 8].copy_from_slice(&[10, 0, 0, 0, 0, 0x10, 0, 0]);
    let sqld = Sqld::on(Some(&damaged)).await;
    let walk = checked(&sqld.turso, &sqld.session, Some(&of_schema())).await;
    let lost: Vec<_> =
        walk.evidence.findings.iter().filter(|finding| finding.table.as_deref() == Some("t")).collect();
    assert!(lost.len() == 1 && lost[0].fault.message.contains("counts 0"), "{:?}", walk.evidence);
    assert!(walk.evidence.findings.len() == 6 && walk.evidence.more_findings > 50);
}

/// A file that ends too early is none that sqld starts on; one that loses its end under it is found.
#[tokio::test]
async fn a_file_that_is_cut_under_a_server_is_found() {
    let sound = pages(SCHEMA);
    let sqld = Sqld::on(Some(&sound)).await;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(sqld.folder.path().join("data/dbs/default/data"))
        .unwrap();
    file.set_len(sound.len() as u64 / 2 / 4096 * 4096).unwrap();
    let walk = checked(&sqld.turso, &sqld.session, Some(&of_schema())).await;
    assert!(
        walk.evidence.findings.iter().any(|finding| finding.fault.kind == FaultKind::Corrupt),
        "{:?}",
        walk.evidence
    );
}

#[tokio::test]
async fn vector_indexes_are_no_damage() {
    let sqld = Sqld::start().await;
    sqld.execute(&[
        "CREATE TABLE v(id INTEGER PRIMARY KEY, e F32_BLOB(3))",
        "CREATE INDEX vi ON v(libsql_vector_idx(e))",
        "INSERT INTO v VALUES (1, vector('[1,2,3]')), (2, vector('[4,5,6]'))",
    ])
    .await;
    let walk = checked(&sqld.turso, &sqld.session, None).await;
    assert_eq!((walk.evidence.findings, walk.integrity), (Vec::new(), Integrity::Whole));
    assert_eq!(walk.tables.iter().find(|table| table.table == "v").unwrap().rows, 2);
}

/// What it costs: run by name, for the figures in `docs/drills.md`.
#[tokio::test]
#[ignore = "a measurement"]
async fn three_hundred_megabytes() {
    let sqld = Sqld::on(Some(&pages(
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c INTEGER); CREATE INDEX i ON t(c);
         WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000000)
             INSERT INTO t SELECT x, hex(randomblob(60)), x * 7 FROM n",
    )))
    .await;
    let begun = std::time::Instant::now();
    let walk = checked(&sqld.turso, &sqld.session, None).await;
    panic!("{} bytes of {} rows in {:?}", walk.bytes, walk.rows, begun.elapsed());
}
