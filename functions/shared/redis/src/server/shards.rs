//! Where the keys of a cluster are.

use std::time::Duration;

use reconcile::{Error, Result};

use super::{Connection, Reply, Server, UNREADABLE};

/// The slots of a cluster (Redis documentation, "Redis cluster specification", Key distribution model).
const SLOTS: i64 = 16_384;

/// The servers that have the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shards {
    /// The primary of each shard, each once: without cluster mode the server itself.
    pub primaries: Vec<Server>,
    /// Whether cluster mode is on.
    pub is_cluster: bool,
    /// The slots that no server has: their keys are nowhere.
    pub missing_slots: u32,
}

/// Asks a server for the shards of its cluster, by `CLUSTER SLOTS`, which every version and ElastiCache's serverless caches
/// answer; `CLUSTER SHARDS` came with 7.0.
///
/// `server` is where the connection leads: a node that names no host is to be found there too.
pub async fn shards(connection: &mut impl Connection, server: &Server, within: Duration) -> Result<Shards> {
    let reply = connection.ask(&["CLUSTER", "SLOTS"], within).await?;
    if let Some(words) = reply.refusal()
        && words.contains("cluster support disabled")
    {
        return Ok(Shards { primaries: vec![server.clone()], is_cluster: false, missing_slots: 0 });
    }
    let doing = format!("ask {}:{} for its shards", server.host, server.port);
    let reply = reply.granted(&doing)?;
    let ranges =
        reply.many().and_then(|ranges| ranges.iter().map(|range| Range::of(range, server)).collect());
    let ranges: Vec<Range> = ranges
        .ok_or_else(|| Error::retryable(UNREADABLE, format!("cannot {doing}: its answer is another")))?;
    let mut primaries = Vec::new();
    for range in &ranges {
        if !primaries.contains(&range.primary) {
            primaries.push(range.primary.clone());
        }
    }
    let covered: i64 = ranges.iter().map(|range| range.slots).sum();
    let missing_slots = u32::try_from(SLOTS.saturating_sub(covered)).unwrap_or(0);
    Ok(Shards { primaries, is_cluster: true, missing_slots })
}

/// Slots in a row, and who has them.
struct Range {
    slots: i64,
    primary: Server,
}

impl Range {
    /// Its first and last slot, then its nodes, the primary first; of a node the host by which it wants to be called, and the port.
    fn of(reply: &Reply, asked: &Server) -> Option<Self> {
        let [first, last, primary, ..] = reply.many()? else { return None };
        let (first, last) = (first.integer()?, last.integer()?);
        let [host, port, ..] = primary.many()? else { return None };
        let host = match host {
            Reply::Null => asked.host.as_str(),
            named => match named.text()? {
                "" => asked.host.as_str(),
                // It does not know its own name yet.
                "?" => return None,
                named => named,
            },
        };
        let is_range = (0..SLOTS).contains(&first) && (first..SLOTS).contains(&last);
        let port = u16::try_from(port.integer()?).ok()?;
        let primary = Server { host: host.to_owned(), port, tls: asked.tls };
        is_range.then_some(Self { slots: last - first + 1, primary })
    }
}
