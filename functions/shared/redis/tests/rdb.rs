//! What the inspector says of files that servers wrote, of generated ones, and of both with damage.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use redis::rdb::{Because, Corrupt, Inspector, Keys, Kind, Report, Verdict};
use rstest::rstest;
use support::{Rdb, corpus, inspect, inspect_in_chunks, resumed};

fn corrupt(report: &Report) -> Corrupt {
    match &report.verdict {
        Verdict::Corrupt(corrupt) => corrupt.clone(),
        verdict => panic!("{verdict:?}"),
    }
}

/// The numbers are the servers' own: see the corpus's README.
#[rstest]
#[case::redis_6_2("redis-6.2.14", "REDIS0009", 27, 39, 4, 0)]
#[case::redis_7_0("redis-7.0.15", "REDIS0010", 27, 39, 4, 2)]
#[case::redis_7_0_lfu("redis-7.0.15-lfu", "REDIS0010", 27, 39, 4, 2)]
#[case::redis_7_0_lru("redis-7.0.15-lru", "REDIS0010", 27, 39, 4, 2)]
#[case::redis_8_2("redis-8.2.3", "REDIS0012", 28, 40, 4, 2)]
#[case::redis_8_2_cluster("redis-8.2.3-cluster", "REDIS0012", 20, 20, 20, 0)]
#[case::redis_8_2_module("redis-8.2.3-module", "REDIS0012", 2, 2, 0, 0)]
#[case::valkey_8_1("valkey-8.1.8", "REDIS0011", 27, 39, 4, 2)]
#[case::valkey_9_1("valkey-9.1.2", "VALKEY080", 27, 39, 4, 2)]
fn counts_what_the_server_counted(
    #[case] name: &str,
    #[case] version: &str,
    #[case] in_first: u64,
    #[case] keys: u64,
    #[case] expiring: u64,
    #[case] functions: u64,
) {
    let (_, bytes) = corpus().into_iter().find(|(file, _)| *file == format!("{name}.rdb")).unwrap();
    let report = inspect(&bytes);
    assert_eq!(report.verdict, Verdict::Verified);
    assert_eq!((report.bytes, report.rdb_version.as_str()), (bytes.len() as u64, version));
    assert_eq!((report.keys(), report.expiring(), report.functions), (keys, expiring, functions));
    assert_eq!(report.databases[&0].total, in_first);
    if keys > in_first {
        let others: Vec<_> = report.databases.iter().skip(1).map(|(number, keys)| (*number, *keys)).collect();
        assert_eq!(others, [(3, Keys { total: 2, expiring: 1 }), (15, Keys { total: 10, expiring: 0 })]);
    }
    let engine = report.engine.unwrap();
    assert_eq!(engine.valkey, name.starts_with("valkey"));
    assert!(name.contains(&engine.version));
    assert!(report.created.unwrap().to_string().starts_with("2026-11-22T19:0"));
    assert!(report.used_memory_bytes.unwrap() > 500_000);
    assert!(!report.append_only_base);
}

#[test]
fn counts_kinds() {
    let (_, bytes) = corpus().into_iter().find(|(file, _)| file == "redis-8.2.3.rdb").unwrap();
    let report = inspect(&bytes);
    let expected = [
        (Kind::String, 24),
        (Kind::List, 3),
        (Kind::Set, 3),
        (Kind::SortedSet, 3),
        (Kind::Hash, 4),
        (Kind::Stream, 2),
        (Kind::Module, 1),
    ];
    assert_eq!(report.kinds, BTreeMap::from(expected));
}

#[test]
fn tells_how_many_keys_a_restore_still_has() {
    let (_, bytes) = corpus().into_iter().find(|(file, _)| file == "valkey-9.1.2.rdb").unwrap();
    let report = inspect(&bytes);
    let created = report.created.unwrap();
    let after = |seconds| report.keys_at(created + jiff::SignedDuration::from_secs(seconds));
    // One key has 100 s left, one 3,000, one a day, and one until 2100.
    assert_eq!(after(0), 39..=39);
    assert_eq!(after(60), 39..=39);
    assert_eq!(after(200), 38..=38);
    assert_eq!(after(3600), 37..=37);
    assert_eq!(after(3 * 86_400), 36..=36);
    assert_eq!(after(86_400 * 365 * 100), 35..=35);
}

#[test]
fn a_file_without_checksum_is_not_called_verified() {
    let (_, bytes) = corpus().into_iter().find(|(file, _)| file == "valkey-9.1.2-no-checksum.rdb").unwrap();
    assert_eq!(inspect(&bytes).verdict, Verdict::NoChecksum);
    let version_4 = Rdb::new("REDIS0004").byte(0).text("a").text("b").byte(255).0;
    assert_eq!(inspect(&version_4).verdict, Verdict::NoChecksum);
    assert_eq!(inspect(&version_4).keys(), 1);
    for cut in 0..version_4.len() {
        let report = inspect_in_chunks(&version_4[..cut], None, &mut |_| 100, &mut |inspector| inspector);
        assert_eq!(corrupt(&report), Corrupt { offset: cut as u64, because: Because::Truncated });
    }
}

/// A second half of the truth: what the verdict rests on. Not a byte may be missing or one too many.
#[test]
fn every_truncation_and_every_tail_is_found() {
    for (name, bytes) in corpus() {
        for cut in 0..bytes.len() {
            let unknown =
                inspect_in_chunks(&bytes[..cut], None, &mut |_| 1 << 20, &mut |inspector| inspector);
            let expected = Corrupt { offset: cut as u64, because: Because::Truncated };
            assert_eq!(unknown.verdict, Verdict::Corrupt(expected), "{name} cut at {cut}");
            // Told its length it may be found earlier.
            assert!(corrupt(&inspect(&bytes[..cut])).offset <= cut as u64, "{name} cut at {cut}");
            // What was stored is shorter than what was promised.
            let mut promised = Inspector::with_length(bytes.len() as u64);
            promised.feed(&bytes[..cut]).unwrap();
            assert_eq!(corrupt(&promised.finish(None)).because, Because::Truncated);
        }
        for tail in [&[0_u8][..], &[255], b"\n", &bytes] {
            let long = [&bytes[..], tail].concat();
            let expected = Corrupt { offset: bytes.len() as u64, because: Because::Trailing };
            for chunk in [1, bytes.len(), long.len()] {
                let report = inspect_in_chunks(&long, None, &mut |_| chunk, &mut |inspector| inspector);
                assert_eq!(report.verdict, Verdict::Corrupt(expected.clone()), "{name}");
            }
            assert!(matches!(inspect(&long).verdict, Verdict::Corrupt(_)));
        }
    }
}

/// Every single bit of three files that servers wrote, and every seventh of the others.
#[test]
fn every_flipped_bit_is_found() {
    for (name, mut bytes) in corpus() {
        if inspect(&bytes).verdict == Verdict::NoChecksum {
            continue;
        }
        let step = if matches!(
            name.as_str(),
            "valkey-9.1.2.rdb" | "redis-8.2.3-cluster.rdb" | "redis-8.2.3-module.rdb"
        ) {
            1
        } else {
            7
        };
        for bit in (0..bytes.len() * 8).step_by(step) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(inspect(&bytes).verdict, Verdict::Corrupt(_)), "{name}, bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(inspect(&bytes).verdict, Verdict::Verified);
    }
}

#[test]
fn the_size_that_the_keeper_says_counts() {
    for (_, bytes) in corpus() {
        let mut inspector = Inspector::new();
        inspector.feed(&bytes).unwrap();
        let (expected, found) = (bytes.len() as u64 + 1, bytes.len() as u64);
        let because = Because::Size { expected, found };
        assert_eq!(corrupt(&inspector.finish(Some(expected))), Corrupt { offset: found, because });
    }
}

/// One key of the type, as the format's sources have it; `None` for what is no key.
#[expect(clippy::too_many_lines, reason = "a table")]
fn samples() -> Vec<(&'static str, u8, Option<Kind>, Rdb)> {
    let empty = || Rdb(Vec::new());
    let pending = |rdb: Rdb| rdb.length(1).bytes(&[7; 24]).length(3);
    let entries = |rdb: Rdb| rdb.length(1).text([0; 16]).text("listpack").lengths(&[1, 1_700_000_000_000, 0]);
    let meta = |rdb: Rdb| rdb.lengths(&[1, 0, 0, 0, 1]);
    let group = |rdb: Rdb, version: u8| {
        let rdb = rdb.length(1).text("group").lengths(&[1, 0]);
        let rdb = pending(if version > 1 { rdb.length(u64::MAX) } else { rdb });
        let rdb = rdb.length(1).text("consumer").bytes(&[1; 8]);
        let rdb = if version > 2 { rdb.bytes(&[2; 8]) } else { rdb };
        rdb.length(1).bytes(&[3; 16])
    };
    let idempotence = |rdb: Rdb| {
        rdb.lengths(&[100, 100, 1])
            .text("producer")
            .length(2)
            .text("i")
            .lengths(&[1, 0])
            .text("j")
            .lengths(&[2, 0, 5, 6])
    };
    let module = |rdb: Rdb| {
        rdb.lengths(&[1, 5, 2, 1 << 40, 3])
            .bytes(&[0; 4])
            .length(4)
            .bytes(&[0; 8])
            .length(5)
            .text("text")
            .length(0)
    };
    vec![
        ("REDIS0009", 0, Some(Kind::String), empty().text("value")),
        ("REDIS0009", 0, Some(Kind::String), empty().compressed(b"1234567890", 880)),
        ("REDIS0009", 0, Some(Kind::String), empty().bytes(&[0xc1, 1, 2])),
        ("REDIS0003", 1, Some(Kind::List), empty().length(2).text("a").bytes(&[0xc0, 5])),
        ("REDIS0006", 2, Some(Kind::Set), empty().length(2).text("a").text("b")),
        (
            "REDIS0006",
            3,
            Some(Kind::SortedSet),
            empty().length(3).text("a").text("1.5").text("b").byte(253).text("c").byte(255),
        ),
        ("REDIS0006", 4, Some(Kind::Hash), empty().length(1).text("f").text("v")),
        ("REDIS0009", 5, Some(Kind::SortedSet), empty().length(1).text("m").bytes(&1.5_f64.to_le_bytes())),
        ("REDIS0009", 7, Some(Kind::Module), module(empty().length(0x81bd_e72d_a2bb_1eb4))),
        ("REDIS0002", 9, Some(Kind::Hash), empty().text("\x01\x01f\x01\x00v\u{7f}")),
        ("REDIS0006", 10, Some(Kind::List), empty().text("ziplist")),
        ("REDIS0006", 11, Some(Kind::Set), empty().text("intset")),
        ("REDIS0006", 12, Some(Kind::SortedSet), empty().text("ziplist")),
        ("REDIS0006", 13, Some(Kind::Hash), empty().text("ziplist")),
        ("REDIS0008", 14, Some(Kind::List), empty().length(2).text("ziplist").compressed(b"12", 100)),
        ("REDIS0009", 15, Some(Kind::Stream), group(entries(empty()), 1)),
        ("REDIS0010", 16, Some(Kind::Hash), empty().text("listpack")),
        ("REDIS0010", 17, Some(Kind::SortedSet), empty().text("listpack")),
        (
            "REDIS0010",
            18,
            Some(Kind::List),
            empty().length(2).length(1).text("plain").length(2).text("packed"),
        ),
        ("REDIS0010", 19, Some(Kind::Stream), group(meta(entries(empty())), 2)),
        ("REDIS0011", 20, Some(Kind::Set), empty().text("listpack")),
        ("REDIS0011", 21, Some(Kind::Stream), group(meta(entries(empty())), 3)),
        ("REDIS0012", 22, Some(Kind::Hash), empty().length(1).length(1 << 41).text("f").text("v")),
        ("VALKEY080", 22, Some(Kind::Hash), empty().length(1).text("f").text("v").bytes(&[0xff; 8])),
        ("REDIS0012", 23, Some(Kind::Hash), empty().text("listpack")),
        (
            "REDIS0012",
            24,
            Some(Kind::Hash),
            empty().bytes(&[9; 8]).length(2).length(0).text("f").text("v").length(70).text("g").text("w"),
        ),
        ("REDIS0012", 25, Some(Kind::Hash), empty().bytes(&[9; 8]).text("listpack")),
        ("REDIS0013", 26, Some(Kind::Stream), idempotence(group(meta(entries(empty())), 4))),
        (
            "REDIS0014",
            27,
            Some(Kind::Stream),
            idempotence(group(meta(entries(empty())), 5).length(1).bytes(&[4; 16])),
        ),
        (
            "REDIS0014",
            28,
            Some(Kind::Array),
            empty().lengths(&[2, 1, 77, 0, 0]).text("text").lengths(&[9, 1]).bytes(&[0; 8]),
        ),
        (
            "REDIS0014",
            28,
            Some(Kind::Array),
            empty().lengths(&[2, 0, 5, 2]).bytes(&[0; 8]).lengths(&[6, 3]).text("small"),
        ),
        ("REDIS0013", 243, None, module(module(empty().length(2).bytes(b"CLAS")).bytes(b"OTHR"))),
        ("VALKEY080", 243, None, empty().text([b'f'; 40]).lengths(&[2, 0, 100, 200, 300])),
        ("REDIS0012", 244, None, empty().lengths(&[16383, 1, 0])),
        ("REDIS0010", 245, None, empty().text("#!lua name=lib")),
        ("REDIS0009", 247, None, module(empty().lengths(&[u64::MAX, 2, 1]))),
        ("REDIS0009", 248, None, empty().length(1000)),
        ("REDIS0009", 249, None, empty().byte(255)),
        ("REDIS0009", 250, None, empty().text("name").compressed(b"1234", 30)),
        ("REDIS0009", 250, None, empty().text([b'n'; 200]).text([b'v'; 20_000])),
        ("REDIS0009", 251, None, empty().lengths(&[1 << 33, 5])),
        ("REDIS0009", 252, None, empty().bytes(&1_700_000_000_000_i64.to_le_bytes())),
        ("REDIS0003", 253, None, empty().bytes(&1_700_000_000_i32.to_le_bytes())),
        ("REDIS0009", 254, None, empty().length(15)),
    ]
}

fn with_sample(header: &str, number: u8, kind: Option<Kind>, value: &Rdb) -> Rdb {
    let rdb = Rdb::new(header).byte(number);
    let rdb = if kind.is_some() { rdb.text("key") } else { rdb };
    rdb.bytes(&value.0).byte(0).text("next").text("key")
}

#[test]
fn walks_through_every_type_and_opcode() {
    for (header, number, kind, value) in samples() {
        let old = matches!(header, "REDIS0002" | "REDIS0003");
        let rdb = with_sample(header, number, kind, &value);
        let bytes = if old { rdb.byte(255).0 } else { rdb.end() };
        let report = inspect(&bytes);
        let verdict = if old { Verdict::NoChecksum } else { Verdict::Verified };
        assert_eq!(report.verdict, verdict, "{header} type {number}");
        let mut kinds = BTreeMap::from([(Kind::String, 1)]);
        if let Some(kind) = kind {
            *kinds.entry(kind).or_default() += 1;
        }
        assert_eq!(report.kinds, kinds, "{header} type {number}");
        assert_eq!(report.functions, u64::from(number == 245));
        assert_eq!(report.expiring(), u64::from(matches!(number, 252 | 253)));
        assert!(report.databases.contains_key(&if number == 254 { 15 } else { 0 }));
        // And is not content with less: a value that is not read to its end would leave the rest standing as opcodes.
        for cut in 10..bytes.len() {
            let cut = inspect_in_chunks(&bytes[..cut], None, &mut |_| 1 << 20, &mut |inspector| inspector);
            assert_eq!(corrupt(&cut).because, Because::Truncated, "{header} type {number}");
        }
    }
}

#[rstest]
#[case::redis(b"REDIS00x9", 0, Because::Header)]
#[case::text(b"hello", 0, Because::Header)]
#[case::version_0(b"REDIS0000", 0, Because::Version("REDIS0000".into()))]
#[case::valkey_before_80(b"VALKEY011", 0, Because::Version("VALKEY011".into()))]
#[case::unknown_type(b"REDIS0011\x08", 9, Because::Unknown { number: 8, version: "REDIS0011".into() })]
#[case::redis_type_in_valkey(b"VALKEY080\x18", 9, Because::Unknown { number: 24, version: "VALKEY080".into() })]
#[case::newer_type(b"REDIS0015\xf2", 9, Because::Unknown { number: 242, version: "REDIS0015".into() })]
#[case::pre_release_module(b"REDIS0008\x06", 9, Because::PreReleaseModule)]
#[case::pre_release_function(b"REDIS0010\xf6", 9, Because::PreReleaseFunction)]
#[case::encoded_length(b"REDIS0011\xfe\xc0\x01", 10, Because::Length(0xc0))]
#[case::strange_length(b"REDIS0011\xfe\x85\x01", 10, Because::Length(0x85))]
#[case::strange_string(b"REDIS0011\x00\xc4", 10, Because::Text(0xc4))]
#[case::database(b"REDIS0011\xfe\x80\x80\0\0\0", 10, Because::Database(1 << 31))]
#[case::too_good_lzf(b"REDIS0011\x00\xc3\x02\x40\xb1..", 10, Because::Compressed { compressed: 2, length: 177 })]
#[case::useless_lzf(b"REDIS0011\x00\xc3\x08\x03........", 10, Because::Compressed { compressed: 8, length: 3 })]
#[case::empty_lzf(b"REDIS0011\x00\xc3\x00\x00", 10, Because::Compressed { compressed: 0, length: 0 })]
#[case::node(b"REDIS0011\x12\x01k\x01\x03", 13, Because::Choice(3))]
#[case::module_value(b"REDIS0011\x07\x01k\x01\x06", 13, Because::Choice(6))]
#[case::module_field(b"REDIS0011\xf7\x01\x01\x00", 11, Because::Choice(1))]
fn says_where_and_what(#[case] bytes: &[u8], #[case] offset: u64, #[case] because: Because) {
    let expected = Verdict::Corrupt(Corrupt { offset, because });
    for chunk in [1, 2, 100] {
        let report = inspect_in_chunks(bytes, None, &mut |_| chunk, &mut |inspector| inspector);
        assert_eq!(report.verdict, expected, "in chunks of {chunk}");
    }
}

#[rstest]
#[case::string(Rdb::new("REDIS0011").byte(0).text("k").length(1 << 62), 12, 1 << 62)]
#[case::string_by_one(Rdb::new("REDIS0011").byte(0).text("k").length(4).bytes(b"abc"), 12, 4)]
#[case::list(Rdb::new("REDIS0011").byte(1).text("k").length(1 << 62), 12, 1 << 62)]
#[case::pairs(Rdb::new("REDIS0011").byte(4).text("k").length(u64::MAX), 12, u64::MAX)]
#[case::scores(Rdb::new("REDIS0011").byte(5).text("k").length(3).bytes(&[0; 26]), 12, 27)]
fn no_length_beyond_the_end_is_believed(#[case] rdb: Rdb, #[case] offset: u64, #[case] declared: u64) {
    let found = corrupt(&inspect(&rdb.end()));
    assert_eq!(found.offset, offset);
    assert!(matches!(found.because, Because::Beyond { declared: said, .. } if said == declared), "{found:?}");
}

#[test]
fn a_damaged_value_is_told_by_the_sum_alone() {
    let mut bytes = Rdb::new("REDIS0011").byte(0).text("key").text("value").end();
    let at = bytes.len() - 10;
    bytes[at] ^= 1;
    let found = corrupt(&inspect(&bytes));
    assert_eq!(found.offset, bytes.len() as u64 - 8);
    assert!(matches!(found.because, Because::Checksum { .. }));
    assert!(found.to_string().contains("the checksum over all bytes is"));
}

#[test]
fn databases_without_end_take_no_memory_without_end() {
    let rdb =
        (0..5000).fold(Rdb::new("REDIS0011"), |rdb, n| rdb.byte(254).length(n).byte(0).text("k").text("v"));
    let report = inspect(&rdb.end());
    assert_eq!((report.verdict.clone(), report.keys()), (Verdict::Verified, 5000));
    assert_eq!((report.databases.len(), report.in_further_databases.total), (1024, 5000 - 1024));
}

#[test]
fn what_a_field_says_is_printable() {
    let rdb =
        Rdb::new("REDIS0011").field("redis-ver", "7\u{1b}[31m").field("redis-ver", "8").field("ctime", "5");
    let report = inspect(&rdb.field("ctime", "-9999999999999").end());
    assert_eq!(report.engine.unwrap().version, "7?[31m");
    assert_eq!(report.created, Some(jiff::Timestamp::from_second(5).unwrap()));
}

#[test]
fn a_checkpoint_of_another_version_is_refused() {
    let mut checkpoint = serde_json::to_value(Inspector::new()).unwrap();
    checkpoint["layout"] = 999.into();
    let error = serde_json::from_value::<Inspector>(checkpoint).unwrap_err().to_string();
    assert!(error.contains("begin with the first byte"), "{error}");
}

/// Values of all samples of a family, in any order and number.
fn generated() -> impl Strategy<Value = Vec<u8>> {
    let family = prop_oneof![Just("REDIS0013"), Just("VALKEY080")];
    (family, prop::collection::vec(any::<prop::sample::Index>(), 0..40)).prop_map(|(header, picks)| {
        let samples: Vec<_> = samples()
            .into_iter()
            .filter(|(of, number, ..)| !matches!(number, 22..=28 | 243) || of[..1] == header[..1])
            .collect();
        let rdb = picks.iter().fold(Rdb::new(header), |rdb, pick| {
            let (_, number, kind, value) = pick.get(&samples);
            let rdb = rdb.byte(*number);
            let rdb = if kind.is_some() { rdb.text("some key") } else { rdb };
            rdb.bytes(&value.0)
        });
        rdb.end()
    })
}

fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let files: Vec<_> = corpus().into_iter().map(|(_, bytes)| bytes).collect();
    prop_oneof![prop::sample::select(files), generated()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However it is cut into chunks, and resumed from whatever checkpoint: the same report, of a damaged file too.
    #[test]
    fn chunks_and_checkpoints_change_nothing(
        mut bytes in any_file(),
        chunks in prop::collection::vec(1_usize..300, 1..20),
        damage in prop::option::of((any::<prop::sample::Index>(), 1_u8..=255)),
        is_length_known: bool,
    ) {
        if let Some((at, flip)) = damage {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        let length = is_length_known.then_some(bytes.len() as u64);
        let whole = inspect_in_chunks(&bytes, length, &mut |_| usize::MAX >> 1, &mut |inspector| inspector);
        let mut sizes = chunks.iter().cycle();
        let pieces = inspect_in_chunks(&bytes, length, &mut |_| *sizes.next().unwrap(), &mut resumed);
        match (&whole.verdict, &pieces.verdict) {
            // How much was read of a file when it turned out corrupt depends on the chunks, and nothing else does.
            (Verdict::Corrupt(one), Verdict::Corrupt(other)) => prop_assert_eq!(one, other),
            _ => prop_assert_eq!(&whole, &pieces),
        }
        let is_corrupt = matches!(whole.verdict, Verdict::Corrupt(_));
        prop_assert!(is_corrupt == damage.is_some() || damage.is_some() && is_unchecked(&bytes));
    }

    /// Whatever it is fed it neither panics nor grows.
    #[test]
    fn any_mutation_is_read_or_refused(
        bytes in any_file(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
        cut in any::<prop::sample::Index>(),
        insert in prop::collection::vec(any::<u8>(), 0..30),
    ) {
        let mut bytes = bytes;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let at = cut.index(bytes.len());
        bytes.splice(at..at, insert);
        let mut inspector = Inspector::new();
        let _ = inspector.feed(&bytes);
        resumed(inspector).finish(None);
    }

    #[test]
    fn any_bytes_after_a_header_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        for header in ["REDIS0012", "VALKEY080"] {
            let mut inspector = Inspector::new();
            let _ = inspector.feed(&[header.as_bytes(), &bytes].concat());
            resumed(inspector);
        }
    }
}

/// Zeros where the sum is.
fn is_unchecked(bytes: &[u8]) -> bool {
    bytes.ends_with(&[0; 8])
}
