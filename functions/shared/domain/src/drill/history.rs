//! What stays of drills: for the choice of the next one, for what is measured, and for reports.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Measured, To, Way};
use crate::{ResourceId, retention::Region};

/// What the names of all documents about drills begin with, in the state bucket.
pub const DOCUMENTS: &str = "drills/";

/// The name of the document about one resource's drills: `drills/rds/orders.json`.
pub fn document(resource: &ResourceId) -> String {
    format!("{DOCUMENTS}{resource}.json")
}

/// The resource that the document of that name is about.
pub fn resource(document: &str) -> Option<ResourceId> {
    let name = document.strip_prefix(DOCUMENTS)?.strip_suffix(".json")?;
    ResourceId::try_from(name.to_owned()).ok()
}

/// The drills of one resource that are over, the last one last. Of its document's keys those that others than run-drill read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// The drills.
    #[serde(default)]
    pub past: Vec<Past>,
}

/// A drill that is over: restored or not, checked or not, and torn down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// Its id, under which the ledger has it.
    pub id: String,
    /// How it was restored.
    pub way: Way,
    /// Where.
    pub region: Region,
    /// To which state.
    pub to: To,
    /// When the restore was asked for.
    pub asked_at: Timestamp,
    /// When the verdict was given.
    pub judged_at: Timestamp,
    /// What it was.
    pub verdict: Verdict,
    /// How large the source was.
    pub bytes: u64,
    /// The class of the instance or node that was restored into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// How long each phase took.
    pub phases: Phases,
    /// What was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// What the plan promised then.
    pub objectives: Promised,
    /// What was not checked although it should have been, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<String>,
    /// What it cost, by an estimate that is rather too high.
    pub cost_micro_usd: u64,
    /// The recovery set that it was drilled with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
}

/// Whether what was restored is what was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Verdict {
    /// Restored, every check held.
    Passed,
    /// Not restored, a check failed, or nothing could be checked.
    Failed {
        /// A stable code.
        code: String,
        /// The first thing that failed.
        says: String,
    },
}

/// How long each phase of a drill took, in milliseconds; `None` for one that it did not come to. It is time in which somebody worked
/// or the provider did: that which passed until the next tick is not a restore's, and is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// Until the provider had taken the request on.
    pub accepted_ms: Option<u64>,
    /// From the request until it was available.
    pub creating_ms: Option<u64>,
    /// From there until the first query was answered.
    pub first_query_ms: Option<u64>,
    /// How long was checked, until the last check had passed.
    pub checks_ms: Option<u64>,
    /// From the request until the first query was answered: what a person would wait.
    pub restore_ms: Option<u64>,
    /// The request, the restore and the checks together: what the objective is measured by.
    pub duration_ms: Option<u64>,
}

/// What a restore lost, in short; the ledger has it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// By a heartbeat in the restored database; otherwise by what the provider says.
    pub is_measured: bool,
    /// No less than that. The same as `at_most_ms` if it was not measured.
    pub at_least_ms: u64,
    /// No more than that.
    pub at_most_ms: u64,
}

/// What the plan promised, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promised {
    /// How much may be lost.
    pub rpo_ms: u64,
    /// How long a restore may take.
    pub rto_ms: u64,
}

impl History {
    /// The last one that passed.
    pub fn last_passed(&self) -> Option<&Past> {
        self.past.iter().rev().find(|past| past.verdict == Verdict::Passed)
    }

    /// How they were restored, the last one last. How a set is, nobody chooses: its drills take nobody's turn.
    pub fn ways(&self) -> Vec<Way> {
        self.past.iter().filter(|past| past.set.is_none()).map(|past| past.way).collect()
    }

    /// What those that passed measured, for [`super::forecast`].
    pub fn measured(&self) -> Vec<Measured> {
        self.past.iter().filter_map(Past::measured).collect()
    }
}

impl Past {
    /// Whether it passed.
    pub fn has_passed(&self) -> bool {
        self.verdict == Verdict::Passed
    }

    fn measured(&self) -> Option<Measured> {
        let duration_ms = self.phases.duration_ms.filter(|_| self.has_passed())?;
        Some(Measured { at: self.asked_at, bytes: self.bytes, duration_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_named_after_its_resource() {
        for of in [ResourceId::rds("orders"), ResourceId::redis("sessions"), ResourceId::turso("shop")] {
            assert_eq!(resource(&document(&of)), Some(of));
        }
        assert_eq!(document(&ResourceId::rds("orders")), "drills/rds/orders.json");
        for none in
            ["drills/rds/.json", "drills/orders.json", "restores/rds/orders.json", "drills/budget.json"]
        {
            assert_eq!(resource(none), None, "{none}");
        }
    }

    #[test]
    fn only_what_passed_is_measured() {
        let text = r#"{"under_way": {"whatever": 1}, "past": [
            {"id": "drill-rds-orders-20261002t070000z", "way": "instant", "region": "home",
             "to": {"instant": "2026-10-01T12:00:00Z"}, "asked_at": "2026-10-02T07:00:00Z", "judged_at": "2026-10-02T07:40:00Z",
             "verdict": {"is": "passed"}, "bytes": 1, "class": "db.t4g.medium",
             "phases": {"creating_ms": 1, "duration_ms": 2400000},
             "loss": {"is_measured": true, "at_least_ms": 0, "at_most_ms": 42000},
             "objectives": {"rpo_ms": 900000, "rto_ms": 3600000}, "cost_micro_usd": 70000},
            {"id": "drill-rds-orders-20261102t070000z", "way": "newest", "region": "home",
             "to": {"point": "tidemark-orders-20261102t0300z-yzryht"}, "asked_at": "2026-11-02T07:00:00Z",
             "judged_at": "2026-11-02T07:40:00Z",
             "verdict": {"is": "failed", "code": "CheckFailed", "says": "public.orders, block 7: invalid page"},
             "bytes": 1, "phases": {"duration_ms": 1}, "objectives": {"rpo_ms": 900000, "rto_ms": 3600000},
             "cost_micro_usd": 70000}]}"#;
        let history: History = serde_json::from_str(text).unwrap();
        assert_eq!(history.ways(), [Way::Instant, Way::Newest]);
        assert_eq!(history.measured().len(), 1);
        assert_eq!(history.last_passed().unwrap().id, "drill-rds-orders-20261002t070000z");
        let again = serde_json::from_str(&serde_json::to_string(&history).unwrap()).unwrap();
        assert_eq!(history, again);
    }
}
