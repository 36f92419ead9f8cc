//! Valkey itself: servers, their dumps, and caches made of several.

mod client;
mod dumps;
mod fleet;
mod server;
mod slots;
mod spread;

use std::path::{Path, PathBuf};

pub(crate) use dumps::{Dump, Dumps, empty};
pub(crate) use fleet::{Contents, Fleet, Plan};
pub(crate) use server::Install;
pub(crate) use slots::{SLOTS, Slots};

/// What went wrong with a server.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot use {path}", path = path.display())]
    Files { path: PathBuf, source: std::io::Error },
    #[error("the server ended by itself: {log}")]
    Ended { log: String },
    #[error("the server did not get ready in time: {log}")]
    NotReady { log: String },
    #[error("no connection to the server")]
    Connection(#[from] std::io::Error),
    #[error("the server's answer is not RESP")]
    Protocol(#[from] redis_protocol::error::RedisProtocolError),
    #[error("the server refused {command}: {answer}")]
    Refused { command: String, answer: String },
    #[error("the server gave up its dump: {status}")]
    Dump { status: String },
    #[error("the file has keys in {database}, and cluster mode has database 0 only")]
    Database { database: String },
    #[error("S3 failed")]
    Objects(#[source] crate::ObjectsError),
    #[error("the server is gone")]
    Gone,
}

impl Error {
    /// For `map_err`: what was being used when an I/O error came.
    pub(crate) fn files(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Files { path, source }
    }
}
