//! What the scanner says of increments, what is kept of a directory, and that the server's own tool agrees.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;
use redis::aof::{BaseScanner, IncrReport, IncrScanner, Manifest, Refusal, Why, assemble, interval};
use rstest::rstest;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn command(words: &[&str]) -> Vec<u8> {
    let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect::<Vec<_>>();
    format!("*{}\r\n{}", words.len(), words.concat()).into_bytes()
}

fn time(second: i64) -> Vec<u8> {
    format!("#TS:{second}\r\n").into_bytes()
}

fn scan(bytes: &[u8], target: Option<i64>, chunk: usize) -> IncrReport {
    let mut scanner = IncrScanner::new(target.map(at));
    for chunk in bytes.chunks(chunk) {
        if scanner.feed(chunk).is_err() {
            break;
        }
        let checkpoint = serde_json::to_string(&scanner).unwrap();
        assert!(checkpoint.len() < 8192);
        scanner = serde_json::from_str(&checkpoint).unwrap();
    }
    scanner.finish()
}

#[test]
fn cuts_before_the_first_later_second() {
    let one = [time(100), command(&["SELECT", "0"]), command(&["SET", "a", "1"])].concat();
    let two = [time(102), command(&["SET", "b", "#TS:999\r\n"])].concat();
    let three = [time(105), command(&["SET", "c", "3"])].concat();
    let all = [one.clone(), two.clone(), three].concat();
    for (target, cut) in [
        (99, Some(0)),
        (100, Some(one.len())),
        (101, Some(one.len())),
        (104, Some(one.len() + two.len())),
        (105, None),
        (200, None),
    ] {
        let report = scan(&all, Some(target), 7);
        assert_eq!(report.cut_bytes, cut.map(|cut| cut as u64), "up to {target}");
        assert_eq!((report.first, report.last), (Some(at(100)), Some(at(105))));
        assert_eq!((report.commands, report.undated_commands, report.torn_bytes()), (4, 0, 0));
    }
}

#[test]
fn a_transaction_is_kept_whole_or_not_at_all() {
    let before = [time(100), command(&["SET", "a", "1"])].concat();
    let transaction = [
        command(&["MULTI"]),
        command(&["SET", "b", "1"]),
        time(101),
        command(&["SET", "c", "1"]),
        command(&["exec"]),
    ];
    let all = [before.clone(), transaction.concat(), time(102)].concat();
    assert_eq!(scan(&all, Some(100), 1).cut_bytes, Some(before.len() as u64));
    assert_eq!(scan(&all, Some(101), 1).cut_bytes, Some(all.len() as u64 - 9));
    // A crash in the middle of it: what is whole ends before it.
    for cut in before.len()..before.len() + transaction.concat().len() {
        let report = scan(&all[..cut], None, 5);
        assert_eq!(report.complete_bytes, before.len() as u64);
        assert_eq!((report.torn_bytes(), report.broken), ((cut - before.len()) as u64, None));
    }
}

#[rstest]
#[case::no_command(b"#TS:1\r\nSET a 1\r\n", 7, Why::NoCommand(b'S'))]
#[case::zeros(b"#TS:1\r\n\0\0\0\0", 7, Why::NoCommand(0))]
#[case::no_argument(b"*1\r\n+OK\r\n", 4, Why::NoArgument(b'+'))]
#[case::no_arguments(b"*0\r\n", 0, Why::NoNumber)]
#[case::negative(b"*1\r\n$-1\r\n", 4, Why::NoNumber)]
#[case::signed(b"*+1\r\n", 0, Why::NoNumber)]
#[case::huge(b"*1\r\n$99999999999999999999\r\n", 4, Why::NoNumber)]
#[case::no_carriage_return(b"*1\n", 0, Why::NoNumber)]
#[case::too_long(b"*1\r\n$2\r\nabc\r\n", 10, Why::NoEnd)]
#[case::no_time(b"#TS:now\r\n", 0, Why::NoTime)]
#[case::time_without_end(b"#TS:5\n", 0, Why::NoTime)]
#[case::exec_alone(b"*1\r\n$4\r\nEXEC\r\n", 4, Why::Transaction)]
fn says_where_and_what(#[case] bytes: &[u8], #[case] offset: u64, #[case] because: Why) {
    for chunk in [1, 3, 100] {
        let broken = scan(bytes, None, chunk).broken.unwrap();
        assert_eq!((broken.offset, &broken.because), (offset, &because), "in chunks of {chunk}");
    }
}

#[test]
fn a_line_without_end_takes_no_memory_without_end() {
    let mut scanner = IncrScanner::new(None);
    assert!(scanner.feed(&vec![b'#'; 100_000]).is_err());
    // A length is not believed: nothing is set aside for it.
    let mut scanner = IncrScanner::new(None);
    scanner.feed(b"*1\r\n$1000000000000000000\r\nabc").unwrap();
    assert_eq!(scanner.finish().torn_bytes(), 29);
}

/// A directory of a base and increments, scanned for a second.
struct Directory {
    manifest: Manifest,
    base: Vec<u8>,
    increments: Vec<Vec<u8>>,
}

impl Directory {
    fn new(base: Vec<u8>, increments: &[&[Vec<u8>]]) -> Self {
        let lines: Vec<_> =
            (1..=increments.len()).map(|n| format!("file a.{n}.incr.aof seq {n} type i\n")).collect();
        let lines = lines.concat();
        let manifest = Manifest::parse(format!("file a.base seq 1 type b\n{lines}").as_bytes()).unwrap();
        Self { manifest, base, increments: increments.iter().map(|parts| parts.concat()).collect() }
    }

    fn sizes(&self) -> BTreeMap<String, u64> {
        let names =
            [&self.manifest.base].into_iter().chain(&self.manifest.increments).map(|file| file.name.clone());
        names.zip([&self.base].into_iter().chain(&self.increments).map(|bytes| bytes.len() as u64)).collect()
    }

    /// Names with bytes that are kept, and how many are torn.
    fn keep(&self, target: i64) -> Result<(Vec<(String, u64)>, u64), Refusal> {
        let mut base = BaseScanner::new();
        self.base.chunks(11).for_each(|chunk| base.feed(chunk));
        let reports: Vec<_> = self.increments.iter().map(|bytes| scan(bytes, Some(target), 13)).collect();
        let assembly = assemble(&self.manifest, &self.sizes(), &base.finish(), &reports, at(target))?;
        let again = Manifest::parse(assembly.manifest.as_bytes()).unwrap();
        assert_eq!(again.increments.len() + 1, assembly.files.len());
        assert_eq!(assembly.files.len() + assembly.dropped.len(), self.increments.len() + 1);
        Ok((assembly.files.into_iter().map(|kept| (kept.name, kept.bytes)).collect(), assembly.torn_bytes))
    }
}

/// An RDB that says when it was made, without a checksum.
fn base(second: i64) -> Vec<u8> {
    let second = second.to_string();
    let mut bytes = b"REDIS0011\xfa\x05ctime".to_vec();
    bytes.push(u8::try_from(second.len()).unwrap());
    bytes.extend_from_slice(second.as_bytes());
    bytes.push(255);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

fn set(key: &str) -> Vec<u8> {
    command(&["SET", key, "1"])
}

#[test]
fn keeps_what_is_up_to_the_second_and_refuses_what_is_outside() {
    let directory = Directory::new(
        base(100),
        &[
            &[time(101), set("a"), time(103), set("b")],
            &[time(105), set("c")],
            &[time(109), set("d"), b"*1\r\n".to_vec()],
        ],
    );
    let whole = |n: usize| directory.increments[n].len() as u64;
    let first = (time(101).len() + set("a").len()) as u64;
    let kept = |target| {
        let (files, torn) = directory.keep(target).unwrap();
        (files.into_iter().skip(1).map(|(_, bytes)| bytes).collect::<Vec<_>>(), torn)
    };
    assert_eq!(kept(100), (vec![], 0));
    assert_eq!(kept(101), (vec![first], 0));
    assert_eq!(kept(104), (vec![whole(0)], 0));
    assert_eq!(kept(105), (vec![whole(0), whole(1)], 0));
    assert_eq!(kept(109), (vec![whole(0), whole(1), whole(2) - 4], 4));
    for outside in [99, 110] {
        let refusal = directory.keep(outside).unwrap_err();
        assert!(matches!(refusal, Refusal::Outside { .. }));
        assert!(refusal.to_string().contains("is not within 1970-01-01T00:01:40Z to 1970-01-01T00:01:49Z"));
    }
}

#[test]
fn refuses_what_cannot_be_told_for_certain() {
    let undated = Directory::new(base(100), &[&[set("when?"), time(105), set("a")]]);
    assert!(matches!(undated.keep(103), Err(Refusal::Undated { commands: 1, .. })));
    assert!(undated.keep(105).is_ok());
    let torn = Directory::new(base(100), &[&[time(101), b"*1\r\n".to_vec()], &[time(105), set("a")]]);
    assert!(matches!(torn.keep(105), Err(Refusal::TornInTheMiddle { bytes: 4, .. })));
    let broken = Directory::new(base(100), &[&[time(101), b"hello".to_vec()]]);
    assert!(matches!(broken.keep(101), Err(Refusal::Increment { .. })));
    let mut cut = base(100);
    cut.pop();
    assert!(matches!(Directory::new(cut, &[&[time(101)]]).keep(101), Err(Refusal::Base { .. })));
    assert!(matches!(Directory::new(vec![], &[&[time(101)]]).keep(101), Err(Refusal::Base { .. })));
    let when = b"REDIS0011\xff\0\0\0\0\0\0\0\0".to_vec();
    assert!(matches!(Directory::new(when, &[&[time(101)]]).keep(101), Err(Refusal::UndatedBase { .. })));
}

#[test]
fn refuses_files_that_do_not_belong_together() {
    let directory = Directory::new(base(100), &[&[time(101), set("a")], &[time(102), set("b")]]);
    let mut scanned = BaseScanner::new();
    scanned.feed(&directory.base);
    let scanned = scanned.finish();
    let reports: Vec<_> = directory.increments.iter().map(|bytes| scan(bytes, Some(101), 100)).collect();
    let try_with = |sizes: &BTreeMap<String, u64>, reports: &[IncrReport], target| {
        assemble(&directory.manifest, sizes, &scanned, reports, at(target)).unwrap_err()
    };
    let mut missing = directory.sizes();
    missing.remove("a.2.incr.aof");
    assert_eq!(try_with(&missing, &reports, 101), Refusal::Missing { name: "a.2.incr.aof".into() });
    let mut grown = directory.sizes();
    *grown.get_mut("a.1.incr.aof").unwrap() += 1;
    assert!(matches!(try_with(&grown, &reports, 101), Refusal::Changed { .. }));
    assert!(matches!(try_with(&directory.sizes(), &reports[..1], 101), Refusal::Count { .. }));
    assert!(matches!(try_with(&directory.sizes(), &reports, 102), Refusal::OtherTarget { .. }));
}

#[test]
fn a_base_may_be_commands_or_both() {
    let mut commands = BaseScanner::new();
    [time(100), set("a")].concat().chunks(3).for_each(|chunk| commands.feed(chunk));
    let commands = commands.finish();
    assert_eq!((commands.made(), commands.rdb.is_some(), commands.defect()), (Some(at(100)), false, None));
    let mut both = BaseScanner::new();
    let bytes = [base(100), time(104), set("a")].concat();
    for chunk in bytes.chunks(3) {
        both.feed(chunk);
        both = serde_json::from_str(&serde_json::to_string(&both).unwrap()).unwrap();
    }
    let both = both.finish();
    assert_eq!((both.made(), both.bytes(), both.defect()), (Some(at(104)), bytes.len() as u64, None));
    let manifest = Manifest::parse(b"file appendonly.aof seq 1 type b\n").unwrap();
    let interval = interval(&manifest, &both, &[]).unwrap();
    assert_eq!((interval.from, interval.to), (at(104), at(104)));
}

proptest! {
    /// However it is cut into chunks, with a checkpoint after each: the same, and never a panic.
    #[test]
    fn chunks_and_checkpoints_change_nothing(
        parts in prop::collection::vec(prop_oneof![
            (90_i64..110).prop_map(time),
            "[a-z]{1,7}".prop_map(|word| command(&["set", &word, "\r\n*1\r\n#TS:5\r\n"])),
            Just(command(&["multi"])),
            Just(command(&["exec"])),
            Just(b"#other\r\n".to_vec()),
            prop::collection::vec(any::<u8>(), 0..3),
        ], 0..20),
        chunk in 1_usize..50,
        cut in any::<prop::sample::Index>(),
        target in 90_i64..110,
    ) {
        let bytes = parts.concat();
        let bytes = &bytes[..cut.index(bytes.len() + 1)];
        let mut whole = scan(bytes, Some(target), bytes.len().max(1));
        let mut pieces = scan(bytes, Some(target), chunk);
        prop_assert!(whole.cut_bytes.is_none_or(|cut| cut <= whole.complete_bytes));
        if whole.broken.is_some() {
            (whole.bytes, pieces.bytes) = (0, 0);
        }
        prop_assert_eq!(whole, pieces);
    }
}
