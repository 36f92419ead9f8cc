//! How a bucket is set up: what has to be so for what is in it to stay, and to be copied.

use std::future::Future;

use reconcile::Result;

/// How one bucket is set up, one call for each question: what does not answer hides nothing else.
pub trait Configuration {
    /// The bucket's Region.
    fn region(&self) -> &str;
    /// Its name.
    fn bucket(&self) -> &str;
    /// Whether what is deleted or overwritten stays as an older version.
    fn versioning(&self) -> impl Future<Output = Result<Versioning>>;
    /// What lock a new object gets; `None` where the bucket has no Object Lock.
    fn lock(&self) -> impl Future<Output = Result<Option<Lock>>>;
    /// What is replicated, and where to.
    fn replication(&self) -> impl Future<Output = Result<Vec<ReplicationRule>>>;
    /// What keeps the public out.
    fn public_access(&self) -> impl Future<Output = Result<PublicAccess>>;
    /// Its policy, as JSON.
    fn policy(&self) -> impl Future<Output = Result<Option<String>>>;
    /// How a new object is encrypted that does not say so itself.
    fn encryption(&self) -> impl Future<Output = Result<Option<DefaultEncryption>>>;
}

/// Whether what is deleted or overwritten stays as an older version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versioning {
    /// It does.
    Enabled,
    /// It did, and does no more.
    Suspended,
    /// It never did.
    Never,
}

/// What lock a new object gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Without one, an object is locked only where whoever writes it says so.
    pub default: Option<DefaultLock>,
}

/// The lock of an object that does not say so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultLock {
    /// Whether nobody at all can delete before its end; otherwise whoever has `s3:BypassGovernanceRetention` can.
    pub compliance: bool,
    /// For how long; a year counts as 365.
    pub days: i64,
}

/// A rule by which objects are replicated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are S3's own, and each stands for itself")]
pub struct ReplicationRule {
    /// Its name.
    pub id: String,
    /// Whether it is in force.
    pub enabled: bool,
    /// What the keys of its objects begin with; empty for all.
    pub prefix: String,
    /// Whether it takes only objects with certain tags.
    pub by_tag: bool,
    /// The bucket to which they go.
    pub destination: String,
    /// Whether it takes objects that are encrypted with a key of KMS; all others it passes over in silence.
    pub kms_objects: bool,
    /// With which key the replicas are encrypted.
    pub replica_key: Option<String>,
    /// Whether a delete here hides the replica there.
    pub deletes: bool,
}

/// What keeps the public out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are S3's own, and each stands for itself")]
pub struct PublicAccess {
    /// No new public ACL is taken.
    pub acls_blocked: bool,
    /// Those there are have no effect.
    pub acls_ignored: bool,
    /// No new public policy is taken.
    pub policy_blocked: bool,
    /// One that there is lets nobody in from outside the account.
    pub buckets_restricted: bool,
}

/// How a new object is encrypted that does not say so itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultEncryption {
    /// `AES256`, `aws:kms`, …
    pub algorithm: String,
    /// With which key of KMS, as it was set up: an id, an ARN or an alias.
    pub key: Option<String>,
}
