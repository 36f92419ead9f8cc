//! The buckets in memory keep to what S3 keeps to.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "contract/mod.rs"]
mod contract;

use jiff::{SignedDuration, Timestamp};
use reconcile::Error;
use vault::{Created, Encryption, FakeStore, Replication, Store, Versions};

fn stores() -> (FakeStore, FakeStore) {
    let home = FakeStore::new("us-east-1", "home");
    let recovery = home.beside("us-west-2", "recovery");
    (home, recovery)
}

#[tokio::test]
async fn the_fake_keeps_to_the_contract() {
    let (home, recovery) = stores();
    contract::everything(&home, &recovery).await;
    assert_eq!(home.uploads(), [], "nothing is left over");
    assert_eq!(recovery.encryption("copy/other"), Some(Encryption::S3));
    assert_eq!(recovery.encryption("copy/copied"), Some(Encryption::Bucket));
    assert!(home.objects().keys().all(|key| home.writes(key) == 1));
}

#[tokio::test]
async fn versions_and_locks_keep_to_the_contract() {
    let (locked, open) = stores();
    locked.set_default_lock(SignedDuration::from_hours(24));
    contract::what_is_locked_stays(&locked).await;
    open.put("deleted", "first");
    open.put("deleted", "second");
    open.remove("deleted");
    contract::what_is_named_is_deleted_and_nothing_else(&open).await;
    open.set_legal_hold("deleted-not", true);
    let held = open.versions("deleted-not").await.unwrap();
    assert!(open.protection(&held[0]).await.unwrap().unwrap().is_held);
    assert_eq!(Versions::delete(&open, &held[0]).await.unwrap_err().code(), "AccessDenied");
}

#[tokio::test]
async fn a_replica_comes_at_once_or_late_or_never() {
    let (home, recovery) = stores();
    home.set_now(Timestamp::from_second(1_000).unwrap());
    home.create("before", "text/plain", "0".into()).await.unwrap();
    home.replicate_to(&recovery, Replication::On);
    home.create("now", "text/plain", "1".into()).await.unwrap();
    home.replicate_to(&recovery, Replication::Late);
    home.create("late", "text/plain", "2".into()).await.unwrap();
    let keys = || recovery.objects().into_keys().collect::<Vec<_>>();
    assert_eq!(keys(), ["now"]);
    home.set_now(Timestamp::from_second(2_000).unwrap());
    home.replicate();
    assert_eq!(keys(), ["late", "now"]);
    // As S3 has it: the original's time.
    let (source, replica) = (contract::there(&home, "late").await, contract::there(&recovery, "late").await);
    assert_eq!((source.modified, replica.modified.as_second()), (replica.modified, 1_000));
    assert_ne!(source.etag, replica.etag);
}

#[tokio::test]
async fn calls_fail_lose_their_answer_or_hang() {
    let (home, _) = stores();
    home.refuse_next("create", Error::retryable("SlowDown", "later"));
    home.lose_answer_of_next("create");
    let create = |key: &'static str| home.create(key, "text/plain", "1".into());
    assert_eq!(create("a").await.unwrap_err().code(), "SlowDown");
    assert_eq!(home.objects().len(), 0);
    assert_eq!(create("a").await.unwrap_err().code(), "RequestTimedOut");
    assert_eq!(create("a").await.unwrap(), Created::Before);
    home.hang_next("create");
    tokio::select! {
        biased;
        _ = create("b") => panic!("it answered"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(home.objects().into_keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(home.calls(), ["create a", "create a", "create a", "create b"]);
    assert_eq!((home.count("create"), home.count("list")), (4, 0));
}

#[tokio::test]
async fn what_others_do_to_a_bucket() {
    let (home, _) = stores();
    home.put("k", "first");
    let before = contract::there(&home, "k").await;
    assert!(home.corrupt("k", 1) && !home.corrupt("k", 5) && !home.corrupt("none", 0));
    assert_eq!(contract::there(&home, "k").await, before, "nothing shows it");
    assert_eq!(contract::whole(&home, "k").await, "fhrst");
    home.put("k", "second");
    assert_ne!(contract::there(&home, "k").await.etag, before.etag);
    home.remove("k");
    assert_eq!((home.head("k").await.unwrap(), home.writes("k")), (None, 2));
    assert_eq!(home.create("k", "text/plain", "third".into()).await.unwrap(), Created::Now);
}
