//! Heartbeats in a Redis or Valkey: what stands in [`heartbeat::redis`], over a connection.

use std::time::Duration;

use heartbeat::{Heartbeat, Place, Row, redis as commands};
use reconcile::{Error, Result};
use secrets::Credentials;

use crate::server::{Connection, Reply, Server, Servers, UNREADABLE};

/// A command that takes longer is not carried out.
const WITHIN: Duration = Duration::from_secs(5);

/// The stream of one cache. In a cluster it is in one shard, to which the others send whoever asks them.
#[derive(Debug)]
pub struct Stream<'s, S: Servers> {
    servers: &'s S,
    credentials: Credentials,
    server: Server,
    connection: S::Connection,
}

impl<'s, S: Servers> Stream<'s, S> {
    /// Connects as whoever may write heartbeats.
    pub async fn open(servers: &'s S, server: &Server, credentials: Credentials) -> Result<Self> {
        let connection = servers.connect(server, Some(&credentials)).await?;
        Ok(Self { servers, credentials, server: server.clone(), connection })
    }

    async fn ask(&mut self, command: &[String]) -> Result<Reply> {
        let reply = self.connection.ask(command, WITHIN).await?;
        let Some(elsewhere) = reply.refusal().and_then(|words| moved(words, &self.server)) else {
            return Ok(reply);
        };
        self.connection = self.servers.connect(&elsewhere, Some(&self.credentials)).await?;
        self.server = elsewhere;
        self.connection.ask(command, WITHIN).await
    }
}

/// Where the key is, if it is elsewhere: `MOVED 3999 host:port`, without a host if it is the one that was asked (Redis documentation,
/// "Redis cluster specification", MOVED Redirection).
fn moved(words: &str, asked: &Server) -> Option<Server> {
    let place = words.strip_prefix("MOVED ")?.split(' ').nth(1)?;
    let (host, port) = place.rsplit_once(':')?;
    let host = if host.is_empty() { &asked.host } else { host };
    Some(Server { host: host.to_owned(), port: port.parse().ok()?, tls: asked.tls })
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
        let doing = format!("read the heartbeats of {}", self.server.host);
        let reply = self.ask(&commands::read(count)).await?.granted(&doing)?;
        let rows = reply.many().and_then(|entries| entries.iter().map(row).collect());
        rows.ok_or_else(|| Error::retryable(UNREADABLE, format!("cannot {doing}: its answer is another")))
    }

    async fn write(&mut self, heartbeat: &Heartbeat) -> Result<bool> {
        let doing = format!("write a heartbeat to {}", self.server.host);
        let reply = self.ask(&commands::write(heartbeat)).await?;
        if reply.refusal().is_some_and(|words| words.starts_with(commands::NOT_NEWER)) {
            return Ok(false);
        }
        reply.granted(&doing).map(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("MOVED 3999 shard-2.cache.example:6380", Some(("shard-2.cache.example", 6380)))]
    #[case("MOVED 3999 :6380", Some(("cache.example", 6380)))]
    #[case("MOVED 3999 2001:db8::1:6380", Some(("2001:db8::1", 6380)))]
    #[case("MOVED 3999", None)]
    #[case("MOVED 3999 cache.example:port", None)]
    #[case("ERR MOVED 3999 cache.example:6380", None)]
    fn redirections(#[case] words: &str, #[case] place: Option<(&str, u16)>) {
        let asked = Server { host: "cache.example".to_owned(), port: 6379, tls: true };
        let found = moved(words, &asked);
        assert_eq!(found.as_ref().map(|server| (server.host.as_str(), server.port)), place);
        assert!(found.is_none_or(|server| server.tls));
    }
}
