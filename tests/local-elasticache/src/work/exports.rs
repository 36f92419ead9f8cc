//! Exports: a snapshot's files as objects in S3.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::caches::rest;
use crate::plane::Plane;
use crate::state::{Snapshot, SnapshotStatus};
use crate::steering::Damage;
use crate::valkey::{Error, empty};

/// What goes where.
pub(crate) struct Export {
    pub(crate) source: Snapshot,
    pub(crate) bucket: String,
    /// One for each shard.
    pub(crate) keys: Vec<String>,
}

/// Puts the objects into the bucket, and takes the source out of `exporting`. As on AWS, an export that fails is told by
/// nothing but the objects that are not there.
pub(crate) async fn export(plane: Arc<Plane>, region: String, export: Export) {
    plane.pace.at_least(Instant::now(), |speed| speed.export).await;
    let damage = plane.next_damage();
    if let Err(error) = put(&plane, &export, damage).await {
        tracing::warn!(
            snapshot = export.source.name,
            bucket = export.bucket,
            error = &error as &dyn std::error::Error,
            "an export failed"
        );
    }
    plane.region(&region, |region| rest(region, export.source.number, SnapshotStatus::Exporting));
}

async fn put(plane: &Plane, export: &Export, damage: Option<Damage>) -> Result<(), Error> {
    let folder = plane.install.folder("export-")?;
    let mut keys = export.keys.as_slice();
    if damage == Some(Damage::LeaveOutLastShard) {
        keys = keys.split_last().map_or(keys, |(_, others)| others);
    }
    for (shard, key) in keys.iter().enumerate() {
        let draft = folder.path().join("object");
        let path = match export.source.data.as_ref().and_then(|data| data.files.get(shard)) {
            Some(file) => file.path.as_path(),
            None => {
                tokio::fs::write(&draft, empty()).await.map_err(Error::files(&draft))?;
                &draft
            }
        };
        let spoilt = folder.path().join("spoilt");
        let path = match damage.filter(|_| shard == 0) {
            Some(damage) => {
                spoil(path, &spoilt, damage).await?;
                &spoilt
            }
            None => path,
        };
        plane.objects.put(&export.bucket, key, path).await.map_err(Error::Objects)?;
    }
    Ok(())
}

async fn spoil(from: &Path, to: &Path, damage: Damage) -> Result<(), Error> {
    let mut bytes = tokio::fs::read(from).await.map_err(Error::files(from))?;
    let middle = bytes.len() / 2;
    match damage {
        Damage::FlipBit => {
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
        }
        Damage::Truncate => bytes.truncate(middle),
        Damage::Empty => bytes.clear(),
        Damage::LeaveOutLastShard => {}
    }
    tokio::fs::write(to, bytes).await.map_err(Error::files(to))
}
