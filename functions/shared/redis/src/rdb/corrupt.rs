use serde::{Deserialize, Serialize};

/// Where a file stops being an RDB, and why. A server would refuse it, or load something else than was saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("at byte {offset}: {because}")]
pub struct Corrupt {
    /// Of the first byte that is wrong, or that ought to be there.
    pub offset: u64,
    /// What is wrong with it.
    pub because: Because,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Because {
    /// The first nine bytes are no header.
    #[error("no RDB begins like this: neither REDIS and four digits nor VALKEY and three digits")]
    Header,
    /// The digits of the header are a version that no server of that name has.
    #[error("no server writes {0}: Redis has the versions 1 to 79, Valkey those from 80")]
    Version(String),
    /// Neither a type nor an opcode.
    #[error(
        "{number} is no type or opcode of {version}: the file is damaged before this byte, or a newer version of the \
         server wrote it"
    )]
    Unknown {
        /// The byte.
        number: u8,
        /// The file's version, as in its header.
        version: String,
    },
    /// Type 6: module values as the release candidates of Redis 4.0 wrote them.
    #[error("type 6 is a module's value of a release candidate of Redis 4.0, which no released server loads")]
    PreReleaseModule,
    /// Opcode 246: functions as the release candidates of Redis 7.0 wrote them.
    #[error("opcode 246 is a function of a release candidate of Redis 7.0, which no released server loads")]
    PreReleaseFunction,
    /// A length begins with a byte that announces no length.
    #[error("a length must stand here, and {0:#04x} begins none")]
    Length(u8),
    /// A string begins with a byte that announces no string.
    #[error("a string must stand here, and {0:#04x} begins none")]
    Text(u8),
    /// More than the file has left.
    #[error("{declared} bytes or more are declared here, and at most {left} can follow")]
    Beyond {
        /// At least so many bytes would have to follow.
        declared: u64,
        /// So many do, up to the end mark.
        left: u64,
    },
    /// Lengths that LZF cannot have produced.
    #[error("{compressed} bytes of LZF cannot be {length} bytes of data")]
    Compressed {
        /// Declared length in the file.
        compressed: u64,
        /// Declared length once decompressed.
        length: u64,
    },
    /// A number that has to be one of a few.
    #[error("{0} is none of the values that can stand here")]
    Choice(u64),
    /// A database number that no server can have.
    #[error("{0} is no number of a database")]
    Database(u64),
    /// The file ends too early.
    #[error("the file ends here, in the middle of its data")]
    Truncated,
    /// Something follows the end.
    #[error("the file ought to end here, and goes on")]
    Trailing,
    /// The whole structure is right, but not the sum over it.
    #[error("the checksum over all bytes is {computed:016x}, and the file says {stored:016x}")]
    Checksum {
        /// As the file ends.
        stored: u64,
        /// As computed over what came before.
        computed: u64,
    },
    /// It was said beforehand how long the file is, and that was wrong.
    #[error("the file has {found} bytes and should have {expected}")]
    Size {
        /// As was said.
        expected: u64,
        /// As fed.
        found: u64,
    },
}
