use std::collections::BTreeMap;

use domain::RecoveryPointId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault::StoredObject;

/// How a restore is carried out, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    pub(crate) make: Make,
    /// In which group.
    pub(crate) group: String,
    /// As of when the new database is, at the latest.
    pub(crate) as_of: Timestamp,
    /// The instant that was asked for, or at which "latest" was; `None` for a recovery point by name.
    pub(crate) wanted: Option<Timestamp>,
    /// How many databases were made for it that came to nothing.
    #[serde(default)]
    pub(crate) failures: u32,
    /// Whether Turso's answer to the request for the database was never heard, and one that fits was found instead: with all
    /// likelihood it is ours, and it is deleted under no circumstances.
    #[serde(default)]
    pub(crate) adopted: bool,
    pub(crate) stage: Stage,
}

/// How the new database comes by its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Make {
    /// As a branch of that database.
    Branch { of: String, of_id: String },
    /// From that object of the vault, which Region's it was found in.
    Upload { region: String, id: RecoveryPointId, prefix: String, object: StoredObject },
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub(crate) enum Stage {
    /// The name was free; nothing was asked for yet.
    Ordered,
    /// Turso is asked for the database; whether it heard that is not known.
    Asked,
    /// Turso made this database.
    Made { id: String, hostname: String },
    /// Somebody brings its content since then.
    Uploading { id: String, hostname: String, since: Timestamp },
    /// It has its content; what must be in it, by table.
    Uploaded { id: String, hostname: String, rows: BTreeMap<String, u64> },
}

impl Stage {
    /// The database that was made for it.
    pub(crate) fn made(&self) -> Option<(&str, &str)> {
        match self {
            Self::Ordered | Self::Asked => None,
            Self::Made { id, hostname }
            | Self::Uploading { id, hostname, .. }
            | Self::Uploaded { id, hostname, .. } => Some((id, hostname)),
        }
    }
}

impl Work {
    /// For answers and the ledger.
    pub(crate) fn detail(&self) -> Vec<(&'static str, Value)> {
        let mut detail = vec![("group", json!(self.group)), ("as_of", json!(self.as_of))];
        match &self.make {
            Make::Branch { of, of_id } => {
                detail.extend([("made", json!("branch")), ("branch_of", json!(format!("{of} ({of_id})")))]);
            }
            Make::Upload { id, .. } => {
                detail.extend([("made", json!("upload")), ("recovery_point", json!(id))]);
            }
        }
        if let Some(wanted) = self.wanted {
            let missing = wanted.duration_since(self.as_of).as_secs().max(0);
            detail.push(("missing_seconds", json!(missing)));
        }
        detail
    }
}
