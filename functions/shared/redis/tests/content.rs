//! What is told of a recovery point's files is found again in the same files, and in no others.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod support;

use std::collections::BTreeMap;

use jiff::Timestamp;
use redis::{
    aof::IncrScanner,
    checks::directory,
    content::{Checker, increment, recheck, shard, summary},
};
use serde_json::{Map, Value, json};
use support::corpus;

const COMMANDS: &[u8] = b"#TS:100\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n#TS:102\r\n*1\r\n$4\r\nPING\r\n";

/// Feeds a file in chunks, with a document in between.
fn checked(content: &Map<String, Value>, name: &str, bytes: &[u8]) -> Option<Checker> {
    let mut checker = Checker::of_stored(content, name, bytes.len() as u64)?;
    for chunk in bytes.chunks(1_000) {
        if checker.feed(chunk).is_err() {
            break;
        }
        checker = serde_json::from_str(&serde_json::to_string(&checker).unwrap()).unwrap();
    }
    Some(checker)
}

fn checkers(content: &Map<String, Value>, files: &[(&str, &[u8])]) -> BTreeMap<String, Checker> {
    let all =
        files.iter().filter_map(|(name, bytes)| Some(((*name).to_owned(), checked(content, name, bytes)?)));
    all.collect()
}

#[test]
fn an_export_holds_what_was_told_of_it() {
    for (name, bytes) in corpus() {
        let report = support::inspect(&bytes);
        // As long ago as may be: how many keys have expired is nobody's concern.
        let mut told = summary([&report, &report].into_iter(), Some(Timestamp::from_second(0).unwrap()));
        told.insert("shards".to_owned(), json!([shard("1.rdb", &report), shard("2.rdb", &report)]));
        let files = [("1.rdb", bytes.as_slice()), ("2.rdb", bytes.as_slice())];
        recheck(&told, &checkers(&told, &files)).unwrap_or_else(|why| panic!("{name}: {why}"));
        let one = checkers(&told, &files[..1]);
        assert!(recheck(&told, &one).unwrap_err().contains("the manifest says"), "{name}");
        let cut = checkers(&told, &[("1.rdb", &bytes), ("2.rdb", &bytes[..bytes.len() - 9])]);
        assert!(recheck(&told, &cut).unwrap_err().starts_with("2.rdb is corrupt, "), "{name}");
        let mut other = told.clone();
        other["expiring"] = json!(10_000);
        let why = recheck(&other, &checkers(&other, &files)).unwrap_err();
        assert!(why.ends_with("as its expiring; the manifest says 10000"), "{why}");
    }
}

#[test]
fn an_archive_holds_what_was_told_of_it() {
    let (_, base) = corpus().into_iter().find(|(name, _)| name == "redis-7.0.15.rdb").unwrap();
    let mut scanner = IncrScanner::new(None);
    scanner.feed(COMMANDS).unwrap();
    let mut told = summary([support::inspect(&base)].iter(), None);
    told.insert("base".to_owned(), json!({"object": "b.base.rdb"}));
    told.insert("increments".to_owned(), json!([increment("i.incr.aof", &scanner.finish())]));
    let files = |commands| {
        [("b.base.rdb", base.as_slice()), ("i.incr.aof", commands), ("a.manifest", b"file b".as_slice())]
    };
    let all = checkers(&told, &files(COMMANDS));
    assert_eq!(all.keys().collect::<Vec<_>>(), ["b.base.rdb", "i.incr.aof"], "the manifest holds no data");
    recheck(&told, &all).unwrap();
    let longer = [COMMANDS, b"*1\r\n$4\r\nPING\r\n"].concat();
    let why = recheck(&told, &checkers(&told, &files(&longer))).unwrap_err();
    assert_eq!(why, "it holds 3 as its commands of i.incr.aof; the manifest says 2");
    let why = recheck(&told, &checkers(&told, &files(b"nonsense"))).unwrap_err();
    assert!(why.starts_with("i.incr.aof is corrupt, at byte 0"), "{why}");
    // Documents that were written before are read.
    for (kind, checker) in [("base", &all["b.base.rdb"]), ("increment", &all["i.incr.aof"])] {
        assert!(json!(checker).get(kind).is_some());
    }
}

#[test]
fn a_directory_that_ends_with_a_second_holds_what_it_should() {
    let (_, base) = corpus().into_iter().find(|(name, _)| name == "redis-7.0.15.rdb").unwrap();
    let other = corpus().into_iter().find(|(name, _)| name != "redis-7.0.15.rdb").unwrap().1;
    let later = b"#TS:104\r\n*1\r\n$4\r\nPING\r\n#TS:106\r\n*1\r\n$4\r\nPING\r\n".as_slice();
    let told = |name, bytes: &[u8]| {
        let mut scanner = IncrScanner::new(None);
        scanner.feed(bytes).unwrap();
        increment(name, &scanner.finish())
    };
    let mut content = summary([support::inspect(&base)].iter(), None);
    content.insert("base".to_owned(), json!({"object": "b.base.rdb"}));
    content.insert("increments".to_owned(), json!([told("1.incr.aof", COMMANDS), told("2.incr.aof", later)]));
    let checked = |files: &[(&str, &[u8])], until: Option<i64>| {
        directory(
            &content,
            &checkers(&content, files),
            until.map(|second| Timestamp::from_second(second).unwrap()),
        )
    };
    let all = [("b.base.rdb", base.as_slice()), ("1.incr.aof", COMMANDS), ("2.incr.aof", later)];
    let cut = later.len() / 2;
    let first = [all[0], all[1], ("2.incr.aof", &later[..cut])];
    // All of it; up to a second within an increment, and up to the end of one.
    checked(&all, None).unwrap();
    checked(&all, Some(106)).unwrap();
    checked(&first, Some(105)).unwrap();
    checked(&all[..2], Some(103)).unwrap();
    checked(&all[..1], Some(99)).unwrap();
    for (files, until, why) in [
        (first.to_vec(), None, "the manifest says"),
        (all.to_vec(), Some(105), "which is after"),
        (vec![all[0], all[2]], Some(106), "1.incr.aof is missing"),
        (all[..1].to_vec(), Some(100), "1.incr.aof is missing"),
        (all[..2].to_vec(), Some(104), "2.incr.aof is missing"),
        (vec![all[0], ("1.incr.aof", &COMMANDS[..32]), all[2]], Some(101), "before it is cut off"),
        (vec![all[0], ("1.incr.aof", &COMMANDS[..32])], Some(103), "all 2 are of"),
        (vec![all[0], ("1.incr.aof", &COMMANDS[..30])], Some(101), "incomplete command"),
        (vec![all[0], ("1.incr.aof", b"nonsense".as_slice())], Some(106), "is corrupt"),
        (
            vec![all[0], ("1.incr.aof", [COMMANDS, COMMANDS].concat().leak())],
            Some(106),
            "the recovery point's has 2",
        ),
        (vec![("b.base.rdb", other.as_slice()), all[1]], Some(103), "the manifest says"),
        (all[1..].to_vec(), Some(106), "the manifest says"),
    ] {
        let found = checked(&files, until).unwrap_err();
        assert!(found.contains(why), "{found}");
    }
}
