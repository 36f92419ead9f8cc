use std::{
    future::Future,
    ops::{Range, RangeInclusive},
};

use bytes::Bytes;
use jiff::Timestamp;
use reconcile::{Error, Result};

use crate::digest;

/// What S3 asks of parts (S3 User Guide, "Amazon S3 multipart upload limits").
pub(crate) const PART_NUMBERS: RangeInclusive<u32> = 1..=10_000;
#[cfg(feature = "fake")]
pub(crate) const LEAST_PART_BYTES: u64 = 5 << 20;

/// The largest part that we make, or read back: it is in memory at once.
pub(crate) const LARGEST_PART_BYTES: u64 = 512 << 20;

/// The largest object that is read as a whole.
pub(crate) const WHOLE_BYTES: u64 = 16 << 20;

pub(crate) fn too_large(key: &str, bytes: u64) -> Error {
    Error::permanent(
        "ObjectTooLarge",
        format!("{key} has {bytes} bytes; what is read as a whole has {WHOLE_BYTES} at most"),
    )
}

/// The CRC64NVME and the size of what is made of `parts`.
pub(crate) fn combined(parts: &[Part]) -> (u64, u64) {
    parts.iter().fold((digest::crc64nvme(&[]), 0), |(crc, bytes), part| {
        (digest::crc64nvme_combined(crc, part.crc64nvme, part.bytes), bytes + part.bytes)
    })
}

/// An object, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// Its entity tag: the same only for the same upload of the same bytes.
    pub etag: String,
    /// When it was written.
    pub modified: Timestamp,
}

impl Object {
    /// This very object, to be copied out of `bucket`.
    pub fn in_bucket(&self, bucket: &str) -> Source {
        let Self { key, bytes, etag, .. } = self.clone();
        Source { bucket: bucket.to_owned(), key, bytes, etag }
    }
}

/// Where an object is, for a copy by S3 itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// Its size.
    pub bytes: u64,
    /// The entity tag that it must still have.
    pub etag: String,
}

/// An upload in parts that was begun.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Upload {
    /// Under which key it will be.
    pub key: String,
    /// By what S3 knows it.
    pub id: String,
}

/// A part that S3 has.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// Its entity tag.
    pub etag: String,
    /// The CRC64NVME of its bytes, which S3 has checked.
    pub crc64nvme: u64,
    /// Its size.
    pub bytes: u64,
}

/// What became of a write that must not overwrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was written.
    Now,
    /// Something is there already, perhaps one's own, when an answer was lost; it was left as it is.
    Before,
}

/// How what is written is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// As the bucket says.
    Bucket,
    /// With S3's own keys (SSE-S3): what `ElastiCache` reads.
    S3,
}

/// One bucket.
///
/// Lists are complete: every page is read. Nothing overwrites. Errors carry AWS's own codes. An object that changed
/// while it was read or copied is an error with the code `PreconditionFailed`.
pub trait Store {
    /// The bucket's Region.
    fn region(&self) -> &str;
    /// Its name.
    fn bucket(&self) -> &str;
    /// The objects whose keys begin with `prefix`, in the order of their keys (one call per 1,000).
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<Object>>>;
    /// The object at `key`.
    fn head(&self, key: &str) -> impl Future<Output = Result<Option<Object>>>;
    /// The object at `key`, with the CRC64NVME that S3 itself keeps of the whole; without one where S3 keeps another checksum.
    fn head_checksum(&self, key: &str) -> impl Future<Output = Result<Option<(Object, Option<u64>)>>>;
    /// Those bytes of the object that has that entity tag: as many as asked for, or an error.
    fn read(&self, key: &str, etag: &str, range: Range<u64>) -> impl Future<Output = Result<Bytes>>;
    /// A small object as a whole; one larger than 16 MiB is an error.
    fn read_whole(&self, key: &str) -> impl Future<Output = Result<Option<Bytes>>>;
    /// Writes a small object unless there is one.
    fn create(&self, key: &str, content_type: &str, body: Bytes) -> impl Future<Output = Result<Created>>;
    /// Begins an upload in parts.
    fn begin(&self, key: &str) -> impl Future<Output = Result<Upload>>;
    /// Uploads a part: from 5 MiB to 5 GiB, but for the last. One of the same number is replaced.
    fn part(&self, upload: &Upload, number: u32, body: Bytes) -> impl Future<Output = Result<Part>>;
    /// Makes the object of its parts, unless there is one under its key. S3 compares the checksum of the whole.
    fn complete(&self, upload: &Upload, parts: &[Part]) -> impl Future<Output = Result<Created>>;
    /// Gives an upload up. One that is gone already is no error.
    fn abort(&self, upload: &Upload) -> impl Future<Output = Result<()>>;
    /// Has S3 copy an object, of any size and from any Region, to `key`, unless there is one.
    fn copy(
        &self,
        source: &Source,
        key: &str,
        encryption: Encryption,
    ) -> impl Future<Output = Result<Created>>;
}
