//! What was lost, by heartbeats or by somebody's word: the same for every engine.

use domain::{
    Side,
    drill::{To, history::Loss},
};
use heartbeat::{Judgement, Keys, Question, Rhythm, Row, judge};
use reconcile::{Error, Result};
use secrets::PlainSecrets;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::drill::Drill;

/// How many heartbeats are read, and how many doubts about them stay in the evidence.
pub(crate) const HEARTBEATS: u32 = 4 * heartbeat::KEEP;
const DOUBTS: usize = 20;

/// How far an engine's checks have come; nothing was done where nothing is written.
pub(crate) fn progress<P: DeserializeOwned + Default>(checks: &Value) -> Result<P> {
    if checks.is_null() {
        return Ok(P::default());
    }
    serde_json::from_value(checks.clone()).map_err(|error| {
        Error::permanent("DrillsUnreadable", "what was checked so far cannot be read").caused_by(error)
    })
}

/// A question of a set's assertion that was answered with something else than one whole number.
pub(crate) fn no_number(side: &Side, why: &str) -> Error {
    Error::permanent("AssertionsInvalid", format!("{}: {why}", side.resource))
}

/// The keys that sign heartbeats.
pub(crate) async fn keys(secrets: &impl PlainSecrets, secret: &str) -> Result<Keys> {
    Keys::parse(&secrets.text(secret).await?)
        .map_err(|error| Error::misconfigured("HeartbeatKeysInvalid", format!("secret {secret}: {error}")))
}

/// What heartbeats tell of a drill, with no more doubts than a document should hold.
pub(crate) fn judgement(rows: &[Row], drill: &Drill, keys: &Keys) -> Judgement {
    let restored_to = match drill.choice.to {
        To::Instant(instant) => Some(instant),
        To::Point(_) => None,
    };
    let question = Question {
        resource: &drill.resource,
        restored_to,
        asked_at: drill.asked_at,
        rhythm: Rhythm::default(),
    };
    let mut judgement = judge(rows, question, keys);
    judgement.gaps.truncate(DOUBTS);
    judgement.pauses.truncate(DOUBTS);
    judgement.begun_anew.truncate(DOUBTS);
    judgement.bad.truncate(DOUBTS);
    judgement
}

/// What heartbeats tell against a restored database.
pub(crate) fn unsound(judgement: &Judgement) -> Option<(&'static str, String)> {
    if let Some(gap) = judgement.gaps.first() {
        let says = format!(
            "heartbeats: up to {} are missing between {} and {}: rows were lost from within",
            gap.missing, gap.from.at, gap.to.at
        );
        return Some(("HeartbeatsMissing", says));
    }
    if let Some(beyond) = &judgement.beyond {
        let says = format!(
            "heartbeats: {} are from after the wanted instant, the last one of {}: the restore went too far",
            beyond.rows, beyond.newest.at
        );
        return Some(("RestoredTooFar", says));
    }
    judgement.bad.first().map(|bad| {
        (
            "HeartbeatsNotIntact",
            format!("heartbeats: row {} is not to be believed: {:?}", bad.number, bad.doubt),
        )
    })
}

/// A loss as reports have it.
pub(crate) fn in_short(loss: &heartbeat::Loss) -> Loss {
    match loss {
        heartbeat::Loss::Measured(measured) => {
            Loss { is_measured: true, at_least_ms: measured.at_least_ms, at_most_ms: measured.at_most_ms }
        }
        heartbeat::Loss::Estimated(estimate) => {
            Loss { is_measured: false, at_least_ms: estimate.loss_ms, at_most_ms: estimate.loss_ms }
        }
    }
}
