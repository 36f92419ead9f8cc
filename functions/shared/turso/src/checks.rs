//! What a drill asks a restored database: whether its pages are whole, whether every row of every table can be read, and whether there are
//! as many as its recovery point has.
//!
//! [`check`] goes through it, as far as the time allows, in a document ([`Walk`]) that the next invocation goes on from. It runs over the
//! organization in memory as it does over Turso, and writes nothing.
//!
//! A check that fails gives evidence: tables, numbers, the server's code and words. Rows are not kept, and never leave the server.

mod evidence;
mod expected;
mod fault;
mod tables;
mod walk;

pub use evidence::{Counted, Evidence, Finding, Note, Remark};
pub use expected::Expected;
pub use fault::{Fault, FaultKind};
pub use walk::{Integrity, Walk, check};
