//! How much memory the work on a large copy takes: alone in its process, so that the figure is its own.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs::File;

use tempfile::TempDir;
use turso::{
    check,
    compress::{Parts, Unpacker, digest},
};

/// What the process may hold at most, its own code and the test's among it.
const LIMIT_BYTES: u64 = 64 << 20;

/// The most that this process ever held (`proc_pid_status(5)`, `VmHWM`).
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn a_copy_of_any_size_is_opened_stored_and_read_back_in_little_memory() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("large");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch(
        "PRAGMA page_size = 4096; PRAGMA cache_size = -2000; PRAGMA journal_mode = OFF; CREATE TABLE rows(id INTEGER PRIMARY KEY, x, y);
         CREATE INDEX by_x ON rows(x);
         WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80000)
         INSERT INTO rows(x, y) SELECT i * 7919 % 80000, randomblob(1000) FROM n",
    )
    .unwrap();
    drop(file);
    let plain = digest(&path).unwrap();
    assert!(plain.bytes > LIMIT_BYTES, "more than may be held");
    assert_eq!(check::check(&path).unwrap().rows["rows"], 80_000);
    let mut parts = Parts::new(File::open(&path).unwrap(), 8 << 20).unwrap();
    let mut unpacker = Unpacker::new(std::io::sink()).unwrap();
    while let Some(part) = parts.next_part().unwrap() {
        unpacker.add(&part).unwrap();
    }
    assert_eq!(unpacker.finish().unwrap(), plain);
    println!("{} bytes of database, {} bytes of memory", plain.bytes, peak_bytes());
    assert!(peak_bytes() < LIMIT_BYTES, "{} bytes", peak_bytes());
}
