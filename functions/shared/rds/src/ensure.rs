//! What makes asking twice harmless: a name that is taken is success, if what bears it is what was asked for.
//!
//! An answer may be lost after the call took effect, the pass may have been killed after it, and another invocation
//! may ask at the same moment. The names are pure functions of what is wanted, so in each case AWS answers that the
//! name is taken, and a look at the bearer's tags tells whether it is ours.

use domain::tag;
use reconcile::{Error, Result};

use crate::{Instance, NewCopy, NewSnapshot, Rds, Restore, Snapshot, Tags};

/// Takes the snapshot, or finds it taken.
pub async fn snapshot(rds: &impl Rds, new: &NewSnapshot) -> Result<Snapshot> {
    match rds.create_snapshot(new).await {
        Err(error) if error.code() == "DBSnapshotAlreadyExists" => {
            existing_snapshot(rds, new.id.as_str(), &new.tags, error).await
        }
        outcome => outcome,
    }
}

/// Makes the copy, or finds it made.
pub async fn copy(rds: &impl Rds, new: &NewCopy) -> Result<Snapshot> {
    match rds.copy_snapshot(new).await {
        Err(error) if error.code() == "DBSnapshotAlreadyExists" => {
            existing_snapshot(rds, new.id.as_str(), &new.tags, error).await
        }
        outcome => outcome,
    }
}

/// Begins the restore, or finds it begun.
pub async fn restore(rds: &impl Rds, new: &Restore) -> Result<Instance> {
    match rds.restore(new).await {
        Err(error) if error.code() == "DBInstanceAlreadyExists" => {
            let found = rds.instance(&new.instance).await?.ok_or(error)?;
            agree(&found.id, &found.tags, &new.tags, &[tag::RESOURCE, tag::RESTORED_TO])?;
            Ok(found)
        }
        outcome => outcome,
    }
}

async fn existing_snapshot(rds: &impl Rds, id: &str, wanted: &Tags, error: Error) -> Result<Snapshot> {
    // Gone again between the two calls: the next tick starts from there.
    let found = rds.snapshot(id).await?.ok_or(error)?;
    agree(id, &found.tags, wanted, &[tag::RESOURCE, tag::SLOT])?;
    Ok(found)
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
