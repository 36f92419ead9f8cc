//! What is remembered of each database's heartbeats: `heartbeats/rds/orders.json`.
//!
//! The database cannot tell that it was set back: only who remembers what was once committed can. Losing a document costs that
//! comparison once, and what was to be told for the rest of a day.

use domain::{Finding, ResourceId};
use heartbeat::Mark;
use jiff::{SignedDuration, Timestamp};
use reconcile::{Documents, Error, Result};
use serde::{Deserialize, Serialize};

/// The newest heartbeat is written down this often, and not every minute: a document costs as much as the heartbeat's minute.
/// A few seconds less than five minutes, because wakes come early or late.
const EACH: SignedDuration = SignedDuration::from_secs(290);

/// What happens once is told for so long.
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What is remembered of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// The newest heartbeat that was committed, or one of the last five minutes.
    pub(crate) newest: Option<Mark>,
    /// Since when it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missed_since: Option<Timestamp>,
    /// What is told for a day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    told: Vec<Told>,
}

/// What is told although it may be over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    until: Timestamp,
    finding: Finding,
}

/// The memory as a pass found it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Its version, which the next one replaces.
    version: Option<String>,
    /// What stands in it.
    stored: Memory,
    /// As far as that can have been.
    pub(crate) memory: Memory,
}

fn name(resource: &ResourceId) -> String {
    format!("heartbeats/{resource}.json")
}

impl Found {
    pub(crate) async fn read(
        documents: &impl Documents,
        resource: &ResourceId,
        now: Timestamp,
    ) -> Result<Self> {
        let name = name(resource);
        let Some(document) = documents.read(&name).await? else { return Ok(Self::default()) };
        let memory = serde_json::from_str::<Memory>(&document.text)
            .inspect_err(|error| tracing::warn!("document {name} cannot be read and is replaced: {error}"));
        let stored = memory.unwrap_or_default();
        Ok(Self { version: Some(document.version), memory: stored.clone().believed(now), stored })
    }

    /// Writes `next` in its place, if that says anything new. Another pass that wrote meanwhile wrote as much.
    pub(crate) async fn replace(
        &mut self,
        documents: &impl Documents,
        resource: &ResourceId,
        next: Memory,
    ) -> Result<()> {
        if next == self.stored {
            return Ok(());
        }
        let text = serde_json::to_string(&next)
            .map_err(|error| Error::permanent("MemoryUnwritable", error.to_string()))?;
        if let Some(version) = documents.write(&name(resource), &text, self.version.as_deref()).await? {
            *self = Self { version: Some(version), stored: next.clone(), memory: next };
        }
        Ok(())
    }
}

impl Memory {
    /// Without instants that cannot have been.
    fn believed(mut self, now: Timestamp) -> Self {
        self.missed_since = self.missed_since.map(|since| since.min(now));
        let latest = day_after(now);
        for told in &mut self.told {
            told.until = told.until.min(latest);
        }
        self
    }

    /// What is to be told still.
    pub(crate) fn told(&self, now: Timestamp) -> impl Iterator<Item = &Finding> {
        self.told.iter().filter(move |told| told.until > now).map(|told| &told.finding)
    }

    /// As it is once `found` is to be told for a day from now on.
    pub(crate) fn telling(&self, found: &[Finding], now: Timestamp) -> Self {
        Self { told: self.still_told(found, now), ..self.clone() }
    }

    /// As it is once a heartbeat was committed, by this pass or another.
    pub(crate) fn after(&self, newest: Option<Mark>, now: Timestamp) -> Self {
        let due = |newest: &Mark| {
            self.newest.is_none_or(|before| {
                newest.number <= before.number || newest.at.duration_since(before.at) >= EACH
            })
        };
        Self {
            newest: newest.filter(due).or(self.newest),
            missed_since: None,
            told: self.still_told(&[], now),
        }
    }

    /// As it is while none is taken.
    pub(crate) fn missed(&self, now: Timestamp) -> Self {
        let missed_since = Some(self.missed_since.unwrap_or(now));
        Self { missed_since, told: self.still_told(&[], now), ..self.clone() }
    }

    fn still_told(&self, found: &[Finding], now: Timestamp) -> Vec<Told> {
        let until = day_after(now);
        let mut told: Vec<Told> =
            found.iter().map(|finding| Told { until, finding: finding.clone() }).collect();
        for earlier in self.told.iter().filter(|earlier| earlier.until > now) {
            match told.iter_mut().find(|told| told.finding.key() == earlier.finding.key()) {
                Some(told) => {
                    told.finding.since = told.finding.since.min(earlier.finding.since);
                    // The same again: not worth a document in each minute.
                    if told.finding == earlier.finding && until.duration_since(earlier.until) < EACH {
                        told.until = earlier.until;
                    }
                }
                None => told.push(earlier.clone()),
            }
        }
        told
    }
}

fn day_after(now: Timestamp) -> Timestamp {
    now.checked_add(TOLD_FOR).unwrap_or(Timestamp::MAX)
}
