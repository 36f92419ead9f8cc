//! The function over a cloud in memory, in which all is well, and what it finds when something is not.

mod buckets;
mod databases;
mod drills;
mod passes;
mod quotas;

use std::time::Duration;

use alerts::FakeSubscribers;
use domain::{Finding, Findings, PlanDocument, tag};
use jiff::{SignedDuration, Timestamp};
use kms::{FakeKms, Key};
use rds::{FakeRds, Instance};
use reconcile::{Budget, Deadline, Error, Reconciler, Request, Result, Summary, run};
use redis::elasticache::{Cache, CacheKind, FakeElastiCache};
use secrecy::SecretString;
use secrets::PlainSecrets;
use serde_json::{Value, json};
use state::FakeDocuments;
use turso::{Database, FakeTurso};
use vault::{DefaultEncryption, FakeConfiguration, FakeLedger, FakeStore, Setup};

use crate::{Ask, CheckPosture, Organization, Place, Systems, Topics};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";
const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/vault";
const AWAY_KEY: &str = "arn:aws:kms:us-west-2:123456789012:key/vault";
const ALIAS: &str = "arn:aws:kms:us-east-1:123456789012:alias/tidemark-test";
const AWAY_ALIAS: &str = "arn:aws:kms:us-west-2:123456789012:alias/tidemark-test";
const ALERTS: &str = "arn:aws:sns:us-east-1:123456789012:tidemark-test-alerts";
const WATCH: &str = "arn:aws:sns:us-east-1:123456789012:tidemark-test-watch";
const CANARY: &str = "arn:aws:sqs:us-east-1:123456789012:tidemark-test-canary";
const PLAN: &str = r#"{"plans": {"default": {"turso": {"databases": ["production/*"]}}}}"#;

/// What stands in for the outside systems.
struct Fakes;

impl Systems for Fakes {
    type Rds = FakeRds;
    type Kms = FakeKms;
    type Caches = FakeElastiCache;
    type Secrets = Secret;
    type Connector = FakeTurso;
    type Bucket = FakeConfiguration;
    type Store = FakeStore;
    type Ledger = FakeLedger;
    type Plans = PlanDocument;
    type Subscribers = FakeSubscribers;
    type Documents = FakeDocuments;
}

#[derive(Clone)]
struct Secret(&'static str);

impl PlainSecrets for Secret {
    async fn text(&self, _secret: &str) -> Result<SecretString> {
        Ok(SecretString::from(self.0))
    }
}

/// One Region of a deployment.
struct PlaceOf {
    kms: FakeKms,
    vault: FakeConfiguration,
    exports: FakeConfiguration,
}

/// A deployment over a cloud in memory.
struct World {
    rds: rds::FakeAccount,
    caches: redis::elasticache::FakeAccount,
    turso: FakeTurso,
    secret: Secret,
    home: PlaceOf,
    recovery: PlaceOf,
    store: FakeStore,
    ledger: FakeLedger,
    subscribers: FakeSubscribers,
    plans: String,
    now: Timestamp,
}

fn tags(plan: &str) -> std::collections::BTreeMap<String, String> {
    [(tag::PLAN.to_owned(), plan.to_owned())].into()
}

fn instance(id: &str) -> Instance {
    Instance { tags: tags("default"), ..Instance::fake(HOME, id, &format!("db-{id}")) }
}

fn cache(name: &str) -> Cache {
    Cache {
        tags: tags("default"),
        ..Cache::fake(CacheKind::ReplicationGroup, name, "2026-01-01T00:00:00Z", 1)
    }
}

fn database(name: &str) -> Database {
    Database { delete_protection: true, ..FakeTurso::listed(name, &format!("id-{name}"), "production") }
}

fn exports(region: &str) -> Setup {
    let bucket = format!("exports-{region}");
    let actions = [
        "s3:GetBucketAcl",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
    ];
    let policy = json!({"Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        {"Effect": "Allow", "Principal": {"Service": format!("{region}.elasticache-snapshot.amazonaws.com")},
            "Action": actions, "Resource": [format!("arn:aws:s3:::{bucket}"), format!("arn:aws:s3:::{bucket}/*")]},
    ]});
    let encryption = Some(DefaultEncryption { algorithm: "AES256".to_owned(), key: None });
    Setup { policy: Some(policy.to_string()), encryption, lock: None, ..Setup::of_a_vault("", None) }
}

fn place(region: &str, key: &str, alias: &str, replica: Option<(&str, &str)>) -> PlaceOf {
    let kms = FakeKms::new(region);
    kms.put(&[alias], Key::fake(key));
    PlaceOf {
        kms,
        vault: FakeConfiguration::new(region, &format!("vault-{region}"), Setup::of_a_vault(key, replica)),
        exports: FakeConfiguration::new(region, &format!("exports-{region}"), exports(region)),
    }
}

impl World {
    /// In which one of each is protected, and all is well.
    fn calm() -> Self {
        let world = Self {
            rds: rds::FakeAccount::default(),
            caches: redis::elasticache::FakeAccount::default(),
            turso: FakeTurso::default(),
            secret: Secret(FakeTurso::TOKEN),
            home: place(HOME, KEY, ALIAS, Some(("vault-us-west-2", AWAY_ALIAS))),
            recovery: place(AWAY, AWAY_KEY, AWAY_ALIAS, None),
            store: FakeStore::new(HOME, "vault-us-east-1"),
            ledger: FakeLedger::default(),
            subscribers: FakeSubscribers::default(),
            plans: PLAN.to_owned(),
            now: "2026-11-22T07:00:00Z".parse().unwrap(),
        };
        world.put(instance("orders"));
        world.caches.put_cache(cache("sessions"));
        world.turso.put(database("shop"), "CREATE TABLE t(x)");
        world.store.put("retention/us-east-1/acknowledged/a.json", "{}");
        for topic in [ALERTS, WATCH] {
            world.subscribers.subscribe(topic, "email", "oncall@example.com", true);
        }
        world.subscribers.subscribe(ALERTS, "sqs", CANARY, true);
        world
    }

    /// An instance, and its key.
    fn put(&self, instance: Instance) {
        if let Some(key) = &instance.kms_key {
            self.home.kms.put(&[], Key::fake(key));
        }
        self.rds.put_instance(HOME, instance);
    }

    fn change(&self, change: impl FnOnce(&mut Instance)) {
        let mut changed = instance("orders");
        change(&mut changed);
        self.rds.put_instance(HOME, changed);
    }

    fn function(&self) -> CheckPosture<Fakes> {
        let place = |region: &str, of: &PlaceOf, key: &str| Place {
            rds: self.rds.region(region),
            kms: of.kms.clone(),
            key: key.to_owned(),
            vault: of.vault.clone(),
            exports: of.exports.clone(),
        };
        CheckPosture {
            home: place(HOME, &self.home, ALIAS),
            recovery: place(AWAY, &self.recovery, AWAY_ALIAS),
            caches: self.caches.region(HOME),
            organization: Some(Organization {
                connector: self.turso.clone(),
                secrets: self.secret.clone(),
                secret: "tidemark/turso".to_owned(),
            }),
            store: self.store.clone(),
            ledger: self.ledger.clone(),
            plans: PlanDocument::parse(&self.plans).unwrap(),
            subscribers: self.subscribers.clone(),
            topics: Topics {
                alerts: ALERTS.to_owned(),
                watch: WATCH.to_owned(),
                canary_queue: CANARY.to_owned(),
            },
            documents: self.ledger.documents.clone(),
        }
    }

    async fn ask(&self, payload: Value) -> Summary {
        let deadline = Deadline::after(Duration::from_mins(5));
        let ask = Ask::parse(payload).unwrap();
        run(&self.function(), &self.ledger.journal(), ask, self.now, deadline, Budget::default())
            .await
            .unwrap()
    }

    async fn tick(&self) -> Summary {
        self.ask(json!({"wake": "tick"})).await
    }

    /// What a person reads who asks.
    async fn check(&self) -> Value {
        CheckPosture::<Fakes>::answer(self.ask(json!({"check": "now"})).await)
    }

    fn later(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
    }

    fn board(&self) -> Vec<Finding> {
        let text = self.ledger.documents.text("findings/check-posture.json").unwrap();
        serde_json::from_str::<Findings>(&text).unwrap().findings
    }

    /// What stands on the board: `rds/orders unprotected`.
    fn found(&self) -> Vec<String> {
        self.board().iter().map(|finding| format!("{} {}", finding.resource, finding.condition())).collect()
    }

    /// The one finding that a look shows.
    async fn only(&self, expected: &str) -> Finding {
        self.check().await;
        assert_eq!(self.found(), [expected]);
        self.board().remove(0)
    }
}

fn denied() -> Error {
    Error::misconfigured("AccessDenied", "no")
}
