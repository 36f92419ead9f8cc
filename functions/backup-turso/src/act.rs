use bytes::Bytes;
use domain::{RecoveryPointId, ResourceId, Slot};
use inventory::LeftOverSince;
use jiff::Timestamp;
use plans::Plans;
use reconcile::{Documents, Done, Entry, Error, Kind, Ledger, Metric, Outcome, Result};
use secrets::PlainSecrets;
use serde_json::{Map, Value};
use turso::{Connect, CurrentPoint, Database, NewBranch};
use vault::{Created, Encryption, Listed, MANIFEST, Manifest, Object, Source, Store, point_prefix};

use crate::{branches, made::Change, observe::BackupTurso, take};

/// What backup-turso can do. It deletes no recovery point; of branches at Turso it deletes those of its own making.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Copy the database for its slot, unless nothing was written since the last copy.
    Take(Box<Take>),
    /// Copy a recovery point to the recovery Region, because replication did not.
    Copy { point: Listed, missing: Vec<Object>, region: String },
    /// Write down what was found to have happened.
    Record { kind: &'static str, point: Listed, region: String, at_home: bool },
    /// Make the slot's branch, and close it to writes.
    Branch { slot: Slot, new: NewBranch },
    /// Close a branch to writes that was made a moment ago.
    Close { branch: Box<Database> },
    /// Delete a branch that newer ones have made superfluous.
    Unbranch { branch: Box<Database> },
    /// Delete a branch of a database that is gone, or else protected no more.
    RemoveLeftOver { branch: Box<Database>, is_gone: bool },
    /// Write down what has become of branches.
    NoteBranches { changes: Vec<Change> },
    /// Write down since when branches are left over.
    NoteLeftOver { since: LeftOverSince },
}

/// A copy to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    pub(crate) database: Database,
    pub(crate) slot: Slot,
    pub(crate) plan: String,
    pub(crate) id: RecoveryPointId,
    pub(crate) region: String,
    /// The recovery point that may still hold all that the database holds.
    pub(crate) previous: Option<CurrentPoint>,
}

impl Take {
    pub(crate) fn resource(&self) -> ResourceId {
        ResourceId::turso(&self.database.name)
    }

    /// The same of an earlier slot, which is nearly finished.
    pub(crate) fn earlier(&self, id: &RecoveryPointId) -> Self {
        let slot = id.parts().map_or(self.slot, |parts| parts.slot);
        Self { slot, id: id.clone(), previous: None, ..self.clone() }
    }

    /// What its keys in the vault begin with.
    pub(crate) fn prefix(&self) -> String {
        point_prefix(&self.resource(), self.slot, &self.id)
    }
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Take(_) => "take-copy",
            Self::Copy { .. } => "copy-recovery-point",
            Self::Record { .. } => "record",
            Self::Branch { .. } => "make-branch",
            Self::Close { .. } => "close-branch",
            Self::Unbranch { .. } | Self::RemoveLeftOver { .. } => "delete-branch",
            Self::NoteBranches { .. } => "note-branches",
            Self::NoteLeftOver { .. } => "note-left-over",
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        // What a person mends, or the next tick, is no failed recovery point: nothing of it is in the vault.
        if error.kind() != Kind::Permanent {
            return None;
        }
        let mut entry = match self {
            Self::Take(take) => {
                let Take { slot, region, id, .. } = take.as_ref();
                entry("recovery-point-failed", take.resource(), *slot, region, id, now)
            }
            Self::Copy { point, region, .. } => {
                entry("copy-failed", point.resource.clone(), point.slot, region, &point.id, now)
            }
            _ => return None,
        };
        entry.outcome = Outcome::Failed(error.code().to_owned());
        entry.detail.insert("error".to_owned(), error.report().into());
        Some(entry)
    }
}

/// An entry about a recovery point, filed under its slot's day.
pub(crate) fn entry(
    kind: &'static str,
    resource: ResourceId,
    slot: Slot,
    region: &str,
    id: &RecoveryPointId,
    now: Timestamp,
) -> Entry {
    let mut entry = Entry {
        day: slot.utc_date(),
        at: now,
        function: "backup-turso",
        kind,
        resource,
        subject: id.to_string(),
        region: region.to_owned(),
        outcome: Outcome::Completed,
        detail: Map::new(),
    };
    entry.detail.insert("slot".to_owned(), slot.to_string().into());
    entry
}

/// The entry about a recovery point that is complete, of what its manifest says.
pub(crate) fn completed(kind: &'static str, manifest: &Manifest, region: &str, now: Timestamp) -> Done {
    let Manifest { resource, slot, id, .. } = manifest;
    let mut entry = entry(kind, resource.clone(), *slot, region, id, now);
    let bytes: u64 = manifest.objects.iter().map(|object| object.bytes).sum();
    let duration_ms = manifest.verified_at.duration_since(manifest.taken_at).as_millis();
    let duration_ms = i64::try_from(duration_ms).unwrap_or(i64::MAX);
    let mut detail = |key: &str, value: Value| _ = entry.detail.insert(key.to_owned(), value);
    detail("plan", manifest.plan.clone().into());
    detail("method", manifest.method.clone().into());
    detail("taken_at", manifest.taken_at.to_string().into());
    detail("bytes", bytes.into());
    detail("plain_bytes", manifest.content.get("plain_bytes").cloned().unwrap_or_default());
    detail("duration_ms", duration_ms.into());
    let metrics = vec![
        Metric::bytes("recovery_point_bytes", bytes),
        Metric::milliseconds("recovery_point_duration_ms", duration_ms),
    ];
    Done { entries: vec![entry], metrics, ..Done::default() }
        .with("recorded", kind)
        .with("recovery_point", id.to_string())
}

/// Carries out `action` of the pass that has `begun` then. Each is harmless to repeat: nothing in the vault is overwritten, entries are written once.
pub(crate) async fn act<C, K, S, L, D, P>(
    function: &BackupTurso<C, K, S, L, D, P>,
    action: &Action,
    begun: Timestamp,
) -> Result<Done>
where
    C: Connect,
    K: PlainSecrets,
    S: Store,
    L: Ledger,
    D: Documents,
    P: Plans,
{
    match action {
        Action::Take(new) => take::take(function, new, begun).await,
        Action::Copy { point, missing, region } => {
            copy(&function.home, &function.recovery, point, missing).await.map(|()| {
                Done::underway().with("recovery_point", point.id.to_string()).with("region", region.clone())
            })
        }
        Action::Record { kind, point, region, at_home } => {
            let store = if *at_home { &function.home } else { &function.recovery };
            let manifest = manifest(store, point).await?;
            Ok(completed(kind, &manifest, region, (function.pace.clock)()))
        }
        Action::Branch { new, .. } => branches::make(function, new).await,
        Action::Close { branch } => branches::close(function, branch).await,
        Action::Unbranch { branch } => branches::delete(function, branch, false).await,
        Action::RemoveLeftOver { branch, is_gone } => branches::delete(function, branch, *is_gone).await,
        Action::NoteBranches { changes } => branches::note(function, changes).await,
        Action::NoteLeftOver { since } => {
            // If another invocation writes at the same time, the next tick sees what that wrote.
            let written = since.write(&function.documents).await?;
            Ok(Done::default().with("written", written))
        }
    }
}

async fn manifest(store: &impl Store, point: &Listed) -> Result<Manifest> {
    let key = format!("{}{MANIFEST}", point_prefix(&point.resource, point.slot, &point.id));
    let text: Option<Bytes> = store.read_whole(&key).await?;
    let gone = || Error::retryable("ManifestGone", format!("{key} went while it was looked at"));
    Manifest::parse(&key, &text.ok_or_else(gone)?)
}

/// Has S3 copy what is missing, the manifest last: where it is, all is.
async fn copy(home: &impl Store, recovery: &impl Store, point: &Listed, missing: &[Object]) -> Result<()> {
    let is_manifest = |object: &&Object| object.key.ends_with(&format!("/{MANIFEST}"));
    let objects = missing.iter().filter(|object| !is_manifest(object));
    for object in objects.chain(missing.iter().filter(is_manifest)) {
        let Object { key, bytes, etag, .. } = object.clone();
        let source = Source { bucket: home.bucket().to_owned(), key: key.clone(), bytes, etag };
        if recovery.copy(&source, &key, Encryption::Bucket).await? == Created::Before {
            let there = recovery.head(&key).await?;
            if there.is_some_and(|there| there.bytes != bytes) {
                let said = format!("{key} of {} is in {} with another size", point.id, recovery.bucket());
                return Err(Error::permanent("CopyDiffers", said));
            }
        }
    }
    Ok(())
}
