//! Restores and drills, and what was deleted.

use std::cmp::Reverse;

use report::{Deletion, Deletions, Restore};
use serde_json::Value;

use super::plan_name;
use crate::{
    recorded::{at, resource, text},
    seen::Seen,
};

/// So many deletions are listed.
const LISTED: usize = 100;

/// The newest first.
pub(super) fn all(seen: &Seen) -> Vec<Restore> {
    let entries = seen.recorded.iter().flat_map(|recorded| &recorded.restores);
    let mut restores: Vec<Restore> = entries.filter_map(|entry| restore(seen, entry)).collect();
    restores.sort_by_key(|restore| Reverse(restore.at));
    restores
}

fn restore(seen: &Seen, entry: &Value) -> Option<Restore> {
    let resource = resource(entry)?;
    let plan = plan_name(seen, &resource).and_then(|name| seen.plans.as_ref()?.get(name));
    // A drill says what was promised then.
    let promised = entry["rto_ms"].as_i64().map(|ms| ms / 1_000);
    let failed = entry["outcome"]["failed"].as_str().map(str::to_owned);
    Some(Restore {
        id: text(entry, "subject"),
        at: at(entry)?,
        is_drill: entry["kind"].as_str()?.starts_with("drill-"),
        duration_ms: entry["duration_ms"].as_i64(),
        rto_seconds: promised.or_else(|| plan.map(|plan| plan.objectives.rto.as_secs())),
        failed,
        resource,
    })
}

/// What was deleted, the newest first.
pub(super) fn deletions(seen: &Seen) -> Deletions {
    let Some(recorded) = &seen.recorded else { return Deletions::default() };
    let mut all: Vec<Deletion> = recorded.deletions.iter().filter_map(deletion).collect();
    all.sort_by_key(|deletion| Reverse(deletion.at));
    let bytes = all.iter().filter_map(|deletion| deletion.bytes).fold(0, u64::saturating_add);
    all.truncate(LISTED);
    Deletions { count: recorded.deleted, bytes, shown: all }
}

fn deletion(entry: &Value) -> Option<Deletion> {
    let why = match &entry["why"] {
        Value::String(why) => vec![why.clone()],
        Value::Array(whys) => whys.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    Some(Deletion {
        resource: resource(entry)?,
        id: text(entry, "subject"),
        region: text(entry, "region"),
        at: at(entry),
        why,
        bytes: entry["bytes"].as_u64(),
    })
}
