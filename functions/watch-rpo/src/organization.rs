//! ElastiCache and the Turso organization, as far as watch-rpo asks them: for lists.

use std::{cell::RefCell, future::Future};

use aws_sdk_secretsmanager::Client;
use reconcile::{Error, Result, SdkConfig, aws_error};
use redis::elasticache::{Cache, ElastiCache};
use secrecy::SecretString;
use turso::{Connect, Database, Turso};

/// Where caches are asked for.
pub trait Caches {
    /// All of them, tags included (a call per 100 of each sort, and of tagged resources).
    fn caches(&self) -> impl Future<Output = Result<Vec<Cache>>>;
}

impl<C: ElastiCache> Caches for C {
    async fn caches(&self) -> Result<Vec<Cache>> {
        ElastiCache::caches(self).await
    }
}

/// No ElastiCache: for whoever looks at other engines alone.
#[derive(Clone, Copy, Debug)]
pub struct NoCaches;

impl Caches for NoCaches {
    async fn caches(&self) -> Result<Vec<Cache>> {
        Ok(Vec::new())
    }
}

/// Where an organization's databases are asked for.
pub trait Organization {
    /// All of them (a call per 100).
    fn databases(&self) -> impl Future<Output = Result<Vec<Database>>>;
}

/// No organization: there is nobody to ask.
#[derive(Clone, Copy, Debug)]
pub enum NoOrganization {}

impl Organization for NoOrganization {
    async fn databases(&self) -> Result<Vec<Database>> {
        match *self {}
    }
}

/// Where its token is kept.
pub trait Token {
    /// Reads it.
    fn token(&self) -> impl Future<Output = Result<SecretString>>;
}

/// A token in Secrets Manager, as plain text or as `{"token": "…"}`.
pub struct SecretToken {
    client: Client,
    secret: String,
}

impl SecretToken {
    /// In the secret of that name or ARN.
    pub fn new(config: &SdkConfig, secret: String) -> Self {
        Self { client: Client::new(config), secret }
    }
}

impl Token for SecretToken {
    async fn token(&self) -> Result<SecretString> {
        let secret = &self.secret;
        let doing = format!("read secret {secret}");
        let request = self.client.get_secret_value().secret_id(secret);
        let answer = request.send().await.map_err(|error| aws_error(&doing, error))?;
        read_token(answer.secret_string().unwrap_or_default()).ok_or_else(|| {
            let message = format!(
                "secret {secret} holds no token; put one there: `turso auth api-tokens mint tidemark`, then `aws secretsmanager \
                 put-secret-value --secret-id {secret} --secret-string …`"
            );
            Error::misconfigured("SecretUnreadable", message)
        })
    }
}

/// What is no token is not quoted anywhere: it may be another secret.
fn read_token(text: &str) -> Option<SecretString> {
    let json = serde_json::from_str::<serde_json::Value>(text).ok();
    let token = match &json {
        Some(json) => json.get("token")?.as_str()?,
        None => text,
    };
    let token = token.trim();
    let is_token = !token.is_empty() && token.chars().all(|c| c.is_ascii_graphic());
    is_token.then(|| SecretString::from(token))
}

/// An organization that is reached with a token. The token is read once and not each minute, and again once Turso does not
/// take it any more.
pub struct WithToken<K, C> {
    token: K,
    connector: C,
    known: RefCell<Option<SecretString>>,
}

impl<K: Token, C: Connect> WithToken<K, C> {
    /// Through that connector, with that token.
    pub fn new(token: K, connector: C) -> Self {
        Self { token, connector, known: RefCell::new(None) }
    }

    async fn read(&self) -> Result<SecretString> {
        let token = self.token.token().await?;
        self.known.replace(Some(token.clone()));
        Ok(token)
    }
}

impl<K: Token, C: Connect> Organization for WithToken<K, C> {
    async fn databases(&self) -> Result<Vec<Database>> {
        let known = self.known.borrow().clone();
        if let Some(token) = known {
            match self.connector.connect(token).databases().await {
                Err(error) if error.code() == "TursoUnauthorized" => {}
                outcome => return outcome,
            }
        }
        let token = self.read().await?;
        self.connector.connect(token).databases().await
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use secrecy::ExposeSecret;

    use super::*;

    #[rstest]
    #[case::plain("ey.J.x", Some("ey.J.x"))]
    #[case::with_a_line_end("ey.J.x\n", Some("ey.J.x"))]
    #[case::json(r#"{"token": "ey.J.x"}"#, Some("ey.J.x"))]
    #[case::of_a_database(r#"{"username": "a", "password": "b"}"#, None)]
    #[case::nothing("", None)]
    #[case::no_header_value("a\nb", None)]
    #[case::a_number("7", None)]
    fn tokens(#[case] text: &str, #[case] token: Option<&str>) {
        let read = read_token(text);
        assert_eq!(read.as_ref().map(ExposeSecret::expose_secret), token);
    }
}
