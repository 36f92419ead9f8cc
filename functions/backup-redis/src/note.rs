//! What is remembered of completed recovery points, because what it tells goes on: one document for all resources.

use std::collections::BTreeMap;

use domain::{RecoveryPointId, ResourceId};
use jiff::Timestamp;
use reconcile::{Documents, Error, Result};
use serde::{Deserialize, Serialize};

/// The document. Lost, findings end until the next recovery point says the same again.
pub(crate) const NOTES: &str = "notes/backup-redis.json";

/// What is noteworthy of a resource's newest recovery point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Note {
    pub(crate) id: RecoveryPointId,
    /// Files of it have no checksum.
    #[serde(default)]
    pub(crate) unchecked: bool,
    /// Of an archive: how far it reaches.
    #[serde(default)]
    pub(crate) archive: Option<Reach>,
}

/// How far an append-only archive reaches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reach {
    /// To the second, up to this one.
    To(Timestamp),
    /// Its commands bear no times: only to its end.
    Undated,
}

pub(crate) type Notes = BTreeMap<ResourceId, Note>;

/// Reads them. A document that cannot be read is replaced by the next note.
pub(crate) async fn read(documents: &impl Documents) -> Result<Notes> {
    let document = documents.read(NOTES).await?;
    Ok(document.and_then(|document| serde_json::from_str(&document.text).ok()).unwrap_or_default())
}

/// How often a note is tried, when others write theirs at the same time.
const TRIES: usize = 8;

/// Notes what is noteworthy of `resource`'s newest recovery point, or that nothing is (`None`).
pub(crate) async fn write(
    documents: &impl Documents,
    resource: &ResourceId,
    note: Option<Note>,
) -> Result<()> {
    for _ in 0..TRIES {
        let document = documents.read(NOTES).await?;
        let text = document.as_ref().map_or("", |document| document.text.as_str());
        let mut notes: Notes = serde_json::from_str(text).unwrap_or_default();
        if notes.get(resource) == note.as_ref() {
            return Ok(());
        }
        match &note {
            Some(note) => _ = notes.insert(resource.clone(), note.clone()),
            None => _ = notes.remove(resource),
        }
        let text = serde_json::to_string(&notes)
            .map_err(|error| Error::permanent("NotesUnwritable", error.to_string()))?;
        let version = document.map(|document| document.version);
        if documents.write(NOTES, &text, version.as_deref()).await?.is_some() {
            return Ok(());
        }
    }
    let text = format!("others write document {NOTES} at the same time; the next tick tries again");
    Err(Error::retryable("NotesContended", text))
}
