//! What goes on after a request was answered: each transition is the real work and a least time, both.

mod caches;
mod copies;
mod deletion;
mod exports;
mod snapshots;

pub(crate) use caches::{Origin, bring_up};
pub(crate) use copies::copy;
pub(crate) use deletion::{Deletion, delete, delete_snapshot};
pub(crate) use exports::{Export, export};
pub(crate) use snapshots::{new_snapshot, snapshot};
