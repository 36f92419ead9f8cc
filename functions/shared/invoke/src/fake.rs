use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reconcile::{Error, Result};
use serde_json::Value;

use crate::{Answer, Functions};

/// What a test says that functions answer.
type Say = dyn Fn(&str, &Value) -> Result<Answer> + Send + Sync;

/// Functions in memory, whose next invocation a test can break.
#[derive(Clone)]
pub struct FakeFunctions {
    say: Arc<Say>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<(String, Value)>,
    faults: VecDeque<Fault>,
}

#[derive(Debug)]
enum Fault {
    Refuse(Error),
    LoseAnswer,
}

impl FakeFunctions {
    /// Functions that do and answer what `say` says of a function's name and its payload.
    pub fn new(say: impl Fn(&str, &Value) -> Result<Answer> + Send + Sync + 'static) -> Self {
        Self { say: Arc::new(say), state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next invocation answers `error`, and no function is at work.
    pub fn refuse_next(&self, error: Error) {
        self.state().faults.push_back(Fault::Refuse(error));
    }

    /// The next invocation takes effect, and its answer is lost.
    pub fn lose_answer_of_next(&self) {
        self.state().faults.push_back(Fault::LoseAnswer);
    }

    /// Every invocation so far, by function and payload.
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.state().calls.clone()
    }
}

impl fmt::Debug for FakeFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeFunctions").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Functions for FakeFunctions {
    async fn invoke(&self, function: &str, payload: &Value) -> Result<Answer> {
        let fault = {
            let mut state = self.state();
            state.calls.push((function.to_owned(), payload.clone()));
            state.faults.pop_front()
        };
        match fault {
            Some(Fault::Refuse(error)) => Err(error),
            Some(Fault::LoseAnswer) => {
                (self.say)(function, payload)?;
                Err(Error::retryable("RequestTimedOut", "the answer was lost"))
            }
            None => (self.say)(function, payload),
        }
    }
}
