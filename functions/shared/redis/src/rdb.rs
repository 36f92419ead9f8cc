//! Proves that an RDB is whole, and tells what it holds, without loading it: in constant memory, from chunks of any
//! size, across as many invocations as it takes.
//!
//! `docs/rdb.md` says what is checked and where the facts of the format are from.

mod checkpoint;
mod corrupt;
mod grammar;
mod inspector;
mod report;
mod tally;
mod token;

pub use checkpoint::CheckpointVersion;
pub use corrupt::{Because, Corrupt};
pub use inspector::Inspector;
pub use report::{Engine, Expiries, Keys, Kind, Report, Verdict};
