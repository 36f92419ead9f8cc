use std::ops::Range;

use aws_lc_rs::digest::{SHA256, digest};
use crc_fast::{CrcAlgorithm, checksum, checksum_combine};
use data_encoding::HEXLOWER;
use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::StoredObject;

const CRC: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;

/// The CRC64NVME of `bytes`, as S3 computes it.
pub fn crc64nvme(bytes: &[u8]) -> u64 {
    checksum(CRC, bytes)
}

/// The CRC64NVME of bytes that have `first`, followed by `then_bytes` bytes that have `then`.
pub(crate) fn crc64nvme_combined(first: u64, then: u64, then_bytes: u64) -> u64 {
    checksum_combine(CRC, first, then, then_bytes)
}

/// The digests of an object while its parts go by, one after the other. Kept in a document between two parts, it goes on
/// in another invocation where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    part_bytes: u64,
    bytes: u64,
    sha256: Vec<String>,
    crc64nvme: u64,
}

impl Digests {
    /// Of nothing yet; every part but the last will have `part_bytes`.
    pub fn new(part_bytes: u64) -> Self {
        Self { part_bytes, bytes: 0, sha256: Vec::new(), crc64nvme: crc64nvme(&[]) }
    }

    /// How many bytes have gone by: where the next part begins.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next part: of `part_bytes`, but for the last. An object of no bytes has no parts.
    pub fn add(&mut self, part: &[u8]) {
        if part.is_empty() {
            return;
        }
        debug_assert!(self.takes(part), "a part of the wrong size, or after the last one");
        let length = part.len() as u64;
        self.crc64nvme = crc64nvme_combined(self.crc64nvme, crc64nvme(part), length);
        self.sha256.push(HEXLOWER.encode(digest(&SHA256, part).as_ref()));
        self.bytes += length;
    }

    /// Whether that can be the next part: parts of another size would be found at other places than they are.
    pub fn takes(&self, part: &[u8]) -> bool {
        self.bytes.is_multiple_of(self.part_bytes.max(1)) && part.len() as u64 <= self.part_bytes
    }

    /// What the manifest says of the object, once its last part has gone by.
    pub fn into_object(self, name: impl Into<String>) -> StoredObject {
        let Self { part_bytes, bytes, sha256, crc64nvme } = self;
        let crc64nvme = HEXLOWER.encode(&crc64nvme.to_be_bytes());
        StoredObject { name: name.into(), bytes, part_bytes, sha256, crc64nvme }
    }
}

impl StoredObject {
    /// Where its parts are, in order.
    pub fn parts(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let (bytes, part_bytes) = (self.bytes, self.part_bytes.max(1));
        (0..bytes.div_ceil(part_bytes))
            .map(move |number| number * part_bytes..bytes.min((number + 1) * part_bytes))
    }

    /// Whether these are the bytes of the part that begins at `offset`.
    pub fn check(&self, offset: u64, part: &[u8]) -> Result<()> {
        let number = usize::try_from(offset / self.part_bytes.max(1)).unwrap_or(usize::MAX);
        let expected = self.sha256.get(number).map_or("no digest at all", String::as_str);
        let found = HEXLOWER.encode(digest(&SHA256, part).as_ref());
        if found == expected {
            return Ok(());
        }
        Err(Error::permanent(
            "ChecksumMismatch",
            format!(
                "the {} bytes of {} from {offset} on have SHA-256 {found}; the manifest says {expected}",
                part.len(),
                self.name
            ),
        ))
    }
}
