use rstest::rstest;

use super::*;

#[rstest]
#[case("latest")]
#[case("2026-11-22T11:50:00Z")]
#[case("2026-11-13T00:00:00Z")]
#[tokio::test]
async fn while_it_lives_a_branch_is_made(#[case] target: &str) {
    let world = World::new();
    let answer = world.ask(to(target)).await.unwrap();
    assert_eq!(
        (&answer["made"], &answer["branch_of"]),
        (&json!("branch"), &json!("orders (id-of-orders)")),
        "{answer}"
    );
    assert_eq!(answer["database_id"], "made-1");
    assert_eq!(world.tick().await.unfinished, 0);
    let completed = world.completed().unwrap();
    assert_eq!((&completed["first_query"], &completed["region"]), (&json!("answered"), &json!("turso")));
    assert_eq!(world.tick().await.settled, 1, "it is over, and stays so");
    assert_eq!(
        (world.count("branch"), world.count("delete"), world.rows("orders-2", "items").await),
        (1, 0, 3)
    );
}

#[rstest]
#[case::asked_for(|_: &World| vault("latest"), None)]
#[case::gone(|world: &World| { world.turso.remove("orders"); to("2026-11-22T11:50:00Z") }, Some("is gone"))]
#[case::before_the_window(|world: &World| { world.turso.set_plan("starter", 100); to("2026-11-21T11:00:00Z") }, Some("PITR window"))]
#[case::made_anew(|world: &World| { world.turso.put(FakeTurso::listed("orders", "another", "production"), ""); to("2026-11-22T11:50:00Z") }, Some("deleted since"))]
#[case::other_group(|_: &World| json!({"resource": "turso/orders", "to": "latest", "as": "orders-2", "group": "staging"}), Some("in its source's group"))]
#[tokio::test]
async fn else_the_vault_s_file_becomes_a_database(
    #[case] asked: fn(&World) -> Value,
    #[case] why: Option<&str>,
) {
    let world = World::new();
    world.point("2026-11-21T03:00:00Z", "id-of-orders", CONTENT);
    let payload = asked(&world);
    let answer = world.ask(payload).await.unwrap();
    assert_eq!(answer["made"], "upload", "{answer}");
    if let Some(why) = why {
        assert!(answer["notes"][0].as_str().unwrap().contains(why), "{answer}");
    }
    assert_eq!(world.tick().await.unfinished, 0);
    let completed = world.completed().unwrap();
    assert_eq!((&completed["rows"], &completed["as_of"]), (&json!(4), &json!("2026-11-21T03:00:10Z")));
    assert_eq!(world.rows("orders-2", "items").await, 3);
    assert_eq!(world.rows("orders-2", "odd \"name").await, 1);
    let left: Vec<_> =
        std::fs::read_dir(world.scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["to-be-stored.db"], "the file goes with the work on it");
    let text = world.documents.text(DOCUMENT).unwrap();
    assert!(!text.contains("-for-made-1") && !text.contains(FakeTurso::TOKEN), "no token is kept: {text}");
}

#[tokio::test]
async fn the_newest_at_or_before_the_instant_and_how_much_is_missing() {
    let world = World::new();
    let first = world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    world.point("2026-11-22T04:00:00Z", "id-of-orders", CONTENT);
    let answer = world.ask(vault("2026-11-22T04:00:09Z")).await.unwrap();
    assert_eq!((&answer["recovery_point"], &answer["missing_seconds"]), (&json!(first), &json!(3_599)));
    let named = json!({"resource": "turso/orders", "to": first, "as": "orders-3"});
    assert_eq!(world.ask(named).await.unwrap()["made"], "upload", "a name is in the vault");
}

#[tokio::test]
async fn the_copy_answers_when_the_vault_at_home_does_not() {
    let world = World::new();
    world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    world.vault.refuse_next("list", reconcile::Error::retryable("ServiceUnavailable", "down"));
    let answer = world.ask(vault("latest")).await.unwrap();
    assert!(answer["notes"][1].as_str().unwrap().contains("us-west-2"), "{answer}");
    world.vault.remove("nothing");
    world.tick().await;
    assert_eq!(world.completed().unwrap()["rows"], 4);
    assert!(world.away().calls().iter().any(|call| call.starts_with("read ")));
}

#[rstest]
#[case::region(json!({"resource": "turso/orders", "to": "latest", "as": "x", "region": "us-west-2"}), "RequestInvalid", "name the \"group\"")]
#[case::over_itself(json!({"resource": "turso/orders", "to": "latest", "as": "orders"}), "NameTaken", "id-of-orders")]
#[case::unknown(json!({"resource": "turso/ordres", "to": "latest", "as": "x"}), "ResourceUnknown", "is gone")]
#[case::future(to("2026-12-01T00:00:00Z"), "OutsidePitrWindow", "in the future")]
#[case::no_branch_that_old(json!({"resource": "turso/orders", "to": "2026-10-01T00:00:00Z", "as": "x", "from": "branch"}), "OutsidePitrWindow", "240 hours")]
#[case::no_branch_of_a_point(json!({"resource": "turso/orders", "to": "tidemark-orders-20261122t0300z-abcdef", "as": "x", "from": "branch"}), "OutsidePitrWindow", "in the vault")]
#[case::no_such_point(
    to("tidemark-orders-20261122t0300z-abcdef"),
    "RecoveryPointUnknown",
    "its newest recovery points are"
)]
#[case::nothing_that_old(vault("2026-10-01T00:00:00Z"), "OutsideRecoveryPoints", "in the 2593 days before")]
#[tokio::test]
async fn refusals_say_what_is_possible_and_change_nothing(
    #[case] payload: Value,
    #[case] code: &str,
    #[case] says: &str,
) {
    let world = World::new();
    world.point("2026-11-22T03:00:00Z", "id-of-orders", CONTENT);
    let error = world.ask(payload).await.unwrap_err();
    assert_eq!(error.code(), code, "{}", error.report());
    assert!(error.report().contains(says), "{}", error.report());
    assert_eq!((world.turso.names(), world.documents.writes()), (vec!["orders".to_owned()], 0));
}

#[tokio::test]
async fn without_a_token_or_without_turso() {
    let world = World::new();
    let refused = |token| {
        let function = world.function_with(token);
        async move { fixture::ask(&function, &world.ledger, to("latest"), world.now).await.unwrap_err() }
    };
    assert_eq!(refused("another").await.code(), "TursoUnauthorized");
    let world = World::new();
    let mut none = world.function();
    none.databases.turso = None;
    let error = fixture::ask(&none, &world.ledger, to("latest"), world.now).await.unwrap_err();
    assert_eq!(error.code(), "EngineNotConfigured");
    assert!(error.to_string().contains("TIDEMARK_TURSO_ORGANIZATION"), "{error}");
}

#[tokio::test]
async fn a_drill_is_the_same_restore_however_late_it_asks_again() {
    let mut world = World::new();
    let drilled = |id: &str| {
        let drill = json!({"id": id, "expires": "2026-11-22T22:00:00Z"});
        json!({"resource": "turso/orders", "to": "latest", "as": "tidemark-drill-orders", "drill": drill})
    };
    let answer = world.ask(drilled("drill-1")).await.unwrap();
    world.now += Duration::from_hours(2);
    let again = world.ask(drilled("drill-1")).await.unwrap();
    assert_eq!(again["restore_id"], answer["restore_id"]);
    assert_eq!(world.count("branch"), 1);
    assert_eq!(world.ask(drilled("drill-2")).await.unwrap_err().code(), "NameTaken");
}
