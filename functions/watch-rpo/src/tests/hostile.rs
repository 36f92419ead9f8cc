//! Values that should not be, and clocks that do not agree.

use domain::Severity;
use rstest::rstest;

use super::*;

#[rstest]
#[case::a_little_ahead("2026-11-22T12:00:03Z")]
#[case::far_ahead("9999-12-30T00:00:00Z")]
#[tokio::test]
async fn a_restorable_second_yet_to_come_is_of_age_zero(#[case] newest: &str) {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.stuck.insert("orders".to_owned());
    world.orders().latest_restorable = Some(at(newest));
    world.tick().await;
    assert_eq!(world.kinds(), Vec::<String>::new());
    assert_eq!(world.memory("2026-11")["resources"]["rds/orders"]["worst"]["age_seconds"], 0);
}

#[tokio::test]
async fn the_oldest_instant_there_is_overflows_nothing() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.stuck.insert("orders".to_owned());
    world.orders().latest_restorable = Some(Timestamp::MIN);
    world.account.put_automated_backup(AWAY, replica("db-1", Timestamp::MIN));
    let mut early = point("db-1", "2026-11-22T03:00:00Z");
    early.created = Some(Timestamp::MIN);
    early.allocated_gib = i32::MIN;
    world.account.put_snapshot(HOME, early);
    world.tick().await;
    assert_eq!(world.kinds(), ["recovery-point-shrunk", "replication-behind", "rpo-exceeded"]);
}

#[tokio::test]
async fn a_clock_that_goes_back_between_passes_changes_nothing() {
    let mut world = World::large("2026-11-23T04:01:00Z");
    world.tick().await;
    let before = world.board();
    assert_eq!(world.tick_at("2026-11-23T03:59:30Z").await, ["slot-missed"], "nobody looked at snapshots");
    assert_eq!(world.board(), before);
    world.now = at("2026-11-23T04:06:00Z");
    world.ask(Ask::Canary).await.unwrap();
    assert_eq!(world.tick_at("2026-11-23T04:05:58Z").await, ["slot-missed", "canary"]);
    assert_eq!(world.tick_at("2026-11-23T04:11:00Z").await, ["slot-missed"]);
}

#[rstest]
#[case::another_engine(|orders: &mut Instance| "mysql".clone_into(&mut orders.engine))]
#[case::an_unknown_plan(|orders: &mut Instance| _ = orders.tags.insert(tag::PLAN.to_owned(), "defautl".to_owned()))]
#[case::an_empty_plan(|orders: &mut Instance| _ = orders.tags.insert(tag::PLAN.to_owned(), String::new()))]
#[tokio::test]
async fn what_backup_rds_refuses_is_left_to_it(#[case] spoil: fn(&mut Instance)) {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.tick().await;
    spoil(world.orders());
    world.orders().retention_days = 0;
    assert_eq!(world.tick_at("2026-11-22T12:05:00Z").await, Vec::<String>::new());
    assert!(world.memory("2026-11")["resources"]["rds/orders"]["seen_since"].is_string());
}

#[tokio::test]
async fn a_plan_that_is_removed_from_the_document_is_no_loss_of_protection() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.tick().await;
    world.plans = r#"{"plans": {"other": {}}}"#;
    assert_eq!(world.tick_at("2026-11-22T12:05:00Z").await, Vec::<String>::new());
    world.plans = PLAN;
    assert_eq!(world.tick_at("2026-11-22T12:10:00Z").await, Vec::<String>::new());
    assert_eq!(world.memory("2026-11")["resources"]["rds/orders"]["seen_since"], "2026-11-01T12:00:00Z");
}

#[tokio::test]
async fn databases_without_an_id_are_not_taken_for_one_another() {
    let mut world = World::new("2026-11-22T03:00:00Z", [database("orders", ""), database("sales", "")]);
    world.account.put_snapshot(HOME, point("", "2026-11-22T03:00:00Z"));
    world.account.put_snapshot(AWAY, copy(&point("", "2026-11-22T03:00:00Z")));
    world.tick().await;
    world.tick_at("2026-11-22T12:00:00Z").await;
    let board = world.board();
    let found: Vec<_> = board.iter().map(|f| (f.resource.to_string(), f.kind.as_str())).collect();
    assert_eq!(found, [("rds/sales".to_owned(), "slot-missed")]);
}

#[tokio::test]
async fn only_what_tidemark_made_for_a_slot_that_has_come_fills_one() {
    let mut world = World::calm("2026-11-23T04:00:00Z");
    let tonight = point("db-1", "2026-11-23T03:00:00Z");
    let spoilt: [fn(&mut Snapshot); 6] = [
        |point| point.id = "my-own".to_owned(),
        |point| _ = point.tags.remove(tag::RESOURCE),
        |point| _ = point.tags.insert(tag::SLOT.to_owned(), "tonight".to_owned()),
        |point| _ = point.tags.insert(tag::SLOT.to_owned(), "9999-01-01T00:00:00Z".to_owned()),
        |point| "db-9".clone_into(&mut point.incarnation),
        |point| point.copied_from = Some("arn:aws:rds:us-west-2:123456789012:snapshot:x".to_owned()),
    ];
    for spoil in spoilt {
        let mut snapshot = tonight.clone();
        spoil(&mut snapshot);
        world.account.put_snapshot(HOME, snapshot.clone());
        world.tick().await;
        assert_eq!(world.kinds(), ["slot-missed"], "{snapshot:?}");
        world.account.remove_snapshot(HOME, &snapshot.id);
        world.now += minutes(5);
    }
}

#[tokio::test]
async fn a_board_that_cannot_be_read_is_replaced() {
    let mut world = World::calm("2026-11-23T04:00:00Z");
    world.documents().put("findings/watch-rpo.json", "not a board");
    assert_eq!(world.tick_at("2026-11-23T04:00:00Z").await, ["slot-missed"]);
}

#[tokio::test]
async fn every_text_names_the_resource_the_value_and_what_is_allowed() {
    let mut world = World::calm("2026-11-23T12:00:00Z");
    // Everything at once, on as many databases as that needs.
    world.stuck.extend(["orders", "new", "off"].map(str::to_owned));
    world.orders().latest_restorable = Some(at("2026-11-23T11:13:00Z"));
    "storage-full".clone_into(&mut world.orders().status);
    world.orders().retention_days = 3;
    let newest = point("db-1", "2026-11-22T03:00:00Z");
    world.account.put_snapshot(HOME, Snapshot { allocated_gib: 20, ..newest.clone() });
    world.account.remove_snapshot(AWAY, &newest.id);
    world.account.put_automated_backup(AWAY, replica("db-1", at("2026-11-23T10:00:00Z")));
    let mut off = database("off", "db-2");
    off.retention_days = 0;
    "inaccessible-encryption-credentials".clone_into(&mut off.status);
    world.databases.insert("off".to_owned(), off);
    world
        .databases
        .insert("new".to_owned(), Instance { status: "failed".to_owned(), ..database("new", "db-3") });
    let tonight = point("db-1", "2026-11-23T03:00:00Z");
    world.account.put_snapshot(HOME, Snapshot { status: "failed".to_owned(), ..tonight });
    world.databases.insert("sales".to_owned(), database("sales", "db-5"));
    let mut sold = point("db-5", "2026-11-23T03:00:00Z");
    sold.id = sold.id.replace("orders", "sales");
    sold.tags.insert(tag::RESOURCE.to_owned(), "rds/sales".to_owned());
    world.account.put_snapshot(AWAY, Snapshot { status: "failed".to_owned(), ..copy(&sold) });
    world.account.put_snapshot(HOME, sold);
    let mut untagged = database("untagged", "db-4");
    untagged.tags.clear();
    world.databases.insert("untagged".to_owned(), untagged);
    let seen = |since: &str| json!({"seen_since": since, "plan": "default", "worst": null});
    world.remember(&json!({
        "rds/orders": seen("2026-11-01T12:00:00Z"),
        "rds/off": seen("2026-11-01T12:00:00Z"),
        "rds/new": seen("2026-11-23T11:40:00Z"),
        "rds/sales": seen("2026-11-01T12:00:00Z"),
        "rds/gone": seen("2026-11-01T12:00:00Z"),
        "rds/untagged": {"seen_since": "2026-11-01T12:00:00Z", "worst": null},
    }));
    world.ask(Ask::Canary).await.unwrap();
    let board = world.board();
    let kinds: BTreeSet<_> = board.iter().map(|finding| finding.kind.as_str()).collect();
    assert_eq!(kinds.len(), 12, "{kinds:?}");
    let severity = |severity: Severity| severity.as_str();
    let texts: Vec<String> = board
        .iter()
        .map(|f| {
            format!("{} {} since {}\n  {}\n  -> {}\n", severity(f.severity), f.kind, f.since, f.says, f.next)
        })
        .collect();
    insta::assert_snapshot!(texts.join("\n"));
}

#[tokio::test]
async fn a_mistyped_plan_mends_nothing() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.stuck.insert("orders".to_owned());
    world.orders().latest_restorable = Some(at("2026-11-22T11:00:00Z"));
    assert_eq!(world.tick_at("2026-11-22T12:01:00Z").await, ["rpo-exceeded"]);
    world.orders().tags.insert(tag::PLAN.to_owned(), "defualt".to_owned());
    assert_eq!(world.tick_at("2026-11-22T12:02:00Z").await, ["rpo-exceeded"]);
}
