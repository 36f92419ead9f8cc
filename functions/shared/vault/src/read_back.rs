use bytes::Bytes;
use data_encoding::HEXLOWER;
use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{Store, StoredObject, crc64nvme, digest::crc64nvme_combined};

/// An object of a recovery point that is read back from a bucket, part by part, and compared with what it must be.
///
/// Kept in a document between two parts, it goes on in another invocation where it was. One part is in memory at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBack {
    /// Which upload of the object it is: what was read before must be of the same.
    etag: String,
    bytes: u64,
    crc64nvme: u64,
}

impl ReadBack {
    /// Finds `object` below `prefix` (one call), and compares its size, and the checksum that S3 keeps of it if it is of the
    /// same kind.
    pub async fn begin(store: &impl Store, prefix: &str, object: &StoredObject) -> Result<Self> {
        let key = format!("{prefix}{}", object.name);
        let Some((found, kept)) = store.head_checksum(&key).await? else {
            let text = format!("{key} is not in bucket {}", store.bucket());
            return Err(Error::permanent("ObjectMissing", text));
        };
        if found.bytes != object.bytes {
            return Err(Error::permanent(
                "SizeMismatch",
                format!(
                    "{key} has {} bytes in bucket {}; {} were stored",
                    found.bytes,
                    store.bucket(),
                    object.bytes
                ),
            ));
        }
        let kept = kept.map(|kept| HEXLOWER.encode(&kept.to_be_bytes()));
        if let Some(kept) = kept.filter(|kept| *kept != object.crc64nvme) {
            return Err(Error::permanent(
                "ChecksumMismatch",
                format!(
                    "S3 keeps of {key} in bucket {} the CRC64NVME {kept}; the manifest says {}",
                    store.bucket(),
                    object.crc64nvme
                ),
            ));
        }
        Ok(Self { etag: found.etag, bytes: 0, crc64nvme: crc64nvme(&[]) })
    }

    /// How many bytes were read and found to be the same.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next part, once its digest was compared; `None` once the whole was. After an error, the same part is next.
    pub async fn next(
        &mut self,
        store: &impl Store,
        prefix: &str,
        object: &StoredObject,
    ) -> Result<Option<Bytes>> {
        if self.bytes >= object.bytes {
            return self.check_whole(prefix, object).map(|()| None);
        }
        let key = format!("{prefix}{}", object.name);
        let end = self.bytes.saturating_add(object.part_bytes.max(1)).min(object.bytes);
        let part = store.read(&key, &self.etag, self.bytes..end).await?;
        object.check(self.bytes, &part)?;
        self.crc64nvme = crc64nvme_combined(self.crc64nvme, crc64nvme(&part), part.len() as u64);
        self.bytes = end;
        Ok(Some(part))
    }

    fn check_whole(&self, prefix: &str, object: &StoredObject) -> Result<()> {
        let found = HEXLOWER.encode(&self.crc64nvme.to_be_bytes());
        if self.bytes == object.bytes && found == object.crc64nvme {
            return Ok(());
        }
        Err(Error::permanent(
            "ChecksumMismatch",
            format!(
                "the {} bytes of {prefix}{} have CRC64NVME {found}; the manifest says {} of {} bytes",
                self.bytes, object.name, object.crc64nvme, object.bytes
            ),
        ))
    }
}

/// Reads all of an object back, and shows each part to `visit` once it was compared.
pub async fn read_back(
    store: &impl Store,
    prefix: &str,
    object: &StoredObject,
    mut visit: impl AsyncFnMut(Bytes) -> Result<()>,
) -> Result<()> {
    let mut reading = ReadBack::begin(store, prefix, object).await?;
    while let Some(part) = reading.next(store, prefix, object).await? {
        visit(part).await?;
    }
    Ok(())
}
