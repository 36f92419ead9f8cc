//! The function over an account in memory.

use std::{cell::Cell, time::Duration};

use jiff::Timestamp;
use postgres::{Postgres, Server};
use rds::{
    AutomatedBackup, Endpoint, FakeAccount, FakeRds, Instance, PitrWindow, Rds, Snapshot, SnapshotKind, Tags,
};
use reconcile::{Budget, Deadline, Error, Reconciler, Request, Result, Summary, run};
use rstest::rstest;
use secrets::{Credentials, Secrets};
use serde_json::{Value, json};
use vault::FakeLedger;

use super::RdsRestores;
use crate::{fixture, request::Ask};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

/// Credentials for every secret, and a server that answers once it is told to.
#[derive(Clone, Default)]
pub(crate) struct FakeDatabase {
    pub(crate) answers: std::rc::Rc<Cell<bool>>,
    unreachable: std::rc::Rc<Cell<bool>>,
}

impl Secrets for FakeDatabase {
    async fn credentials(&self, _secret: &str) -> Result<Credentials> {
        Ok(Credentials { username: "tidemark".to_owned(), password: "secret".into() })
    }
}

impl Postgres for FakeDatabase {
    async fn first_query(&self, server: &Server, _credentials: &Credentials) -> Result<()> {
        if self.unreachable.get() {
            return Err(Error::retryable("DatabaseNotReached", "no answer"));
        }
        let starting = || Error::retryable("57P03", format!("{} is starting up", server.host));
        self.answers.get().then_some(()).ok_or_else(starting)
    }
}

pub(crate) type Function = fixture::Function<
    RdsRestores<FakeRds, FakeLedger, FakeDatabase, FakeDatabase>,
    fixture::Redis,
    fixture::Turso,
>;

pub(crate) struct World {
    pub(crate) account: FakeAccount,
    pub(crate) ledger: FakeLedger,
    pub(crate) database: FakeDatabase,
    pub(crate) now: Timestamp,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn orders() -> Instance {
    Instance {
        class: "db.m7g.large".to_owned(),
        allocated_gib: 100,
        latest_restorable: Some(at("2026-11-22T11:56:00Z")),
        retention_days: 7,
        endpoint: Some(Endpoint { host: "orders.example".to_owned(), port: 5432 }),
        subnet_group: Some("private".to_owned()),
        security_groups: vec!["sg-1".to_owned(), "sg-2".to_owned()],
        parameter_group: Some("orders-pg18".to_owned()),
        option_group: Some("default:postgres-18".to_owned()),
        multi_az: true,
        database: Some("shop".to_owned()),
        tags: Tags::from([
            ("tidemark:plan".to_owned(), "default".to_owned()),
            ("tidemark:secret".to_owned(), "tidemark/orders".to_owned()),
        ]),
        ..Instance::fake(HOME, "orders", "db-ORDERS")
    }
}

fn automated_backup(source_region: &str) -> AutomatedBackup {
    AutomatedBackup {
        arn: format!("arn:aws:rds:{source_region}:123456789012:auto-backup:ab-1"),
        instance: "orders".to_owned(),
        incarnation: "db-ORDERS".to_owned(),
        status: "active".to_owned(),
        source_region: source_region.to_owned(),
        window: Some(PitrWindow { earliest: at("2026-11-15T03:04:00Z"), latest: at("2026-11-22T11:51:00Z") }),
    }
}

pub(crate) fn snapshot(id: &str, status: &str) -> Snapshot {
    Snapshot {
        id: id.to_owned(),
        arn: format!("arn:aws:rds:{HOME}:123456789012:snapshot:{id}"),
        instance: "orders".to_owned(),
        incarnation: "db-ORDERS".to_owned(),
        kind: SnapshotKind::Manual,
        status: status.to_owned(),
        percent: 40,
        allocated_gib: 100,
        created: Some(at("2026-11-22T03:00:20Z")),
        encrypted: true,
        kms_key: None,
        copied_from: None,
        tags: Tags::from([("tidemark:resource".to_owned(), "rds/orders".to_owned())]),
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            account: FakeAccount::default(),
            ledger: FakeLedger::default(),
            database: FakeDatabase::default(),
            now: at("2026-11-22T12:00:00Z"),
        };
        world.account.put_instance(HOME, orders());
        world.account.put_automated_backup(HOME, automated_backup(HOME));
        world.account.put_snapshot(HOME, snapshot("tidemark-orders-20261122t0300z-abcdef", "available"));
        world.account.put_snapshot(AWAY, snapshot("tidemark-orders-20261122t0300z-abcdef", "available"));
        world
    }

    pub(crate) fn function(&self) -> Function {
        let rds = RdsRestores {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            ledger: self.ledger.clone(),
            secrets: self.database.clone(),
            postgres: self.database.clone(),
        };
        fixture::function(rds, None, None, &self.ledger)
    }

    async fn pass(&self, payload: Value) -> Result<Summary> {
        let deadline = Deadline::after(Duration::from_mins(5));
        run(
            &self.function(),
            &self.ledger.journal(),
            Ask::parse(payload)?,
            self.now,
            deadline,
            Budget::default(),
        )
        .await
    }

    async fn ask(&self, payload: Value) -> Result<Value> {
        let mut summary = self.pass(payload).await?;
        match summary.take_error() {
            Some(error) => Err(error),
            None => Ok(Function::answer(summary)),
        }
    }

    async fn tick(&self) -> Summary {
        self.pass(json!({"wake": "tick"})).await.unwrap()
    }

    pub(crate) async fn instance(&self, region: &str, id: &str) -> Instance {
        self.account.region(region).instance(id).await.unwrap().unwrap()
    }

    pub(crate) async fn give_endpoint(&self, id: &str) {
        self.give_endpoint_in(HOME, id).await;
    }

    /// RDS gives an instance its endpoint when it has made it.
    async fn give_endpoint_in(&self, region: &str, id: &str) {
        let mut made = self.instance(region, id).await;
        made.endpoint = Some(Endpoint { host: "restored.example".to_owned(), port: 5432 });
        self.account.put_instance(region, made);
    }

    fn changes(&self) -> usize {
        self.account.calls().iter().filter(|call| call.ends_with(" Restore")).count()
    }

    fn later(&mut self, minutes: u64) {
        self.now += Duration::from_mins(minutes);
        self.account.finish();
    }
}

fn to(to: &str) -> Value {
    json!({"resource": "orders", "to": to, "as": "orders-restored"})
}

#[tokio::test]
async fn a_restore_from_request_to_first_query() {
    let mut world = World::new();
    let answer = world.ask(to("2026-11-22T11:50:00Z")).await.unwrap();
    insta::with_settings!({filters => vec![(r#""accepted_ms": \d+"#, r#""accepted_ms": 0"#)]}, {
        insta::assert_json_snapshot!("answer", answer);
    });
    assert_eq!(world.tick().await.waiting.len(), 1, "it is being created");

    // RDS says available before the server accepts connections: the tick tries again.
    world.later(12);
    world.give_endpoint("orders-restored").await;
    assert_eq!(world.tick().await.unfinished, 1);
    world.later(2);
    world.database.answers.set(true);
    assert_eq!(world.tick().await.unfinished, 0);

    let entries = world.ledger.entries();
    let completed = entries.values().find(|entry| entry["kind"] == "restore-completed").unwrap();
    insta::with_settings!({filters => vec![(r":00\.\d+Z", ":00Z"), (r#"_ms": (\d+)\d{3}\b"#, r#"_ms": "${1}000""#)]}, {
        insta::assert_json_snapshot!("completed", completed);
    });
    assert_eq!(world.tick().await.settled, 1, "it is over, and stays so");
    assert_eq!(world.changes(), 1);
}

#[tokio::test]
async fn the_source_s_settings_are_kept_and_its_plan_is_not() {
    let world = World::new();
    world.ask(to("latest")).await.unwrap();
    let made = world.instance(HOME, "orders-restored").await;
    let source = orders();
    assert_eq!(made.subnet_group, source.subnet_group);
    assert_eq!(made.security_groups, source.security_groups);
    assert_eq!(made.parameter_group, source.parameter_group);
    assert_eq!(made.option_group, source.option_group);
    assert_eq!((made.class, made.multi_az), (source.class, true));
    assert!(!made.tags.contains_key("tidemark:plan"));
    assert_eq!(made.tags["tidemark:secret"], "tidemark/orders");
}

#[tokio::test]
async fn a_request_overrides_them() {
    let world = World::new();
    let mut payload = to("latest");
    payload["security_groups"] = json!(["sg-staging"]);
    payload["parameter_group"] = json!("staging");
    payload["multi_az"] = json!(false);
    world.ask(payload).await.unwrap();
    let made = world.instance(HOME, "orders-restored").await;
    assert_eq!((made.security_groups, made.multi_az), (vec!["sg-staging".to_owned()], false));
    assert_eq!(
        (made.parameter_group.as_deref(), made.subnet_group.as_deref()),
        (Some("staging"), Some("private"))
    );
}

#[tokio::test]
async fn in_the_other_region_the_copy_is_restored_without_the_home_s_groups() {
    let world = World::new();
    let mut payload = to("tidemark-orders-20261122t0300z-abcdef");
    payload["region"] = json!(AWAY);
    let answer = world.ask(payload).await.unwrap();
    assert!(answer["notes"][0].as_str().unwrap().contains("do not exist"), "{answer}");
    let made = world.instance(AWAY, "orders-restored").await;
    assert_eq!((made.subnet_group, made.security_groups), (None, vec![]));
}

#[tokio::test]
async fn the_other_region_restores_when_the_home_region_does_not_answer() {
    let world = World::new();
    world.account.refuse_next(
        "us-east-1 DescribeDBInstances",
        Error::retryable("ServiceUnavailable", "us-east-1 is down"),
    );
    let mut payload = to("tidemark-orders-20261122t0300z-abcdef");
    payload["region"] = json!(AWAY);
    let outcome = world.ask(payload).await.unwrap();
    assert_eq!(outcome["region"], AWAY);
}

#[tokio::test]
async fn a_deleted_instance_is_restored_from_its_retained_backups() {
    let world = World::new();
    world.account.remove_instance(HOME, "orders");
    let answer = world.ask(to("2026-11-22T11:50:00Z")).await.unwrap();
    assert!(answer["notes"][0].as_str().unwrap().contains("is gone"), "{answer}");
}

#[rstest]
#[case::future("2026-11-23T00:00:00Z", "OutsidePitrWindow")]
#[case::not_yet_shipped("2026-11-22T11:59:00Z", "OutsidePitrWindow")]
#[case::too_old("2026-11-01T00:00:00Z", "OutsidePitrWindow")]
#[case::no_such_recovery_point("tidemark-orders-20250101t0300z-abcdef", "RecoveryPointUnknown")]
#[tokio::test]
async fn refusals_name_what_is_possible_and_change_nothing(#[case] target: &str, #[case] code: &str) {
    let world = World::new();
    let error = world.ask(to(target)).await.unwrap_err();
    assert_eq!(error.code(), code);
    insta::assert_snapshot!(format!("refusal of {target}").replace([':', ' '], "-"), error.report());
    assert_eq!((world.changes(), world.ledger.entries().len()), (0, 0));
}

#[tokio::test]
async fn an_unknown_resource_region_or_taken_name_is_refused() {
    let world = World::new();
    let unknown = json!({"resource": "ordres", "to": "latest", "as": "x"});
    assert_eq!(world.ask(unknown).await.unwrap_err().code(), "ResourceUnknown");
    let mut elsewhere = to("latest");
    elsewhere["region"] = json!("eu-west-1");
    assert_eq!(world.ask(elsewhere).await.unwrap_err().code(), "RegionUnknown");
    let over_itself = json!({"resource": "orders", "to": "latest", "as": "orders"});
    assert_eq!(world.ask(over_itself).await.unwrap_err().code(), "NameTaken");
    world.account.put_snapshot(HOME, snapshot("tidemark-orders-new", "creating"));
    assert_eq!(world.ask(to("tidemark-orders-new")).await.unwrap_err().code(), "RecoveryPointNotReady");
    assert_eq!(world.changes(), 0);
}

#[tokio::test]
async fn asked_again_after_a_lost_answer_it_is_the_same_restore() {
    let mut world = World::new();
    world.account.lose_answer_of_next("Restore");
    world.ask(to("2026-11-22T11:50:00Z")).await.unwrap_err();
    world.now += Duration::from_secs(20);
    // The source is judged no more: that second may have left its window, and what is being made does not need it.
    let mut backup = automated_backup(HOME);
    backup.window =
        Some(PitrWindow { earliest: at("2026-11-22T11:55:00Z"), latest: at("2026-11-22T11:56:00Z") });
    world.account.put_automated_backup(HOME, backup);
    let answer = world.ask(to("2026-11-22T11:50:00Z")).await.unwrap();
    assert_eq!(answer["restore_id"], "restore-orders-restored-20261122t120000z", "the first request's id");
    assert_eq!((answer["status"].as_str(), world.changes()), (Some("creating"), 1));
    let entries = world.ledger.entries();
    let requested = entries.values().find(|entry| entry["kind"] == "restore-requested").unwrap();
    assert_eq!(requested["requested_at"], "2026-11-22T12:00:00Z");
    let other = world.ask(to("2026-11-22T11:49:00Z")).await.unwrap_err();
    assert_eq!(other.code(), "NameTaken");
}

#[tokio::test]
async fn a_restore_whose_function_was_killed_is_followed_all_the_same() {
    let mut world = World::new();
    // The call took effect and nothing else happened: no answer, no entry.
    world.account.lose_answer_of_next("Restore");
    world.ask(to("latest")).await.unwrap_err();
    assert_eq!(world.ledger.entries().len(), 0);
    world.database.answers.set(true);
    world.later(10);
    world.give_endpoint("orders-restored").await;
    assert_eq!(world.tick().await.unfinished, 0);
    assert!(world.ledger.entries().values().any(|entry| entry["kind"] == "restore-completed"));
}

#[tokio::test]
async fn a_restore_that_cannot_succeed_is_reported_once() {
    let world = World::new();
    world.ask(to("latest")).await.unwrap();
    let mut made = world.instance(HOME, "orders-restored").await;
    "incompatible-network".clone_into(&mut made.status);
    world.account.put_instance(HOME, made);
    assert_eq!(world.tick().await.take_error().unwrap().code(), "RestoreFailed");
    assert_eq!(world.tick().await.settled, 1);
}

#[tokio::test]
async fn a_database_that_never_answers_fails_after_half_an_hour() {
    let mut world = World::new();
    world.ask(to("latest")).await.unwrap();
    world.later(10);
    world.give_endpoint("orders-restored").await;
    assert_eq!(world.tick().await.unfinished, 1);
    world.later(31);
    assert_eq!(world.tick().await.take_error().unwrap().code(), "FirstQueryFailed");
    assert_eq!(world.tick().await.settled, 1);
}

#[tokio::test]
async fn a_database_that_no_way_leads_to_is_no_failed_restore() {
    let mut world = World::new();
    world.database.unreachable.set(true);
    world.ask(to("latest")).await.unwrap();
    world.later(10);
    world.give_endpoint("orders-restored").await;
    assert_eq!(world.tick().await.unfinished, 1);
    world.later(31);
    assert_eq!(world.tick().await.unfinished, 0);
    let entries = world.ledger.entries();
    let completed = entries.values().find(|entry| entry["kind"] == "restore-completed").unwrap();
    assert_eq!(completed["first_query"], "not-reached");
}

#[tokio::test]
async fn a_region_that_does_not_answer_does_not_stop_the_other_s_restores() {
    let mut world = World::new();
    world.database.answers.set(true);
    let mut payload = to("tidemark-orders-20261122t0300z-abcdef");
    payload["region"] = json!(AWAY);
    world.ask(payload).await.unwrap();
    world.later(10);
    world.give_endpoint_in(AWAY, "orders-restored").await;
    world
        .account
        .refuse_next("us-east-1 DescribeDBInstances", Error::retryable("ServiceUnavailable", "down"));
    let mut summary = world.tick().await;
    assert_eq!(summary.acted.len(), 1);
    assert_eq!(summary.take_error().unwrap().code(), "ServiceUnavailable", "and it says so");
    assert!(world.ledger.entries().values().any(|entry| entry["kind"] == "restore-completed"));
}

#[tokio::test]
async fn a_second_of_a_database_that_bore_the_name_before_is_restored_from_its_own_backups() {
    let world = World::new();
    let mut anew = orders();
    "db-NEW".clone_into(&mut anew.incarnation);
    anew.latest_restorable = Some(at("2026-11-22T11:56:00Z"));
    world.account.put_instance(HOME, anew);
    let mut backup = automated_backup(HOME);
    "db-NEW".clone_into(&mut backup.incarnation);
    backup.window =
        Some(PitrWindow { earliest: at("2026-11-22T11:00:00Z"), latest: at("2026-11-22T11:51:00Z") });
    world.account.put_automated_backup(HOME, backup);
    let answer = world.ask(to("2026-11-20T00:00:00Z")).await.unwrap();
    assert!(answer["notes"][0].as_str().unwrap().contains("db-ORDERS"), "{answer}");
}

#[tokio::test]
async fn latest_never_means_a_database_that_is_gone_while_another_bears_its_name() {
    let world = World::new();
    let mut anew = orders();
    "db-NEW".clone_into(&mut anew.incarnation);
    anew.retention_days = 0;
    world.account.put_instance(HOME, anew);
    let error = world.ask(to("latest")).await.unwrap_err();
    assert_eq!(error.code(), "PitrNotPossible");
    assert!(
        error.report().contains("2026-11-15T03:04:00Z"),
        "it names what can be restored: {}",
        error.report()
    );
}

#[tokio::test]
async fn the_same_request_a_week_later_is_another_restore() {
    let mut world = World::new();
    world.ask(to("latest")).await.unwrap();
    world.now += Duration::from_hours(7 * 24);
    let error = world.ask(to("latest")).await.unwrap_err();
    assert_eq!(error.code(), "NameTaken");
    assert!(error.report().contains("restore-orders-restored-20261122t120000z"), "{}", error.report());
}

#[tokio::test]
async fn a_restore_that_takes_days_is_given_up_aloud() {
    let mut world = World::new();
    world.ask(to("latest")).await.unwrap();
    world.now += Duration::from_hours(73);
    assert_eq!(world.tick().await.take_error().unwrap().code(), "RestoreFailed");
}

#[tokio::test]
async fn without_credentials_the_first_query_is_not_claimed() {
    let mut world = World::new();
    let mut bare = orders();
    bare.tags.remove("tidemark:secret");
    world.account.put_instance(HOME, bare);
    world.ask(to("latest")).await.unwrap();
    world.later(10);
    world.give_endpoint("orders-restored").await;
    assert_eq!(world.tick().await.unfinished, 0);
    let entries = world.ledger.entries();
    let completed = entries.values().find(|entry| entry["kind"] == "restore-completed").unwrap();
    assert_eq!(completed["first_query"], "not-asked", "{completed}");
    assert!(completed["phases"].get("first_query_answered").is_none());
}

/// As run-drill asks.
fn drilled(id: &str) -> Value {
    let drill = json!({"id": id, "expires": "2026-11-22T22:00:00Z"});
    json!({"resource": "orders", "to": "latest", "as": "tidemark-drill-orders", "drill": drill})
}

#[tokio::test]
async fn a_drill_is_the_same_restore_however_late_it_asks_again() {
    let mut world = World::new();
    world.account.lose_answer_of_next("Restore");
    world.ask(drilled("drill-1")).await.unwrap_err();
    world.now += Duration::from_hours(2);
    let answer = world.ask(drilled("drill-1")).await.unwrap();
    assert_eq!(answer["restore_id"], "restore-tidemark-drill-orders-20261122t120000z");
    let made = world.instance(HOME, "tidemark-drill-orders").await;
    assert_eq!(
        (made.tags["tidemark:drill"].as_str(), made.tags["tidemark:expires"].as_str()),
        ("drill-1", "2026-11-22T22:00:00Z")
    );
    assert!(!made.tags.contains_key("tidemark:plan"));
    assert_eq!(world.ask(drilled("drill-2")).await.unwrap_err().code(), "NameTaken");
}

#[tokio::test]
async fn what_became_of_a_drill_s_restore_the_drill_tells() {
    let mut world = World::new();
    world.ask(drilled("drill-1")).await.unwrap();
    world.now += Duration::from_hours(73);
    world.tick().await;
    assert!(world.ledger.entries().values().any(|entry| entry["kind"] == "restore-failed"));
    let summary = world.tick().await;
    assert_eq!((summary.findings, summary.settled), (Some(0), 1));
}
