//! The vault's ledger: an append-only record in a versioned, encrypted, object-locked bucket.
//!
//! One entry is one object, `ledger/<day>/<engine>/<resource>/<subject>/<region>/<kind>.json`, written with
//! `If-None-Match: *`: the second writer of the same fact is told so, and nothing is ever overwritten.

#[cfg(feature = "fake")]
mod fake;
mod ledger;

#[cfg(feature = "fake")]
pub use fake::FakeLedger;
pub use ledger::VaultLedger;
