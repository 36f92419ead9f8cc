//! What all tests share: keys, and a writer that has written for some time.

mod judging;
mod signing;
mod stores;
mod writing;

use std::cmp::Reverse;

use domain::ResourceId;
use jiff::{SignedDuration, Timestamp};
use secrecy::SecretString;

use crate::{Judgement, Keys, Question, READ_TO_WRITE, Rhythm, Row, judge, next};

/// 00 01 … 1f.
const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// As long as a key can be: a5, 64 times.
const LONG: &str = concat!(
    "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5",
    "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"
);

/// As they stand in the secret, the newest first.
fn keys(named: &[(&str, &str)]) -> Keys {
    let entries: Vec<String> =
        named.iter().map(|(id, secret)| format!(r#"{{"id":"{id}","secret":"{secret}"}}"#)).collect();
    Keys::parse(&SecretString::from(format!(r#"{{"keys":[{}]}}"#, entries.join(",")))).unwrap()
}

fn old() -> Keys {
    keys(&[("2026-11", OLD)])
}

fn new() -> Keys {
    keys(&[("2027-02", LONG)])
}

fn both() -> Keys {
    keys(&[("2027-02", LONG), ("2026-11", OLD)])
}

fn orders() -> ResourceId {
    ResourceId::rds("orders")
}

fn start() -> Timestamp {
    "2026-11-23T10:40:00Z".parse().unwrap()
}

fn after(seconds: i64) -> Timestamp {
    start() + SignedDuration::from_secs(seconds)
}

/// Writes on, a minute after another from `from` seconds on.
fn write_on(rows: &mut Vec<Row>, count: usize, from: i64, keys: &Keys) {
    for minute in (0..).take(count) {
        let written = next(&orders(), &newest(rows), after(from + 60 * minute), keys).unwrap();
        rows.push(Row::from(&written.heartbeat));
    }
}

/// As a writer reads them.
fn newest(rows: &[Row]) -> Vec<Row> {
    let mut newest = rows.to_vec();
    newest.sort_by_key(|row| Reverse(row.position()));
    newest.truncate(READ_TO_WRITE as usize);
    newest
}

/// What a writer that nothing happens to writes: number 1 at the start, one each minute.
fn written(count: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    write_on(&mut rows, count, 0, &old());
    rows
}

fn judged(rows: &[Row], restored_to: Option<Timestamp>, asked_at: Timestamp, keys: &Keys) -> Judgement {
    let resource = orders();
    let question = Question { resource: &resource, restored_to, asked_at, rhythm: Rhythm::default() };
    judge(rows, question, keys)
}
