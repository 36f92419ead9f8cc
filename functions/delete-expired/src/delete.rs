//! The only place in Tidemark where a recovery point ends.

use domain::{Engine, RecoveryPointId, ResourceId, Slot, retention::Region, tag};
use futures::{StreamExt, TryStreamExt, stream};
use inventory::{Held, Holding, Marks, What};
use jiff::Timestamp;
use rds::{Rds, Snapshot};
use reconcile::{Documents, Done, Entry, Error, Metric, Result};
use vault::{MANIFEST, Protection, Version, point_prefix};

use crate::{
    Vault,
    act::Gone,
    locks::{Locked, Locks},
    observe::DeleteExpired,
};

/// Calls at the same time for the versions of one recovery point.
const AT_ONCE: usize = 8;

/// How many copies of a snapshot backup-rds tries.
const COPY_ATTEMPTS: u32 = 3;

/// Deletes what each Region has of it, unless a person holds it or a lock lasts: that is looked at once more, now. The home Region
/// first: a copy without its original is a recovery point still, and an original without its copy would be copied anew.
pub(crate) async fn delete<R: Rds, V: Vault, C, L, P, D: Documents>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    held: &Held,
    entry: &Entry,
    now: Timestamp,
) -> Result<Done> {
    let is_in_vault = |holding: &Holding| matches!(holding.what, What::Objects(_));
    if ![&held.home, &held.recovery].into_iter().flatten().any(is_in_vault) {
        return delete_snapshots(function, held, entry).await;
    }
    let of = Of { resource: &held.resource, id: &held.id, slot: held.slot };
    match delete_objects(function, &of, now).await? {
        Outcome::Left(why) => Ok(left(&held.id, why)),
        Outcome::Gone(bytes) => Ok(gone(&held.id, entry, Some(bytes))),
        Outcome::Locked { why, region, until } => {
            // So that nobody asks again before.
            let made_at = held.holding(region).map_or(now, |holding| holding.made_at);
            let locked = Locked { id: held.id.clone(), region, made_at, until, is_met: true };
            Locks::put(&function.documents, &held.resource, &[locked], now).await?;
            Ok(left(&held.id, why))
        }
    }
}

/// What nobody sees any more may be hidden and not gone: a pass was killed when only delete markers were left, or somebody deleted the
/// objects by hand. What is left of it goes, too, before that is written down.
pub(crate) async fn rest<R: Rds, V: Vault, C, L, P, D>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    what: &Gone,
    entry: &Entry,
    now: Timestamp,
) -> Result<Done> {
    let Gone { resource, id } = what;
    if resource.engine == Engine::Rds {
        return Ok(match snapshot_still_there(function, id).await? {
            Some(arn) => left(id, format!("{arn} is there, and does not say any more that it is this one")),
            None => gone(id, entry, None),
        });
    }
    let Some(parts) = id.parts() else { return Ok(gone(id, entry, None)) };
    match delete_objects(function, &Of { resource, id, slot: parts.slot }, now).await? {
        Outcome::Left(why) | Outcome::Locked { why, .. } => Ok(left(id, why)),
        Outcome::Gone(bytes) => Ok(gone(id, entry, (bytes > 0).then_some(bytes))),
    }
}

/// A snapshot of its name, in either Region. Nobody sees one as a recovery point that has lost its tags, and it is not gone.
async fn snapshot_still_there<R: Rds, V, C, L, P, D>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    id: &RecoveryPointId,
) -> Result<Option<String>> {
    if let Some(snapshot) = function.home.snapshot(id.as_str()).await? {
        return Ok(Some(snapshot.arn));
    }
    for attempt in 1..=COPY_ATTEMPTS {
        if let Some(copy) = function.recovery.snapshot(id.copy(attempt).as_str()).await? {
            return Ok(Some(copy.arn));
        }
    }
    Ok(None)
}

fn left(id: &RecoveryPointId, why: impl Into<String>) -> Done {
    Done::default().with("recovery_point", id.to_string()).with("left", why.into())
}

fn gone(id: &RecoveryPointId, entry: &Entry, bytes: Option<u64>) -> Done {
    let mut entry = entry.clone();
    entry.detail.extend(bytes.map(|bytes| ("bytes".to_owned(), bytes.into())));
    let metrics = [Metric::count("recovery_points_deleted", 1)]
        .into_iter()
        .chain(bytes.map(|bytes| Metric::bytes("deleted_bytes", bytes)));
    let metrics = metrics.collect();
    Done { entries: vec![entry], metrics, ..Done::default().with("recovery_point", id.to_string()) }
}

/// Whether a person holds it, as late as that can be known.
async fn is_held<R, V: Vault, C, L, P, D>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    resource: &ResourceId,
    id: &RecoveryPointId,
) -> Result<bool> {
    let vaults = [&function.vault, &function.recovery_vault];
    Ok(Marks::read_of(&vaults, resource, id).await?.is_held(resource, id))
}

async fn delete_snapshots<R: Rds, V: Vault, C, L, P, D>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    held: &Held,
    entry: &Entry,
) -> Result<Done> {
    let mut there = Vec::new();
    for region in Region::ALL {
        let Some(Holding { what: What::Snapshots(snapshots), .. }) = held.holding(region) else { continue };
        for seen in snapshots {
            let Some(snapshot) = function.rds(region).snapshot(&seen.id).await? else { continue };
            if let Some(why) = stays(&snapshot, seen) {
                return Ok(left(&held.id, why));
            }
            is_ours(&snapshot, &held.resource)?;
            there.push((region, snapshot));
        }
    }
    // To delete a snapshot terminates its copy (RDS API Reference, "DeleteDBSnapshot"): one that was begun since the look is waited for.
    for attempt in 1..=COPY_ATTEMPTS {
        let copy = function.recovery.snapshot(held.id.copy(attempt).as_str()).await?;
        let is_unseen = |copy: &Snapshot| !there.iter().any(|(_, snapshot)| snapshot.arn == copy.arn);
        if let Some(copy) = copy.filter(is_unseen) {
            return Ok(left(&held.id, format!("{} has come since", copy.arn)));
        }
    }
    if is_held(function, &held.resource, &held.id).await? {
        return Ok(left(&held.id, "a person holds it"));
    }
    for (region, snapshot) in there {
        function.rds(region).delete_snapshot(&snapshot.id).await.map_err(busy)?;
    }
    Ok(gone(&held.id, entry, None))
}

/// Why a snapshot is not deleted that was seen otherwise a moment ago.
fn stays(snapshot: &Snapshot, seen: &Snapshot) -> Option<String> {
    if snapshot.tags.contains_key(tag::LEGAL_HOLD) {
        return Some(format!("{} has the tag {}", snapshot.arn, tag::LEGAL_HOLD));
    }
    let is_same = (snapshot.created, &snapshot.status) == (seen.created, &seen.status);
    (!is_same).then(|| format!("{} is another one than was looked at, {} now", snapshot.arn, snapshot.status))
}

/// Somebody works with it: it can go when that is over.
fn busy(error: Error) -> Error {
    if error.code() == "InvalidDBSnapshotState" {
        return Error::retryable(error.code().to_owned(), error.report()).caused_by(error);
    }
    error
}

fn is_ours(snapshot: &Snapshot, resource: &ResourceId) -> Result<()> {
    let says = snapshot.tags.get(tag::RESOURCE);
    if says == Some(&resource.to_string()) {
        return Ok(());
    }
    let says = says.map_or("nothing", String::as_str);
    let message =
        format!("{} is not deleted: its tag {} says {says}, not {resource}", snapshot.arn, tag::RESOURCE);
    Err(Error::permanent("NotOurs", message))
}

/// A recovery point in the vaults.
struct Of<'o> {
    resource: &'o ResourceId,
    id: &'o RecoveryPointId,
    slot: Slot,
}

/// What came of a deletion.
enum Outcome {
    /// It stays, for that reason.
    Left(String),
    /// It is locked.
    Locked { why: String, region: Region, until: Timestamp },
    /// So many bytes are gone.
    Gone(u64),
}

async fn delete_objects<R, V: Vault, C, L, P, D>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    of: &Of<'_>,
    now: Timestamp,
) -> Result<Outcome> {
    let prefix = point_prefix(of.resource, of.slot, of.id);
    let mut there = Vec::new();
    for region in Region::ALL {
        for (version, protection) in protected(function.vault(region), &prefix).await? {
            if protection.is_held {
                return Ok(Outcome::Left(format!(
                    "{} has a legal hold of S3 {}",
                    version.key,
                    region.says()
                )));
            }
            if let Some(until) = protection.retained_until.filter(|until| *until > now) {
                let why = format!("{} is locked {} until {until}", version.key, region.says());
                return Ok(Outcome::Locked { why, region, until });
            }
            there.push((region, version));
        }
    }
    if is_held(function, of.resource, of.id).await? {
        return Ok(Outcome::Left("a person holds it".to_owned()));
    }
    // Oldest first, so that no older version comes to light.
    there.reverse();
    there.sort_by_key(|(region, version)| (rank(version, &prefix), *region));
    let mut bytes = 0;
    for (region, version) in &there {
        function.vault(*region).delete(version).await?;
        bytes += version.bytes;
    }
    Ok(Outcome::Gone(bytes))
}

/// All versions, each with what keeps it.
async fn protected(vault: &impl Vault, prefix: &str) -> Result<Vec<(Version, Protection)>> {
    let versions = vault.versions(prefix).await?;
    let looked = stream::iter(versions)
        .map(async |version| Ok(vault.protection(&version).await?.map(|protection| (version, protection))));
    let looked: Vec<Option<(Version, Protection)>> = looked.buffered(AT_ONCE).try_collect().await?;
    Ok(looked.into_iter().flatten().collect())
}

/// The manifests go first: from then on nobody takes for a recovery point what is one no more. Delete markers go last: what they
/// hide must not be seen again.
fn rank(version: &Version, prefix: &str) -> u8 {
    let is_manifest = version.key.strip_prefix(prefix) == Some(MANIFEST);
    match (version.is_delete_marker, is_manifest) {
        (false, true) => 0,
        (false, false) => 1,
        (true, _) => 2,
    }
}
