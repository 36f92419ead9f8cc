//! What a person's restore lost.

use heartbeat::{
    Keys, Row,
    postgres::{IS_THERE, read_json},
};
use postgres::checks::fake::text;

use super::*;
use crate::measure;

const RESTORE: &str = "restore-orders-2-20261122t095800z";
/// When it was asked for.
const ASKED: &str = "2026-11-22T09:58:00Z";

/// The rows of a writer that wrote each minute until then.
async fn rows(resource: &str, until: &str) -> Vec<Row> {
    let keys = Keys::parse(&FakeSecrets.text("").await.unwrap()).unwrap();
    let resource = ResourceId::try_from(resource.to_owned()).unwrap();
    let mut rows: Vec<Row> = Vec::new();
    for minute in (1..=5).rev() {
        let now = at(until) - SignedDuration::from_mins(minute - 1);
        let next = heartbeat::next(&resource, &rows, now, &keys).unwrap();
        rows.push(Row::from(&next.heartbeat));
    }
    rows
}

fn database(rows: &[Row]) -> FakeDatabase {
    let fields: Vec<_> = rows.iter().map(Row::fields).collect();
    let read = text(json!(fields).to_string());
    let answers = [(IS_THERE.to_owned(), Ok(text("t"))), (read_json(measure::HEARTBEATS), Ok(read))];
    FakeDatabase { answers: answers.into(), ..FakeDatabase::default() }
}

/// A person had `rds/orders` restored under that name, to that instant.
fn restored(name: &str, to: &str) -> World {
    let mut world = World::new();
    world.heartbeat_secret = Some("tidemark/heartbeat-keys".to_owned());
    world.plans = PlanDocument::parse(
        r#"{"plans": {"default": {"heartbeats": {"rds/orders": "tidemark/heartbeat-orders"}}}}"#,
    )
    .unwrap();
    let tags = [(tag::RESTORE, RESTORE), (tag::RESOURCE, "rds/orders"), (tag::SECRET, "tidemark/orders")];
    let instance = Instance {
        tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        endpoint: Some(Endpoint { host: "restored".to_owned(), port: 5432 }),
        ..Instance::fake(HOME, name, "db-restored")
    };
    world.account.put_instance(HOME, instance);
    let detail = json!({
        "instance": name, "to": to, "duration_ms": 100_000,
        "phases": {"requested": ASKED, "available": "2026-11-22T09:59:00Z"},
    });
    let entry = Entry {
        day: at(ASKED).to_zoned(TimeZone::UTC).date(),
        at: at("2026-11-22T10:00:00Z"),
        function: "restore-database",
        kind: "restore-completed",
        resource: ResourceId::rds("orders"),
        subject: RESTORE.to_owned(),
        region: HOME.to_owned(),
        outcome: Outcome::Completed,
        detail: detail.as_object().cloned().unwrap_or_else(Map::new),
    };
    world.ledger.append(&entry).now_or_never().unwrap().unwrap();
    world
}

impl World {
    fn measured(&self) -> Vec<Value> {
        self.ledger.entries().into_values().filter(|entry| entry["kind"] == "restore-measured").collect()
    }

    fn unsound(&self) -> Vec<Finding> {
        self.findings().into_iter().filter(|finding| finding.kind == "restore-unsound").collect()
    }
}

#[tokio::test]
async fn what_a_persons_restore_lost_is_measured_once() {
    let mut world = restored("orders-2", "2026-11-22T09:50:00Z");
    world.server.put("postgres", database(&rows("rds/orders", "2026-11-22T09:49:30Z").await));
    world.tick().await;
    let [entry] = &world.measured()[..] else { panic!("{:?}", world.measured()) };
    assert_eq!(entry["loss"], json!({"is_measured": true, "at_least_ms": 0, "at_most_ms": 30_000}));
    assert_eq!(entry["evidence"]["heartbeats"]["newest_intact"]["number"], 5, "{entry}");
    assert_eq!((&entry["restored_as"], &entry["outcome"]), (&json!("orders-2"), &json!("completed")));
    let opened = world.server.opened();
    world.tick().await;
    assert_eq!((world.measured().len(), world.server.opened()), (1, opened));
    assert_eq!(world.unsound(), []);
    // It is a person's, and stays.
    assert_eq!(world.restored().len(), 1);
}

#[tokio::test]
async fn a_restore_that_brought_back_something_unsound_is_told() {
    let mut world = restored("orders-2", "2026-11-22T09:50:00Z");
    let mut forged = rows("rds/orders", "2026-11-22T09:49:30Z").await;
    forged[3].at_ms = "1795340900000".to_owned();
    world.server.put("postgres", database(&forged));
    world.tick().await;
    let [entry] = &world.measured()[..] else { panic!("{:?}", world.measured()) };
    assert_eq!(entry["outcome"]["failed"], "HeartbeatsNotIntact");
    assert!(entry["first_failure"].as_str().unwrap().contains("row 4"), "{entry}");
    world.tick().await;
    let [told] = &world.unsound()[..] else { panic!("{:?}", world.findings()) };
    assert_eq!(
        (told.code.as_deref(), told.severity),
        (Some("HeartbeatsNotIntact"), domain::Severity::Critical)
    );
    world.now += SignedDuration::from_hours(48);
    world.tick().await;
    assert_eq!(world.unsound(), []);
}

#[tokio::test]
async fn without_heartbeats_the_loss_is_an_estimate_and_says_so() {
    let mut world = restored("orders-2", "2026-11-22T09:50:00Z");
    let none =
        FakeDatabase { answers: [(IS_THERE.to_owned(), Ok(text("f")))].into(), ..FakeDatabase::default() };
    world.server.put("postgres", none);
    world.tick().await;
    let [entry] = &world.measured()[..] else { panic!("{:?}", world.measured()) };
    let loss = &entry["evidence"]["loss"];
    assert_eq!(
        (&loss["known"], &loss["because"], &loss["how"]),
        (&json!("estimated"), &json!("no-heartbeats"), &json!("restored-to"))
    );
}

/// Its network may not let run-drill in: for an hour it is tried.
#[tokio::test]
async fn what_cannot_be_reached_is_tried_for_an_hour() {
    let mut world = restored("orders-2", "2026-11-22T09:50:00Z");
    world.server.put("postgres", database(&rows("rds/orders", "2026-11-22T09:49:30Z").await));
    let away = || Error::retryable("DatabaseNotReached", "nobody answers");
    world.server.refuse_next(away());
    world.tick().await;
    assert_eq!(world.measured(), Vec::<Value>::new());
    world.now += SignedDuration::from_hours(1);
    world.server.refuse_next(away());
    world.tick().await;
    let [entry] = &world.measured()[..] else { panic!("{:?}", world.measured()) };
    assert_eq!(entry["evidence"]["loss"]["because"], "not-read");
    assert!(entry["not_read"].as_str().unwrap().contains("nobody answers"), "{entry}");
}

/// Under the name of its source it gets heartbeats again, within a minute.
#[tokio::test]
async fn what_took_the_place_of_its_source_is_judged_by_what_was_there_before() {
    let mut world = restored("orders", "latest");
    let keys = Keys::parse(&FakeSecrets.text("").await.unwrap()).unwrap();
    let mut there = rows("rds/orders", "2026-11-22T09:56:30Z").await;
    let since =
        heartbeat::next(&ResourceId::rds("orders"), &there, at("2026-11-22T09:59:30Z"), &keys).unwrap();
    there.push(Row::from(&since.heartbeat));
    world.server.put("postgres", database(&there));
    world.tick().await;
    let [entry] = &world.measured()[..] else { panic!("{:?}", world.measured()) };
    assert_eq!(
        (&entry["outcome"], &entry["loss"]["at_most_ms"]),
        (&json!("completed"), &json!(90_000)),
        "{entry}"
    );
}

/// A name may be given again.
#[tokio::test]
async fn what_bears_the_name_and_is_of_another_restore_is_not_judged() {
    let mut world = restored("orders-2", "2026-11-22T09:50:00Z");
    world.server.put("postgres", database(&rows("rds/orders", "2026-11-22T09:49:30Z").await));
    let mut other = Instance::fake(HOME, "orders-2", "db-other");
    other.tags.insert(tag::RESTORE.to_owned(), "restore-orders-2-20261122t095959z".to_owned());
    world.account.put_instance(HOME, other);
    world.tick().await;
    let [entry] = &world.measured()[..] else { panic!("{:?}", world.measured()) };
    assert!(entry["not_read"].as_str().unwrap().contains("is gone"), "{entry}");
}

#[tokio::test]
async fn where_no_plan_names_heartbeats_nothing_is_asked() {
    let mut world = restored("orders-2", "2026-11-22T09:50:00Z");
    world.plans = PlanDocument::parse(PLANS).unwrap();
    world.tick().await;
    assert_eq!(world.measured(), Vec::<Value>::new());
    assert_eq!(world.server.opened(), 0);
}
