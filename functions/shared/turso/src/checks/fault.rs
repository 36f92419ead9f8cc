//! Why a check could not do what it was to do, or what it found.

use std::fmt;

use reconcile::{Error, Kind};
use serde::{Deserialize, Serialize};

use crate::cursor::Failure;

/// What is behind a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// What is stored is damaged, or missing.
    Corrupt,
    /// There are other tables, or another number of rows, than the recovery point has.
    Different,
    /// This token may not read it. Whether it is whole is not known.
    Unreadable,
    /// It was not over in time, or the connection was lost, each time.
    Unavailable,
    /// The server refused it for another reason.
    Failed,
}

/// What is wrong. It holds nothing of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is behind it.
    pub kind: FaultKind,
    /// The server's code for it, such as `SQLITE_CORRUPT`; `None` if it is our own finding.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<String>,
    /// In words, some of which may be the server's: at most 200 characters of those.
    pub message: String,
}

/// What SQLite says of damage.
const DAMAGE: &[&str] = &[
    "SQLITE_CORRUPT",
    "SQLITE_NOTADB",
    "SQLITE_IOERR",
    "disk image is malformed",
    "is not a database",
    "disk I/O error",
];

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, code: None, message: message.into() }
    }

    /// What the server means by a failure.
    pub(super) fn of(Failure { code, message }: Failure) -> Self {
        let says = |words: &[&str]| words.iter().any(|word| code.contains(word) || message.contains(word));
        let kind = if says(DAMAGE) {
            FaultKind::Corrupt
        } else if says(&["SQLITE_AUTH", "SQLITE_PERM", "BLOCKED", "not authorized", "blocked"]) {
            FaultKind::Unreadable
        } else if says(&[
            "SQLITE_BUSY",
            "SQLITE_LOCKED",
            "SQLITE_INTERRUPT",
            "STREAM_EXPIRED",
            "TRANSACTION_TIMEOUT",
            "interrupted",
            "timed out",
        ]) {
            FaultKind::Unavailable
        } else {
            FaultKind::Failed
        };
        Self { kind, code: Some(code), message }
    }

    /// What it means that no answer came.
    pub(super) fn lost(error: &Error) -> Self {
        let message = error.report();
        let kind = match error.kind() {
            _ if DAMAGE.iter().any(|word| message.contains(word)) => FaultKind::Corrupt,
            Kind::Retryable => FaultKind::Unavailable,
            Kind::Misconfigured => FaultKind::Unreadable,
            Kind::Permanent => FaultKind::Failed,
        };
        Self { kind, code: Some(error.code().to_owned()), message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} ({code})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("SQLITE_CORRUPT", "SQLite error: database disk image is malformed", FaultKind::Corrupt)]
    #[case("SQLITE_CORRUPT_INDEX", "", FaultKind::Corrupt)]
    #[case("SQLITE_UNKNOWN", "SQLite error: file is not a database", FaultKind::Corrupt)]
    #[case("BLOCKED", "reads are blocked", FaultKind::Unreadable)]
    #[case("SQLITE_BUSY", "database is locked", FaultKind::Unavailable)]
    #[case("SQLITE_UNKNOWN", "SQLite error: no such table: t", FaultKind::Failed)]
    fn codes_have_their_kind(#[case] code: &str, #[case] message: &str, #[case] kind: FaultKind) {
        let failure = Failure { code: code.to_owned(), message: message.to_owned() };
        assert_eq!(Fault::of(failure).kind, kind);
    }
}
