use domain::{
    RecoveryPointId, ResourceId, Slot,
    retention::{Region, Tier},
    tag,
};
use inventory::{Decided, Held, Published};
use jiff::{Timestamp, tz::TimeZone};
use plans::Plans;
use rds::{Rds, Tags};
use reconcile::{Documents, Done, Entry, Error, Ledger, Outcome, Result};
use serde_json::{Map, json};
use vault::{Configuration, point_prefix};

use crate::{NAME, Vault, delete, locks::Locks, observe::DeleteExpired};

/// What delete-expired can do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write down what was found to have happened.
    Record { entry: Box<Entry> },
    /// Lock what is kept, for as long as its tier asks for.
    Lock { resource: ResourceId, locks: Vec<Lock> },
    /// Say on a snapshot which tier it fills.
    Promote { region: Region, arn: String, tier: Tier },
    /// Delete a recovery point, in both Regions.
    Delete { held: Box<Held>, entry: Box<Entry> },
    /// Say that it would be deleted.
    WouldDelete { id: RecoveryPointId },
}

/// A recovery point in one vault, and until when it is to be locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub(crate) id: RecoveryPointId,
    pub(crate) slot: Slot,
    pub(crate) region: Region,
    pub(crate) until: Timestamp,
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Record { .. } => "record",
            Self::Lock { .. } => "lock-recovery-points",
            Self::Promote { .. } => "tag-snapshot",
            Self::Delete { .. } => "delete-recovery-point",
            Self::WouldDelete { .. } => "would-delete",
        }
    }

    fn failure(&self, _error: &Error, _now: Timestamp) -> Option<Entry> {
        // What is not deleted today is there tomorrow; a person hears of it by the finding.
        None
    }
}

/// The entry about a recovery point that was deleted as that plan has it.
pub(crate) fn deleted(
    resource: &ResourceId,
    decided: &Decided,
    published: &Published,
    region: &str,
    now: Timestamp,
) -> Entry {
    let mut detail = Map::new();
    detail.insert("plan".to_owned(), published.hash.clone().into());
    detail.insert("why".to_owned(), json!(decided.why));
    Entry {
        day: published.plan.made_at.to_zoned(TimeZone::UTC).date(),
        at: now,
        function: NAME,
        kind: "recovery-point-deleted",
        resource: resource.clone(),
        subject: decided.id.to_string(),
        region: region.to_owned(),
        outcome: Outcome::Completed,
        detail,
    }
}

/// Carries out `action`. Each is harmless to repeat.
pub(crate) async fn act<R: Rds, V: Vault, C: Configuration, L: Ledger, P: Plans, D: Documents>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    match action {
        Action::Record { entry } => Ok(Done { entries: vec![entry.as_ref().clone()], ..Done::default() }),
        Action::Lock { resource, locks } => lock(function, resource, locks, now).await,
        Action::Promote { region, arn, tier } => {
            let tags = Tags::from([(tag::TIER.to_owned(), tier.as_str().to_owned())]);
            function.rds(*region).tag_snapshot(arn, &tags).await?;
            Ok(Done::default().with("snapshot", arn.clone()).with("tier", tier.as_str()))
        }
        Action::Delete { held, entry } => delete::delete(function, held, entry, now).await,
        Action::WouldDelete { id } => Ok(Done::default().with("recovery_point", id.to_string())),
    }
}

impl<R, V, C, L, P, D> DeleteExpired<R, V, C, L, P, D> {
    pub(crate) fn rds(&self, region: Region) -> &R {
        match region {
            Region::Home => &self.home,
            Region::Recovery => &self.recovery,
        }
    }

    pub(crate) fn vault(&self, region: Region) -> &V {
        match region {
            Region::Home => &self.vault,
            Region::Recovery => &self.recovery_vault,
        }
    }
}

/// Extends each lock that is shorter, of every version of every object; then remembers it.
async fn lock<R: Rds, V: Vault, C: Configuration, L: Ledger, P: Plans, D: Documents>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    resource: &ResourceId,
    locks: &[Lock],
    now: Timestamp,
) -> Result<Done> {
    let (mut extended, mut remembered) = (0_usize, Vec::new());
    for Lock { id, slot, region, until } in locks {
        let vault = function.vault(*region);
        for version in vault.versions(&point_prefix(resource, *slot, id)).await? {
            let Some(protection) = vault.protection(&version).await? else { continue };
            // S3 keeps whole seconds.
            let is_shorter =
                protection.retained_until.is_none_or(|there| there.as_second() < until.as_second());
            if is_shorter && !version.is_delete_marker {
                vault.retain(&version, *until, protection.is_compliance).await?;
                extended += 1;
            }
        }
        remembered.push((id.clone(), *region, *until));
    }
    Locks::put(&function.documents, resource, &remembered, now).await?;
    Ok(Done::default().with("recovery_points", locks.len()).with("extended", extended))
}
