//! What stands in the marks of what was found damaged.

use std::collections::BTreeMap;

use domain::{RecoveryPointId, ResourceId, retention::Region};
use inventory::{Inventory, Marks};
use jiff::Timestamp;
use reconcile::Result;
use serde::{Deserialize, Serialize};
use vault::Store;

use crate::memory::Place;

/// Of so many it is read what was found; of the others it is known that they are damaged.
const MOST: usize = 200;

/// A mark: `marks/turso/shop/<recovery point>/2026-11-23T02:30:00.000Z-unverified-at-home`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doubt {
    /// Of what.
    pub(crate) resource: ResourceId,
    pub(crate) recovery_point: RecoveryPointId,
    /// Who doubts.
    pub(crate) function: String,
    /// In which Region.
    pub(crate) region: String,
    /// When it was found.
    pub(crate) at: Timestamp,
    /// What, as a stable code, and in words: what is expected, and what was found.
    pub(crate) code: String,
    pub(crate) says: String,
}

/// What is marked as damaged; `None` where the mark does not tell what was found.
pub(crate) type Doubts = BTreeMap<Place, Option<Doubt>>;

/// Reads the marks of what there is: one list call for each 1,000 marks, and a call for each that doubts.
pub(crate) async fn read<S: Store>(vault: &S, recovery_vault: &S, inventory: &Inventory) -> Result<Doubts> {
    let marks = Marks::read(&[vault, recovery_vault]).await?;
    let mut doubts = Doubts::new();
    for (_, points) in inventory.known() {
        for point in points {
            for region in Region::ALL.into_iter().filter(|region| point.holding(*region).is_some()) {
                let Some(key) = marks.doubt(&point.resource, &point.id, region) else { continue };
                let doubt =
                    if doubts.len() < MOST { doubt(&[vault, recovery_vault], key).await } else { None };
                let place = Place { resource: point.resource.clone(), id: point.id.clone(), region };
                doubts.insert(place, doubt);
            }
        }
    }
    Ok(doubts)
}

/// What the mark says, from whichever vault has it. One that says nothing that is understood, or does not answer, still doubts.
async fn doubt<S: Store>(vaults: &[&S], key: &str) -> Option<Doubt> {
    for vault in vaults {
        match vault.read_whole(key).await {
            Ok(Some(text)) => return serde_json::from_slice(&text).ok(),
            Ok(None) => {}
            Err(error) => tracing::warn!(error.code = error.code(), "{}", error.report()),
        }
    }
    None
}
