//! The memory while a run works on it: what is done side by side is written down in one document.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use reconcile::{Documents, Error, Result};
use tokio::sync::Mutex;

use crate::memory::{self, Change, MEMORY, Memory, Place, Progress};

/// How often it is tried to write down what was done, when another run writes at the same time.
const TRIES: usize = 5;

/// After how much that was read it is written down how far the work is.
pub(crate) const SAVE_EVERY_BYTES: u64 = 256 << 20;

/// Where the actions of a run write down what they did. Begins empty; each run begins it anew.
#[derive(Debug, Default)]
pub struct Desk {
    state: RefCell<Option<State>>,
    at_work: Cell<usize>,
    saving: Mutex<()>,
}

#[derive(Debug)]
struct State {
    memory: Memory,
    version: Option<String>,
    now: Timestamp,
    /// What the document does not say yet, in the order in which it was noted.
    unsaved: Vec<(u64, Change)>,
    noted: u64,
    unsaved_bytes: u64,
}

/// Somebody who works: the last of them to leave writes everything down.
pub(crate) struct AtWork<'d>(&'d Desk);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.set(self.0.at_work.get().saturating_sub(1));
    }
}

impl Desk {
    /// A run begins, with what was remembered.
    pub(crate) fn begin(&self, memory: Memory, version: Option<String>, now: Timestamp) {
        let unsaved = Vec::new();
        *self.state.borrow_mut() = Some(State { memory, version, now, unsaved, noted: 0, unsaved_bytes: 0 });
    }

    pub(crate) fn enter(&self) -> AtWork<'_> {
        self.at_work.set(self.at_work.get() + 1);
        AtWork(self)
    }

    /// How far it is, if it is half read.
    pub(crate) fn progress(&self, place: &Place) -> Option<Progress> {
        self.state.borrow().as_ref().and_then(|state| state.memory.progress(place).cloned())
    }

    /// Notes what was done. `bytes` were read for it.
    pub(crate) fn note(&self, change: Change, bytes: u64) {
        if let Some(state) = self.state.borrow_mut().as_mut() {
            state.memory.apply(&change);
            if let Change::Reading(place, _) = &change {
                // How far it was before is of no interest any more.
                state
                    .unsaved
                    .retain(|(_, before)| !matches!(before, Change::Reading(other, _) if other == place));
            }
            state.noted += 1;
            state.unsaved.push((state.noted, change));
            state.unsaved_bytes += bytes;
        }
    }

    /// Writes down what was done, if it is much.
    pub(crate) async fn save_if_much(&self, documents: &impl Documents) -> Result<()> {
        let is_much =
            self.state.borrow().as_ref().is_some_and(|state| state.unsaved_bytes >= SAVE_EVERY_BYTES);
        if is_much { self.save(documents).await } else { Ok(()) }
    }

    /// Writes down what was done, if nobody is at work any more or it is much.
    pub(crate) async fn leave(&self, at_work: AtWork<'_>, documents: &impl Documents) -> Result<()> {
        drop(at_work);
        if self.at_work.get() == 0 { self.save(documents).await } else { self.save_if_much(documents).await }
    }

    /// Writes down what was done.
    pub(crate) async fn save(&self, documents: &impl Documents) -> Result<()> {
        let _alone = self.saving.lock().await;
        for _ in 0..TRIES {
            let Some((text, version, noted)) = self.unsaved()? else { return Ok(()) };
            let written = documents.write(MEMORY, &text, version.as_deref()).await?;
            let now = self.state.borrow().as_ref().map(|state| state.now).unwrap_or_default();
            // Another run has written: what this one did is added to what that one did.
            let there = if written.is_none() { Some(memory::read(documents, now).await?) } else { None };
            let mut state = self.state.borrow_mut();
            let Some(state) = state.as_mut() else { return Ok(()) };
            let Some((memory, version)) = there else {
                state.version = written;
                state.unsaved.retain(|(number, _)| *number > noted);
                state.unsaved_bytes = 0;
                return Ok(());
            };
            (state.memory, state.version) = (memory, version);
            for (_, change) in &state.unsaved {
                state.memory.apply(change);
            }
        }
        Err(Error::retryable(
            "MemoryContended",
            format!(
                "other runs write document {MEMORY} at the same time; what was verified is verified once more"
            ),
        ))
    }

    /// The document as it should be, in place of which version, and up to which change it holds all.
    fn unsaved(&self) -> Result<Option<(String, Option<String>, u64)>> {
        let state = self.state.borrow();
        let Some(state) = state.as_ref().filter(|state| !state.unsaved.is_empty()) else { return Ok(None) };
        Ok(Some((state.memory.to_text()?, state.version.clone(), state.noted)))
    }
}
