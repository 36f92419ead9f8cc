//! Objects on their way into a bucket and back out of it, cut off anywhere.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "contract/mod.rs"]
mod contract;

use bytes::Bytes;
use contract::{content, there};
use reconcile::Error;
use rstest::rstest;
use serde::{Serialize, de::DeserializeOwned};
use vault::{Created, FakeStore, Intake, ReadBack, StoredObject, read_back};

const PART: u64 = 1_000;

fn bucket() -> FakeStore {
    let store = FakeStore::new("us-east-1", "vault");
    store.set_least_part_bytes(1);
    store
}

/// As it comes out of a document.
fn kept<T: Serialize + DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

/// One invocation: goes on where `document` says, writes it after each part, and ends at the first error.
async fn invocation(
    store: &FakeStore,
    body: &Bytes,
    document: &mut Option<Intake>,
) -> reconcile::Result<StoredObject> {
    let mut intake = match document {
        Some(intake) => kept(intake),
        None => Intake::begin(store, "p/o", PART).await?,
    };
    *document = Some(kept(&intake));
    while intake.bytes() < body.len() as u64 {
        let from = usize::try_from(intake.bytes()).unwrap();
        let to = body.len().min(from + usize::try_from(PART).unwrap());
        intake.add(store, body.slice(from..to)).await?;
        *document = Some(kept(&intake));
    }
    intake.complete(store, "o").await.map(|(_, object)| object)
}

/// Each call in turn fails, or its answer is lost: the next invocation goes on, and the object is the same.
#[rstest]
#[tokio::test]
async fn an_intake_that_is_cut_off_anywhere_goes_on(
    #[values("begin", "part", "complete")] call: &'static str,
    #[values(0, 1, 2, 3, 4)] nth: usize,
    #[values(true, false)] takes_effect: bool,
) {
    let body = content(4_321, 1);
    let undisturbed = invocation(&bucket(), &body, &mut None).await.unwrap();
    let store = bucket();
    let mut document = None;
    let mut invocations = 0;
    let object = loop {
        invocations += 1;
        // The fault strikes in the invocation that reaches it.
        if store.count(call) == nth {
            if takes_effect {
                store.lose_answer_of_next(call);
            } else {
                store.refuse_next(call, Error::retryable("SlowDown", "later"));
            }
        }
        match invocation(&store, &body, &mut document).await {
            Ok(object) => break object,
            Err(_) => assert!(invocations < 10),
        }
    };
    assert_eq!(object, undisturbed);
    assert_eq!(store.objects()["p/o"], body);
    assert_eq!(store.writes("p/o"), 1);
    read_back(&store, "p/", &object, async |_| Ok(())).await.unwrap();
}

#[tokio::test]
async fn a_part_whose_document_was_lost_is_uploaded_again_under_its_number() {
    let (store, body) = (bucket(), content(2_500, 2));
    let mut intake = Intake::begin(&store, "p/o", PART).await.unwrap();
    intake.add(&store, body.slice(..1_000)).await.unwrap();
    let document = kept(&intake);
    // What the invocation that was cut off sent: the source gave other bytes then.
    intake.add(&store, content(1_000, 99)).await.unwrap();
    let mut resumed = document;
    assert_eq!((resumed.bytes(), resumed.key()), (1_000, "p/o"));
    resumed.add(&store, body.slice(1_000..2_000)).await.unwrap();
    resumed.add(&store, body.slice(2_000..)).await.unwrap();
    let (created, object) = resumed.complete(&store, "o").await.unwrap();
    assert_eq!((created, object.sha256.len()), (Created::Now, 3));
    assert_eq!(store.objects()["p/o"], body);
    // The one that was cut off wakes up once more: it finds what is there, and changes nothing.
    let (created, _) = intake.complete(&store, "o").await.unwrap();
    assert_eq!((created, store.writes("p/o")), (Created::Before, 1));
}

#[tokio::test]
async fn parts_of_other_sizes_are_refused() {
    let store = bucket();
    for part_bytes in [0, (512 << 20) + 1] {
        let refused = Intake::begin(&store, "p/o", part_bytes).await.unwrap_err();
        assert_eq!(refused.code(), "PartSizeInvalid");
    }
    let mut intake = Intake::begin(&store, "p/o", PART).await.unwrap();
    let refused = |error: Error| assert_eq!(error.code(), "PartMisplaced", "{error}");
    refused(intake.add(&store, content(1_001, 1)).await.unwrap_err());
    intake.add(&store, content(999, 1)).await.unwrap();
    refused(intake.add(&store, content(1, 1)).await.unwrap_err());
    assert_eq!((intake.bytes(), store.count("part")), (999, 1));
}

async fn stored(store: &FakeStore, body: &Bytes) -> StoredObject {
    invocation(store, body, &mut None).await.unwrap()
}

#[tokio::test]
async fn a_check_goes_on_in_another_invocation_and_sees_every_byte_once() {
    let (store, body) = (bucket(), content(4_321, 3));
    let object = stored(&store, &body).await;
    let mut reading = ReadBack::begin(&store, "p/", &object).await.unwrap();
    let mut seen = Vec::new();
    loop {
        store.refuse_next("read", Error::retryable("SlowDown", "later"));
        let at = reading.bytes();
        if at < object.bytes {
            assert_eq!(reading.next(&store, "p/", &object).await.unwrap_err().code(), "SlowDown");
            assert_eq!(reading.bytes(), at);
        }
        reading = kept(&reading);
        let Some(part) = reading.next(&store, "p/", &object).await.unwrap() else { break };
        seen.extend_from_slice(&part);
    }
    assert_eq!(seen, body);
    assert_eq!(reading.next(&store, "p/", &object).await.unwrap(), None, "and at its end it stays");
}

#[rstest]
#[tokio::test]
async fn a_flipped_bit_anywhere_is_found(#[values(0, 999, 1_000, 3_999, 4_320)] offset: usize) {
    let store = bucket();
    let object = stored(&store, &content(4_321, 4)).await;
    assert!(store.corrupt("p/o", offset));
    let mut seen = 0;
    let outcome = read_back(&store, "p/", &object, async |part| {
        seen += part.len();
        Ok(())
    })
    .await;
    assert_eq!(outcome.unwrap_err().code(), "ChecksumMismatch");
    assert_eq!(seen, offset / 1_000 * 1_000, "nothing of the part is shown");
}

#[tokio::test]
async fn what_is_gone_shorter_or_replaced_is_said() {
    let (store, body) = (bucket(), content(4_321, 5));
    let object = stored(&store, &body).await;
    let code =
        async || read_back(&store, "p/", &object, async |_| Ok(())).await.unwrap_err().code().to_owned();
    let mut reading = ReadBack::begin(&store, "p/", &object).await.unwrap();
    reading.next(&store, "p/", &object).await.unwrap();
    store.put("p/o", body.slice(1..));
    assert_eq!(code().await, "SizeMismatch");
    store.put("p/o", body.clone());
    let replaced = reading.next(&store, "p/", &object).await.unwrap_err();
    assert_eq!(replaced.code(), "PreconditionFailed", "the same bytes, but not what was begun");
    assert_eq!(there(&store, "p/o").await.bytes, object.bytes);
    store.remove("p/o");
    assert_eq!(code().await, "ObjectMissing");
}

#[tokio::test]
async fn parts_that_agree_do_not_make_a_whole_that_does_not() {
    let store = bucket();
    let object = stored(&store, &content(4_321, 6)).await;
    // A manifest whose parts agree, and whose whole does not.
    let other = StoredObject { crc64nvme: "0".repeat(16), ..object.clone() };
    let error = ReadBack::begin(&store, "p/", &other).await.unwrap_err();
    assert_eq!(error.code(), "ChecksumMismatch");
    assert!(
        error
            .to_string()
            .contains(&format!("S3 keeps of p/o in bucket vault the CRC64NVME {}", object.crc64nvme))
    );
    // The same where S3 keeps no such checksum.
    let mut reading = ReadBack::begin(&store, "p/", &object).await.unwrap();
    let outcome = loop {
        match reading.next(&store, "p/", &other).await {
            Ok(Some(_)) => {}
            outcome => break outcome,
        }
    };
    assert_eq!((outcome.unwrap_err().code(), reading.bytes()), ("ChecksumMismatch", object.bytes));
}
