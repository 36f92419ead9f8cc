use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reconcile::{Error, Result};

use crate::{Message, Topic};

/// A topic in memory, whose next publication a test can break.
#[derive(Clone, Debug, Default)]
pub struct FakeTopic(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    published: Vec<Message>,
    faults: VecDeque<(Error, bool)>,
}

impl FakeTopic {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What subscribers received, in order.
    pub fn published(&self) -> Vec<Message> {
        self.state().published.clone()
    }

    /// The next publication answers `error` and reaches nobody.
    pub fn refuse_next(&self, error: Error) {
        self.state().faults.push_back((error, false));
    }

    /// The next publication reaches everybody, and its answer is lost.
    pub fn lose_answer_of_next(&self) {
        self.state().faults.push_back((Error::retryable("RequestTimedOut", "the answer was lost"), true));
    }
}

impl Topic for FakeTopic {
    async fn publish(&self, message: &Message) -> Result<String> {
        let mut state = self.state();
        let fault = state.faults.pop_front();
        if fault.as_ref().is_none_or(|(_, takes_effect)| *takes_effect) {
            state.published.push(message.clone());
        }
        let id = state.published.len().to_string();
        fault.map_or(Ok(id), |(error, _)| Err(error))
    }
}
