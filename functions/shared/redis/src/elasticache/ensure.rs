//! What makes asking twice harmless: a name that is taken is success, if what bears it is what was asked for.
//!
//! An answer may be lost after the call took effect, the pass may have been killed after it, and another invocation
//! may ask at the same moment. The names are pure functions of what is wanted, so in each case ElastiCache answers that
//! the name is taken, and a look at the bearer's tags tells whether it is ours. Tags are read from the resource
//! itself: the index of tags, from which lists have them, lags behind.

use domain::{ResourceId, tag};
use reconcile::{Error, Result};

use super::{Cache, CacheKind, ElastiCache, NewSnapshot, Restore, Snapshot, Tags};

/// Takes the snapshot, or finds it taken.
pub async fn snapshot(caches: &impl ElastiCache, new: &NewSnapshot) -> Result<Snapshot> {
    match caches.take(new).await {
        Err(error) if is_taken(&error) => {
            // Gone again between the two calls: the next tick starts from there.
            let found = caches.snapshot(new.kind, new.id.as_str()).await?.ok_or(error)?;
            agree(&found.name, &found.tags, &new.tags, &[tag::RESOURCE, tag::SLOT])?;
            Ok(found)
        }
        outcome => outcome,
    }
}

/// Begins the export of a snapshot that is `resource`'s, or finds it begun.
pub async fn export(
    caches: &impl ElastiCache,
    snapshot: &Snapshot,
    resource: &ResourceId,
    bucket: &str,
) -> Result<()> {
    ours(caches, snapshot, resource).await?;
    match caches.export(snapshot.kind, &snapshot.name, bucket).await {
        // `CopySnapshot`: "The S3 bucket %s already contains an object with key %s."
        Err(error) if error.to_string().contains("already contains an object") => Ok(()),
        outcome => outcome,
    }
}

/// Deletes a snapshot that is `resource`'s, or finds it gone. One whose tags say otherwise stays, and so does one that a person
/// holds by its tag: `HeldByTag`, which is over once lists show the tag too.
pub async fn deleted(caches: &impl ElastiCache, snapshot: &Snapshot, resource: &ResourceId) -> Result<()> {
    let tags = match ours(caches, snapshot, resource).await {
        Err(error) if is_gone(&error) => return Ok(()),
        outcome => outcome?,
    };
    if tags.contains_key(tag::LEGAL_HOLD) {
        let says = format!("{} has the tag {} and is not deleted", snapshot.name, tag::LEGAL_HOLD);
        return Err(Error::retryable("HeldByTag", says));
    }
    match caches.delete(snapshot.kind, &snapshot.name).await {
        Err(error) if is_gone(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Begins the restore, or finds it begun.
pub async fn restore(caches: &impl ElastiCache, new: &Restore) -> Result<Cache> {
    match caches.create(new).await {
        Err(error) if is_taken(&error) => {
            let found = caches.cache(new.kind, &new.name).await?.ok_or(error)?;
            agree(&found.name, &found.tags, &new.tags, &[tag::RESOURCE, tag::RESTORED_TO])?;
            Ok(found)
        }
        outcome => outcome,
    }
}

/// Its tags as they are now, if they say that it is `resource`'s.
async fn ours(caches: &impl ElastiCache, snapshot: &Snapshot, resource: &ResourceId) -> Result<Tags> {
    let wanted = Tags::from([(tag::RESOURCE.to_owned(), resource.to_string())]);
    let tags = caches.tags(&snapshot.arn).await?;
    agree(&snapshot.name, &tags, &wanted, &[tag::RESOURCE])?;
    Ok(tags)
}

fn is_taken(error: &Error) -> bool {
    error.code().contains("AlreadyExists")
}

fn is_gone(error: &Error) -> bool {
    error.code().contains("SnapshotNotFound")
}

fn agree(name: &str, found: &Tags, wanted: &Tags, keys: &[&str]) -> Result<()> {
    for key in keys {
        if found.get(*key) != wanted.get(*key) {
            let show = |tags: &Tags| tags.get(*key).map_or("nothing", String::as_str).to_owned();
            return Err(Error::permanent(
                "NameTaken",
                format!(
                    "{name} exists and is not ours: its tag {key} says {}, wanted {}; choose another name, or look at who made it",
                    show(found),
                    show(wanted)
                ),
            ));
        }
    }
    Ok(())
}

/// Whether a cache of that sort can be snapshotted and exported at all; why not.
pub fn exportable(cache: &Cache) -> std::result::Result<(), String> {
    let Cache { kind, settings, .. } = cache;
    if settings.data_tiering {
        return Err("it has data tiering, and ElastiCache exports no snapshot of such nodes".to_owned());
    }
    if *kind == CacheKind::Serverless {
        return Ok(());
    }
    let node_type = settings.node_type.as_deref().unwrap_or_default();
    if node_type == "cache.t1.micro" {
        return Err("its nodes are cache.t1.micro, of which ElastiCache takes no snapshot".to_owned());
    }
    match settings.engine_version.as_deref().map(release) {
        // ElastiCache User Guide, "Exporting a backup": from Redis OSS 2.8.22 on.
        Some(version) if version < [2, 8, 22] => {
            let version = settings.engine_version.as_deref().unwrap_or_default();
            Err(format!(
                "its engine version {version} is older than 2.8.22, from which on snapshots can be exported"
            ))
        }
        _ => Ok(()),
    }
}

/// The three numbers of a version. One that cannot be read counts as new: ElastiCache itself then says what it cannot do.
fn release(version: &str) -> [u32; 3] {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(u32::MAX));
    [0; 3].map(|_| numbers.next().unwrap_or(u32::MAX))
}
