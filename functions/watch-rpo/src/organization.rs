//! ElastiCache and the Turso organization, as far as watch-rpo asks them: for lists.

use std::{cell::RefCell, future::Future};

use reconcile::Result;
use redis::elasticache::{Cache, ElastiCache};
use secrecy::SecretString;
use secrets::PlainSecrets;
use turso::{Connect, Database, Keys, Turso};

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

/// Where an organization's databases are asked for.
pub trait Organization {
    /// All of them (a call per 100).
    fn databases(&self) -> impl Future<Output = Result<Vec<Database>>>;
}

/// An organization that is reached with the token in a secret. The secret is read once and not each minute, and again once
/// Turso does not take its token any more.
pub struct SecretOrganization<K, C> {
    secrets: K,
    secret: String,
    connector: C,
    known: RefCell<Option<SecretString>>,
}

impl<K: PlainSecrets, C: Connect> SecretOrganization<K, C> {
    /// Through that connector, with the token in the secret of that name or ARN.
    pub fn new(secrets: K, secret: String, connector: C) -> Self {
        Self { secrets, secret, connector, known: RefCell::new(None) }
    }
}

impl<K: PlainSecrets, C: Connect> Organization for SecretOrganization<K, C> {
    async fn databases(&self) -> Result<Vec<Database>> {
        let known = self.known.borrow().clone();
        if let Some(token) = known {
            match self.connector.connect(token).databases().await {
                Err(error) if error.code() == "TursoUnauthorized" => {}
                outcome => return outcome,
            }
        }
        let token = Keys::parse(&self.secret, &self.secrets.text(&self.secret).await?)?.token;
        self.known.replace(Some(token.clone()));
        self.connector.connect(token).databases().await
    }
}
