//! What holds of all digests, names and manifests.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use domain::{Engine, RecoveryPointId, ResourceId, Slot};
use jiff::{Timestamp, civil::Date};
use proptest::prelude::*;
use reconcile::Kind;
use rstest::rstest;
use serde_json::{Map, Value, json};
use vault::{
    Digests, FakeStore, Listed, MANIFEST, Manifest, StoredObject, crc64nvme, day_prefix, point_prefix,
};

fn digests(body: &[u8], part_bytes: usize) -> Digests {
    let mut digests = Digests::new(part_bytes as u64);
    body.chunks(part_bytes).for_each(|part| digests.add(part));
    digests
}

#[test]
fn the_crc_is_the_one_that_s3_means() {
    // The catalogue's check value of CRC-64/NVME.
    assert_eq!(crc64nvme(b"123456789"), 0xae8b_1486_0a79_9888);
}

proptest! {
    #[test]
    fn parts_have_the_crc_of_the_whole(body in prop::collection::vec(any::<u8>(), 0..5_000), part in 1_usize..600) {
        let object = digests(&body, part).into_object("o");
        prop_assert_eq!(&object.crc64nvme, &format!("{:016x}", crc64nvme(&body)));
        prop_assert_eq!(object.bytes, body.len() as u64);
        // The parts are the whole, in order, each with its digest.
        let mut at = 0;
        for range in object.parts() {
            prop_assert_eq!(range.start, at);
            at = range.end;
            let bytes = &body[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            prop_assert!(object.check(range.start, bytes).is_ok());
        }
        prop_assert_eq!((at, object.parts().count()), (object.bytes, object.sha256.len()));
    }

    #[test]
    fn what_was_kept_in_a_document_goes_on_the_same(body in prop::collection::vec(any::<u8>(), 0..3_000), part in 1_usize..600) {
        let mut resumed = Digests::new(part as u64);
        for bytes in body.chunks(part) {
            resumed = serde_json::from_str(&serde_json::to_string(&resumed).unwrap()).unwrap();
            resumed.add(bytes);
        }
        prop_assert_eq!(resumed, digests(&body, part));
    }

    #[test]
    fn another_byte_or_length_is_found(body in prop::collection::vec(any::<u8>(), 1..2_000), part in 1_usize..600, at: prop::sample::Index, bit in 0_u8..8) {
        let object = digests(&body, part).into_object("o");
        let at = at.index(body.len());
        let mut changed = body.clone();
        changed[at] ^= 1 << bit;
        let from = at / part * part;
        let to = body.len().min(from + part);
        prop_assert!(object.check(from as u64, &body[from..to]).is_ok());
        prop_assert!(object.check(from as u64, &changed[from..to]).is_err());
        prop_assert!(object.check(from as u64, &body[from..to - 1]).is_err());
        prop_assert_ne!(digests(&changed, part).into_object("o").crc64nvme, object.crc64nvme);
    }
}

fn slot(minute: i64) -> Slot {
    Slot::at(Timestamp::from_second(1_790_000_000 + minute * 60).unwrap())
}

fn points(store: &FakeStore, days: impl IntoIterator<Item = Date>) -> Vec<Listed> {
    futures::executor::block_on(vault::list(store, Engine::Redis, days)).unwrap()
}

proptest! {
    /// Every object is found under its recovery point, and under no other.
    #[test]
    fn keys_say_what_their_prefix_was_made_of(
        made in prop::collection::btree_set(("[a-zA-Z][a-zA-Z0-9]{0,5}(-[a-zA-Z0-9]{1,4}){0,2}", 0_i64..4_000, 1_u32..4), 1..12),
        name in "[a-z]{1,8}(/[a-z.0-9]{1,8})?",
    ) {
        let store = FakeStore::new("us-east-1", "vault");
        let mut expected = Vec::new();
        for (resource, minute, attempt) in made {
            let slot = slot(minute);
            let id = RecoveryPointId::new(&resource, "incarnation", slot, attempt);
            let resource = ResourceId { engine: Engine::Redis, name: resource };
            let prefix = point_prefix(&resource, slot, &id);
            prop_assert!(prefix.starts_with(&day_prefix(Engine::Redis, slot.utc_date())));
            store.put(&format!("{prefix}{name}"), "12");
            expected.push((slot, resource, id));
        }
        // The order: by slot, then by name.
        expected.sort_by_key(|(slot, resource, id)| (*slot, resource.name.clone(), id.to_string()));
        let days: std::collections::BTreeSet<Date> = expected.iter().map(|(slot, ..)| slot.utc_date()).collect();
        let found = points(&store, days);
        let shown: Vec<_> = found.iter().map(|one| (one.slot, one.resource.clone(), one.id.clone())).collect();
        prop_assert_eq!(shown, expected);
        prop_assert!(found.iter().all(|one| one.objects.keys().eq([&name]) && one.bytes() == 2 && one.completed().is_none()));
    }

    #[test]
    fn no_key_makes_a_list_fail(keys in prop::collection::vec("(redis/2026-11-22/)?(s/tidemark-s-20261122t0300z-yzryht)?[ -~/]{0,20}", 0..20)) {
        let store = FakeStore::new("us-east-1", "vault");
        for key in &keys {
            store.put(key, "");
        }
        for point in points(&store, [Date::constant(2026, 11, 22)]) {
            let prefix = point_prefix(&point.resource, point.slot, &point.id);
            let agrees = point.objects.iter().all(|(name, object)| object.key == format!("{prefix}{name}"));
            prop_assert!(agrees);
        }
    }

    #[test]
    fn no_text_makes_a_manifest_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Manifest::parse("k", &text).is_err());
    }

    #[test]
    fn a_manifest_that_was_cut_off_is_none(cut: prop::sample::Index) {
        let text = manifest().to_json();
        prop_assert!(Manifest::parse("k", &text.as_bytes()[..cut.index(text.len())]).is_err());
    }
}

#[rstest]
#[case::another_day("redis/2026-11-22/s/tidemark-s-20261123t0300z-yzryht/o")]
#[case::another_resource("redis/2026-11-22/s/tidemark-t-20261122t0300z-yzryht/o")]
#[case::no_name("redis/2026-11-22/s/tidemark-s-20261122t0300z-yzryht/")]
#[case::no_point("redis/2026-11-22/s/o")]
#[case::no_recovery_point("redis/2026-11-22/s/somebody-elses/o")]
#[case::another_engine("turso/2026-11-22/s/tidemark-s-20261122t0300z-yzryht/o")]
#[case::no_mark("redis/2026-11-22/s/tidemark-s-20261122t0300z/o")]
fn a_key_that_contradicts_itself_is_nobodys(#[case] key: &str) {
    let store = FakeStore::new("us-east-1", "vault");
    store.put(key, "");
    store.put("redis/2026-11-22/s/tidemark-s-20261122t0300z-yzryht/o", "");
    let days = [Date::constant(2026, 11, 22), Date::constant(2026, 11, 23)];
    assert_eq!(points(&store, days).len(), 1);
}

#[test]
fn a_copy_holds_what_has_the_same_names_and_sizes() {
    let store = FakeStore::new("us-east-1", "vault");
    let copy = store.beside("us-west-2", "copy");
    let prefix = "redis/2026-11-22/s/tidemark-s-20261122t0300z-yzryht/";
    let days = || [Date::constant(2026, 11, 22)];
    store.put(&format!("{prefix}o"), "12");
    copy.put(&format!("{prefix}o"), "1");
    assert!(!points(&store, days())[0].is_held_by(&points(&copy, days())[0]), "another size");
    copy.put(&format!("{prefix}o"), "34");
    assert!(points(&store, days())[0].is_held_by(&points(&copy, days())[0]));
    store.set_now(Timestamp::from_second(7).unwrap());
    store.put(&format!("{prefix}{MANIFEST}"), "{}");
    let whole = &points(&store, days())[0];
    assert!(!whole.is_held_by(&points(&copy, days())[0]), "no manifest");
    assert_eq!((whole.completed().unwrap().as_second(), whole.bytes()), (7, 4));
}

fn object(name: &str) -> StoredObject {
    digests(b"some bytes of it", 7).into_object(name)
}

fn manifest() -> Manifest {
    let slot = Slot::at("2026-11-22T03:00:00Z".parse().unwrap());
    Manifest {
        version: 1,
        id: RecoveryPointId::new("sessions", "ec-1", slot, 1),
        resource: ResourceId { engine: Engine::Redis, name: "sessions".to_owned() },
        incarnation: "ec-1".to_owned(),
        slot,
        plan: "gold".to_owned(),
        method: "elasticache-snapshot".to_owned(),
        taken_at: "2026-11-22T03:01:00Z".parse().unwrap(),
        restorable_to: None,
        verified_at: "2026-11-22T03:05:00Z".parse().unwrap(),
        objects: vec![object("a.rdb"), object("shards/b.rdb")],
        source: Map::new(),
        content: Map::from_iter([("keys".to_owned(), json!(3))]),
    }
}

#[test]
fn a_manifest_reads_what_it_wrote() {
    let manifest = manifest();
    assert_eq!(Manifest::parse("k", manifest.to_json().as_bytes()).unwrap(), manifest);
    assert_eq!(manifest.object("a.rdb").unwrap().bytes, 16);
    assert_eq!(manifest.object("b.rdb"), None);
}

#[test]
fn the_example_in_the_book_is_a_manifest() {
    let book = include_str!("../../../../docs/vault.md");
    let example = book.split("```json").nth(1).unwrap().split("```").next().unwrap();
    let manifest = Manifest::parse("the example", example.as_bytes()).unwrap();
    assert_eq!(manifest.objects[0].name, "sessions-0001.rdb");
}

#[rstest]
#[case::parent("/objects/0/name", json!("../x"), "a name that is none")]
#[case::inner_parent("/objects/0/name", json!("a/../../x"), "a name that is none")]
#[case::dot("/objects/0/name", json!("a/./x"), "a name that is none")]
#[case::absolute("/objects/0/name", json!("/etc/passwd"), "a name that is none")]
#[case::nothing("/objects/0/name", json!(""), "a name that is none")]
#[case::folder("/objects/0/name", json!("a/"), "a name that is none")]
#[case::control("/objects/0/name", json!("a\nb"), "a name that is none")]
#[case::backslash("/objects/0/name", json!("..\\x"), "a name that is none")]
#[case::itself("/objects/0/name", json!("manifest.json"), "a name that is none")]
#[case::twice("/objects/0/name", json!("shards/b.rdb"), "twice")]
#[case::no_parts("/objects/0/part_bytes", json!(0), "parts of a size")]
#[case::huge_parts("/objects/0/part_bytes", json!(u64::MAX), "parts of a size")]
#[case::more_bytes("/objects/0/bytes", json!(u64::MAX), "one digest for each part")]
#[case::fewer_bytes("/objects/0/bytes", json!(14), "one digest for each part")]
#[case::negative("/objects/0/bytes", json!(-1), "-1")]
#[case::no_digest("/objects/0/sha256/1", json!(""), "digests that are none")]
#[case::no_hex("/objects/0/sha256/1", json!("z".repeat(64)), "digests that are none")]
#[case::upper_case("/objects/0/sha256/1", json!("A".repeat(64)), "digests that are none")]
#[case::no_crc("/objects/0/crc64nvme", json!("0"), "digests that are none")]
#[case::another_resource("/resource", json!("redis/carts"), "is not the recovery point of redis/carts")]
#[case::another_incarnation("/incarnation", json!("ec-2"), "is not the recovery point")]
#[case::another_slot("/slot", json!("2026-11-23T03:00:00Z"), "is not the recovery point")]
#[case::no_time("/slot", json!("tomorrow"), "year")]
fn a_manifest_that_is_wrong_is_refused_with_the_reason(
    #[case] at: &str,
    #[case] value: Value,
    #[case] reason: &str,
) {
    let mut document = json!(manifest());
    *document.pointer_mut(at).unwrap() = value;
    let error = Manifest::parse("redis/…/manifest.json", document.to_string().as_bytes()).unwrap_err();
    assert_eq!(error.code(), "ManifestUnreadable");
    let said = error.to_string();
    assert!(said.contains(reason) && said.contains("redis/…/manifest.json"), "{said}");
}

#[test]
fn a_manifest_of_a_later_version_is_not_damaged() {
    let text = json!(Manifest { version: 2, ..manifest() }).to_string();
    let error = Manifest::parse("redis/…/manifest.json", text.as_bytes()).unwrap_err();
    assert_eq!((error.code(), error.kind()), ("ManifestVersionUnknown", Kind::Misconfigured));
}
