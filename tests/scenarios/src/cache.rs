//! A Redis or Valkey server with data in it, and what is in it as a digest.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow, bail, ensure};
use data_encoding::HEXLOWER;
use redis_protocol::resp2::{
    decode::decode,
    encode::encode,
    types::{OwnedFrame, Resp2Frame},
};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection to a server.
pub struct Cache {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What a server holds: of two that hold the same, this is the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheContents {
    /// Keys by type.
    pub keys: BTreeMap<String, usize>,
    /// Keys that expire.
    pub expiring: usize,
    /// SHA-256 of all keys in order, each with its type, its value in the type's own order or sorted, and its expiry.
    pub digest: String,
}

impl CacheContents {
    /// How many keys.
    pub fn total(&self) -> usize {
        self.keys.values().sum()
    }
}

type Command = Vec<String>;

fn command(words: &[&str]) -> Command {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// How many commands are under way at once.
const PIPELINED: usize = 1_000;

impl Cache {
    /// Connects.
    pub async fn connect(host: &str, port: u16) -> Result<Self> {
        let stream =
            TcpStream::connect((host, port)).await.with_context(|| format!("no cache at {host}:{port}"))?;
        Ok(Self { stream, received: Vec::new() })
    }

    /// A connection to each shard of the cluster that this is a node of.
    pub async fn shards(mut self) -> Result<Vec<Self>> {
        let OwnedFrame::Array(ranges) = self.call(&["CLUSTER", "SLOTS"]).await? else {
            bail!("CLUSTER SLOTS answers no array")
        };
        let mut places = BTreeSet::new();
        for range in &ranges {
            let OwnedFrame::Array(range) = range else { bail!("CLUSTER SLOTS answers {range:?}") };
            let [_, _, OwnedFrame::Array(primary), ..] = range.as_slice() else {
                bail!("CLUSTER SLOTS answers {range:?}")
            };
            let [host, OwnedFrame::Integer(port), ..] = primary.as_slice() else {
                bail!("CLUSTER SLOTS answers {range:?}")
            };
            places.insert((text(host)?, u16::try_from(*port)?));
        }
        let mut shards = Vec::new();
        for (host, port) in places {
            shards.push(Self::connect(&host, port).await?);
        }
        Ok(shards)
    }

    /// Sets `number` keys, each in the shard that it belongs to.
    pub async fn spread(shards: &mut [Self], number: usize) -> Result<()> {
        for at in 0..number {
            let (mut is_set, words) = (false, key(at, number));
            for shard in &mut *shards {
                // Every other shard says `MOVED`.
                is_set = is_set || shard.run(std::slice::from_ref(&words)).await.is_ok();
            }
            ensure!(is_set, "no shard takes {}", words.join(" "));
        }
        Ok(())
    }

    /// Runs commands, many at once; their answers in order. An error answer is an error.
    pub async fn run(&mut self, commands: &[Command]) -> Result<Vec<OwnedFrame>> {
        let mut answers = Vec::with_capacity(commands.len());
        for batch in commands.chunks(PIPELINED) {
            let mut request = Vec::new();
            for words in batch {
                let words = words.iter().map(|word| OwnedFrame::BulkString(word.clone().into_bytes()));
                let frame = OwnedFrame::Array(words.collect());
                let mut encoded = vec![0; frame.encode_len(false)];
                encode(&mut encoded, &frame, false)?;
                request.extend_from_slice(&encoded);
            }
            self.stream.write_all(&request).await?;
            for words in batch {
                match self.answer().await? {
                    OwnedFrame::Error(error) => bail!("{}: {error}", words.join(" ")),
                    answer => answers.push(answer),
                }
            }
        }
        Ok(answers)
    }

    /// Runs one command.
    pub async fn call(&mut self, words: &[&str]) -> Result<OwnedFrame> {
        self.run(&[command(words)]).await?.pop().context("no answer")
    }

    async fn answer(&mut self) -> Result<OwnedFrame> {
        loop {
            if let Some((frame, length)) = decode(&self.received)? {
                self.received.drain(..length);
                return Ok(frame);
            }
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the cache closed the connection");
            }
        }
    }

    /// Fills it with keys of every type, small and large, with and without expiry, in two databases: `number` at least.
    pub async fn fill(&mut self, number: usize) -> Result<()> {
        let number = number.div_ceil(10) * 10;
        let commands: Vec<Command> = (0..number).map(|at| key(at, number)).collect();
        self.run(&commands).await?;
        // An hour to a year from now; every seventh key.
        let expiring = (0..number).step_by(7);
        let expire = expiring.map(|at| command(&["EXPIRE", &name(at), &(3_600 + at * 600).to_string()]));
        self.run(&expire.collect::<Vec<_>>()).await?;
        let large = (0..3_000).map(|at| format!("member-{at}"));
        let mut words = command(&["SADD", "large:set"]);
        words.extend(large.clone());
        let mut list = command(&["RPUSH", "large:list"]);
        list.extend(large.clone());
        let mut sorted = command(&["ZADD", "large:zset"]);
        sorted.extend(large.enumerate().flat_map(|(at, member)| [format!("{}.5", at * 3), member]));
        let text = "Tidemark ".repeat(20_000);
        let others = [
            words,
            list,
            sorted,
            command(&["SET", "large:string", &text]),
            command(&["SET", "empty", ""]),
            command(&["SETBIT", "bitmap", "100003", "1"]),
            command(&["PFADD", "hyperloglog", "a", "b", "c"]),
            command(&[
                "GEOADD",
                "geo",
                "13.361389",
                "38.115556",
                "Palermo",
                "15.087269",
                "37.502669",
                "Catania",
            ]),
            command(&["XGROUP", "CREATE", &name(9), "readers", "0"]),
            command(&["XREADGROUP", "GROUP", "readers", "one", "COUNT", "1", "STREAMS", &name(9), ">"]),
            command(&["FUNCTION", "LOAD", "REPLACE", FUNCTION]),
            command(&["SELECT", "1"]),
            command(&["SET", "in-another-database", "1"]),
            command(&["SELECT", "0"]),
        ];
        self.run(&others).await.map(drop)
    }

    /// What the database in use holds.
    pub async fn contents(&mut self) -> Result<CacheContents> {
        let mut names = self.names().await?;
        names.sort();
        let types = self.each(&names, |name| command(&["TYPE", name])).await?;
        let types: Vec<String> = types.iter().map(text).collect::<Result<_>>()?;
        let read = names.iter().zip(&types).map(|(name, kind)| read(kind, name));
        let values = self.run(&read.collect::<Vec<_>>()).await?;
        let expiries = self.each(&names, |name| command(&["PEXPIRETIME", name])).await?;
        let (mut digest, mut keys, mut expiring) = (Sha256::new(), BTreeMap::new(), 0);
        for (((name, kind), value), expiry) in names.iter().zip(&types).zip(values).zip(expiries) {
            *keys.entry(kind.clone()).or_default() += 1;
            expiring += usize::from(expiry != OwnedFrame::Integer(-1));
            digest.update(format!("{name} {kind} {expiry:?} {:?}\n", in_order(kind, value)));
        }
        Ok(CacheContents { keys, expiring, digest: HEXLOWER.encode(&digest.finalize()) })
    }

    async fn each(&mut self, names: &[String], command: impl Fn(&str) -> Command) -> Result<Vec<OwnedFrame>> {
        let commands: Vec<Command> = names.iter().map(|name| command(name)).collect();
        self.run(&commands).await
    }

    async fn names(&mut self) -> Result<Vec<String>> {
        let (mut names, mut cursor) = (std::collections::BTreeSet::new(), "0".to_owned());
        loop {
            let OwnedFrame::Array(answer) = self.call(&["SCAN", &cursor, "COUNT", "1000"]).await? else {
                bail!("SCAN answers no array");
            };
            let [next, OwnedFrame::Array(found)] = answer.as_slice() else {
                bail!("SCAN answers {answer:?}")
            };
            for name in found {
                names.insert(text(name)?);
            }
            cursor = text(next)?;
            if cursor == "0" {
                return Ok(names.into_iter().collect());
            }
        }
    }
}

const FUNCTION: &str = "#!lua name=tidemark\nredis.register_function('answer', function() return 42 end)";

fn name(at: usize) -> String {
    format!("key:{at}")
}

/// The command that makes the key of that number: the types take turns.
fn key(at: usize, number: usize) -> Command {
    let key = name(at);
    let (number, at_text) = (number.to_string(), at.to_string());
    match at % 10 {
        0 => command(&["SET", &key, &at_text]),
        1 => command(&["SET", &key, &format!("value {at} of {number}, with a \u{fffd} and an é in it")]),
        2 => command(&["RPUSH", &key, &at_text, "b", "c"]),
        3 => command(&["SADD", &key, &at_text, "7", "11"]),
        4 => command(&["SADD", &key, &at_text, "seven", "eleven"]),
        5 => command(&["ZADD", &key, &at_text, "a", "-1.5", "b", "+inf", "c"]),
        6 => command(&["HSET", &key, "number", &at_text, "empty", ""]),
        7 => command(&["SET", &key, &"compressible ".repeat(10 + at % 50)]),
        8 => command(&["HSET", &key, "long", &"x".repeat(70), "n", &at_text]),
        _ => command(&["XADD", &key, &format!("{}-1", at + 1), "field", &at_text]),
    }
}

fn read(kind: &str, name: &str) -> Command {
    match kind {
        "list" => command(&["LRANGE", name, "0", "-1"]),
        "set" => command(&["SMEMBERS", name]),
        "zset" => command(&["ZRANGE", name, "0", "-1", "WITHSCORES"]),
        "hash" => command(&["HGETALL", name]),
        "stream" => command(&["XRANGE", name, "-", "+"]),
        _ => command(&["GET", name]),
    }
}

/// A value as it is the same in every server: sets and hashes have no order.
fn in_order(kind: &str, value: OwnedFrame) -> OwnedFrame {
    let OwnedFrame::Array(items) = value else { return value };
    let width = match kind {
        "set" => 1,
        "hash" => 2,
        _ => return OwnedFrame::Array(items),
    };
    let mut groups: Vec<&[OwnedFrame]> = items.chunks(width).collect();
    groups.sort_by_key(|group| format!("{group:?}"));
    OwnedFrame::Array(groups.concat())
}

fn text(frame: &OwnedFrame) -> Result<String> {
    match frame {
        OwnedFrame::SimpleString(bytes) | OwnedFrame::BulkString(bytes) => {
            Ok(String::from_utf8(bytes.clone()).context("no UTF-8")?)
        }
        other => Err(anyhow!("no text: {other:?}")),
    }
}
