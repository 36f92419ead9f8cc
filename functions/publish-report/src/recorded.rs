//! What the ledger says of some days: which recovery points were made, failed and deleted, by their keys, and of what
//! matters the entries themselves, as many as are worth a call each.

use std::collections::{BTreeMap, BTreeSet};

use domain::{RecoveryPointId, ResourceId};
use futures::{StreamExt, stream};
use jiff::{Timestamp, civil::Date};
use reconcile::{EntryKey, Ledger, Result};
use report::Cut;
use serde_json::Value;

/// Entries that are read at the same time.
const AT_ONCE: usize = 32;
/// Days whose keys are listed at the same time.
const DAYS_AT_ONCE: usize = 4;
/// So many restores and drills are read, the newest first.
const RESTORES: usize = 500;
/// So many deletions.
const DELETIONS: usize = 500;
/// So many recovery points, each resource's newest first.
const POINTS: usize = 3_000;

/// What the ledger says.
#[derive(Debug, Default)]
pub struct Recorded {
    /// What is known of each recovery point by the keys alone.
    pub points: BTreeMap<(ResourceId, RecoveryPointId), Known>,
    /// Entries about recovery points that were completed at home.
    pub completed: Vec<Value>,
    /// Entries about restores and drills that are over.
    pub restores: Vec<Value>,
    /// Entries about recovery points that were deleted.
    pub deletions: Vec<Value>,
    /// How many were deleted.
    pub deleted: usize,
    /// Where less was read than there is.
    pub cut: Vec<Cut>,
}

/// What the keys of a recovery point's entries say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// It was completed, at home.
    pub is_completed: bool,
    /// It failed, at home.
    pub has_failed: bool,
    /// A later look found it damaged.
    pub is_unverified: bool,
}

impl Recorded {
    /// Reads the entries filed under those days. A list call for each 1,000 keys; of what is read itself, one call each.
    pub(crate) async fn read(ledger: &impl Ledger, days: &BTreeSet<Date>) -> Result<Self> {
        let mut sorted = Sorted::default();
        let mut lists = stream::iter(days)
            .map(async |day| ledger.keys(&BTreeSet::from([*day])).await)
            .buffered(DAYS_AT_ONCE);
        let mut recorded = Self::default();
        while let Some(keys) = lists.next().await {
            for key in keys? {
                sorted.file(key, &mut recorded.points);
            }
        }
        drop(lists);
        recorded.deleted = sorted.deletions.len();
        let mut cut = Vec::new();
        let mut newest = |what: &str, mut keys: Vec<EntryKey>, most: usize| {
            // By day, the newest first.
            keys.sort_unstable_by(|one, other| other.cmp(one));
            if keys.len() > most {
                cut.push(Cut { what: what.to_owned(), shown: most, of: keys.len() });
                keys.truncate(most);
            }
            keys
        };
        let restores = newest("restores and drills", sorted.restores, RESTORES);
        let deletions = newest("deleted recovery points that are listed", sorted.deletions, DELETIONS);
        let (all, completed) = fair(sorted.completed);
        if completed.len() < all {
            cut.push(Cut {
                what: "recovery points whose durations were read".to_owned(),
                shown: completed.len(),
                of: all,
            });
        }
        recorded.restores = entries(ledger, restores).await?;
        recorded.deletions = entries(ledger, deletions).await?;
        recorded.completed = entries(ledger, completed).await?;
        recorded.cut = cut;
        Ok(recorded)
    }
}

/// Keys by what they are about.
#[derive(Default)]
struct Sorted {
    restores: Vec<EntryKey>,
    deletions: Vec<EntryKey>,
    completed: BTreeMap<ResourceId, Vec<EntryKey>>,
}

impl Sorted {
    fn file(&mut self, key: EntryKey, points: &mut BTreeMap<(ResourceId, RecoveryPointId), Known>) {
        let Some(parts) = key.filed() else { return };
        let ends =
            ["restore-completed", "restore-failed", "restore-measured", "drill-passed", "drill-failed"];
        if ends.iter().any(|kind| parts.is(kind)) {
            // The restore within a drill is the drill's.
            if !parts.is_of_a_drill() {
                self.restores.push(key);
            }
            return;
        }
        let id = RecoveryPointId::from(parts.subject);
        if id.parts().is_none() {
            return;
        }
        if parts.is("recovery-point-deleted") {
            return self.deletions.push(key);
        }
        let (is_completed, has_failed, is_unverified) = (
            parts.is("recovery-point-completed"),
            parts.is("recovery-point-failed"),
            parts.is("recovery-point-unverified"),
        );
        if is_completed || has_failed || is_unverified {
            let known = points.entry((parts.resource.clone(), id)).or_default();
            known.is_completed |= is_completed;
            known.has_failed |= has_failed;
            known.is_unverified |= is_unverified;
        }
        if is_completed {
            let resource = parts.resource;
            self.completed.entry(resource).or_default().push(key);
        }
    }
}

/// As many as are read of how many there are: the newest of each resource, then the one before of each, and so on.
fn fair(completed: BTreeMap<ResourceId, Vec<EntryKey>>) -> (usize, Vec<EntryKey>) {
    let all = completed.values().map(Vec::len).sum();
    let mut ranked: Vec<(usize, EntryKey)> = Vec::new();
    for mut keys in completed.into_values() {
        keys.sort_unstable_by(|one, other| other.cmp(one));
        ranked.extend(keys.into_iter().take(POINTS).enumerate());
    }
    ranked.sort_unstable();
    ranked.truncate(POINTS);
    (all, ranked.into_iter().map(|(_, key)| key).collect())
}

/// The entries themselves, in no order. One that is unreadable is nobody's, and is left out.
async fn entries(ledger: &impl Ledger, keys: Vec<EntryKey>) -> Result<Vec<Value>> {
    let mut read = stream::iter(keys).map(async |key| ledger.get(&key).await).buffer_unordered(AT_ONCE);
    let mut entries = Vec::new();
    while let Some(entry) = read.next().await {
        match entry {
            Ok(entry) => entries.extend(entry),
            Err(error) if error.code() == "LedgerUnreadable" => {
                tracing::warn!(error.code = error.code(), "{}", error.report());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(entries)
}

/// When an entry was written.
pub(crate) fn at(entry: &Value) -> Option<Timestamp> {
    entry["at"].as_str()?.parse().ok()
}

/// What it is about.
pub(crate) fn resource(entry: &Value) -> Option<ResourceId> {
    ResourceId::try_from(entry["resource"].as_str()?.to_owned()).ok()
}

/// A text in it.
pub(crate) fn text(entry: &Value, key: &str) -> String {
    entry[key].as_str().unwrap_or_default().to_owned()
}
