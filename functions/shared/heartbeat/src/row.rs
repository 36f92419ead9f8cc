use std::{fmt::Display, str::FromStr};

use data_encoding::HEXLOWER;
use domain::ResourceId;
use jiff::Timestamp;

use crate::{Doubt, HIGHEST, Heartbeat, KeyId, Keys, heartbeat::Content};

/// A row as it stands in a database, in texts, whatever the engine: believed by nobody until it is verified.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Decimal, from 1 to 2^63 - 1.
    pub number: String,
    /// Decimal, from 0, lower than the number.
    pub follows: String,
    /// Milliseconds since 1970-01-01T00:00:00Z, decimal.
    pub at_ms: String,
    /// As [`ResourceId`] prints it.
    pub resource: String,
    /// As [`KeyId`] prints it.
    pub key_id: String,
    /// `v1:` and 64 digits of lower-case hex.
    pub signature: String,
}

/// What a signature begins with: the version of the text that it signs.
const VERSION: &str = "v1:";

impl From<&Heartbeat> for Row {
    fn from(heartbeat: &Heartbeat) -> Self {
        Self {
            number: heartbeat.number().to_string(),
            follows: heartbeat.follows().to_string(),
            at_ms: heartbeat.at().as_millisecond().to_string(),
            resource: heartbeat.resource().to_string(),
            key_id: heartbeat.key_id().to_string(),
            signature: format!("{VERSION}{}", HEXLOWER.encode(heartbeat.signature())),
        }
    }
}

impl Row {
    /// Its fields, in the order in which the statements of every engine take and give them.
    pub fn fields(&self) -> [&str; 6] {
        [&self.number, &self.follows, &self.at_ms, &self.resource, &self.key_id, &self.signature]
    }

    /// A row of those fields, in that order.
    pub fn of_fields([number, follows, at_ms, resource, key_id, signature]: [String; 6]) -> Self {
        Self { number, follows, at_ms, resource, key_id, signature }
    }

    /// The heartbeat that it is, of whichever resource, if it is one that a key of `keys` signed.
    pub fn verify(&self, keys: &Keys) -> Result<Heartbeat, Doubt> {
        let (content, key_id, signature) = self.read().ok_or(Doubt::Unreadable)?;
        let key = keys.get(&key_id).ok_or(Doubt::UnknownKey)?;
        content.verify(key, signature).ok_or(Doubt::WrongSignature)
    }

    /// Where it stands, whether or not it is intact. Of a stream's entry `7-1` that is after 7, and before 8.
    pub fn position(&self) -> Option<u64> {
        let (number, _) = self.number.split_once('-').unwrap_or((&self.number, ""));
        canonical(number)
    }

    fn read(&self) -> Option<(Content, KeyId, [u8; 32])> {
        let number = canonical(&self.number).filter(|number| (1..=HIGHEST).contains(number))?;
        let follows = canonical(&self.follows).filter(|follows| *follows < number)?;
        let at = Timestamp::from_millisecond(canonical(&self.at_ms)?).ok()?;
        let resource = ResourceId::try_from(self.resource.clone()).ok()?;
        let key_id = KeyId::try_from(self.key_id.clone()).ok()?;
        let signature = HEXLOWER.decode(self.signature.strip_prefix(VERSION)?.as_bytes()).ok()?;
        Some((Content { number, follows, at, resource }, key_id, signature.try_into().ok()?))
    }
}

/// A number that is written as it prints: `007`, `+7` and `-0` are none, so that no two texts are the same row.
fn canonical<T: FromStr + Display>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}
