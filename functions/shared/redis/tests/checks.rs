//! What a drill finds in real servers that were restored.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod valkey;
mod walk;

use std::{cell::Cell, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use redis::{
    checks::{Expected, FaultKind, Place, Remark, SAMPLE, Walk, check},
    content::{shard, summary},
    rdb::{Inspector, Report, Verdict},
    server::{FakeServers, FakeValue, Reply, Server, Servers, TlsServers},
};
use serde_json::json;
use valkey::{Valkey, ask, credentials};
use walk::{checked, plenty};

fn inspected(dump: &[u8]) -> Report {
    let mut inspector = Inspector::with_length(dump.len() as u64);
    inspector.feed(dump).unwrap();
    let report = inspector.finish(Some(dump.len() as u64));
    assert!(!matches!(report.verdict, Verdict::Corrupt(_)), "{report:?}");
    report
}

/// What the manifest of a recovery point of these files says.
fn expected(dumps: &[&[u8]]) -> Expected {
    let reports: Vec<Report> = dumps.iter().map(|dump| inspected(dump)).collect();
    let mut content = summary(reports.iter(), None);
    let shards: Vec<_> = reports.iter().map(|report| shard("1.rdb", report)).collect();
    content.insert("shards".to_owned(), json!(shards));
    Expected::of_content(&content).unwrap()
}

/// Time for so many steps in each invocation, between which the walk is a document; what is lost is tried again.
async fn checked_in_steps<S: Servers>(
    servers: &S,
    server: &Server,
    expected: Option<&Expected>,
    steps: u32,
) -> Walk {
    let mut walk = Walk::default();
    for _ in 0..10_000 {
        let left = Cell::new(steps);
        let time = || {
            left.set(left.get().saturating_sub(1));
            if left.get() == 0 { Duration::ZERO } else { plenty() }
        };
        let _ = check(servers, server, None, expected, &mut walk, Timestamp::now(), time).await;
        walk = serde_json::from_str(&serde_json::to_string(&walk).unwrap()).unwrap();
        if walk.is_over {
            return walk;
        }
    }
    panic!("it is never over: {walk:?}");
}

/// Keys of every type, in three databases.
async fn filled(valkey: &Valkey) {
    let mut connection = valkey.connect().await;
    for database in [0, 3, 9] {
        ask(&mut connection, &format!("SELECT {database}")).await;
        ask(&mut connection, &format!("DEBUG POPULATE {} key 100", 2_500 + database)).await;
        for n in 0..40 {
            for line in [
                format!("RPUSH list-{n} a b c {n}"),
                format!("SADD set-{n} a b {n}"),
                format!("SADD numbers-{n} 1 2 {n}"),
                format!("ZADD sorted-{n} 1 a -inf b 2.5 c +inf {n}"),
                format!("HSET hash-{n} a 1 b 2 c {n}"),
                format!("XADD stream-{n} 1-1 a 1"),
                format!("XADD stream-{n} 1-2 a 1 b {n}"),
                format!("SET going-{n} x EX 1000"),
                format!("SETBIT large-{n} 9000000 1"),
            ] {
                ask(&mut connection, &line).await;
            }
            for element in 0..1_200 {
                if n == 0 {
                    for command in ["RPUSH long-list", "SADD long-set", "XADD long-stream * n"] {
                        ask(&mut connection, &format!("{command} {element}")).await;
                    }
                    ask(&mut connection, &format!("HSET long-hash {element} x")).await;
                    ask(&mut connection, &format!("ZADD long-sorted {element} {element}")).await;
                }
            }
        }
        ask(&mut connection, "XGROUP CREATE empty-stream group $ MKSTREAM").await;
    }
}

#[tokio::test]
async fn a_sound_restore_passes_in_one_go_and_in_many() {
    let source = Valkey::start(&["--enable-debug-command", "yes"]).await;
    filled(&source).await;
    let dump = source.saved().await;
    let expected = expected(&[&dump]);
    let restored = Valkey::restored(&dump, &[]).await;
    let servers = TlsServers::new(None);
    let walk = checked(&servers, &restored.server, Some(&expected)).await;
    assert_eq!((&walk.evidence.findings, &walk.evidence.notes), (&Vec::new(), &Vec::new()));
    let types: Vec<_> = walk.types.keys().map(String::as_str).collect();
    assert_eq!(types, ["hash", "list", "set", "stream", "string", "zset"]);
    for (kind, read) in &walk.read {
        assert_eq!(*read, 3 * u64::from(SAMPLE), "{kind}");
    }
    let counted: BTreeMap<u32, u64> =
        walk.counted.iter().map(|(database, counted)| (*database, counted.keys)).collect();
    assert_eq!(counted.keys().copied().collect::<Vec<_>>(), [0, 3, 9]);
    assert_eq!(counted[&3] - counted[&0], 3);
    for steps in [5, 7, 50, 200] {
        let again = checked_in_steps(&servers, &restored.server, Some(&expected), steps).await;
        assert_eq!(
            (again.counted, again.evidence, again.types),
            (walk.counted.clone(), walk.evidence.clone(), walk.types.clone())
        );
    }
    assert!(serde_json::to_string(&walk).unwrap().len() < 2_000);
    // And where there is nothing to compare with.
    let walk = checked(&servers, &restored.server, None).await;
    assert_eq!(walk.evidence.notes[0].what, Remark::NotCompared);
}

#[tokio::test]
async fn what_is_missing_or_too_much_is_found() {
    let source = Valkey::start(&["--enable-debug-command", "yes"]).await;
    filled(&source).await;
    let dump = source.saved().await;
    let expected = expected(&[&dump]);
    let servers = TlsServers::new(None);
    let faults = async |spoiling: &str| {
        let restored = Valkey::restored(&dump, &["--enable-debug-command", "yes"]).await;
        restored.does(spoiling).await;
        let walk = checked(&servers, &restored.server, Some(&expected)).await;
        assert!(walk.evidence.findings.iter().all(|finding| finding.fault.kind == FaultKind::Different));
        walk.evidence.findings.into_iter().map(|finding| finding.place).collect::<Vec<_>>()
    };
    let everywhere = Place::default();
    let database = |database| Place { database: Some(database), ..Place::default() };
    let kind = |kind: &str| Place { kind: Some(kind.to_owned()), ..Place::default() };
    assert_eq!(faults("FLUSHALL").await.len(), 1 + 3 + 6);
    assert_eq!(faults("SELECT 9\nFLUSHDB").await[..2], [everywhere.clone(), database(9)]);
    assert_eq!(faults("SELECT 3\nDEL key:7").await, [everywhere.clone(), database(3), kind("string")]);
    assert_eq!(faults("SELECT 3\nRENAME key:7 other").await, []);
    assert_eq!(faults("SELECT 3\nSET more x").await, [everywhere.clone(), database(3)]);
    assert_eq!(faults("SELECT 3\nMOVE key:9 4").await, [database(3), database(4)]);
    assert_eq!(faults("DEL list-7\nSADD another x").await, [kind("list")]);
    // As many in all, and of each type.
    assert_eq!(faults("SET more x\nSELECT 3\nDEL key:7").await, [database(3), database(0)]);
}

/// Nothing is in the way of what expires; and where times of expiry are not known, nothing that expires is missed.
#[tokio::test]
async fn what_has_expired_is_not_missed() {
    let source = Valkey::start(&["--enable-debug-command", "yes"]).await;
    filled(&source).await;
    // Saved with those that have expired.
    source.does("DEBUG SET-ACTIVE-EXPIRE 0").await;
    for n in 0..50 {
        source.does(&format!("SET gone-{n} x PX 1\nSET going-soon-{n} x PX 6000")).await;
    }
    // A file tells when it was made to the second, by a clock that may be some milliseconds behind.
    let mut connection = source.connect().await;
    let mut second = async || {
        let time = ask(&mut connection, "TIME").await;
        time.many().unwrap()[0].text().unwrap().parse::<i64>().unwrap()
    };
    let written = second().await;
    while second().await < written + 2 {}
    let dump = source.saved().await;
    let expected = expected(&[&dump]);
    let servers = TlsServers::new(None);
    let restored = Valkey::restored(&dump, &[]).await;
    let deadline = std::time::Instant::now() + valkey::PATIENCE;
    // Before some of them have expired, meanwhile, and after.
    loop {
        let walk = checked(&servers, &restored.server, Some(&expected)).await;
        assert_eq!(
            (&walk.evidence.findings, &walk.evidence.notes),
            (&Vec::new(), &Vec::new()),
            "{expected:?}"
        );
        let keys: u64 = walk.counted.values().map(|counted| counted.keys).sum();
        if keys == inspected(&dump).keys() - 100 {
            break;
        }
        assert!(keys <= inspected(&dump).keys() - 50 && std::time::Instant::now() < deadline, "{keys}");
    }
    // Others cannot go with them.
    restored.does("DEL key:1").await;
    let walk = checked(&servers, &restored.server, Some(&expected)).await;
    assert_eq!(walk.evidence.findings.len(), 3, "{:?}", walk.evidence);
    // A server that still has them all.
    let late = Valkey::restored(&dump, &["--enable-debug-command", "yes"]).await;
    late.does("DEBUG SET-ACTIVE-EXPIRE 0").await;
    for n in 0..50 {
        late.does(&format!("SET gone-{n} x\nSET going-soon-{n} x")).await;
    }
    let walk = checked(&servers, &late.server, Some(&expected)).await;
    assert_eq!(walk.evidence.findings, []);
    assert_eq!(
        walk.evidence.notes.first().map(|note| note.what),
        Some(Remark::ExpiredStillCounted),
        "{:?} {expected:?}",
        walk.counted
    );
}

/// Without a checksum a server loads what is damaged, if it can be loaded at all.
#[tokio::test]
async fn a_flipped_byte_that_loads_shows_in_the_counts() {
    let source = Valkey::start(&["--rdbchecksum", "no"]).await;
    source.does("SET going x EX 100000\nSET stays x").await;
    let dump = source.saved().await;
    let expected = expected(&[&dump]);
    assert_eq!(inspected(&dump).verdict, Verdict::NoChecksum);
    // The highest byte of the time of expiry but one: it has expired long ago.
    let at = dump.iter().position(|byte| *byte == 252).unwrap() + 6;
    let mut damaged = dump.clone();
    damaged[at] = 0;
    let restored = Valkey::restored(&damaged, &["--rdbchecksum", "no"]).await;
    let walk = checked(&TlsServers::new(None), &restored.server, Some(&expected)).await;
    assert_eq!(walk.evidence.findings[0].fault.message, "1 keys are there, and of 2 at least 2 should be");
    // A key that is another type's: 0 is a string, 2 a set.
    let at = dump.windows(7).position(|bytes| bytes == b"\0\x05stays").unwrap();
    damaged = [&dump[..at], b"\x02\x05stays\x01\x01", &dump[at + 8..]].concat();
    let restored = Valkey::restored(&damaged, &["--rdbchecksum", "no"]).await;
    let walk = checked(&TlsServers::new(None), &restored.server, Some(&expected)).await;
    let found: Vec<_> = walk.evidence.findings.iter().map(|finding| finding.place.kind.as_deref()).collect();
    assert_eq!(found, [Some("string"), Some("set")], "{:?}", walk.evidence);
}

#[tokio::test]
async fn values_that_are_too_large_are_told_and_passed() {
    let source = Valkey::start(&[]).await;
    source.does("SETBIT string 80000000 1\nRPUSH after x").await;
    let element = "x".repeat(3_000_000);
    source
        .does(&format!(
            "RPUSH list {element} {element} {element}\nHSET hash a {element} b {element} c {element}"
        ))
        .await;
    let expected = expected(&[&source.saved().await]);
    let walk = checked(&TlsServers::new(None), &source.server, Some(&expected)).await;
    assert_eq!(walk.evidence.findings, []);
    let told: Vec<_> =
        walk.evidence.notes.iter().map(|note| (note.what, note.place.kind.clone().unwrap())).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().all(|(what, _)| *what == Remark::TooLarge)
            && walk.read == [("list".to_owned(), 1), ("string".to_owned(), 1)].into()
    );
}

#[tokio::test]
async fn what_this_user_may_not_read_is_no_pass() {
    let valkey = Valkey::start(&[]).await;
    valkey
        .does("SET somebodys-name his-number\nACL SETUSER counter on >x ~* -@all +ping +dbsize +info +select")
        .await;
    valkey.does("ACL SETUSER lister on >x ~* -@all +ping +dbsize +info +select +scan +type +cluster").await;
    valkey.does("ACL SETUSER blind on >x ~other* -@all +@read +ping +info +select +cluster").await;
    let expected = expected(&[&valkey.saved().await]);
    for (user, notes) in [("counter", 1), ("lister", 0), ("blind", 0)] {
        let mut walk = Walk::default();
        let who = credentials(user, "x");
        let servers = TlsServers::new(None);
        check(&servers, &valkey.server, Some(&who), Some(&expected), &mut walk, Timestamp::now(), plenty)
            .await
            .unwrap();
        let kinds: Vec<_> = walk.evidence.findings.iter().map(|finding| finding.fault.kind).collect();
        assert_eq!(
            (kinds, walk.evidence.notes.len()),
            (vec![FaultKind::Unreadable], notes),
            "{user}: {:?}",
            walk.evidence
        );
        let document = serde_json::to_string(&walk).unwrap();
        assert!(!document.contains("somebody") && !document.contains("number"), "{document}");
    }
}

/// As a serverless cache is: a cluster with one address, which knows fewer commands.
#[tokio::test]
async fn a_server_with_fewer_commands_is_checked_as_far_as_it_goes() {
    let bus = valkey::free_port().to_string();
    let valkey = Valkey::start(&["--cluster-enabled", "yes", "--cluster-port", &bus]).await;
    valkey.does("CLUSTER ADDSLOTSRANGE 0 16383").await;
    let deadline = std::time::Instant::now() + valkey::PATIENCE;
    while !ask(&mut valkey.connect().await, "CLUSTER INFO").await.text().unwrap().contains("cluster_state:ok")
    {
        assert!(std::time::Instant::now() < deadline);
    }
    valkey.does("SET a x\nSET b x\nRPUSH c x").await;
    let expected = expected(&[&valkey.saved().await]);
    let walk = checked(&TlsServers::new(None), &valkey.server, Some(&expected)).await;
    assert_eq!((walk.evidence.findings, walk.evidence.notes), (Vec::new(), Vec::new()));

    let servers = FakeServers::default();
    for key in ["a", "b"] {
        servers.put("one", 0, key, FakeValue::Text(b"x".to_vec()));
    }
    servers.put("one", 0, "c", FakeValue::List(vec![b"x".to_vec()]));
    let one = Server { host: "one".to_owned(), port: 6379, tls: true };
    for command in ["SELECT", "INFO", "DBSIZE", "CLUSTER"] {
        servers.answer(command, Reply::Refused("ERR unknown command".to_owned()));
    }
    let walk = checked(&servers, &one, Some(&expected)).await;
    let told: Vec<_> = walk.evidence.notes.iter().map(|note| note.what).collect();
    assert_eq!(told, [Remark::ShardsNotTold, Remark::DatabasesNotTold, Remark::NotCounted]);
    assert_eq!((walk.evidence.findings, walk.counted[&0].listed), (Vec::new(), 3));
    servers.delete("one", 0, "a");
    assert_eq!(
        checked(&servers, &one, Some(&expected)).await.evidence.findings.len(),
        3,
        "what it lists is counted"
    );
    servers.answer("SCAN", Reply::Refused("ERR unknown command".to_owned()));
    let walk = checked(&servers, &one, Some(&expected)).await;
    assert!(walk.evidence.notes.iter().any(|note| note.what == Remark::NotListed), "{:?}", walk.evidence);
}

#[tokio::test]
async fn fields_that_have_expired_are_no_damage() {
    let valkey = Valkey::start(&["--enable-debug-command", "yes"]).await;
    valkey
        .does(
            "DEBUG SET-ACTIVE-EXPIRE 0\nHSET hash a 1 b 2 c 3\nHPEXPIRE hash 1 FIELDS 2 a b\nHSET sound a 1",
        )
        .await;
    let expected = expected(&[&valkey.saved().await]);
    let deadline = std::time::Instant::now() + valkey::PATIENCE;
    loop {
        let walk = checked(&TlsServers::new(None), &valkey.server, Some(&expected)).await;
        assert_eq!(walk.evidence.findings, []);
        if walk.evidence.notes.iter().any(|note| note.what == Remark::FieldsMayHaveExpired) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{:?}", walk.evidence);
    }
}

#[tokio::test]
async fn functions_are_counted() {
    let valkey = Valkey::start(&[]).await;
    let code = "#!lua name=library\nserver.register_function('f', function() return 1 end)";
    let mut connection = valkey.connect().await;
    let loaded =
        redis::server::Connection::ask(&mut connection, &["FUNCTION", "LOAD", code], valkey::PATIENCE).await;
    if loaded.unwrap().refusal().is_some() {
        // This build has no Lua.
        return;
    }
    let expected = expected(&[&valkey.saved().await]);
    let walk = checked(&TlsServers::new(None), &valkey.server, Some(&expected)).await;
    assert_eq!((walk.functions, walk.evidence.findings), (Some(1), Vec::new()));
    ask(&mut connection, "FUNCTION FLUSH").await;
    let walk = checked(&TlsServers::new(None), &valkey.server, Some(&expected)).await;
    assert_eq!(walk.evidence.findings.len(), 1);
}

/// What it costs: run by name, for the figures in `docs/drills.md`.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_million_keys() {
    let source = Valkey::start(&["--enable-debug-command", "yes"]).await;
    source.does("DEBUG POPULATE 1000000 key 100").await;
    let begun = std::time::Instant::now();
    let walk = checked(&TlsServers::new(None), &source.server, None).await;
    panic!("{} keys in {:?}", walk.counted[&0].listed, begun.elapsed());
}
