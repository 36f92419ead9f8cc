//! An append-only directory as it was at a second, put together in the export bucket: whole files are copied by S3, the one
//! that is cut is copied as far as it is kept, and the manifest by which a server loads them is written last.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use reconcile::{Documents, Error, Result};
use redis::aof::{Assembly, BaseScanner, IncrScanner, Kept, Manifest, assemble};
use vault::{Created, Encryption, Intake, ReadBack, Source, Store, StoredObject};

use super::{
    act::Progress,
    observe::{RedisRegion, RedisRestores, directory_prefix},
    work::{Directory, Make, Reading, Work},
};
use crate::orders::Ordered;

/// How much is copied at once of a file that is cut, and is in memory at a time.
const PART_BYTES: u64 = 8 << 20;

/// After so many parts it is written down how far the work has come.
const PARTS_A_SAVE: usize = 16;

/// Where the directory is.
pub(crate) fn place(exports: &str, name: &str) -> String {
    format!("s3://{exports}/{}", directory_prefix(name))
}

/// What its owner does with it.
pub(crate) fn commands(place: &str) -> Vec<String> {
    vec![
        format!("aws s3 sync {place} ./appendonlydir"),
        "valkey-server --appendonly yes --dir . --appenddirname appendonlydir".to_owned(),
    ]
}

/// Goes on with reading, then with copying.
pub(crate) async fn step<E, S: Store, D: Documents, L, K>(
    function: &RedisRestores<E, S, D, L, K>,
    region: &RedisRegion<E, S>,
    ordered: &mut Ordered<Work>,
    at_once_bytes: u64,
) -> Result<Progress> {
    let name = ordered.order.name.clone();
    let work = Worker { exports: &region.exports, vault: &region.vault, prefix: directory_prefix(&name) };
    let directory = directory(ordered)?;
    let bytes: u64 = directory.objects.iter().map(|object| object.bytes).sum();
    let manifest_key = format!("{}{}", work.prefix, directory.manifest_name()?);
    if work.exports.head(&manifest_key).await?.is_none() {
        if bytes > at_once_bytes {
            return Ok(Progress::Underway(format!("{bytes} bytes are to be read")));
        }
        let manifest = work.manifest(directory).await?;
        let (files, text) = match directory.target {
            Some(target) => {
                let reading = read(&function.documents, &work, ordered, &manifest, target).await?;
                let assembly = assembly(directory_ref(ordered)?, &manifest, reading, target)?;
                (assembly.files, assembly.manifest)
            }
            None => (whole(directory, &manifest)?, manifest.to_text()),
        };
        for kept in &files {
            work.keep(&function.documents, ordered, kept).await?;
        }
        let body = Bytes::from(text.into_bytes());
        work.exports.create(&manifest_key, "text/plain", body).await?;
    }
    let place = place(region.exports.bucket(), &name);
    let commands = commands(&place);
    let note = "nobody but its owner starts a server from it; load it as \"commands\" says and ask it DBSIZE";
    Ok(Progress::Over(vec![
        ("directory", place.into()),
        ("commands", commands.into()),
        ("first_query_note", note.into()),
    ]))
}

fn wrong() -> Error {
    Error::permanent("RestoreUnreadable", "the order is for no directory")
}

fn directory(ordered: &mut Ordered<Work>) -> Result<&mut Directory> {
    match &mut ordered.order.work.make {
        Make::Directory(directory) => Ok(directory),
        Make::Cache(_) => Err(wrong()),
    }
}

fn directory_ref(ordered: &Ordered<Work>) -> Result<&Directory> {
    match &ordered.order.work.make {
        Make::Directory(directory) => Ok(directory),
        Make::Cache(_) => Err(wrong()),
    }
}

impl Directory {
    /// The name of the file by which a server loads the others.
    pub(crate) fn manifest_name(&self) -> Result<&str> {
        let names = self.objects.iter().map(file_name);
        let mut manifests = names.filter(|name| name.ends_with(".manifest"));
        match (manifests.next(), manifests.next()) {
            (Some(name), None) => Ok(name),
            _ => Err(Error::permanent(
                "ManifestUnreadable",
                format!("{} holds no append-only directory with one manifest; nothing was done", self.prefix),
            )),
        }
    }

    fn object(&self, name: &str) -> Result<&StoredObject> {
        self.objects.iter().find(|object| file_name(object) == name).ok_or_else(|| {
            Error::permanent("RecoveryPointIncomplete", format!("{} holds no {name}", self.prefix))
        })
    }
}

/// Its name in the directory.
fn file_name(object: &StoredObject) -> &str {
    object.name.rsplit('/').next().unwrap_or_default()
}

/// Reads every file, each part compared with the vault's manifest. Cut off, it goes on where it was written down last.
async fn read<S: Store>(
    documents: &impl Documents,
    work: &Worker<'_, S>,
    ordered: &mut Ordered<Work>,
    manifest: &Manifest,
    target: Timestamp,
) -> Result<Reading> {
    let prefix = directory_ref(ordered)?.prefix.clone();
    let anew = || Reading { base: BaseScanner::new(), increments: Vec::new(), file: None, files: 0 };
    let mut reading = directory(ordered)?.reading.take().map_or_else(anew, |reading| *reading);
    let files: Vec<&str> =
        [&manifest.base].into_iter().chain(&manifest.increments).map(|file| file.name.as_str()).collect();
    let mut parts = 0;
    while let Some(name) = files.get(reading.files) {
        let object = directory_ref(ordered)?.object(name)?.clone();
        let mut file = match reading.file.take() {
            Some(file) => file,
            None => {
                if reading.files > 0 {
                    reading.increments.push(IncrScanner::new(Some(target)));
                }
                ReadBack::begin(work.vault, &prefix, &object).await?
            }
        };
        while let Some(part) = file.next(work.vault, &prefix, &object).await? {
            match reading.increments.last_mut() {
                None => reading.base.feed(&part),
                // What is wrong is kept in the scanner.
                Some(increment) => _ = increment.feed(&part),
            }
            parts += 1;
            if parts % PARTS_A_SAVE == 0 {
                reading.file = Some(file.clone());
                directory(ordered)?.reading = Some(Box::new(reading.clone()));
                ordered.save(documents).await?;
            }
        }
        reading.files += 1;
        reading.file = None;
    }
    Ok(reading)
}

/// What is kept of the files.
fn assembly(
    directory: &Directory,
    manifest: &Manifest,
    reading: Reading,
    target: Timestamp,
) -> Result<Assembly> {
    let sizes: BTreeMap<String, u64> =
        directory.objects.iter().map(|object| (file_name(object).to_owned(), object.bytes)).collect();
    let increments: Vec<_> = reading.increments.into_iter().map(IncrScanner::finish).collect();
    assemble(manifest, &sizes, &reading.base.finish(), &increments, target)
        .map_err(|refusal| Error::permanent("DirectoryRefused", refusal.to_string()))
}

/// All of the files, where nobody can tell what is of which second.
fn whole(directory: &Directory, manifest: &Manifest) -> Result<Vec<Kept>> {
    let files = [&manifest.base].into_iter().chain(&manifest.increments);
    let kept = files.map(|file| {
        let bytes = directory.object(&file.name)?.bytes;
        Ok(Kept { name: file.name.clone(), bytes, of_bytes: bytes })
    });
    kept.collect()
}

/// The buckets of one directory's making.
struct Worker<'w, S> {
    exports: &'w S,
    vault: &'w S,
    /// What the keys of its files begin with.
    prefix: String,
}

impl<S: Store> Worker<'_, S> {
    /// The manifest by which a server loads the files, as it was archived.
    async fn manifest(&self, directory: &Directory) -> Result<Manifest> {
        let object = directory.object(directory.manifest_name()?)?;
        let mut text = Vec::new();
        vault::read_back(self.vault, &directory.prefix, object, async |part| {
            text.extend_from_slice(&part);
            Ok(())
        })
        .await?;
        Manifest::parse(&text).map_err(|error| Error::permanent("DirectoryRefused", error.to_string()))
    }

    /// Puts a file there, as far as it is kept.
    async fn keep(&self, documents: &impl Documents, ordered: &mut Ordered<Work>, kept: &Kept) -> Result<()> {
        let key = format!("{}{}", self.prefix, kept.name);
        if let Some(there) = self.exports.head(&key).await? {
            return self.agrees(&key, there.bytes, kept.bytes);
        }
        if kept.bytes == 0 {
            return self.exports.create(&key, "application/octet-stream", Bytes::new()).await.map(drop);
        }
        let directory = directory(ordered)?;
        let from = format!("{}{}", directory.prefix, directory.object(&kept.name)?.name);
        let there = self.vault.head(&from).await?.filter(|there| there.bytes == kept.of_bytes);
        let Some(there) = there else {
            return Err(Error::permanent("ObjectMissing", format!("{from} is not in the vault as it was")));
        };
        if kept.bytes < kept.of_bytes {
            return self.cut(documents, ordered, kept, &key, &there).await;
        }
        let bucket = self.vault.bucket().to_owned();
        let source = Source { bucket, key: from, bytes: there.bytes, etag: there.etag };
        self.exports.copy(&source, &key, Encryption::S3).await.map(drop)
    }

    fn agrees(&self, key: &str, there: u64, wanted: u64) -> Result<()> {
        if there == wanted {
            return Ok(());
        }
        Err(Error::permanent(
            "StagedOtherwise",
            format!(
                "s3://{}/{key} has {there} bytes and should have {wanted}; it is left as it is, restore under another name",
                self.exports.bucket()
            ),
        ))
    }

    /// Copies the beginning of a file, one part in memory at a time.
    async fn cut(
        &self,
        documents: &impl Documents,
        ordered: &mut Ordered<Work>,
        kept: &Kept,
        key: &str,
        from: &vault::Object,
    ) -> Result<()> {
        let mut intake = match directory(ordered)?.cutting.take() {
            Some(intake) if intake.key() == key => *intake,
            _ => Intake::begin(self.exports, key, PART_BYTES).await?,
        };
        let mut parts = 0;
        while intake.bytes() < kept.bytes {
            let part = intake.bytes()..kept.bytes.min(intake.bytes() + PART_BYTES);
            let part = self.vault.read(&from.key, &from.etag, part).await?;
            intake.add(self.exports, part).await?;
            parts += 1;
            if parts % PARTS_A_SAVE == 0 {
                directory(ordered)?.cutting = Some(Box::new(intake.clone()));
                ordered.save(documents).await?;
            }
        }
        let upload = intake.upload().clone();
        match intake.complete(self.exports, &kept.name).await {
            Ok((Created::Now, _)) => Ok(()),
            // Another invocation was quicker.
            Ok((Created::Before, _)) => {
                let there = self.exports.head(key).await?.map_or(0, |there| there.bytes);
                self.agrees(key, there, kept.bytes)
            }
            Err(error) if error.code() == "NoSuchUpload" => {
                directory(ordered)?.cutting = None;
                ordered.save(documents).await?;
                Err(Error::retryable(
                    "UploadGone",
                    format!("upload {} of {key} is gone; it begins anew", upload.id),
                ))
            }
            Err(error) => Err(error),
        }
    }
}
