//! RDS as Tidemark sees it.
//!
//! [`Rds`] is the port: one Region of one account, in our own types. [`AwsRds`] speaks to AWS; `FakeRds` (feature
//! `fake`) is an account in memory whose time a test moves. [`ensure`] holds what makes asking twice harmless. [`Teardown`] is
//! apart, so that a function's bounds say whether it may delete instances.

mod adapter;
mod convert;
pub mod ensure;
#[cfg(feature = "fake")]
mod fake;
mod port;
mod teardown;

pub use adapter::AwsRds;
#[cfg(feature = "fake")]
pub use fake::{FakeAccount, FakeRds};
pub use port::{
    AutomatedBackup, Endpoint, Instance, NewCopy, NewSnapshot, PitrSource, PitrWindow, Quota, Rds, Restore,
    RestoreFrom, Snapshot, SnapshotKind, Tags,
};
pub use teardown::Teardown;
