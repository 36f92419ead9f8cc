//! Faults, kills, and two at once.

use proptest::prelude::*;

use super::*;

#[tokio::test(start_paused = true)]
async fn two_invocations_at_once_make_one_recovery_point() {
    let world = World::new(&["orders", "users"]);
    for _ in 0..4 {
        let (a, b) = tokio::join!(world.tick(), world.tick());
        assert!(a.failed.is_empty() && b.failed.is_empty(), "{:?} {:?}", a.failed, b.failed);
        world.later(5);
    }
    let objects = world.home.objects();
    assert_eq!(objects.len(), 4, "{:?}", objects.keys());
    assert!(objects.keys().all(|key| world.home.writes(key) == 1));
    assert!(world.home.uploads().is_empty());
    assert_eq!(world.ledger_kinds().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_does_not_read_back_is_never_called_a_recovery_point() {
    let world = World::new(&["orders"]);
    for attempt in 1..=3 {
        // The object is stored, and the function killed before it reads it.
        world.home.hang_next("head");
        cut_off(&world).await;
        let name = format!("{}/{OBJECT}", id(attempt));
        let key = world.home.objects().into_keys().find(|key| key.ends_with(&name)).unwrap();
        assert!(world.home.corrupt(&key, 100));
        world.later(5);
        let mut summary = world.tick().await;
        assert_eq!(summary.take_error().unwrap().code(), "ChecksumMismatch");
        world.later(5);
    }
    let mut summary = world.tick().await;
    assert_eq!(summary.take_error().unwrap().code(), "AttemptsExhausted");
    assert!(world.manifests(&world.home).is_empty());
    world.later(60);
    world.settle().await;
    assert_eq!(world.manifests(&world.home).len(), 1, "the next slot is tried anew");
}

fn id(attempt: u32) -> domain::RecoveryPointId {
    domain::RecoveryPointId::new(
        "orders",
        "id-of-orders",
        Slot::at("2026-11-22T03:00:00Z".parse().unwrap()),
        attempt,
    )
}

/// A tick that is cut off where nothing moves any more: time is paused, and its end comes at once.
async fn cut_off(world: &World) {
    _ = world.try_tick().await;
}

#[rstest]
#[case("begin")]
#[case("part")]
#[case("complete")]
#[case("head")]
#[case("read")]
#[case("create")]
#[case("list")]
#[tokio::test(start_paused = true)]
async fn killed_at_any_call_of_the_vault_the_next_ticks_end_the_same(#[case] call: &'static str) {
    let calm = World::new(&["orders"]);
    calm.settle().await;
    let expected = end_state(&calm);
    for nth in 0..3 {
        let world = World::new(&["orders"]);
        for _ in 0..nth {
            world.home.lose_answer_of_next(call);
        }
        world.home.hang_next(call);
        // As many as it takes to meet all of these.
        for _ in 0..=nth {
            cut_off(&world).await;
            world.later(5);
        }
        world.settle().await;
        assert_eq!(end_state(&world), expected, "{call} {nth}");
        assert!(world.home.objects().keys().all(|key| world.home.writes(key) == 1));
    }
}

#[tokio::test(start_paused = true)]
async fn parts_that_are_there_are_not_uploaded_again() {
    let world = World::new(&["orders"]);
    world
        .turso
        .execute("orders", "INSERT INTO rows(x) SELECT randomblob(2000) FROM rows, rows AS r, rows AS s");
    world.home.hang_next("complete");
    cut_off(&world).await;
    let parts = world.home.count("part");
    assert!(parts > 10, "{parts}");
    world.later(5);
    world.settle().await;
    assert_eq!(world.home.count("part"), parts);
    assert_eq!(world.manifests(&world.home).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn parts_of_what_has_changed_meanwhile_are_given_up() {
    let world = World::new(&["orders"]);
    world.home.hang_next("complete");
    cut_off(&world).await;
    // The fake completes and never answers; another world's database goes on.
    world.turso.execute("orders", "INSERT INTO rows(x) VALUES (randomblob(3000))");
    world.later(5);
    world.settle().await;
    assert!(world.home.uploads().is_empty());
    let manifests = world.manifests(&world.home);
    assert_eq!(manifests.len(), 1);
    world.rows(&world.home, &manifests[0]);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_whole_is_kept_though_the_database_has_changed_since() {
    let world = World::new(&["orders"]);
    world.home.lose_answer_of_next("complete");
    let mut summary = world.tick().await;
    assert!(summary.take_error().is_some());
    world.turso.execute("orders", "INSERT INTO rows(x) VALUES ('later')");
    world.later(5);
    world.settle().await;
    let [manifest] = world.manifests(&world.home).try_into().unwrap();
    assert_eq!((manifest.id.clone(), world.rows(&world.home, &manifest)), (id(1), 2));
    assert_eq!(world.ledger_kinds(), ["recovery-point-completed", "copy-completed"]);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_costs_none_of_those_that_are_there() {
    let world = World::new(&["orders"]);
    world.home.lose_answer_of_next("complete");
    world.home.refuse_next("complete", Error::retryable("SlowDown", "busy"));
    for _ in 0..2 {
        assert!(world.tick().await.take_error().is_some());
        world.later(5);
    }
    world.settle().await;
    assert_eq!(world.home.count("begin"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_database_is_a_failure_and_not_a_backup() {
    let world = World::new(&["orders"]);
    world.turso.checkpoint("orders");
    for attempt in 1..=3 {
        // A byte in the second page of the file that comes.
        world.turso.garble_next("export", 4096);
        let mut summary = world.tick().await;
        assert_eq!(summary.take_error().unwrap().code(), "IntegrityCheckFailed", "{attempt}");
        world.later(5);
    }
    assert!(world.home.objects().is_empty());
    let mut summary = world.tick().await;
    assert_eq!(summary.take_error().unwrap().code(), "AttemptsExhausted");
}

/// What may go wrong with the next call of an operation.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Turso(&'static str),
    Cut(&'static str, usize),
    Vault(&'static str, bool),
    Document,
    Ledger,
    Write,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    const TURSO: [&str; 6] = ["databases", "token", "info", "export", "sync", "configuration"];
    const VAULT: [&str; 7] = ["list", "begin", "part", "complete", "head", "read", "create"];
    prop_oneof![
        prop::sample::select(&TURSO[..]).prop_map(Trouble::Turso),
        (prop::sample::select(&["export", "sync"][..]), 0_usize..9000)
            .prop_map(|(call, at)| Trouble::Cut(call, at)),
        (prop::sample::select(&VAULT[..]), any::<bool>()).prop_map(|(call, lost)| Trouble::Vault(call, lost)),
        Just(Trouble::Document),
        Just(Trouble::Ledger),
        Just(Trouble::Write),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever goes wrong on the way, the end is: one recovery point of the slot in each vault, both of which open.
    #[test]
    fn troubles_on_the_way_do_not_change_the_end(troubles in prop::collection::vec(trouble(), 0..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let world = World::new(&["orders"]);
            for trouble in &troubles {
                let busy = || Error::retryable("SlowDown", "busy");
                match trouble {
                    Trouble::Turso(call) => world.turso.refuse_next(call, busy()),
                    Trouble::Cut(call, at) => world.turso.cut_next(call, *at),
                    Trouble::Vault(call, true) => world.home.lose_answer_of_next(call),
                    Trouble::Vault(call, false) => world.home.refuse_next(call, busy()),
                    Trouble::Document => world.ledger.documents.lose_answer_of_next_write(),
                    Trouble::Ledger => world.ledger.refuse_next_append(busy()),
                    Trouble::Write => world.turso.execute("orders", "INSERT INTO rows(x) VALUES ('more')"),
                }
                _ = world.try_tick().await;
                world.later(2);
            }
            // Faults that nothing has met yet.
            for _ in 0..20 {
                if world.try_tick().await.is_ok_and(|summary| summary.unfinished == 0) {
                    break;
                }
                world.later(2);
            }
            world.settle().await;
            let at_home = world.manifests(&world.home);
            prop_assert_eq!(at_home.len(), 1, "{:?}", world.home.objects().keys());
            prop_assert_eq!(world.rows(&world.home, &at_home[0]), world.rows(&world.away, &at_home[0]));
            prop_assert!(world.home.objects().keys().all(|key| world.home.writes(key) == 1));
            let kinds = world.ledger_kinds();
            prop_assert_eq!(kinds.iter().filter(|kind| *kind == "recovery-point-completed").count(), 1);
            prop_assert_eq!(kinds.iter().filter(|kind| *kind == "copy-completed").count(), 1);
            Ok(())
        })?;
    }
}
