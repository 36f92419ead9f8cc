use bytes::Bytes;
use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::{Created, Digests, Part, Store, StoredObject, Upload, store::LARGEST_PART_BYTES};

/// An object on its way into a bucket, part by part. Kept in a document after each part, it goes on in another invocation
/// where it was; a part whose document was not written any more is uploaded again, under its own number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intake {
    upload: Upload,
    parts: Vec<Part>,
    digests: Digests,
}

impl Intake {
    /// Begins an upload to `key`, in parts of `part_bytes`: 5 MiB at least where there is more than one, 512 MiB at most,
    /// and 10,000 of them.
    pub async fn begin(store: &impl Store, key: &str, part_bytes: u64) -> Result<Self> {
        if !(1..=LARGEST_PART_BYTES).contains(&part_bytes) {
            return Err(Error::permanent(
                "PartSizeInvalid",
                format!(
                    "{key} cannot be stored in parts of {part_bytes} bytes; 1 to {LARGEST_PART_BYTES} are allowed"
                ),
            ));
        }
        let upload = store.begin(key).await?;
        Ok(Self { upload, parts: Vec::new(), digests: Digests::new(part_bytes) })
    }

    /// Under which key it will be.
    pub fn key(&self) -> &str {
        &self.upload.key
    }

    /// The upload, to be given up.
    pub fn upload(&self) -> &Upload {
        &self.upload
    }

    /// How many bytes are there: where the next part begins.
    pub fn bytes(&self) -> u64 {
        self.digests.bytes()
    }

    /// Uploads the next part: of `part_bytes`, but for the last.
    pub async fn add(&mut self, store: &impl Store, part: Bytes) -> Result<()> {
        if !self.digests.takes(&part) {
            return Err(Error::permanent(
                "PartMisplaced",
                format!(
                    "{} bytes cannot follow the {} of {}: parts have one size, and only the last one is shorter",
                    part.len(),
                    self.bytes(),
                    self.key()
                ),
            ));
        }
        let number = u32::try_from(self.parts.len()).unwrap_or(u32::MAX).saturating_add(1);
        let stored = store.part(&self.upload, number, part.clone()).await?;
        self.parts.push(stored);
        self.digests.add(&part);
        Ok(())
    }

    /// Whether `error` says that S3 has this upload, or parts of it, no more: then only a new one helps.
    pub fn is_lost(error: &Error) -> bool {
        // The last: somebody else wrote the same key at that moment ("On a 409 failure you should re-initiate the multipart
        // upload", S3 API Reference, `CompleteMultipartUpload`).
        ["NoSuchUpload", "InvalidPart", "ConditionalRequestConflict"].contains(&error.code())
    }

    /// Makes the object of its parts. Once more after a lost answer is the same: `Created::Before`, as when somebody else
    /// was first; reading it back shows whether it is the same object.
    pub async fn complete(self, store: &impl Store, name: &str) -> Result<(Created, StoredObject)> {
        let created = store.complete(&self.upload, &self.parts).await?;
        Ok((created, self.digests.into_object(name)))
    }
}
