//! The function over an account in memory, one minute after another.

mod engines;
mod findings;
mod memory;
mod passes;
mod refusals;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    rc::Rc,
    time::Duration,
};

use domain::{Finding, Findings, PlanDocument, ResourceId, tag};
use heartbeat::{Keys, Row};
use jiff::{SignedDuration, Timestamp};
use postgres::heartbeats::FakeTables;
use rds::{Endpoint, FakeAccount, FakeRds, Instance, Tags};
use reconcile::{Budget, Deadline, Error, Reconciler, Result, Summary, Wake, run};
use redis::{
    elasticache::{Cache, CacheKind, FakeAccount as FakeCaches, FakeElastiCache},
    server::{FakeServers, FakeValue},
};
use secrecy::SecretString;
use secrets::PlainSecrets;
use serde_json::{Value, json};
use state::FakeDocuments;
use turso::FakeTurso;
use vault::FakeLedger;

use crate::{Known, Systems, WriteHeartbeat};

const HOME: &str = "us-east-1";
const KEYS: &str = "tidemark/heartbeat-keys";
/// 00 01 … 1f.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "1f1e1d1c1b1a191817161514131211100f0e0d0c0b0a09080706050403020100";
/// Where the instance `orders` has its table.
const SHOP: &str = "orders.db.example/shop";
/// Where the cache `sessions` is.
const CACHE: &str = "sessions.cache.example";

const PLAN: &str = r#"{"plans": {"default": {
    "turso": {"databases": ["production/*"]},
    "heartbeats": {"rds/orders": "tidemark/heartbeat-orders", "redis/sessions": "tidemark/heartbeat-sessions",
                   "turso/catalog": "tidemark/heartbeat-catalog"}
}}}"#;

fn start() -> Timestamp {
    "2026-11-23T10:40:00Z".parse().unwrap()
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

/// Secrets by name.
#[derive(Clone, Default)]
struct FakeSecrets {
    texts: Rc<RefCell<BTreeMap<String, String>>>,
    reads: Rc<Cell<usize>>,
}

impl FakeSecrets {
    fn put(&self, name: &str, text: &(impl ToString + ?Sized)) {
        self.texts.borrow_mut().insert(name.to_owned(), text.to_string());
    }
}

impl PlainSecrets for FakeSecrets {
    async fn text(&self, secret: &str) -> Result<SecretString> {
        self.reads.set(self.reads.get() + 1);
        let text = self.texts.borrow().get(secret).cloned().map(SecretString::from);
        text.ok_or_else(|| {
            Error::permanent("ResourceNotFoundException", format!("cannot read secret {secret}"))
        })
    }
}

struct Fakes;

impl Systems for Fakes {
    type Rds = FakeRds;
    type Caches = FakeElastiCache;
    type Tables = FakeTables;
    type Servers = FakeServers;
    type Connector = FakeTurso;
    type Secrets = FakeSecrets;
    type Plans = PlanDocument;
    type Documents = FakeDocuments;
}

/// A deployment: an instance, a cache and a database at Turso under one plan, each with a place for heartbeats.
struct World {
    account: FakeAccount,
    caches: FakeCaches,
    tables: FakeTables,
    servers: FakeServers,
    turso: FakeTurso,
    secrets: FakeSecrets,
    ledger: FakeLedger,
    plans: String,
    now: Timestamp,
    function: WriteHeartbeat<Fakes>,
}

fn under(plan: &str) -> Tags {
    Tags::from([(tag::PLAN.to_owned(), plan.to_owned())])
}

fn instance() -> Instance {
    Instance {
        tags: under("default"),
        database: Some("shop".to_owned()),
        endpoint: Some(Endpoint { host: "orders.db.example".to_owned(), port: 5432 }),
        ..Instance::fake(HOME, "orders", "db-1")
    }
}

fn cache() -> Cache {
    Cache {
        tags: under("default"),
        ..Cache::fake(CacheKind::ReplicationGroup, "sessions", "2026-11-01T00:00:00Z", 1)
    }
}

fn login(password: &str) -> Value {
    json!({"username": "tidemark_heartbeat", "password": password})
}

fn key_document(keys: &[(&str, &str)]) -> Value {
    let keys: Vec<Value> = keys.iter().map(|(id, secret)| json!({"id": id, "secret": secret})).collect();
    json!({"keys": keys})
}

fn keys() -> Keys {
    Keys::parse(&SecretString::from(key_document(&[("2026-11", KEY)]).to_string())).unwrap()
}

impl World {
    fn new() -> Self {
        let (account, caches, servers) =
            (FakeAccount::default(), FakeCaches::default(), FakeServers::default());
        let (tables, turso, secrets) = (FakeTables::default(), FakeTurso::default(), FakeSecrets::default());
        let ledger = FakeLedger::default();
        account.put_instance(HOME, instance());
        caches.put_cache(cache());
        tables.add(SHOP, "one");
        servers.add(CACHE);
        servers.demand(CACHE, "tidemark-heartbeat", "two");
        turso.put(FakeTurso::listed("catalog", "db-3", "production"), heartbeat::sqlite::TABLE);
        secrets.put(KEYS, &key_document(&[("2026-11", KEY)]));
        secrets.put("tidemark/heartbeat-orders", &login("one"));
        secrets.put(
            "tidemark/heartbeat-sessions",
            &json!({"username": "tidemark-heartbeat", "password": "two"}),
        );
        secrets.put(
            "tidemark/heartbeat-catalog",
            &json!({"hostname": "catalog-acme.turso.io", "token": "full-access-for-db-3"}),
        );
        let function = WriteHeartbeat {
            home: account.region(HOME),
            caches: caches.region(HOME),
            tables: tables.clone(),
            servers: servers.clone(),
            turso: Some(turso.clone()),
            secrets: Known::new(secrets.clone()),
            keys: Some(KEYS.to_owned()),
            plans: PlanDocument::parse(PLAN).unwrap(),
            documents: ledger.documents.clone(),
        };
        let plans = PLAN.to_owned();
        Self { account, caches, tables, servers, turso, secrets, ledger, plans, now: start(), function }
    }

    /// Only the instance gets heartbeats.
    fn of_orders() -> Self {
        let mut world = Self::new();
        world.plan(r#"{"plans": {"default": {"heartbeats": {"rds/orders": "tidemark/heartbeat-orders"}}}}"#);
        world
    }

    fn plan(&mut self, text: &str) {
        text.clone_into(&mut self.plans);
        self.function.plans = PlanDocument::parse(text).unwrap();
    }

    /// Another process: it knows nothing from before.
    fn restart(&mut self) {
        self.function.secrets = Known::new(self.secrets.clone());
    }

    async fn try_tick(&self) -> Result<Summary> {
        let deadline = Deadline::after(Duration::from_mins(1));
        let budget = Budget { concurrency: WriteHeartbeat::<Fakes>::CONCURRENCY, ..Budget::default() };
        run(&self.function, &self.ledger.journal(), Wake::Tick, self.now, deadline, budget).await
    }

    /// A minute.
    async fn tick(&mut self) -> Summary {
        let summary = self.try_tick().await.unwrap();
        self.now += minutes(1);
        summary
    }

    async fn ticks(&mut self, count: usize) {
        for _ in 0..count {
            self.tick().await;
        }
    }

    /// What the function says is wrong.
    fn board(&self) -> Vec<Finding> {
        let text = self.ledger.documents.text("findings/write-heartbeat.json").unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().findings
    }

    fn kinds(&self) -> Vec<String> {
        self.board().into_iter().map(|finding| finding.kind).collect()
    }

    fn finding(&self, kind: &str) -> Finding {
        let found = self.board().into_iter().find(|finding| finding.kind == kind);
        found.unwrap_or_else(|| panic!("no {kind} in {:?}", self.kinds()))
    }

    /// The instance's rows, the newest first.
    fn rows(&self) -> Vec<Row> {
        self.tables.rows(SHOP)
    }

    fn numbers(&self) -> Vec<String> {
        self.rows().into_iter().map(|row| row.number).collect()
    }

    fn memory(&self, resource: &str) -> Value {
        let text = self.ledger.documents.text(&format!("heartbeats/{resource}.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

fn down() -> Error {
    Error::retryable("ServiceUnavailable", "it is down")
}

fn orders() -> ResourceId {
    ResourceId::rds("orders")
}
