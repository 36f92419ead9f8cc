//! Why the local cloud cannot do what was asked.

use std::path::{Path, PathBuf};

/// Errors of this crate. Each says all that a user needs; what a child process printed is part of the text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Python tools cannot be installed.
    #[error(transparent)]
    Tools(#[from] toolbox::Error),
    /// The RDS control plane cannot start.
    #[error("the RDS control plane cannot start")]
    Rds(#[from] local_rds::Error),
    /// The ElastiCache control plane cannot start.
    #[error("the ElastiCache control plane cannot start")]
    ElastiCache(#[from] local_elasticache::Error),
    /// Turso cannot start.
    #[error("the local Turso cannot start")]
    Turso(#[from] local_turso::Error),
    /// A folder or file of ours cannot be made or read.
    #[error("cannot use {path}", path = path.display())]
    Files {
        /// What was to be used.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The front door's port cannot be had.
    #[error("cannot listen on 127.0.0.1:{port}")]
    Listen {
        /// The port asked for; 0 for any.
        port: u16,
        /// Why not.
        source: std::io::Error,
    },
    /// A program cannot be started.
    #[error("cannot run {program}")]
    Run {
        /// Which.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// `MiniStack` did not start, or is gone.
    #[error("{what}; the end of its log ({log}):\n{tail}", log = log.display())]
    MiniStack {
        /// What happened.
        what: String,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// A program ran and failed.
    #[error("{what} failed:\n{output}")]
    Failed {
        /// Such as `sam deploy tidemark-dev`.
        what: String,
        /// The end of what it printed.
        output: String,
    },
    /// An AWS call of this crate's own was refused.
    #[error("{action} was refused with {status}: {body}")]
    Refused {
        /// The action.
        action: String,
        /// HTTP status.
        status: u16,
        /// What the service answered.
        body: String,
    },
    /// An AWS call of this crate's own got no answer.
    #[error("{action} got no answer")]
    NoAnswer {
        /// The action.
        action: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer is not what the service is known to send.
    #[error("{what} cannot be understood: {found}")]
    Unexpected {
        /// What was looked at.
        what: String,
        /// What was found.
        found: String,
    },
    /// No function of this name is deployed.
    #[error("no function {name} is deployed; there are: {deployed}")]
    NoFunction {
        /// The name asked for.
        name: String,
        /// The names there are.
        deployed: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s; last seen: {last}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// The last state seen.
        last: String,
    },
}

impl Error {
    pub(crate) fn files(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Files { path, source }
    }

    pub(crate) fn run(program: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let program = program.into();
        move |source| Self::Run { program, source }
    }

    pub(crate) fn unexpected(what: impl Into<String>, found: impl Into<String>) -> Self {
        Self::Unexpected { what: what.into(), found: found.into() }
    }
}
