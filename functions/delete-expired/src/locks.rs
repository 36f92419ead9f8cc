use std::collections::BTreeMap;

use domain::{RecoveryPointId, ResourceId, retention::Region};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Document, Documents, Error, Result};
use serde::{Deserialize, Serialize};

use crate::overdue::PATIENCE;

/// Where it stands.
const LOCKS: &str = "retention/locks.json";

/// How often a change is tried, when another pass changes it at the same time.
const TRIES: usize = 8;

/// What stopped a deletion is forgotten after so long, and written anew when it is a third as old.
const STOPPED: SignedDuration = SignedDuration::from_hours(3 * 24);

/// Until when recovery points were locked, and what else stopped their deletion. It saves looking at the lock of every object in
/// every pass, and is no evidence: if it is lost, each is looked at once more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Locks {
    /// By recovery point, at home and in the recovery Region.
    #[serde(default)]
    points: BTreeMap<String, [Option<Seen>; 2]>,
    /// What stopped the last attempt to delete a recovery point that is overdue.
    #[serde(default)]
    stopped: BTreeMap<String, Stopped>,
}

/// What stopped an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stopped {
    at: Timestamp,
    why: String,
}

/// Until when all of a recovery point was seen to be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    until: Timestamp,
    /// When the newest of its objects was written: one that came later was not seen.
    made_at: Timestamp,
    /// It was met when the recovery point was to be deleted: no tier had asked for it.
    #[serde(default)]
    is_met: bool,
}

/// A lock that was looked at, or extended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Locked {
    pub(crate) id: RecoveryPointId,
    pub(crate) region: Region,
    pub(crate) made_at: Timestamp,
    pub(crate) until: Timestamp,
    /// Whether it was met, and not asked for.
    pub(crate) is_met: bool,
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
        self.seen(resource, id, region, made_at).map(|seen| seen.until)
    }

    /// Until when a tier asked for it to be locked there.
    pub(crate) fn asked_until(
        &self,
        resource: &ResourceId,
        id: &RecoveryPointId,
        region: Region,
        made_at: Timestamp,
    ) -> Option<Timestamp> {
        self.seen(resource, id, region, made_at).filter(|seen| !seen.is_met).map(|seen| seen.until)
    }

    fn seen(
        &self,
        resource: &ResourceId,
        id: &RecoveryPointId,
        region: Region,
        made_at: Timestamp,
    ) -> Option<Seen> {
        let seen = self.points.get(&key(resource, id))?[region as usize]?;
        (seen.made_at >= made_at).then_some(seen)
    }

    /// What stopped the last attempt to delete it, where that was not long ago.
    pub(crate) fn stopped_by(
        &self,
        resource: &ResourceId,
        id: &RecoveryPointId,
        now: Timestamp,
    ) -> Option<&str> {
        let stopped = self.stopped.get(&key(resource, id))?;
        (now.duration_since(stopped.at) < STOPPED).then_some(stopped.why.as_str())
    }

    /// Writes down what was seen of one resource.
    pub(crate) async fn put(
        documents: &impl Documents,
        resource: &ResourceId,
        locked: &[Locked],
        now: Timestamp,
    ) -> Result<()> {
        let put = |locks: &mut Self| {
            for Locked { id, region, made_at, until, is_met } in locked {
                let points = locks.points.entry(key(resource, id)).or_default();
                points[*region as usize] = Some(Seen { until: *until, made_at: *made_at, is_met: *is_met });
            }
            true
        };
        Self::change(documents, put, now).await
    }

    /// Writes down what stopped a deletion, unless that was written lately.
    pub(crate) async fn put_stopped(
        documents: &impl Documents,
        resource: &ResourceId,
        id: &RecoveryPointId,
        why: &str,
        now: Timestamp,
    ) -> Result<()> {
        let put = |locks: &mut Self| {
            let stopped = Stopped { at: now, why: why.to_owned() };
            let before = locks.stopped.insert(key(resource, id), stopped);
            before.is_none_or(|before| before.why != why || now.duration_since(before.at) > STOPPED / 3)
        };
        Self::change(documents, put, now).await
    }

    /// Changes the document, and keeps what others wrote, unless nothing is to be written. What has ended is forgotten: it says
    /// nothing more.
    async fn change(
        documents: &impl Documents,
        put: impl Fn(&mut Self) -> bool,
        now: Timestamp,
    ) -> Result<()> {
        for _ in 0..TRIES {
            let document = documents.read(LOCKS).await?;
            let mut locks = Self::of(document.as_ref());
            if !put(&mut locks) {
                return Ok(());
            }
            // What has ended still says for a while that nothing is late.
            locks.points.retain(|_, seen| seen.iter().flatten().any(|seen| seen.until + PATIENCE > now));
            locks.stopped.retain(|_, stopped| now.duration_since(stopped.at) < STOPPED);
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
