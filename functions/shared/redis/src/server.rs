//! A Redis or Valkey server as a client meets it: over TLS where it asks for it, the certificate checked against the roots of the
//! system.
//!
//! [`Servers`] and [`Connection`] are the port; [`TlsServers`] speaks to servers, and `FakeServers` (feature `fake`) is one in
//! memory. What is spoken is RESP2, which every version answers without being asked for another.

mod client;
mod extent;
#[cfg(feature = "fake")]
mod fake;
mod follow;
mod reply;
mod shards;
mod wire;

use std::{future::Future, time::Duration};

pub use client::{TlsConnection, TlsServers};
#[cfg(feature = "fake")]
pub use fake::{FakeConnection, FakeEntry, FakeServers, FakeValue};
pub use follow::Follower;
use reconcile::{Error, Result};
pub use reply::Reply;
use secrets::Credentials;
pub use shards::{Shards, shards};

/// The code of an error that means: there is no connection, or none any more. Another try may go well.
pub const NOT_REACHED: &str = "CacheNotReached";
/// The code of an error that means: the server does not let this user in, or do this.
pub const REFUSED: &str = "CacheRefused";
/// The code of an error that means: the server still reads its data.
pub const LOADING: &str = "CacheLoading";
/// The code of an error that means: an answer was longer than any that is read, and the connection is gone with it.
pub const TOO_LARGE: &str = "CacheAnswerTooLarge";
/// The code of an error that means: an answer is none, and the connection is gone with it.
pub const UNREADABLE: &str = "CacheAnswerUnreadable";

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// DNS name or address; the certificate must be for it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether it speaks TLS, and nothing else.
    pub tls: bool,
}

/// Redis and Valkey servers.
pub trait Servers {
    /// A connection to one.
    type Connection: Connection;

    /// Connects, proves who we are, and has the server answer once; all of that within 5 s.
    ///
    /// An empty user name, or `default`, stands for the password alone, as caches have it that know no users. Without credentials
    /// nothing is proved.
    ///
    /// Errors: [`NOT_REACHED`] and [`LOADING`], which are retryable; [`REFUSED`], which is not. None holds a password.
    fn connect(
        &self,
        server: &Server,
        credentials: Option<&Credentials>,
    ) -> impl Future<Output = Result<Self::Connection>>;
}

/// A connection to one server. What follows a command's words is the server's affair: a word may hold any bytes.
pub trait Connection {
    /// Has the server carry out commands, one after the other, and gives the answer to each. They are sent together, so that many
    /// small ones cost one journey; `within` is the time of them all.
    ///
    /// What the server refuses is an answer, [`Reply::Refused`]. Errors are [`NOT_REACHED`], [`TOO_LARGE`] and [`UNREADABLE`], and
    /// after any of them, and after a future that was dropped, the connection is closed: what would come next might be the answer to
    /// another question.
    fn ask_all<W: AsRef<[u8]>>(
        &mut self,
        commands: &[Vec<W>],
        within: Duration,
    ) -> impl Future<Output = Result<Vec<Reply>>>;

    /// Has the server carry out one command. It does not follow `MOVED`: see [`Follower`], and [`shards()`].
    fn ask<W: AsRef<[u8]>>(
        &mut self,
        command: &[W],
        within: Duration,
    ) -> impl Future<Output = Result<Reply>> {
        async move {
            let words: Vec<&[u8]> = command.iter().map(AsRef::as_ref).collect();
            let mut replies = self.ask_all(&[words], within).await?;
            replies.pop().ok_or_else(|| Error::retryable(UNREADABLE, "the server answered nothing"))
        }
    }
}
