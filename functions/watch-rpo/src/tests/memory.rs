//! What is remembered, over months and mishaps.

use domain::DayOfAges;

use super::*;

fn orders(memory: &Value) -> Value {
    memory["resources"]["rds/orders"].clone()
}

#[tokio::test]
async fn a_new_month_carries_who_is_protected_and_starts_a_new_worst() {
    let mut world = World::calm("2026-11-30T23:50:00Z");
    world.stuck.insert("orders".to_owned());
    world.orders().latest_restorable = Some(at("2026-11-30T23:00:00Z"));
    world.databases.insert("gone".to_owned(), database("gone", "db-9"));
    world.tick().await;
    world.drop("gone");
    world.tick().await;
    world.stuck.clear();
    let november = world.memory("2026-11");
    assert_eq!(orders(&november)["worst"]["age_seconds"], 3_000);

    world.tick_at("2026-12-01T00:00:00Z").await;
    let december = world.memory("2026-12");
    assert_eq!(december["month"], "2026-12");
    assert_eq!(orders(&december)["seen_since"], "2026-11-01T12:00:00Z");
    assert_eq!(orders(&december)["worst"]["age_seconds"], 120);
    assert!(december["resources"]["rds/gone"]["seen_since"].is_string(), "its loss is still told");
    assert_eq!(world.memory("2026-11"), november, "the month that is over is left as it was");
    assert!(world.kinds().contains(&"protection-lost".to_owned()), "{:?}", world.kinds());
}

#[tokio::test]
async fn the_worst_minute_is_never_replaced_by_a_better_one() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.stuck.insert("orders".to_owned());
    let mut worst = 0;
    for age in [3, 9, 4, 14, 2, 13] {
        world.now += minutes(1);
        world.orders().latest_restorable = Some(world.now - minutes(age));
        world.tick().await;
        worst = worst.max(age * 60);
        assert_eq!(orders(&world.memory("2026-11"))["worst"]["age_seconds"], worst);
    }
}

#[tokio::test]
async fn it_is_written_only_when_something_changed() {
    let mut world = World::large("2026-11-22T12:00:00Z");
    world.tick().await;
    let before = world.memory("2026-11");
    for _ in 0..4 {
        world.now += minutes(1);
        assert_eq!(written(&world.tick().await), ["watch/ages/2026-11-22.json"]);
    }
    assert_eq!(world.memory("2026-11"), before);
    world.now += minutes(1);
    let summary = world.tick().await;
    assert_eq!(
        written(&summary),
        ["watch/ages/2026-11-22.json", "watch/2026-11.json"],
        "that it looked at snapshots"
    );
}

fn written(summary: &Summary) -> Vec<&str> {
    summary.acted.iter().filter_map(|acted| acted.detail["document"].as_str()).collect()
}

fn ages(world: &World, day: &str) -> DayOfAges {
    let text = world.documents().text(&format!("watch/ages/{day}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test]
async fn each_day_has_the_worst_of_each_hour() {
    let mut world = World::calm("2026-11-22T22:58:00Z");
    world.stuck.insert("orders".to_owned());
    for age in [3, 9, 4, 12, 2] {
        world.now += minutes(1);
        world.orders().latest_restorable = Some(world.now - minutes(age));
        world.tick().await;
    }
    let of = ages(&world, "2026-11-22").resources[&"rds/orders".to_owned().try_into().unwrap()].clone();
    assert_eq!(of.hours, [(22, 180), (23, 720)].into());
    assert_eq!((of.worst.age_seconds, of.worst.at), (720, at("2026-11-22T23:02:00Z")));
    assert_eq!((of.last.age_seconds, of.last.at), (120, at("2026-11-22T23:03:00Z")));
    world.tick_at("2026-11-23T00:00:00Z").await;
    assert_eq!(ages(&world, "2026-11-23").resources.len(), 1, "a new day begins anew");
    assert_eq!(ages(&world, "2026-11-22").resources.len(), 1, "and the old one stays");
}

#[tokio::test]
async fn a_day_of_ages_that_cannot_be_read_is_replaced() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    for text in [
        "",
        "[]",
        r#"{"day": "2026-11-21", "resources": {}}"#,
        r#"{"day": "2026-11-22", "resources": {"x": 1}}"#,
    ] {
        world.documents().put("watch/ages/2026-11-22.json", text);
        let summary = world.tick().await;
        assert!(summary.failed.is_empty(), "{text}: {:?}", summary.failed);
        let ages = ages(&world, "2026-11-22");
        assert_eq!((ages.day.to_string().as_str(), ages.resources.len()), ("2026-11-22", 1), "{text}");
    }
}

#[tokio::test]
async fn one_that_cannot_be_read_is_replaced() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    for text in ["", "{", "[]", r#"{"month": 7}"#, r#"{"month": "2026-11", "resources": {"nonsense": {}}}"#] {
        world.documents().put("watch/2026-11.json", text);
        let summary = world.tick().await;
        assert!(summary.failed.is_empty(), "{text}: {:?}", summary.failed);
        assert_eq!(orders(&world.memory("2026-11"))["seen_since"], "2026-11-22T12:00:00Z", "{text}");
    }
}

#[tokio::test]
async fn one_that_lacks_what_was_added_later_is_understood() {
    let mut world = World::calm("2026-11-22T12:00:00Z");
    world.remember(&json!({"rds/orders": {"seen_since": "2026-11-01T12:00:00Z", "worst": null}}));
    world.tick().await;
    let memory = orders(&world.memory("2026-11"));
    assert_eq!((&memory["seen_since"], &memory["plan"]), (&json!("2026-11-01T12:00:00Z"), &json!("default")));
}

#[tokio::test]
async fn instants_that_cannot_have_been_keep_nothing_away() {
    let mut world = World::calm("2026-11-23T04:00:00Z");
    let never = "9999-12-30T00:00:00Z";
    let memory = json!({"month": "2026-11", "look_minutes": 5, "snapshots_seen_at": never, "resources": {
        "rds/orders": {"seen_since": never, "idle_until": never, "incarnation": "db-1", "worst": null},
    }});
    world.documents().put("watch/2026-11.json", &memory.to_string());
    assert_eq!(world.cost(Ask::Watch(Wake::Tick)).await, 4, "snapshots are looked at");
    assert_eq!(orders(&world.memory("2026-11"))["seen_since"], "2026-11-23T04:00:00Z");
    world.stuck.insert("orders".to_owned());
    assert!(world.minute_when("rpo-exceeded", true).await < at("2026-11-23T04:20:00Z"));
    assert!(world.minute_when("slot-missed", true).await < at("2026-11-23T05:05:00Z"));
}
