//! The Turso Platform API over real sqld: databases, branches, tokens, uploads and page exports.
//!
//! Behind the API the data is real: a database is an sqld process over `SQLite` files, a branch is a copy of the pages as
//! they were, an upload is the file that is served from then on. Each database has an endpoint of its own (`Hostname`,
//! here `127.0.0.1:PORT` without TLS), where sqld answers `/v2/pipeline`, `/v3/cursor` and the like, and we what only
//! Turso's own servers have: `/info`, `/export`, `/sync`, `/v1/upload`.
//!
//! The history of a database is looked at every [`Speed::archive`] and whenever [`LocalTurso::archive_now`] says so. A branch
//! at a time holds all that was committed before the last look up to that time, and nothing that came after the time.
//!
//! What Turso does not document is chosen, and may differ: the statuses of refusals that its document does not list (402 for too
//! many databases, 403 for what is protected or archived), and that a read-only token may not mint tokens.

mod calls;
mod database;
mod door;
mod faults;
mod keys;
mod outside;
mod pages;
mod plane;
mod platform;
mod speed;
mod sqld;
mod steering;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};

pub use calls::{Call, CallFilter};
pub use door::Lost;
pub use faults::{Effect, Fault};
pub use outside::{Alone, Onward, Outside, Processes, Verdict};
pub use speed::Speed;
pub use steering::{Plan, Trouble};

/// What it is started with.
#[derive(Clone)]
pub struct Options {
    /// The folder for databases and their history. Made if absent. What we put there goes with [`LocalTurso::stop`].
    pub data: PathBuf,
    /// The sqld program.
    pub sqld: PathBuf,
    /// The least time of each transition.
    pub speed: Speed,
    /// The crash guard.
    pub processes: Arc<dyn Processes>,
    /// Who decides about calls.
    pub outside: Arc<dyn Outside>,
    /// The organization's slug. It begins with one group, `default`.
    pub organization: String,
    /// Of the Platform API, on 127.0.0.1; 0 is any that is free.
    pub port: u16,
}

/// Why what was asked for outside the API cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A slug that Turso would not give.
    #[error("{0:?} is no slug of an organization: lowercase letters, digits and dashes")]
    Organization(String),
    /// The folder cannot be used.
    #[error("cannot use {path}", path = path.display())]
    Files {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The port cannot be used.
    #[error("cannot listen on port {port} of 127.0.0.1: choose another, or 0 for any")]
    Listen {
        /// Which.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// No randomness for a key.
    #[error("cannot make a key for tokens: the system gives no randomness")]
    Key,
    /// There is no such database.
    #[error("there is no database {0}")]
    Database(String),
    /// It could not be done.
    #[error("cannot do that")]
    Work(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    fn work(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Work(error.into())
    }
}

/// Bearer strings for the Platform API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformTokens {
    /// May do everything.
    pub full_access: String,
    /// May look at everything; all else is refused with 403.
    pub read_only: String,
    /// Refused with 401.
    pub expired: String,
    /// Refused with 401.
    pub revoked: String,
}

/// A running Turso. Clones share it; it ends with the last of them.
#[derive(Clone)]
pub struct LocalTurso(Arc<Running>);

struct Running {
    plane: Arc<plane::Plane>,
    address: SocketAddr,
    _door: door::Door,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.plane.abandon();
    }
}

impl LocalTurso {
    /// Starts without databases.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let port = options.port;
        let step = door::Doorstep::bind(port).await.map_err(|source| Error::Listen { port, source })?;
        let address = step.address();
        let plane = plane::Plane::start(options)?;
        let door = step.open(door::Room::Platform(Arc::clone(&plane)));
        Ok(Self(Arc::new(Running { plane, address, _door: door })))
    }

    fn plane(&self) -> &Arc<plane::Plane> {
        &self.0.plane
    }

    /// Where the Platform API is, by HTTP.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// `http://127.0.0.1:PORT`, in place of `https://api.turso.tech`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.0.address)
    }

    /// Tokens for the Platform API.
    pub fn tokens(&self) -> PlatformTokens {
        self.plane().tokens.clone()
    }

    /// Answers one request to the Platform API, as its port does: checked, recorded, and made to fail if so told. An error
    /// means that the connection is to be closed without an answer.
    pub async fn handle(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Lost> {
        door::platform(self.plane(), request).await
    }

    /// All calls so far, or since they were forgotten, in the order of their answers.
    pub fn calls(&self) -> Vec<Call> {
        self.plane().calls.list()
    }

    /// Forgets all calls so far.
    pub fn forget_calls(&self) {
        self.plane().calls.forget();
    }

    /// Ends every server and deletes the data. Nothing can be started afterwards.
    pub async fn stop(&self) {
        self.plane().stop().await;
    }
}
