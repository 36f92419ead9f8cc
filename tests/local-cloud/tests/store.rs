//! The vault's bucket on S3 keeps to what the one in memory keeps to. One cloud for all tests of this file, without
//! anything deployed, and buckets as the template has them.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;
#[path = "../../../functions/shared/vault/tests/contract/mod.rs"]
mod contract;

use std::sync::Arc;

use bytes::Bytes;
use common::python;
use contract::{PART, content, there, whole};
use local_cloud::{CallFilter, Cloud, Effect, Fault, Options, Silent};
use tokio::sync::OnceCell;
use vault::{Created, Encryption, Intake, Protection, S3Store, Store, StoredObject, Versions};

async fn cloud() -> &'static Cloud {
    static CLOUD: OnceCell<Cloud> = OnceCell::const_new();
    CLOUD
        .get_or_init(|| async {
            let options = Options { deploy: false, ..Options::default() };
            let cloud = Cloud::start(options, Arc::new(Silent)).await.unwrap();
            assert_eq!(python(&cloud, include_str!("python/vaults.py"), &[]).await.trim(), "ok");
            cloud
        })
        .await
}

/// Those buckets, by the configuration that the functions have.
async fn stores(home: &str, recovery: &str) -> (S3Store, S3Store) {
    let config = cloud().await.config("us-east-1");
    (S3Store::new(&config, home), S3Store::in_region(&config, "us-west-2", recovery))
}

#[tokio::test]
async fn s3_keeps_to_the_contract() {
    let (home, recovery) = stores("vault-home", "vault-recovery").await;
    contract::everything(&home, &recovery).await;
    // More than one call copies: part by part.
    let (home, recovery) = (home.copying_by(PART as u64), recovery.copying_by(PART as u64));
    contract::copies(&home, &recovery, "parts", 2 * PART + 7).await;
}

#[tokio::test]
async fn versions_and_locks_keep_to_the_contract() {
    let (locked, open) = stores("vault-locked", "vault-open").await;
    contract::what_is_locked_stays(&locked).await;
    let script = "import boto3\n\
        s3 = boto3.client('s3', 'us-west-2')\n\
        for body in (b'first', b'second'):\n\
        \x20   s3.put_object(Bucket='vault-open', Key='deleted', Body=body)\n\
        s3.delete_object(Bucket='vault-open', Key='deleted')";
    python(cloud().await, script, &[]).await;
    contract::what_is_named_is_deleted_and_nothing_else(&open).await;
    let (_, unlocked) = stores("vault-locked", "vault-unlocked").await;
    what_has_no_lock_or_a_hold_of_s3(&locked, &unlocked).await;
}

/// One bucket locks each new object, the other one could and does not.
async fn what_has_no_lock_or_a_hold_of_s3(locked: &S3Store, unlocked: &S3Store) {
    let script = "import boto3\n\
        for bucket, region in (('vault-locked', 'us-east-1'), ('vault-unlocked', 'us-west-2')):\n\
        \x20   s3 = boto3.client('s3', region)\n\
        \x20   for key, hold in (('hold/on', 'ON'), ('hold/off', 'OFF'), ('hold/never', None)):\n\
        \x20       s3.put_object(Bucket=bucket, Key=key, Body=b'1')\n\
        \x20       if hold:\n\
        \x20           s3.put_object_legal_hold(Bucket=bucket, Key=key, LegalHold={'Status': hold})";
    python(cloud().await, script, &[]).await;
    for (store, is_locked) in [(locked, true), (unlocked, false)] {
        let versions = store.versions("hold/").await.unwrap();
        let keys: Vec<_> = versions.iter().map(|version| version.key.as_str()).collect();
        assert_eq!(keys, ["hold/never", "hold/off", "hold/on"]);
        for version in &versions {
            let protection = store.protection(version).await.unwrap().unwrap();
            let found = (protection.retained_until.is_some(), protection.is_held);
            assert_eq!(found, (is_locked, version.key == "hold/on"), "{}", version.key);
        }
    }
    // Who may not see a lock is told so, and not that there is none.
    for action in ["GetObjectRetention", "GetObjectLegalHold"] {
        let calls = CallFilter::all().service("s3").action(action).resource("vault-unlocked/hold/never");
        let denied = Effect::Error { code: "AccessDenied".into(), status: 403, message: "no".into() };
        cloud().await.inject(Fault::new(denied, calls).times(1));
        let found = store_protection(unlocked, "hold/never").await;
        assert_eq!(found.unwrap_err().code(), "AccessDenied", "{action}");
    }
}

async fn store_protection(store: &S3Store, key: &str) -> reconcile::Result<Option<Protection>> {
    let versions = store.versions(key).await?;
    store.protection(&versions[0]).await
}

async fn stored(store: &S3Store, prefix: &str, body: &Bytes) -> (Created, StoredObject) {
    let mut intake = Intake::begin(store, &format!("{prefix}object"), PART as u64).await.unwrap();
    for from in (0..body.len()).step_by(PART) {
        intake.add(store, body.slice(from..body.len().min(from + PART))).await.unwrap();
    }
    intake.complete(store, "object").await.unwrap()
}

#[tokio::test]
async fn an_object_in_parts_reaches_its_replica_with_the_checksum_of_the_whole() {
    let (home, recovery) = stores("replicated-home", "replicated-recovery").await;
    let (created, object) = stored(&home, "replica/", &content(2 * PART + 7, 11)).await;
    assert_eq!(created, Created::Now);
    // As an independent client sees it.
    let script = "import base64, boto3, sys\n\
        for bucket, region in (('replicated-home', 'us-east-1'), ('replicated-recovery', 'us-west-2')):\n\
        \x20   head = boto3.client('s3', region).head_object(Bucket=bucket, Key='replica/object', ChecksumMode='ENABLED')\n\
        \x20   print(base64.b64decode(head['ChecksumCRC64NVME']).hex(), head['ChecksumType'], head['ReplicationStatus'])";
    let printed = python(cloud().await, script, &[]).await;
    let expected =
        ["COMPLETED", "REPLICA"].map(|status| format!("{} FULL_OBJECT {status}", object.crc64nvme));
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
    vault::read_back(&recovery, "replica/", &object, async |_| Ok(())).await.unwrap();
    // Whoever copies it by hand finds it there.
    let source = there(&home, "replica/object").await.in_bucket(home.bucket());
    let copied = recovery.copy(&source, "replica/object", Encryption::Bucket).await.unwrap();
    assert_eq!(copied, Created::Before);
}

/// Every write, its answer lost on the way: the SDK asks again, and nothing is written twice or lost.
#[tokio::test]
async fn a_lost_answer_is_no_lost_write() {
    let (home, recovery) = stores("vault-home", "vault-recovery").await;
    let body = content(PART + 7, 12);
    for (action, key) in [
        ("PutObject", "lost/small"),
        ("CreateMultipartUpload", "lost/object"),
        ("UploadPart", "lost/object"),
        ("CompleteMultipartUpload", "lost/object"),
    ] {
        let calls = CallFilter::all().service("s3").action(action).resource(format!("vault-home/{key}"));
        cloud().await.inject(Fault::new(Effect::LoseAnswer, calls).times(1));
    }
    let calls = CallFilter::all().service("s3").action("CopyObject").resource("vault-recovery/lost/copy");
    cloud().await.inject(Fault::new(Effect::LoseAnswer, calls).times(1));

    assert_eq!(home.create("lost/small", "text/plain", "1".into()).await.unwrap(), Created::Before);
    assert_eq!(whole(&home, "lost/small").await, "1");
    let (_, object) = stored(&home, "lost/", &body).await;
    vault::read_back(&home, "lost/", &object, async |_| Ok(())).await.unwrap();
    let source = there(&home, "lost/object").await.in_bucket(home.bucket());
    assert_eq!(recovery.copy(&source, "lost/copy", Encryption::Bucket).await.unwrap(), Created::Before);
    assert_eq!(whole(&recovery, "lost/copy").await, body);

    let faults = cloud().await.faults();
    let lost: Vec<_> = faults.iter().filter(|fault| fault.fault.effect == Effect::LoseAnswer).collect();
    assert_eq!((lost.len(), lost.iter().all(|fault| fault.applied == 1)), (5, true), "{lost:#?}");
    let versions = "import boto3\n\
        for bucket, region in (('vault-home', 'us-east-1'), ('vault-recovery', 'us-west-2')):\n\
        \x20   found = boto3.client('s3', region).list_object_versions(Bucket=bucket, Prefix='lost/')['Versions']\n\
        \x20   print(*(version['Key'] for version in found))";
    let printed = python(cloud().await, versions, &[]).await;
    assert_eq!(printed, "lost/object lost/small\nlost/copy\n", "one version of each");
}

/// S3 forgets a completed upload after a while, and an answer that was lost before that is asked for again.
#[tokio::test]
async fn an_upload_that_s3_has_forgotten_is_complete_if_its_object_is_there() {
    let (home, _) = stores("vault-home", "vault-recovery").await;
    for (key, expected) in [("forgotten/there", Ok(Created::Before)), ("forgotten/none", Err("NoSuchUpload"))]
    {
        let upload = home.begin(key).await.unwrap();
        let parts = [home.part(&upload, 1, "1".into()).await.unwrap()];
        if expected.is_ok() {
            assert_eq!(home.complete(&upload, &parts).await.unwrap(), Created::Now);
        }
        let calls = CallFilter::all().service("s3").action("CompleteMultipartUpload");
        let calls = calls.resource(format!("vault-home/{key}"));
        let gone = Effect::Error { code: "NoSuchUpload".into(), status: 404, message: "gone".into() };
        cloud().await.inject(Fault::new(gone, calls).times(1));
        let found = home.complete(&upload, &parts).await;
        assert_eq!(found.as_ref().map_err(reconcile::Error::code), expected.as_ref().map_err(|code| *code));
    }
}
