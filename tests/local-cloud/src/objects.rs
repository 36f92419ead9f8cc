//! Objects in the buckets of the deployed stacks, read and written past the door: nobody under test did it.

use bytes::Bytes;
use http::Method;

use crate::api::form;
use crate::xml::Element;
use crate::{Cloud, Error};

impl Cloud {
    /// The keys in a bucket of a deployed stack that begin with a prefix, in order.
    pub async fn object_keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, Error> {
        let mut keys = Vec::new();
        let mut token = String::new();
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", prefix)];
            if !token.is_empty() {
                query.push(("continuation-token", &token));
            }
            let path = format!("/{bucket}?{}", form(&query));
            let scope = ("s3", self.bucket_region(bucket));
            let reply = self.inner.api.send(scope, Method::GET, &path, &[], "").await?;
            let root = Element::parse("a bucket's list", &reply.body)?;
            keys.extend(root.all("Contents").iter().map(|object| object.text_of("Key").to_owned()));
            root.text_of("NextContinuationToken").clone_into(&mut token);
            if token.is_empty() {
                keys.sort();
                return Ok(keys);
            }
        }
    }

    /// An object, whole.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<Vec<u8>, Error> {
        let scope = ("s3", self.bucket_region(bucket));
        let reply = self.inner.api.send(scope, Method::GET, &path(bucket, key), &[], "").await?;
        Ok(reply.body.to_vec())
    }

    /// Writes an object. In a versioned bucket, what was there becomes an older version.
    pub async fn put_object(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) -> Result<(), Error> {
        let scope = ("s3", self.bucket_region(bucket));
        self.inner.api.send(scope, Method::PUT, &path(bucket, key), &[], bytes).await.map(|_| ())
    }

    /// Deletes an object; in a versioned bucket this leaves a delete marker, and the versions stay.
    pub async fn delete_object(&self, bucket: &str, key: &str) -> Result<(), Error> {
        let scope = ("s3", self.bucket_region(bucket));
        self.inner.api.send(scope, Method::DELETE, &path(bucket, key), &[], "").await.map(|_| ())
    }

    /// As if so many hours more had gone by since each object below `prefix` was written and locked; how many there are.
    pub async fn age_objects(&self, bucket: &str, prefix: &str, hours: u32) -> Result<u64, Error> {
        let hours = hours.to_string();
        let query = form(&[("bucket", bucket), ("prefix", prefix), ("hours", &hours)]);
        let answer = self.inner.api.launcher(&format!("age?{query}")).await?;
        Ok(answer["aged"].as_u64().unwrap_or_default())
    }

    /// As if there had never been an object in the bucket: no version of one is left, whatever its lock.
    pub async fn empty_bucket(&self, bucket: &str) -> Result<(), Error> {
        let query = form(&[("bucket", bucket)]);
        self.inner.api.launcher(&format!("empty?{query}")).await.map(drop)
    }

    fn bucket_region(&self, bucket: &str) -> &str {
        let stack = self.stack();
        let away = [stack.recovery_vault_bucket(), stack.recovery_export_bucket()];
        if !bucket.is_empty() && away.contains(&bucket) { &stack.recovery_region } else { self.home() }
    }
}

pub(crate) fn path(bucket: &str, key: &str) -> String {
    let mut path = format!("/{bucket}");
    for part in key.split('/') {
        path.push('/');
        // A form writes a space as a plus, which in a path is a plus.
        path.push_str(
            &form_urlencoded::byte_serialize(part.as_bytes()).collect::<String>().replace('+', "%20"),
        );
    }
    path
}
