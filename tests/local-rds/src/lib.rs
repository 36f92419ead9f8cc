//! An RDS control plane over real `PostgreSQL`.
//!
//! It answers the RDS Query protocol as AWS does (asynchronous states, validation, pagination, quotas, key rules,
//! events), and behind it the data is real: an instance is a `postgres` process, a snapshot a base backup, a
//! point-in-time restore a recovery from archived WAL to `recovery_target_time`.

mod outside;
mod speed;

use std::path::PathBuf;
use std::sync::Arc;

pub use outside::{Alone, Event, EventSink, Key, Keys, Processes};
pub use speed::Speed;

/// What the control plane is started with.
#[derive(Clone)]
pub struct Options {
    /// The AWS account: 12 digits.
    pub account: String,
    /// The folder for servers, backups and archives. Made if absent; emptied of what is ours by [`LocalRds::stop`].
    pub data: PathBuf,
    /// The `PostgreSQL` install: the folder with `bin/`.
    pub postgres: PathBuf,
    /// The least time of each transition.
    pub speed: Speed,
    /// Where KMS keys are looked up.
    pub keys: Arc<dyn Keys>,
    /// Where lifecycle events go.
    pub events: Arc<dyn EventSink>,
    /// The crash guard.
    pub processes: Arc<dyn Processes>,
}

/// Why the control plane cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder or file of ours cannot be made or read.
    #[error("cannot use {path}")]
    Files {
        /// What was to be used.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The account is not 12 digits.
    #[error("{0:?} is not an AWS account number (12 digits)")]
    Account(String),
}

/// An answer in the Query protocol, with what a call recorder wants to know.
#[derive(Clone, Debug)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// `text/xml`.
    pub content_type: &'static str,
    /// The XML document.
    pub body: Vec<u8>,
    /// The action asked for; empty if the request named none.
    pub action: String,
    /// The identifier or ARN the request was about.
    pub resource: Option<String>,
    /// AWS's error code, if it failed.
    pub error_code: Option<String>,
    /// `x-amzn-RequestId`.
    pub request_id: String,
}

/// The control plane. Clones share one state.
#[derive(Clone)]
pub struct LocalRds {
    options: Arc<Options>,
}

impl LocalRds {
    /// Starts with no instances.
    #[expect(clippy::unused_async, reason = "making folders and certificates comes next")]
    pub async fn start(options: Options) -> Result<Self, Error> {
        if options.account.len() != 12 || !options.account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::Account(options.account));
        }
        Ok(Self { options: Arc::new(options) })
    }

    /// Answers one request: `body` is `application/x-www-form-urlencoded`.
    #[expect(clippy::unused_async, reason = "actions come next")]
    pub async fn handle(&self, _region: &str, _body: &[u8]) -> Response {
        Response {
            status: 400,
            content_type: "text/xml",
            body: Vec::new(),
            action: String::new(),
            resource: None,
            error_code: Some("InvalidAction".to_owned()),
            request_id: self.options.account.clone(),
        }
    }

    /// Changes the speed, also of transitions under way.
    pub fn set_speed(&self, _speed: Speed) {}

    /// Stops every server (fast shutdown, then kill) and deletes the data.
    pub async fn stop(&self) {}

    /// The PEM file of the authority that signed every server's certificate (for `sslmode=verify-full`).
    pub fn ca_certificate(&self) -> PathBuf {
        self.options.data.join("ca.pem")
    }
}
