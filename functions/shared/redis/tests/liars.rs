//! What a drill finds in servers that lie, and over connections that are lost.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod walk;

use jiff::Timestamp;
use reconcile::{Error, Kind};
use redis::{
    checks::{FaultKind, Remark, SAMPLE, Walk, check},
    server::{FakeEntry, FakeServers, FakeValue, NOT_REACHED, Reply, Server},
};
use walk::{checked, plenty};

const ONE: &str = "one";

/// Two shards with keys of every type.
fn cluster() -> (FakeServers, Server) {
    let servers = FakeServers::default();
    for (host, keys) in [(ONE, 1_500), ("two", 2_200)] {
        for n in 0..keys {
            let (a, b) = (b"a".to_vec(), b"b".to_vec());
            let value = match n % 7 {
                0 => FakeValue::List(vec![a, b]),
                1 => FakeValue::Set(vec![a, b]),
                2 => FakeValue::SortedSet(vec![(a, 1.0), (b, 2.0)]),
                3 => FakeValue::Hash(vec![(a, b)]),
                4 => FakeValue::Stream(vec![FakeEntry { id: "1-0".to_owned(), fields: vec![a, b] }]),
                5 => FakeValue::Module("ReJSON-RL".to_owned()),
                _ => FakeValue::Text(a),
            };
            servers.put(host, 0, format!("secret-key-{n}"), value);
        }
    }
    (servers, Server { host: ONE.to_owned(), port: 6379, tls: true })
}

#[tokio::test]
async fn every_shard_is_checked() {
    let (servers, one) = cluster();
    let walk = checked(&servers, &one, None).await;
    assert_eq!((walk.counted[&0].keys, walk.counted[&0].listed, walk.types["list"]), (3_700, 3_700, 530));
    assert_eq!(walk.read["list"], 2 * u64::from(SAMPLE));
    assert_eq!(walk.evidence.findings, []);
    let told: Vec<_> =
        walk.evidence.notes.iter().map(|note| (note.what, note.place.shard.as_deref())).collect();
    let not_read = |shard| (Remark::TypeNotRead, Some(shard));
    assert_eq!(told, [not_read("one:6379"), not_read("two:6379"), (Remark::NotCompared, None)]);
    // A shard that is lost is the caller's to wait for.
    servers.remove("two");
    servers.answer("CLUSTER SLOTS", slots());
    let mut walk = Walk::default();
    for _ in 0..5 {
        let lost = check(&servers, &one, None, None, &mut walk, Timestamp::now(), plenty).await.unwrap_err();
        assert_eq!((lost.code(), lost.kind()), (NOT_REACHED, Kind::Retryable));
    }
    assert!(!walk.is_over);
}

/// As if both were there, and a slot of the second not.
fn slots() -> Reply {
    let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
    let node = |host| Reply::Many(vec![text(host), Reply::Integer(6379)]);
    let range = |from, to, host| Reply::Many(vec![Reply::Integer(from), Reply::Integer(to), node(host)]);
    Reply::Many(vec![range(0, 8_191, "one"), range(8_192, 16_382, "two")])
}

#[tokio::test]
async fn slots_that_nobody_has_are_found() {
    let (servers, one) = cluster();
    servers.answer("CLUSTER SLOTS", slots());
    let walk = checked(&servers, &one, None).await;
    assert!(walk.evidence.findings[0].fault.message.contains("1 have no server"), "{:?}", walk.evidence);
}

/// Whichever command the connection is lost over, the next invocation goes on, and finds the same.
#[tokio::test]
async fn a_connection_that_is_lost_anywhere_changes_nothing() {
    let (servers, one) = cluster();
    let unbroken = checked(&servers, &one, None).await;
    let commands = servers.asked().len();
    // Each of the first, which are of every sort, and then some.
    for lost in (0..60).chain((60..commands).step_by(397)) {
        servers.lose_after(lost);
        let mut walk = Walk::default();
        let first = check(&servers, &one, None, None, &mut walk, Timestamp::now(), plenty).await;
        assert_eq!(first.unwrap_err().code(), NOT_REACHED, "{lost}");
        walk = serde_json::from_str(&serde_json::to_string(&walk).unwrap()).unwrap();
        check(&servers, &one, None, None, &mut walk, Timestamp::now(), plenty).await.unwrap();
        walk.counted.values_mut().for_each(|counted| counted.is_counted = true);
        let same = |walk: &Walk| {
            (walk.counted.clone(), walk.types.clone(), walk.read.clone(), walk.evidence.clone())
        };
        assert_eq!(same(&walk), same(&unbroken), "lost after {lost} of {commands} commands");
    }
}

#[tokio::test]
async fn what_loses_the_connection_each_time_is_found_at_last_and_passed() {
    let (servers, one) = cluster();
    let lost = || Error::retryable(NOT_REACHED, "one closed the connection");
    let mut walk = Walk::default();
    for attempt in 0..3 {
        servers.fail_next("LRANGE", lost());
        let met = check(&servers, &one, None, None, &mut walk, Timestamp::now(), plenty).await;
        assert!(met.is_err() && walk.evidence.findings.len() == usize::from(attempt == 2));
    }
    check(&servers, &one, None, None, &mut walk, Timestamp::now(), plenty).await.unwrap();
    let finding = &walk.evidence.findings[0];
    assert_eq!(
        (finding.fault.kind, finding.place.shard.as_deref()),
        (FaultKind::Unavailable, Some("one:6379"))
    );
    assert!(walk.is_over && !walk.counted[&0].is_whole);
    assert_eq!(walk.types["list"], 315, "those of the other shard");
}

/// Every answer that does not fit the one before it is found, and no key or value is in what is kept of it.
#[tokio::test]
async fn a_server_that_lies_is_found_out() {
    let text = |text: &str| Reply::Text(text.as_bytes().to_vec());
    let page = |parts: &[&str]| {
        Reply::Many(vec![text("0"), Reply::Many(parts.iter().map(|part| text(part)).collect())])
    };
    let texts = |parts: &[&str]| Reply::Many(parts.iter().map(|part| text(part)).collect());
    let entry = |id: &str| Reply::Many(vec![text(id), texts(&["a", "secret-value"])]);
    let lies = [
        ("LLEN", Reply::Integer(3), "list"),
        ("LLEN", Reply::Integer(0), "list"),
        ("LLEN", Reply::Integer(-1), "list"),
        ("LLEN", text("2"), "list"),
        ("LRANGE", texts(&["secret-value"]), "list"),
        ("LRANGE", Reply::Null, "list"),
        ("LRANGE", Reply::Many(vec![Reply::Null, Reply::Null]), "list"),
        ("LRANGE", Reply::Refused("WRONGTYPE Operation against".to_owned()), "list"),
        ("STRLEN", Reply::Integer(0), "string"),
        ("GETRANGE", text("secret-value"), "string"),
        ("SCARD", Reply::Integer(1), "set"),
        ("SSCAN", page(&["secret-value"]), "set"),
        ("SSCAN", page(&["secret-value", "secret-value"]), "set"),
        ("SSCAN", texts(&["secret-value"]), "set"),
        ("HLEN", Reply::Integer(2), "hash"),
        ("HSCAN", page(&["secret-value"]), "hash"),
        ("HSCAN", page(&[]), "hash"),
        ("ZRANGE", texts(&["a", "2", "secret-value", "1"]), "zset"),
        ("ZRANGE", texts(&["a", "1", "secret-value", "nan"]), "zset"),
        ("ZRANGE", texts(&["a", "1", "secret-value"]), "zset"),
        ("XLEN", Reply::Integer(2), "stream"),
        ("XRANGE", Reply::Many(vec![text("1-0")]), "stream"),
        ("XRANGE", Reply::Many(vec![entry("secret-value")]), "stream"),
        ("XRANGE", Reply::Many(vec![entry("2-0"), entry("1-0")]), "stream"),
    ];
    for (command, answer, kind) in lies {
        let (servers, one) = cluster();
        servers.answer(command, answer.clone());
        let walk = checked(&servers, &one, None).await;
        let findings = &walk.evidence.findings;
        assert_eq!(findings.len(), 2 * usize::try_from(SAMPLE).unwrap(), "{command} {answer:?}");
        for finding in findings {
            assert_eq!(
                (finding.fault.kind, finding.place.kind.as_deref()),
                (FaultKind::Corrupt, Some(kind)),
                "{finding:?}"
            );
            assert_eq!(finding.place.key_sha256.as_deref().unwrap().len(), 16);
        }
        let document = serde_json::to_string(&walk).unwrap();
        assert!(!document.contains("secret-"), "{command} {answer:?}: {document}");
    }
    // It is gone, and was not when it was listed.
    let (servers, one) = cluster();
    servers.answer("LLEN", Reply::Integer(0));
    servers.answer("EXISTS", Reply::Integer(0));
    let walk = checked(&servers, &one, None).await;
    assert_eq!((walk.evidence.findings.len(), walk.read.get("list")), (0, None));
    // Fields that expire: told, as far as it can be.
    let (servers, one) = cluster();
    servers.answer("HSCAN", page(&[]));
    servers.answer("HTTL", Reply::Many(vec![Reply::Integer(-2)]));
    let walk = checked(&servers, &one, None).await;
    assert!(
        walk.evidence.findings.is_empty()
            && walk.evidence.notes.iter().any(|note| note.what == Remark::FieldsMayHaveExpired)
    );
}
