use bytes::Bytes;
use reconcile::Result;
use serde::{Deserialize, Serialize};

use crate::{Created, Digests, Part, Store, StoredObject, Upload};

/// An object on its way into a bucket, part by part. Kept in a document after each part, it goes on in another invocation
/// where it was; a part whose document was not written any more is uploaded again, under its own number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intake {
    upload: Upload,
    parts: Vec<Part>,
    digests: Digests,
}

impl Intake {
    /// Begins an upload to `key`, in parts of `part_bytes`: 5 MiB at least, 10,000 of them at most.
    pub async fn begin(store: &impl Store, key: &str, part_bytes: u64) -> Result<Self> {
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

    /// Uploads the next part.
    pub async fn add(&mut self, store: &impl Store, part: Bytes) -> Result<()> {
        let number = u32::try_from(self.parts.len()).unwrap_or(u32::MAX).saturating_add(1);
        let stored = store.part(&self.upload, number, part.clone()).await?;
        self.parts.push(stored);
        self.digests.add(&part);
        Ok(())
    }

    /// Makes the object of its parts. Once more after a lost answer is the same.
    pub async fn complete(self, store: &impl Store, name: &str) -> Result<(Created, StoredObject)> {
        let created = store.complete(&self.upload, &self.parts).await?;
        Ok((created, self.digests.into_object(name)))
    }
}
