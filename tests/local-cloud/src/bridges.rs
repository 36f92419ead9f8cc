//! What the RDS control plane needs from the rest of the cloud: KMS, EventBridge, the crash guard.

use std::sync::Arc;

use futures::future::BoxFuture;
use local_rds::{Event, EventSink, Key, Keys, Processes};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use toolbox::Guard;

use crate::api::Api;

/// KMS keys are `MiniStack`'s.
pub(crate) struct KmsKeys {
    pub(crate) api: Api,
    pub(crate) account: String,
}

impl Keys for KmsKeys {
    fn describe<'a>(&'a self, region: &'a str, key: &'a str) -> BoxFuture<'a, Option<Key>> {
        Box::pin(async move {
            if key.rsplit_once("alias/").is_some_and(|(_, name)| name.starts_with("aws/")) {
                return Some(self.aws_managed(region, key));
            }
            // By then it is known by the ARN that this gave.
            let rds = self.aws_managed(region, "alias/aws/rds");
            if rds.arn == key {
                return Some(rds);
            }
            let body = json!({"KeyId": key});
            let answer = self.api.json(("kms", region), "TrentService.DescribeKey", &body).await;
            let answer = answer.inspect_err(|error| tracing::debug!(%error, key, "no such key")).ok()?;
            let metadata = &answer["KeyMetadata"];
            Some(Key {
                arn: metadata["Arn"].as_str()?.to_owned(),
                enabled: metadata["KeyState"].as_str() == Some("Enabled"),
            })
        })
    }
}

impl KmsKeys {
    /// AWS makes `aws/…` keys when they are first used, one for each account and Region. `MiniStack` does not.
    fn aws_managed(&self, region: &str, key: &str) -> Key {
        let digest = Sha256::digest(format!("{region} {}", key.rsplit('/').next().unwrap_or(key)));
        let hex = data_encoding::HEXLOWER.encode(&digest);
        let id =
            format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
        Key { arn: format!("arn:aws:kms:{region}:{}:key/{id}", self.account), enabled: true }
    }
}

/// Lifecycle events go to the default bus of their Region, one after the other.
pub(crate) struct Bus(UnboundedSender<(String, Event)>);

impl Bus {
    pub(crate) fn start(api: Api) -> Self {
        let (sender, mut queue) = unbounded_channel::<(String, Event)>();
        tokio::spawn(async move {
            while let Some((region, event)) = queue.recv().await {
                let entry = json!({
                    "Source": event.source,
                    "DetailType": event.detail_type,
                    "Time": event.time.as_second(),
                    "Resources": event.resources,
                    "Detail": event.detail.to_string(),
                });
                let body = json!({"Entries": [entry]});
                match api.json(("events", &region), "AWSEvents.PutEvents", &body).await {
                    Ok(answer) if answer["FailedEntryCount"] == 0 => {}
                    Ok(answer) => tracing::warn!(%answer, "an RDS event was refused"),
                    Err(error) => tracing::warn!(%error, "an RDS event could not be delivered"),
                }
            }
        });
        Self(sender)
    }
}

impl EventSink for Bus {
    fn emit(&self, region: &str, event: Event) {
        // The queue ends with the cloud; so do its events.
        let _ = self.0.send((region.to_owned(), event));
    }
}

/// The crash guard knows process groups by number.
pub(crate) struct Guarded(pub(crate) Arc<Guard>);

impl Processes for Guarded {
    fn adopt(&self, process_group: u32) {
        self.0.adopt(process_group);
    }

    fn release(&self, process_group: u32) {
        self.0.release(process_group);
    }
}
