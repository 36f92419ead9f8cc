//! The way into S3, for exports and restores.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;

/// Why S3 did not do it.
pub type ObjectsError = Box<dyn std::error::Error + Send + Sync>;

/// How an object is encrypted at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Not at all.
    None,
    /// SSE-S3 (`AES256`).
    Aes256,
    /// SSE-KMS (`aws:kms`), which ElastiCache cannot read.
    Kms,
}

/// What is known of an object without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its length.
    pub size_bytes: u64,
    /// How it is encrypted.
    pub encryption: Encryption,
}

/// A bucket, as far as ElastiCache cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Where it is.
    pub region: String,
    /// Its policy, a JSON document.
    pub policy: Option<String>,
}

/// S3, as ElastiCache sees it. What it may do there is checked by the control plane, by the bucket's policy.
pub trait Objects: Send + Sync {
    /// The bucket of a name, if there is one.
    fn bucket<'a>(&'a self, bucket: &'a str) -> BoxFuture<'a, Result<Option<Bucket>, ObjectsError>>;

    /// An object, if there is one.
    fn head<'a>(&'a self, bucket: &'a str, key: &'a str)
    -> BoxFuture<'a, Result<Option<Head>, ObjectsError>>;

    /// Writes an object into the file `to`, which is made.
    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        to: &'a Path,
    ) -> BoxFuture<'a, Result<(), ObjectsError>>;

    /// Makes an object of the file `from`. ElastiCache overwrites nothing: an object that exists is an error.
    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        from: &'a Path,
    ) -> BoxFuture<'a, Result<(), ObjectsError>>;
}

/// S3 in memory, for a control plane that runs alone.
#[derive(Debug, Default)]
pub struct MemoryObjects(Mutex<BTreeMap<String, MemoryBucket>>);

#[derive(Debug)]
struct MemoryBucket {
    bucket: Bucket,
    objects: BTreeMap<String, (Vec<u8>, Encryption)>,
}

impl MemoryObjects {
    fn buckets(&self) -> MutexGuard<'_, BTreeMap<String, MemoryBucket>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an empty bucket, or makes it anew.
    pub fn make_bucket(&self, name: &str, region: &str, policy: Option<&str>) {
        let bucket = Bucket { region: region.to_owned(), policy: policy.map(str::to_owned) };
        self.buckets().insert(name.to_owned(), MemoryBucket { bucket, objects: BTreeMap::new() });
    }

    /// The keys of all objects of a bucket, in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.buckets().get(bucket).map(|it| it.objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// The bytes of an object.
    pub fn read(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        Some(self.buckets().get(bucket)?.objects.get(key)?.0.clone())
    }

    /// Makes or replaces an object. False if there is no such bucket.
    pub fn write(&self, bucket: &str, key: &str, bytes: Vec<u8>, encryption: Encryption) -> bool {
        let mut buckets = self.buckets();
        let Some(bucket) = buckets.get_mut(bucket) else { return false };
        bucket.objects.insert(key.to_owned(), (bytes, encryption));
        true
    }
}

impl Objects for MemoryObjects {
    fn bucket<'a>(&'a self, bucket: &'a str) -> BoxFuture<'a, Result<Option<Bucket>, ObjectsError>> {
        let found = self.buckets().get(bucket).map(|it| it.bucket.clone());
        Box::pin(async move { Ok(found) })
    }

    fn head<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<Head>, ObjectsError>> {
        let buckets = self.buckets();
        let found = buckets.get(bucket).and_then(|it| it.objects.get(key));
        let head =
            found.map(|(bytes, encryption)| Head { size_bytes: bytes.len() as u64, encryption: *encryption });
        Box::pin(async move { Ok(head) })
    }

    fn get<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        to: &'a Path,
    ) -> BoxFuture<'a, Result<(), ObjectsError>> {
        Box::pin(async move {
            let bytes = self.read(bucket, key).ok_or("NoSuchKey")?;
            Ok(tokio::fs::write(to, bytes).await?)
        })
    }

    fn put<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
        from: &'a Path,
    ) -> BoxFuture<'a, Result<(), ObjectsError>> {
        Box::pin(async move {
            let bytes = tokio::fs::read(from).await?;
            if self.read(bucket, key).is_some() {
                return Err("PreconditionFailed".into());
            }
            if self.write(bucket, key, bytes, Encryption::Aes256) {
                Ok(())
            } else {
                Err("NoSuchBucket".into())
            }
        })
    }
}
