use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn down() -> Error {
    Error::retryable("ServiceUnavailable", "down")
}

fn denied() -> Error {
    Error::misconfigured("AccessDenied", "not allowed")
}

/// What can be broken on the way, each so.
type Break = fn(&World);

const BREAKS: [Break; 12] = [
    |world| world.documents.lose_answer_of_next_write(),
    |world| world.documents.refuse_next_write(down()),
    |world| world.rds.account.lose_answer_of_next("Restore"),
    |world| world.rds.account.refuse_next("Restore", down()),
    |world| world.rds.account.refuse_next("Restore", denied()),
    |world| world.rds.account.refuse_next("DescribeDBInstances", down()),
    |world| world.redis.caches.lose_answer_of_next("CreateCache"),
    |world| world.redis.caches.refuse_next("CreateCache", denied()),
    |world| world.redis.exports().refuse_next("copy", down()),
    |world| world.turso.turso.lose_answer_of_next("branch"),
    |world| world.turso.turso.refuse_next("branch", denied()),
    |world| world.ledger.refuse_next_append(down()),
];

/// Each made once, all of the same instant, and the set completed.
async fn is_whole(world: &mut World) {
    let completed = world.end().await;
    assert_eq!(completed["kind"], "set-restore-completed", "{completed:#}");
    assert_eq!(world.names().await, NAMES);
    assert_eq!(world.instants().len(), 1, "{:#?}", world.ledger.entries());
    assert_eq!(world.entries("restore-completed").len(), 3);
    assert_eq!(world.entries("set-restore-requested").len(), 1);
    let made = world.rds.instance(HOME, NAMES[0]).await;
    assert_eq!(made.tags["tidemark:restored-to"], completed["set_instant"].as_str().unwrap());
    assert_eq!(world.turso.rows(NAMES[2], "items").await, 3);
}

#[rstest]
#[tokio::test]
async fn whatever_breaks_asking_again_goes_on(#[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)] at: usize) {
    let mut world = World::new();
    BREAKS[at](&world);
    let first = world.ask(to("latest")).await;
    world.now += Duration::from_secs(30);
    let second = world.ask(to("latest")).await.unwrap();
    if let Ok(first) = first {
        assert_eq!(first["restore_id"], second["restore_id"]);
    }
    is_whole(&mut world).await;
}

/// Nobody asks again: if the order was written down, ticks go on with it; if not, nothing was begun.
#[rstest]
#[tokio::test]
async fn whatever_breaks_ticks_go_on(#[values(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)] at: usize) {
    let mut world = World::new();
    BREAKS[at](&world);
    _ = world.ask(to("latest")).await;
    if world.documents.text(DOCUMENT).is_none() {
        assert!(world.names().await.is_empty());
        return;
    }
    is_whole(&mut world).await;
}

/// The function is killed in the middle of a call: it took effect, and nothing after it happened.
#[rstest]
#[case::branch(|world: &World| world.turso.turso.hang_next("branch"))]
#[case::lookup(|world: &World| world.turso.turso.hang_next("database"))]
#[case::staging(|world: &World| world.redis.exports().hang_next("copy"))]
#[tokio::test(start_paused = true)]
async fn killed_in_the_middle_it_is_gone_on_with(#[case] hang: Break, #[values(false, true)] again: bool) {
    let mut world = World::new();
    hang(&world);
    let killed = world.pass(to("latest"), Duration::from_secs(30)).await;
    assert!(killed.is_err() || killed.is_ok_and(|mut summary| summary.take_error().is_some()));
    if again || world.documents.text(DOCUMENT).is_none() {
        world.now += Duration::from_secs(30);
        world.ask(to("latest")).await.unwrap();
    }
    is_whole(&mut world).await;
}

/// Written down, and killed before any of them was begun.
#[tokio::test]
async fn what_was_written_down_alone_is_begun_by_ticks() {
    let mut world = World::new();
    world.documents.lose_answer_of_next_write();
    world.ask(to("latest")).await.unwrap_err();
    assert_eq!((world.names().await.len(), world.documents.writes()), (0, 1));
    world.plans = json!({"plans": {"default": {}}});
    is_whole(&mut world).await;
    assert_eq!(world.instants(), [NEWEST]);
}

#[tokio::test]
async fn what_cannot_be_begun_is_said_and_tried_again() {
    let mut world = World::new();
    world.redis.caches.refuse_next("CreateCache", denied());
    let answer = world.ask(to("latest")).await.unwrap();
    assert_eq!((&answer["begun"], &answer["of"]), (&json!(2), &json!(3)), "{answer:#}");
    assert_eq!(answer["members"][1]["error"]["code"], "AccessDenied");
    assert!(answer["next"].as_str().unwrap().contains("ticks try again"));
    world.redis.caches.refuse_next("CreateCache", denied());
    let mut tick = world.tick().await;
    assert_eq!(tick.findings, Some(1), "whoever can mend it hears of it");
    assert_eq!(tick.take_error().unwrap().code(), "AccessDenied");
    is_whole(&mut world).await;
}

/// It was begun, and is refused when somebody asks again: the name stays its own, and ticks go on.
#[tokio::test]
async fn what_was_begun_once_is_not_given_up() {
    let mut world = World::new();
    world.redis.exports().refuse_next("copy", down());
    world.ask(to("latest")).await.unwrap();
    world.redis.caches.refuse_next("CreateCache", denied());
    let answer = world.ask(to("latest")).await.unwrap();
    assert_eq!(answer["members"][1]["error"]["code"], "AccessDenied", "{answer:#}");
    is_whole(&mut world).await;
}

#[tokio::test]
async fn what_somebody_deleted_is_not_made_again() {
    let mut world = World::new();
    world.ask(to("latest")).await.unwrap();
    world.rds.account.remove_instance(HOME, NAMES[0]);
    for _ in 0..3 {
        world.later(1).await;
    }
    assert_eq!(world.names().await, [NAMES[1], NAMES[2]]);
}

#[tokio::test]
async fn what_nobody_mends_for_hours_is_given_up() {
    let mut world = World::new();
    world.rds.account.refuse_next("Restore", denied());
    world.ask(to("latest")).await.unwrap();
    for _ in 0..13 {
        world.rds.account.refuse_next("Restore", denied());
        world.later(30).await;
    }
    let failed = world.end().await;
    assert_eq!(failed["outcome"], json!({"failed": "RestoreFailed"}));
    assert_eq!(failed["members"][0]["outcome"], "not-made", "{failed:#}");
    assert_eq!(failed["members"][1]["outcome"], "completed");
    let tick = world.tick().await;
    assert_eq!(
        (tick.failed.len(), tick.findings),
        (0, Some(1)),
        "it is told of, and tried no more: {tick:?}"
    );
}

/// What is begun for a drill that is over nobody would tear down.
#[tokio::test]
async fn what_an_expired_drill_did_not_begin_stays_unmade() {
    let mut world = World::new();
    world.redis.caches.refuse_next("CreateCache", denied());
    let mut payload = drilled("drill-1");
    payload["drill"]["expires"] = json!("2026-11-22T12:30:00Z");
    world.ask(payload).await.unwrap();
    world.now += Duration::from_mins(31);
    let tick = world.tick().await;
    assert!(tick.acted.iter().all(|acted| acted.action != "begin-member"), "{tick:?}");
}

#[tokio::test]
async fn if_none_can_be_begun_the_name_is_free_again() {
    let mut world = World::new();
    let refuse = |world: &World| {
        world.rds.account.refuse_next("Restore", denied());
        world.redis.caches.refuse_next("CreateCache", denied());
        world.turso.turso.refuse_next("branch", denied());
    };
    refuse(&world);
    let error = world.ask(to("latest")).await.unwrap_err();
    assert_eq!(error.code(), "SetRefused");
    assert!(error.report().contains("3 refused: rds/orders (AccessDenied)"), "{}", error.report());
    assert!(world.ledger.entries().is_empty());
    assert_eq!(world.tick().await.unfinished, 0);
    world.ask(to("2026-11-22T11:59:00Z")).await.unwrap_err();
    world.ask(to("2026-11-22T11:58:30Z")).await.unwrap_err();
    world.ask(to(NEWEST)).await.unwrap();
    is_whole(&mut world).await;
}

#[tokio::test]
async fn a_member_that_fails_fails_the_set_and_is_told_once() {
    let mut world = World::new();
    world.ask(to("latest")).await.unwrap();
    let mut made = world.rds.instance(HOME, NAMES[0]).await;
    "incompatible-network".clone_into(&mut made.status);
    world.rds.account.put_instance(HOME, made);
    world.tick().await;
    let failed = world.end().await;
    assert_eq!(failed["members"][0]["outcome"], json!({"failed": "RestoreFailed"}), "{failed:#}");
    assert_eq!(world.tick().await.findings, Some(1), "by the finding of the database");
}

#[tokio::test]
async fn two_at_once_make_one() {
    let mut world = World::new();
    let (one, other) = futures::join!(world.ask(to("latest")), world.ask(to("latest")));
    assert!(one.is_ok() || other.is_ok());
    is_whole(&mut world).await;
}

#[tokio::test]
async fn a_tick_in_between_changes_nothing() {
    let mut world = World::new();
    world.documents.lose_answer_of_next_write();
    world.ask(to("latest")).await.unwrap_err();
    let (asked, _) = futures::join!(world.ask(to("latest")), world.tick());
    asked.unwrap();
    is_whole(&mut world).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever breaks and however often somebody asks: one instant, each made once, nothing that was there touched.
    #[test]
    fn it_ends_as_if_nothing_had_happened(steps in prop::collection::vec((0..BREAKS.len(), any::<bool>()), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for (at, asks) in steps {
                BREAKS[at](&world);
                if asks {
                    _ = world.ask(to("latest")).await;
                } else {
                    world.tick().await;
                }
                world.now += Duration::from_secs(20);
            }
            // Whatever is left broken, a tick or two meet it.
            if world.documents.text(DOCUMENT).is_none_or(|text| text.contains("\"refused\":true")) {
                for _ in 0..20 {
                    if world.ask(to("latest")).await.is_ok() {
                        break;
                    }
                }
            }
            is_whole(&mut world).await;
            assert_eq!(world.turso.rows("orders", "items").await, 3);
        });
    }
}
