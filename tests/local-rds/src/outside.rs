//! What the control plane needs from the rest of the local cloud: keys, an event bus, the process guard.

use futures::future::BoxFuture;
use jiff::Timestamp;

/// A KMS key, as far as RDS cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// `arn:aws:kms:REGION:ACCOUNT:key/ID`, never an alias.
    pub arn: String,
    /// False for a key that is disabled or waits for its deletion.
    pub enabled: bool,
}

/// Where KMS keys are looked up.
pub trait Keys: Send + Sync {
    /// The key in `region` that `key` names: an id, an ARN, an alias (`alias/…`) or an alias ARN.
    fn describe<'a>(&'a self, region: &'a str, key: &'a str) -> BoxFuture<'a, Option<Key>>;
}

/// An `EventBridge` event, without the fields that the bus adds (id, version, account, region).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Always `aws.rds`.
    pub source: &'static str,
    /// Such as `RDS DB Instance Event`.
    pub detail_type: &'static str,
    /// When it happened.
    pub time: Timestamp,
    /// The ARNs of what it happened to.
    pub resources: Vec<String>,
    /// `EventCategories`, `SourceType`, `SourceArn`, `Date`, `Message`, `SourceIdentifier`, `EventID`.
    pub detail: serde_json::Value,
}

/// Where lifecycle events go.
pub trait EventSink: Send + Sync {
    /// Hands one event over. Must not block: queue it.
    fn emit(&self, region: &str, event: Event);
}

/// The guard that ends every child process should this one die.
pub trait Processes: Send + Sync {
    /// A process group was started.
    fn adopt(&self, process_group: u32);
    /// It has ended.
    fn release(&self, process_group: u32);
}

/// Stand-ins for a control plane that runs alone: every key exists and is enabled, events go nowhere, no guard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Keys for Alone {
    fn describe<'a>(&'a self, region: &'a str, key: &'a str) -> BoxFuture<'a, Option<Key>> {
        let arn = if key.starts_with("arn:") {
            key.to_owned()
        } else {
            format!("arn:aws:kms:{region}:000000000000:key/{}", key.trim_start_matches("alias/"))
        };
        Box::pin(async move { Some(Key { arn, enabled: true }) })
    }
}

impl EventSink for Alone {
    fn emit(&self, _region: &str, _event: Event) {}
}

impl Processes for Alone {
    fn adopt(&self, _process_group: u32) {}
    fn release(&self, _process_group: u32) {}
}
