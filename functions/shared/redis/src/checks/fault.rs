//! Why a check could not do what it was to do, or what it found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is behind a [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Keys are missing, or there are more than there should be.
    Different,
    /// What is stored contradicts itself: a list of three whose elements are two.
    Corrupt,
    /// This user may not read it. Whether it is whole is not known.
    Unreadable,
    /// The connection was lost each time.
    Unavailable,
    /// The server refused it for another reason.
    Failed,
}

/// What is wrong. It holds no key and no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is behind it.
    pub kind: FaultKind,
    /// In words, some of which may be the server's.
    pub message: String,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What a server means that refuses `command`.
    pub(super) fn refused(command: &str, words: &str) -> Self {
        let kind = match words.split(' ').next().unwrap_or_default() {
            "NOPERM" | "NOAUTH" => FaultKind::Unreadable,
            // It said before that the key is of this type.
            "WRONGTYPE" => FaultKind::Corrupt,
            _ => FaultKind::Failed,
        };
        Self::new(kind, format!("{command}: {words}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}
