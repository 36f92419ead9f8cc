//! Calls that are made to fail.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::calls::{CallFilter, Subject};

/// What happens to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Refused, without taking effect.
    Error {
        /// AWS's error code.
        code: String,
        /// HTTP status.
        #[serde(default = "bad_request")]
        status: u16,
        /// The message.
        #[serde(default = "injected")]
        message: String,
    },
    /// Refused as too fast, with the code and status that the service uses for it.
    Throttle,
    /// Refused as the service's own failure (500), with the code that it uses for it, without taking effect.
    InternalError,
    /// Takes effect; the answer comes so much later, or when the fault is cleared.
    Delay {
        /// In milliseconds.
        ms: u64,
    },
    /// Never takes effect and is never answered: the connection stays open until the caller gives up, or is closed
    /// when the fault is cleared.
    Hang,
    /// The connection is closed before the call takes effect.
    Cut,
    /// Takes effect; then the function that called is stopped for so long, with the answer before it.
    Freeze {
        /// In milliseconds.
        ms: u64,
    },
    /// Takes effect; then the function that called is killed before it hears of it.
    Kill,
    /// Takes effect; then the connection is closed without an answer.
    LoseAnswer,
}

fn bad_request() -> u16 {
    400
}

fn injected() -> String {
    "made to fail by the local cloud".to_owned()
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Effect {
    /// Refused with this code and status 400.
    pub fn error(code: impl Into<String>) -> Self {
        Self::Error { code: code.into(), status: bad_request(), message: injected() }
    }

    /// Takes effect, and is answered so much later.
    pub fn delay(by: Duration) -> Self {
        Self::Delay { ms: milliseconds(by) }
    }

    /// Takes effect; then the function that called is stopped for so long.
    pub fn freeze(duration: Duration) -> Self {
        Self::Freeze { ms: milliseconds(duration) }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Error { .. } => "error",
            Self::Throttle => "throttle",
            Self::InternalError => "internal_error",
            Self::Delay { .. } => "delay",
            Self::Hang => "hang",
            Self::Cut => "cut",
            Self::Freeze { .. } => "freeze",
            Self::Kill => "kill",
            Self::LoseAnswer => "lose_answer",
        }
    }
}

/// A rule: which calls, which of them, and what happens to them.
///
/// As JSON: `{"match": {"service": "rds", "action": "CreateDBSnapshot"}, "nth": 2, "times": 1, "effect": "throttle"}`.
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

/// A rule in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Armed {
    /// Its number.
    pub id: u64,
    /// The rule.
    pub fault: Fault,
    /// Calls that matched it so far.
    pub matched: u32,
    /// Calls that it happened to so far.
    pub applied: u32,
}

#[derive(Debug, Default)]
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
    pub(crate) fn strike(&self, subject: &Subject<'_>) -> Option<(u64, Effect)> {
        let mut inner = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut struck = None;
        for armed in inner.1.iter_mut().filter(|armed| armed.fault.calls.matches(subject)) {
            armed.matched = armed.matched.saturating_add(1);
            if struck.is_none() && armed.matched >= armed.fault.nth && armed.applied < armed.fault.times {
                armed.applied += 1;
                struck = Some((armed.id, armed.fault.effect.clone()));
            }
        }
        struck
    }

    pub(crate) fn list(&self) -> Vec<Armed> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
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
        while self.list().iter().any(|armed| armed.id == id) {
            // It cannot be closed as long as we are.
            let _ = removed.changed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(action: &str) -> Subject<'_> {
        Subject { service: "rds", action, resource: Some("db"), region: "us-east-1", function: None }
    }

    #[test]
    fn the_nth_and_as_many_times_as_said() {
        let faults = Faults::default();
        faults.arm(Fault::new(Effect::Throttle, CallFilter::all().action("Create*")).nth(2).times(2));
        let struck: Vec<bool> = (0..5).map(|_| faults.strike(&call("CreateDBSnapshot")).is_some()).collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert_eq!(faults.strike(&call("DeleteDBSnapshot")), None);
        let armed = faults.list();
        assert_eq!((armed[0].matched, armed[0].applied), (5, 2));
    }

    #[test]
    fn the_oldest_rule_that_is_due_decides() {
        let faults = Faults::default();
        let first = faults.arm(Fault::new(Effect::error("A"), CallFilter::all()));
        faults.arm(Fault::new(Effect::error("B"), CallFilter::all()).nth(2));
        assert_eq!(faults.strike(&call("X")), Some((1, Effect::error("A"))));
        assert_eq!(faults.strike(&call("X")), Some((2, Effect::error("B"))));
        assert!(faults.disarm(Some(first)));
        assert_eq!(faults.list().len(), 1);
        assert!(faults.disarm(None));
        assert!(!faults.disarm(None));
    }

    #[test]
    fn a_misspelt_rule_is_refused() {
        for rule in [
            r#"{"effect":"throttle","tmies":2}"#,
            r#"{"effect":"throttle","match":{"actoin":"X"}}"#,
            r#"{"effect":"throtle"}"#,
            r#"{"effect":{"error":{"code":"X","stauts":500}}}"#,
            "{}",
        ] {
            assert!(serde_json::from_str::<Fault>(rule).is_err(), "{rule}");
        }
        let good = r#"{"match":{"service":"rds"},"nth":2,"effect":{"error":{"code":"X"}}}"#;
        let expected = Fault::new(Effect::error("X"), CallFilter::all().service("rds")).nth(2);
        assert_eq!(serde_json::from_str::<Fault>(good).unwrap(), expected);
    }
}
