use std::time::Duration;

use reconcile::Result;
use secrets::Credentials;

use super::{Connection, Reply, Server, Servers};

/// A connection that goes where a key is: in a cluster that is in one shard, to which the others send whoever asks them.
#[derive(Debug)]
pub struct Follower<'s, S: Servers> {
    servers: &'s S,
    credentials: Option<Credentials>,
    server: Server,
    connection: S::Connection,
}

impl<'s, S: Servers> Follower<'s, S> {
    /// Connects to any of its servers; without credentials where none are asked for.
    pub async fn open(servers: &'s S, server: &Server, credentials: Option<Credentials>) -> Result<Self> {
        let connection = servers.connect(server, credentials.as_ref()).await?;
        Ok(Self { servers, credentials, server: server.clone(), connection })
    }

    /// Where it is.
    pub fn host(&self) -> &str {
        &self.server.host
    }

    /// Sends a command, once more to another server if that has its key.
    pub async fn ask<W: AsRef<[u8]> + Clone>(&mut self, command: &[W], within: Duration) -> Result<Reply> {
        let reply = self.connection.ask(command, within).await?;
        let Some(elsewhere) = reply.refusal().and_then(|words| moved(words, &self.server)) else {
            return Ok(reply);
        };
        self.connection = self.servers.connect(&elsewhere, self.credentials.as_ref()).await?;
        self.server = elsewhere;
        self.connection.ask(command, within).await
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
