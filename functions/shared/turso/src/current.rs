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
    /// Of databases that were made anew under their names: the last ones of those that bore the names before, by their ids. They
    /// say which of them this deployment has backed up, as long as branches are left of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub earlier: BTreeMap<String, CurrentPoint>,
}

/// How many earlier ones are remembered, so that a database that is made anew each hour does not let the document grow.
const EARLIER: usize = 200;

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

    /// The last recovery point of that very database, as this deployment knows it: by its name and id.
    pub fn of_incarnation(&self, name: &str, id: &str) -> Option<&CurrentPoint> {
        let current = self.databases.get(name).filter(|current| current.incarnation == id);
        current.or_else(|| self.earlier.get(id))
    }

    fn insert(&mut self, database: &str, point: &CurrentPoint) {
        self.earlier.remove(&point.incarnation);
        let before = self.databases.insert(database.to_owned(), point.clone());
        if let Some(before) = before.filter(|before| before.incarnation != point.incarnation) {
            self.earlier.insert(before.incarnation.clone(), before);
        }
        while self.earlier.len() > EARLIER {
            let oldest = self.earlier.iter().min_by_key(|(_, point)| point.current_as_of);
            let Some(oldest) = oldest.map(|(id, _)| id.clone()) else { break };
            self.earlier.remove(&oldest);
        }
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
            current.insert(database, point);
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

#[cfg(test)]
mod tests {
    use domain::Slot;
    use jiff::SignedDuration;

    use super::*;

    fn point(incarnation: &str, hours: i64) -> CurrentPoint {
        let at = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        let id = RecoveryPointId::new("orders", incarnation, Slot::at(at), 1);
        let incarnation = incarnation.to_owned();
        CurrentPoint { incarnation, id, generation: 1, frame: 1, current_as_of: at }
    }

    #[test]
    fn those_that_bore_the_name_before_are_remembered_and_not_without_end() {
        let mut current = Current::default();
        for number in 0..500 {
            current.insert("orders", &point(&format!("id-{number}"), number));
        }
        assert_eq!(current.databases["orders"], point("id-499", 499));
        assert_eq!(current.earlier.len(), EARLIER);
        let known = |id: &str| current.of_incarnation("orders", id).is_some();
        assert!(known("id-499") && known("id-498") && known("id-299") && !known("id-298"));
        current.insert("orders", &point("id-499", 600));
        assert_eq!(current.earlier.len(), EARLIER, "the same one again is no other");
        let text = serde_json::to_string(&Current { earlier: BTreeMap::new(), ..current }).unwrap();
        assert!(!text.contains("earlier"), "as versions before this one wrote it: {text}");
    }
}
