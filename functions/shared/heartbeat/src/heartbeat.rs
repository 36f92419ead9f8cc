use domain::ResourceId;
use jiff::Timestamp;

use crate::{Key, KeyId, Mark};

/// A heartbeat whose signature is right: one that [`crate::next`] has made, or a row that was verified.
///
/// What is signed is this text, UTF-8, without a line feed at the end:
///
/// ```text
/// tidemark-heartbeat/1
/// <number>
/// <follows>
/// <at, in milliseconds since 1970-01-01T00:00:00Z>
/// <key id>
/// <resource>
/// ```
///
/// The numbers are decimal, without leading zeros or `+`, and a key's id has no line feed. The resource comes last, so that
/// whatever its name consists of, no two heartbeats have the same text. The first line is the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    number: u64,
    follows: u64,
    at: Timestamp,
    resource: ResourceId,
    key_id: KeyId,
    signature: [u8; 32],
}

/// What a signature is about.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) number: u64,
    pub(crate) follows: u64,
    /// In whole milliseconds.
    pub(crate) at: Timestamp,
    pub(crate) resource: ResourceId,
}

impl Content {
    pub(crate) fn canonical(&self, key_id: &KeyId) -> String {
        let Self { number, follows, at, resource } = self;
        let at_ms = at.as_millisecond();
        format!("tidemark-heartbeat/1\n{number}\n{follows}\n{at_ms}\n{key_id}\n{resource}")
    }

    pub(crate) fn sign(self, key: &Key) -> Heartbeat {
        let signature = key.sign(self.canonical(&key.id).as_bytes());
        self.signed(key.id.clone(), signature)
    }

    /// `None` if the signature is another's or of something else.
    pub(crate) fn verify(self, key: &Key, signature: [u8; 32]) -> Option<Heartbeat> {
        let is_right = key.verifies(self.canonical(&key.id).as_bytes(), &signature);
        is_right.then(|| self.signed(key.id.clone(), signature))
    }

    fn signed(self, key_id: KeyId, signature: [u8; 32]) -> Heartbeat {
        let Self { number, follows, at, resource } = self;
        Heartbeat { number, follows, at, resource, key_id, signature }
    }
}

impl Heartbeat {
    /// Which: from 1, each higher than every one before it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The number of the newest intact heartbeat that its writer found. 0: there was none, a chain begins here.
    pub fn follows(&self) -> u64 {
        self.follows
    }

    /// When it was made, by its writer's clock, in whole milliseconds.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Whose it is.
    pub fn resource(&self) -> &ResourceId {
        &self.resource
    }

    /// Which key signed it.
    pub fn key_id(&self) -> &KeyId {
        &self.key_id
    }

    /// HMAC-SHA256 of its canonical form.
    pub fn signature(&self) -> &[u8; 32] {
        &self.signature
    }

    /// Its number and its time.
    pub fn mark(&self) -> Mark {
        Mark { number: self.number, at: self.at }
    }
}
