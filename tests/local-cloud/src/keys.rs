//! KMS keys that a scenario takes away and gives back, and those that AWS makes by itself.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cloud::ACCOUNT;
use crate::{Cloud, Error};

/// The services that encrypt with a key of their own where none is named.
const WITH_A_KEY: [&str; 2] = ["aws/rds", "aws/elasticache"];

/// The ARN of the key that AWS makes when such an alias (`alias/aws/rds`) is first used, one for each account and Region.
/// `MiniStack` does not.
pub(crate) fn aws_managed(region: &str, alias: &str) -> String {
    let digest = Sha256::digest(format!("{region} {}", alias.rsplit('/').next().unwrap_or(alias)));
    let hex = data_encoding::HEXLOWER.encode(&digest);
    let id = format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}")
}

/// The ARN of such a key that is named by its alias, or by the ARN that it had from the first use on.
pub(crate) fn if_aws_managed(region: &str, key: &str) -> Option<String> {
    let by_alias = key.rsplit_once("alias/").is_some_and(|(_, name)| name.starts_with("aws/"));
    let by_arn = || {
        let all = WITH_A_KEY.iter().map(|name| aws_managed(region, name));
        all.into_iter().find(|arn| arn == key)
    };
    if by_alias { Some(aws_managed(region, key)) } else { by_arn() }
}

/// What KMS says of such a key (KMS API Reference, `DescribeKey`).
pub(crate) fn described_aws_managed(region: &str, key: &str) -> Option<Value> {
    let arn = if_aws_managed(region, key)?;
    Some(json!({"KeyMetadata": {
        "AWSAccountId": ACCOUNT, "KeyId": arn.rsplit('/').next(), "Arn": arn, "Enabled": true, "KeyState": "Enabled",
        "KeyManager": "AWS", "KeyUsage": "ENCRYPT_DECRYPT", "Origin": "AWS_KMS", "MultiRegion": false,
    }}))
}

impl Cloud {
    /// Enables or disables a KMS key, named by its id, its ARN or an alias (`alias/…`). RDS refuses what needs a disabled
    /// one (`KMSKeyNotAccessibleFault`); what other services of `MiniStack` hold stays readable.
    pub async fn set_key_enabled(&self, region: &str, key: &str, enabled: bool) -> Result<(), Error> {
        let scope = ("kms", region);
        // These two actions take no alias (KMS API Reference, "DisableKey").
        let described =
            self.inner.api.json(scope, "TrentService.DescribeKey", &json!({"KeyId": key})).await?;
        let target = if enabled { "TrentService.EnableKey" } else { "TrentService.DisableKey" };
        let body = json!({"KeyId": described["KeyMetadata"]["KeyId"]});
        self.inner.api.json(scope, target, &body).await.map(|_| ())
    }
}
