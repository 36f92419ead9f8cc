//! What is remembered of the drills of one resource: one document each, so that there is one drill of it at a time, whoever asks.

use domain::{
    ResourceId,
    drill::{
        Way,
        history::{History, document},
    },
};
use jiff::Timestamp;
use reconcile::{Documents, Error, Result};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::drill::Drill;

/// So many drills are remembered: five years of them.
const REMEMBERED: usize = 60;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Since when the resource is known to be protected.
    pub(crate) since: Timestamp,
    /// A drill that somebody asked for, and that was not begun yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<Wanted>,
    /// The drill under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) under_way: Option<Drill>,
    /// The first state, of those that drills restored, that had heartbeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) heartbeats_since: Option<Timestamp>,
    /// What the checks of the last drill left for those of the next.
    #[serde(default)]
    pub(crate) known: Value,
    /// Those before it.
    #[serde(flatten)]
    pub(crate) history: History,
}

/// A drill that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// When.
    pub(crate) at: Timestamp,
    /// From what; chosen as always if nobody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) way: Option<Way>,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Whose it is.
    pub(crate) resource: ResourceId,
    pub(crate) record: Record,
    /// Which version of the document; `None` where there is none.
    pub(crate) version: Option<String>,
}

impl Kept {
    /// Where nothing is remembered yet.
    pub(crate) fn new(resource: &ResourceId, since: Timestamp) -> Self {
        let record = Record {
            since,
            wanted: None,
            under_way: None,
            heartbeats_since: None,
            known: Value::Null,
            history: History::default(),
        };
        Self { resource: resource.clone(), record, version: None }
    }

    /// Reads what is remembered.
    pub(crate) async fn read(documents: &impl Documents, resource: &ResourceId) -> Result<Option<Self>> {
        let found = read(documents, &document(resource)).await?;
        Ok(found.map(|(record, version)| Self { resource: resource.clone(), record, version: Some(version) }))
    }

    /// Writes it down. If somebody else did meanwhile, nothing is changed and this invocation stops.
    pub(crate) async fn save(&mut self, documents: &impl Documents) -> Result<()> {
        forget(&mut self.record.history.past);
        write(documents, &document(&self.resource), &self.record, &mut self.version).await
    }
}

/// What the document of that name holds, and which version of it that is.
pub(crate) async fn read<T: DeserializeOwned>(
    documents: &impl Documents,
    name: &str,
) -> Result<Option<(T, String)>> {
    let Some(found) = documents.read(name).await? else { return Ok(None) };
    let held = serde_json::from_str(&found.text).map_err(|error| {
        let says = format!(
            "document {name} of the state bucket is none about drills that this version reads; look at what is tagged with a drill, \
             then delete the document"
        );
        Error::permanent("DrillsUnreadable", says).caused_by(error)
    })?;
    Ok(Some((held, found.version)))
}

/// Writes a document in the place of `version`, which then is the new one's. If somebody else wrote meanwhile, nothing is changed and
/// this invocation stops.
pub(crate) async fn write<T: Serialize>(
    documents: &impl Documents,
    name: &str,
    held: &T,
    version: &mut Option<String>,
) -> Result<()> {
    let text = serde_json::to_string(held)
        .map_err(|error| Error::permanent("DrillsUnwritable", error.to_string()))?;
    match documents.write(name, &text, version.as_deref()).await? {
        Some(written) => {
            *version = Some(written);
            Ok(())
        }
        None => Err(Error::retryable(
            "DrillContended",
            format!("another invocation works on the drills of {name}; the next tick looks again"),
        )),
    }
}

/// Drops all but the last that are remembered.
pub(crate) fn forget<T>(past: &mut Vec<T>) {
    let too_many = past.len().saturating_sub(REMEMBERED);
    past.drain(..too_many);
}
