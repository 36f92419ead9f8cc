//! What tears down, on the account in memory: what it deletes, and what it must not.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use reconcile::{Error, Kind};
use redis::elasticache::{Cache, CacheKind, ElastiCache, FakeAccount, Teardown};
use rstest::rstest;

const DRILL: &str = "tidemark-drill-1";

fn account(kind: CacheKind, name: &str, status: &str) -> FakeAccount {
    let account = FakeAccount::default();
    account
        .put_cache(Cache { status: status.to_owned(), ..Cache::fake(kind, name, "2026-11-22T03:00:00Z", 1) });
    account
}

#[rstest]
#[case(CacheKind::ReplicationGroup, "InvalidReplicationGroupState")]
#[case(CacheKind::Cluster, "InvalidCacheClusterState")]
#[case(CacheKind::Serverless, "InvalidServerlessCacheStateFault")]
#[tokio::test]
async fn a_cache_goes_once_it_is_up_to_nothing_else(#[case] kind: CacheKind, #[case] code: &str) {
    let account = account(kind, DRILL, "creating");
    let caches = account.region("us-east-1");
    let error = caches.delete_cache(kind, DRILL).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (code, Kind::Retryable));
    account.finish();
    caches.delete_cache(kind, DRILL).await.unwrap();
    assert_eq!(caches.cache(kind, DRILL).await.unwrap().unwrap().status, "deleting");
    assert_eq!(caches.delete_cache(kind, DRILL).await.unwrap_err().code(), code);
    account.finish();
    assert_eq!(caches.cache(kind, DRILL).await.unwrap(), None);
    caches.delete_cache(kind, DRILL).await.unwrap();
}

#[rstest]
#[case("create-failed")]
#[case("restore-failed")]
#[case("incompatible-network")]
#[tokio::test]
async fn what_will_never_be_available_can_be_deleted(#[case] status: &str) {
    let account = account(CacheKind::Cluster, DRILL, status);
    account.region("us-east-1").delete_cache(CacheKind::Cluster, DRILL).await.unwrap();
    account.finish();
    assert_eq!(account.region("us-east-1").caches().await.unwrap(), []);
}

#[rstest]
#[case("sessions")]
#[case("tidemark-drill")]
#[case("my-tidemark-drill-1")]
#[tokio::test]
async fn what_no_drill_made_is_refused_before_elasticache_is_asked(#[case] name: &str) {
    for kind in [CacheKind::ReplicationGroup, CacheKind::Cluster, CacheKind::Serverless] {
        let account = account(kind, name, "available");
        let error = account.region("us-east-1").delete_cache(kind, name).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("NotADrills", Kind::Permanent));
        assert_eq!(account.calls(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_deletion_can_be_refused_and_its_answer_lost() {
    let kind = CacheKind::ReplicationGroup;
    let account = account(kind, DRILL, "available");
    let caches = account.region("us-east-1");
    account.refuse_next("DeleteCache", Error::retryable("Throttling", "rate exceeded"));
    assert_eq!(caches.delete_cache(kind, DRILL).await.unwrap_err().code(), "Throttling");
    caches.delete_cache(CacheKind::Serverless, DRILL).await.unwrap();
    assert_eq!(caches.cache(kind, DRILL).await.unwrap().unwrap().status, "available", "another sort");
    account.lose_answer_of_next("DeleteCache");
    assert_eq!(caches.delete_cache(kind, DRILL).await.unwrap_err().code(), "RequestTimedOut");
    assert_eq!(caches.cache(kind, DRILL).await.unwrap().unwrap().status, "deleting");
}
