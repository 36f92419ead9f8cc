use rstest::rstest;

use super::*;

#[tokio::test]
async fn three_databases_from_one_request_to_one_instant() {
    let mut world = World::new();
    let answer = world.ask(to("latest")).await.unwrap();
    insta::with_settings!({filters => vec![(r#""accepted_ms": \d+"#, r#""accepted_ms": 0"#)]}, {
        insta::assert_json_snapshot!("answer", answer);
    });
    assert_eq!(world.names().await, NAMES);
    let completed = world.end().await;
    insta::with_settings!({filters => vec![(r#"_ms": (\d+)\d{3}\b"#, r#"_ms": ${1}000"#)]}, {
        insta::assert_json_snapshot!("completed", completed);
    });
    assert_eq!(world.instants(), [NEWEST], "{:#?}", world.ledger.entries());
    assert_eq!(world.turso.rows(NAMES[2], "items").await, 3);
    for entry in world.entries("restore-completed") {
        assert_eq!((&entry["set"], &entry["to"]), (&json!("shop"), &json!(NEWEST)), "{entry}");
        assert_eq!(entry["set_restore_id"], answer["restore_id"]);
    }
    let tags = world.rds.instance(HOME, NAMES[0]).await.tags;
    assert_eq!((tags["tidemark:set"].as_str(), tags["tidemark:restored-to"].as_str()), ("shop", NEWEST));
    assert_eq!(world.entries("set-restore-requested").len(), 1);
    assert_eq!(world.tick().await.settled, 4, "it is over, and stays so");
}

#[tokio::test]
async fn the_nearest_recovery_point_is_named_with_what_is_missing() {
    let world = World::new();
    let answer = world.ask(to("2026-11-22T11:00:00Z")).await.unwrap();
    let (orders, sessions, catalog) = (&answer["members"][0], &answer["members"][1], &answer["members"][2]);
    assert_eq!((&orders["missing_seconds"], &catalog["missing_seconds"]), (&json!(0), &json!(0)), "{answer}");
    assert_eq!(
        (&sessions["missing_seconds"], &sessions["as_of"]),
        (&json!(17_970), &json!("2026-11-22T06:00:30Z"))
    );
    assert_eq!(catalog["made"], "branch");
}

#[tokio::test]
async fn before_the_pitr_windows_all_give_recovery_points() {
    let mut world = World::new();
    let mut old = rds::tests::snapshot("tidemark-orders-20261109t0300z-abcdef", "available");
    old.created = Some(at("2026-11-09T03:00:20Z"));
    world.rds.account.put_snapshot(HOME, old);
    world.redis.point("2026-11-09T06:00:00Z", "2026-11-09T06:00:30Z", 1);
    let content = "CREATE TABLE items (id INTEGER PRIMARY KEY); INSERT INTO items VALUES (1);";
    world.turso.point("2026-11-09T05:00:00Z", "id-of-orders", content);
    let answer = world.ask(to("2026-11-09T07:00:00Z")).await.unwrap();
    let missing: Vec<i64> =
        (0..3).map(|at| answer["members"][at]["missing_seconds"].as_i64().unwrap()).collect();
    assert_eq!(missing, [14_380, 3_570, 7_190], "{answer:#}");
    assert_eq!(answer["members"][0]["recovery_point"], "tidemark-orders-20261109t0300z-abcdef");
    let completed = world.end().await;
    assert_eq!(completed["members"][0]["missing_seconds"], 14_380, "{completed:#}");
    assert_eq!(completed["members"][0]["as_of"], "2026-11-09T03:00:20Z");
}

#[rstest]
#[case::one(to("2026-11-22T11:58:00Z"), &["of 3 databases: 1 refused: rds/orders (OutsidePitrWindow)", "possible for all of them is 2026-11-22T11:55:59Z"])]
#[case::all_that_are(to("2026-11-23T11:58:00Z"), &["3 refused", "rds/orders (OutsidePitrWindow)", "redis/sessions (OutsideRecoveryPoints)", "turso/orders (OutsidePitrWindow)", "possible for all of them is 2026-11-22T11:55:59Z"])]
#[case::not_ever(to("2020-01-01T00:00:00Z"), &["3 refused", "possible for all of them is 2026-11-22T11:55:59Z"])]
#[case::region(json!({"set": "shop", "to": "latest", "as": "shop-2", "region": "eu-west-1"}), &["rds/orders (RegionUnknown)", "redis/sessions (RegionUnknown)"])]
#[case::unknown_member(json!({"set": "billing", "to": "latest", "as": "shop-2"}), &["rds/invoices (ResourceUnknown)", "turso/tariffs"])]
#[tokio::test]
async fn if_one_is_refused_nothing_is_begun(#[case] payload: Value, #[case] says: &[&str]) {
    let world = World::new();
    let error = world.ask(payload).await.unwrap_err();
    assert_eq!(error.code(), "SetRefused");
    for part in says {
        assert!(error.report().contains(part), "{part}: {}", error.report());
    }
    assert!(error.report().ends_with("nothing was done"));
    let world = (world.names().await, world.documents.writes(), world.ledger.entries().len());
    assert_eq!(world, (vec![], 0, 0));
}

#[tokio::test]
async fn a_name_that_one_of_them_cannot_have_is_refused() {
    let world = World::new();
    world.rds.account.put_instance(HOME, ::rds::Instance::fake(HOME, NAMES[0], "db-THEIRS"));
    let error = world.ask(to("latest")).await.unwrap_err();
    assert!(error.report().contains("rds/orders (NameTaken)"), "{}", error.report());
    assert!(!error.report().contains("possible for all"), "no instant frees a name: {}", error.report());
}

#[rstest]
#[case(json!({"set": "shpo", "to": "latest", "as": "shop-2"}), "SetUnknown", "billing, shop")]
#[case(json!({"set": "shop", "to": "latest", "as": "shop-2", "wishes": {"rds/invoices": {}}}), "RequestInvalid", "none of the set shop: rds/orders, redis/sessions")]
#[tokio::test]
async fn what_is_not_there_is_named(#[case] payload: Value, #[case] code: &str, #[case] says: &str) {
    let error = World::new().ask(payload).await.unwrap_err();
    assert_eq!(error.code(), code);
    assert!(error.report().contains(says), "{}", error.report());
}

#[tokio::test]
async fn no_name_of_a_member_becomes_a_drill_s() {
    let mut world = World::new();
    world.plans["recovery_sets"]["shop"]["resources"] = json!(["rds/drill-orders", "redis/sessions"]);
    let payload = json!({"set": "shop", "to": "latest", "as": "tidemark"});
    let error = world.ask(payload).await.unwrap_err();
    assert_eq!(error.code(), "RequestInvalid");
    assert!(error.report().contains("tidemark-drill-orders"), "{}", error.report());
}

#[tokio::test]
async fn engines_are_told_their_wishes() {
    let world = World::new();
    let mut payload = to("latest");
    payload["wishes"] =
        json!({"rds/orders": {"security_groups": ["sg-staging"]}, "turso/orders": {"from": "vault"}});
    world.turso.point("2026-11-22T03:00:00Z", "id-of-orders", "CREATE TABLE items (id INTEGER PRIMARY KEY)");
    let answer = world.ask(payload).await.unwrap();
    assert_eq!(world.rds.instance(HOME, NAMES[0]).await.security_groups, ["sg-staging"]);
    assert_eq!(answer["members"][2]["made"], "upload", "{answer}");
}

#[tokio::test]
async fn without_plans_there_are_no_sets_and_every_other_restore() {
    let world = World::new();
    let function = world.function(NoPlans);
    let error = fixture::ask(&function, &world.ledger, to("latest"), world.now).await.unwrap_err();
    assert_eq!(error.code(), "InternalServerError");
    let single = json!({"resource": "orders", "to": "latest", "as": "orders-2"});
    fixture::ask(&function, &world.ledger, single, world.now).await.unwrap();
    let tick = json!({"wake": "tick"});
    let summary =
        fixture::pass(&function, &world.ledger, tick, world.now, Duration::from_mins(5)).await.unwrap();
    assert!(summary.failed.is_empty(), "{summary:?}");
}

#[tokio::test]
async fn asked_again_it_is_the_same_instant_though_a_newer_one_is_possible() {
    let mut world = World::new();
    let first = world.ask(to("latest")).await.unwrap();
    world.now += Duration::from_mins(14);
    let mut orders = world.rds.instance(HOME, "orders").await;
    orders.latest_restorable = Some(at("2026-11-22T12:10:00Z"));
    world.rds.account.put_instance(HOME, orders);
    // Whatever became of the plans meanwhile.
    world.plans["recovery_sets"] = json!({});
    let second = world.ask(to("latest")).await.unwrap();
    for key in ["restore_id", "set_instant"] {
        assert_eq!(first[key], second[key]);
    }
    for at in 0..3 {
        assert_eq!(first["members"][at]["restore_id"], second["members"][at]["restore_id"]);
    }
    assert_eq!(world.names().await.len(), 3);
    world.now += Duration::from_mins(2);
    let error = world.ask(to("latest")).await.unwrap_err();
    assert_eq!(error.code(), "SetUnknown", "it is another wish by now");
}

#[tokio::test]
async fn a_name_under_which_a_set_is_being_made_is_taken() {
    let world = World::new();
    let answer = world.ask(to("latest")).await.unwrap();
    let error = world.ask(to("2026-11-22T11:00:00Z")).await.unwrap_err();
    assert_eq!(error.code(), "NameTaken", "{}", error.report());
    assert!(error.report().contains(answer["restore_id"].as_str().unwrap()), "{}", error.report());
    let single = json!({"resource": "orders", "to": NEWEST, "as": NAMES[0]});
    assert_eq!(world.ask(single).await.unwrap_err().code(), "NameTaken", "it is the set's");
}

#[tokio::test]
async fn a_drill_is_the_same_restore_however_late_it_asks_again() {
    let mut world = World::new();
    let first = world.ask(drilled("drill-1")).await.unwrap();
    world.now += Duration::from_hours(3);
    let second = world.ask(drilled("drill-1")).await.unwrap();
    assert_eq!(
        (&first["restore_id"], &first["set_instant"]),
        (&second["restore_id"], &second["set_instant"])
    );
    let tags = world.rds.instance(HOME, "tidemark-drill-shop-rds-orders").await.tags;
    assert_eq!((tags["tidemark:drill"].as_str(), tags["tidemark:set"].as_str()), ("drill-1", "shop"));
    assert_eq!(world.ask(drilled("drill-2")).await.unwrap_err().code(), "NameTaken");
}
