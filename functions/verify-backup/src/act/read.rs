//! Reads a recovery point's objects, part by part, and compares each with the manifest.

use std::time::Instant;

use reconcile::{Documents, Error, Facts, Kind, Ledger, Metric, Result};
use redis::content::{Checker, recheck};
use serde_json::{Map, json};
use tokio::sync::SemaphorePermit;
use vault::{MANIFEST, Manifest, ReadBack, Store, StoredObject};

use super::{Looking, Seen};
use crate::{
    memory::{Change, Progress, Sample},
    observe::MEMORY_MIB,
};

/// What is read is another object by now, or none.
const CHANGED: [&str; 2] = ["NoSuchKey", "PreconditionFailed"];

impl<R, S: Store, K, L: Ledger, F: Facts, D: Documents> Looking<'_, R, S, K, L, F, D> {
    pub(crate) fn store(&self) -> &S {
        self.function.vault(self.item.place.region)
    }

    /// Looks at all of it, or as much as the run allows.
    pub(crate) async fn objects(&self, prefix: &str) -> Result<Seen> {
        let error = match self.all(prefix).await {
            Err(error) => error,
            seen => return seen,
        };
        let is_another = CHANGED.contains(&error.code());
        if (is_another || super::is_damage(&error)) && !self.is_there(prefix).await? {
            // Whoever deletes a recovery point begins with its manifest: what is missing then is not damaged.
            return Ok(Seen::Gone);
        }
        // The next look shows what is there instead.
        Err(if is_another { error.of_kind(Kind::Retryable) } else { error })
    }

    async fn is_there(&self, prefix: &str) -> Result<bool> {
        Ok(self.store().head(&format!("{prefix}{MANIFEST}")).await?.is_some())
    }

    async fn all(&self, prefix: &str) -> Result<Seen> {
        let Some(manifest) = self.manifest(prefix).await? else { return Ok(Seen::Gone) };
        if self.is_opened_on_disk() {
            return self.open(prefix, &manifest).await;
        }
        let begun = Instant::now();
        let known = self.function.desk.progress(&self.item.place).filter(|known| known.fits(&manifest));
        let fresh = || Progress { sample: self.item.sample, ..Progress::default() };
        let mut progress = known.unwrap_or_else(fresh);
        let (before, spent_ms) = (progress.read_bytes(), progress.spent_ms);
        let read = self.objects_of(prefix, &manifest, &mut progress).await;
        let took = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        progress.spent_ms = spent_ms.saturating_add(took);
        match read {
            Ok(true) => {}
            Ok(false) => {
                let bytes = progress.read_bytes();
                self.keep(progress, 0);
                return Ok(Seen::Unfinished { bytes });
            }
            Err(error) => {
                self.keep_what_is_good(&error, progress);
                return Err(error);
            }
        }
        if progress.sample.is_some() {
            recheck(&manifest.content, &progress.checked).map_err(|why| self.of_content(&why))?;
        }
        let read = progress.bytes.saturating_sub(before);
        Ok(whole(&manifest, progress.bytes, read, progress.sample, progress.spent_ms))
    }

    /// The manifest, if it is there, and this recovery point's.
    async fn manifest(&self, prefix: &str) -> Result<Option<Manifest>> {
        let key = format!("{prefix}{MANIFEST}");
        let Some(text) = self.store().read_whole(&key).await? else { return Ok(None) };
        let manifest = Manifest::parse(&key, &text)?;
        let place = &self.item.place;
        if manifest.id != place.id || manifest.resource != place.resource {
            let text =
                format!("{key} is of {} of {}, another recovery point", manifest.id, manifest.resource);
            return Err(Error::permanent("ManifestUnreadable", text));
        }
        Ok(Some(manifest))
    }

    /// Reads on from where it was. Whether it came to the end.
    async fn objects_of(&self, prefix: &str, manifest: &Manifest, progress: &mut Progress) -> Result<bool> {
        let from = progress.read_bytes();
        while let Some(object) = manifest.objects.get(progress.object) {
            let mut reading = match progress.reading.take() {
                Some(reading) => reading,
                None => ReadBack::begin(self.store(), prefix, object).await?,
            };
            let mut checker = match progress.sample {
                Some(_) => progress.checked.remove(&object.name).or_else(|| checker(manifest, object)),
                None => None,
            };
            let _memory = self.room_for(object).await?;
            let ended = loop {
                let is_enough = progress.bytes + reading.bytes() - from >= self.item.budget || self.is_over();
                if reading.bytes() < object.bytes && is_enough {
                    break Ok(false);
                }
                let part = match reading.next(self.store(), prefix, object).await {
                    Ok(Some(part)) => part,
                    Ok(None) => break Ok(true),
                    Err(error) => break Err(error),
                };
                if let Some(Err(why)) = checker.as_mut().map(|checker| checker.feed(&part)) {
                    break Err(self.of_content(&format!("{} is corrupt, {why}", object.name)));
                }
                let bytes = part.len() as u64;
                drop(part);
                let so_far = progress.with(object, &reading, checker.as_ref());
                self.keep(so_far, bytes);
                self.function.desk.save_if_much(&self.function.journal.documents).await?;
            };
            *progress = progress.with(object, &reading, checker.as_ref());
            if !ended? {
                return Ok(false);
            }
            (progress.object, progress.bytes, progress.reading) =
                (progress.object + 1, progress.bytes + object.bytes, None);
        }
        Ok(true)
    }

    /// Waits until there is room in memory for a part.
    pub(crate) async fn room_for(&self, object: &StoredObject) -> Result<SemaphorePermit<'_>> {
        let mib = (object.part_bytes.min(object.bytes) >> 20) + 1;
        let mib = u32::try_from(mib).unwrap_or(MEMORY_MIB).min(MEMORY_MIB);
        let permit = self.function.pace.memory.acquire_many(mib).await;
        permit.map_err(|error| Error::retryable("Closed", error.to_string()))
    }

    fn keep(&self, progress: Progress, bytes: u64) {
        self.function.desk.note(Change::Reading(self.item.place.clone(), Box::new(progress)), bytes);
    }

    /// What was read before an error is not read again, unless the object is another one by now.
    fn keep_what_is_good(&self, error: &Error, progress: Progress) {
        let is_another = CHANGED.contains(&error.code());
        let anew = || Progress { sample: self.item.sample, ..Progress::default() };
        self.keep(if is_another { anew() } else { progress }, 0);
    }

    pub(crate) fn of_content(&self, why: &str) -> Error {
        Error::permanent("ContentMismatch", format!("{}: {why}", self.item.place.id))
    }
}

fn checker(manifest: &Manifest, object: &StoredObject) -> Option<Checker> {
    Checker::of_stored(&manifest.content, &object.name, object.bytes)
}

pub(super) fn whole(
    manifest: &Manifest,
    bytes: u64,
    read: u64,
    sample: Option<Sample>,
    spent_ms: i64,
) -> Seen {
    let detail = [
        ("bytes", json!(bytes)),
        ("objects", json!(manifest.objects.len())),
        ("opened", json!(sample)),
        ("duration_ms", json!(spent_ms)),
    ];
    let detail: Map<_, _> = detail.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let metrics =
        vec![Metric::bytes("verified_bytes", read), Metric::milliseconds("verify_duration_ms", spent_ms)];
    Seen::Whole { detail, metrics }
}

impl Progress {
    /// How much was read.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.bytes + self.reading.as_ref().map_or(0, ReadBack::bytes)
    }

    /// The same, with that object so far.
    fn with(&self, object: &StoredObject, reading: &ReadBack, checker: Option<&Checker>) -> Self {
        let mut progress = Self { reading: Some(reading.clone()), ..self.clone() };
        if let Some(checker) = checker {
            progress.checked.insert(object.name.clone(), checker.clone());
        }
        progress
    }

    /// Whether what a document says of it fits the manifest, and itself.
    fn fits(&self, manifest: &Manifest) -> bool {
        let before = manifest.objects.iter().take(self.object);
        let is_counted = before.map(|object| object.bytes).sum::<u64>() == self.bytes;
        let Some(object) = manifest.objects.get(self.object) else { return false };
        let read = self.reading.as_ref().map_or(0, ReadBack::bytes);
        let checked = self.checked.get(&object.name).map_or(0, Checker::offset);
        let wanted = if self.sample.is_some() && checker(manifest, object).is_some() { read } else { 0 };
        is_counted && read <= object.bytes && checked == wanted
    }
}
