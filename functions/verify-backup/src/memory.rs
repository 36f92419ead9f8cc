//! What is remembered from run to run: when each recovery point was last looked at, and how far one is that is half read.
//!
//! Losing it costs that all is verified anew; no data, and no finding for long.

use std::collections::BTreeMap;

use domain::{RecoveryPointId, ResourceId, retention::Region};
use inventory::{Inventory, Lineage};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Documents, Error, Result};
use redis::content::Checker;
use serde::{Deserialize, Serialize};
use vault::ReadBack;

/// The document.
pub(crate) const MEMORY: &str = "verify/memory.json";

/// The shape.
const VERSION: u32 = 1;

/// What is remembered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Memory {
    version: u32,
    /// Since when it is remembered: nothing is late that nobody can have remembered for so long.
    pub(crate) since: Timestamp,
    /// By resource and what a recovery point's name has that its resource's has not: the last look in each Region.
    #[serde(default)]
    looked: BTreeMap<ResourceId, BTreeMap<String, [Look; 2]>>,
    /// By lineage: when a newest recovery point was last opened, and one that was drawn by lot.
    #[serde(default)]
    opened: BTreeMap<ResourceId, BTreeMap<String, [Look; 2]>>,
    /// What is half read.
    #[serde(default)]
    reading: BTreeMap<String, Progress>,
}

/// A look: the second of Unix time, below zero if what was seen was damaged; 0 if there was none. Two of them for each of
/// 100,000 recovery points are one document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Look(i64);

/// Where something is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) resource: ResourceId,
    pub(crate) id: RecoveryPointId,
    pub(crate) region: Region,
}

/// Why a recovery point is opened, and not only its bytes compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Sample {
    /// It is its lineage's newest.
    Newest,
    /// The week's lot fell on it.
    ByLot,
    /// A person asks for it, or it is marked as damaged inside.
    Wanted,
}

/// How far one is that is half read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Which of the manifest's objects is next, or being read.
    pub(crate) object: usize,
    /// The bytes of those before.
    pub(crate) bytes: u64,
    /// How far that one is.
    pub(crate) reading: Option<ReadBack>,
    /// Of one that is opened: why, and what was seen of each object.
    pub(crate) sample: Option<Sample>,
    pub(crate) checked: BTreeMap<String, Checker>,
    /// How long it was worked on in all.
    pub(crate) spent_ms: i64,
}

/// One change of what is remembered.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// It was looked at, to its end.
    Looked(Place, Look),
    /// It was opened.
    Opened(Lineage, Sample, Timestamp),
    /// It is half read.
    Reading(Place, Box<Progress>),
}

impl Look {
    pub(crate) fn new(at: Timestamp, is_whole: bool) -> Self {
        Self(if is_whole { at.as_second() } else { -at.as_second() })
    }

    pub(crate) fn at(self) -> Option<Timestamp> {
        (self.0 != 0).then(|| Timestamp::from_second(self.0.abs()).ok()).flatten()
    }

    /// When it was, if what was seen was whole.
    pub(crate) fn whole_at(self) -> Option<Timestamp> {
        self.at().filter(|_| self.0 > 0)
    }

    /// Without what cannot have been: from a wrong clock.
    fn believed(self, now: Timestamp) -> Self {
        let latest = now + SignedDuration::from_hours(1);
        if self.at().is_some_and(|at| at <= latest) { self } else { Self::default() }
    }
}

/// What a recovery point's name has that its resource's has not: the slot, the mark and the attempt.
fn short(resource: &ResourceId, id: &RecoveryPointId) -> String {
    let own = id.as_str().strip_prefix(RecoveryPointId::PREFIX);
    let own = own.and_then(|own| own.strip_prefix(resource.name.to_lowercase().as_str()));
    own.and_then(|own| own.strip_prefix('-')).unwrap_or(id.as_str()).to_owned()
}

impl Place {
    fn key(&self) -> String {
        let region = match self.region {
            Region::Home => "home",
            Region::Recovery => "recovery",
        };
        format!("{}/{}/{region}", self.resource, self.id)
    }
}

impl Memory {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            version: VERSION,
            since: now,
            looked: BTreeMap::new(),
            opened: BTreeMap::new(),
            reading: BTreeMap::new(),
        }
    }

    /// The last look at what a Region has of it.
    pub(crate) fn look(&self, place: &Place) -> Look {
        let looks = self.looked.get(&place.resource);
        looks
            .and_then(|looks| looks.get(&short(&place.resource, &place.id)))
            .map_or_else(Look::default, |looks| looks[place.region as usize])
    }

    /// When a recovery point of the lineage was last opened for that reason.
    pub(crate) fn opened(&self, lineage: &Lineage, sample: Sample) -> Option<Timestamp> {
        let at = self.opened.get(&lineage.resource)?.get(&lineage.mark)?;
        at.get(sample as usize)?.at()
    }

    /// How far it is, if it is half read.
    pub(crate) fn progress(&self, place: &Place) -> Option<&Progress> {
        self.reading.get(&place.key())
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Looked(place, look) => {
                self.reading.remove(&place.key());
                let looks = self.looked.entry(place.resource.clone()).or_default();
                let looks = looks.entry(short(&place.resource, &place.id)).or_default();
                looks[place.region as usize] = *look;
            }
            Change::Opened(lineage, sample, at) => {
                let opened = self.opened.entry(lineage.resource.clone()).or_default();
                if let Some(look) = opened.entry(lineage.mark.clone()).or_default().get_mut(*sample as usize)
                {
                    *look = Look::new(*at, true);
                }
            }
            Change::Reading(place, progress) => {
                self.reading.insert(place.key(), progress.as_ref().clone());
            }
        }
    }

    /// Without what is there no more, as far as anybody knows, and without instants that cannot have been.
    pub(crate) fn of_what_is_there(mut self, inventory: &Inventory, now: Timestamp) -> Self {
        let is_unknown =
            |resource: &ResourceId| inventory.engines.get(&resource.engine).is_some_and(Result::is_err);
        let is_any_read = !self.reading.is_empty();
        let mut there = Self { since: self.since.min(now), ..Self::new(now) };
        for (lineage, points) in inventory.known() {
            let Lineage { resource, mark } = lineage;
            if let Some(looks) = self.looked.get_mut(resource) {
                let kept = there.looked.entry(resource.clone()).or_default();
                kept.extend(
                    points.iter().filter_map(|point| looks.remove_entry(&short(resource, &point.id))),
                );
            }
            if let Some(at) = self.opened.get_mut(resource).and_then(|opened| opened.remove(mark)) {
                there.opened.entry(resource.clone()).or_default().insert(mark.clone(), at);
            }
            for point in points.iter().filter(|_| is_any_read) {
                for region in Region::ALL {
                    let key = Place { resource: resource.clone(), id: point.id.clone(), region }.key();
                    there.reading.extend(self.reading.remove_entry(&key));
                }
            }
        }
        there.looked.extend(self.looked.into_iter().filter(|(resource, _)| is_unknown(resource)));
        there.opened.extend(self.opened.into_iter().filter(|(resource, _)| is_unknown(resource)));
        let is_unknown =
            |key: &str| inventory.unknown().any(|(engine, _)| key.starts_with(&format!("{engine}/")));
        there.reading.extend(self.reading.into_iter().filter(|(key, _)| is_unknown(key)));
        let all = there.looked.values_mut().chain(there.opened.values_mut());
        for look in all.flat_map(BTreeMap::values_mut).flatten() {
            *look = look.believed(now);
        }
        there.looked.retain(|_, looks| !looks.is_empty());
        there
    }

    /// As it is written.
    pub(crate) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::permanent("MemoryUnwritable", error.to_string()))
    }
}

/// The memory and the version of its document. One that cannot be read begins anew.
pub(crate) async fn read(documents: &impl Documents, now: Timestamp) -> Result<(Memory, Option<String>)> {
    let Some(document) = documents.read(MEMORY).await? else { return Ok((Memory::new(now), None)) };
    let memory = serde_json::from_str::<Memory>(&document.text)
        .inspect_err(|error| tracing::warn!("document {MEMORY} cannot be read and is replaced: {error}"))
        .ok()
        .filter(|memory| memory.version == VERSION);
    Ok((memory.unwrap_or_else(|| Memory::new(now)), Some(document.version)))
}

#[cfg(test)]
mod tests {
    use domain::Slot;

    use super::*;

    fn place(number: i64, region: Region) -> Place {
        let slot = Slot::at(Timestamp::from_second(1_700_000_000 + 3_600 * (number / 100)).unwrap());
        let resource = ResourceId::turso(format!("customer-database-{:02}", number % 100));
        let id = RecoveryPointId::new(&resource.name, "id-1", slot, 1);
        Place { resource, id, region }
    }

    /// Both Regions of 100,000 recovery points fit into a document that is read and written each hour.
    #[test]
    fn a_hundred_thousand_recovery_points_are_one_document() {
        let now: Timestamp = "2026-11-23T04:30:00Z".parse().unwrap();
        let mut memory = Memory::new(now);
        for number in 0..100_000 {
            for region in Region::ALL {
                memory.apply(&Change::Looked(place(number, region), Look::new(now, number % 7 > 0)));
            }
        }
        let text = memory.to_text().unwrap();
        assert!(text.len() < 5 << 20, "{}", text.len());
        let read: Memory = serde_json::from_str(&text).unwrap();
        assert_eq!(read.look(&place(99_999, Region::Recovery)).at(), Some(now));
        assert_eq!(read.look(&place(0, Region::Home)).whole_at(), None, "it was damaged");
    }
}
