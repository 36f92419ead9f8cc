//! Each finding: when it begins, not a minute before, and when it ends.

use rstest::rstest;

use super::*;

#[tokio::test]
async fn a_calm_world_has_no_findings_and_says_how_old() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    let summary = world.tick().await;
    assert_eq!((world.kinds(), summary.failed.len(), summary.settled), (vec![], 0, 1));
    assert_eq!(summary.findings, Some(0));
    let worst = &world.memory("2026-11")["resources"]["rds/orders"]["worst"];
    assert_eq!(worst["age_seconds"], 120);
}

#[tokio::test]
async fn rpo_exceeded_from_its_minute_until_it_is_well_within() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.tick().await;
    world.stuck.insert("orders".to_owned());
    // Newest restorable: 11:58. It may be 15 minutes old.
    assert_eq!(world.minute_when("rpo-exceeded", true).await, at("2026-11-22T12:14:00Z"));
    let finding = world.finding("rpo-exceeded");
    assert_eq!(finding.since, at("2026-11-22T12:13:00Z"));
    assert_eq!(finding.standing.newest_restorable, Some(at("2026-11-22T11:58:00Z")));
    assert_eq!(finding.standing.rpo_seconds, Some(900));
    let worst = world.memory("2026-11")["resources"]["rds/orders"]["worst"].clone();
    assert_eq!(worst["age_seconds"], 960);
    assert_eq!(worst["newest_restorable"], "2026-11-22T11:58:00Z");

    // Logs are shipped now and then: the age goes up and down around the objective, and the alert stays.
    for (now, newest) in [("12:20", "12:06"), ("12:25", "12:09"), ("12:30", "12:20")] {
        world.orders().latest_restorable = Some(at(&format!("2026-11-22T{newest}:00Z")));
        assert_eq!(world.tick_at(&format!("2026-11-22T{now}:00Z")).await, ["rpo-exceeded"]);
    }
    let says = world.finding("rpo-exceeded").says;
    assert!(says.contains("ends when it is less than 10 minutes old"), "{says}");
    assert_eq!(world.finding("rpo-exceeded").since, at("2026-11-22T12:13:00Z"), "it is still the same");
    world.orders().latest_restorable = Some(at("2026-11-22T12:22:00Z"));
    assert_eq!(world.tick_at("2026-11-22T12:31:00Z").await, Vec::<String>::new());
    world.orders().latest_restorable = Some(at("2026-11-22T12:22:00Z"));
    assert_eq!(world.tick_at("2026-11-22T12:37:00Z").await, Vec::<String>::new(), "it needs to exceed anew");
}

#[tokio::test]
async fn a_new_instance_has_its_objective_long_to_become_restorable() {
    let mut orders = database("orders", "db-1");
    "creating".clone_into(&mut orders.status);
    let mut world = World::new("2026-11-22T12:00:00Z", [orders]);
    assert_eq!(world.minute_when("rpo-exceeded", true).await, at("2026-11-22T12:16:00Z"));
    assert!(world.finding("rpo-exceeded").says.contains("no restorable second yet, 16 minutes after"));
    "available".clone_into(&mut world.orders().status);
    assert_eq!(world.tick_at("2026-11-22T12:17:00Z").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stopped_instance_writes_nothing_that_could_be_lost() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.tick().await;
    for status in ["stopping", "stopped", "stopped", "stopped", "starting"] {
        status.clone_into(&mut world.orders().status);
        for _ in 0..30 {
            world.now += minutes(1);
            world.tick().await;
            assert_eq!(world.kinds(), Vec::<String>::new());
        }
    }
    // Running again since 14:30, and no log comes: what is written from then on is at risk.
    "available".clone_into(&mut world.orders().status);
    world.stuck.insert("orders".to_owned());
    assert_eq!(world.minute_when("rpo-exceeded", true).await, at("2026-11-22T14:46:00Z"));
    assert!(
        world
            .finding("rpo-exceeded")
            .says
            .contains("running again since 2026-11-22T14:30:00Z, 16 minutes ago")
    );
    let worst = &world.memory("2026-11")["resources"]["rds/orders"]["worst"];
    assert_eq!(worst["age_seconds"], 960, "and the hours in which it was stopped are nobody's worst minute");
}

#[tokio::test]
async fn without_automated_backups_the_newest_recovery_point_is_all_there_is() {
    let mut world = World::large("2026-11-22T03:10:00Z");
    world.orders().retention_days = 0;
    world.tick().await;
    assert_eq!(world.kinds(), ["automated-backups-off"]);
    assert_eq!(
        world.finding("automated-backups-off").standing.newest_restorable,
        Some(at("2026-11-22T03:01:00Z"))
    );
    // It is known only in the minutes of a look; in between, what stood stands as it was.
    assert_eq!(world.minute_when("rpo-exceeded", true).await, at("2026-11-22T03:20:00Z"));
    let before = world.board();
    world.now += minutes(1);
    world.tick().await;
    assert_eq!(world.board(), before);
    world.orders().retention_days = 7;
    assert_eq!(world.tick_at("2026-11-22T03:22:00Z").await, Vec::<String>::new());

    let mut few = World::calm("2026-11-22T03:10:00Z");
    few.orders().retention_days = 0;
    assert_eq!(few.minute_when("rpo-exceeded", true).await, at("2026-11-22T03:17:00Z"), "on its minute");
}

#[tokio::test]
async fn retention_shorter_than_the_plan_keeps_daily_recovery_points() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.orders().retention_days = 6;
    world.tick().await;
    assert_eq!(world.kinds(), ["retention-too-short"]);
    world.plans = r#"{"plans": {"default": {"keep": {"daily": 90}}}}"#;
    world.orders().retention_days = 34;
    assert_eq!(world.tick_at("2026-11-22T12:01:00Z").await, ["retention-too-short"]);
    world.orders().retention_days = 35;
    assert_eq!(world.tick_at("2026-11-22T12:02:00Z").await, Vec::<String>::new(), "RDS keeps no more");
}

#[rstest]
#[case("failed", true)]
#[case("restore-error", true)]
#[case("incompatible-network", true)]
#[case("incompatible-parameters", true)]
#[case("inaccessible-encryption-credentials", true)]
#[case("inaccessible-encryption-credentials-recoverable", true)]
#[case("storage-full", true)]
#[case("insufficient-capacity", true)]
#[case("backing-up", false)]
#[case("modifying", false)]
#[case("rebooting", false)]
#[case("upgrading", false)]
#[tokio::test]
async fn a_state_that_does_not_mend_itself(#[case] status: &str, #[case] unhealthy: bool) {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.tick().await;
    status.clone_into(&mut world.orders().status);
    let expected: &[&str] = if unhealthy { &["resource-unhealthy"] } else { &[] };
    assert_eq!(world.tick_at("2026-11-22T12:01:00Z").await, expected);
    "available".clone_into(&mut world.orders().status);
    assert_eq!(world.tick_at("2026-11-22T12:02:00Z").await, Vec::<String>::new());
}

#[rstest]
#[case::on_its_minute(World::calm, "2026-11-23T04:00:00Z")]
#[case::in_the_next_look(World::large, "2026-11-23T04:04:00Z")]
#[tokio::test]
async fn a_slot_for_which_nothing_ever_ran_is_missed_when_its_grace_is_over(
    #[case] world: fn(&str) -> World,
    #[case] seen: &str,
) {
    let mut world = world("2026-11-23T02:59:00Z");
    let due = at("2026-11-23T04:00:00Z");
    assert_eq!(world.minute_when("slot-missed", true).await, at(seen));
    assert_eq!(world.finding("slot-missed").since, due);
    let mut late = point("db-1", "2026-11-23T03:00:00Z");
    "creating".clone_into(&mut late.status);
    world.account.put_snapshot(HOME, late.clone());
    world.now += minutes(5);
    world.tick().await;
    assert_eq!(world.kinds(), ["slot-missed"], "one that is being made may still fail");
    "available".clone_into(&mut late.status);
    world.account.put_snapshot(HOME, late);
    world.now += minutes(5);
    world.tick().await;
    assert_eq!(world.kinds(), Vec::<String>::new());
}

#[rstest]
#[case::an_event(event())]
#[case::the_canary(Ask::Canary)]
#[tokio::test]
async fn an_event_and_the_canary_look_at_snapshots_at_once(#[case] ask: Ask) {
    let mut world = World::large("2026-11-23T03:59:00Z");
    assert_eq!(world.cost(ask.clone()).await, 4);
    world.now = at("2026-11-23T04:00:00Z");
    assert_eq!(world.cost(ask).await, 4);
    assert!(world.kinds().contains(&"slot-missed".to_owned()), "on its minute");
}

#[tokio::test]
async fn a_newly_tagged_database_is_not_blamed_for_last_nights_slot() {
    let mut world = World::new("2026-11-22T12:00:00Z", [database("orders", "db-1")]);
    let due = at("2026-11-22T13:00:00Z");
    assert_eq!(world.minute_when("slot-missed", true).await, due);
    assert_eq!(world.finding("slot-missed").since, due);
    assert!(world.finding("slot-missed").says.contains("no completed one at all"));
}

#[tokio::test]
async fn another_database_under_the_same_name_has_its_own_recovery_points_and_graces() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.tick().await;
    world.orders().incarnation = "db-2".to_owned();
    world.now += minutes(10);
    world.tick().await;
    assert_eq!(world.kinds(), Vec::<String>::new());
    assert_eq!(world.minute_when("slot-missed", true).await, at("2026-11-22T13:10:00Z"));
}

#[tokio::test]
async fn a_renamed_database_keeps_its_recovery_points() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.drop("orders");
    world.databases.insert("sales".to_owned(), database("sales", "db-1"));
    world.tick().await;
    world.now += minutes(120);
    world.tick().await;
    assert_eq!(world.kinds(), ["protection-lost"], "orders is gone, and sales has missed nothing");
}

#[rstest]
#[case::on_its_minute(World::calm, "2026-11-22T09:00:00Z")]
#[case::in_the_next_look(World::large, "2026-11-22T09:03:00Z")]
#[tokio::test]
async fn a_copy_that_is_missing_then_behind_then_there(#[case] world: fn(&str) -> World, #[case] seen: &str) {
    let mut world = world("2026-11-22T08:58:00Z");
    let point = point("db-1", "2026-11-22T03:00:00Z");
    world.account.remove_snapshot(AWAY, &point.id);
    let due = at("2026-11-22T09:00:00Z");
    assert_eq!(world.minute_when("copy-missing", true).await, at(seen));
    assert_eq!(world.finding("copy-missing").since, due);
    for (status, kinds) in [
        ("creating", vec!["copy-behind"]),
        ("failed", vec!["copy-failed", "copy-missing"]),
        ("available", vec![]),
    ] {
        world.account.put_snapshot(AWAY, Snapshot { status: status.to_owned(), ..copy(&point) });
        world.now += minutes(5);
        world.tick().await;
        assert_eq!(world.kinds(), kinds, "{status}");
    }
}

#[tokio::test]
async fn a_copy_is_known_by_its_name_where_its_database_is_not_told() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    for day in ["2026-11-20", "2026-11-21", "2026-11-22"] {
        let there = copy(&point("db-1", &format!("{day}T03:00:00Z")));
        world.account.put_snapshot(AWAY, Snapshot { incarnation: String::new(), ..there });
    }
    world.tick().await;
    assert_eq!(world.kinds(), Vec::<String>::new());
    // The third attempt at a copy bears a longer name, and another database's copy is no copy of this one.
    let newest = point("db-1", "2026-11-22T03:00:00Z");
    world.account.remove_snapshot(AWAY, &newest.id);
    world.account.put_snapshot(AWAY, copy(&point("db-2", "2026-11-22T03:00:00Z")));
    assert_eq!(world.tick_at("2026-11-22T12:05:00Z").await, ["copy-missing"]);
    let third = Snapshot { id: format!("{}-copy-3", newest.id), incarnation: String::new(), ..copy(&newest) };
    world.account.put_snapshot(AWAY, third);
    assert_eq!(world.tick_at("2026-11-22T12:10:00Z").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_recovery_point_less_than_half_of_those_before_is_suspect() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    let newest = point("db-1", "2026-11-22T03:00:00Z");
    world.account.put_snapshot(HOME, Snapshot { allocated_gib: 50, ..newest.clone() });
    world.tick().await;
    assert_eq!(world.kinds(), Vec::<String>::new(), "half is not less than half");
    world.account.put_snapshot(HOME, Snapshot { allocated_gib: 49, ..newest });
    assert_eq!(world.tick_at("2026-11-22T12:05:00Z").await, ["recovery-point-shrunk"]);
    world.account.remove_snapshot(HOME, &point("db-1", "2026-11-20T03:00:00Z").id);
    assert_eq!(
        world.tick_at("2026-11-22T12:10:00Z").await,
        Vec::<String>::new(),
        "one before it tells nothing"
    );
}

#[tokio::test]
async fn replicated_backups_that_lag() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.account.put_automated_backup(AWAY, replica("db-1", at("2026-11-22T11:00:00Z")));
    assert_eq!(world.tick_at("2026-11-22T12:00:00Z").await, Vec::<String>::new());
    assert_eq!(world.tick_at("2026-11-22T12:05:00Z").await, ["replication-behind"]);
    assert_eq!(world.finding("replication-behind").since, at("2026-11-22T12:00:00Z"));
    let retained =
        AutomatedBackup { status: "retained".to_owned(), ..replica("db-1", at("2026-11-22T11:00:00Z")) };
    world.account.put_automated_backup(AWAY, retained);
    assert_eq!(world.tick_at("2026-11-22T12:10:00Z").await, Vec::<String>::new(), "replication was ended");
    world.account.put_automated_backup(AWAY, replica("db-9", at("2026-11-22T01:00:00Z")));
    assert_eq!(world.tick_at("2026-11-22T12:15:00Z").await, Vec::<String>::new(), "nobody's");
}

#[rstest]
#[case::gone(None, "now there is no such instance")]
#[case::untagged(Some(Tags::new()), "now the instance has no tag tidemark:plan")]
#[case::not_to_be(Some([(tag::PLAN.to_owned(), "none".to_owned())].into()), "now the instance has the tag tidemark:plan=none")]
#[tokio::test]
async fn a_database_that_is_protected_no_more_is_told_for_a_day(
    #[case] tags: Option<Tags>,
    #[case] says: &str,
) {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.tick().await;
    match tags {
        None => world.drop("orders"),
        Some(tags) => world.orders().tags = tags,
    }
    assert_eq!(world.tick_at("2026-11-22T12:01:00Z").await, ["protection-lost"]);
    let finding = world.finding("protection-lost");
    assert_eq!(finding.since, at("2026-11-22T12:01:00Z"));
    assert_eq!(finding.standing.plan.as_deref(), Some("default"));
    assert!(finding.says.contains(says), "{}", finding.says);
    assert_eq!(world.tick_at("2026-11-23T12:00:00Z").await, ["protection-lost"]);
    assert_eq!(world.tick_at("2026-11-23T12:01:00Z").await, ["protection-lost"]);
    assert_eq!(world.tick_at("2026-11-23T12:02:00Z").await, Vec::<String>::new());
    assert_eq!(world.memory("2026-11")["resources"]["rds/orders"]["seen_since"], Value::Null);
    assert_eq!(
        world.tick_at("2026-11-23T12:03:00Z").await,
        Vec::<String>::new(),
        "and it does not come back"
    );
}

#[tokio::test]
async fn a_name_that_reappears_ends_its_loss_and_begins_its_graces() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.tick().await;
    world.drop("orders");
    assert_eq!(world.tick_at("2026-11-22T12:01:00Z").await, ["protection-lost"]);
    world.databases.insert("orders".to_owned(), database("orders", "db-1"));
    assert_eq!(world.tick_at("2026-11-23T11:00:00Z").await, Vec::<String>::new(), "not blamed for 03:00");
    assert_eq!(world.memory("2026-11")["resources"]["rds/orders"]["seen_since"], "2026-11-23T11:00:00Z");
    assert_eq!(world.tick_at("2026-11-23T12:00:00Z").await, ["slot-missed"]);
}

#[tokio::test]
async fn a_canary_lives_for_five_minutes() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.ask(Ask::Canary).await.unwrap();
    assert_eq!(world.kinds(), ["canary"]);
    assert_eq!(world.finding("canary").resource.to_string(), "tidemark/canary");
    assert_eq!(world.tick_at("2026-11-22T12:04:00Z").await, ["canary"]);
    assert_eq!(world.tick_at("2026-11-22T12:05:00Z").await, Vec::<String>::new());
}
