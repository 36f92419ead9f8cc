//! Append-only archives: which files belong together, and how far they reach.

use std::collections::BTreeMap;

use bytes::Bytes;
use domain::AppendOnlyArchive;
use jiff::{SignedDuration, Timestamp};
use reconcile::{Documents, Error, Kind, Result};
use redis::{
    aof::{self, BaseReport, IncrReport},
    content::{self, Checker},
    rdb::Verdict,
};
use serde_json::{Map, Value, json};
use vault::{Digests, Object, Source, Store, StoredObject};

use crate::{
    intake::{Desk, Directory, File, Intake},
    note::{Note, Reach},
    observe::{BackupRedis, Buckets},
    verify::{self, Content, by_name, check_sizes, corrupt},
};

/// How often the files are chosen anew, one tick each time, when the archive changes while they are copied.
const CHOICES: u32 = 6;

/// How long after its slot an archive may be incomplete before that is a failure.
const OVERDUE: SignedDuration = SignedDuration::from_hours(1);

/// What came of a look at the archive.
enum Chosen {
    Now(Directory, BTreeMap<String, File>),
    /// What it says and what is there do not belong together, or not yet.
    Unsteady(String),
}

/// Has S3 copy the archive's files into the vault, those that belong together. What is there then, by name; `None` if the
/// archive changed meanwhile.
pub(crate) async fn take_in<C, S: Store, B: Buckets, L, P, D: Documents>(
    function: &BackupRedis<C, S, B, L, P, D>,
    desk: &mut Desk<'_, D>,
    archive: &AppendOnlyArchive,
    prefix: &str,
    now: Timestamp,
) -> Result<Option<BTreeMap<String, Object>>> {
    let there = by_name(&function.vault, prefix).await?;
    if desk.intake.directory.is_none() || !is_stored(&desk.intake, &there) {
        let chosen = desk.intake.directory.as_ref().map_or(0, |directory| directory.chosen);
        if chosen >= CHOICES {
            return Err(unsteady(
                archive,
                &format!("it changed each of {CHOICES} times while it was copied"),
            ));
        }
        let store = function.archives.store(&archive.bucket);
        match choose(&store, archive, chosen + 1).await? {
            Chosen::Now(directory, files) => adopt(&mut desk.intake, archive, directory, files, &there)?,
            Chosen::Unsteady(why) => {
                let overdue = now.duration_since(desk.intake.slot) > OVERDUE;
                let Some(directory) = &mut desk.intake.directory else {
                    let kind = if overdue { Kind::Misconfigured } else { Kind::Retryable };
                    return Err(Error::new(kind, "ArchiveIncomplete", why));
                };
                directory.chosen = chosen + 1;
                desk.save().await?;
                return Ok(None);
            }
        }
        desk.intake.source = source(archive, desk.intake.directory.as_ref());
        desk.save().await?;
        if !copy(function, &desk.intake, archive, prefix, &there).await? {
            return Ok(None);
        }
    }
    let there = by_name(&function.vault, prefix).await?;
    check_sizes(&desk.intake, there, prefix).map(Some)
}

fn is_stored(intake: &Intake, there: &BTreeMap<String, Object>) -> bool {
    let manifest =
        intake.directory.as_ref().is_some_and(|directory| there.contains_key(&directory.manifest_name));
    let stored =
        |(name, file): (&String, &File)| there.get(name).is_some_and(|object| object.bytes == file.bytes);
    manifest && !intake.files.is_empty() && intake.files.iter().all(stored)
}

fn unsteady(archive: &AppendOnlyArchive, why: &str) -> Error {
    Error::permanent(
        "ArchiveUnsteady",
        format!(
            "s3://{}/{} does not hold still: {why}; let its timer upload the manifest last (docs/redis.md); another attempt is made",
            archive.bucket, archive.prefix
        ),
    )
}

/// Reads the archive's manifest, and finds its files.
async fn choose(store: &impl Store, archive: &AppendOnlyArchive, chosen: u32) -> Result<Chosen> {
    let place = format!("s3://{}/{}", archive.bucket, archive.prefix);
    let files = by_name(store, &archive.prefix).await?;
    let names: Vec<&String> =
        files.keys().filter(|name| name.ends_with(".manifest") && !name.contains('/')).collect();
    let [manifest_name] = names.as_slice() else {
        let text = format!(
            "{place} holds {} files *.manifest; an append-only directory has exactly one, and nothing else belongs there",
            names.len()
        );
        return Err(Error::misconfigured("ArchiveUnfit", text));
    };
    let Some(text) = store.read_whole(&format!("{}{manifest_name}", archive.prefix)).await? else {
        return Ok(Chosen::Unsteady(format!("{place}{manifest_name} is gone")));
    };
    let mut manifest = aof::Manifest::parse(&text)
        .map_err(|error| Error::misconfigured("ArchiveUnfit", format!("{place}{manifest_name}: {error}")))?;
    manifest.history.clear();
    let mut wanted = BTreeMap::new();
    for listed in [&manifest.base].into_iter().chain(&manifest.increments) {
        let Some(object) = files.get(&listed.name) else {
            let why = format!("{place}{manifest_name} names {}, which is not there", listed.name);
            return Ok(Chosen::Unsteady(why));
        };
        let Object { key, bytes, etag, .. } = object.clone();
        wanted.insert(listed.name.clone(), File { key, etag, bytes, read: None });
    }
    let directory = Directory {
        manifest_name: (*manifest_name).clone(),
        manifest: manifest.to_text(),
        base: manifest.base.name,
        increments: manifest.increments.into_iter().map(|listed| listed.name).collect(),
        chosen,
    };
    Ok(Chosen::Now(directory, wanted))
}

/// Makes them the recovery point's files. What is in the vault already must be of the same state of the archive: an increment
/// that has grown since, followed by another one, would leave a gap.
fn adopt(
    intake: &mut Intake,
    archive: &AppendOnlyArchive,
    directory: Directory,
    mut files: BTreeMap<String, File>,
    there: &BTreeMap<String, Object>,
) -> Result<()> {
    for (name, file) in &mut files {
        let before = intake.files.get(name).filter(|before| before.etag == file.etag);
        if let Some(before) = before {
            file.read.clone_from(&before.read);
        } else if there
            .get(name)
            .is_some_and(|object| object.bytes != file.bytes || intake.directory.is_some())
        {
            return Err(unsteady(archive, &format!("{name} was copied, and is another one now")));
        }
    }
    let is_other = |object: &&String| **object == directory.manifest_name;
    let was = intake.directory.as_ref().map(|before| before.manifest.as_str());
    if there.keys().any(|name| is_other(&name)) && was.is_some_and(|was| was != directory.manifest) {
        return Err(unsteady(archive, "its manifest was copied, and is another one now"));
    }
    (intake.directory, intake.files) = (Some(directory), files);
    Ok(())
}

/// The newest increment first, which changes; then those that only a rewrite takes away. Whether all of them held still.
async fn copy<C, S: Store, B: Buckets, L, P, D>(
    function: &BackupRedis<C, S, B, L, P, D>,
    intake: &Intake,
    archive: &AppendOnlyArchive,
    prefix: &str,
    there: &BTreeMap<String, Object>,
) -> Result<bool> {
    let Some(directory) = &intake.directory else { return Ok(false) };
    let names = directory.increments.iter().rev().chain([&directory.base]);
    for name in names.filter(|name| !there.contains_key(*name)) {
        let Some(file) = intake.files.get(name) else { continue };
        let (key, etag) = (file.key.clone(), file.etag.clone());
        let source = Source { bucket: archive.bucket.clone(), key, bytes: file.bytes, etag };
        match verify::copy(&function.vault, &source, &format!("{prefix}{name}")).await {
            Err(error) if matches!(error.code(), "PreconditionFailed" | "NoSuchKey") => return Ok(false),
            outcome => _ = outcome?,
        }
    }
    let (key, text) = (format!("{prefix}{}", directory.manifest_name), directory.manifest.clone());
    function.vault.create(&key, "text/plain", Bytes::from(text)).await?;
    Ok(true)
}

/// The archive's manifest as it is in the vault, which must be the one that the files were chosen by.
pub(crate) async fn stored_manifest<C, S: Store, B, L, P, D>(
    function: &BackupRedis<C, S, B, L, P, D>,
    intake: &Intake,
    prefix: &str,
) -> Result<StoredObject> {
    let Some(directory) = &intake.directory else {
        return Err(Error::retryable("ReadAgain", format!("the files of {} were not chosen", intake.id)));
    };
    let key = format!("{prefix}{}", directory.manifest_name);
    let text = function.vault.read_whole(&key).await?.unwrap_or_default();
    if text != directory.manifest.as_bytes() {
        let text =
            format!("{key} is not the manifest by which the files were chosen; another attempt is made");
        return Err(Error::permanent("FileDiffers", text));
    }
    let mut digests = Digests::new(function.pace.part_bytes.max(text.len() as u64));
    digests.add(&text);
    Ok(digests.into_object(directory.manifest_name.as_str()))
}

fn source(archive: &AppendOnlyArchive, directory: Option<&Directory>) -> Map<String, Value> {
    Map::from_iter([
        ("kind".to_owned(), "append-only".into()),
        ("name".to_owned(), archive.name.clone().into()),
        ("bucket".to_owned(), archive.bucket.clone().into()),
        ("prefix".to_owned(), archive.prefix.clone().into()),
        ("manifest".to_owned(), directory.map(|directory| directory.manifest_name.clone()).into()),
    ])
}

/// What is in the directory, and how far it reaches.
pub(crate) fn content(
    intake: &Intake,
    archive: &AppendOnlyArchive,
    read: &BTreeMap<&str, &Checker>,
) -> Result<Content> {
    let again = || Error::retryable("ReadAgain", format!("{} was read as something else", intake.id));
    let directory = intake.directory.as_ref().ok_or_else(again)?;
    let Some(Checker::Base(base)) = read.get(directory.base.as_str()) else { return Err(again()) };
    let base = base.as_ref().clone().finish();
    if let Some(defect) = base.defect() {
        return Err(corrupt(intake, &directory.base, &defect));
    }
    let mut increments = Vec::new();
    for name in &directory.increments {
        let Some(Checker::Increment(scanner)) = read.get(name.as_str()) else { return Err(again()) };
        let report = scanner.as_ref().clone().finish();
        let is_last = directory.increments.last() == Some(name);
        if report.torn_bytes() > 0 && !is_last {
            let why = format!(
                "its last {} bytes are an incomplete command, and another increment follows",
                report.torn_bytes()
            );
            return Err(corrupt(intake, name, &why));
        }
        increments.push(report);
    }
    let manifest = aof::Manifest::parse(directory.manifest.as_bytes())
        .map_err(|error| Error::new(Kind::Permanent, "AppendOnlyCorrupt", error.to_string()))?;
    let reach = reach(&manifest, &base, &increments);
    let unchecked = base.rdb.as_ref().is_some_and(|rdb| rdb.verdict == Verdict::NoChecksum);
    let restorable_to = match reach {
        Reach::To(last) => Some(last),
        Reach::Undated => None,
    };
    Ok(Content {
        method: "append-only",
        taken_at: base.made(),
        restorable_to,
        described: described(directory, archive, &base, &increments, unchecked),
        note: Some(Note { id: intake.id.clone(), unchecked, archive: Some(reach) }),
    })
}

/// Without commands since the base it reaches as far as that; without times, to no second.
fn reach(manifest: &aof::Manifest, base: &BaseReport, increments: &[IncrReport]) -> Reach {
    let commands: u64 = increments.iter().map(|increment| increment.commands).sum();
    let is_dated = commands == 0 || increments.iter().any(|increment| increment.last.is_some());
    match aof::interval(manifest, base, increments) {
        Ok(interval) if is_dated => Reach::To(interval.to),
        _ => Reach::Undated,
    }
}

fn described(
    directory: &Directory,
    archive: &AppendOnlyArchive,
    base: &BaseReport,
    increments: &[IncrReport],
    unchecked: bool,
) -> Map<String, Value> {
    let mut described = content::summary(base.rdb.iter(), base.made());
    let of_increments = directory.increments.iter().zip(increments);
    let of_increments = of_increments.map(|(name, report)| content::increment(name, report));
    described.insert("increments".to_owned(), of_increments.collect::<Vec<_>>().into());
    let rdb = base.rdb.as_ref().map(|rdb| content::shard(&directory.base, rdb));
    described.insert(
        "base".to_owned(),
        json!({"object": directory.base, "made": base.made(), "commands": base.commands.commands, "rdb": rdb}),
    );
    described.insert("archive".to_owned(), format!("s3://{}/{}", archive.bucket, archive.prefix).into());
    described.insert("unchecked".to_owned(), unchecked.into());
    described
}
