//! Turso over an organization in memory, whose databases are real SQLite files.

mod faults;
mod restores;

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use domain::{RecoveryPointId, ResourceId, Slot};
use jiff::{SignedDuration, Timestamp};
use reconcile::{Result, Summary};
use serde_json::{Map, Value, json};
use state::FakeDocuments;
use tempfile::TempDir;
use turso::{Access, FakeTurso, Session, Turso, compress::Parts};
use vault::{Digests, FakeLedger, FakeStore, MANIFEST, Manifest, point_prefix};

use super::{TursoRestores, count};
use crate::fixture::{self, AWAY, FakeSecrets, HOME, at};

pub(crate) type Function = fixture::Function<fixture::Rds, fixture::Redis, fixture::Turso>;

pub(crate) struct World {
    pub(crate) turso: FakeTurso,
    pub(crate) vault: FakeStore,
    pub(crate) documents: FakeDocuments,
    pub(crate) ledger: FakeLedger,
    pub(crate) scratch: TempDir,
    pub(crate) now: Timestamp,
}

const CONTENT: &str = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO items (name) VALUES ('a'), ('b'), ('c');
    CREATE TABLE \"odd \"\"name\" (x); INSERT INTO \"odd \"\"name\" VALUES (1);";

impl World {
    pub(crate) fn new() -> Self {
        let world = Self {
            turso: FakeTurso::default(),
            vault: FakeStore::new(HOME, "vault"),
            documents: FakeDocuments::default(),
            ledger: FakeLedger::default(),
            scratch: TempDir::new().unwrap(),
            now: at("2026-11-22T12:00:00Z"),
        };
        world.turso.put(FakeTurso::listed("orders", "id-of-orders", "production"), CONTENT);
        world
    }

    fn away(&self) -> FakeStore {
        self.vault.beside(AWAY, "vault-away")
    }

    pub(crate) fn function(&self) -> Function {
        self.function_with(FakeTurso::TOKEN)
    }

    fn function_with(&self, token: &str) -> Function {
        let turso = TursoRestores {
            connect: self.turso.clone(),
            secrets: FakeSecrets(Rc::from(token)),
            secret: "tidemark/turso".to_owned(),
            vault: self.vault.clone(),
            recovery_vault: self.away(),
            documents: self.documents.clone(),
            ledger: self.ledger.clone(),
            scratch: self.scratch.path().to_owned(),
            lease: SignedDuration::from_mins(15),
        };
        fixture::function(None, None, Some(turso), &self.ledger)
    }

    async fn ask(&self, payload: Value) -> Result<Value> {
        fixture::ask(&self.function(), &self.ledger, payload, self.now).await
    }

    async fn tick(&self) -> Summary {
        let tick = json!({"wake": "tick"});
        fixture::pass(&self.function(), &self.ledger, tick, self.now, Duration::from_mins(5)).await.unwrap()
    }

    async fn later(&mut self, minutes: u64) -> Summary {
        self.now += Duration::from_mins(minutes);
        self.tick().await
    }

    fn completed(&self) -> Option<Value> {
        fixture::entries(&self.ledger, "restore-completed").pop()
    }

    fn count(&self, call: &str) -> usize {
        self.turso.calls().iter().filter(|made| made.split(' ').next() == Some(call)).count()
    }

    /// A recovery point of `orders` in the vaults of both Regions, of a file with that SQL carried out.
    pub(crate) fn point(&self, slot: &str, incarnation: &str, sql: &str) -> RecoveryPointId {
        let path = self.scratch.path().join("to-be-stored.db");
        _ = std::fs::remove_file(&path);
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute_batch(sql).unwrap();
        drop(file);
        let mut parts = Parts::new(std::fs::File::open(&path).unwrap(), 1 << 20).unwrap();
        let (mut body, mut digests) = (Vec::new(), Digests::new(1 << 20));
        while let Some(part) = parts.next_part().unwrap() {
            digests.add(&part);
            body.extend_from_slice(&part);
        }
        let slot = Slot::at(at(slot));
        let id = RecoveryPointId::new("orders", incarnation, slot, 1);
        let prefix = point_prefix(&ResourceId::turso("orders"), slot, &id);
        let manifest = Manifest {
            version: 1,
            id: id.clone(),
            resource: ResourceId::turso("orders"),
            incarnation: incarnation.to_owned(),
            slot,
            plan: "default".to_owned(),
            method: "page-export".to_owned(),
            taken_at: slot.instant() + Duration::from_secs(10),
            restorable_to: None,
            verified_at: slot.instant() + Duration::from_secs(20),
            objects: vec![digests.into_object("database.sqlite.zst")],
            source: Map::from_iter([("group".to_owned(), json!("production"))]),
            content: Map::new(),
        };
        for vault in [&self.vault, &self.away()] {
            vault.put(&format!("{prefix}database.sqlite.zst"), Bytes::from(body.clone()));
            vault.put(&format!("{prefix}{MANIFEST}"), manifest.to_json());
        }
        id
    }

    /// How many rows a table of a database has, asked as a client would.
    pub(crate) async fn rows(&self, name: &str, table: &str) -> u64 {
        let token = self.turso.token(name, Access::ReadOnly, Duration::from_mins(1)).await.unwrap();
        let hostname = self.turso.database(name).await.unwrap().unwrap().hostname;
        let at = Session { hostname, token, encryption_key: None };
        count::rows(&self.turso, &at, [table.to_owned()].iter()).await.unwrap()[table]
    }
}

fn to(to: &str) -> Value {
    json!({"resource": "turso/orders", "to": to, "as": "orders-2"})
}

fn vault(to: &str) -> Value {
    json!({"resource": "turso/orders", "to": to, "as": "orders-2", "from": "vault"})
}

const DOCUMENT: &str = "restores/turso/orders-2.json";
