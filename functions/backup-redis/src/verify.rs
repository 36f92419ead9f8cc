//! Into the vault, and read back from there: what is not both is no recovery point.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::AppendOnlyArchive;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use reconcile::{Documents, Done, Error, Kind, Result};
use redis::{
    content::{Checker, shard, summary},
    elasticache::Source as CacheSource,
    rdb::{self, Verdict},
};
use serde_json::{Map, Value};
use vault::{
    Created, Digests, Encryption, MANIFEST, Manifest, Object, Source, Store, StoredObject, point_prefix,
};

use crate::{
    act::{read_manifest, recorded},
    archive,
    intake::{Desk, Intake, Read},
    note::{self, Note},
    observe::{BackupRedis, Buckets},
    plan::lacking,
};

/// Files that S3 copies at the same time.
const COPIES_AT_ONCE: usize = 4;

/// Parts of a file that are on their way at the same time.
const PARTS_AT_ONCE: usize = 2;

/// What a recovery point turned out to be, once all its files were read back.
pub(crate) struct Content {
    pub(crate) method: &'static str,
    pub(crate) taken_at: Option<Timestamp>,
    pub(crate) restorable_to: Option<Timestamp>,
    pub(crate) described: Map<String, Value>,
    pub(crate) note: Option<Note>,
}

/// Takes a recovery point in as far as the time goes. Each step finds what an earlier invocation did.
pub(crate) async fn take_in<C, S: Store, B: Buckets, L, P, D: Documents>(
    function: &BackupRedis<C, S, B, L, P, D>,
    mut desk: Desk<'_, D>,
    archive: Option<&AppendOnlyArchive>,
    region: &str,
    now: Timestamp,
) -> Result<Done> {
    let prefix = point_prefix(&desk.intake.resource, desk.intake.slot(), &desk.intake.id);
    let stored = match archive {
        Some(archive) => match archive::take_in(function, &mut desk, archive, &prefix, now).await? {
            Some(stored) => stored,
            // It changed meanwhile: another tick finds it at rest.
            None => return Ok(Done::underway().with("recovery_point", desk.intake.id.to_string())),
        },
        None => {
            desk.save().await?;
            exports(function, &desk.intake, &prefix).await?
        }
    };
    let names: Vec<String> = desk.intake.files.keys().cloned().collect();
    for name in &names {
        let object = stored.get(name).ok_or_else(|| missing(&prefix, name))?;
        read_back(function, &mut desk, name, object).await?;
    }
    let intake = &desk.intake;
    let (mut objects, read) = finished(intake)?;
    let content = match archive {
        Some(archive) => {
            objects.push(archive::stored_manifest(function, intake, &prefix).await?);
            archive::content(intake, archive, &read)?
        }
        None => cache_content(intake, &read)?,
    };
    complete(function, &desk, &prefix, objects, content, region, now).await
}

fn missing(prefix: &str, name: &str) -> Error {
    Error::retryable("AnswerIncomplete", format!("{prefix}{name} was stored and is not listed"))
}

/// S3 copies what ElastiCache exported into the vault. What is there now, by name.
async fn exports<C, S: Store, B, L, P, D>(
    function: &BackupRedis<C, S, B, L, P, D>,
    intake: &Intake,
    prefix: &str,
) -> Result<BTreeMap<String, Object>> {
    let there = by_name(&function.vault, prefix).await?;
    let bucket = function.exports.bucket();
    let sources = intake.files.iter().filter(|(name, _)| !there.contains_key(*name)).map(|(name, file)| {
        let (key, etag) = (file.key.clone(), file.etag.clone());
        (format!("{prefix}{name}"), Source { bucket: bucket.to_owned(), key, bytes: file.bytes, etag })
    });
    let copies: Vec<(String, Source)> = sources.collect();
    stream::iter(&copies)
        .map(async |(key, source)| copy(&function.vault, source, key).await)
        .buffer_unordered(COPIES_AT_ONCE)
        .try_collect::<Vec<Created>>()
        .await?;
    check_sizes(intake, by_name(&function.vault, prefix).await?, prefix)
}

pub(crate) async fn copy(vault: &impl Store, source: &Source, key: &str) -> Result<Created> {
    vault.copy(source, key, Encryption::Bucket).await.map_err(|error| match error.code() {
        // The next look shows what is there instead.
        "PreconditionFailed" | "NoSuchKey" => error.of_kind(Kind::Retryable),
        _ => error,
    })
}

pub(crate) async fn by_name(vault: &impl Store, prefix: &str) -> Result<BTreeMap<String, Object>> {
    let named = |object: Object| Some((object.key.strip_prefix(prefix)?.to_owned(), object));
    Ok(vault.list(prefix).await?.into_iter().filter_map(named).collect())
}

/// What is in the vault must be what was to be copied there, and hold something.
pub(crate) fn check_sizes(
    intake: &Intake,
    there: BTreeMap<String, Object>,
    prefix: &str,
) -> Result<BTreeMap<String, Object>> {
    for (name, file) in &intake.files {
        let object = there.get(name).ok_or_else(|| missing(prefix, name))?;
        if object.bytes != file.bytes {
            return Err(Error::permanent(
                "FileDiffers",
                format!(
                    "{} has {} bytes, and {}, of which it is a copy, has {}; another attempt is made under another name",
                    object.key, object.bytes, file.key, file.bytes
                ),
            ));
        }
        if object.bytes == 0 && !is_increment(intake, name) {
            return Err(Error::permanent(
                "FileEmpty",
                format!("{} is empty: that is no backup; another attempt is made", object.key),
            ));
        }
    }
    Ok(there)
}

/// An increment to which nothing was written yet is empty, and whole.
fn is_increment(intake: &Intake, name: &str) -> bool {
    intake.directory.as_ref().is_some_and(|directory| directory.base != name)
}

/// Reads a file back from the vault, from where an earlier invocation stopped, and writes down from time to time how far it is.
async fn read_back<C, S: Store, B, L, P, D: Documents>(
    function: &BackupRedis<C, S, B, L, P, D>,
    desk: &mut Desk<'_, D>,
    name: &str,
    object: &Object,
) -> Result<()> {
    let pace = function.pace;
    let before = desk.intake.files.get(name).and_then(|file| file.read.clone());
    let mut read = before.filter(|read| goes_on(read, object)).unwrap_or_else(|| Read {
        etag: object.etag.clone(),
        digests: Digests::new(pace.part_bytes),
        checker: checker(&desk.intake, name, object),
    });
    let from = read.digests.bytes();
    let step = usize::try_from(pace.part_bytes.max(1)).unwrap_or(usize::MAX);
    let ranges = (from..object.bytes)
        .step_by(step)
        .map(|begin| begin..object.bytes.min(begin.saturating_add(pace.part_bytes)));
    let parts = ranges.map(|range| function.vault.read(&object.key, &object.etag, range));
    let mut parts = stream::iter(parts).buffered(PARTS_AT_ONCE);
    let mut unsaved = 0;
    while let Some(part) = parts.next().await {
        let part: Bytes = part.map_err(|error| match error.code() {
            "PreconditionFailed" => error.of_kind(Kind::Retryable),
            _ => error,
        })?;
        if !read.digests.takes(&part) {
            // Written by a version that read in other steps: from the start.
            set_read(&mut desk.intake, name, None);
            desk.save().await?;
            let text = format!("{} is read again from its start", object.key);
            return Err(Error::retryable("ReadAgain", text));
        }
        let offset = read.digests.bytes();
        read.checker.feed(&part).map_err(|why| corrupt(&desk.intake, &object.key, &why))?;
        read.digests.add(&part);
        unsaved += read.digests.bytes() - offset;
        if unsaved >= pace.save_every_bytes {
            unsaved = 0;
            set_read(&mut desk.intake, name, Some(read.clone()));
            desk.save().await?;
        }
    }
    set_read(&mut desk.intake, name, Some(read));
    if unsaved > 0 { desk.save().await } else { Ok(()) }
}

fn set_read(intake: &mut Intake, name: &str, read: Option<Read>) {
    if let Some(file) = intake.files.get_mut(name) {
        file.read = read;
    }
}

/// Whether what a document says of a file's reading fits the file, and itself.
fn goes_on(read: &Read, object: &Object) -> bool {
    read.etag == object.etag
        && read.digests.bytes() == read.checker.offset()
        && read.digests.bytes() <= object.bytes
}

fn checker(intake: &Intake, name: &str, object: &Object) -> Checker {
    match &intake.directory {
        None => Checker::Rdb(Box::new(rdb::Inspector::with_length(object.bytes))),
        Some(directory) if directory.base == name => Checker::Base(Box::default()),
        Some(_) => Checker::Increment(Box::new(redis::aof::IncrScanner::new(None))),
    }
}

pub(crate) fn corrupt(intake: &Intake, key: &str, why: &str) -> Error {
    let code = if intake.directory.is_some() { "AppendOnlyCorrupt" } else { "RdbCorrupt" };
    Error::permanent(code, format!("{key} is corrupt, {why}; another attempt is made under another name"))
}

/// The files with their digests, and what was seen of them.
fn finished(intake: &Intake) -> Result<(Vec<StoredObject>, BTreeMap<&str, &Checker>)> {
    let (mut objects, mut read) = (Vec::new(), BTreeMap::new());
    for (name, file) in &intake.files {
        let done = file.read.as_ref().filter(|read| read.digests.bytes() == file.bytes);
        let done = done.ok_or_else(|| {
            Error::retryable("ReadAgain", format!("{name} of {} was not read to its end", intake.id))
        })?;
        objects.push(done.digests.clone().into_object(name.as_str()));
        read.insert(name.as_str(), &done.checker);
    }
    Ok((objects, read))
}

fn cache_content(intake: &Intake, read: &BTreeMap<&str, &Checker>) -> Result<Content> {
    let mut reports = Vec::new();
    for (name, checker) in read {
        let Checker::Rdb(inspector) = checker else {
            let text = format!("{name} of {} was read as something else", intake.id);
            return Err(Error::retryable("ReadAgain", text));
        };
        let bytes = intake.files.get(*name).map(|file| file.bytes);
        let report = inspector.as_ref().clone().finish(bytes);
        if let Verdict::Corrupt(why) = &report.verdict {
            let key = intake.files.get(*name).map_or(*name, |file| file.key.as_str());
            return Err(corrupt(intake, key, &why.to_string()));
        }
        reports.push((*name, report));
    }
    let taken_at = intake.taken_at.or_else(|| reports.iter().filter_map(|(_, report)| report.created).min());
    let mut content = summary(reports.iter().map(|(_, report)| report), taken_at);
    let shards = reports.iter().map(|(name, report)| shard(name, report)).collect::<Vec<_>>();
    content.insert("shards".to_owned(), shards.into());
    let told = CacheSource::from_map(&intake.source).map_or(0, |source| source.settings.shards.len());
    content.insert("shards_told".to_owned(), (told > 0).then_some(told).into());
    let unchecked = reports.iter().any(|(_, report)| report.verdict == Verdict::NoChecksum);
    content.insert("unchecked".to_owned(), unchecked.into());
    let note = unchecked.then(|| Note { id: intake.id.clone(), unchecked, archive: None });
    Ok(Content { method: "elasticache-snapshot", taken_at, restorable_to: None, described: content, note })
}

/// Writes the manifest, last of all, reads it back, and says so.
async fn complete<C, S: Store, B, L, P, D: Documents>(
    function: &BackupRedis<C, S, B, L, P, D>,
    desk: &Desk<'_, D>,
    prefix: &str,
    objects: Vec<StoredObject>,
    found: Content,
    region: &str,
    now: Timestamp,
) -> Result<Done> {
    let intake = &desk.intake;
    let Content { method, taken_at, restorable_to, described: mut content, note } = found;
    content.insert("requested_at".to_owned(), intake.requested_at.to_string().into());
    let manifest = Manifest {
        version: 1,
        id: intake.id.clone(),
        resource: intake.resource.clone(),
        incarnation: intake.incarnation.clone(),
        slot: intake.slot(),
        plan: intake.plan.clone(),
        method: method.to_owned(),
        taken_at: taken_at.unwrap_or(intake.requested_at),
        restorable_to,
        verified_at: now,
        objects,
        source: intake.source.clone(),
        content,
    };
    let findings = note.iter().flat_map(|note| lacking(&intake.resource, note, now)).collect();
    // Before the manifest: after it nobody comes back here.
    note::write(&function.documents, &intake.resource, note).await?;
    let body = Bytes::from(manifest.to_json());
    function.vault.create(&format!("{prefix}{MANIFEST}"), "application/json", body).await?;
    // It may be another invocation's. What counts is the one that is there.
    let manifest = read_manifest(&function.vault, prefix).await?;
    let done = recorded(&manifest, "recovery-point-completed", region, None, now);
    Ok(Done { unfinished: true, findings, ..done })
}
