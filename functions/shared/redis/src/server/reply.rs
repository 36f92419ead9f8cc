//! What a server answers.

use reconcile::{Error, Result};
use redis_protocol::resp2::types::OwnedFrame;

use super::{LOADING, NOT_REACHED, REFUSED};

/// How much of a refusal's words is kept, in characters.
const WORDS: usize = 300;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Nothing is there.
    Null,
    /// A number.
    Integer(i64),
    /// A text, which may hold any bytes.
    Text(Vec<u8>),
    /// Several.
    Many(Vec<Reply>),
    /// The server's words for why not: at most 300 characters, without what it repeats of the command.
    Refused(String),
}

impl Reply {
    /// The number, if it is one.
    pub const fn integer(&self) -> Option<i64> {
        if let Self::Integer(integer) = self { Some(*integer) } else { None }
    }

    /// The bytes, if it is a text.
    pub fn bytes(&self) -> Option<&[u8]> {
        if let Self::Text(bytes) = self { Some(bytes) } else { None }
    }

    /// The text, if it is one, in UTF-8.
    pub fn text(&self) -> Option<&str> {
        self.bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The parts, if there are several.
    pub fn many(&self) -> Option<&[Self]> {
        if let Self::Many(parts) = self { Some(parts) } else { None }
    }

    /// Why not, if it was refused.
    pub fn refusal(&self) -> Option<&str> {
        if let Self::Refused(words) = self { Some(words) } else { None }
    }

    /// The answer, or the refusal as the error of a function that could not do `doing`.
    pub fn granted(self, doing: &str) -> Result<Self> {
        match self {
            Self::Refused(words) => Err(refused(doing, &words)),
            granted => Ok(granted),
        }
    }
}

/// The error for a refusal. The first of its words says what it is (Redis documentation, "Redis serialization protocol
/// specification", Simple errors).
pub(super) fn refused(doing: &str, words: &str) -> Error {
    let said = format!("cannot {doing}: {words}");
    match words.split(' ').next().unwrap_or_default() {
        "LOADING" => Error::retryable(LOADING, said),
        "WRONGPASS" | "NOAUTH" | "NOPERM" => Error::misconfigured(REFUSED, said),
        // They pass: a fail-over, a script, a cluster that is not whole yet; or too many clients.
        "MASTERDOWN" | "BUSY" | "CLUSTERDOWN" | "TRYAGAIN" | "READONLY" | "MISCONF" => {
            Error::retryable(NOT_REACHED, said)
        }
        _ if words.starts_with("ERR max number of clients") => Error::retryable(NOT_REACHED, said),
        _ => Error::permanent(REFUSED, said),
    }
}

impl From<OwnedFrame> for Reply {
    fn from(frame: OwnedFrame) -> Self {
        match frame {
            OwnedFrame::Null => Self::Null,
            OwnedFrame::Integer(integer) => Self::Integer(integer),
            OwnedFrame::SimpleString(bytes) | OwnedFrame::BulkString(bytes) => Self::Text(bytes),
            OwnedFrame::Array(parts) => Self::Many(parts.into_iter().map(Self::from).collect()),
            OwnedFrame::Error(words) => Self::Refused(kept(&words)),
        }
    }
}

/// The words without those of the command itself, which may hold a password, a key or a value: `ERR unknown command 'AUHT', with
/// args beginning with: …`.
fn kept(words: &str) -> String {
    let own = words.split(" with args beginning with").next().unwrap_or_default();
    own.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS).collect()
}

#[cfg(test)]
mod tests {
    use reconcile::Kind;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("LOADING Valkey is loading the dataset in memory", Kind::Retryable, LOADING)]
    #[case("WRONGPASS invalid username-password pair or user is disabled.", Kind::Misconfigured, REFUSED)]
    #[case("NOAUTH Authentication required.", Kind::Misconfigured, REFUSED)]
    #[case("NOPERM No permissions to access a key", Kind::Misconfigured, REFUSED)]
    #[case("CLUSTERDOWN The cluster is down", Kind::Retryable, NOT_REACHED)]
    #[case("ERR max number of clients reached", Kind::Retryable, NOT_REACHED)]
    #[case("ERR syntax error", Kind::Permanent, REFUSED)]
    #[case("", Kind::Permanent, REFUSED)]
    fn a_refusal_has_its_kind(#[case] words: &str, #[case] kind: Kind, #[case] code: &str) {
        let error = Reply::Refused(words.to_owned()).granted("ask").unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, code));
    }

    #[test]
    fn what_the_server_repeats_of_a_command_is_not_kept() {
        let words = "ERR unknown command 'AUHT', with args beginning with: 'app' 'correct-horse' ";
        let Reply::Refused(kept) = Reply::from(OwnedFrame::Error(words.to_owned())) else {
            panic!("not refused")
        };
        assert_eq!(kept, "ERR unknown command 'AUHT',");
        let Reply::Refused(kept) = Reply::from(OwnedFrame::Error("ü\u{7}".repeat(1_000))) else {
            panic!("not refused")
        };
        assert!(kept.chars().count() == WORDS && !kept.contains('\u{7}'));
    }
}
