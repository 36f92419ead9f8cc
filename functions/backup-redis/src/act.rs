use domain::{AppendOnlyArchive, RecoveryPointId, ResourceId, Slot};
use inventory::LeftOverSince;
use jiff::Timestamp;
use plans::Plans;
use reconcile::{Documents, Done, Entry, Error, Kind, Ledger, Metric, Outcome, Result};
use redis::elasticache::{ElastiCache, NewSnapshot, Snapshot, ensure};
use serde_json::Map;
use vault::{Encryption, Listed, MANIFEST, Manifest, Store, point_prefix};

use crate::{
    intake::{Desk, Intake, LEFT_TO_ANOTHER},
    observe::{BackupRedis, Buckets},
    verify,
};

/// What backup-redis can do. Of the vault it can delete nothing; of ElastiCache only its own snapshots.
#[derive(Clone, Debug)]
pub enum Action {
    /// Take the slot's snapshot.
    Take { slot: Slot, region: String, new: NewSnapshot },
    /// Let ElastiCache export it.
    Export { snapshot: Box<Snapshot>, intake: Box<Intake>, version: Option<String>, region: String },
    /// Write down how far the work has come.
    Note { intake: Box<Intake>, version: Option<String> },
    /// Copy the files into the vault, read them back, and write the manifest.
    TakeIn {
        intake: Box<Intake>,
        version: Option<String>,
        archive: Option<AppendOnlyArchive>,
        region: String,
    },
    /// Give this attempt up: the export never came to an end.
    Fail { error: String, intake: Box<Intake>, region: String },
    /// Write down what was found to have happened.
    Record { entry: Box<Entry> },
    /// Write down a recovery point that is whole in that Region.
    RecordPoint { point: Box<Listed>, region: String, kind: &'static str },
    /// Copy to the recovery Region what replication has not.
    CopyAway { point: Box<Listed>, copy: Option<Box<Listed>>, region: String },
    /// Delete a snapshot that is of no more use: the plan keeps newer ones, or its cache is protected no more.
    Delete { resource: ResourceId, snapshot: Box<Snapshot> },
    /// Write down since when snapshots are left over.
    NoteLeftOver { since: LeftOverSince },
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Take { .. } => "take-snapshot",
            Self::Export { .. } => "export-snapshot",
            Self::Note { .. } => "note-progress",
            Self::TakeIn { .. } => "take-in",
            Self::Fail { .. } => "give-up-export",
            Self::Record { .. } | Self::RecordPoint { .. } => "record",
            Self::CopyAway { .. } => "copy-recovery-point",
            Self::Delete { .. } => "delete-snapshot",
            Self::NoteLeftOver { .. } => "note-left-over",
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        // What the next tick may put right is no failure yet; if it does not, the RPO watch finds the missed slot.
        if error.kind() == Kind::Retryable {
            return None;
        }
        let failed = |kind, resource: &ResourceId, slot, region: &str, id: &RecoveryPointId| {
            let mut entry = entry(kind, resource.clone(), slot, region, id, now);
            entry.outcome = Outcome::Failed(error.code().to_owned());
            entry.detail.insert("error".to_owned(), error.report().into());
            Some(entry)
        };
        match self {
            Self::Take { slot, region, new } => {
                failed("recovery-point-failed", &ResourceId::redis(&new.cache), *slot, region, &new.id)
            }
            Self::Export { intake, region, .. }
            | Self::TakeIn { intake, region, .. }
            | Self::Fail { intake, region, .. } => {
                failed("recovery-point-failed", &intake.resource, intake.slot(), region, &intake.id)
            }
            Self::CopyAway { point, region, .. } => {
                failed("copy-failed", &point.resource, point.slot, region, &point.id)
            }
            Self::Note { .. }
            | Self::Record { .. }
            | Self::RecordPoint { .. }
            | Self::Delete { .. }
            | Self::NoteLeftOver { .. } => None,
        }
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
        function: "backup-redis",
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

/// Carries out `action`. Each is harmless to repeat: names are taken once, objects and entries are written once.
pub(crate) async fn act<C, S, B, L, P, D>(
    function: &BackupRedis<C, S, B, L, P, D>,
    action: &Action,
    now: Timestamp,
) -> Result<Done>
where
    C: ElastiCache,
    S: Store,
    B: Buckets,
    L: Ledger,
    P: Plans,
    D: Documents,
{
    match action {
        Action::Take { new, .. } => {
            let snapshot = ensure::snapshot(&function.caches, new).await?;
            Ok(Done::underway().with("recovery_point", snapshot.name).with("status", snapshot.status))
        }
        Action::Export { snapshot, intake, version, .. } => {
            let id = intake.id.to_string();
            let mut desk = Desk::new(&function.documents, intake.as_ref().clone(), version.clone());
            // First, so that it is known since when there should be files.
            if let Err(error) = desk.save().await {
                return left_to_another(error);
            }
            let bucket = function.exports.bucket();
            if let Err(error) = ensure::export(&function.caches, snapshot, &intake.resource, bucket).await {
                // Nobody waits for files that were refused: the next tick asks again, and until then says why not. If this
                // cannot be written either, it asks all the same: that ElastiCache was asked is not written yet.
                desk.intake.export = None;
                _ = desk.save().await;
                return Err(error);
            }
            if let Some(export) = &mut desk.intake.export {
                export.asked = Some(now);
            }
            if let Err(error) = desk.save().await {
                return left_to_another(error);
            }
            Ok(Done::underway().with("recovery_point", id).with("bucket", bucket))
        }
        Action::Note { intake, version } => {
            let mut desk = Desk::new(&function.documents, intake.as_ref().clone(), version.clone());
            match desk.save().await {
                Ok(()) => Ok(Done::underway().with("recovery_point", intake.id.to_string())),
                Err(error) => left_to_another(error),
            }
        }
        Action::TakeIn { intake, version, archive, region } => {
            let desk = Desk::new(&function.documents, intake.as_ref().clone(), version.clone());
            match verify::take_in(function, desk, archive.as_ref(), region, now).await {
                Ok(done) => Ok(done),
                Err(error) => left_to_another(error),
            }
        }
        Action::Fail { error, .. } => Err(Error::permanent("ExportIncomplete", error.clone())),
        Action::Record { entry } => {
            // Of what failed: the slot is still to be filled.
            let done = Done { entries: vec![entry.as_ref().clone()], ..Done::underway() };
            Ok(done.with("recorded", entry.kind).with("recovery_point", entry.subject.clone()))
        }
        Action::RecordPoint { point, region, kind } => {
            let prefix = point_prefix(&point.resource, point.slot, &point.id);
            let manifest = read_manifest(&function.vault, &prefix).await?;
            Ok(recorded(&manifest, kind, region, point.completed(), now))
        }
        Action::CopyAway { point, copy, region } => {
            copy_away(function, point, copy.as_deref()).await?;
            Ok(Done::underway().with("recovery_point", point.id.to_string()).with("region", region.as_str()))
        }
        Action::Delete { resource, snapshot } => {
            ensure::deleted(&function.caches, snapshot, resource).await?;
            Ok(Done::default().with("deleted", snapshot.name.clone()))
        }
        Action::NoteLeftOver { since } => {
            // If another invocation writes at the same time, the next tick sees what that wrote.
            let written = since.write(&function.documents).await?;
            Ok(Done::default().with("written", written))
        }
    }
}

/// Of two invocations that work on one recovery point the one that is ahead goes on, and that is no failure.
fn left_to_another(error: Error) -> Result<Done> {
    if error.code() == LEFT_TO_ANOTHER {
        return Ok(Done::underway().with("left_to", "another invocation"));
    }
    Err(error)
}

pub(crate) async fn read_manifest(store: &impl Store, prefix: &str) -> Result<Manifest> {
    let key = format!("{prefix}{MANIFEST}");
    let text = store.read_whole(&key).await?;
    let text = text.ok_or_else(|| {
        Error::retryable("ManifestGone", format!("{key} was in bucket {} and is not", store.bucket()))
    })?;
    Manifest::parse(&key, &text)
}

/// What the ledger says of a recovery point: a function of its manifest.
pub(crate) fn recorded(
    manifest: &Manifest,
    kind: &'static str,
    region: &str,
    completed: Option<Timestamp>,
    now: Timestamp,
) -> Done {
    let Manifest { id, resource, slot, .. } = manifest;
    let mut entry = entry(kind, resource.clone(), *slot, region, id, now);
    let bytes: u64 = manifest.objects.iter().map(|object| object.bytes).sum();
    let mut detail = |key: &str, value: serde_json::Value| _ = entry.detail.insert(key.to_owned(), value);
    detail("plan", manifest.plan.clone().into());
    detail("method", manifest.method.clone().into());
    detail("bytes", bytes.into());
    detail("objects", manifest.objects.len().into());
    detail("taken_at", manifest.taken_at.to_string().into());
    if let Some(last) = manifest.restorable_to {
        detail("restorable_to", last.to_string().into());
    }
    if let Some(keys) = manifest.content.get("keys") {
        detail("keys", keys.clone());
    }
    let mut metrics = vec![Metric::bytes("recovery_point_bytes", bytes)];
    // Of the recovery point from the request to its last verified byte; of the copy from then to the tick that saw it.
    let requested = manifest.content.get("requested_at").and_then(|at| at.as_str()?.parse().ok());
    let (begin, end, metric) = match kind {
        "copy-completed" => (completed, now, "copy_duration_ms"),
        _ => (requested, manifest.verified_at, "recovery_point_duration_ms"),
    };
    if let Some(begin) = begin {
        let duration_ms = i64::try_from(end.duration_since(begin).as_millis()).unwrap_or(i64::MAX);
        detail("duration_ms", duration_ms.into());
        metrics.push(Metric::milliseconds(metric, duration_ms));
    }
    let done = Done { entries: vec![entry], metrics, ..Done::default() };
    done.with("recorded", kind).with("recovery_point", id.to_string())
}

/// Everything but the manifest, and then that: a copy that has one is whole.
async fn copy_away<C, S: Store, B, L, P, D>(
    function: &BackupRedis<C, S, B, L, P, D>,
    point: &Listed,
    copy: Option<&Listed>,
) -> Result<()> {
    let (last, first): (Vec<_>, Vec<_>) = point.objects.iter().partition(|(name, _)| *name == MANIFEST);
    for (name, object) in first.into_iter().chain(last) {
        match copy.and_then(|copy| copy.objects.get(name)) {
            Some(there) if there.bytes == object.bytes => continue,
            Some(there) => {
                return Err(Error::permanent(
                    "CopyDiffers",
                    format!(
                        "{} has {} bytes in bucket {} and {} in bucket {}; nothing is overwritten: look at who wrote it",
                        object.key,
                        there.bytes,
                        function.recovery.bucket(),
                        object.bytes,
                        function.vault.bucket()
                    ),
                ));
            }
            None => {}
        }
        let source = object.in_bucket(function.vault.bucket());
        function.recovery.copy(&source, &object.key, Encryption::Bucket).await?;
    }
    Ok(())
}
