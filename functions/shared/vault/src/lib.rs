//! The vault: versioned, encrypted, object-locked buckets, one in each Region.
//!
//! **Recovery points** ([`Store`], [`Manifest`], [`list`]): what Tidemark keeps itself, an exported RDB or a database's
//! pages. A recovery point is some objects and a manifest, which is written last and only when every byte was verified.
//!
//! **The ledger** ([`VaultLedger`]): an append-only record. One entry is one object,
//! `ledger/<day>/<engine>/<resource>/<subject>/<region>/<kind>.json`, written with `If-None-Match: *`: the second writer
//! of the same fact is told so, and nothing is ever overwritten.
//!
//! **What a bucket really holds** ([`Versions`]): every version, and its lock, for the one function that may delete.
//!
//! **How a bucket is set up** ([`Configuration`]): versioning, lock, replication and the like, for whoever judges it.

mod client;
mod configuration;
mod configuration_s3;
mod copy_s3;
mod digest;
#[cfg(feature = "fake")]
mod fake;
#[cfg(feature = "fake")]
mod fake_configuration;
#[cfg(feature = "fake")]
mod fake_store;
#[cfg(feature = "fake")]
mod fake_versions;
mod intake;
mod layout;
mod ledger;
mod manifest;
mod read_back;
mod store;
mod store_s3;
mod versions;
mod versions_s3;

pub use configuration::{
    Configuration, DefaultEncryption, DefaultLock, Lock, PublicAccess, ReplicationRule, Versioning,
};
pub use digest::{Digests, crc64nvme};
#[cfg(feature = "fake")]
pub use fake::FakeLedger;
#[cfg(feature = "fake")]
pub use fake_configuration::{FakeConfiguration, Setup};
#[cfg(feature = "fake")]
pub use fake_store::{FakeStore, Replication};
pub use intake::Intake;
pub use layout::{Contents, Listed, Misplaced, day_prefix, list, list_all, point_prefix};
pub use ledger::VaultLedger;
pub use manifest::{MANIFEST, Manifest, StoredObject};
pub use read_back::{ReadBack, read_back};
pub use store::{Created, Encryption, Object, Part, Source, Store, Upload};
pub use store_s3::S3Store;
pub use versions::{Protection, Version, Versions};
