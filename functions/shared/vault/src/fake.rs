use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::civil::Date;
use reconcile::{Entry, EntryKey, Error, Facts, Journal, Ledger, Result};
use serde_json::{Value, json};
use state::FakeDocuments;

/// A ledger in memory, the facts that were published, and what the function remembers.
#[derive(Clone, Debug, Default)]
pub struct FakeLedger {
    state: Arc<Mutex<State>>,
    /// What the function remembers.
    pub documents: FakeDocuments,
}

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<EntryKey, Value>,
    facts: Vec<Value>,
    faults: VecDeque<Error>,
}

impl FakeLedger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal over it.
    pub fn journal(&self) -> Journal<Self, Self, FakeDocuments> {
        Journal { ledger: self.clone(), facts: self.clone(), documents: self.documents.clone() }
    }

    /// The next write answers `error` and does nothing.
    pub fn refuse_next_append(&self, error: Error) {
        self.state().faults.push_back(error);
    }

    /// What was recorded, by key.
    pub fn entries(&self) -> BTreeMap<EntryKey, Value> {
        self.state().entries.clone()
    }

    /// What was published, in order.
    pub fn facts(&self) -> Vec<Value> {
        self.state().facts.clone()
    }
}

impl Ledger for FakeLedger {
    async fn append(&self, entry: &Entry) -> Result<()> {
        let mut state = self.state();
        if let Some(error) = state.faults.pop_front() {
            return Err(error);
        }
        state.entries.entry(entry.key()).or_insert_with(|| json!(entry));
        Ok(())
    }

    async fn keys(&self, days: &BTreeSet<Date>) -> Result<BTreeSet<EntryKey>> {
        let filed = |key: &&EntryKey| days.iter().any(|day| key.as_str().starts_with(&format!("{day}/")));
        Ok(self.state().entries.keys().filter(filed).cloned().collect())
    }

    async fn get(&self, key: &EntryKey) -> Result<Option<Value>> {
        Ok(self.state().entries.get(key).cloned())
    }
}

impl Facts for FakeLedger {
    async fn publish(&self, entry: &Entry) -> Result<()> {
        self.state().facts.push(json!(entry));
        Ok(())
    }
}
