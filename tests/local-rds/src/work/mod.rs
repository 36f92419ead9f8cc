//! What goes on after a request was answered: each transition is the real work and a least time, both.

mod backups;
mod changes;
mod copies;
mod deletion;
mod instances;
mod replication;
mod snapshots;

pub(crate) use backups::{automated_backup, maintain};
pub(crate) use changes::{Change, change};
pub(crate) use copies::copy;
pub(crate) use deletion::{Deletion, delete, drop_backups, retain};
pub(crate) use instances::{Origin, bring_up};
pub(crate) use replication::replicate;
pub(crate) use snapshots::{new_snapshot, snapshot};
