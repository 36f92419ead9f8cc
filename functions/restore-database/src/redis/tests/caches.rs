use rstest::rstest;

use super::*;

const S03: &str = "2026-11-22T03:00:00Z";
const S09: &str = "2026-11-22T09:00:00Z";

fn two_points() -> (World, RecoveryPointId, RecoveryPointId) {
    let world = World::new();
    let first = world.point(S03, "2026-11-22T03:00:41Z", 1);
    let second = world.point(S09, "2026-11-22T09:00:41Z", 1);
    (world, first, second)
}

#[tokio::test]
async fn from_the_request_to_the_ledger() {
    let (mut world, _, second) = two_points();
    let answer = world.ask(to("2026-11-22T11:50:00Z")).await.unwrap();
    assert_eq!(
        (&answer["recovery_point"], &answer["missing_seconds"]),
        (&json!(second), &json!(10_159)),
        "{answer}"
    );
    assert!(
        answer["notes"][0].as_str().unwrap().contains("the recovery point is the nearest snapshot"),
        "{answer}"
    );
    assert_eq!(world.tick().await.waiting.len(), 1, "it is being created");
    world.later(7);
    assert_eq!(world.tick().await.unfinished, 0);
    let completed = world.completed().unwrap();
    assert_eq!(
        (&completed["first_query"], &completed["duration_ms"]),
        (&json!("not-asked"), &json!(420_000))
    );
    assert_eq!(completed["recovery_point"], json!(second));
    assert_eq!(world.tick().await.settled, 1, "it is over, and stays so");
    assert_eq!(world.creates(), 1);
}

#[rstest]
#[case::between("2026-11-22T08:59:59Z", 0)]
#[case::just_before_it_was_taken("2026-11-22T09:00:40Z", 0)]
#[case::when_it_was_taken("2026-11-22T09:00:41Z", 1)]
#[case::latest("latest", 1)]
#[tokio::test]
async fn the_newest_at_or_before_the_instant(#[case] target: &str, #[case] which: usize) {
    let (world, first, second) = two_points();
    let answer = world.ask(to(target)).await.unwrap();
    assert_eq!(answer["recovery_point"], json!([first, second][which]));
}

#[tokio::test]
async fn days_back_and_by_name() {
    let world = World::new();
    let old = world.point("2025-12-24T03:00:00Z", "2025-12-24T03:00:41Z", 1);
    assert_eq!(world.ask(to("2026-11-01T00:00:00Z")).await.unwrap()["recovery_point"], json!(old));
    let named = with(to(old.as_str()), "as", "sessions-3");
    let answer = world.ask(named).await.unwrap();
    assert_eq!((&answer["recovery_point"], &answer["missing_seconds"]), (&json!(old), &Value::Null));
}

#[tokio::test]
async fn from_the_vault_the_shards_are_staged_in_order_as_elasticache_reads_them() {
    let world = World::new();
    let id = world.point(S03, "2026-11-22T03:00:41Z", 3);
    let before = world.untouched().await;
    world.ask(to("latest")).await.unwrap();
    let staged: Vec<String> = world.exports().objects().into_keys().collect();
    let wanted: Vec<String> =
        (1..=3).map(|shard| format!("restores/sessions-2/{id}/sessions-000{shard}.rdb")).collect();
    assert_eq!(staged, wanted);
    for key in &staged {
        assert_eq!(
            world.exports().encryption(key),
            Some(vault::Encryption::S3),
            "ElastiCache reads nothing else"
        );
    }
    let text = world.documents.text("restores/redis/us-east-1/sessions-2.json").unwrap();
    assert!(text.contains(&format!("arn:aws:s3:::exports/{}", wanted[2])), "{text}");
    assert_eq!(world.untouched().await, before);
}

#[tokio::test]
async fn from_the_snapshot_while_it_is_there() {
    let (world, _, second) = two_points();
    world.snapshot(&second);
    let answer = world.ask(to("latest")).await.unwrap();
    assert!(answer["notes"][1].as_str().unwrap().contains("which is still there"), "{answer}");
    assert!(world.exports().objects().is_empty(), "nothing needs to be staged");
    let vault = with(with(to("latest"), "from", "vault"), "as", "sessions-3");
    world.ask(vault).await.unwrap();
    assert_eq!(world.exports().objects().len(), 1);
    let gone = with(with(to(S09), "from", "snapshot"), "as", "sessions-4");
    assert_eq!(world.ask(gone).await.unwrap_err().code(), "SnapshotGone", "that of 03:00 is not there");
}

#[tokio::test]
async fn the_settings_are_the_source_s_and_its_plan_is_not() {
    let (world, ..) = two_points();
    world
        .ask(with(with(to("latest"), "replicas", 0), "security_groups", json!(["sg-staging"])))
        .await
        .unwrap();
    let made = world.made(HOME).await.unwrap();
    let source = sessions().settings;
    assert_eq!(
        (&made.settings.subnet_group, &made.settings.parameter_group),
        (&source.subnet_group, &source.parameter_group)
    );
    assert_eq!((made.settings.replicas, made.settings.security_groups), (0, vec!["sg-staging".to_owned()]));
    assert!(!made.tags.contains_key("tidemark:plan"));
    assert_eq!(
        (&*made.tags["tidemark:resource"], &*made.tags["tidemark:restored-to"]),
        ("redis/sessions", "latest")
    );
}

#[tokio::test]
async fn in_the_other_region_without_the_home_s_groups() {
    let (mut world, _, second) = two_points();
    let answer = world.ask(with(to(second.as_str()), "region", AWAY)).await.unwrap();
    assert!(answer["notes"][1].as_str().unwrap().contains("do not exist"), "{answer}");
    let made = world.made(AWAY).await.unwrap();
    assert_eq!((made.settings.subnet_group, made.settings.parameter_group), (None, None));
    assert!(world.made(HOME).await.is_none() && world.exports().objects().is_empty());
    world.later(5);
    world.tick().await;
    assert_eq!(world.completed().unwrap()["region"], AWAY);
}

#[tokio::test]
async fn a_password_is_needed_where_there_was_one() {
    let world = World::new();
    let mut cache = sessions();
    cache.settings.auth_token = true;
    let files = vec![("sessions-0001.rdb".to_owned(), Bytes::from("x"))];
    world.put("sessions", "elasticache-snapshot", S03, S03, None, cache.source().to_map(), &files);
    assert_eq!(world.ask(to("latest")).await.unwrap_err().code(), "SecretMissing");
    world.ask(with(to("latest"), "secret", "tidemark/sessions")).await.unwrap();
    let text = world.documents.text("restores/redis/us-east-1/sessions-2.json").unwrap();
    assert!(text.contains("tidemark/sessions") && !text.contains("a-password"), "{text}");
}

#[tokio::test]
async fn users_keep_their_passwords_and_whoever_checks_finds_one() {
    let world = World::new();
    let mut cache = sessions();
    cache.settings.user_groups = vec!["app".to_owned()];
    cache.tags.insert("tidemark:secret".to_owned(), "tidemark/sessions".to_owned());
    let files = vec![("sessions-0001.rdb".to_owned(), Bytes::from("x"))];
    world.put("sessions", "elasticache-snapshot", S03, S03, None, cache.source().to_map(), &files);
    world.caches.put_cache(cache);
    world.ask(to("latest")).await.unwrap();
    let made = world.made(HOME).await.unwrap();
    assert_eq!(made.tags["tidemark:secret"], "tidemark/sessions");
    assert_eq!((made.settings.user_groups, made.settings.auth_token), (vec!["app".to_owned()], false));
}

#[rstest]
#[case::unknown(json!({"resource": "redis/sesions", "to": "latest", "as": "x"}), "ResourceUnknown", "check the name")]
#[case::too_old(to("2018-01-01T00:00:00Z"), "OutsideRecoveryPoints", "in the 2593 days before")]
#[case::future(to("2026-12-01T00:00:00Z"), "OutsideRecoveryPoints", "in the future")]
#[case::no_such_point(
    to("tidemark-sessions-20261121t0300z-abcdef"),
    "RecoveryPointUnknown",
    "its newest recovery points are tidemark-sessions-20261122t0900z"
)]
#[case::no_id(to("latest-please"), "RecoveryPointUnknown", "its newest")]
#[case::region(with(to("latest"), "region", "eu-west-1"), "RegionUnknown", "us-east-1 or in us-west-2")]
#[case::over_itself(with(to("latest"), "as", "sessions"), "NameTaken", "replication-group sessions")]
#[case::unfit(with(to("latest"), "subnets", json!(["subnet-1"])), "RequestInvalid", "for which subnets means nothing")]
#[tokio::test]
async fn refusals_say_what_is_possible_and_change_nothing(
    #[case] payload: Value,
    #[case] code: &str,
    #[case] says: &str,
) {
    let (world, ..) = two_points();
    let before = world.untouched().await;
    let error = world.ask(payload).await.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.report().contains(says), "{}", error.report());
    assert_eq!((world.creates(), world.documents.writes(), world.ledger.entries().len()), (0, 0, 0));
    assert_eq!(world.untouched().await, before);
    assert!(world.exports().objects().is_empty());
}

#[tokio::test]
async fn any_sort_of_cache_of_that_name_is_in_the_way() {
    for kind in [CacheKind::ReplicationGroup, CacheKind::Cluster, CacheKind::Serverless] {
        let (world, ..) = two_points();
        world.caches.put_cache(Cache::fake(kind, "sessions-2", "2026-11-22", 1));
        let error = world.ask(to("latest")).await.unwrap_err();
        assert_eq!(error.code(), "NameTaken");
        assert!(error.report().contains(kind.as_str()), "{}", error.report());
    }
}

#[tokio::test]
async fn what_was_not_verified_is_not_restored() {
    let (world, _, second) = two_points();
    let prefix = point_prefix(&ResourceId::redis("sessions"), Slot::at(at(S09)), &second);
    world.vault.remove(&format!("{prefix}{MANIFEST}"));
    assert_eq!(world.ask(to(second.as_str())).await.unwrap_err().code(), "RecoveryPointNotReady");
    let answer = world.ask(to("latest")).await.unwrap();
    assert!(answer["recovery_point"].as_str().unwrap().contains("t0300z"), "the one before it");
}

#[rstest]
#[case::of_another(|manifest: &mut Value| manifest["resource"] = json!("redis/other"), "is not the recovery point of redis/other")]
#[case::leads_elsewhere(|manifest: &mut Value| manifest["objects"][0]["name"] = json!("../../secret"), "")]
#[case::not_there(|manifest: &mut Value| manifest["objects"][0]["name"] = json!("more.rdb"), "which is not there")]
#[case::other_size(|manifest: &mut Value| manifest["objects"][0]["bytes"] = json!(7), "")]
#[case::no_cache(|manifest: &mut Value| manifest["source"] = json!({}), "no ElastiCache cache")]
#[case::no_objects(|manifest: &mut Value| manifest["objects"] = json!([]), "")]
#[case::other_shards(|manifest: &mut Value| manifest["source"]["shards"] = json!([{"id": "0001"}, {"id": "0002"}]), "1 RDB files for 2 shards")]
#[tokio::test]
async fn a_hostile_manifest_is_refused(#[case] spoil: fn(&mut Value), #[case] says: &str) {
    let world = World::new();
    let id = world.point(S03, "2026-11-22T03:00:41Z", 1);
    let key = format!("{}{MANIFEST}", point_prefix(&ResourceId::redis("sessions"), Slot::at(at(S03)), &id));
    let mut manifest: Value = serde_json::from_slice(&world.vault.objects()[&key]).unwrap();
    spoil(&mut manifest);
    world.vault.put(&key, manifest.to_string());
    let error = world.ask(to("latest")).await.unwrap_err();
    assert_eq!(error.code(), "ManifestUnreadable", "{}", error.report());
    assert!(error.report().contains(says), "{}", error.report());
    assert_eq!((world.creates(), world.exports().objects().len()), (0, 0));
}

#[tokio::test]
async fn a_drill_is_the_same_restore_however_late_it_asks_again() {
    use redis::elasticache::ElastiCache;
    let (mut world, _, second) = two_points();
    let drilled = |id: &str| {
        let drill = json!({"id": id, "expires": "2026-11-22T22:00:00Z"});
        with(with(to("latest"), "as", "tidemark-drill-sessions"), "drill", drill)
    };
    let answer = world.ask(drilled("drill-1")).await.unwrap();
    world.later(120);
    let again = world.ask(drilled("drill-1")).await.unwrap();
    assert_eq!((&again["restore_id"], &again["recovery_point"]), (&answer["restore_id"], &json!(second)));
    assert_eq!(world.creates(), 1);
    let made = world.caches.region(HOME).cache(CacheKind::ReplicationGroup, "tidemark-drill-sessions").await;
    let tags = made.unwrap().unwrap().tags;
    assert_eq!(
        (tags["tidemark:drill"].as_str(), tags["tidemark:expires"].as_str()),
        ("drill-1", "2026-11-22T22:00:00Z")
    );
    assert_eq!(world.ask(drilled("drill-2")).await.unwrap_err().code(), "NameTaken");
}
