//! Work in progress: one small document for each resource, replaced as it goes on. All of it can be lost: then the work begins
//! anew.

use std::collections::BTreeMap;

use domain::{RecoveryPointId, ResourceId, Slot};
use jiff::Timestamp;
use reconcile::{Documents, Error, Result};
use redis::content::Checker;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vault::Digests;

/// A recovery point on its way into the vault. Public only as far as the actions are that carry it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Intake {
    pub(crate) id: RecoveryPointId,
    pub(crate) resource: ResourceId,
    pub(crate) incarnation: String,
    pub(crate) slot: Timestamp,
    pub(crate) plan: String,
    /// When the work on it began.
    pub(crate) requested_at: Timestamp,
    /// As of when the snapshot holds the data, by ElastiCache's word.
    #[serde(default)]
    pub(crate) taken_at: Option<Timestamp>,
    /// What the manifest will say of the source.
    #[serde(default)]
    pub(crate) source: Map<String, Value>,
    #[serde(default)]
    pub(crate) export: Option<Export>,
    /// The files that belong to it, by their names in the vault.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, File>,
    /// Of an archive: what its files are.
    #[serde(default)]
    pub(crate) directory: Option<Directory>,
}

/// An export that ElastiCache was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Export {
    /// When first.
    pub(crate) begun: Timestamp,
    /// When ElastiCache last said that it begins; `None` while it is not known to have been asked.
    #[serde(default)]
    pub(crate) asked: Option<Timestamp>,
    /// When ElastiCache was last seen to be at it.
    #[serde(default)]
    pub(crate) busy: Option<Timestamp>,
}

/// Which files of an archive belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Directory {
    /// The name of the archive's manifest.
    pub(crate) manifest_name: String,
    /// Its text, without the files that a rewrite has made useless.
    pub(crate) manifest: String,
    /// Which of the files is the base.
    pub(crate) base: String,
    /// And which are the increments, oldest first.
    pub(crate) increments: Vec<String>,
    /// How often the files were chosen: the archive may change while they are copied.
    pub(crate) chosen: u32,
}

/// A file that is to be in the vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct File {
    /// Where it comes from.
    pub(crate) key: String,
    pub(crate) etag: String,
    pub(crate) bytes: u64,
    /// What was read of it in the vault.
    #[serde(default)]
    pub(crate) read: Option<Read>,
}

/// How far a file was read back from the vault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Read {
    /// The entity tag in the vault of what was read.
    pub(crate) etag: String,
    pub(crate) digests: Digests,
    pub(crate) checker: Checker,
}

impl Intake {
    /// Work that was not begun: on that recovery point of a resource, of which incarnation, and under which plan.
    pub(crate) fn new(
        id: &RecoveryPointId,
        resource: &ResourceId,
        (incarnation, plan): (&str, &str),
        slot: Slot,
        requested_at: Timestamp,
    ) -> Self {
        Self {
            id: id.clone(),
            resource: resource.clone(),
            incarnation: incarnation.to_owned(),
            slot: slot.instant(),
            plan: plan.to_owned(),
            requested_at,
            taken_at: None,
            source: Map::new(),
            export: None,
            files: BTreeMap::new(),
            directory: None,
        }
    }

    pub(crate) fn slot(&self) -> Slot {
        Slot::at(self.slot)
    }
}

/// The document of an intake, as this invocation has it.
pub(crate) struct Desk<'d, D> {
    documents: &'d D,
    pub(crate) intake: Intake,
    version: Option<String>,
}

/// Another invocation works on the same recovery point: it goes on, this one does not.
pub(crate) const LEFT_TO_ANOTHER: &str = "LeftToAnother";

impl<'d, D: Documents> Desk<'d, D> {
    pub(crate) fn new(documents: &'d D, intake: Intake, version: Option<String>) -> Self {
        Self { documents, intake, version }
    }

    /// Writes down how far the work has come.
    pub(crate) async fn save(&mut self) -> Result<()> {
        let name = document_name(&self.intake.resource);
        let text = serde_json::to_string(&self.intake)
            .map_err(|error| Error::permanent("IntakeUnwritable", error.to_string()))?;
        match self.documents.write(&name, &text, self.version.as_deref()).await? {
            Some(version) => {
                self.version = Some(version);
                Ok(())
            }
            None => Err(Error::retryable(
                LEFT_TO_ANOTHER,
                format!("another invocation has written document {name}; it goes on with {}", self.intake.id),
            )),
        }
    }
}

pub(crate) fn document_name(resource: &ResourceId) -> String {
    format!("intake/{resource}.json")
}

/// A resource's intake and the version of its document. One that cannot be read any more is work that begins anew.
pub(crate) async fn read(
    documents: &impl Documents,
    resource: &ResourceId,
) -> Result<(Option<Intake>, Option<String>)> {
    let Some(document) = documents.read(&document_name(resource)).await? else { return Ok((None, None)) };
    let intake = serde_json::from_str::<Intake>(&document.text).ok();
    Ok((intake.filter(|intake| intake.resource == *resource), Some(document.version)))
}
