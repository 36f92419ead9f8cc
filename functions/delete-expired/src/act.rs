use domain::{
    RecoveryPointId, ResourceId, Slot,
    retention::{Region, Tier},
    tag,
};
use futures::{StreamExt, TryStreamExt, stream};
use inventory::{Decided, Held, Published};
use jiff::{Timestamp, tz::TimeZone};
use plans::Plans;
use rds::{Rds, Tags};
use reconcile::{Documents, Done, Entry, Error, Ledger, Outcome, Result};
use serde_json::{Map, json};
use vault::{Configuration, point_prefix};

use crate::{
    NAME, Vault, delete,
    locks::{Locked, Locks},
    observe::DeleteExpired,
};

/// What delete-expired can do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Write down what was found to have happened, once nothing is left of it.
    Record { gone: Gone, entry: Box<Entry> },
    /// Lock what is kept, for as long as its tier asks for.
    Lock { resource: ResourceId, locks: Vec<Lock> },
    /// Say on a snapshot which tier it fills.
    Promote { region: Region, arn: String, tier: Tier },
    /// Delete a recovery point, in both Regions. What stops that is remembered of one that is overdue.
    Delete { held: Box<Held>, entry: Box<Entry>, is_overdue: bool },
    /// Say that it would be deleted.
    WouldDelete { id: RecoveryPointId },
}

/// A recovery point in one vault, and until when it is to be locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub(crate) id: RecoveryPointId,
    pub(crate) slot: Slot,
    pub(crate) region: Region,
    pub(crate) made_at: Timestamp,
    pub(crate) until: Timestamp,
}

/// A recovery point that nobody sees any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    pub(crate) resource: ResourceId,
    pub(crate) id: RecoveryPointId,
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
        Action::Record { gone, entry } => delete::rest(function, gone, entry, now).await,
        Action::Lock { resource, locks } => lock(function, resource, locks, now).await,
        Action::Promote { region, arn, tier } => {
            let tags = Tags::from([(tag::TIER.to_owned(), tier.as_str().to_owned())]);
            function.rds(*region).tag_snapshot(arn, &tags).await?;
            Ok(Done::default().with("snapshot", arn.clone()).with("tier", tier.as_str()))
        }
        Action::Delete { held, entry, is_overdue } => {
            let deleted = delete::delete(function, held, entry, now).await;
            if *is_overdue {
                remember(&function.documents, held, &deleted, now).await;
            }
            deleted
        }
        Action::WouldDelete { id } => Ok(Done::default().with("recovery_point", id.to_string())),
    }
}

/// So that the next pass can tell what keeps it. Without that it is still tried, as before.
async fn remember(documents: &impl Documents, held: &Held, deleted: &Result<Done>, now: Timestamp) {
    let why = match deleted {
        Ok(done) => done.detail.get("left").and_then(|why| why.as_str()),
        Err(error) => Some(error.code()),
    };
    let Some(why) = why else { return };
    if let Err(error) = Locks::put_stopped(documents, &held.resource, &held.id, why, now).await {
        tracing::warn!(error.code = error.code(), "{}", error.report());
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

/// Looks at each lock, and extends it where it is shorter: of every version of every object. What was seen is remembered, also where
/// another recovery point stops the action.
async fn lock<R: Rds, V: Vault, C: Configuration, L: Ledger, P: Plans, D: Documents>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    resource: &ResourceId,
    locks: &[Lock],
    now: Timestamp,
) -> Result<Done> {
    let (mut extended, mut locked, mut failed) = (0, Vec::new(), None);
    for lock in locks {
        match lock_versions(function.vault(lock.region), resource, lock).await {
            Ok(count) => {
                let Lock { id, region, made_at, until, .. } = lock.clone();
                extended += count;
                locked.push(Locked { id, region, made_at, until, is_met: false });
            }
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Locks::put(&function.documents, resource, &locked, now).await?;
    match failed {
        Some(error) => Err(error),
        None => Ok(Done::default().with("recovery_points", locked.len()).with("extended", extended)),
    }
}

/// Calls at the same time for the versions of one recovery point.
const AT_ONCE: usize = 8;

async fn lock_versions(vault: &impl Vault, resource: &ResourceId, lock: &Lock) -> Result<usize> {
    let versions = vault.versions(&point_prefix(resource, lock.slot, &lock.id)).await?;
    let objects = versions.iter().filter(|version| !version.is_delete_marker);
    let extended = stream::iter(objects).map(async |version| {
        let Some(protection) = vault.protection(version).await? else { return Ok(false) };
        // S3 keeps whole seconds.
        let is_shorter =
            protection.retained_until.is_none_or(|there| there.as_second() < lock.until.as_second());
        if is_shorter {
            vault.retain(version, lock.until, protection.is_compliance).await?;
        }
        Ok(is_shorter)
    });
    let extended: Vec<bool> = extended.buffer_unordered(AT_ONCE).try_collect().await?;
    Ok(extended.into_iter().filter(|extended| *extended).count())
}
