//! The function over an account, a server, and a restore-database in memory: one pass after another, with the world moving in
//! between.

mod engines;
mod failures;
mod leaks;
mod restored;
mod rhythm;
mod sets;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use domain::{Finding, Findings, PlanDocument, ResourceId, Slot, drill::history, tag};
use futures::FutureExt;
use invoke::{Answer, FakeFunctions};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use postgres::checks::fake::{FakeDatabase, FakeServer, FakeTable};
use rds::{AutomatedBackup, Endpoint, FakeAccount, FakeRds, Instance, PitrWindow, Snapshot};
use reconcile::{Budget, Deadline, Entry, Error, Ledger, Outcome, Reconciler, Request, Result, Summary, run};
use secrets::{Credentials, PlainSecrets, Secrets};
use serde_json::{Map, Value, json};
use vault::{FakeLedger, FakeStore};

use crate::{
    Ask, Engines, Limits, Network, RdsDrills, RunDrill, Sources,
    record::{Kept, Record},
};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";
const PLANS: &str = r#"{"plans": {"default": {}}}"#;

type Rds = RdsDrills<FakeRds, FakeSecrets, FakeServer>;
type Function = RunDrill<
    Rds,
    Option<Rds>,
    Option<Rds>,
    Sources<FakeRds, FakeStore>,
    FakePlans,
    FakeFunctions,
    FakeLedger,
    FakeLedger,
    state::FakeDocuments,
>;

/// One password for every secret.
#[derive(Clone)]
struct FakeSecrets;

impl Secrets for FakeSecrets {
    async fn credentials(&self, _: &str) -> Result<Credentials> {
        Ok(Credentials { username: "tidemark".to_owned(), password: "secret".to_owned().into() })
    }
}

impl PlainSecrets for FakeSecrets {
    async fn text(&self, _: &str) -> Result<secrecy::SecretString> {
        Ok(r#"{"keys": [{"id": "a", "secret": "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}]}"#.to_owned().into())
    }
}

/// Plans, unless somebody made a mistake in them.
struct FakePlans(Option<PlanDocument>);

impl plans::Plans for FakePlans {
    async fn read(&self) -> Result<PlanDocument> {
        self.0.clone().ok_or_else(|| Error::misconfigured("PlansInvalid", "the plan document has 1 mistake"))
    }
}

/// How restore-database answers.
#[derive(Clone, Debug)]
enum Restores {
    Well,
    Refused(&'static str),
}

struct World {
    account: FakeAccount,
    server: FakeServer,
    ledger: FakeLedger,
    functions: FakeFunctions,
    answers: Arc<Mutex<Restores>>,
    plans: PlanDocument,
    no_plans: bool,
    limits: Limits,
    staging: Option<Network>,
    heartbeat_secret: Option<String>,
    now: Timestamp,
}

/// What the ids of this deployment's drills end in.
fn mark() -> String {
    domain::RecoveryPointId::mark(&format!("{HOME}/tidemark-restore-database"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    /// `rds/orders` with a window of a week, three recovery points at home and their copies.
    fn new() -> Self {
        let account = FakeAccount::default();
        let answers = Arc::new(Mutex::new(Restores::Well));
        let functions = {
            let (account, answers) = (account.clone(), answers.clone());
            FakeFunctions::new(move |_, payload| Ok(restore(&account, &answers.lock().unwrap(), payload)))
        };
        let world = Self {
            account,
            server: FakeServer::default(),
            ledger: FakeLedger::default(),
            functions,
            answers,
            plans: PlanDocument::parse(PLANS).unwrap(),
            no_plans: false,
            limits: Limits {
                at_once: 2,
                micro_usd_a_month: 100_000_000,
                turn: SignedDuration::from_secs(60),
            },
            staging: Some(Network {
                subnet_group: "staging".to_owned(),
                security_groups: vec!["sg-staging".to_owned()],
            }),
            heartbeat_secret: None,
            now: at("2026-11-22T10:00:00Z"),
        };
        world.account.set_now(world.now);
        world.protect("orders");
        let table = FakeTable::new(1, "public.orders", &[10, 10, 3]);
        world.server.put("postgres", FakeDatabase { tables: vec![table], ..FakeDatabase::default() });
        world
    }

    fn protect(&self, name: &str) {
        let tags = [(tag::PLAN, "default"), (tag::SECRET, "tidemark/orders")];
        let instance = Instance {
            class: "db.r6g.xlarge".to_owned(),
            tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            endpoint: Some(Endpoint { host: "production".to_owned(), port: 5432 }),
            ..Instance::fake(HOME, name, &format!("db-{name}"))
        };
        self.account.put_instance(HOME, instance);
        let window = PitrWindow { earliest: at("2026-11-15T00:00:00Z"), latest: at("2026-11-22T09:55:00Z") };
        let backup = AutomatedBackup {
            arn: format!("arn:aws:rds:{HOME}:123456789012:auto-backup:{name}"),
            instance: name.to_owned(),
            incarnation: format!("db-{name}"),
            status: "active".to_owned(),
            source_region: HOME.to_owned(),
            window: Some(window),
        };
        self.account.put_automated_backup(HOME, backup);
        for day in 20..23 {
            let slot = Slot::at(at(&format!("2026-11-{day}T03:00:00Z")));
            let snapshot = Snapshot::fake(HOME, name, &format!("db-{name}"), slot);
            self.account.put_snapshot(AWAY, Snapshot::fake_copy(AWAY, &snapshot));
            self.account.put_snapshot(HOME, snapshot);
        }
    }

    fn function(&self) -> Function {
        let vault = FakeStore::new(HOME, "vault");
        let rds = RdsDrills {
            home: self.account.region(HOME),
            recovery: self.account.region(AWAY),
            home_staging: self.staging.clone(),
            recovery_staging: self.staging.clone(),
            secrets: FakeSecrets,
            postgres: self.server.clone(),
            heartbeat_secret: self.heartbeat_secret.clone(),
        };
        RunDrill {
            engines: Engines { rds, redis: None, turso: None },
            points: Sources {
                home: self.account.region(HOME),
                recovery: self.account.region(AWAY),
                recovery_vault: vault.beside(AWAY, "vault-away"),
                vault,
            },
            plans: FakePlans((!self.no_plans).then(|| self.plans.clone())),
            functions: self.functions.clone(),
            restore: "tidemark-restore-database".to_owned(),
            journal: self.ledger.journal(),
            limits: self.limits,
            region: HOME.to_owned(),
        }
    }

    async fn pass(&self, payload: Value) -> Result<Summary> {
        let (function, ask) = (self.function(), Ask::parse(payload)?);
        let deadline = Deadline::after(Duration::from_mins(10));
        run(&function, &function.journal, ask, self.now, deadline, Budget::default()).await
    }

    /// A tick, a minute later.
    async fn tick(&mut self) -> Summary {
        self.now += SignedDuration::from_mins(1);
        self.account.set_now(self.now);
        self.pass(json!({"wake": "tick"})).await.unwrap()
    }

    async fn ask(&self, resource: &str) -> Result<Value> {
        self.pass(json!({"drill": resource})).await.map(Function::answer)
    }

    /// What drills made and is there, in either Region.
    fn restored(&self) -> Vec<(String, Instance)> {
        let all = [HOME, AWAY].map(|region| {
            let instances =
                rds::Rds::instances(&self.account.region(region)).now_or_never().unwrap().unwrap();
            instances.into_iter().map(move |instance| (region.to_owned(), instance))
        });
        let restored = all.into_iter().flatten();
        restored.filter(|(_, instance)| instance.tags.contains_key(tag::RESTORE)).collect()
    }

    /// RDS makes what was asked for available, restore-database asks its first query and writes that down; what is deleted goes.
    fn world_moves(&self) {
        self.account.finish();
        for (region, instance) in self.restored() {
            if instance.status == "deleting" {
                continue;
            }
            let available = Instance {
                status: "available".to_owned(),
                endpoint: Some(Endpoint { host: "staging".to_owned(), port: 5432 }),
                ..instance.clone()
            };
            self.account.put_instance(&region, available);
            self.write(&instance, &region, "restore-completed", Outcome::Completed);
        }
    }

    fn write(&self, instance: &Instance, region: &str, kind: &'static str, outcome: Outcome) {
        let asked_at = at(&instance.tags[tag::REQUESTED_AT]);
        let detail = json!({
            "phases": {"creating_ms": 480_000, "first_query_ms": 2_000},
            "duration_ms": 482_000,
            "error": "instance is restore-error",
        });
        let entry = Entry {
            day: asked_at.to_zoned(TimeZone::UTC).date(),
            at: self.now,
            function: "restore-database",
            kind,
            resource: ResourceId::try_from(instance.tags[tag::RESOURCE].clone()).unwrap(),
            subject: instance.tags[tag::RESTORE].clone(),
            region: region.to_owned(),
            outcome,
            detail: detail.as_object().cloned().unwrap_or_else(Map::new),
        };
        // A fault may wait that is meant for the function.
        while self.ledger.append(&entry).now_or_never().unwrap().is_err() {}
    }

    fn record(&self, resource: &str) -> Record {
        let resource = ResourceId::try_from(resource.to_owned()).unwrap();
        let read = Kept::read(&self.ledger.documents, &resource).now_or_never().unwrap();
        read.unwrap().unwrap().record
    }

    /// The verdicts in the ledger.
    fn verdicts(&self) -> Vec<Value> {
        let is_verdict =
            |entry: &Value| ["drill-passed", "drill-failed"].iter().any(|kind| entry["kind"] == *kind);
        self.ledger.entries().into_values().filter(is_verdict).collect()
    }

    fn findings(&self) -> Vec<Finding> {
        let text = self.ledger.documents.text("findings/run-drill.json").unwrap_or_default();
        serde_json::from_str::<Findings>(&text).map(|board| board.findings).unwrap_or_default()
    }

    /// Until nothing is under way, or it goes on for too long.
    async fn until_over(&mut self) {
        for _ in 0..40 {
            self.world_moves();
            self.tick().await;
            if self.record("rds/orders").under_way.is_none() {
                return;
            }
        }
        panic!("not over: {:?}", self.record("rds/orders").under_way);
    }
}

/// What restore-database would do: make the instance, once for each drill; of a set all of them.
fn restore(account: &FakeAccount, answers: &Restores, payload: &Value) -> Answer {
    if let Restores::Refused(code) = answers {
        return Answer::Refused { code: (*code).to_owned(), message: "it is not possible".to_owned() };
    }
    let Some(set) = payload["set"].as_str() else { return Answer::Done(restore_one(account, payload)) };
    assert_eq!((set, &payload["to"]), ("shop", &json!("latest")));
    let members = ["orders", "accounts"].map(|name| {
        let mut one = payload["wishes"][format!("rds/{name}")].clone();
        one["resource"] = format!("rds/{name}").into();
        one["as"] = format!("{}-{name}", payload["as"].as_str().unwrap()).into();
        one["drill"] = payload["drill"].clone();
        let mut told = restore_one(account, &one);
        told["resource"] = one["resource"].clone();
        told["name"] = one["as"].clone();
        told
    });
    Answer::Done(json!({"set_instant": "2026-11-22T09:55:00Z", "members": members}))
}

fn restore_one(account: &FakeAccount, payload: &Value) -> Value {
    let text = |key: &str| payload[key].as_str().unwrap().to_owned();
    let (name, drill) = (text("as"), payload["drill"]["id"].as_str().unwrap());
    assert!(name.starts_with("tidemark-drill-"), "{name}");
    let region = payload["region"].as_str().unwrap_or(HOME);
    let restore_id = format!("restore-{name}-20261122t100000z");
    let there = rds::Rds::instance(&account.region(region), &name).now_or_never().unwrap().unwrap();
    if there.is_none_or(|there| there.tags[tag::DRILL] != drill) {
        let tags = [
            (tag::RESTORE, restore_id.as_str()),
            (tag::RESOURCE, &text("resource")),
            (tag::REQUESTED_AT, "2026-11-22T10:00:00Z"),
            (tag::SECRET, "tidemark/orders"),
            (tag::DRILL, drill),
            (tag::EXPIRES, payload["drill"]["expires"].as_str().unwrap()),
        ];
        let instance = Instance {
            status: "creating".to_owned(),
            deletion_protection: false,
            class: text("instance_class"),
            subnet_group: Some(text("subnet_group")),
            tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            ..Instance::fake(region, &name, &format!("db-{name}"))
        };
        account.put_instance(region, instance);
    }
    json!({"restore_id": restore_id, "instance": name})
}

#[tokio::test]
async fn a_drill_restores_checks_measures_and_tears_down() {
    let mut world = World::new();
    let answer = world.ask("rds/orders").await.unwrap();
    assert_eq!(answer["drill"], format!("drill-rds-orders-20261122t100000z-{}", mark()));
    assert_eq!((&answer["way"], &answer["region"]), (&json!("instant"), &json!(HOME)));
    let [(region, instance)] = &world.restored()[..] else { panic!("{:?}", world.restored()) };
    // The smallest class, in staging, and nothing of production is touched.
    assert_eq!((region.as_str(), instance.class.as_str()), (HOME, "db.t4g.medium"));
    assert_eq!(instance.subnet_group.as_deref(), Some("staging"));

    world.until_over().await;
    assert_eq!(world.restored(), []);
    let [verdict] = &world.verdicts()[..] else { panic!("{:?}", world.verdicts()) };
    assert_eq!(verdict["kind"], "drill-passed", "{verdict}");
    assert_eq!(verdict["evidence"]["databases"][0]["rows"], 23);
    assert_eq!(verdict["evidence"]["loss"]["known"], "estimated");
    let past = &world.record("rds/orders").history.past;
    assert_eq!(past.len(), 1);
    assert!(past[0].has_passed());
    assert_eq!(past[0].phases.restore_ms, Some(482_000));
    assert!(past[0].phases.duration_ms >= past[0].phases.restore_ms);
    assert!(world.ledger.entries().values().any(|entry| entry["kind"] == "drill-torn-down"));
    assert_eq!(world.findings(), []);
    // The production instance is where it was.
    assert!(rds::Rds::instance(&world.account.region(HOME), "orders").await.unwrap().is_some());
}

/// A document that others read is the one that run-drill writes.
#[tokio::test]
async fn others_read_its_documents() {
    let mut world = World::new();
    world.ask("rds/orders").await.unwrap();
    world.until_over().await;
    let text = world.ledger.documents.text("drills/rds/orders.json").unwrap();
    let history: history::History = serde_json::from_str(&text).unwrap();
    assert_eq!(history, world.record("rds/orders").history);
}

fn refused(error: &Error) -> (&str, String) {
    (error.code(), error.to_string())
}
