//! The append-only directory of a self-managed server (Redis from 7.0, Valkey): which files belong together, whether
//! they are whole, and what to keep of them to come back to a second.
//!
//! Nothing here touches a file: the caller lists, reads and cuts. `docs/rdb.md` says how the parts fit.

mod assemble;
mod base;
mod increment;
mod manifest;

pub use assemble::{Assembly, Interval, Kept, Refusal, assemble, interval};
pub use base::{BaseReport, BaseScanner};
pub use increment::{BrokenCommand, IncrReport, IncrScanner, Why};
pub use manifest::{Listed, Manifest, ManifestError};
