//! Heartbeats in a Redis or Valkey: what stands in [`heartbeat::redis`], over a connection.

use std::time::Duration;

use heartbeat::{Heartbeat, Place, Row, redis as commands};
use reconcile::{Error, Result};
use secrets::Credentials;

use crate::server::{Follower, Reply, Server, Servers, UNREADABLE};

/// A command that takes longer is not carried out.
const WITHIN: Duration = Duration::from_secs(5);

/// The stream of one cache.
pub struct Stream<'s, S: Servers> {
    place: Follower<'s, S>,
}

impl<'s, S: Servers> Stream<'s, S> {
    /// Connects as whoever may read, or write, heartbeats; without credentials where none are asked for.
    pub async fn open(servers: &'s S, server: &Server, credentials: Option<Credentials>) -> Result<Self> {
        Ok(Self { place: Follower::open(servers, server, credentials).await? })
    }
}

/// An entry: its id, and its names and values in turn. What is no UTF-8 is no heartbeat.
fn row(entry: &Reply) -> Option<Row> {
    let [id, fields] = entry.many()? else { return None };
    let text = |reply: &Reply| reply.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let fields: Option<Vec<String>> = fields.many()?.iter().map(text).collect();
    Some(commands::row(&text(id)?, &fields?))
}

impl<S: Servers> Place for Stream<'_, S> {
    type Error = Error;

    async fn read(&mut self, count: u32) -> Result<Vec<Row>> {
        let doing = format!("read the heartbeats of {}", self.place.host());
        let reply = self.place.ask(&commands::read(count), WITHIN).await?.granted(&doing)?;
        let rows = reply.many().and_then(|entries| entries.iter().map(row).collect());
        rows.ok_or_else(|| Error::retryable(UNREADABLE, format!("cannot {doing}: its answer is another")))
    }

    async fn write(&mut self, heartbeat: &Heartbeat) -> Result<bool> {
        let doing = format!("write a heartbeat to {}", self.place.host());
        let reply = self.place.ask(&commands::write(heartbeat), WITHIN).await?;
        if reply.refusal().is_some_and(|words| words.starts_with(commands::NOT_NEWER)) {
            return Ok(false);
        }
        reply.granted(&doing).map(|_| true)
    }
}
