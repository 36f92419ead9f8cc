use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Judgement, Mark};

/// What a restore lost, and how that is known: for the ledger and reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "known", rename_all = "kebab-case")]
pub enum Loss {
    /// By a heartbeat in the restored database.
    Measured(Measured),
    /// By what somebody says.
    Estimated(Estimate),
}

impl Loss {
    /// What a judgement has measured; otherwise `estimate`.
    pub fn of(judgement: Option<&Judgement>, estimate: Estimate) -> Self {
        match judgement.map(|judgement| judgement.loss) {
            Some(Some(measured)) => Self::Measured(measured),
            Some(None) => Self::Estimated(Estimate { because: Unmeasured::NoneIntact, ..estimate }),
            None => Self::Estimated(estimate),
        }
    }
}

/// What was lost, as far as heartbeats can tell: the loss is within the two bounds, and the interval between two heartbeats
/// is how fine it can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Up to when: the wanted instant, or when the restore was asked for.
    pub until: Timestamp,
    /// The newest that is there.
    pub heartbeat: Mark,
    /// From when the next one can have been due at the latest, which is not there. 0 if that is later than `until`. It holds if
    /// the writer ran: the database where it was lost from, if it still stands, tells whether it did.
    pub at_least_ms: u64,
    /// From that heartbeat on. This holds whether or not the writer ran: a heartbeat is made before it is committed, so the state
    /// that holds it is of its time or later.
    pub at_most_ms: u64,
}

/// What would be lost if what somebody says is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Up to when: the wanted instant, or when the restore was asked for.
    pub until: Timestamp,
    /// Of when the restored state is, as `how` says.
    pub state_at: Timestamp,
    /// From then on; 0 if that is later.
    pub loss_ms: u64,
    /// By whose word.
    pub how: Basis,
    /// Why it was not measured.
    pub because: Unmeasured,
}

impl Estimate {
    /// By a state of `state_at`, as `how` says.
    pub fn new(how: Basis, state_at: Timestamp, until: Timestamp, because: Unmeasured) -> Self {
        Self { until, state_at, loss_ms: milliseconds(state_at, until), how, because }
    }
}

/// What an estimate rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The instant that the provider was asked to restore to, and says it has.
    RestoredTo,
    /// The instant that the provider gives for the recovery point.
    RecoveryPointTime,
    /// The recovery point's slot: the provider gives no instant.
    Slot,
}

/// Why a loss was not measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unmeasured {
    /// The restored database has no heartbeats.
    NoHeartbeats,
    /// It could not be asked for them.
    NotRead,
    /// It has some, and none from before the wanted instant is intact.
    NoneIntact,
}

/// From one instant to another; 0 if that is earlier.
pub(crate) fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}
