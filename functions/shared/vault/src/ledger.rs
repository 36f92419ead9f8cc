use std::collections::BTreeSet;

use aws_sdk_s3::{
    Client, operation::get_object::GetObjectError, primitives::ByteStream, types::ChecksumAlgorithm,
};
use futures::future::try_join_all;
use jiff::civil::Date;
use reconcile::{Entry, EntryKey, Error, Ledger, Result, SdkConfig, aws_error};
use serde_json::{Value, json};

use crate::client::client;

/// The ledger in the vault bucket.
#[derive(Clone, Debug)]
pub struct VaultLedger {
    client: Client,
    bucket: String,
}

const PREFIX: &str = "ledger/";
const SUFFIX: &str = ".json";

impl VaultLedger {
    /// The ledger in that bucket.
    pub fn new(config: &SdkConfig, bucket: String) -> Self {
        Self { client: client(config, None), bucket }
    }

    async fn keys_of(&self, day: Date) -> Result<Vec<EntryKey>> {
        let doing = format!("list the ledger of {day} in bucket {}", self.bucket);
        let mut pages = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(format!("{PREFIX}{day}/"))
            .into_paginator()
            .send();
        let mut keys = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| aws_error(&doing, error))?;
            keys.extend(page.contents().iter().filter_map(|object| {
                object.key()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX).map(EntryKey::from_stored)
            }));
        }
        Ok(keys)
    }
}

fn object_key(key: &EntryKey) -> String {
    format!("{PREFIX}{key}{SUFFIX}")
}

impl Ledger for VaultLedger {
    async fn append(&self, entry: &Entry) -> Result<()> {
        let key = object_key(&entry.key());
        let outcome = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(&key)
            .if_none_match("*")
            .content_type("application/json")
            // Object Lock refuses a PutObject without a checksum (S3 guide, "Object Lock considerations").
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(ByteStream::from(json!(entry).to_string().into_bytes()))
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(()),
            Err(error) if error.raw_response().is_some_and(|response| response.status().as_u16() == 412) => {
                Ok(())
            }
            Err(error) => {
                Err(aws_error(&format!("write {key} to the ledger in bucket {}", self.bucket), error))
            }
        }
    }

    async fn keys(&self, days: &BTreeSet<Date>) -> Result<BTreeSet<EntryKey>> {
        let lists = try_join_all(days.iter().map(|day| self.keys_of(*day))).await?;
        Ok(lists.into_iter().flatten().collect())
    }

    async fn get(&self, key: &EntryKey) -> Result<Option<Value>> {
        let key = object_key(key);
        let doing = format!("read {key} from the ledger in bucket {}", self.bucket);
        let object = match self.client.get_object().bucket(&self.bucket).key(&key).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(GetObjectError::is_no_such_key) => {
                return Ok(None);
            }
            Err(error) => return Err(aws_error(&doing, error)),
        };
        let unreadable = |error: Box<dyn std::error::Error + Send + Sync>| {
            Error::permanent("LedgerUnreadable", format!("cannot {doing}")).caused_by(error)
        };
        let body = object.body.collect().await.map_err(|error| unreadable(error.into()))?;
        serde_json::from_slice(&body.into_bytes()).map(Some).map_err(|error| unreadable(error.into()))
    }
}
