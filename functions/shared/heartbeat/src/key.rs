use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString, zeroize::Zeroize};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// A hash's block. What is shorter is filled up with zeros by HMAC itself (RFC 2104, section 2).
const BLOCK_BYTES: usize = 64;
/// A shorter key is weaker than the signature (RFC 2104, section 3).
const LEAST_BYTES: usize = 32;

/// What a key is called: up to 32 letters, digits, `.`, `_` and `-`. No secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct KeyId(String);

/// A text that is no key's id. Not quoted: it may be the secret, put in the wrong place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is up to 32 letters, digits, \".\", \"_\" and \"-\"")]
pub struct InvalidKeyId;

impl KeyId {
    /// As it stands in a row.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.0
    }
}

impl TryFrom<String> for KeyId {
    type Error = InvalidKeyId;

    fn try_from(text: String) -> Result<Self, InvalidKeyId> {
        // 32 at most: a secret in hex is longer, so that it cannot pass for an id.
        let usable = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ((1..=32).contains(&text.len()) && text.bytes().all(usable)).then_some(Self(text)).ok_or(InvalidKeyId)
    }
}

/// A key that signs and verifies.
#[derive(Debug)]
pub struct Key {
    /// What it is called in the rows that it signed.
    pub id: KeyId,
    /// Filled up with zeros; never shown by `Debug`.
    secret: SecretBox<[u8; BLOCK_BYTES]>,
}

impl Key {
    /// A key of 32 to 64 bytes in hex; `None` if it is anything else.
    pub fn new(id: KeyId, hex: &SecretString) -> Option<Self> {
        let mut bytes = HEXLOWER_PERMISSIVE.decode(hex.expose_secret().as_bytes()).ok()?;
        let fits = (LEAST_BYTES..=BLOCK_BYTES).contains(&bytes.len());
        let secret = fits.then(|| {
            // Filled where it stays: no copy is left on the stack.
            let mut block = Box::new([0; BLOCK_BYTES]);
            block[..bytes.len()].copy_from_slice(&bytes);
            SecretBox::new(block)
        });
        bytes.zeroize();
        Some(Self { id, secret: secret? })
    }

    pub(crate) fn sign(&self, canonical: &[u8]) -> [u8; 32] {
        self.mac(canonical).finalize().into_bytes().into()
    }

    /// In constant time.
    pub(crate) fn verifies(&self, canonical: &[u8], signature: &[u8; 32]) -> bool {
        self.mac(canonical).verify_slice(signature).is_ok()
    }

    fn mac(&self, canonical: &[u8]) -> Hmac<Sha256> {
        let secret: &[u8; BLOCK_BYTES] = self.secret.expose_secret();
        Hmac::<Sha256>::new(secret.into()).chain_update(canonical)
    }
}

/// The keys: the first signs, each verifies.
#[derive(Debug)]
pub struct Keys(Vec<Key>);

/// Why a secret holds no keys. None quotes anything of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// Not the JSON that [`Keys::parse`] describes.
    #[error(
        "the heartbeat keys are not JSON such as {{\"keys\": [{{\"id\": \"2026-11\", \"secret\": \"<hex>\"}}]}}"
    )]
    Unreadable,
    /// None is there.
    #[error("there is no heartbeat key")]
    None,
    /// Its id is none. Keys are counted from 1.
    #[error("heartbeat key {0}: {InvalidKeyId}")]
    Id(usize),
    /// Its secret is none.
    #[error(
        "heartbeat key {0}: the secret has to be 32 to 64 bytes in hex, such as openssl rand -hex 32 prints"
    )]
    Secret(usize),
    /// An earlier one has the same id.
    #[error("heartbeat key {0} has the id of an earlier one")]
    Duplicate(usize),
}

impl Keys {
    /// `first` signs. Refused if two have the same id.
    pub fn new(first: Key, others: Vec<Key>) -> Result<Self, InvalidKeys> {
        let mut keys = vec![first];
        for key in others {
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(InvalidKeys::Duplicate(keys.len() + 1));
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }

    /// Reads `{"keys": [{"id": "2026-11", "secret": "<hex>"}, …]}`, the newest first; whatever else is there is left aside.
    pub fn parse(text: &SecretString) -> Result<Self, InvalidKeys> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            id: String,
            secret: SecretString,
        }
        // serde's own message may quote the value it stumbled over, which here is a secret: it is not passed on.
        let document: Document =
            serde_json::from_str(text.expose_secret()).map_err(|_| InvalidKeys::Unreadable)?;
        let key = |(index, entry): (usize, Entry)| {
            let id = KeyId::try_from(entry.id).map_err(|InvalidKeyId| InvalidKeys::Id(index + 1))?;
            Key::new(id, &entry.secret).ok_or(InvalidKeys::Secret(index + 1))
        };
        let mut keys =
            document.keys.into_iter().enumerate().map(key).collect::<Result<Vec<_>, _>>()?.into_iter();
        Self::new(keys.next().ok_or(InvalidKeys::None)?, keys.collect())
    }

    /// The one that signs.
    pub(crate) fn newest(&self) -> &Key {
        // There is always a first: see `new`.
        &self.0[0]
    }

    pub(crate) fn get(&self, id: &KeyId) -> Option<&Key> {
        self.0.iter().find(|key| key.id == *id)
    }
}
