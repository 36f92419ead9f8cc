//! What every [`Store`] keeps to. Run against the buckets in memory here, and against S3 on the local cloud there.

#![allow(dead_code, reason = "each test binary uses what it can")]

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::SignedDuration;
use vault::{
    Created, Encryption, Intake, Object, Part, Source, Store, Upload, Version, Versions, crc64nvme, read_back,
};

/// The least that a part may have.
pub(crate) const PART: usize = 5 << 20;

/// Bytes that are the same for the same seed, and nowhere repeat.
pub(crate) fn content(bytes: usize, seed: u64) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut content = vec![0; bytes];
    random.fill(&mut content);
    content.into()
}

fn code<T: std::fmt::Debug>(outcome: reconcile::Result<T>) -> String {
    outcome.unwrap_err().code().to_owned()
}

pub(crate) async fn whole(store: &impl Store, key: &str) -> Bytes {
    store.read_whole(key).await.unwrap().unwrap()
}

pub(crate) async fn there(store: &impl Store, key: &str) -> Object {
    store.head(key).await.unwrap().unwrap()
}

async fn put(store: &impl Store, key: &str, body: impl Into<Bytes>) {
    assert_eq!(store.create(key, "text/plain", body.into()).await.unwrap(), Created::Now);
}

async fn begun(store: &impl Store, key: &str, parts: &[Bytes]) -> (Upload, Vec<Part>) {
    let upload = store.begin(key).await.unwrap();
    let mut stored = Vec::new();
    for (number, part) in (1..).zip(parts) {
        stored.push(store.part(&upload, number, part.clone()).await.unwrap());
    }
    (upload, stored)
}

/// All of it. `other` is a second bucket of the same cloud.
pub(crate) async fn everything(store: &impl Store, other: &impl Store) {
    a_list_is_complete_and_in_order(store).await;
    what_is_there_is_not_overwritten(store).await;
    a_read_gives_what_was_asked_for_or_an_error(store).await;
    what_is_too_large_is_not_read_as_a_whole(store).await;
    parts_become_one_object(store).await;
    the_second_upload_of_a_key_changes_nothing(store).await;
    what_s3_refuses_of_parts(store).await;
    an_upload_that_was_given_up_is_gone(store).await;
    an_object_of_no_bytes(store).await;
    copies(store, other, "copy", 70_000).await;
}

pub(crate) async fn a_list_is_complete_and_in_order(store: &impl Store) {
    // More than one page; and neighbours of the prefix.
    let keys: Vec<String> = (0..1_003).map(|number| format!("list/in/{number:04}")).collect();
    put(store, "list/in", "1").await;
    put(store, "list/iz/1", "1").await;
    stream::iter(&keys)
        .map(|key| store.create(key, "text/plain", Bytes::from(key.clone())))
        .buffer_unordered(16)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    let listed = store.list("list/in/").await.unwrap();
    assert_eq!(listed.iter().map(|object| &object.key).collect::<Vec<_>>(), keys.iter().collect::<Vec<_>>());
    assert!(listed.iter().all(|object| object.bytes == "list/in/0000".len() as u64));
    let looked_at = there(store, &keys[7]).await;
    assert_eq!((&looked_at.etag, looked_at.bytes), (&listed[7].etag, listed[7].bytes));
    assert_eq!(looked_at.modified.as_second(), listed[7].modified.as_second());
    assert_eq!(store.list("list/none/").await.unwrap(), []);
    assert_eq!(store.head("list/none/").await.unwrap(), None);
}

pub(crate) async fn what_is_there_is_not_overwritten(store: &impl Store) {
    put(store, "once", "first").await;
    let second = store.create("once", "text/plain", "second".into()).await.unwrap();
    assert_eq!(second, Created::Before);
    assert_eq!(whole(store, "once").await, "first");
    assert_eq!(store.read_whole("never").await.unwrap(), None);
    assert_eq!(store.head_checksum("never").await.unwrap(), None);
    let (_, kept) = store.head_checksum("once").await.unwrap().unwrap();
    assert_eq!(kept, Some(crc64nvme(b"first")));
}

pub(crate) async fn a_read_gives_what_was_asked_for_or_an_error(store: &impl Store) {
    let body = content(10_000, 1);
    put(store, "read", body.clone()).await;
    let etag = there(store, "read").await.etag;
    for range in [0..1, 0..10_000, 9_999..10_000, 17..4_711] {
        let (from, to) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
        assert_eq!(store.read("read", &etag, range).await.unwrap(), body.slice(from..to));
    }
    assert_eq!(code(store.read("read", &etag, 9_000..10_001).await), "InvalidRange");
    assert_eq!(code(store.read("read", &etag, 10_000..10_001).await), "InvalidRange");
    assert_eq!(code(store.read("never", &etag, 0..1).await), "NoSuchKey");
    put(store, "read-other", "another").await;
    let another = there(store, "read-other").await.etag;
    assert_eq!(code(store.read("read", &another, 0..1).await), "PreconditionFailed");
}

pub(crate) async fn what_is_too_large_is_not_read_as_a_whole(store: &impl Store) {
    put(store, "just-not", vec![0; 16 << 20]).await;
    assert_eq!(whole(store, "just-not").await.len(), 16 << 20);
    put(store, "too-large", vec![0; (16 << 20) + 1]).await;
    assert_eq!(code(store.read_whole("too-large").await), "ObjectTooLarge");
}

pub(crate) async fn parts_become_one_object(store: &impl Store) {
    let body = content(2 * PART + 7, 2);
    let mut intake = Intake::begin(store, "parts/whole", PART as u64).await.unwrap();
    intake.add(store, body.slice(..PART)).await.unwrap();
    intake.add(store, body.slice(PART..2 * PART)).await.unwrap();
    // The last document was not written: the same part comes once more, under its own number.
    let mut resumed = intake.clone();
    intake.add(store, content(9, 3)).await.unwrap();
    resumed.add(store, body.slice(2 * PART..)).await.unwrap();
    assert_eq!(store.head("parts/whole").await.unwrap(), None);
    let (created, object) = resumed.clone().complete(store, "whole").await.unwrap();
    assert_eq!((created, object.bytes), (Created::Now, body.len() as u64));
    let written = there(store, "parts/whole").await;
    let (found, kept) = store.head_checksum("parts/whole").await.unwrap().unwrap();
    assert_eq!(
        (found.etag, kept),
        (written.etag.clone(), Some(crc64nvme(&body))),
        "of the whole, not of its parts"
    );
    let mut read = Vec::new();
    read_back(store, "parts/", &object, async |part| {
        read.extend_from_slice(&part);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(read, body);
    // Once more, as after a lost answer.
    let (_, again) = resumed.complete(store, "whole").await.unwrap();
    assert_eq!((again, there(store, "parts/whole").await), (object, written));
}

pub(crate) async fn the_second_upload_of_a_key_changes_nothing(store: &impl Store) {
    put(store, "taken", "first").await;
    let (upload, parts) = begun(store, "taken", &[content(100, 4)]).await;
    assert_eq!(store.complete(&upload, &parts).await.unwrap(), Created::Before);
    assert_eq!(whole(store, "taken").await, "first");
    // Nothing of it is left to be paid for.
    assert_eq!(code(store.part(&upload, 1, content(100, 4)).await), "NoSuchUpload");
}

pub(crate) async fn what_s3_refuses_of_parts(store: &impl Store) {
    let (upload, mut parts) = begun(store, "refused", &[content(100, 5), content(100, 6)]).await;
    assert_eq!(code(store.complete(&upload, &parts).await), "EntityTooSmall");
    parts.truncate(1);
    let honest = parts[0].clone();
    parts[0].crc64nvme ^= 1;
    assert!(store.complete(&upload, &parts).await.is_err(), "another checksum than S3 has");
    parts[0] = Part { etag: "\"00000000000000000000000000000000\"".to_owned(), ..honest.clone() };
    assert_eq!(code(store.complete(&upload, &parts).await), "InvalidPart");
    assert!(store.complete(&upload, &[]).await.is_err(), "no parts at all");
    assert_eq!(store.head("refused").await.unwrap(), None);
    assert_eq!(store.complete(&upload, &[honest]).await.unwrap(), Created::Now);
    assert_eq!(whole(store, "refused").await, content(100, 5));
}

pub(crate) async fn an_upload_that_was_given_up_is_gone(store: &impl Store) {
    let (upload, parts) = begun(store, "given-up", &[content(100, 7)]).await;
    store.abort(&upload).await.unwrap();
    store.abort(&upload).await.unwrap();
    let error = store.complete(&upload, &parts).await.unwrap_err();
    assert!(error.code() == "NoSuchUpload" && Intake::is_lost(&error), "{}", error.report());
    assert!(Intake::is_lost(&store.part(&upload, 2, content(1, 1)).await.unwrap_err()));
    assert_eq!(store.head("given-up").await.unwrap(), None);
}

pub(crate) async fn an_object_of_no_bytes(store: &impl Store) {
    let mut intake = Intake::begin(store, "empty/object", PART as u64).await.unwrap();
    intake.add(store, Bytes::new()).await.unwrap();
    let (_, object) = intake.complete(store, "object").await.unwrap();
    assert_eq!((object.bytes, object.sha256.len(), object.parts().count()), (0, 0, 0));
    assert_eq!(object.crc64nvme, format!("{:016x}", crc64nvme(&[])));
    read_back(store, "empty/", &object, async |_| panic!("a part of nothing")).await.unwrap();
    assert_eq!(whole(store, "empty/object").await, "");
}

/// Copies of `bytes` bytes, below `prefix`, from one bucket to the other.
pub(crate) async fn copies(store: &impl Store, target: &impl Store, prefix: &str, bytes: usize) {
    let body = content(bytes, 8);
    let key = format!("{prefix}/a b/ü+%25/c=d&e?versionId=f");
    put(store, &key, body.clone()).await;
    let source = there(store, &key).await.in_bucket(store.bucket());
    let copy = format!("{prefix}/copied");
    for expected in [Created::Now, Created::Before] {
        assert_eq!(target.copy(&source, &copy, Encryption::Bucket).await.unwrap(), expected);
    }
    let copied = there(target, &copy).await;
    assert_eq!(copied.bytes, bytes as u64);
    assert_eq!(target.read(&copy, &copied.etag, 0..copied.bytes).await.unwrap(), body);

    let other = format!("{prefix}/other");
    let changed = Source { etag: "\"00000000000000000000000000000000\"".to_owned(), ..source.clone() };
    assert_eq!(code(target.copy(&changed, &other, Encryption::Bucket).await), "PreconditionFailed");
    let gone = Source { key: format!("{prefix}/none"), ..source.clone() };
    assert_eq!(code(target.copy(&gone, &other, Encryption::Bucket).await), "NoSuchKey");
    assert_eq!(target.head(&other).await.unwrap(), None);
    assert_eq!(target.copy(&source, &other, Encryption::S3).await.unwrap(), Created::Now);
}

/// A bucket that locks each new object for at least an hour, in governance mode.
pub(crate) async fn what_is_locked_stays(store: &(impl Store + Versions)) {
    put(store, "locked/a", "1").await;
    put(store, "locked/b", "22").await;
    put(store, "lockless", "3").await;
    let found = store.versions("locked/").await.unwrap();
    let shown: Vec<_> = found.iter().map(|one| (one.key.as_str(), one.bytes, one.is_delete_marker)).collect();
    assert_eq!(shown, [("locked/a", 1, false), ("locked/b", 2, false)]);
    let version = &found[0];
    let protection = store.protection(version).await.unwrap().unwrap();
    let until = protection.retained_until.unwrap();
    assert!(until > version.modified && !protection.is_compliance && !protection.is_held, "{protection:?}");
    assert_eq!(code(Versions::delete(store, version).await), "AccessDenied");
    let later = until + SignedDuration::from_hours(24 * 400);
    store.retain(version, later, false).await.unwrap();
    store.retain(version, later, false).await.unwrap();
    let protection = store.protection(version).await.unwrap().unwrap();
    assert_eq!(protection.retained_until.unwrap().as_second(), later.as_second());
    assert_eq!(code(store.retain(version, until, false).await), "AccessDenied", "never shortened");
    assert_eq!(store.versions("locked/").await.unwrap(), found, "nothing is gone");
    let gone = Version { id: "0".repeat(32), ..version.clone() };
    assert_eq!(store.protection(&gone).await.unwrap(), None);
    Versions::delete(store, &gone).await.unwrap();
}

/// A bucket without a lock, in which an object was overwritten and deleted: of the key `deleted` there are two versions and a
/// delete marker.
pub(crate) async fn what_is_named_is_deleted_and_nothing_else(store: &(impl Store + Versions)) {
    put(store, "deleted-not", "1").await;
    let found = store.versions("deleted").await.unwrap();
    let markers = found.iter().filter(|one| one.is_delete_marker).count();
    assert_eq!((found.len(), markers, store.head("deleted").await.unwrap()), (4, 1, None), "{found:?}");
    for version in found.iter().filter(|one| one.key == "deleted") {
        assert_eq!(store.protection(version).await.unwrap().unwrap_or_default().retained_until, None);
        for _ in 0..2 {
            Versions::delete(store, version).await.unwrap();
        }
    }
    let left = store.versions("deleted").await.unwrap();
    assert_eq!(left.iter().map(|one| one.key.as_str()).collect::<Vec<_>>(), ["deleted-not"]);
}
