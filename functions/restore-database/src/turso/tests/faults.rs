use proptest::prelude::*;
use reconcile::Error;
use rstest::rstest;

use super::*;

fn down() -> Error {
    Error::retryable("TursoUnavailable", "down")
}

/// Ticks until it is over, for a day at most.
async fn end(world: &mut World) {
    for _ in 0..60 {
        if world.completed().is_some() || !fixture::entries(&world.ledger, "restore-failed").is_empty() {
            return;
        }
        world.later(1).await;
    }
}

#[rstest]
#[case("branch", to("latest"))]
#[case("database", to("latest"))]
#[case("create", vault("latest"))]
#[case("token", vault("latest"))]
#[case("upload", vault("latest"))]
#[case("cursor", vault("latest"))]
#[tokio::test]
async fn an_answer_that_is_lost(#[case] call: &'static str, #[case] payload: Value) {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    world.turso.lose_answer_of_next(call);
    if world.ask(payload.clone()).await.is_err() {
        assert_eq!(world.documents.writes(), 0, "nothing was begun");
        world.ask(payload).await.unwrap();
    }
    end(&mut world).await;
    assert!(world.completed().is_some(), "{:?}", world.ledger.entries());
    assert_eq!(world.turso.names(), ["orders", "orders-2"]);
    assert_eq!(world.rows("orders-2", "items").await, 3);
}

/// The function is killed in the middle of the call.
#[rstest]
#[case("branch", to("latest"))]
#[case("create", vault("latest"))]
#[case("upload", vault("latest"))]
#[case("cursor", vault("latest"))]
#[tokio::test(start_paused = true)]
async fn killed_in_the_middle_it_is_gone_on_with(#[case] call: &'static str, #[case] payload: Value) {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    world.turso.hang_next(call);
    _ = fixture::pass(&world.function(), &world.ledger, payload, world.now, Duration::from_secs(30)).await;
    let tick = json!({"wake": "tick"});
    _ = fixture::pass(&world.function(), &world.ledger, tick, world.now, Duration::from_secs(30)).await;
    end(&mut world).await;
    assert!(world.completed().is_some(), "{:?}", world.ledger.entries());
    assert_eq!(world.turso.names(), ["orders", "orders-2"]);
    assert_eq!(fixture::entries(&world.ledger, "restore-requested").len(), 1);
}

#[tokio::test]
async fn an_upload_that_always_fails_leaves_nothing_behind() {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    for _ in 0..3 {
        world.turso.refuse_next("upload", Error::permanent("TursoRequestInvalid", "no"));
    }
    world.ask(vault("latest")).await.unwrap();
    end(&mut world).await;
    assert_eq!(world.turso.names(), ["orders"]);
    let failed = fixture::entries(&world.ledger, "restore-failed");
    assert_eq!(failed.len(), 1);
    let after = world.later(1).await;
    assert_eq!((after.settled, after.findings), (1, Some(1)), "it is told of");
    world.ask(vault("latest")).await.unwrap();
}

#[tokio::test]
async fn a_database_of_somebody_else_is_never_deleted_nor_filled() {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    world.ask(vault("latest")).await.unwrap();
    // Ours is deleted, and somebody makes another of that name before the tick.
    world.turso.put(FakeTurso::listed("orders-2", "theirs", "production"), "CREATE TABLE precious (x)");
    world.turso.refuse_next("upload", down());
    end(&mut world).await;
    assert!(world.completed().is_none());
    assert_eq!((world.count("delete"), world.rows("orders-2", "precious").await), (0, 0));
    assert_eq!(fixture::entries(&world.ledger, "restore-failed").len(), 1);
}

#[tokio::test]
async fn one_that_appeared_while_nothing_was_asked_for_is_not_ours() {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    world.turso.refuse_next("create", down());
    world.ask(vault("latest")).await.unwrap();
    world.turso.put(FakeTurso::listed("orders-2", "theirs", "production"), "CREATE TABLE precious (x)");
    end(&mut world).await;
    assert_eq!((world.count("upload"), world.count("delete")), (0, 0));
    assert_eq!(world.rows("orders-2", "precious").await, 0);
}

#[tokio::test]
async fn what_the_vault_garbled_is_not_uploaded() {
    let mut world = World::new();
    let id = world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    let prefix = point_prefix(&ResourceId::turso("orders"), Slot::at(at("2026-11-22T03:00:00Z")), &id);
    assert!(world.vault.corrupt(&format!("{prefix}database.sqlite.zst"), 100));
    world.ask(vault("latest")).await.unwrap();
    end(&mut world).await;
    assert_eq!((world.count("upload"), world.turso.names()), (0, vec!["orders".to_owned()]));
    let failed = fixture::entries(&world.ledger, "restore-failed");
    assert!(failed[0]["error"].as_str().unwrap().contains("SHA-256"), "{failed:?}");
}

#[tokio::test]
async fn a_content_that_differs_is_no_restore() {
    let mut world = World::new();
    world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    world.ask(vault("latest")).await.unwrap();
    world.turso.refuse_next("cursor", down());
    world.tick().await;
    world.turso.execute("orders-2", "DELETE FROM items WHERE id = 1");
    end(&mut world).await;
    assert!(world.completed().is_none());
    let failed = fixture::entries(&world.ledger, "restore-failed");
    assert!(failed[0]["error"].as_str().unwrap().contains("items has 2 rows, not 3"), "{failed:?}");
}

#[tokio::test]
async fn two_at_once_make_one() {
    let world = World::new();
    world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    let (one, other) = futures::join!(world.ask(vault("latest")), world.ask(vault("latest")));
    let ids: Vec<Value> =
        [one, other].into_iter().flatten().map(|answer| answer["restore_id"].clone()).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| *id == ids[0]));
    let (_, _) = futures::join!(world.tick(), world.tick());
    world.tick().await;
    assert!(world.completed().is_some());
    assert_eq!((world.count("upload"), world.turso.names().len()), (1, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is asked, whatever fails: the other databases are what they were, and only what was made here is deleted.
    #[test]
    fn nothing_existing_is_ever_touched(asks in prop::collection::vec((0_usize..4, 0_usize..3, 0_usize..6), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
            world.turso.put(FakeTurso::listed("theirs", "id-of-theirs", "production"), CONTENT);
            for (target, name, fault) in asks {
                match fault {
                    0 => world.turso.lose_answer_of_next("create"),
                    1 => world.turso.lose_answer_of_next("branch"),
                    2 => world.turso.refuse_next("upload", down()),
                    3 => world.documents.lose_answer_of_next_write(),
                    4 => world.documents.remove(DOCUMENT),
                    _ => {}
                }
                let (to, from) = [("latest", "branch"), ("latest", "vault"), ("2026-11-22T04:00:00Z", "branch"), ("2026-11-22T04:00:00Z", "vault")][target];
                let name = ["orders", "orders-2", "theirs"][name];
                let answer = world.ask(json!({"resource": "turso/orders", "to": to, "as": name, "from": from})).await;
                assert!(name == "orders-2" || answer.is_err());
                world.later(17).await;
            }
            for name in ["orders", "theirs"] {
                assert_eq!(world.turso.database(name).await.unwrap().unwrap().id, format!("id-of-{name}"));
                assert_eq!(world.rows(name, "items").await, 3);
                assert!(!world.turso.calls().contains(&format!("delete {name}")));
            }
        });
    }
}
