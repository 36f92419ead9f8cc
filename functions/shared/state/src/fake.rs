use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reconcile::{Document, Documents, Error, Result};

/// Documents in memory, whose next write a test can break.
#[derive(Clone, Debug, Default)]
pub struct FakeDocuments(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    documents: BTreeMap<String, Document>,
    writes: u64,
    faults: VecDeque<Fault>,
}

#[derive(Debug)]
enum Fault {
    Refuse(Error),
    LoseAnswer,
}

impl FakeDocuments {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next write answers `error` and does nothing.
    pub fn refuse_next_write(&self, error: Error) {
        self.state().faults.push_back(Fault::Refuse(error));
    }

    /// The next write takes effect, and its answer is lost.
    pub fn lose_answer_of_next_write(&self) {
        self.state().faults.push_back(Fault::LoseAnswer);
    }

    /// Writes whatever is there.
    pub fn put(&self, name: &str, text: &str) {
        let mut state = self.state();
        state.writes += 1;
        let version = state.writes.to_string();
        state.documents.insert(name.to_owned(), Document { text: text.to_owned(), version });
    }

    /// Somebody deletes a document.
    pub fn remove(&self, name: &str) {
        self.state().documents.remove(name);
    }

    /// The text of a document.
    pub fn text(&self, name: &str) -> Option<String> {
        self.state().documents.get(name).map(|document| document.text.clone())
    }

    /// How many writes took effect.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }
}

impl Documents for FakeDocuments {
    async fn read(&self, name: &str) -> Result<Option<Document>> {
        Ok(self.state().documents.get(name).cloned())
    }

    async fn names(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.state().documents.keys().filter(|name| name.starts_with(prefix)).cloned().collect())
    }

    async fn write(&self, name: &str, text: &str, replacing: Option<&str>) -> Result<Option<String>> {
        let fault = self.state().faults.pop_front();
        if let Some(Fault::Refuse(error)) = fault {
            return Err(error);
        }
        let there = self.state().documents.get(name).map(|document| document.version.clone());
        if there.as_deref() != replacing {
            return Ok(None);
        }
        self.put(name, text);
        if matches!(fault, Some(Fault::LoseAnswer)) {
            return Err(Error::retryable("RequestTimedOut", "the answer was lost"));
        }
        Ok(self.state().documents.get(name).map(|document| document.version.clone()))
    }
}
