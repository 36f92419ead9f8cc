//! Restores and drills, and what was deleted.

use std::cmp::Reverse;

use domain::drill::history::Loss;
use report::{Deletion, Deletions, Restore};
use serde::Deserialize;
use serde_json::Value;

use super::plan_name;
use crate::{
    recorded::{at, resource, text},
    seen::Seen,
};

/// The kind of the entry that says what a person's restore lost.
const MEASURED: &str = "restore-measured";

/// So many deletions are listed.
const LISTED: usize = 100;

/// The newest first.
pub(super) fn all(seen: &Seen) -> Vec<Restore> {
    let entries = seen.recorded.iter().flat_map(|recorded| &recorded.restores);
    let (measured, over): (Vec<&Value>, Vec<&Value>) = entries.partition(|entry| entry["kind"] == MEASURED);
    let mut restores: Vec<Restore> = over.into_iter().filter_map(|entry| restore(seen, entry)).collect();
    for entry in measured {
        // A restore that is to be told is never told without what is wrong with it.
        let of_it = |restore: &&mut Restore| Some(restore.id.as_str()) == entry["subject"].as_str();
        if let Some(restore) = restores.iter_mut().find(of_it) {
            restore.loss = loss(entry);
            restore.failed = restore.failed.take().or_else(|| code(entry));
        }
    }
    restores.sort_by_key(|restore| Reverse(restore.at));
    restores
}

fn restore(seen: &Seen, entry: &Value) -> Option<Restore> {
    let resource = resource(entry)?;
    let plan = plan_name(seen, &resource).and_then(|name| seen.plans.as_ref()?.get(name));
    // A drill says what was promised then.
    let promised = entry["rto_ms"].as_i64().map(|ms| ms / 1_000);
    Some(Restore {
        id: text(entry, "subject"),
        at: at(entry)?,
        is_drill: entry["kind"].as_str()?.starts_with("drill-"),
        duration_ms: entry["duration_ms"].as_i64(),
        rto_seconds: promised.or_else(|| plan.map(|plan| plan.objectives.rto.as_secs())),
        failed: code(entry),
        loss: loss(entry),
        resource,
    })
}

/// The error's code, if it did not go well.
fn code(entry: &Value) -> Option<String> {
    entry["outcome"]["failed"].as_str().map(str::to_owned)
}

fn loss(entry: &Value) -> Option<Loss> {
    Loss::deserialize(&entry["loss"]).ok()
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
