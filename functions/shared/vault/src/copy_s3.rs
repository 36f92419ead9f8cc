use aws_sdk_s3::types::CopyPartResult;
use futures::{StreamExt, TryStreamExt, stream};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reconcile::{Result, aws_error};

use crate::{
    Created, Encryption, Part, S3Store, Source, Store, Upload,
    client::patience,
    store::PART_NUMBERS,
    store_s3::{sse, status, unbase64},
};

/// How many parts are copied side by side.
const AT_ONCE: usize = 8;

/// What stays as it is in `x-amz-copy-source`, which the SDK does not encode.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

fn copy_source(source: &Source) -> String {
    let Source { bucket, key, .. } = source;
    format!("{bucket}/{}", utf8_percent_encode(key, PLAIN))
}

impl S3Store {
    pub(crate) async fn copy_at_once(
        &self,
        source: &Source,
        key: &str,
        encryption: Encryption,
    ) -> Result<Created> {
        let outcome = self
            .client
            .copy_object()
            .bucket(self.bucket())
            .key(key)
            .copy_source(copy_source(source))
            .copy_source_if_match(&source.etag)
            // Of the target (S3, October 2025: "conditional write functionality to copy operations").
            .if_none_match("*")
            .set_server_side_encryption(sse(encryption))
            .customize()
            .config_override(patience(source.bytes))
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(Created::Now),
            // One status for two conditions: the target is there, or the source is another.
            Err(error) if status(&error) == Some(412) && self.head(key).await?.is_some() => {
                Ok(Created::Before)
            }
            Err(error) => Err(aws_error(&self.copying(source, key), error)),
        }
    }

    /// Cut off, it begins anew: what was copied is removed by the bucket's lifecycle.
    pub(crate) async fn copy_in_parts(
        &self,
        source: &Source,
        key: &str,
        encryption: Encryption,
    ) -> Result<Created> {
        if self.head(key).await?.is_some() {
            return Ok(Created::Before);
        }
        let upload = self.begin_as(key, encryption).await?;
        let parts: Result<Vec<Part>> =
            stream::iter(PART_NUMBERS.zip((0..source.bytes).step_by(step(self.copy_bytes))))
                .map(|(number, offset)| self.copy_part(source, &upload, number, offset))
                .buffered(AT_ONCE)
                .try_collect()
                .await;
        let outcome = match parts {
            Ok(parts) => self.complete(&upload, &parts).await,
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            // The first error is the one to tell of.
            _ = self.abort(&upload).await;
        }
        outcome
    }

    async fn copy_part(&self, source: &Source, upload: &Upload, number: u32, offset: u64) -> Result<Part> {
        let bytes = self.copy_bytes.min(source.bytes - offset);
        let copied = self
            .client
            .upload_part_copy()
            .bucket(self.bucket())
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .copy_source(copy_source(source))
            .copy_source_if_match(&source.etag)
            .copy_source_range(format!("bytes={offset}-{}", offset + bytes - 1))
            .customize()
            .config_override(patience(bytes))
            .send()
            .await
            .map_err(|error| aws_error(&self.copying(source, &upload.key), error))?;
        let result = copied.copy_part_result.ok_or_else(|| self.missing("a part"))?;
        let etag = result.e_tag().ok_or_else(|| self.missing("an ETag"))?.to_owned();
        Ok(Part { number, etag, crc64nvme: self.checksum(&result)?, bytes })
    }

    /// What S3 computed of a part that it copied: the upload was begun so that it must.
    fn checksum(&self, result: &CopyPartResult) -> Result<u64> {
        let said = result.checksum_crc64_nvme().and_then(unbase64);
        said.ok_or_else(|| self.missing("the CRC64NVME of a part"))
    }

    fn copying(&self, source: &Source, key: &str) -> String {
        format!("copy {} of bucket {} to {key} in bucket {}", source.key, source.bucket, self.bucket())
    }
}

fn step(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_encoded_but_for_its_slashes() {
        let source = Source {
            bucket: "exports".to_owned(),
            key: "a b/ü+%25/c=d&e?versionId=1".to_owned(),
            bytes: 1,
            etag: "\"e\"".to_owned(),
        };
        assert_eq!(copy_source(&source), "exports/a%20b/%C3%BC%2B%2525/c%3Dd%26e%3FversionId%3D1");
    }
}
