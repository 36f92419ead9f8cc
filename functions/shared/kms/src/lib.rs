//! KMS as Tidemark sees it: whether a key is there, and can be used.
//!
//! [`Kms`] is the port: one Region of one account, in our own types. [`AwsKms`] asks AWS; `FakeKms` (feature `fake`) is
//! a Region in memory.

#[cfg(feature = "fake")]
mod fake;

use std::{collections::BTreeMap, future::Future};

use aws_sdk_kms::{
    Client,
    config::{Builder, Region},
    error::ProvideErrorMetadata,
    operation::{describe_key::DescribeKeyError, encrypt::EncryptError},
    primitives::Blob,
    types::{KeyManagerType, KeyMetadata},
};
use jiff::Timestamp;
use reconcile::{Error, Kind, Result, SdkConfig, aws_error};

#[cfg(feature = "fake")]
pub use self::fake::FakeKms;

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its ARN.
    pub arn: String,
    /// `Enabled`, `Disabled`, `PendingDeletion`, … (KMS Developer Guide, "Key states of AWS KMS keys").
    pub state: String,
    /// Whether what is encrypted with it can be read.
    pub enabled: bool,
    /// Who looks after it.
    pub manager: KeyManager,
    /// Whether it is one of several keys in several Regions with the same material.
    pub multi_region: bool,
    /// When it will be gone, if somebody has it deleted.
    pub deletion_date: Option<Timestamp>,
}

/// Who looks after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyManager {
    /// A service of AWS, as `aws/rds`: nobody can change its policy, so that what it encrypts is of no use to another account.
    Aws,
    /// Whoever owns the account.
    Customer,
}

impl Key {
    /// One that can be used.
    #[cfg(feature = "fake")]
    pub fn fake(arn: &str) -> Self {
        Self {
            arn: arn.to_owned(),
            state: "Enabled".to_owned(),
            enabled: true,
            manager: KeyManager::Customer,
            multi_region: false,
            deletion_date: None,
        }
    }
}

/// One Region of an account's KMS.
pub trait Kms {
    /// Which Region.
    fn region(&self) -> &str;
    /// The key of that id or ARN, or that an alias (`alias/…`, or its ARN) stands for; `None` where there is none. Errors carry
    /// AWS's own codes.
    fn describe(&self, key: &str) -> impl Future<Output = Result<Option<Key>>>;
    /// Whether the caller may encrypt with a key, by its policy and the caller's own: nothing is encrypted.
    fn may_encrypt(&self, key: &str) -> impl Future<Output = Result<Permission>>;
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Yes.
    Given,
    /// No, in AWS's words.
    Denied(String),
}

/// What there is of each of `keys`, in one call for each that is another.
pub async fn describe_all<'k>(
    kms: &impl Kms,
    keys: impl IntoIterator<Item = &'k str>,
) -> BTreeMap<String, Result<Option<Key>>> {
    let mut described = BTreeMap::new();
    for key in keys {
        if !described.contains_key(key) {
            described.insert(key.to_owned(), kms.describe(key).await);
        }
    }
    described
}

/// KMS in one Region.
#[derive(Clone, Debug)]
pub struct AwsKms {
    client: Client,
    region: String,
}

impl AwsKms {
    /// KMS in `region`; connections are shared with whatever else uses `config`.
    pub fn new(config: &SdkConfig, region: &str) -> Self {
        let config = Builder::from(config).region(Region::new(region.to_owned())).build();
        Self { client: Client::from_conf(config), region: region.to_owned() }
    }
}

impl Kms for AwsKms {
    fn region(&self) -> &str {
        &self.region
    }

    async fn describe(&self, key: &str) -> Result<Option<Key>> {
        let answer = match self.client.describe_key().key_id(key).send().await {
            Ok(answer) => answer,
            Err(error) if error.as_service_error().is_some_and(DescribeKeyError::is_not_found_exception) => {
                return Ok(None);
            }
            Err(error) => {
                let error = aws_error(&format!("describe KMS key {key} in {}", self.region), error);
                // An ARN that KMS cannot read, or of another Region, is a mistake of whoever gave it.
                let is_ours = error.code() == "InvalidArnException";
                return Err(if is_ours { error.of_kind(Kind::Misconfigured) } else { error });
            }
        };
        let missing = |what: &str| {
            let text = format!("KMS in {} answered about {key} without {what}", self.region);
            Error::retryable("AnswerIncomplete", text)
        };
        key_of(&answer.key_metadata.ok_or_else(|| missing("the key"))?).map(Some).map_err(missing)
    }

    async fn may_encrypt(&self, key: &str) -> Result<Permission> {
        let request = self.client.encrypt().key_id(key).plaintext(Blob::new("tidemark")).dry_run(true);
        match request.send().await {
            // KMS answers a dry run that would go well with an error of its own (Developer Guide, "Testing your permissions").
            Ok(_) => Ok(Permission::Given),
            Err(error)
                if error.as_service_error().is_some_and(EncryptError::is_dry_run_operation_exception) =>
            {
                Ok(Permission::Given)
            }
            Err(error) if error.code() == Some("AccessDeniedException") => {
                Ok(Permission::Denied(error.message().unwrap_or("AccessDeniedException").to_owned()))
            }
            Err(error) => Err(aws_error(&format!("try KMS key {key} in {}", self.region), error)),
        }
    }
}

/// An answer without the thing it is about would be a lie; better an error than a default.
fn key_of(from: &KeyMetadata) -> Result<Key, &'static str> {
    Ok(Key {
        arn: from.arn().ok_or("its ARN")?.to_owned(),
        state: from.key_state().ok_or("its state")?.as_str().to_owned(),
        enabled: from.enabled(),
        manager: match from.key_manager() {
            Some(KeyManagerType::Aws) => KeyManager::Aws,
            _ => KeyManager::Customer,
        },
        multi_region: from.multi_region().unwrap_or(false),
        deletion_date: from.deletion_date().and_then(|date| Timestamp::new(date.secs(), 0).ok()),
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_kms::{primitives::DateTime, types::KeyState};

    use super::*;

    #[test]
    fn what_kms_says_of_a_key() {
        let said = KeyMetadata::builder()
            .key_id("k")
            .arn("arn:aws:kms:us-west-2:123456789012:key/k")
            .key_state(KeyState::PendingDeletion)
            .enabled(false)
            .key_manager(KeyManagerType::Aws)
            .deletion_date(DateTime::from_secs(1_795_316_400))
            .build()
            .unwrap();
        let key = key_of(&said).unwrap();
        assert_eq!(
            (key.state.as_str(), key.enabled, key.manager),
            ("PendingDeletion", false, KeyManager::Aws)
        );
        assert_eq!(key.deletion_date, Some("2026-11-22T03:00:00Z".parse().unwrap()));
        let half = KeyMetadata::builder().key_id("k").build().unwrap();
        assert_eq!(key_of(&half), Err("its ARN"));
    }

    #[tokio::test]
    async fn each_key_is_asked_for_once() {
        let kms = FakeKms::new("us-west-2");
        let arn = "arn:aws:kms:us-west-2:123456789012:key/k";
        kms.put(&["alias/tidemark"], Key::fake(arn));
        let described = describe_all(&kms, [arn, "alias/tidemark", arn, "alias/gone"]).await;
        assert_eq!(kms.calls().len(), 3);
        let found = |key: &str| described[key].as_ref().unwrap().as_ref().map(|key| key.arn.as_str());
        assert_eq!([found(arn), found("alias/tidemark"), found("alias/gone")], [Some(arn), Some(arn), None]);
        kms.refuse_next(Error::retryable("ThrottlingException", "slow down"));
        kms.describe(arn).await.unwrap_err();
    }
}
