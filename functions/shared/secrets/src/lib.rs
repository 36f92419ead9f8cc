//! Database credentials, read from Secrets Manager in the shape that RDS keeps them in; and secrets that are plain text.

use std::future::Future;

use aws_sdk_secretsmanager::Client;
use reconcile::{Error, Result, SdkConfig, aws_error};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Who connects to a database.
///
/// The JSON of a secret that RDS or the console makes for a database: `username` and `password`, other keys left aside
/// (Secrets Manager User Guide, "JSON structure of database secrets").
#[derive(Clone, Debug, Deserialize)]
pub struct Credentials {
    /// The database role.
    pub username: String,
    /// Its password; never shown by `Debug`.
    pub password: SecretString,
}

/// Where credentials are kept.
pub trait Secrets {
    /// The credentials in the secret of that name or ARN.
    fn credentials(&self, secret: &str) -> impl Future<Output = Result<Credentials>>;
}

/// Where secrets are kept whose text is nobody's business but their reader's: a provider's token.
pub trait PlainSecrets {
    /// The text of the secret of that name or ARN.
    fn text(&self, secret: &str) -> impl Future<Output = Result<SecretString>>;
}

/// Secrets Manager.
#[derive(Clone, Debug)]
pub struct SecretsManager {
    client: Client,
}

impl SecretsManager {
    /// That of the function's Region.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }
}

impl PlainSecrets for SecretsManager {
    async fn text(&self, secret: &str) -> Result<SecretString> {
        let doing = format!("read secret {secret}");
        let answer = self
            .client
            .get_secret_value()
            .secret_id(secret)
            .send()
            .await
            .map_err(|error| aws_error(&doing, error))?;
        answer.secret_string.filter(|text| !text.is_empty()).map(SecretString::from).ok_or_else(|| {
            Error::misconfigured(
                "SecretUnreadable",
                format!("secret {secret} has no text; put the token there"),
            )
        })
    }
}

impl Secrets for SecretsManager {
    async fn credentials(&self, secret: &str) -> Result<Credentials> {
        // serde's own message may quote the value it stumbled over, which here is a secret: it is not passed on.
        serde_json::from_str(self.text(secret).await?.expose_secret()).map_err(|_| {
            Error::misconfigured(
                "SecretUnreadable",
                format!("secret {secret} is not JSON with \"username\" and \"password\", as RDS keeps them"),
            )
        })
    }
}
