//! Heartbeats in Redis and Valkey: the stream `tidemark:heartbeat`, whose entries have the heartbeats' numbers for ids.
//!
//! A stream and not a list with a key beside it: `XADD` refuses an id that is not higher than the newest, inserts, and cuts off
//! what is old, all in one command on one key. So two writers need no transaction, and nothing can be half done. Of a cluster
//! the stream is in one shard, and what it measures is that shard's loss.

use crate::{Heartbeat, KEEP, Row};

/// The stream's key.
pub const KEY: &str = "tidemark:heartbeat";

/// The rules of the user that writes and reads heartbeats, as `ACL SETUSER` takes them, and ElastiCache as an access string;
/// how it proves itself comes on top.
pub const ACL: &str = "on ~tidemark:heartbeat* resetchannels -@all +xadd +xrevrange";

/// What the error of a refused `XADD` begins with if another writer was quicker, which is as good.
pub const NOT_NEWER: &str = "ERR The ID specified in XADD is equal or smaller";

const NAMES: [&str; 5] = ["follows", "at_ms", "resource", "key_id", "signature"];

/// The command that writes a heartbeat.
pub fn write(heartbeat: &Heartbeat) -> Vec<String> {
    let row = Row::from(heartbeat);
    let [number, fields @ ..] = row.fields();
    // Exactly (`=`), and by rank: an entry with an enormous number, put there by somebody, must not make all the others go.
    let head = ["XADD", KEY, "MAXLEN", "=", &KEEP.to_string(), &format!("{number}-0")].map(str::to_owned);
    let tail = NAMES.into_iter().zip(fields).flat_map(|(name, field)| [name.to_owned(), field.to_owned()]);
    head.into_iter().chain(tail).collect()
}

/// The command that reads the newest `count`, the newest first.
pub fn read(count: u32) -> Vec<String> {
    ["XREVRANGE", KEY, "+", "-", "COUNT", &count.to_string()].map(str::to_owned).to_vec()
}

/// An entry as a row: its id, and its names and values in turn. What is no heartbeat becomes a row that nobody believes.
pub fn row(id: &str, fields: &[String]) -> Row {
    let number = id.strip_suffix("-0").unwrap_or(id).to_owned();
    let named = fields.chunks(2).map(|pair| pair.first().map(String::as_str)).eq(NAMES.map(Some));
    let values = fields.iter().skip(1).step_by(2).cloned().collect::<Vec<_>>();
    let [follows, at_ms, resource, key_id, signature] =
        <[String; 5]>::try_from(values).ok().filter(|_| named).unwrap_or_default();
    Row { number, follows, at_ms, resource, key_id, signature }
}
