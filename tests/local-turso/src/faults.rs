//! Calls that are made to fail.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::calls::{Call, CallFilter};

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Refused, without taking effect.
    Error {
        /// HTTP status.
        status: u16,
        /// The text of `error`.
        #[serde(default = "injected")]
        message: String,
    },
    /// Takes effect; the answer comes so much later.
    Delay {
        /// In milliseconds.
        ms: u64,
    },
    /// Never takes effect and is never answered: the connection stays open until the caller gives up, or is closed
    /// when the fault is cleared.
    Hang,
    /// The connection is closed before the call takes effect.
    Cut,
    /// Takes effect; then the connection is closed without an answer.
    LoseAnswer,
}

fn injected() -> String {
    "made to fail by the local cloud".to_owned()
}

impl Effect {
    /// Refused with this status.
    pub fn error(status: u16) -> Self {
        Self::Error { status, message: injected() }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::Delay { .. } => "delay",
            Self::Hang => "hang",
            Self::Cut => "cut",
            Self::LoseAnswer => "lose_answer",
        }
    }
}

/// A rule: which calls, which of them, and what happens to them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls.
    #[serde(rename = "match", default)]
    pub calls: CallFilter,
    /// The first of them that it happens to, from 1.
    #[serde(default = "one")]
    pub nth: u32,
    /// How many in a row it happens to; `u32::MAX` for all that follow.
    #[serde(default = "one")]
    pub times: u32,
    /// What happens.
    pub effect: Effect,
}

fn one() -> u32 {
    1
}

impl Fault {
    /// Happens once, to the first call that matches.
    pub fn new(effect: Effect, calls: CallFilter) -> Self {
        Self { calls, nth: 1, times: 1, effect }
    }

    /// The first matching call that it happens to, from 1.
    #[must_use]
    pub fn nth(self, nth: u32) -> Self {
        Self { nth, ..self }
    }

    /// How many in a row it happens to.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

struct Armed {
    id: u64,
    fault: Fault,
    matched: u32,
    applied: u32,
}

#[derive(Default)]
pub(crate) struct Faults {
    /// The last rule's number, and the rules in force.
    rules: Mutex<(u64, Vec<Armed>)>,
    /// Changes when rules are removed.
    removed: watch::Sender<()>,
}

impl Faults {
    pub(crate) fn arm(&self, fault: Fault) -> u64 {
        let mut inner = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 += 1;
        let id = inner.0;
        inner.1.push(Armed { id, fault, matched: 0, applied: 0 });
        id
    }

    /// Counts the call against every rule that it matches; the oldest that is due decides: its number and its effect.
    pub(crate) fn strike(&self, call: &Call) -> Option<(u64, Effect)> {
        let mut inner = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for armed in inner.1.iter_mut().filter(|armed| armed.fault.calls.matches(call)) {
            armed.matched = armed.matched.saturating_add(1);
            if struck.is_none() && armed.matched >= armed.fault.nth && armed.applied < armed.fault.times {
                armed.applied += 1;
                struck = Some((armed.id, armed.fault.effect.clone()));
            }
        }
        struck
    }

    /// One, or all. Whether there was any.
    pub(crate) fn disarm(&self, id: Option<u64>) -> bool {
        let rules = &mut self.rules.lock().unwrap_or_else(PoisonError::into_inner).1;
        let before = rules.len();
        rules.retain(|armed| id.is_some_and(|id| armed.id != id));
        self.removed.send_replace(());
        rules.len() < before
    }

    /// Returns once the rule is no longer in force.
    pub(crate) async fn cleared(&self, id: u64) {
        let mut removed = self.removed.subscribe();
        while self.is_armed(id) {
            // It cannot be closed as long as we are.
            let _ = removed.changed().await;
        }
    }

    fn is_armed(&self, id: u64) -> bool {
        let inner = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1.iter().any(|armed| armed.id == id)
    }
}
