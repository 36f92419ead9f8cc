//! What a server answers to the commands that Tidemark knows; all others it does not know either.

use std::{collections::BTreeMap, fmt::Write};

use super::{FakeEntry, FakeValue, Node};
use crate::server::Reply;

type Keys = BTreeMap<Vec<u8>, FakeValue>;

fn text(text: impl Into<Vec<u8>>) -> Reply {
    Reply::Text(text.into())
}

fn number(number: usize) -> Reply {
    Reply::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn texts<'t>(texts: impl IntoIterator<Item = &'t Vec<u8>>) -> Reply {
    Reply::Many(texts.into_iter().cloned().map(Reply::Text).collect())
}

fn refused(words: &str) -> Reply {
    Reply::Refused(words.to_owned())
}

/// `hosts` are all servers, among which a cluster's slots are spread.
pub(super) fn answer(
    node: &mut Node,
    hosts: &[String],
    port: u16,
    database: &mut u32,
    words: &[&[u8]],
) -> Reply {
    let names: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        ["PING"] => return text("PONG"),
        ["INFO", "keyspace"] => return keyspace(node),
        ["CLUSTER", "SLOTS"] => return slots(hosts, port),
        ["SELECT", _] if hosts.len() > 1 => return refused("ERR SELECT is not allowed in cluster mode"),
        ["SELECT", wanted] => {
            let Some(wanted) = wanted.parse().ok().filter(|wanted| *wanted < 16) else {
                return refused("ERR DB index is out of range");
            };
            *database = wanted;
            return text("OK");
        }
        _ => {}
    }
    let keys = node.databases.entry(*database).or_default();
    match names.as_slice() {
        ["DBSIZE"] => number(keys.len()),
        ["SCAN", cursor, "COUNT", count] => scan(keys, cursor, count),
        ["XADD", _, "MAXLEN", "=", most, id, ..] => add(keys, words, most, id),
        [_, ..] => words.get(1).map_or_else(unknown, |key| of_key(keys.get(*key), &names)),
        [] => unknown(),
    }
}

fn unknown() -> Reply {
    refused("ERR unknown command")
}

fn keyspace(node: &Node) -> Reply {
    let mut said = "# Keyspace\r\n".to_owned();
    for (database, keys) in node.databases.iter().filter(|(_, keys)| !keys.is_empty()) {
        // Writing to a string cannot fail.
        let _ = write!(said, "db{database}:keys={},expires=0,avg_ttl=0\r\n", keys.len());
    }
    text(said)
}

fn slots(hosts: &[String], port: u16) -> Reply {
    if hosts.len() < 2 {
        return refused("ERR This instance has cluster support disabled");
    }
    let edge = |number: usize| 16_384 * number / hosts.len();
    let node =
        |host: &String| Reply::Many(vec![text(host.as_str()), Reply::Integer(i64::from(port)), text("id")]);
    let range = |(at, host)| Reply::Many(vec![number(edge(at)), number(edge(at + 1) - 1), node(host)]);
    Reply::Many(hosts.iter().enumerate().map(range).collect())
}

fn scan(keys: &Keys, cursor: &str, count: &str) -> Reply {
    let (from, count) = (cursor.parse().unwrap_or(0), count.parse::<usize>().unwrap_or(10));
    let found: Vec<_> = keys.keys().skip(from).take(count).collect();
    let next = if from + found.len() < keys.len() { from + found.len() } else { 0 };
    Reply::Many(vec![text(next.to_string()), texts(found)])
}

/// `XADD key MAXLEN = most id field value …`
fn add(keys: &mut Keys, words: &[&[u8]], most: &str, id: &str) -> Reply {
    let rank = |id: &str| {
        let (first, second) = id.split_once('-').unwrap_or((id, "0"));
        (first.parse::<u64>().unwrap_or(0), second.parse::<u64>().unwrap_or(0))
    };
    let key = words.get(1).map(|key| key.to_vec()).unwrap_or_default();
    let stream = keys.entry(key).or_insert_with(|| FakeValue::Stream(Vec::new()));
    let FakeValue::Stream(entries) = stream else { return wrong_type() };
    if entries.last().is_some_and(|last| rank(&last.id) >= rank(id)) {
        return refused("ERR The ID specified in XADD is equal or smaller than the target stream top item");
    }
    let fields = words.iter().skip(6).map(|word| word.to_vec()).collect();
    entries.push(FakeEntry { id: id.to_owned(), fields });
    let most = most.parse().unwrap_or(usize::MAX);
    entries.drain(..entries.len().saturating_sub(most));
    text(id)
}

fn wrong_type() -> Reply {
    refused("WRONGTYPE Operation against a key holding the wrong kind of value")
}

/// Commands that a value of another type refuses.
const OF_A_TYPE: [&str; 13] = [
    "STRLEN",
    "LLEN",
    "SCARD",
    "ZCARD",
    "HLEN",
    "XLEN",
    "GETRANGE",
    "LRANGE",
    "ZRANGE",
    "SSCAN",
    "HSCAN",
    "XRANGE",
    "XREVRANGE",
];

fn of_key(value: Option<&FakeValue>, words: &[&str]) -> Reply {
    use FakeValue::{Hash, List, Module, Set, SortedSet, Stream, Text};
    match (words, value) {
        (["TYPE", _], value) => text(match value {
            None => "none",
            Some(Text(_)) => "string",
            Some(List(_)) => "list",
            Some(Set(_)) => "set",
            Some(SortedSet(_)) => "zset",
            Some(Hash(_)) => "hash",
            Some(Stream(_)) => "stream",
            Some(Module(name)) => name,
        }),
        (["EXISTS", _], value) => number(usize::from(value.is_some())),
        (["STRLEN" | "LLEN" | "SCARD" | "ZCARD" | "HLEN" | "XLEN", _], None) => number(0),
        (["STRLEN", _], Some(Text(bytes))) => number(bytes.len()),
        (["LLEN", _], Some(List(all))) | (["SCARD", _], Some(Set(all))) => number(all.len()),
        (["ZCARD", _], Some(SortedSet(all))) => number(all.len()),
        (["HLEN", _], Some(Hash(all))) => number(all.len()),
        (["XLEN", _], Some(Stream(all))) => number(all.len()),
        (["GETRANGE", _, from, to], Some(Text(bytes))) => text(range(bytes, from, to).to_vec()),
        (["LRANGE", _, from, to], Some(List(all))) => texts(range(all, from, to)),
        (["ZRANGE", _, from, to, "WITHSCORES"], Some(SortedSet(all))) => {
            let pair = |(member, score): &(Vec<u8>, f64)| [member.clone(), score.to_string().into_bytes()];
            texts(&range(all, from, to).iter().flat_map(pair).collect::<Vec<_>>())
        }
        (["SSCAN", _, "0", ..], Some(Set(all))) => Reply::Many(vec![text("0"), texts(all)]),
        (["HSCAN", _, "0", ..], Some(Hash(all))) => {
            let parts = all.iter().flat_map(|(field, value)| [field, value]);
            Reply::Many(vec![text("0"), texts(parts)])
        }
        (["XRANGE", _, "-", "+", "COUNT", count], Some(Stream(all))) => entries(all.iter(), count),
        (["XREVRANGE", _, "+", "-", "COUNT", count], Some(Stream(all))) => entries(all.iter().rev(), count),
        (["LRANGE" | "ZRANGE" | "XRANGE" | "XREVRANGE", ..], None) => Reply::Many(Vec::new()),
        ([command, ..], Some(_)) if OF_A_TYPE.contains(command) => wrong_type(),
        _ => unknown(),
    }
}

/// From a place to a place, both counted from 0 and within.
fn range<'v, T>(all: &'v [T], from: &str, to: &str) -> &'v [T] {
    let from = from.parse().unwrap_or(0).min(all.len());
    let to = to.parse::<usize>().map_or(all.len(), |to| all.len().min(to + 1));
    all.get(from..to).unwrap_or_default()
}

fn entries<'e>(all: impl Iterator<Item = &'e FakeEntry>, count: &str) -> Reply {
    let entry = |entry: &FakeEntry| Reply::Many(vec![text(entry.id.as_str()), texts(&entry.fields)]);
    Reply::Many(all.take(count.parse().unwrap_or(0)).map(entry).collect())
}
