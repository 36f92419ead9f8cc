use std::collections::BTreeMap;

use domain::RecoveryPointId;
use jiff::Timestamp;
use reconcile::{Document, Documents, Error, Result};
use serde::{Deserialize, Serialize};

/// Where it stands.
pub const CURRENT: &str = "turso/current.json";

/// How often a change is tried, when others change it at the same time.
const TRIES: usize = 8;

/// Which recovery points still hold what their databases hold, because nothing was written since: by database.
///
/// It saves copies of what did not change, and is no evidence: if it is lost, the next slot is copied anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Current {
    /// By the database's name.
    #[serde(default)]
    pub databases: BTreeMap<String, CurrentPoint>,
}

/// The newest recovery point of a database, and until when it is known to hold all that the database holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentPoint {
    /// The provider's own id of the database: another one of the same name is not meant.
    pub incarnation: String,
    /// The recovery point.
    pub id: RecoveryPointId,
    /// The generation that it was taken in.
    pub generation: u64,
    /// The last frame of that generation in it.
    pub frame: u64,
    /// When it was last seen that nothing was written since. So much is not lost, whatever the recovery point's own age.
    pub current_as_of: Timestamp,
}

impl Current {
    /// As it stands; nothing if it is not there, or cannot be read.
    pub async fn read(documents: &impl Documents) -> Result<Self> {
        Ok(Self::of(documents.read(CURRENT).await?.as_ref()))
    }

    fn of(document: Option<&Document>) -> Self {
        document.and_then(|document| serde_json::from_str(&document.text).ok()).unwrap_or_default()
    }

    /// Says of one database which point is current, and keeps what others say of theirs.
    pub async fn put(documents: &impl Documents, database: &str, point: &CurrentPoint) -> Result<()> {
        for _ in 0..TRIES {
            let document = documents.read(CURRENT).await?;
            let mut current = Self::of(document.as_ref());
            // A pass that looked earlier must not undo what one that looked later has said.
            let newer = |there: &CurrentPoint| there.current_as_of > point.current_as_of;
            if current.databases.get(database).is_some_and(newer) {
                return Ok(());
            }
            current.databases.insert(database.to_owned(), point.clone());
            let text = serde_json::to_string(&current)
                .map_err(|error| Error::permanent("DocumentUnwritable", error.to_string()))?;
            let version = document.as_ref().map(|document| document.version.as_str());
            if documents.write(CURRENT, &text, version).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::retryable("DocumentContended", format!("others change {CURRENT} at the same time")))
    }
}
