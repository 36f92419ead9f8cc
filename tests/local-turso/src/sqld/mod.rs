//! sqld processes: one for each database.

mod admin;
mod command;
mod server;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use admin::Configuration;
pub(crate) use server::{Install, Server};

/// Why a server cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot use {path}", path = path.display())]
    Files { path: PathBuf, source: io::Error },
    #[error("sqld cannot be started")]
    Start(#[source] io::Error),
    #[error("sqld ended at once: {log}")]
    Ended { log: String },
    #[error("sqld was not ready in time: {log}")]
    NotReady { log: String },
    #[error("sqld does not take a setting: {0}")]
    Admin(String),
}

impl Error {
    pub(crate) fn files(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Files { path, source }
    }
}
