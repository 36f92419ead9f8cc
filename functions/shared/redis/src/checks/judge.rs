//! Whether what was counted is what the recovery point says: pure.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Counted, Expected, Fault, FaultKind, Finding, Note, Place, Remark, Walk};
use crate::rdb::Kind;

/// Compares what a walk has counted, in all shards.
pub(super) fn judge(walk: &mut Walk, expected: Option<&Expected>, now: Timestamp) {
    let Some(expected) = expected else {
        walk.evidence.note(Note::new(Place::default(), Remark::NotCompared));
        return;
    };
    if !expected.knows_expiries() {
        walk.evidence.note(Note::new(Place::default(), Remark::ExpiriesNotKnown));
    }
    let at = walk.counted_at.unwrap_or(now);
    let gone = expected.gone_at(at);
    let is_whole = walk.counted.values().all(|counted| counted.is_counted || counted.is_whole);
    let found: u64 = walk.counted.values().map(Counted::found).sum();
    let range = expected.keys_at(at);
    if is_whole && found < *range.start() {
        let said = format!(
            "{found} keys are there, and of {} at least {} should be",
            expected.total.total,
            range.start()
        );
        walk.evidence.find(Finding::new(Place::default(), different(said)));
    }
    if walk.counted.values().all(|counted| counted.is_counted) && found > *range.end() {
        if found > expected.total.total {
            let said = format!("{found} keys are there, and the recovery point has {}", expected.total.total);
            walk.evidence.find(Finding::new(Place::default(), different(said)));
        } else {
            walk.evidence.note(Note::new(Place::default(), Remark::ExpiredStillCounted));
        }
    }
    databases(walk, expected, gone);
    // Keys were listed after they were counted, and may have expired in between.
    kinds(walk, expected, gone.max(expected.gone_at(now)));
    if let Some(found) = walk.functions
        && found < expected.functions
    {
        let said = format!(
            "{found} function libraries are there, and the recovery point has {}",
            expected.functions
        );
        walk.evidence.find(Finding::new(Place::default(), different(said)));
    }
}

fn databases(walk: &mut Walk, expected: &Expected, gone: u64) {
    for (database, keys) in &expected.databases {
        let counted = walk.counted.get(database).cloned().unwrap_or_default();
        let fewest = Expected::fewest(keys, gone);
        if (counted.is_counted || counted.is_whole) && counted.found() < fewest
            || !walk.counted.contains_key(database) && fewest > 0
        {
            let said = format!(
                "{} keys are there, and of {} at least {fewest} should be",
                counted.found(),
                keys.total
            );
            walk.evidence.find(Finding::new(Place::database(*database), different(said)));
        }
    }
    let further = expected.in_further_databases() > 0;
    let counted = walk.counted.iter().filter(|(_, counted)| counted.is_counted);
    let more = counted.filter_map(|(database, counted)| match expected.databases.get(database) {
        Some(keys) => (counted.keys > keys.total).then_some((*database, counted.keys, keys.total)),
        // It may be one of those that are not told one by one.
        None => (counted.keys > 0 && !further).then_some((*database, counted.keys, 0)),
    });
    for (database, found, told) in more.collect::<Vec<_>>() {
        let said = format!("{found} keys are there, and the recovery point has {told}");
        walk.evidence.find(Finding::new(Place::database(database), different(said)));
    }
}

/// `SCAN` gives every key at least once, so too few is for certain; too many is not.
fn kinds(walk: &mut Walk, expected: &Expected, gone: u64) {
    if !walk.counted.values().all(|counted| counted.is_whole) {
        return;
    }
    let mut found: BTreeMap<Kind, u64> = BTreeMap::new();
    for (name, count) in &walk.types {
        *found.entry(kind(name)).or_default() += count;
    }
    for (kind, told) in &expected.kinds {
        let (found, fewest) = (found.get(kind).copied().unwrap_or(0), told.saturating_sub(gone));
        if found < fewest {
            let said = format!("{found} keys are there, and of {told} at least {fewest} should be");
            walk.evidence.find(Finding::new(Place::kind(name(*kind)), different(said)));
        }
    }
    for (kind, found) in found.iter().filter(|(kind, _)| !expected.kinds.contains_key(kind)) {
        let said = format!("{found} keys are there, and the recovery point has none");
        walk.evidence.find(Finding::new(Place::kind(name(*kind)), different(said)));
    }
}

impl Counted {
    /// By the server's own count; where it has none, by the keys that it gave.
    const fn found(&self) -> u64 {
        if self.is_counted { self.keys } else { self.listed }
    }
}

fn different(message: String) -> Fault {
    Fault::new(FaultKind::Different, message)
}

/// What `TYPE` says of it.
const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "string",
        Kind::List => "list",
        Kind::Set => "set",
        Kind::SortedSet => "zset",
        Kind::Hash => "hash",
        Kind::Stream => "stream",
        Kind::Array => "array",
        Kind::Module => "module",
    }
}

/// What `TYPE` means. Modules name their types as they like.
fn kind(name_of: &str) -> Kind {
    Kind::ALL.into_iter().find(|kind| name(*kind) == name_of).unwrap_or(Kind::Module)
}
