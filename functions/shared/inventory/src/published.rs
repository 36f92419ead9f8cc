use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use reconcile::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};
use vault::{Object, Store};

use crate::{RetentionPlan, agreement::VERSION};

/// Below which the retention plans of a home Region are. The vault of the recovery Region has replicas of them; a deployment that
/// has its home there does not take them for its own.
fn plans(region: &str) -> String {
    format!("retention/{region}/plans/")
}

/// How long after midnight (UTC) a day's plan is due.
const DUE: SignedDuration = SignedDuration::from_mins(330);

/// Below which acknowledgements are.
fn acknowledgements(region: &str) -> String {
    format!("retention/{region}/acknowledged/")
}

/// How much of a plan is read with one call.
const READ_BYTES: u64 = 8 << 20;

/// A retention plan as it stands in the vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What is decided.
    pub plan: RetentionPlan,
    /// What stands for it: the SHA-256 of its text, in hex.
    pub hash: String,
}

/// The document: the hash is that of the plan's text, byte for byte.
#[derive(Serialize, Deserialize)]
struct Document<'d> {
    hash: &'d str,
    #[serde(borrow)]
    plan: &'d RawValue,
}

impl Published {
    /// To be published.
    pub fn new(plan: RetentionPlan) -> Result<Self> {
        let hash = hash(&to_raw_value(&plan).map_err(unwritable)?);
        Ok(Self { plan, hash })
    }

    /// The document.
    pub fn to_json(&self) -> Result<String> {
        let plan = to_raw_value(&self.plan).map_err(unwritable)?;
        serde_json::to_string(&Document { hash: &self.hash, plan: &plan }).map_err(unwritable)
    }

    /// The newest one, with as many calls as it takes.
    pub async fn newest(vault: &impl Store) -> Result<Option<Self>> {
        Ok(Self::newest_and_before(vault).await?.map(|(newest, _)| newest))
    }

    /// The newest one, and where the one before it is: which costs no further call, as reading it would.
    pub async fn newest_and_before(vault: &impl Store) -> Result<Option<(Self, Option<Object>)>> {
        let mut published = vault.list(&plans(vault.region())).await?;
        let Some(newest) = published.pop() else { return Ok(None) };
        Ok(Some((Self::read(vault, &newest).await?, published.pop())))
    }

    /// Reads the one that is there.
    pub async fn read(vault: &impl Store, object: &Object) -> Result<Self> {
        Self::parse(&object.key, &read(vault, object).await?)
    }

    /// Reads a document. One whose hash is of something else is refused.
    pub fn parse(key: &str, text: &[u8]) -> Result<Self> {
        let unreadable = |why: &str| {
            Error::permanent("RetentionPlanUnreadable", format!("{key} holds no retention plan: {why}"))
        };
        let document: Document = serde_json::from_slice(text)
            .map_err(|error| unreadable("it is no JSON, or fields are missing").caused_by(error))?;
        let hash = hash(document.plan);
        if hash != document.hash {
            return Err(unreadable("its hash is of another one"));
        }
        let plan: RetentionPlan = serde_json::from_str(document.plan.get())
            .map_err(|error| unreadable("fields are missing").caused_by(error))?;
        if plan.version != VERSION {
            return Err(unreadable(&format!("its version is {}, and {VERSION} is understood", plan.version)));
        }
        Ok(Self { plan, hash })
    }

    /// Where it is published in the vault of that home Region: by its time, so that the last of the list is the newest.
    pub fn key(&self, region: &str) -> String {
        let at = self.plan.made_at.strftime("%Y-%m-%dT%H:%M:%SZ");
        format!("{}{at}-{}.json", plans(region), self.short_hash())
    }

    /// Its hash as it stands in names: enough of it to tell one from another.
    pub fn short_hash(&self) -> &str {
        short_hash(&self.hash)
    }

    /// Whether it was made since the last time that one was due, 05:30 UTC, after the night's backups; and of everything: what
    /// did not answer is decided about as soon as it does.
    pub fn is_of_the_day(&self, now: Timestamp) -> bool {
        let day = |instant: Timestamp| (instant - DUE).to_zoned(TimeZone::UTC).date();
        self.plan.undecided.is_empty() && day(self.plan.made_at) == day(now)
    }
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::permanent("RetentionPlanUnwritable", "a retention plan becomes no JSON: a mistake in Tidemark")
        .caused_by(error)
}

fn hash(plan: &RawValue) -> String {
    HEXLOWER.encode(&Sha256::digest(plan.get()))
}

async fn read(vault: &impl Store, object: &Object) -> Result<Bytes> {
    let mut text = BytesMut::new();
    let mut at = 0;
    while at < object.bytes {
        let until = object.bytes.min(at + READ_BYTES);
        text.extend_from_slice(&vault.read(&object.key, &object.etag, at..until).await?);
        at = until;
    }
    Ok(text.freeze())
}

/// A plan's hash as it stands in names.
pub fn short_hash(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// Where it stands that a person has read a plan.
pub fn acknowledgement_key(region: &str, hash: &str) -> String {
    format!("{}{hash}.json", acknowledgements(region))
}

/// Whether a person has ever read one: until then nothing is deleted.
pub async fn is_acknowledged(vault: &impl Store) -> Result<bool> {
    Ok(acknowledged_since(vault).await?.is_some())
}

/// Since when plans are acknowledged: when a person first said to have read one.
pub async fn acknowledged_since(vault: &impl Store) -> Result<Option<Timestamp>> {
    let acknowledged = vault.list(&acknowledgements(vault.region())).await?;
    Ok(acknowledged.iter().map(|object| object.modified).min())
}
