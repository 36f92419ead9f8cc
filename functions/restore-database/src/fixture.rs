//! What the tests of several engines share.

use std::rc::Rc;

use domain::PlanDocument;
use jiff::Timestamp;
use plans::Plans;
use reconcile::{Budget, Deadline, Error, Reconciler, Request, Result, Summary, run};
use secrecy::SecretString;
use secrets::{Credentials, PlainSecrets, Secrets};
use serde_json::Value;
use state::FakeDocuments;
use vault::{FakeLedger, FakeStore};

use crate::{
    Databases, RdsRestores, RecoverySets, RedisRestores, RestoreDatabase, TursoRestores, databases::Engines,
    request::Ask,
};

/// The function over fakes.
pub(crate) type Function<R, E, T> =
    RestoreDatabase<Databases<R, E, T>, PlanDocument, FakeDocuments, FakeLedger>;

/// Redis over fakes; `None` where a test is of another engine.
pub(crate) type Redis = Option<
    RedisRestores<::redis::elasticache::FakeElastiCache, FakeStore, FakeDocuments, FakeLedger, FakeSecrets>,
>;
/// Turso over fakes; `None` where a test is of another engine.
pub(crate) type Turso =
    Option<TursoRestores<::turso::FakeTurso, FakeSecrets, FakeStore, FakeDocuments, FakeLedger>>;
/// RDS over fakes; `None` where a test is of another engine.
pub(crate) type Rds = Option<RdsRestores<::rds::FakeRds, FakeLedger, FakeSecrets, NoPostgres>>;

pub(crate) const HOME: &str = "us-east-1";
pub(crate) const AWAY: &str = "us-west-2";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// One password for every secret, or none.
#[derive(Clone)]
pub(crate) struct FakeSecrets(pub(crate) Rc<str>);

impl Secrets for FakeSecrets {
    async fn credentials(&self, secret: &str) -> Result<Credentials> {
        if self.0.is_empty() {
            return Err(Error::misconfigured("ResourceNotFoundException", format!("no secret {secret}")));
        }
        Ok(Credentials { username: "tidemark".to_owned(), password: self.0.to_string().into() })
    }
}

impl PlainSecrets for FakeSecrets {
    async fn text(&self, secret: &str) -> Result<SecretString> {
        self.credentials(secret).await.map(|credentials| credentials.password)
    }
}

/// The function, where nobody asks for a set.
pub(crate) fn function<R, E, T>(rds: R, redis: E, turso: T, ledger: &FakeLedger) -> Function<R, E, T> {
    let sets = RecoverySets {
        home: HOME.to_owned(),
        plans: PlanDocument::parse(r#"{"plans": {"default": {}}}"#).unwrap(),
        documents: ledger.documents.clone(),
        ledger: ledger.clone(),
    };
    RestoreDatabase { databases: Databases { rds, redis, turso }, sets }
}

/// Nobody asks PostgreSQL.
pub(crate) struct NoPostgres;

impl postgres::Postgres for NoPostgres {
    async fn first_query(&self, _: &postgres::Server, _: &Credentials) -> Result<()> {
        Err(Error::permanent("DatabaseNotReached", "there is none"))
    }
}

/// One pass of the function, within that time.
pub(crate) async fn pass<G: Engines, P: Plans>(
    function: &RestoreDatabase<G, P, FakeDocuments, FakeLedger>,
    ledger: &FakeLedger,
    payload: Value,
    now: Timestamp,
    within: std::time::Duration,
) -> Result<Summary> {
    let (ask, deadline) = (Ask::parse(payload)?, Deadline::after(within));
    run(function, &ledger.journal(), ask, now, deadline, Budget::default()).await
}

/// What a person reads.
pub(crate) async fn ask<G: Engines, P: Plans>(
    function: &RestoreDatabase<G, P, FakeDocuments, FakeLedger>,
    ledger: &FakeLedger,
    payload: Value,
    now: Timestamp,
) -> Result<Value> {
    let mut summary = pass(function, ledger, payload, now, std::time::Duration::from_mins(5)).await?;
    match summary.take_error() {
        Some(error) => Err(error),
        None => Ok(RestoreDatabase::<G, P, FakeDocuments, FakeLedger>::answer(summary)),
    }
}

/// The entries of a kind.
pub(crate) fn entries(ledger: &FakeLedger, kind: &str) -> Vec<Value> {
    ledger.entries().into_values().filter(|entry| entry["kind"] == kind).collect()
}
