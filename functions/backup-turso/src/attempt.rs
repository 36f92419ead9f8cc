//! What the ledger knows of attempts at a slot.

use std::collections::BTreeSet;

use domain::{RecoveryPointId, ResourceId, Slot};
use reconcile::EntryKey;
use turso::Database;

/// How many copies are tried for one slot. A third damaged one is no accident.
const ATTEMPTS: u32 = 3;

/// The names that a slot's recovery point may have, one for each attempt.
pub(crate) fn ids(database: &Database, slot: Slot) -> impl Iterator<Item = RecoveryPointId> {
    ids_of(&database.name, &database.id, slot)
}

/// The same of a database that may be gone, by its name and id.
pub(crate) fn ids_of(name: &str, id: &str, slot: Slot) -> impl Iterator<Item = RecoveryPointId> {
    (1..=ATTEMPTS).map(move |attempt| RecoveryPointId::new(name, id, slot, attempt))
}

/// The name under which to try next; `None` once all have failed.
pub(crate) fn next(
    database: &Database,
    slot: Slot,
    region: &str,
    recorded: Option<&BTreeSet<EntryKey>>,
) -> Option<RecoveryPointId> {
    ids(database, slot).find(|id| {
        let resource = ResourceId::turso(&database.name);
        let failed = format!("{}/{resource}/{id}/{region}/recovery-point-failed", slot.utc_date());
        let first = EntryKey::from_stored(failed.clone());
        let found = recorded.and_then(|recorded| recorded.range(first..).next());
        !found.is_some_and(|key| key.as_str().starts_with(&failed))
    })
}
