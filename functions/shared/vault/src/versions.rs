//! What a bucket really holds: every version of every object, and what keeps each from being deleted.

use std::future::Future;

use jiff::Timestamp;
use reconcile::Result;

/// A version of an object, or a mark that it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The object's key.
    pub key: String,
    /// What names this very version.
    pub id: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written.
    pub modified: Timestamp,
    /// It holds nothing, and hides the versions before it.
    pub is_delete_marker: bool,
}

/// What keeps a version from being deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Until when its lock lasts.
    pub retained_until: Option<Timestamp>,
    /// Whether nobody at all can end that lock.
    pub is_compliance: bool,
    /// It has a legal hold of S3's own.
    pub is_held: bool,
}

/// One bucket's versions, for the one function that may delete.
///
/// Nothing here touches what was not named: a version, by its id.
pub trait Versions {
    /// All versions of all objects whose keys begin with `prefix`, in the order of their keys (one call per 1,000).
    fn versions(&self, prefix: &str) -> impl Future<Output = Result<Vec<Version>>>;
    /// What keeps it from being deleted (two calls); `None` if it is there no more. Nothing keeps a delete marker.
    fn protection(&self, version: &Version) -> impl Future<Output = Result<Option<Protection>>>;
    /// Locks it until then, in its own mode. A lock is never shortened: S3 refuses.
    fn retain(
        &self,
        version: &Version,
        until: Timestamp,
        is_compliance: bool,
    ) -> impl Future<Output = Result<()>>;
    /// Deletes it for good. One that is there no more is no error.
    fn delete(&self, version: &Version) -> impl Future<Output = Result<()>>;
}
