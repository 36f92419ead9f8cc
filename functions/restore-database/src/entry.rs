//! What the ledger holds of a restore.

use jiff::Timestamp;
use reconcile::{Entry, Outcome};
use serde_json::Map;

use crate::observe::Restored;

/// The codes under which a restore ends badly.
pub(crate) const FAILURES: [&str; 2] = [DEAD_END, FIRST_QUERY_FAILED];
pub(crate) const DEAD_END: &str = "RestoreFailed";
pub(crate) const FIRST_QUERY_FAILED: &str = "FirstQueryFailed";

/// An entry about a restore, filed under the day it was asked for.
pub(crate) fn entry(restored: &Restored, kind: &'static str, outcome: Outcome, now: Timestamp) -> Entry {
    Entry {
        day: restored.day(),
        at: now,
        function: "restore-database",
        kind,
        resource: restored.resource.clone(),
        subject: restored.id.clone(),
        region: restored.region.clone(),
        outcome,
        detail: Map::new(),
    }
}
