use aws_sdk_s3::{
    Client, error::ProvideErrorMetadata, operation::get_object::GetObjectError, primitives::ByteStream,
};
use reconcile::{Document, Documents, Error, Result, SdkConfig, aws_error};

/// The documents in the state bucket.
#[derive(Clone, Debug)]
pub struct StateBucket {
    client: Client,
    bucket: String,
}

impl StateBucket {
    /// The documents in that bucket.
    pub fn new(config: &SdkConfig, bucket: String) -> Self {
        // Path style: the local cloud has no host per bucket, and AWS takes both for buckets without dots.
        let config = aws_sdk_s3::config::Builder::from(config).force_path_style(true).build();
        Self { client: Client::from_conf(config), bucket }
    }
}

impl Documents for StateBucket {
    async fn read(&self, name: &str) -> Result<Option<Document>> {
        let doing = format!("read document {name} from bucket {}", self.bucket);
        let object = match self.client.get_object().bucket(&self.bucket).key(name).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                return Ok(None);
            }
            Err(error) => return Err(aws_error(&doing, error)),
        };
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::retryable("DocumentUnreadable", format!("cannot {doing}")).caused_by(error)
        };
        let version = object.e_tag.clone().ok_or_else(|| unreadable("it has no ETag".into()))?;
        let body = object.body.collect().await.map_err(|error| unreadable(error.into()))?;
        // What is no UTF-8 is no JSON either: whoever parses it replaces it.
        let text = String::from_utf8_lossy(&body.to_vec()).into_owned();
        Ok(Some(Document { text, version }))
    }

    async fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let doing = format!("list the documents {prefix}* in bucket {}", self.bucket);
        let mut pages =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).into_paginator().send();
        let mut names = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| aws_error(&doing, error))?;
            names.extend(page.contents().iter().filter_map(|object| object.key().map(str::to_owned)));
        }
        Ok(names)
    }

    async fn write(&self, name: &str, text: &str, replacing: Option<&str>) -> Result<Option<String>> {
        let doing = format!("write document {name} to bucket {}", self.bucket);
        let request = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(name)
            .content_type("application/json")
            .body(ByteStream::from(text.as_bytes().to_vec()));
        let request = match replacing {
            Some(version) => request.if_match(version),
            None => request.if_none_match("*"),
        };
        match request.send().await {
            Ok(written) => written.e_tag.map(Some).ok_or_else(|| {
                Error::retryable("AnswerIncomplete", format!("cannot {doing}: S3 answered without an ETag"))
            }),
            // 412: another version is there. 404: none is, though one was. 409: somebody writes at this moment (S3 guide,
            // "Conditional writes").
            Err(error)
                if error
                    .raw_response()
                    .is_some_and(|response| [412, 409, 404].contains(&response.status().as_u16()))
                    && error.code() != Some("NoSuchBucket") =>
            {
                // The answer to our own write may have been lost, and the SDK has tried again.
                let there = self.read(name).await?;
                Ok(there.filter(|document| document.text == text).map(|document| document.version))
            }
            Err(error) => Err(aws_error(&doing, error)),
        }
    }
}
