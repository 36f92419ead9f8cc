//! Why a check could not do what it was to do.

use std::fmt;

use reconcile::Error;
use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

/// How much of a message is kept, in characters.
const MESSAGE: usize = 300;

/// What is behind a [`Fault`], as far as it decides what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// What is stored is damaged, or missing.
    Corrupt,
    /// This role may not read it. Whether it is whole is not known.
    Unreadable,
    /// It was not over in time.
    TimeLimit,
    /// The connection was lost, or the server had no room for it: another try may go well.
    Unavailable,
    /// The server refused it for another reason.
    Failed,
}

/// What the server said when a check failed. It names relations, files and blocks, and holds no data: what the server says of
/// values is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What is behind it.
    pub kind: FaultKind,
    /// The server's code for it (`PostgreSQL` documentation, appendix A "Error Codes"); `None` if the server said nothing.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub sqlstate: Option<String>,
    /// The server's words, at most 300 characters.
    pub message: String,
}

impl Fault {
    /// One without the server's word.
    pub fn new(kind: FaultKind, message: impl AsRef<str>) -> Self {
        Self { kind, sqlstate: None, message: shortened(message.as_ref(), MESSAGE) }
    }

    /// What the server said under `sqlstate`.
    pub fn of(sqlstate: &str, message: &str) -> Self {
        let message = if quotes_values(sqlstate) {
            // Such as `invalid input syntax for type integer: "…"`.
            "the server could not evaluate a value; its words hold the value and are not kept".to_owned()
        } else {
            shortened(message, MESSAGE)
        };
        Self { kind: kind(sqlstate), sqlstate: Some(sqlstate.to_owned()), message }
    }

    /// Whether that is the server's code.
    pub fn is(&self, sqlstate: &SqlState) -> bool {
        self.sqlstate.as_deref() == Some(sqlstate.code())
    }

    /// The error of a function that could not do `doing`.
    pub fn into_error(self, doing: &str) -> Error {
        let code = self.sqlstate.clone().unwrap_or_else(|| "DatabaseNotReached".to_owned());
        let said = format!("cannot {doing}");
        let error = match self.kind {
            FaultKind::Unavailable | FaultKind::TimeLimit => Error::retryable(code, said),
            FaultKind::Unreadable => Error::misconfigured(code, said),
            FaultKind::Corrupt | FaultKind::Failed => Error::permanent(code, said),
        };
        error.caused_by(self)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sqlstate {
            Some(sqlstate) => write!(f, "{} ({sqlstate})", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Fault {}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(said) => Self::of(said.code().code(), said.message()),
            // The client's own errors: what it could not send, or an answer that did not come.
            None => {
                let mut message = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(error) = cause {
                    message = format!("{message}: {error}");
                    cause = error.source();
                }
                Self::new(FaultKind::Unavailable, message)
            }
        }
    }
}

/// By the code's class, which is its first two characters.
fn kind(sqlstate: &str) -> FaultKind {
    match sqlstate {
        "42501" => FaultKind::Unreadable,
        // Also what an administrator's `pg_cancel_backend` gives.
        "57014" => FaultKind::TimeLimit,
        // The server, or its disk, cannot give what it should have: a missing file, an input or output error.
        "58P01" | "58030" => FaultKind::Corrupt,
        // Out of disk or file handles; shut down, or starting; a connection that broke.
        _ if ["53", "08"].iter().any(|class| sqlstate.starts_with(class)) || sqlstate.starts_with("57P0") => {
            FaultKind::Unavailable
        }
        // Damaged data (XX001) and indexes (XX002), and the errors that cannot happen (XX000), which is how a broken tuple
        // often shows: `invalid memory alloc request size`.
        _ if sqlstate.starts_with("XX") => FaultKind::Corrupt,
        _ => FaultKind::Failed,
    }
}

/// Data exceptions and violated constraints, and what a procedure raises: their messages quote what was in a row.
fn quotes_values(sqlstate: &str) -> bool {
    ["22", "23", "P0", "44"].iter().any(|class| sqlstate.starts_with(class))
}

/// The text, or its beginning.
pub(super) fn shortened(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("XX001", FaultKind::Corrupt)]
    #[case("XX002", FaultKind::Corrupt)]
    #[case("XX000", FaultKind::Corrupt)]
    #[case("58P01", FaultKind::Corrupt)]
    #[case("42501", FaultKind::Unreadable)]
    #[case("57014", FaultKind::TimeLimit)]
    #[case("57P01", FaultKind::Unavailable)]
    #[case("57P03", FaultKind::Unavailable)]
    #[case("08006", FaultKind::Unavailable)]
    #[case("53300", FaultKind::Unavailable)]
    #[case("42601", FaultKind::Failed)]
    #[case("25006", FaultKind::Failed)]
    #[case("54000", FaultKind::Failed)]
    fn codes_have_their_kind(#[case] sqlstate: &str, #[case] kind: FaultKind) {
        assert_eq!(Fault::of(sqlstate, "so").kind, kind);
    }

    #[test]
    fn no_value_of_a_row_is_kept() {
        let fault = Fault::of("22P02", "invalid input syntax for type integer: \"4929 1234 5678\"");
        assert!(!fault.to_string().contains("4929"), "{fault}");
        assert!(fault.to_string().contains("22P02"), "{fault}");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let fault = Fault::of("XX001", &"ü".repeat(1000));
        assert_eq!(fault.message.chars().count(), MESSAGE + 1);
    }

    #[test]
    fn an_error_says_what_was_being_done_and_why_it_was_not() {
        let error = Fault::of("57P01", "terminating connection").into_error("read table public.orders");
        assert_eq!(error.kind(), reconcile::Kind::Retryable);
        assert_eq!(error.report(), "cannot read table public.orders: terminating connection (57P01)");
    }
}
