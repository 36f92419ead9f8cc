use std::ops::Range;

use aws_sdk_s3::{
    Client,
    error::SdkError,
    operation::{
        get_object::GetObjectError,
        head_object::{HeadObjectError, HeadObjectOutput, builders::HeadObjectFluentBuilder},
    },
    primitives::{ByteStream, DateTime},
    types::{
        ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart,
        Object as Found, ServerSideEncryption,
    },
};
use bytes::{Bytes, BytesMut};
use data_encoding::BASE64;
use jiff::Timestamp;
use reconcile::{Error, Result, SdkConfig, aws_error};

use crate::{
    Created, Encryption, Object, Part, Source, Store, Upload,
    client::{client, long_patience, patience},
    crc64nvme,
    store::{self, WHOLE_BYTES},
};

/// How much one call copies. S3 takes up to 5 GiB, but answers only when it is done; parts of this size are copied side
/// by side, each within a time that can be told from a hang, and 10,000 of them are the largest object that S3 has.
pub(crate) const COPY_BYTES: u64 = 512 << 20;

/// A bucket of S3.
#[derive(Clone, Debug)]
pub struct S3Store {
    pub(crate) client: Client,
    region: String,
    pub(crate) bucket: String,
    pub(crate) copy_bytes: u64,
}

impl S3Store {
    /// That bucket, in the function's own Region.
    pub fn new(config: &SdkConfig, bucket: impl Into<String>) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        Self { client: client(config, None), region, bucket: bucket.into(), copy_bytes: COPY_BYTES }
    }

    /// That bucket, in that Region.
    pub fn in_region(config: &SdkConfig, region: &str, bucket: impl Into<String>) -> Self {
        let client = client(config, Some(region));
        Self { client, region: region.to_owned(), bucket: bucket.into(), copy_bytes: COPY_BYTES }
    }

    /// The same, which copies so many bytes with one call (5 MiB at least): 512 MiB otherwise.
    #[must_use]
    pub fn copying_by(self, bytes: u64) -> Self {
        Self { copy_bytes: bytes, ..self }
    }

    /// An answer without the thing it is about would be a lie; better an error than a default.
    pub(crate) fn missing(&self, what: &str) -> Error {
        let Self { region, bucket, .. } = self;
        Error::retryable(
            "AnswerIncomplete",
            format!("S3 in {region} answered of bucket {bucket} without {what}"),
        )
    }

    fn object(&self, found: &Found) -> Result<Object> {
        Ok(Object {
            key: found.key().ok_or_else(|| self.missing("a key"))?.to_owned(),
            bytes: self.size(found.size())?,
            etag: found.e_tag().ok_or_else(|| self.missing("an ETag"))?.to_owned(),
            modified: self.time(found.last_modified())?,
        })
    }

    pub(crate) fn size(&self, found: Option<i64>) -> Result<u64> {
        found.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| self.missing("a size"))
    }

    pub(crate) fn time(&self, found: Option<&DateTime>) -> Result<Timestamp> {
        found
            .and_then(|time| {
                Timestamp::new(time.secs(), i32::try_from(time.subsec_nanos()).unwrap_or_default()).ok()
            })
            .ok_or_else(|| self.missing("a time"))
    }

    /// All of an answer's body, in one piece of memory that was made for it.
    async fn body(&self, key: &str, mut body: ByteStream, bytes: u64) -> Result<Bytes> {
        let cut_off = |why: String| {
            Error::retryable("BodyIncomplete", format!("cannot read {key} in bucket {}: {why}", self.bucket))
        };
        let bytes = usize::try_from(bytes).map_err(|error| cut_off(error.to_string()))?;
        let mut whole = BytesMut::with_capacity(bytes);
        while let Some(chunk) = body.try_next().await.map_err(|error| cut_off(error.to_string()))? {
            whole.extend_from_slice(&chunk);
            if whole.len() > bytes {
                break;
            }
        }
        if whole.len() == bytes {
            return Ok(whole.freeze());
        }
        Err(cut_off(format!("{} bytes came instead of {bytes}", whole.len())))
    }

    async fn looked_at(
        &self,
        key: &str,
        request: HeadObjectFluentBuilder,
    ) -> Result<Option<HeadObjectOutput>> {
        match request.send().await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.as_service_error().is_some_and(HeadObjectError::is_not_found) => Ok(None),
            Err(error) => Err(aws_error(&self.doing("look at", key), error)),
        }
    }

    fn headed(&self, key: &str, found: &HeadObjectOutput) -> Result<Object> {
        Ok(Object {
            key: key.to_owned(),
            bytes: self.size(found.content_length())?,
            etag: found.e_tag().ok_or_else(|| self.missing("an ETag"))?.to_owned(),
            modified: self.time(found.last_modified())?,
        })
    }

    pub(crate) async fn begin_as(&self, key: &str, encryption: Encryption) -> Result<Upload> {
        let begun = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .set_server_side_encryption(sse(encryption))
            // One checksum of the whole, not a checksum of checksums: Object Lock needs one, and whoever restores by hand
            // can compare it (S3 User Guide, "Checking object integrity").
            .checksum_algorithm(ChecksumAlgorithm::Crc64Nvme)
            .checksum_type(ChecksumType::FullObject)
            .send()
            .await
            .map_err(|error| aws_error(&self.doing("begin the upload of", key), error))?;
        let id = begun.upload_id.ok_or_else(|| self.missing("an upload id"))?;
        Ok(Upload { key: key.to_owned(), id })
    }

    pub(crate) fn doing(&self, what: &str, key: &str) -> String {
        format!("{what} {key} in bucket {}", self.bucket)
    }
}

pub(crate) fn sse(encryption: Encryption) -> Option<ServerSideEncryption> {
    match encryption {
        Encryption::Bucket => None,
        Encryption::S3 => Some(ServerSideEncryption::Aes256),
    }
}

pub(crate) fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// As S3 writes a checksum.
pub(crate) fn base64(crc64nvme: u64) -> String {
    BASE64.encode(&crc64nvme.to_be_bytes())
}

/// What [`base64`] wrote.
pub(crate) fn unbase64(text: &str) -> Option<u64> {
    BASE64.decode(text.as_bytes()).ok()?.try_into().ok().map(u64::from_be_bytes)
}

impl Store for S3Store {
    fn region(&self) -> &str {
        &self.region
    }

    fn bucket(&self) -> &str {
        &self.bucket
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let mut pages =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        let mut objects = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| aws_error(&self.doing("list", &format!("{prefix}*")), error))?;
            for found in page.contents() {
                objects.push(self.object(found)?);
            }
        }
        Ok(objects)
    }

    async fn head(&self, key: &str) -> Result<Option<Object>> {
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        self.looked_at(key, request).await?.map(|found| self.headed(key, &found)).transpose()
    }

    async fn head_checksum(&self, key: &str) -> Result<Option<(Object, Option<u64>)>> {
        let request = self.client.head_object().bucket(&self.bucket).key(key);
        // Otherwise S3 does not tell it (S3 API Reference, `HeadObject`).
        let request = request.checksum_mode(ChecksumMode::Enabled);
        let Some(found) = self.looked_at(key, request).await? else { return Ok(None) };
        let crc64nvme =
            found.checksum_crc64_nvme().map(|said| unbase64(said).ok_or_else(|| self.missing("a CRC64NVME")));
        Ok(Some((self.headed(key, &found)?, crc64nvme.transpose()?)))
    }

    async fn read(&self, key: &str, etag: &str, range: Range<u64>) -> Result<Bytes> {
        let bytes = range.end.saturating_sub(range.start);
        if bytes == 0 {
            return Ok(Bytes::new());
        }
        let found = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .if_match(etag)
            .range(format!("bytes={}-{}", range.start, range.end - 1))
            .send()
            .await
            .map_err(|error| aws_error(&self.doing("read", key), error))?;
        // S3 cuts a range that reaches beyond the end, and does not say so.
        let given = self.size(found.content_length())?;
        if given != bytes {
            return Err(Error::permanent(
                "InvalidRange",
                format!(
                    "cannot read {key} in bucket {}: of the bytes {range:?}, S3 has {given}; {bytes} were asked for",
                    self.bucket
                ),
            ));
        }
        self.body(key, found.body, bytes).await
    }

    async fn read_whole(&self, key: &str) -> Result<Option<Bytes>> {
        let found = match self.client.get_object().bucket(&self.bucket).key(key).send().await {
            Ok(found) => found,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                return Ok(None);
            }
            Err(error) => return Err(aws_error(&self.doing("read", key), error)),
        };
        let bytes = self.size(found.content_length())?;
        if bytes > WHOLE_BYTES {
            return Err(store::too_large(key, bytes));
        }
        self.body(key, found.body, bytes).await.map(Some)
    }

    async fn create(&self, key: &str, content_type: &str, body: Bytes) -> Result<Created> {
        let bytes = body.len() as u64;
        let outcome = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .if_none_match("*")
            .content_type(content_type)
            // Object Lock refuses a PutObject without a checksum (S3 guide, "Object Lock considerations").
            .checksum_crc64_nvme(base64(crc64nvme(&body)))
            .body(ByteStream::from(body))
            .customize()
            .config_override(patience(bytes))
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(Created::Now),
            Err(error) if status(&error) == Some(412) => Ok(Created::Before),
            Err(error) => Err(aws_error(&self.doing("write", key), error)),
        }
    }

    async fn begin(&self, key: &str) -> Result<Upload> {
        self.begin_as(key, Encryption::Bucket).await
    }

    async fn part(&self, upload: &Upload, number: u32, body: Bytes) -> Result<Part> {
        let (crc64nvme, bytes) = (crc64nvme(&body), body.len() as u64);
        let stored = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .checksum_crc64_nvme(base64(crc64nvme))
            .body(ByteStream::from(body))
            .customize()
            .config_override(patience(bytes))
            .send()
            .await
            .map_err(|error| {
                aws_error(&self.doing(&format!("upload part {number} of"), &upload.key), error)
            })?;
        let etag = stored.e_tag.ok_or_else(|| self.missing("an ETag"))?;
        Ok(Part { number, etag, crc64nvme, bytes })
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<Created> {
        let (crc64nvme, bytes) = store::combined(parts);
        let parts = parts.iter().map(|part| {
            CompletedPart::builder()
                .part_number(i32::try_from(part.number).unwrap_or(i32::MAX))
                .e_tag(&part.etag)
                .checksum_crc64_nvme(base64(part.crc64nvme))
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let outcome = self
            .client
            .complete_multipart_upload()
            .bucket(&self.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .if_none_match("*")
            .multipart_upload(parts)
            .checksum_crc64_nvme(base64(crc64nvme))
            .checksum_type(ChecksumType::FullObject)
            .mpu_object_size(i64::try_from(bytes).unwrap_or(i64::MAX))
            .customize()
            .config_override(long_patience())
            .send()
            .await;
        let Err(error) = outcome else { return Ok(Created::Now) };
        let (status, error) = (status(&error), aws_error(&self.doing("complete", &upload.key), error));
        if status == Some(412) {
            // What nobody will complete is not worth an error: the bucket's lifecycle removes it in the end.
            _ = self.abort(upload).await;
            return Ok(Created::Before);
        }
        // An upload is gone once it was completed: the answer may have been lost, and the SDK or we have tried again.
        if error.code() == "NoSuchUpload" && self.head(&upload.key).await?.is_some() {
            return Ok(Created::Before);
        }
        Err(error)
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        let outcome = self
            .client
            .abort_multipart_upload()
            .bucket(&self.bucket)
            .key(&upload.key)
            .upload_id(&upload.id)
            .send()
            .await
            .map_err(|error| aws_error(&self.doing("give up the upload of", &upload.key), error));
        match outcome {
            Err(error) if error.code() != "NoSuchUpload" => Err(error),
            _ => Ok(()),
        }
    }

    async fn copy(&self, source: &Source, key: &str, encryption: Encryption) -> Result<Created> {
        if source.bytes > self.copy_bytes {
            self.copy_in_parts(source, key, encryption).await
        } else {
            self.copy_at_once(source, key, encryption).await
        }
    }
}
