//! A set of three databases, one of each engine, over the fakes of all of them.

mod faults;
mod restores;

use std::time::Duration;

use domain::PlanDocument;
use jiff::Timestamp;
use plans::Plans;
use reconcile::{Error, Result, Summary};
use serde_json::{Value, json};
use state::FakeDocuments;
use vault::FakeLedger;

use super::RecoverySets;
use crate::{
    Databases, RestoreDatabase,
    fixture::{self, HOME, at},
    rds, redis, turso,
};

type All = Databases<
    crate::RdsRestores<::rds::FakeRds, FakeLedger, rds::tests::FakeDatabase, rds::tests::FakeDatabase>,
    fixture::Redis,
    fixture::Turso,
>;

struct World {
    rds: rds::tests::World,
    redis: redis::tests::World,
    turso: turso::tests::World,
    documents: FakeDocuments,
    ledger: FakeLedger,
    plans: Value,
    now: Timestamp,
}

/// A document that cannot be read.
struct NoPlans;

impl Plans for NoPlans {
    async fn read(&self) -> Result<PlanDocument> {
        Err(Error::retryable("InternalServerError", "cannot read the plan document"))
    }
}

/// What the three are called.
const NAMES: [&str; 3] = ["shop-2-rds-orders", "shop-2-sessions", "shop-2-turso-orders"];

/// The newest whole second before RDS's `LatestRestorableTime`.
const NEWEST: &str = "2026-11-22T11:55:59Z";

const DOCUMENT: &str = "restores/sets/shop-2.json";

impl World {
    fn new() -> Self {
        let (documents, ledger) = (FakeDocuments::default(), FakeLedger::default());
        let mut world = Self {
            rds: rds::tests::World::new(),
            redis: redis::tests::World::new(),
            turso: turso::tests::World::new(),
            plans: json!({"plans": {"default": {}}, "recovery_sets": {
                "billing": {"resources": ["rds/invoices", "turso/tariffs"]},
                "shop": {"resources": ["rds/orders", "redis/sessions", "turso/orders"]},
            }}),
            now: at("2026-11-22T12:00:00Z"),
            documents: documents.clone(),
            ledger: ledger.clone(),
        };
        world.rds.ledger = ledger.clone();
        (world.redis.documents, world.redis.ledger) = (documents.clone(), ledger.clone());
        (world.turso.documents, world.turso.ledger) = (documents, ledger);
        world.redis.point("2026-11-22T06:00:00Z", "2026-11-22T06:00:30Z", 1);
        world.redis.point("2026-11-22T11:57:00Z", "2026-11-22T11:57:30Z", 1);
        world
    }

    fn databases(&self) -> All {
        let (rds, redis, turso) = (self.rds.function(), self.redis.function(), self.turso.function());
        Databases { rds: rds.databases.rds, redis: redis.databases.redis, turso: turso.databases.turso }
    }

    fn function<P>(&self, plans: P) -> RestoreDatabase<All, P, FakeDocuments, FakeLedger> {
        let (documents, ledger) = (self.documents.clone(), self.ledger.clone());
        let sets = RecoverySets { home: HOME.to_owned(), plans, documents, ledger };
        RestoreDatabase { databases: self.databases(), sets }
    }

    fn plans(&self) -> PlanDocument {
        PlanDocument::parse(&self.plans.to_string()).unwrap()
    }

    async fn ask(&self, payload: Value) -> Result<Value> {
        fixture::ask(&self.function(self.plans()), &self.ledger, payload, self.now).await
    }

    async fn pass(&self, payload: Value, within: Duration) -> Result<Summary> {
        fixture::pass(&self.function(self.plans()), &self.ledger, payload, self.now, within).await
    }

    async fn tick(&self) -> Summary {
        self.pass(json!({"wake": "tick"}), Duration::from_mins(5)).await.unwrap()
    }

    /// The clouds finish what they were doing, and a tick looks.
    async fn later(&mut self, minutes: u64) -> Summary {
        self.now += Duration::from_mins(minutes);
        self.rds.account.finish();
        self.redis.caches.finish();
        self.redis.away.finish();
        if self.names().await.contains(&NAMES[0].to_owned()) {
            self.rds.give_endpoint(NAMES[0]).await;
        }
        self.rds.database.answers.set(true);
        self.tick().await
    }

    /// Ticks until the set is over, for half an hour at most; its last entry.
    async fn end(&mut self) -> Value {
        for _ in 0..30 {
            self.later(1).await;
            for kind in ["set-restore-completed", "set-restore-failed"] {
                if let Some(entry) = self.entries(kind).pop() {
                    return entry;
                }
            }
        }
        panic!("it does not end: {:#?}", self.ledger.entries())
    }

    fn entries(&self, kind: &str) -> Vec<Value> {
        fixture::entries(&self.ledger, kind)
    }

    /// What there is, of all engines, but for the sources.
    async fn names(&self) -> Vec<String> {
        use ::rds::Rds;
        let instances = self.rds.account.region(HOME).instances().await.unwrap();
        let mut names: Vec<String> = instances.into_iter().map(|instance| instance.id).collect();
        names.extend(self.caches().await);
        names.extend(self.turso.turso.names());
        names.retain(|name| !["orders", "sessions"].contains(&name.as_str()));
        names
    }

    async fn caches(&self) -> Vec<String> {
        use ::redis::elasticache::{CacheKind, ElastiCache};
        let caches = self.redis.caches.region(HOME);
        let cache = caches.cache(CacheKind::ReplicationGroup, NAMES[1]).await.unwrap();
        cache.into_iter().map(|cache| cache.name).collect()
    }

    /// The instants to which anything was asked to be restored, as the ledger has them.
    fn instants(&self) -> Vec<String> {
        let mut all: Vec<String> = self
            .ledger
            .entries()
            .into_values()
            .filter_map(|entry| Some(entry["set_instant"].as_str()?.to_owned()))
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

fn to(to: &str) -> Value {
    json!({"set": "shop", "to": to, "as": "shop-2"})
}

fn drilled(id: &str) -> Value {
    let drill = json!({"id": id, "expires": "2026-11-22T22:00:00Z"});
    json!({"set": "shop", "to": "latest", "as": "tidemark-drill-shop", "drill": drill})
}
