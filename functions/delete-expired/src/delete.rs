//! The only place in Tidemark where a recovery point ends.

use domain::{ResourceId, retention::Region, tag};
use futures::future::try_join_all;
use inventory::{Held, Holding, Marks, What};
use jiff::Timestamp;
use rds::{Rds, Snapshot};
use reconcile::{Done, Entry, Error, Metric, Result};
use vault::{MANIFEST, Version, point_prefix};

use crate::{Vault, observe::DeleteExpired};

/// Deletes what each Region has of it, unless a person holds it or a lock lasts: that is looked at once more, now. The home Region
/// first: a copy without its original is a recovery point still, and an original without its copy would be copied anew.
pub(crate) async fn delete<R: Rds, V: Vault, C, L, P, D>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    held: &Held,
    entry: &Entry,
    now: Timestamp,
) -> Result<Done> {
    if Marks::read_of(&function.vault, &held.resource, &held.id).await?.is_held(&held.resource, &held.id) {
        return Ok(left(held, "a person holds it"));
    }
    let is_in_vault = |holding: &Holding| matches!(holding.what, What::Objects(_));
    if [&held.home, &held.recovery].into_iter().flatten().any(is_in_vault) {
        delete_objects(function, held, entry, now).await
    } else {
        delete_snapshots(function, held, entry).await
    }
}

fn left(held: &Held, why: impl Into<String>) -> Done {
    Done::default().with("recovery_point", held.id.to_string()).with("left", why.into())
}

fn gone(held: &Held, entry: &Entry, bytes: Option<u64>) -> Done {
    let mut entry = entry.clone();
    entry.detail.extend(bytes.map(|bytes| ("bytes".to_owned(), bytes.into())));
    let metrics = [Metric::count("recovery_points_deleted", 1)]
        .into_iter()
        .chain(bytes.map(|bytes| Metric::bytes("deleted_bytes", bytes)));
    let metrics = metrics.collect();
    let done = Done::default().with("recovery_point", held.id.to_string());
    Done { entries: vec![entry], metrics, ..done }
}

async fn delete_snapshots<R: Rds, V, C, L, P, D>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    held: &Held,
    entry: &Entry,
) -> Result<Done> {
    let mut there = Vec::new();
    for region in Region::ALL {
        let Some(Holding { what: What::Snapshots(snapshots), .. }) = held.holding(region) else { continue };
        for snapshot in snapshots {
            let Some(snapshot) = function.rds(region).snapshot(&snapshot.id).await? else { continue };
            if snapshot.tags.contains_key(tag::LEGAL_HOLD) {
                return Ok(left(held, format!("{} has the tag {}", snapshot.arn, tag::LEGAL_HOLD)));
            }
            is_ours(&snapshot, &held.resource)?;
            there.push((region, snapshot));
        }
    }
    for (region, snapshot) in there {
        let deleted = function.rds(region).delete_snapshot(&snapshot.id).await;
        // It is copied, or somebody restores from it: it can go when that is over.
        if let Err(error) = deleted {
            let is_busy = error.code() == "InvalidDBSnapshotState";
            return if is_busy { Ok(left(held, error.report())) } else { Err(error) };
        }
    }
    Ok(gone(held, entry, None))
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

async fn delete_objects<R, V: Vault, C, L, P, D>(
    function: &DeleteExpired<R, V, C, L, P, D>,
    held: &Held,
    entry: &Entry,
    now: Timestamp,
) -> Result<Done> {
    let prefix = point_prefix(&held.resource, held.slot, &held.id);
    let mut there = Vec::new();
    for region in Region::ALL {
        let vault = function.vault(region);
        let versions = vault.versions(&prefix).await?;
        let protections = try_join_all(versions.iter().map(|version| vault.protection(version))).await?;
        for (version, protection) in versions.into_iter().zip(protections) {
            let Some(protection) = protection else { continue };
            if protection.is_held {
                return Ok(left(held, format!("{} has a legal hold of S3 {}", version.key, region.says())));
            }
            if let Some(until) = protection.retained_until.filter(|until| *until > now) {
                let why = format!("{} is locked {} until {until}", version.key, region.says());
                return Ok(left(held, why));
            }
            there.push((region, version));
        }
    }
    // Oldest first, so that no older version comes to light.
    there.reverse();
    there.sort_by_key(|(region, version)| (rank(version, &prefix), *region));
    let mut bytes = 0;
    for (region, version) in &there {
        function.vault(*region).delete(version).await?;
        bytes += version.bytes;
    }
    Ok(gone(held, entry, Some(bytes)))
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
