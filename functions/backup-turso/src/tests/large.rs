//! Copies that take longer than an invocation: what was fetched is kept, and gone on with.

use proptest::prelude::*;

use super::*;

/// A world in which each invocation's time is over as soon as something came.
fn slow() -> World {
    let mut world = World::new(&["orders"]);
    world.turn = Turn { time: SignedDuration::ZERO, staged_from: 0 };
    world.part_bytes = 10_000;
    world.turso.execute("orders", "INSERT INTO rows(x) SELECT randomblob(15000) FROM rows");
    world.turso.checkpoint("orders");
    world.turso.execute("orders", "INSERT INTO rows(x) VALUES (randomblob(9000))");
    world
}

/// Ticks until the slot has a recovery point; how many it took.
async fn until_whole(world: &World) -> usize {
    for tick in 1..400 {
        let summary = world.tick().await;
        assert!(summary.failed.is_empty(), "{:?}", summary.failed);
        if !world.manifests(&world.home).is_empty() {
            return tick;
        }
    }
    panic!("never whole: {:?}", world.state.objects().keys());
}

fn calls(world: &World, call: &str) -> usize {
    world.turso.calls().iter().filter(|made| made.starts_with(call)).count()
}

#[tokio::test]
async fn a_copy_goes_on_where_the_last_invocation_was() {
    let world = slow();
    let ticks = until_whole(&world).await;
    let pieces = world.turso.bytes_of("orders").div_ceil(10_000);
    assert!(ticks > pieces, "{ticks} ticks for {pieces} pieces");
    // Each piece of the file came once; the frames, and the word for their end, are two more.
    assert_eq!((calls(&world, "export"), calls(&world, "sync")), (pieces, 2));
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!((world.rows(&world.home, &manifest), manifest.method.as_str()), (5, "page-export"));
    assert!(world.home.uploads().is_empty());
    assert!(world.board().is_empty());
}

#[tokio::test]
async fn what_is_small_leaves_no_log() {
    let mut world = slow();
    world.turn.staged_from = 10 << 20;
    assert_eq!(until_whole(&world).await, 1);
    assert!(world.state.objects().is_empty());
}

#[tokio::test]
async fn what_is_written_once_the_copy_is_whole_waits_for_the_next_slot() {
    let world = slow();
    let mut ended_at = NOW.get();
    while !world.state.objects().keys().any(|key| key.contains("-end-")) {
        world.later_by(SignedDuration::from_secs(10));
        ended_at = NOW.get();
        world.tick().await;
    }
    world.later(1);
    world.turso.execute("orders", "INSERT INTO rows(x) VALUES ('later')");
    until_whole(&world).await;
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!((world.rows(&world.home, &manifest), manifest.taken_at), (5, ended_at));
    // The log is that recovery point's own: the next one begins another.
    world.later(60);
    until_two(&world).await;
    let logs = world.state.objects().into_keys().filter(|key| key.contains("/000000-base")).count();
    assert_eq!(logs, 2, "{:?}", world.state.objects().keys());
}

async fn until_two(world: &World) {
    for _ in 0..400 {
        world.tick().await;
        if let [_, second] = world.manifests(&world.home).as_slice() {
            assert_eq!(world.rows(&world.home, second), 6);
            return;
        }
    }
    panic!("no second recovery point");
}

#[tokio::test]
async fn a_log_that_was_not_ended_serves_the_next_slot() {
    let world = slow();
    for _ in 0..5 {
        world.tick().await;
    }
    let exports = calls(&world, "export");
    world.turso.execute("orders", "INSERT INTO rows(x) VALUES ('later')");
    world.later(60);
    until_whole(&world).await;
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!(
        (manifest.slot.to_string().as_str(), world.rows(&world.home, &manifest)),
        ("2026-11-22T04:00:00Z", 6)
    );
    let pieces = world.turso.bytes_of("orders").div_ceil(10_000);
    assert_eq!((exports, calls(&world, "export")), (5, pieces));
}

#[tokio::test]
async fn what_is_nearly_there_is_finished_before_the_next_slot_is_begun() {
    let mut world = slow();
    // Parts of a few hundred bytes: the upload takes many turns.
    world.part_bytes = 400;
    while world.home.count("part") < 8 {
        world.tick().await;
    }
    let begun = world.home.count("begin");
    world.turso.execute("orders", "INSERT INTO rows(x) VALUES ('later')");
    world.later(60);
    until_whole(&world).await;
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!(
        (manifest.slot.to_string().as_str(), world.rows(&world.home, &manifest)),
        ("2026-11-22T03:00:00Z", 5)
    );
    assert_eq!(world.home.count("begin"), begun, "the parts that were there are used");
    until_two(&world).await;
    let slots: Vec<_> = world.manifests(&world.home).iter().map(|one| one.slot.to_string()).collect();
    assert_eq!(slots, ["2026-11-22T03:00:00Z", "2026-11-22T04:00:00Z"]);
}

#[tokio::test]
async fn what_fails_for_good_is_not_finished_by_the_next_slot() {
    let world = slow();
    while !world.state.objects().keys().any(|key| key.contains("-end-")) {
        world.tick().await;
    }
    let piece = world.state.objects().into_keys().find(|key| key.contains("/000001-base")).unwrap();
    assert!(world.state.corrupt(&piece, 12_288 - 10_000), "the first byte of a page");
    let mut failed = Vec::new();
    for _ in 0..400 {
        let mut summary = world.tick().await;
        failed.extend(summary.take_error().map(|error| error.code().to_owned()));
        if !world.manifests(&world.home).is_empty() {
            break;
        }
    }
    assert_eq!(failed, ["IntegrityCheckFailed"], "one attempt, and the next one fetches anew");
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert!(manifest.id.as_str().ends_with("-2"), "{}", manifest.id);
}

#[tokio::test]
async fn a_piece_that_expires_while_it_is_read_costs_no_attempt() {
    let world = slow();
    for _ in 0..4 {
        world.tick().await;
    }
    world.state.refuse_next("read", Error::permanent("NoSuchKey", "it has expired"));
    let summary = world.tick().await;
    assert_eq!(summary.failed[0].error.kind(), Kind::Retryable);
    until_whole(&world).await;
    assert!(world.ledger_kinds().iter().all(|kind| !kind.contains("failed")), "{:?}", world.ledger_kinds());
}

#[tokio::test]
async fn frames_of_a_generation_that_is_gone_end_the_log_and_not_the_slot() {
    let world = slow();
    while !world.state.objects().keys().any(|key| key.contains("-frames-")) {
        world.tick().await;
    }
    world.turso.checkpoint("orders");
    for code in ["TursoUnavailable", "TursoNotFound"] {
        let kind = if code == "TursoNotFound" { Kind::Permanent } else { Kind::Retryable };
        world.turso.refuse_next("sync", Error::new(kind, code, "no frames of it"));
    }
    let summary = world.tick().await;
    assert_eq!(summary.failed[0].error.kind(), Kind::Retryable);
    assert!(world.state.objects().keys().any(|key| key.ends_with("-given-up")));
    for _ in 0..60 {
        _ = world.try_tick().await;
    }
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!(world.rows(&world.home, &manifest), 5);
}

#[tokio::test]
async fn a_log_of_which_nothing_comes_is_given_up() {
    let world = slow();
    world.tick().await;
    let gone = Error::permanent("TursoNotFound", "no such generation");
    world.turso.refuse_next("export", gone);
    let mut summary = world.tick().await;
    let error = summary.take_error().unwrap();
    assert_eq!((error.code(), error.kind()), ("TursoNotFound", Kind::Retryable), "no attempt has failed");
    assert!(world.state.objects().keys().any(|key| key.ends_with("-given-up")));
    until_whole(&world).await;
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!(world.rows(&world.home, &manifest), 5);
}

#[tokio::test]
async fn a_database_made_anew_goes_on_with_no_log_of_the_old_one() {
    let world = slow();
    for _ in 0..3 {
        world.tick().await;
    }
    world.turso.put(
        FakeTurso::listed("orders", "id-of-another", "production"),
        "CREATE TABLE rows(x); INSERT INTO rows VALUES (1)",
    );
    until_whole(&world).await;
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!(world.rows(&world.home, &manifest), 1);
}

#[tokio::test]
async fn a_log_whose_beginning_has_expired_is_none() {
    let world = slow();
    for _ in 0..4 {
        world.tick().await;
    }
    let first = world.state.objects().into_keys().next().unwrap();
    world.state.remove(&first);
    until_whole(&world).await;
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!(world.rows(&world.home, &manifest), 5);
}

/// Between two invocations.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Write,
    Checkpoint,
    Refuse(&'static str),
    LoseAnswer(&'static str),
    /// The one that runs then is cut off.
    Hang(&'static str),
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    const STATE: [&str; 4] = ["list", "create", "read", "read_whole"];
    let state = || prop::sample::select(&STATE[..]);
    prop_oneof![
        Just(Meanwhile::Write),
        Just(Meanwhile::Checkpoint),
        state().prop_map(Meanwhile::Refuse),
        state().prop_map(Meanwhile::LoseAnswer),
        state().prop_map(Meanwhile::Hang),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever happens between and in the invocations: one recovery point, no older than the log's end.
    #[test]
    fn whatever_happens_in_between_the_copy_is_whole(events in prop::collection::vec((meanwhile(), 0_usize..4), 0..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = slow();
            let mut rows = 5;
            for (event, ticks) in &events {
                match event {
                    Meanwhile::Write => {
                        world.turso.execute("orders", "INSERT INTO rows(x) VALUES (randomblob(15000))");
                        rows += 1;
                    }
                    Meanwhile::Checkpoint => world.turso.checkpoint("orders"),
                    Meanwhile::Refuse(call) => world.state.refuse_next(call, Error::retryable("SlowDown", "busy")),
                    Meanwhile::LoseAnswer(call) => world.state.lose_answer_of_next(call),
                    Meanwhile::Hang(call) => world.state.hang_next(call),
                }
                let ended = world.state.objects().keys().any(|key| key.contains("-end-"));
                for _ in 0..*ticks {
                    _ = world.try_tick().await;
                }
                if ended && matches!(event, Meanwhile::Write) {
                    rows -= 1;
                }
                world.later_by(SignedDuration::from_secs(10));
            }
            for _ in 0..400 {
                if !world.manifests(&world.home).is_empty() {
                    break;
                }
                _ = world.try_tick().await;
                world.later_by(SignedDuration::from_secs(10));
            }
            let [manifest] = world.manifests(&world.home).try_into().unwrap();
            prop_assert_eq!(world.rows(&world.home, &manifest), rows);
            prop_assert!(world.home.objects().keys().all(|key| world.home.writes(key) == 1));
            prop_assert!(world.state.objects().keys().all(|key| world.state.writes(key) == 1));
            Ok(())
        })?;
    }
}
