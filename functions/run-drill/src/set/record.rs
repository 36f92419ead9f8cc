//! What is remembered of the drills of one recovery set.

use domain::{
    CrossAssertion, RecoverySet, ResourceId,
    drill::{
        PREFIX,
        history::{DOCUMENTS, Verdict},
    },
};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Documents, Entry, Outcome, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{NAME, drill::Drill, observe::Candidate, record};

/// The document: `drills/sets/shop.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SetRecord {
    /// Since when the set is known.
    pub(crate) since: Timestamp,
    /// When somebody asked for a drill that was not begun yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wanted: Option<Timestamp>,
    /// The drill under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) under_way: Option<SetDrill>,
    /// Those that are over, the last one last.
    #[serde(default)]
    pub(crate) past: Vec<SetPast>,
}

/// A drill of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetDrill {
    /// Its id, which everything that it makes carries.
    pub(crate) id: String,
    /// Which set.
    pub(crate) set: String,
    /// What the names of what it makes begin with.
    pub(crate) name: String,
    /// When it was begun.
    pub(crate) asked_at: Timestamp,
    /// From when on nobody needs what it made.
    pub(crate) expires: Timestamp,
    /// Who asked for it.
    pub(crate) by: String,
    /// The drill of each member; what is restored, and as what, is known once they are begun.
    pub(crate) members: Vec<Drill>,
    /// What must hold across them, as the plans said when it was begun.
    #[serde(default)]
    pub(crate) assertions: Vec<CrossAssertion>,
    /// What came of those that were asked so far.
    #[serde(default)]
    pub(crate) told: Vec<Told>,
    /// The instant to which they are restored, once restore-database has chosen it: from then on each has its document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instant: Option<Timestamp>,
    /// How long the slowest of its members took, from its request to its last check, once all are checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duration_ms: Option<u64>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judged: Option<SetJudged>,
    /// Whether that stands in the ledger: then its members may be torn down.
    #[serde(default)]
    pub(crate) is_released: bool,
}

/// What came of an assertion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) assertion: String,
    pub(crate) holds: bool,
    /// The two numbers, or why there are none.
    pub(crate) found: String,
}

/// What became of a drill of a set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SetJudged {
    pub(crate) at: Timestamp,
    pub(crate) verdict: Verdict,
    /// What was asked across the stores, and what they answered.
    pub(crate) evidence: Value,
}

/// A drill of a set that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SetPast {
    /// Its id.
    pub(crate) id: String,
    /// When it was begun.
    pub(crate) asked_at: Timestamp,
    /// When the verdict was given.
    pub(crate) judged_at: Timestamp,
    /// How long the slowest of its members took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) duration_ms: Option<u64>,
    /// What it was.
    pub(crate) verdict: Verdict,
}

/// A set of which a drill could be begun.
#[derive(Debug)]
pub(crate) struct SetCandidate {
    pub(crate) set: RecoverySet,
    pub(crate) members: Vec<Candidate>,
}

/// A record as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptSet {
    pub(crate) name: String,
    pub(crate) record: SetRecord,
    /// Which version of the document; `None` where there is none.
    pub(crate) version: Option<String>,
}

/// The name of the document about a set's drills.
pub(crate) fn document(set: &str) -> String {
    format!("{DOCUMENTS}sets/{set}.json")
}

impl KeptSet {
    pub(crate) fn new(name: &str, since: Timestamp) -> Self {
        let record = SetRecord { since, wanted: None, under_way: None, past: Vec::new() };
        Self { name: name.to_owned(), record, version: None }
    }

    pub(crate) async fn read(documents: &impl Documents, set: &str) -> Result<Option<Self>> {
        let found = record::read(documents, &document(set)).await?;
        Ok(found.map(|(record, version)| Self { name: set.to_owned(), record, version: Some(version) }))
    }

    /// Writes it down. If somebody else did meanwhile, nothing is changed and this invocation stops.
    pub(crate) async fn save(&mut self, documents: &impl Documents) -> Result<()> {
        record::forget(&mut self.record.past);
        record::write(documents, &document(&self.name), &self.record, &mut self.version).await
    }
}

impl SetDrill {
    /// What findings and entries about a set are about.
    pub(crate) fn resource(set: &str) -> ResourceId {
        ResourceId::tidemark(format!("recovery-set-{set}"))
    }

    /// The id of a drill of that set that is begun now.
    pub(crate) fn id_of(set: &str, now: Timestamp, mark: &str) -> String {
        format!("drill-set-{set}-{}-{mark}", now.strftime("%Y%m%dt%H%M%Sz"))
    }

    /// What the names of what it makes begin with: short, for each member's name comes after it.
    pub(crate) fn name_of(now: Timestamp) -> String {
        format!("{PREFIX}{}", now.strftime("%y%m%d%H%M%S"))
    }

    /// What restore-database is asked: the same, however often.
    pub(crate) fn payload(&self) -> Value {
        let wishes = self.members.iter().filter(|member| !member.staging.request.is_empty());
        let wishes: Map<String, Value> =
            wishes.map(|member| (member.resource.to_string(), json!(member.staging.request))).collect();
        json!({
            "set": self.set,
            "to": "latest",
            "as": self.name,
            "drill": {"id": self.id, "expires": self.expires},
            "wishes": wishes,
        })
    }

    /// The entry that holds the verdict.
    pub(crate) fn verdict_entry(&self, judged: &SetJudged) -> Entry {
        let (kind, outcome, says) = match &judged.verdict {
            Verdict::Passed => ("drill-passed", Outcome::Completed, Value::Null),
            Verdict::Failed { code, says } => ("drill-failed", Outcome::Failed(code.clone()), json!(says)),
        };
        let members: Vec<Value> = self
            .members
            .iter()
            .map(|member| json!({"resource": member.resource, "drill": member.id}))
            .collect();
        let detail = [
            ("set", json!(self.set)),
            ("set_instant", json!(self.instant)),
            ("asked_by", json!(self.by)),
            ("asked_at", json!(self.asked_at)),
            ("members", json!(members)),
            ("duration_ms", json!(self.duration_ms)),
            ("first_failure", says),
            ("evidence", judged.evidence.clone()),
        ];
        let day = self.asked_at.to_zoned(jiff::tz::TimeZone::UTC).date();
        Entry {
            day,
            at: judged.at,
            function: NAME,
            kind,
            resource: Self::resource(&self.set),
            subject: self.id.clone(),
            region: "any".to_owned(),
            outcome,
            detail: detail.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        }
    }

    /// Whether it has gone on for too long.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        now.duration_since(self.expires) > SignedDuration::ZERO
    }
}
