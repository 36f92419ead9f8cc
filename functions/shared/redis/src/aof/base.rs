use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::increment::{IncrReport, IncrScanner};
use crate::rdb::{Inspector, Report, Verdict};

/// Reads the base of an append-only directory: an RDB, commands, or (in a directory that was once a single file of
/// Redis 6) an RDB with commands after it. Checkpoints are as with [`Inspector`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BaseScanner {
    rdb: Option<Inspector>,
    commands: IncrScanner,
    is_begun: bool,
}

/// What a base holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseReport {
    /// Of the RDB that it begins with, if it does.
    pub rdb: Option<Report>,
    /// Of the commands after that; offsets are from their beginning.
    pub commands: IncrReport,
}

impl Default for BaseScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl BaseScanner {
    /// For the first byte.
    pub fn new() -> Self {
        Self { rdb: None, commands: IncrScanner::new(None), is_begun: false }
    }

    /// How many bytes it has been fed: the next to feed is the one at this offset.
    pub fn offset(&self) -> u64 {
        self.rdb.as_ref().map_or(0, Inspector::offset) + self.commands.offset()
    }

    /// Reads on. What is wrong is told by [`BaseScanner::finish`].
    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.is_begun && !bytes.is_empty() {
            self.is_begun = true;
            // Commands begin with a star or, if it is an annotation, with a hash.
            self.rdb = (!matches!(bytes[0], b'*' | b'#')).then(Inspector::new);
        }
        let used = match &mut self.rdb {
            None => 0,
            Some(rdb) => match rdb.feed_preamble(bytes) {
                Ok(used) => used,
                // Kept in the inspector.
                Err(_) => return,
            },
        };
        // Kept in the scanner.
        let _ = self.commands.feed(&bytes[used..]);
    }

    /// No more bytes follow.
    pub fn finish(self) -> BaseReport {
        BaseReport { rdb: self.rdb.map(|rdb| rdb.finish(None)), commands: self.commands.finish() }
    }
}

impl BaseReport {
    /// Bytes read.
    pub fn bytes(&self) -> u64 {
        self.rdb.as_ref().map_or(0, |rdb| rdb.bytes) + self.commands.bytes
    }

    /// Why it cannot be loaded, if it cannot.
    pub fn defect(&self) -> Option<String> {
        if let Some(Verdict::Corrupt(corrupt)) = self.rdb.as_ref().map(|rdb| &rdb.verdict) {
            return Some(corrupt.to_string());
        }
        if let Some(broken) = &self.commands.broken {
            return Some(format!("of its commands, {broken}"));
        }
        if self.commands.torn_bytes() > 0 {
            return Some(format!("its last {} bytes are an incomplete command", self.commands.torn_bytes()));
        }
        (self.bytes() == 0).then(|| "it is empty".to_owned())
    }

    /// The state that it holds is of this second, or of shortly before; `None` if it does not tell.
    pub fn made(&self) -> Option<Timestamp> {
        match (&self.rdb, self.commands.commands) {
            (Some(rdb), 0) => rdb.created,
            _ if self.commands.undated_commands > 0 => None,
            _ => self.rdb.as_ref().and_then(|rdb| rdb.created).max(self.commands.last),
        }
    }
}
