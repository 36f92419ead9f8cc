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
use serde::{Deserialize, Serialize};
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
        let name = document(resource);
        let Some(found) = documents.read(&name).await? else { return Ok(None) };
        let record = serde_json::from_str(&found.text).map_err(|error| {
            Error::permanent(
                "DrillsUnreadable",
                format!(
                    "document {name} of the state bucket is none about drills that this version reads; look at what is tagged \
                     with a drill, then delete the document"
                ),
            )
            .caused_by(error)
        })?;
        Ok(Some(Self { resource: resource.clone(), record, version: Some(found.version) }))
    }

    /// Writes it down. If somebody else did meanwhile, nothing is changed and this invocation stops.
    pub(crate) async fn save(&mut self, documents: &impl Documents) -> Result<()> {
        let past = &mut self.record.history.past;
        let too_many = past.len().saturating_sub(REMEMBERED);
        past.drain(..too_many);
        let name = document(&self.resource);
        let text = serde_json::to_string(&self.record)
            .map_err(|error| Error::permanent("DrillsUnwritable", error.to_string()))?;
        match documents.write(&name, &text, self.version.as_deref()).await? {
            Some(version) => {
                self.version = Some(version);
                Ok(())
            }
            None => Err(Error::retryable(
                "DrillContended",
                format!(
                    "another invocation works on the drills of {}; the next tick looks again",
                    self.resource
                ),
            )),
        }
    }
}
