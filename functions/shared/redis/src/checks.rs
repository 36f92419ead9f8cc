//! What a drill asks a restored server: whether it answers, whether it has as many keys as its recovery point, in each database and of
//! each type, and whether its keys can be read.
//!
//! [`check`] goes through all shards, databases and keys, as far as the time allows, in a document ([`Walk`]) that the next invocation
//! goes on from. It runs over a fake as it does over a server, and writes nothing.
//!
//! A check that fails gives evidence: databases, types, numbers, the server's words, and of a key the first digits of its SHA-256. No key
//! and no value is kept.
//!
//! An append-only directory is put together as files and loaded by no server of ours; [`directory`] says whether its files hold what they
//! should.

mod directory;
mod evidence;
mod expected;
mod fault;
mod judge;
mod keys;
mod pass;
mod walk;

pub use directory::directory;
pub use evidence::{Evidence, Finding, Note, Place, Remark};
pub use expected::Expected;
pub use fault::{Fault, FaultKind};
pub use walk::{Counted, SAMPLE, Walk, check};
