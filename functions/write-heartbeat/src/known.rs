use std::{cell::RefCell, collections::BTreeMap};

use jiff::{SignedDuration, Timestamp};
use reconcile::Result;
use secrecy::SecretString;
use secrets::PlainSecrets;

/// Secrets that are read every ten minutes and not every minute, because each look is paid for; and again as soon as a database
/// does not take what stands in one.
pub struct Known<K> {
    secrets: K,
    texts: RefCell<BTreeMap<String, (SecretString, Timestamp)>>,
}

/// After so long a secret is read again.
const KNOWN_FOR: SignedDuration = SignedDuration::from_mins(10);

/// What stands in a secret.
#[derive(Debug)]
pub(crate) struct Secret {
    pub(crate) text: SecretString,
    /// It was read before, and may be another one by now.
    pub(crate) may_be_old: bool,
}

impl<K: PlainSecrets> Known<K> {
    /// Of those secrets.
    pub const fn new(secrets: K) -> Self {
        Self { secrets, texts: RefCell::new(BTreeMap::new()) }
    }

    /// The secret of that name or ARN.
    pub(crate) async fn get(&self, name: &str, now: Timestamp) -> Result<Secret> {
        let known = self.texts.borrow().get(name).cloned();
        if let Some((text, _)) = known.filter(|(_, at)| now.duration_since(*at).abs() < KNOWN_FOR) {
            return Ok(Secret { text, may_be_old: true });
        }
        let text = self.read(name, now).await?;
        Ok(Secret { text, may_be_old: false })
    }

    /// The same, as it is now.
    pub(crate) async fn read(&self, name: &str, now: Timestamp) -> Result<SecretString> {
        let text = self.secrets.text(name).await?;
        self.texts.borrow_mut().insert(name.to_owned(), (text.clone(), now));
        Ok(text)
    }
}
