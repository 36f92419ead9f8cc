//! A drill under way: what was chosen, and how far it has come.

use data_encoding::HEXLOWER;
use domain::{
    RecoveryPointId, ResourceId,
    drill::{
        Choice, PREFIX, To,
        history::{Loss, Past, Phases, Promised, Verdict},
    },
};
use heartbeat::{Question, Rhythm};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use reconcile::{Entry, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{NAME, engine::Staging};

/// How long a drill may take before it has failed. RDS takes hours for the largest instances.
pub(crate) const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// How much of a source's name stands in the names of what its drills make. `ElastiCache` allows 40 characters in all.
const SHOWN: usize = 12;

/// One drill of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drill {
    /// Its name: `drill-rds-orders-20261122t100000z-yzryht`, at the end the mark of the deployment whose it is.
    pub(crate) id: String,
    /// What is drilled.
    pub(crate) resource: ResourceId,
    /// Under which backup plan.
    pub(crate) plan: String,
    /// Who asked for it.
    pub(crate) by: String,
    /// From what it is restored.
    pub(crate) choice: Choice,
    /// How what is restored is called.
    pub(crate) name: String,
    /// When it was begun.
    pub(crate) asked_at: Timestamp,
    /// From when on nobody needs what it made.
    pub(crate) expires: Timestamp,
    /// How large the source is.
    pub(crate) bytes: u64,
    /// Where it is restored, and with what differences from the source.
    pub(crate) staging: Staging,
    /// What the plan promises.
    pub(crate) objectives: Promised,
    /// The drill of a recovery set that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) set: Option<SetOf>,
    /// The instant to which its set is restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instant: Option<Timestamp>,
    /// Of when the restored state is, if restore-database says that it is of another instant than the one that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) as_of: Option<Timestamp>,
    /// The recovery points around the instant that is restored, the one before and the one after it: what both have is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) around: Option<[RecoveryPointId; 2]>,
    /// Why a member of a set could not be begun at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
    /// What its plan says must hold.
    #[serde(default)]
    pub(crate) assertions: Vec<Value>,
    /// Whether its plan says that it gets heartbeats, and since when drills saw them.
    #[serde(default)]
    pub(crate) heartbeats: Heartbeats,
    /// What the checks of the drill before left for this one's.
    #[serde(default)]
    pub(crate) known: Value,
    /// How far it has come.
    pub(crate) stage: Stage,
    /// Since when it is checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checked_since: Option<Timestamp>,
    /// The recovery point that restore-database took for the instant, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) point: Option<RecoveryPointId>,
    /// restore-database refused it: nothing of it was begun.
    #[serde(default)]
    pub(crate) is_refused: bool,
    /// Under which name restore-database follows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) restore_id: Option<String>,
    /// How long each phase took.
    #[serde(default)]
    pub(crate) phases: Phases,
    /// How far the checks have come: the engine's own document.
    #[serde(default)]
    pub(crate) checks: Value,
    /// How long the checks have worked.
    #[serde(default)]
    pub(crate) checked_ms: u64,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judged: Option<Judged>,
}

/// What is expected of heartbeats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heartbeats {
    /// The plan names them.
    pub(crate) are_planned: bool,
    /// The first state, of those that drills restored, that had them.
    pub(crate) since: Option<Timestamp>,
}

/// A drill of a recovery set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SetOf {
    /// The set's name.
    pub(crate) set: String,
    /// The drill's id, which everything carries that is made for it.
    pub(crate) id: String,
}

/// How far a drill has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stage {
    /// restore-database is asked; whether it heard that is not known.
    Asked,
    /// It is restored.
    Restoring,
    /// It is checked.
    Checking,
    /// The verdict is given and recorded; what was made goes.
    TearingDown,
}

/// What became of a drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) at: Timestamp,
    pub(crate) verdict: Verdict,
    /// What was lost, in short.
    pub(crate) loss: Option<Loss>,
    /// What the checks found, for the ledger.
    pub(crate) evidence: Value,
    /// What was not checked although it should have been.
    #[serde(default)]
    pub(crate) unchecked: Vec<String>,
    /// What is left for the next one's checks.
    #[serde(default)]
    pub(crate) known: Value,
}

impl Drill {
    /// The id of a drill of that resource that is begun now by the deployment of that mark.
    pub(crate) fn id_of(resource: &ResourceId, now: Timestamp, mark: &str) -> String {
        format!("drill-{}-{}-{}-{mark}", resource.engine, resource.name, now.strftime("%Y%m%dt%H%M%Sz"))
            .to_lowercase()
    }

    /// What the drill of that id makes is called so: by the source, for people, and by the id, so that no two are called the same.
    pub(crate) fn name_of(resource: &ResourceId, id: &str) -> String {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let words = resource.name.to_lowercase();
        let words: Vec<&str> = words.split(|c| !allowed(c)).filter(|word| !word.is_empty()).collect();
        let shown: String = words.join("-").chars().take(SHOWN).collect();
        let digest = HEXLOWER.encode(&Sha256::digest(id));
        let parts = [shown.trim_end_matches('-'), digest.get(..10).unwrap_or_default()];
        format!(
            "{PREFIX}{}",
            parts
                .map(str::to_owned)
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join("-")
        )
    }

    /// The id that everything carries that is made for it.
    pub(crate) fn tag(&self) -> &str {
        self.set.as_ref().map_or(&self.id, |of| &of.id)
    }

    /// What restore-database is asked: the same, however often.
    pub(crate) fn payload(&self) -> Value {
        let to = match &self.choice.to {
            To::Instant(instant) => instant.to_string(),
            To::Point(id) => id.to_string(),
        };
        let mut payload = Map::from_iter([
            ("resource".to_owned(), json!(self.resource)),
            ("to".to_owned(), json!(to)),
            ("as".to_owned(), json!(self.name)),
            ("drill".to_owned(), json!({"id": self.id, "expires": self.expires})),
        ]);
        payload.extend(self.staging.request.clone());
        Value::Object(payload)
    }

    /// The days under which the ledger may have what became of the restore.
    pub(crate) fn days(&self) -> [Date; 2] {
        let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
        [day(self.asked_at), day(self.asked_at + SignedDuration::from_hours(24))]
    }

    /// The instant to which it is restored, by itself or with its set; `None` of a recovery point as a whole.
    pub(crate) fn wanted(&self) -> Option<Timestamp> {
        self.instant.or(match &self.choice.to {
            To::Instant(instant) => Some(*instant),
            To::Point(_) => None,
        })
    }

    /// Up to when what is missing counts as lost: the wanted instant; of a recovery point, when the restore was asked for.
    pub(crate) fn until(&self) -> Timestamp {
        self.wanted().unwrap_or(self.asked_at)
    }

    /// What is asked of the heartbeats in what was restored.
    pub(crate) fn question(&self) -> Question<'_> {
        Question {
            resource: &self.resource,
            restored_to: self.wanted(),
            // Of a set the instant is chosen after its drill was begun.
            asked_at: self.asked_at.max(self.until()),
            rhythm: Rhythm::default(),
        }
    }

    /// Of when the restored state is, as far as restore-database or its name says.
    pub(crate) fn restored_state(&self) -> Timestamp {
        let named = match (&self.choice.to, self.instant) {
            (To::Instant(instant), _) => *instant,
            (To::Point(_), Some(instant)) => instant,
            (To::Point(id), None) => id.parts().map_or(self.asked_at, |parts| parts.slot.instant()),
        };
        self.as_of.unwrap_or(named)
    }

    /// Whether it has lasted longer than it may.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        now > self.expires
    }

    /// What it costs if it ends then. Nothing is billed for less than ten minutes (RDS and `ElastiCache` pricing pages).
    pub(crate) fn cost_micro_usd(&self, end: Timestamp) -> u64 {
        let seconds = end.duration_since(self.asked_at).as_secs().max(600).unsigned_abs();
        self.staging.micro_usd_an_hour.saturating_mul(seconds).div_ceil(3_600)
    }

    /// The entry in the ledger that says so, with its detail.
    pub(crate) fn entry(&self, kind: &'static str, outcome: Outcome, now: Timestamp) -> Entry {
        Entry {
            day: self.days()[0],
            at: now,
            function: NAME,
            kind,
            resource: self.resource.clone(),
            subject: self.id.clone(),
            region: self.staging.region.clone(),
            outcome,
            detail: Map::new(),
        }
    }

    /// The entry that holds the verdict, and all that is known of it.
    pub(crate) fn verdict_entry(&self, judged: &Judged) -> Entry {
        let (kind, outcome) = match &judged.verdict {
            Verdict::Passed => ("drill-passed", Outcome::Completed),
            Verdict::Failed { code, .. } => ("drill-failed", Outcome::Failed(code.clone())),
        };
        let mut entry = self.entry(kind, outcome, judged.at);
        let says = match &judged.verdict {
            Verdict::Passed => Value::Null,
            Verdict::Failed { says, .. } => says.clone().into(),
        };
        let detail = [
            ("way", json!(self.choice.way)),
            ("to", json!(self.choice.to)),
            ("set", json!(self.set.as_ref().map(|of| &of.set))),
            ("asked_by", json!(self.by)),
            ("asked_at", json!(self.asked_at)),
            ("plan", json!(self.plan)),
            ("restored_as", json!(self.name)),
            ("restore_id", json!(self.restore_id)),
            ("class", json!(self.staging.class)),
            ("source_bytes", json!(self.bytes)),
            ("phases", json!(self.phases)),
            ("duration_ms", json!(self.phases.duration_ms)),
            ("rto_ms", json!(self.objectives.rto_ms)),
            ("rpo_ms", json!(self.objectives.rpo_ms)),
            ("loss", json!(judged.loss)),
            ("unchecked", json!(judged.unchecked)),
            ("first_failure", says),
            ("evidence", judged.evidence.clone()),
        ];
        entry.detail.extend(detail.map(|(key, value)| (key.to_owned(), value)));
        entry
    }

    /// What stays of it when it is over.
    pub(crate) fn past(&self, judged: &Judged, now: Timestamp) -> Past {
        Past {
            id: self.id.clone(),
            way: self.choice.way,
            region: self.choice.region,
            to: self.choice.to.clone(),
            asked_at: self.asked_at,
            judged_at: judged.at,
            verdict: judged.verdict.clone(),
            bytes: self.bytes,
            class: self.staging.class.clone(),
            phases: self.phases,
            loss: judged.loss,
            objectives: self.objectives,
            unchecked: judged.unchecked.clone(),
            cost_micro_usd: self.cost_micro_usd(now),
            set: self.set.as_ref().map(|of| of.set.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_say_what_they_are_of() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let id = Drill::id_of(&ResourceId::rds("orders"), now, "yzryht");
        assert_eq!(id, "drill-rds-orders-20261122t100000z-yzryht");
        assert_eq!(Drill::name_of(&ResourceId::rds("orders"), &id), "tidemark-drill-orders-5f1d674cc8");
    }

    proptest! {
        /// What restore-database takes for a name of any engine.
        #[test]
        fn every_name_is_one(name in "[a-zA-Z0-9][a-zA-Z0-9-]{0,63}", second in 0_i64..4_000_000_000) {
            let resource = ResourceId::turso(name);
            let id = Drill::id_of(&resource, Timestamp::from_second(second).unwrap(), "yzryht");
            let called = Drill::name_of(&resource, &id);
            prop_assert!(called.starts_with(PREFIX) && called.len() <= 40, "{called}");
            prop_assert!(!called.contains("--") && !called.ends_with('-'), "{called}");
            prop_assert!(called.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{called}");
            prop_assert!(id.len() <= 100, "{id}");
        }
    }
}
