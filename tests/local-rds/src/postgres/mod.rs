//! `PostgreSQL` itself: the install, servers, base backups, archived WAL, recovery.

mod archive;
mod authority;
mod cluster;
mod command;
mod endpoint;
mod folder;
mod install;
mod server;

pub(crate) use archive::{Archive, Archiver};
pub(crate) use authority::Authority;
pub(crate) use cluster::{Cluster, Clusters, Master, set_password};
pub(crate) use folder::Folder;
pub(crate) use install::Install;
pub(crate) use server::ADMINISTRATOR;
use server::Server;

use std::path::{Path, PathBuf};

/// What went wrong with a server or a tool.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot use {path}", path = path.display())]
    Files { path: PathBuf, source: std::io::Error },
    #[error("{tool} failed: {output}")]
    Tool { tool: &'static str, output: String },
    #[error("the server ended by itself: {log}")]
    Ended { log: String },
    #[error("the server did not get ready in time: {log}")]
    NotReady { log: String },
    #[error("the server refused a statement")]
    Statement(#[from] tokio_postgres::Error),
    #[error("WAL file {file} was not archived in time")]
    NotArchived { file: String },
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    #[error("the work was interrupted")]
    Interrupted,
}

impl Error {
    /// For `map_err`: what was being used when an I/O error came.
    pub(crate) fn files(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Files { path, source }
    }
}
