//! Buckets in memory: versioned, with uploads in parts, replication, and calls that a test can break.

use std::{
    collections::{BTreeMap, VecDeque},
    future::pending,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use reconcile::{Error, Result};

use crate::{Created, Encryption, Object, Part, Protection, Source, Store, Upload, crc64nvme, store};

/// One bucket of a cloud in memory. Clones are the same bucket; those made by [`FakeStore::beside`] share the cloud, its
/// clock and what can be copied.
#[derive(Clone, Debug)]
pub struct FakeStore {
    cloud: Arc<Mutex<Cloud>>,
    region: String,
    bucket: String,
}

/// When a bucket's new objects reach its replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replication {
    /// Never.
    #[default]
    Off,
    /// At once.
    On,
    /// When [`FakeStore::replicate`] says so.
    Late,
}

#[derive(Debug, Default)]
pub(crate) struct Cloud {
    pub(crate) now: Timestamp,
    /// Counts whatever needs a name of its own: versions, entity tags, uploads.
    made: u64,
    buckets: BTreeMap<String, Bucket>,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    /// All versions of each key, the newest last.
    pub(crate) versions: BTreeMap<String, Vec<Stored>>,
    /// How long each new object is locked.
    pub(crate) default_lock: Option<SignedDuration>,
    uploads: BTreeMap<String, Begun>,
    least_part_bytes: u64,
    replica: Option<(String, Replication)>,
    late: VecDeque<String>,
    faults: VecDeque<(&'static str, Fault)>,
    calls: Vec<String>,
}

/// A version of an object.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) modified: Timestamp,
    pub(crate) protection: Protection,
    /// `None` is a delete marker.
    pub(crate) content: Option<Content>,
}

#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) body: Bytes,
    etag: String,
    encryption: Encryption,
    /// As S3 computed it when it was written: what happens to the bytes later does not change it.
    crc64nvme: u64,
}

#[derive(Debug)]
struct Begun {
    key: String,
    parts: BTreeMap<u32, (String, Bytes)>,
}

#[derive(Debug)]
enum Fault {
    Refuse(Error),
    LoseAnswer,
    Hang,
}

impl Default for Bucket {
    fn default() -> Self {
        Self {
            versions: BTreeMap::new(),
            default_lock: None,
            uploads: BTreeMap::new(),
            least_part_bytes: store::LEAST_PART_BYTES,
            replica: None,
            late: VecDeque::new(),
            faults: VecDeque::new(),
            calls: Vec::new(),
        }
    }
}

impl Bucket {
    fn newest(&self, key: &str) -> Option<(&Stored, &Content)> {
        let stored = self.versions.get(key)?.last()?;
        Some((stored, stored.content.as_ref()?))
    }

    fn current(&self, key: &str) -> Option<&Content> {
        Some(self.newest(key)?.1)
    }
}

impl Cloud {
    pub(crate) fn bucket(&mut self, name: &str) -> &mut Bucket {
        self.buckets.entry(name.to_owned()).or_default()
    }

    fn number(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    fn etag(&mut self, parts: usize) -> String {
        let number = self.number();
        if parts == 0 { format!("\"{number:032x}\"") } else { format!("\"{number:032x}-{parts}\"") }
    }

    /// A new version of `key`, as of now; whoever replicates the bucket hears of it.
    fn write(&mut self, bucket: &str, key: &str, body: Bytes, etag: String, encryption: Encryption) {
        let crc64nvme = crc64nvme(&body);
        let (id, modified) = (self.number().to_string(), self.now);
        let there = self.bucket(bucket);
        let retained_until = there.default_lock.map(|lock| modified + lock);
        let stored = Stored {
            id,
            modified,
            protection: Protection { retained_until, ..Protection::default() },
            content: Some(Content { body, etag, encryption, crc64nvme }),
        };
        there.versions.entry(key.to_owned()).or_default().push(stored);
        match there.replica.as_ref().map(|(_, when)| *when) {
            Some(Replication::On) => self.replicate(bucket, key),
            Some(Replication::Late) => there.late.push_back(key.to_owned()),
            Some(Replication::Off) | None => {}
        }
    }

    /// A replica keeps the original's version, time and lock ("What does Amazon S3 replicate?"); its entity tag is another, as
    /// under another KMS key.
    fn replicate(&mut self, bucket: &str, key: &str) {
        let there = self.bucket(bucket);
        let newest = there.newest(key).map(|(stored, content)| (stored.clone(), content.clone()));
        let Some((target, (stored, content))) =
            there.replica.as_ref().map(|(target, _)| target.clone()).zip(newest)
        else {
            return;
        };
        let content = Content { etag: self.etag(0), encryption: Encryption::Bucket, ..content };
        let stored = Stored { content: Some(content), ..stored };
        self.bucket(&target).versions.entry(key.to_owned()).or_default().push(stored);
    }
}

impl FakeStore {
    /// A bucket of a cloud of its own.
    pub fn new(region: &str, bucket: &str) -> Self {
        Self { cloud: Arc::default(), region: region.to_owned(), bucket: bucket.to_owned() }
    }

    /// Another bucket of the same cloud.
    #[must_use]
    pub fn beside(&self, region: &str, bucket: &str) -> Self {
        Self { cloud: Arc::clone(&self.cloud), region: region.to_owned(), bucket: bucket.to_owned() }
    }

    fn cloud(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut Bucket) -> T) -> T {
        change(self.cloud().bucket(&self.bucket))
    }

    /// Sets the clock by which all of the cloud's objects are stamped.
    pub fn set_now(&self, now: Timestamp) {
        self.cloud().now = now;
    }

    /// Lets parts be this small; 5 MiB otherwise, as S3 has it. For tests of many parts.
    pub fn set_least_part_bytes(&self, bytes: u64) {
        self.with(|bucket| bucket.least_part_bytes = bytes);
    }

    /// The next call of `call` (`read`, `copy`, … as [`Store`] names them) answers `error` and does nothing.
    pub fn refuse_next(&self, call: &'static str, error: Error) {
        self.with(|bucket| bucket.faults.push_back((call, Fault::Refuse(error))));
    }

    /// The next call of `call` takes effect, and its answer is lost.
    pub fn lose_answer_of_next(&self, call: &'static str) {
        self.with(|bucket| bucket.faults.push_back((call, Fault::LoseAnswer)));
    }

    /// The next call of `call` takes effect and never answers: whoever waits for it is cut off there.
    pub fn hang_next(&self, call: &'static str) {
        self.with(|bucket| bucket.faults.push_back((call, Fault::Hang)));
    }

    /// Every call on this bucket so far: `list redis/2026-11-22/`.
    pub fn calls(&self) -> Vec<String> {
        self.with(|bucket| bucket.calls.clone())
    }

    /// How often `call` was made.
    pub fn count(&self, call: &str) -> usize {
        self.with(|bucket| bucket.calls.iter().filter(|made| made.split(' ').next() == Some(call)).count())
    }

    /// What is there, by key.
    pub fn objects(&self) -> BTreeMap<String, Bytes> {
        self.with(|bucket| {
            let keys = bucket.versions.keys();
            keys.filter_map(|key| Some((key.clone(), bucket.current(key)?.body.clone()))).collect()
        })
    }

    /// How often `key` was written: more than once is an overwrite.
    pub fn writes(&self, key: &str) -> usize {
        let is_object = |stored: &&Stored| stored.content.is_some();
        self.with(|bucket| bucket.versions.get(key).map_or(0, |there| there.iter().filter(is_object).count()))
    }

    /// How the object at `key` is encrypted.
    pub fn encryption(&self, key: &str) -> Option<Encryption> {
        self.with(|bucket| bucket.current(key).map(|version| version.encryption))
    }

    /// The uploads that were begun and neither completed nor given up.
    pub fn uploads(&self) -> Vec<Upload> {
        let shown = |(id, begun): (&String, &Begun)| Upload { key: begun.key.clone(), id: id.clone() };
        self.with(|bucket| bucket.uploads.iter().map(shown).collect())
    }

    /// Somebody else writes `key`, over whatever is there.
    pub fn put(&self, key: &str, body: impl Into<Bytes>) {
        let mut cloud = self.cloud();
        let etag = cloud.etag(0);
        cloud.write(&self.bucket, key, body.into(), etag, Encryption::Bucket);
    }

    /// Somebody deletes `key`: a delete marker, the versions stay.
    pub fn remove(&self, key: &str) {
        let mut cloud = self.cloud();
        let (id, modified) = (cloud.number().to_string(), cloud.now);
        if let Some(versions) = cloud.bucket(&self.bucket).versions.get_mut(key) {
            versions.push(Stored { id, modified, protection: Protection::default(), content: None });
        }
    }

    /// One bit of the object at `key` flips, and nothing shows it. Whether there is such a byte.
    pub fn corrupt(&self, key: &str, offset: usize) -> bool {
        self.with(|bucket| {
            let stored = bucket.versions.get_mut(key).and_then(|versions| versions.last_mut());
            let content = stored.and_then(|stored| stored.content.as_mut());
            let Some(content) = content.filter(|content| offset < content.body.len()) else { return false };
            let mut body = content.body.to_vec();
            body[offset] ^= 1;
            content.body = body.into();
            true
        })
    }

    /// From now on what is written here is replicated to `target`, a bucket of the same cloud.
    pub fn replicate_to(&self, target: &Self, when: Replication) {
        self.with(|bucket| bucket.replica = Some((target.bucket.clone(), when)));
    }

    /// What is late reaches its replica.
    pub fn replicate(&self) {
        let mut cloud = self.cloud();
        while let Some(key) = cloud.bucket(&self.bucket).late.pop_front() {
            cloud.replicate(&self.bucket, &key);
        }
    }

    /// Records the call, meets its fault if one waits, and otherwise lets `effect` happen.
    pub(crate) async fn call<T>(
        &self,
        call: &'static str,
        on: &str,
        effect: impl FnOnce(&mut Cloud, &str) -> Result<T>,
    ) -> Result<T> {
        let fault = self.with(|bucket| {
            bucket.calls.push(format!("{call} {on}"));
            let at = bucket.faults.iter().position(|(name, _)| *name == call)?;
            bucket.faults.remove(at).map(|(_, fault)| fault)
        });
        if let Some(Fault::Refuse(error)) = fault {
            return Err(error);
        }
        let answer = effect(&mut self.cloud(), &self.bucket)?;
        match fault {
            Some(Fault::LoseAnswer) => Err(Error::retryable("RequestTimedOut", "the answer was lost")),
            Some(Fault::Hang) => pending().await,
            Some(Fault::Refuse(_)) | None => Ok(answer),
        }
    }
}

fn object(key: &str, (stored, content): (&Stored, &Content)) -> Object {
    let Content { body, etag, .. } = content;
    Object { key: key.to_owned(), bytes: body.len() as u64, etag: etag.clone(), modified: stored.modified }
}

fn refused(code: &str, key: &str) -> Error {
    Error::permanent(code, format!("{code}: {key}"))
}

/// The bytes of `key`, if it is still that object.
fn same_object<'c>(cloud: &'c mut Cloud, bucket: &str, key: &str, etag: &str) -> Result<&'c Bytes> {
    match cloud.bucket(bucket).current(key) {
        None => Err(refused("NoSuchKey", key)),
        Some(version) if version.etag != etag => Err(refused("PreconditionFailed", key)),
        Some(version) => Ok(&version.body),
    }
}

/// What S3 would make of these parts, or its refusal.
fn assemble(begun: &Begun, parts: &[Part], least_bytes: u64) -> Result<Bytes> {
    if parts.is_empty() {
        return Err(refused("MalformedXML", &begun.key));
    }
    if !parts.is_sorted_by(|one, next| one.number < next.number) {
        return Err(refused("InvalidPartOrder", &begun.key));
    }
    let mut body = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let known = begun.parts.get(&part.number).filter(|(etag, _)| *etag == part.etag);
        let (_, bytes) = known.ok_or_else(|| refused("InvalidPart", &begun.key))?;
        if at + 1 < parts.len() && (bytes.len() as u64) < least_bytes {
            return Err(refused("EntityTooSmall", &begun.key));
        }
        body.extend_from_slice(bytes);
    }
    let said = store::combined(parts);
    if said != (crc64nvme(&body), body.len() as u64) {
        return Err(refused("BadDigest", &begun.key));
    }
    Ok(body.into())
}

impl Store for FakeStore {
    fn region(&self) -> &str {
        &self.region
    }

    fn bucket(&self) -> &str {
        &self.bucket
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        self.call("list", prefix, |cloud, bucket| {
            let bucket = cloud.bucket(bucket);
            let keys = bucket.versions.keys().filter(|key| key.starts_with(prefix));
            Ok(keys.filter_map(|key| bucket.newest(key).map(|newest| object(key, newest))).collect())
        })
        .await
    }

    async fn head(&self, key: &str) -> Result<Option<Object>> {
        self.call("head", key, |cloud, bucket| {
            Ok(cloud.bucket(bucket).newest(key).map(|newest| object(key, newest)))
        })
        .await
    }

    async fn head_checksum(&self, key: &str) -> Result<Option<(Object, Option<u64>)>> {
        self.call("head", key, |cloud, bucket| {
            let newest = cloud.bucket(bucket).newest(key);
            Ok(newest.map(|newest| (object(key, newest), Some(newest.1.crc64nvme))))
        })
        .await
    }

    async fn read(&self, key: &str, etag: &str, range: Range<u64>) -> Result<Bytes> {
        self.call("read", key, |cloud, bucket| {
            let body = same_object(cloud, bucket, key, etag)?;
            let (from, to) = (usize::try_from(range.start), usize::try_from(range.end));
            match (from, to) {
                (Ok(from), Ok(to)) if from <= to && to <= body.len() => Ok(body.slice(from..to)),
                _ => Err(refused("InvalidRange", key)),
            }
        })
        .await
    }

    async fn read_whole(&self, key: &str) -> Result<Option<Bytes>> {
        self.call("read_whole", key, |cloud, bucket| {
            let found = cloud.bucket(bucket).current(key).map(|version| version.body.clone());
            match found {
                Some(body) if body.len() as u64 > store::WHOLE_BYTES => {
                    Err(store::too_large(key, body.len() as u64))
                }
                found => Ok(found),
            }
        })
        .await
    }

    async fn create(&self, key: &str, _content_type: &str, body: Bytes) -> Result<Created> {
        self.call("create", key, |cloud, bucket| {
            if cloud.bucket(bucket).current(key).is_some() {
                return Ok(Created::Before);
            }
            let etag = cloud.etag(0);
            cloud.write(bucket, key, body, etag, Encryption::Bucket);
            Ok(Created::Now)
        })
        .await
    }

    async fn begin(&self, key: &str) -> Result<Upload> {
        self.call("begin", key, |cloud, bucket| {
            let id = format!("upload-{}", cloud.number());
            let begun = Begun { key: key.to_owned(), parts: BTreeMap::new() };
            cloud.bucket(bucket).uploads.insert(id.clone(), begun);
            Ok(Upload { key: key.to_owned(), id })
        })
        .await
    }

    async fn part(&self, upload: &Upload, number: u32, body: Bytes) -> Result<Part> {
        self.call("part", &upload.key, |cloud, bucket| {
            if !store::PART_NUMBERS.contains(&number) {
                return Err(refused("InvalidArgument", &upload.key));
            }
            let etag = cloud.etag(0);
            let begun = cloud.bucket(bucket).uploads.get_mut(&upload.id);
            let begun = begun.ok_or_else(|| refused("NoSuchUpload", &upload.key))?;
            begun.parts.insert(number, (etag.clone(), body.clone()));
            Ok(Part { number, etag, crc64nvme: crc64nvme(&body), bytes: body.len() as u64 })
        })
        .await
    }

    async fn complete(&self, upload: &Upload, parts: &[Part]) -> Result<Created> {
        self.call("complete", &upload.key, |cloud, bucket| {
            let there = cloud.bucket(bucket);
            if there.current(&upload.key).is_some() {
                there.uploads.remove(&upload.id);
                return Ok(Created::Before);
            }
            let begun = there.uploads.get(&upload.id);
            let begun = begun.ok_or_else(|| refused("NoSuchUpload", &upload.key))?;
            let body = assemble(begun, parts, there.least_part_bytes)?;
            there.uploads.remove(&upload.id);
            let etag = cloud.etag(parts.len());
            cloud.write(bucket, &upload.key, body, etag, Encryption::Bucket);
            Ok(Created::Now)
        })
        .await
    }

    async fn abort(&self, upload: &Upload) -> Result<()> {
        self.call("abort", &upload.key, |cloud, bucket| {
            cloud.bucket(bucket).uploads.remove(&upload.id);
            Ok(())
        })
        .await
    }

    async fn copy(&self, source: &Source, key: &str, encryption: Encryption) -> Result<Created> {
        self.call("copy", key, |cloud, bucket| {
            if cloud.bucket(bucket).current(key).is_some() {
                return Ok(Created::Before);
            }
            let body = same_object(cloud, &source.bucket, &source.key, &source.etag)?.clone();
            let etag = cloud.etag(0);
            cloud.write(bucket, key, body, etag, encryption);
            Ok(Created::Now)
        })
        .await
    }
}
