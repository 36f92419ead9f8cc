use std::collections::BTreeMap;

use domain::{RecoveryPointId, ResourceId, retention::Region};
use jiff::Timestamp;
use reconcile::{Document, Documents, Error, Result};
use serde::{Deserialize, Serialize};

/// Where it stands.
const LOCKS: &str = "retention/locks.json";

/// How often a change is tried, when another pass changes it at the same time.
const TRIES: usize = 8;

/// Until when recovery points were locked. It saves looking at the lock of every object in every pass, and is no evidence: if it
/// is lost, each is looked at once more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Locks {
    /// By recovery point, at home and in the recovery Region.
    #[serde(default)]
    points: BTreeMap<String, [Option<Seen>; 2]>,
}

/// Until when all of a recovery point was seen to be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    until: Timestamp,
    /// When the newest of its objects was written: one that came later was not seen.
    made_at: Timestamp,
}

/// A lock that was looked at, or extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Locked {
    pub(crate) id: RecoveryPointId,
    pub(crate) region: Region,
    pub(crate) made_at: Timestamp,
    pub(crate) until: Timestamp,
}

/// The recovery point of a lock, as it stands in the document.
fn key(resource: &ResourceId, id: &RecoveryPointId) -> String {
    format!("{resource}/{id}")
}

impl Locks {
    /// As it stands; nothing if it is not there, or cannot be read.
    pub(crate) async fn read(documents: &impl Documents) -> Result<Self> {
        Ok(Self::of(documents.read(LOCKS).await?.as_ref()))
    }

    fn of(document: Option<&Document>) -> Self {
        document.and_then(|document| serde_json::from_str(&document.text).ok()).unwrap_or_default()
    }

    /// Until when it was locked there, with all that it has now.
    pub(crate) fn until(
        &self,
        resource: &ResourceId,
        id: &RecoveryPointId,
        region: Region,
        made_at: Timestamp,
    ) -> Option<Timestamp> {
        let seen = self.points.get(&key(resource, id))?[region as usize]?;
        (seen.made_at >= made_at).then_some(seen.until)
    }

    /// Writes down what was seen of one resource, and keeps what others wrote. What has ended is forgotten: it says nothing more.
    pub(crate) async fn put(
        documents: &impl Documents,
        resource: &ResourceId,
        locked: &[Locked],
        now: Timestamp,
    ) -> Result<()> {
        for _ in 0..TRIES {
            let document = documents.read(LOCKS).await?;
            let mut locks = Self::of(document.as_ref());
            for Locked { id, region, made_at, until } in locked {
                let points = locks.points.entry(key(resource, id)).or_default();
                points[*region as usize] = Some(Seen { until: *until, made_at: *made_at });
            }
            locks.points.retain(|_, seen| seen.iter().flatten().any(|seen| seen.until > now));
            let text = serde_json::to_string(&locks)
                .map_err(|error| Error::permanent("DocumentUnwritable", error.to_string()))?;
            let version = document.as_ref().map(|document| document.version.as_str());
            if documents.write(LOCKS, &text, version).await?.is_some() {
                return Ok(());
            }
        }
        Err(Error::retryable("DocumentContended", format!("others change {LOCKS} at the same time")))
    }
}
