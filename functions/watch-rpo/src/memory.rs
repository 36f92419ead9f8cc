//! What is remembered from minute to minute: one document a month, `watch/2026-11.json`.
//!
//! Losing it costs the month's worst minutes and starts the graces anew; no data, and no finding for long.

use std::collections::BTreeMap;

use domain::{Engine, ResourceId};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use reconcile::{Documents, Error, Result};
use serde::{Deserialize, Serialize};

use crate::look::{MOST_LOOK_MINUTES, is_credible};

/// A month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// `2026-11`, in UTC.
    pub(crate) month: String,
    /// How many minutes lie between two looks at snapshots and replicated backups.
    #[serde(default = "each_minute")]
    look_minutes: i64,
    /// When they were last looked at; while that is in each minute, kept only of a look that an event asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshots_seen_at: Option<Timestamp>,
    /// The same of the other engines, where it is not each minute.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    looks: BTreeMap<Engine, Rhythm>,
    #[serde(default)]
    pub(crate) resources: BTreeMap<ResourceId, Remembered>,
}

/// How often an engine's recovery points are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rhythm {
    /// How many minutes lie between two looks.
    #[serde(rename = "minutes")]
    pub(crate) look_minutes: i64,
    /// When they were last looked at, where that decides when the next look is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seen_at: Option<Timestamp>,
}

impl Rhythm {
    const EACH_MINUTE: Self = Self { look_minutes: each_minute(), seen_at: None };

    fn believed(self, now: Timestamp) -> Self {
        Self {
            look_minutes: self.look_minutes.clamp(1, MOST_LOOK_MINUTES),
            seen_at: self.seen_at.filter(|at| is_credible(*at, now)).map(|at| at.min(now)),
        }
    }
}

/// What is remembered of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// When it was first seen protected; `None` once it is no longer expected to be.
    pub(crate) seen_since: Option<Timestamp>,
    /// By which plan it was last seen protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<String>,
    /// Which database bore the name. Another one under it is newly seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) incarnation: Option<String>,
    /// Until when it was stopped: before that nothing was written that could be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idle_until: Option<Timestamp>,
    /// The month's worst minute, for the report.
    pub(crate) worst: Option<Worst>,
}

/// The minute in which the most would have been lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Worst {
    /// How much.
    pub(crate) age_seconds: i64,
    /// In which minute.
    pub(crate) at: Timestamp,
    /// The newest restorable second then; `None` if there was none yet.
    pub(crate) newest_restorable: Option<Timestamp>,
}

/// The memory as a pass found it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// The document of this month.
    pub(crate) name: String,
    /// Its version, which the next one replaces.
    pub(crate) version: Option<String>,
    /// What stands in it, if it can be read.
    pub(crate) stored: Option<Memory>,
    /// Where this pass goes on from: the same, or what the previous month leaves to a new one.
    pub(crate) memory: Memory,
}

const fn each_minute() -> i64 {
    1
}

fn name(month: &str) -> String {
    format!("watch/{month}.json")
}

fn months(now: Timestamp) -> (String, String) {
    let today = now.to_zoned(TimeZone::UTC).date();
    let previous = today.first_of_month().saturating_sub(1.day());
    (today.strftime("%Y-%m").to_string(), previous.strftime("%Y-%m").to_string())
}

/// Reads this month's memory, or what the previous one left.
///
/// A state bucket that does not answer fails the pass: findings could not be posted there either, and a memory taken
/// for empty would start every grace anew.
pub(crate) async fn read(documents: &impl Documents, now: Timestamp) -> Result<Found> {
    let (month, previous) = months(now);
    let name = name(&month);
    let document = documents.read(&name).await?;
    let stored = document.as_ref().and_then(|document| parse(&name, &document.text));
    let memory = match &stored {
        Some(memory) => memory.clone(),
        None => begin(documents, &month, &previous).await?,
    };
    let memory = Memory { month, ..memory.believed(now) };
    Ok(Found { name, version: document.map(|document| document.version), stored, memory })
}

/// A new month: who is protected is carried over, the worst minutes are not.
async fn begin(documents: &impl Documents, month: &str, previous: &str) -> Result<Memory> {
    let name = name(previous);
    let before = documents.read(&name).await?.and_then(|document| parse(&name, &document.text));
    let nothing = || Memory {
        month: month.to_owned(),
        look_minutes: each_minute(),
        snapshots_seen_at: None,
        looks: BTreeMap::new(),
        resources: BTreeMap::new(),
    };
    let mut memory = before.unwrap_or_else(nothing);
    month.clone_into(&mut memory.month);
    memory.resources.retain(|_, remembered| remembered.seen_since.is_some());
    for remembered in memory.resources.values_mut() {
        remembered.worst = None;
    }
    Ok(memory)
}

fn parse(name: &str, text: &str) -> Option<Memory> {
    serde_json::from_str(text)
        .inspect_err(|error| tracing::warn!("document {name} cannot be read and is replaced: {error}"))
        .ok()
}

impl Memory {
    /// Without what cannot have been: an instant in the year 9999, or a million minutes between two looks, would
    /// otherwise keep a finding away for ever.
    fn believed(mut self, now: Timestamp) -> Self {
        let credible = |at: &Timestamp| is_credible(*at, now);
        self.set(Engine::Rds, self.rhythm(Engine::Rds).believed(now));
        for rhythm in self.looks.values_mut() {
            *rhythm = rhythm.believed(now);
        }
        for remembered in self.resources.values_mut() {
            remembered.idle_until = remembered.idle_until.filter(credible);
            remembered.seen_since = remembered.seen_since.map(|since| since.min(now));
        }
        self
    }

    /// How often an engine's recovery points are looked at.
    pub(crate) fn rhythm(&self, engine: Engine) -> Rhythm {
        match engine {
            Engine::Rds => Rhythm { look_minutes: self.look_minutes, seen_at: self.snapshots_seen_at },
            engine => self.looks.get(&engine).copied().unwrap_or(Rhythm::EACH_MINUTE),
        }
    }

    /// Notes that they were looked at, if that decides when the next look is: of the next event, or of time.
    pub(crate) fn note_look(&mut self, engine: Engine, look_minutes: i64, by_event: bool, now: Timestamp) {
        let seen_at = (by_event || look_minutes > 1).then_some(now);
        self.set(engine, Rhythm { look_minutes, seen_at });
    }

    fn set(&mut self, engine: Engine, rhythm: Rhythm) {
        match engine {
            Engine::Rds => {
                (self.look_minutes, self.snapshots_seen_at) = (rhythm.look_minutes, rhythm.seen_at);
            }
            engine if rhythm == Rhythm::EACH_MINUTE => _ = self.looks.remove(&engine),
            engine => _ = self.looks.insert(engine, rhythm),
        }
    }

    /// Whether anything of that engine was seen protected, and is expected to be.
    pub(crate) fn expects(&self, engine: Engine) -> bool {
        let mut resources = self.resources.iter();
        resources.any(|(resource, remembered)| resource.engine == engine && remembered.seen_since.is_some())
    }

    /// As it is written.
    pub(crate) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::permanent("MemoryUnwritable", error.to_string()))
    }
}

impl Remembered {
    /// Notes the minute, if it is the month's worst.
    pub(crate) fn note(&mut self, minute: Worst) {
        if self.worst.as_ref().is_none_or(|worst| worst.age_seconds < minute.age_seconds) {
            self.worst = Some(minute);
        }
    }

    /// It is no longer expected to be protected.
    pub(crate) fn forget(&mut self) {
        *self = Self { worst: self.worst.take(), ..Self::default() };
    }

    /// Whether anything is remembered at all.
    pub(crate) const fn is_worth_keeping(&self) -> bool {
        self.seen_since.is_some() || self.worst.is_some()
    }
}
