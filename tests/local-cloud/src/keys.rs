//! KMS keys that a scenario takes away and gives back.

use serde_json::json;

use crate::{Cloud, Error};

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
