//! What a control plane needs from the rest of the local cloud: keys and the process guard.

use futures::future::BoxFuture;

/// A KMS key, as far as a service that encrypts with it cares.
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

/// The guard that ends every child process should this one die.
pub trait Processes: Send + Sync {
    /// A process group was started.
    fn adopt(&self, process_group: u32);
    /// It has ended.
    fn release(&self, process_group: u32);
}

/// Stand-ins for a control plane that runs alone: every key exists and is enabled, no guard.
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

impl Processes for Alone {
    fn adopt(&self, _process_group: u32) {}
    fn release(&self, _process_group: u32) {}
}
