//! What was lost, by heartbeats or by somebody's word: the same for every engine.

use std::fmt::Display;

use domain::{Side, drill::history::Loss};
use heartbeat::{Judgement, Keys, Question, Row, Unmeasured, judge};
use reconcile::{Error, Result};
use secrets::PlainSecrets;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

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

/// So large may evidence be: with the rest of an entry it is published as a fact, which takes 256 KiB (EventBridge API Reference,
/// `PutEvents`).
const LARGEST: usize = 120_000;

/// The same evidence with fewer items in each list, if it is too large.
pub(crate) fn shortened(evidence: &Value) -> Value {
    for most in [usize::MAX, 100, 50, 20, 10, 5, 2, 1, 0] {
        let mut shorter = evidence.clone();
        shorten(&mut shorter, most);
        if shorter.to_string().len() <= LARGEST {
            if let (Some(object), true) = (shorter.as_object_mut(), most < usize::MAX) {
                object.insert("lists_shortened_to".to_owned(), most.into());
            }
            return shorter;
        }
    }
    json!({"left_out": format!("{} bytes", evidence.to_string().len())})
}

/// So many sentences say what was not checked.
const SENTENCES: usize = 30;

/// The first sentences, and how many more there are.
pub(crate) fn first_of(mut sentences: Vec<String>) -> Vec<String> {
    let more = sentences.len().saturating_sub(SENTENCES);
    sentences.truncate(SENTENCES);
    for sentence in &mut sentences {
        cut(sentence, 500);
    }
    sentences.extend((more > 0).then(|| format!("and {more} more, which the evidence has")));
    sentences
}

/// Keeps so many characters of a text.
pub(crate) fn cut(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
    }
}

fn shorten(value: &mut Value, most: usize) {
    match value {
        Value::Array(list) => {
            list.truncate(most);
            for one in list {
                shorten(one, most);
            }
        }
        Value::Object(object) => {
            let gone: Vec<String> = object.keys().skip(most.saturating_add(30)).cloned().collect();
            for key in gone {
                object.remove(&key);
            }
            for one in object.values_mut() {
                shorten(one, most);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Why a loss is only estimated.
pub(crate) fn unmeasured(sought: Option<&str>) -> Unmeasured {
    match sought {
        Some(READ) => Unmeasured::NoHeartbeats,
        _ => Unmeasured::NotRead,
    }
}

/// What stands where heartbeats were looked for.
pub(crate) const READ: &str = "read";

/// The first thing that is wrong, with where it is.
pub(crate) fn first<F: Serialize>(place: &F, fault: impl Display) -> String {
    format!("{}: {fault}", serde_json::to_string(place).unwrap_or_default())
}

/// A question of a set's assertion that was answered with something else than one whole number.
pub(crate) fn no_number(side: &Side, why: &str) -> Error {
    Error::permanent("AssertionsInvalid", format!("{}: {why}", side.resource))
}

/// Without keys nobody can tell a heartbeat from what somebody made up.
pub(crate) fn has_keys(secret: Option<&String>) -> Result<()> {
    secret.map(|_| ()).ok_or_else(|| {
        let says = "no secret with keys is named to verify heartbeats by (parameter HeartbeatSecret)";
        Error::misconfigured("HeartbeatKeysNotSet", says)
    })
}

/// The keys that sign heartbeats.
pub(crate) async fn keys(secrets: &impl PlainSecrets, secret: &str) -> Result<Keys> {
    Keys::parse(&secrets.text(secret).await?)
        .map_err(|error| Error::misconfigured("HeartbeatKeysInvalid", format!("secret {secret}: {error}")))
}

/// The heartbeats that were read, and what they are verified by.
pub struct Beats {
    pub(crate) rows: Vec<Row>,
    pub(crate) keys: Keys,
}

impl Beats {
    /// What they tell, with no more doubts than a document should hold.
    pub(crate) fn judge(&self, question: Question<'_>) -> Judgement {
        let mut judgement = judge(&self.rows, question, &self.keys);
        judgement.gaps.truncate(DOUBTS);
        judgement.pauses.truncate(DOUBTS);
        judgement.begun_anew.truncate(DOUBTS);
        judgement.bad.truncate(DOUBTS);
        judgement
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_checked_fits_into_a_fact() {
        let all: Vec<String> = (0..900).map(|number| format!("{number}{}", "ü".repeat(1_000))).collect();
        let told = first_of(all);
        assert_eq!((told.len(), told[0].chars().count()), (31, 500));
        assert_eq!(told[30], "and 870 more, which the evidence has");
        assert_eq!(first_of(vec!["one".to_owned()]), ["one"]);
    }

    #[test]
    fn evidence_that_is_too_large_is_shortened_and_says_so() {
        let table = json!({"relation": "public.orders", "rows": 1, "bytes": 100, "is_whole": true});
        let database = json!({"database": "shop", "rows": 5, "tables": vec![table; 100]});
        let large = json!({"databases": vec![database; 40], "loss": {"known": "estimated"}});
        let shorter = shortened(&large);
        assert!(large.to_string().len() > LARGEST && shorter.to_string().len() <= LARGEST);
        assert_eq!(shorter["lists_shortened_to"], 20);
        assert_eq!(shorter["loss"]["known"], "estimated");
        assert_eq!(shortened(&json!({"rows": 5})), json!({"rows": 5}));
        assert_eq!(shortened(&json!({"text": "x".repeat(200_000)})), json!({"left_out": "200011 bytes"}));
    }
}
