//! What functions remember from pass to pass: small documents in the state bucket, each replaced as a whole.
//!
//! Not in the vault, where every version would be kept under a lock. A write is conditional on the version that was read
//! (S3's `If-Match`, `If-None-Match`), so that two invocations never overwrite each other unseen.

#[cfg(feature = "fake")]
mod fake;
mod s3;

#[cfg(feature = "fake")]
pub use fake::FakeDocuments;
pub use s3::StateBucket;
