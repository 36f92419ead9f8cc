use std::{collections::BTreeSet, fmt, future::Future};

use domain::{ResourceId, drill};
use jiff::{Timestamp, civil::Date};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::Result;

/// One line of the ledger: something that was done, or was found not to be possible.
///
/// The same entry is published to EventBridge as a fact. Its key is a pure function of what happened, never of when
/// it was noticed, so that it can be recorded twice and is there once.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The day under which it is filed: the slot's, or the request's.
    #[serde(skip)]
    pub day: Date,
    /// When it was noticed.
    pub at: Timestamp,
    /// Which function noticed.
    pub function: &'static str,
    /// What happened, in kebab case: `recovery-point-completed`.
    pub kind: &'static str,
    /// To what.
    pub resource: ResourceId,
    /// The recovery point or restore that it is about.
    pub subject: String,
    /// The Region where it happened.
    pub region: String,
    /// Whether it went well.
    pub outcome: Outcome,
    /// Durations, sizes, instants: keys carry their unit.
    #[serde(flatten)]
    pub detail: Map<String, Value>,
}

/// Whether what is recorded went well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It did.
    Completed,
    /// It did not, for the reason that this stable code names.
    Failed(String),
}

/// Where an entry stands in the ledger: `2026-11-22/rds/orders/<subject>/<region>/<kind>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryKey(String);

impl EntryKey {
    /// The key read back from the ledger.
    pub fn from_stored(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it says; `None` of a key that no entry has.
    pub fn filed(&self) -> Option<Filed<'_>> {
        let (day, rest) = self.0.split_once('/')?;
        let mut parts = rest.rsplitn(4, '/');
        let (kind, region, subject) = (parts.next()?, parts.next()?, parts.next()?);
        let resource = ResourceId::try_from(parts.next()?.to_owned()).ok()?;
        Some(Filed { day: day.parse().ok()?, resource, subject, region, kind })
    }
}

/// What the key of an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filed<'k> {
    /// The day under which it is filed.
    pub day: Date,
    /// What it is about.
    pub resource: ResourceId,
    /// The recovery point, restore or drill that it is about.
    pub subject: &'k str,
    /// Where that was.
    pub region: &'k str,
    kind: &'k str,
}

impl Filed<'_> {
    /// Whether it is of that kind, with or without an error's code.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// The error's code, if it is of that kind and did not go well.
    pub fn failure(&self, kind: &str) -> Option<&str> {
        self.kind.strip_prefix(kind)?.strip_prefix('-')
    }

    /// Whether restore-database wrote it because run-drill asked: nothing else may be called so.
    pub fn is_of_a_drill(&self) -> bool {
        let restored = self.subject.strip_prefix("restore-");
        restored.is_some_and(|name| name.starts_with(drill::PREFIX))
    }
}

impl fmt::Display for EntryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Entry {
    /// Where it stands.
    pub fn key(&self) -> EntryKey {
        let failure = match &self.outcome {
            Outcome::Completed => String::new(),
            Outcome::Failed(code) => format!("-{code}"),
        };
        let Self { day, resource, subject, region, kind, .. } = self;
        EntryKey(format!("{day}/{resource}/{subject}/{region}/{kind}{failure}"))
    }

    /// The EventBridge detail-type of the fact: `Tidemark recovery-point-completed`.
    pub fn detail_type(&self) -> String {
        format!("Tidemark {}", self.kind)
    }
}

/// The append-only record of what was done.
pub trait Ledger {
    /// Writes `entry`. One that is there already is left as it is.
    fn append(&self, entry: &Entry) -> impl Future<Output = Result<()>>;
    /// The keys filed under `days`.
    fn keys(&self, days: &BTreeSet<Date>) -> impl Future<Output = Result<BTreeSet<EntryKey>>>;
    /// The entry at `key`, if there is one.
    fn get(&self, key: &EntryKey) -> impl Future<Output = Result<Option<Value>>>;
}

/// Where facts are published.
pub trait Facts {
    /// Publishes `entry` to whoever listens.
    fn publish(&self, entry: &Entry) -> impl Future<Output = Result<()>>;
}

/// Where a function writes: the ledger and the facts, which recording an entry does both, and its own memory.
#[derive(Clone, Debug)]
pub struct Journal<L, F, D> {
    /// The record.
    pub ledger: L,
    /// The announcement.
    pub facts: F,
    /// What is remembered from pass to pass.
    pub documents: D,
}

impl<L: Ledger, F: Facts, D> Journal<L, F, D> {
    /// Publishes, then records. In this order a pass killed in between publishes again rather than never: subscribers
    /// see a fact at least once, and the ledger holds it exactly once.
    pub async fn record(&self, entry: &Entry) -> Result<()> {
        self.facts.publish(entry).await?;
        self.ledger.append(entry).await
    }

    /// Records `entry` unless it stands there already: for failures, which every tick meets anew.
    pub async fn record_once(&self, entry: &Entry) -> Result<()> {
        if self.ledger.get(&entry.key()).await?.is_some() {
            return Ok(());
        }
        self.record(entry).await
    }
}
