use proptest::prelude::*;
use reconcile::Error;
use rstest::rstest;

use super::*;

fn down() -> Error {
    Error::retryable("ServiceUnavailable", "down")
}

#[rstest]
#[case("CreateCache")]
#[case("DescribeCaches")]
#[tokio::test]
async fn an_answer_of_elasticache_that_is_lost(#[case] call: &'static str) {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "2026-11-22T03:00:41Z", 2);
    world.caches.lose_answer_of_next(call);
    let first = world.ask(to("latest")).await;
    world.now += Duration::from_secs(20);
    let second = world.ask(to("latest")).await.unwrap();
    if let Ok(first) = first {
        assert_eq!(first["restore_id"], second["restore_id"], "it is the same restore");
    }
    world.later(10);
    world.tick().await;
    world.tick().await;
    assert!(world.completed().is_some());
    assert_eq!(
        world.made(HOME).await.unwrap().tags["tidemark:restore"],
        second["restore_id"].as_str().unwrap()
    );
}

#[rstest]
#[case("copy")]
#[case("head")]
#[case("list")]
#[tokio::test]
async fn a_bucket_that_fails_once(#[case] call: &'static str) {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "2026-11-22T03:00:41Z", 2);
    world.exports().refuse_next(call, down());
    if world.ask(to("latest")).await.is_err() {
        assert_eq!(world.documents.writes(), 0, "nothing was begun");
        world.ask(to("latest")).await.unwrap();
    }
    world.tick().await;
    world.later(10);
    world.tick().await;
    assert!(world.completed().is_some());
    assert_eq!(world.creates(), 1);
}

/// The function is killed in the middle of the call: it took effect, and nothing after it happened.
#[rstest]
#[case("copy", "latest", "redis/sessions", "sessions-2")]
#[case("head", "latest", "redis/sessions", "sessions-2")]
#[case("copy", "2026-11-22T10:00:00Z", "redis/carts", "sessions-2")]
#[case("complete", "2026-11-22T10:00:00Z", "redis/carts", "sessions-2")]
#[case("begin", "2026-11-22T10:00:00Z", "redis/carts", "sessions-2")]
#[case("part", "2026-11-22T10:00:00Z", "redis/carts", "sessions-2")]
#[case("create", "2026-11-22T10:00:00Z", "redis/carts", "sessions-2")]
#[tokio::test(start_paused = true)]
async fn killed_in_the_middle_it_is_gone_on_with(
    #[case] call: &'static str,
    #[case] target: &str,
    #[case] resource: &str,
    #[case] name: &str,
) {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "2026-11-22T03:00:41Z", 2);
    carts(&world);
    world.exports().hang_next(call);
    let payload = json!({"resource": resource, "to": target, "as": name});
    let killed =
        fixture::pass(&world.function(), &world.ledger, payload, world.now, Duration::from_secs(30)).await;
    assert!(killed.is_err() || killed.is_ok_and(|mut summary| summary.take_error().is_some()));
    world.tick().await;
    world.later(10);
    world.tick().await;
    let completed = world.completed().unwrap();
    assert_eq!(completed["resource"], resource);
    assert_eq!(fixture::entries(&world.ledger, "restore-requested").len(), 1);
    for key in world.exports().objects().keys() {
        assert_eq!(world.exports().writes(key), 1, "{key} was written twice");
    }
}

fn carts(world: &World) {
    let increment = format!(
        "#TS:{}\r\n*1\r\n$4\r\nPING\r\n#TS:{}\r\n*1\r\n$4\r\nPING\r\n",
        at("2026-11-22T10:00:00Z").as_second(),
        at("2026-11-22T11:00:00Z").as_second()
    );
    let base = format!("#TS:{}\r\n*1\r\n$4\r\nPING\r\n", at("2026-11-22T03:00:00Z").as_second());
    let manifest = "file b seq 1 type b\nfile i seq 1 type i\n";
    let files = [("b", base.as_str()), ("i", &increment), ("appendonly.aof.manifest", manifest)];
    let files = files.map(|(name, body)| (name.to_owned(), Bytes::from(body.to_owned()))).to_vec();
    let source = Map::from_iter([("kind".to_owned(), json!("append-only"))]);
    let (from, to) = ("2026-11-22T03:00:00Z", Some("2026-11-22T11:00:00Z"));
    world.put("carts", "append-only", "2026-11-22T11:30:00Z", from, to, source, &files);
}

#[tokio::test]
async fn two_at_once_make_one() {
    let world = World::new();
    world.point("2026-11-22T03:00:00Z", "2026-11-22T03:00:41Z", 2);
    let (one, other) = futures::join!(world.ask(to("latest")), world.ask(to("latest")));
    let answers: Vec<Value> = [one, other].into_iter().flatten().collect();
    assert!(!answers.is_empty());
    assert!(answers.iter().all(|answer| answer["restore_id"] == answers[0]["restore_id"]));
    let (one, other) = futures::join!(world.ask(to("latest")), world.ask(to("2026-11-22T10:00:00Z")));
    assert!(one.is_ok());
    assert_eq!(other.unwrap_err().code(), "NameTaken");
}

#[tokio::test]
async fn what_elasticache_refuses_for_good_frees_the_name() {
    let world = World::new();
    world.point("2026-11-22T03:00:00Z", "2026-11-22T03:00:41Z", 1);
    let refused = Error::misconfigured("InvalidParameterValue", "no such subnet group");
    world.caches.refuse_next("CreateCache", refused);
    assert_eq!(world.ask(to("latest")).await.unwrap_err().code(), "InvalidParameterValue");
    assert_eq!(world.tick().await.unfinished, 0, "ticks leave it alone");
    world.ask(with(to("latest"), "subnet_group", "other")).await.unwrap();
    assert_eq!(world.made(HOME).await.unwrap().settings.subnet_group.as_deref(), Some("other"));
}

#[rstest]
#[case::dead_end("create-failed", 0)]
#[case::for_days("creating", 25 * 60)]
#[tokio::test]
async fn one_that_cannot_succeed_is_told_of_until_somebody_deals_with_it(
    #[case] status: &str,
    #[case] minutes: u64,
) {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "2026-11-22T03:00:41Z", 1);
    world.ask(to("latest")).await.unwrap();
    world.now += Duration::from_mins(minutes);
    let mut made = world.made(HOME).await.unwrap();
    status.clone_into(&mut made.status);
    world.caches.put_cache(made);
    assert_eq!(world.tick().await.take_error().unwrap().code(), "RestoreFailed");
    let after = world.tick().await;
    assert_eq!((after.settled, after.findings), (1, Some(1)));
}

#[tokio::test]
async fn a_cache_of_somebody_else_under_the_name_is_left_alone() {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "2026-11-22T03:00:41Z", 1);
    world.ask(to("latest")).await.unwrap();
    world.caches.remove_cache(CacheKind::ReplicationGroup, "sessions-2");
    let other = Cache::fake(CacheKind::ReplicationGroup, "sessions-2", "2026-11-22", 1);
    world.caches.put_cache(other.clone());
    world.now += Duration::from_mins(1);
    assert_eq!(world.tick().await.take_error().unwrap().code(), "RestoreFailed");
    assert_eq!(world.made(HOME).await.unwrap(), other);
}

#[tokio::test]
async fn a_document_that_holds_no_order_is_said_and_stops_no_other() {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "2026-11-22T03:00:41Z", 1);
    world.documents.put("restores/redis/us-east-1/broken.json", "{\"id\": 7");
    world.ask(to("latest")).await.unwrap();
    world.later(5);
    assert_eq!(world.tick().await.take_error().unwrap().code(), "RestoreUnreadable");
    assert!(world.completed().is_some());
    let broken = with(to("latest"), "as", "broken");
    assert_eq!(world.ask(broken).await.unwrap_err().code(), "RestoreUnreadable");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked, whenever, with whatever failing: nothing that was there is touched, and nothing is written twice.
    #[test]
    fn nothing_existing_is_ever_touched(
        asks in prop::collection::vec((0_usize..6, 0_usize..3, 0_usize..5, 0_u64..30), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            world.point("2026-11-22T03:00:00Z", "2026-11-22T03:00:41Z", 2);
            carts(&world);
            let theirs = Cache::fake(CacheKind::Serverless, "theirs", "2026-11-22", 1);
            world.caches.put_cache(theirs);
            let before = world.untouched().await;
            for (target, name, fault, minutes) in asks {
                match fault {
                    0 => world.caches.lose_answer_of_next("CreateCache"),
                    1 => world.exports().lose_answer_of_next("copy"),
                    2 => world.exports().refuse_next("complete", down()),
                    3 => world.documents.lose_answer_of_next_write(),
                    _ => {}
                }
                let resource = ["redis/sessions", "redis/carts"][target % 2];
                let to = ["latest", "2026-11-22T10:00:00Z", "2026-11-22T10:30:00Z"][target / 2];
                let name = ["sessions", "new-1", "theirs"][name];
                let answer = world.ask(json!({"resource": resource, "to": to, "as": name})).await;
                // A directory is no cache: it may share a name with one.
                if name != "new-1" && resource == "redis/sessions" {
                    assert!(answer.is_err());
                }
                world.later(minutes);
                world.tick().await;
            }
            assert_eq!(world.untouched().await, before);
            for key in world.exports().objects().keys() {
                assert_eq!(world.exports().writes(key), 1, "{key} was written twice");
            }
        });
    }
}
