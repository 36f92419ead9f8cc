//! A restored server in memory, in which a test breaks what it likes.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use reconcile::{Error, Result};
use secrets::Credentials;

use super::{
    Amcheck, Blocks, Catalog, Checks, Commits, Damage, Fault, FaultKind, Index, Relation, RelationKind,
    Session, Tally,
    assertions::{Answer, Cell, CellKind},
};
use crate::{Postgres, Server};

/// How large every row of a fake is.
pub const ROW_BYTES: u64 = 100;

/// A server. Clones are the same server.
#[derive(Clone, Debug, Default)]
pub struct FakeServer {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    databases: BTreeMap<String, FakeDatabase>,
    refused: VecDeque<Error>,
    faults: VecDeque<Fault>,
    opened: u32,
}

/// A database of it.
#[derive(Clone, Debug)]
pub struct FakeDatabase {
    /// Its tables, in the order of their oids.
    pub tables: Vec<FakeTable>,
    /// Its indexes, in the order of their oids, each with what the check of it says.
    pub indexes: Vec<(Index, Option<Fault>)>,
    /// What statements answer. Others are refused.
    pub answers: BTreeMap<String, Result<Answer, Fault>>,
    /// What [`Session::catalog`] answers.
    pub catalog: Catalog,
    /// What [`Session::commits`] answers.
    pub commits: Commits,
    /// What [`Session::amcheck`] answers.
    pub amcheck: Amcheck,
}

/// A table of it.
#[derive(Clone, Debug)]
pub struct FakeTable {
    /// What [`Session::tables`] says of it.
    pub relation: Relation,
    /// How many rows are in each block.
    pub blocks: Vec<u64>,
    /// Blocks that cannot be read.
    pub faults: BTreeMap<u32, Fault>,
    /// Blocks in which `verify_heapam` finds something.
    pub damages: BTreeMap<u32, String>,
    /// How many rows more an index of it leads to than there are.
    pub lost: u64,
}

impl FakeTable {
    /// A sound one, with so many rows in each block and an index.
    pub fn new(oid: u32, name: &str, blocks: &[u64]) -> Self {
        let relation = Relation {
            oid,
            name: name.to_owned(),
            kind: RelationKind::Table,
            is_unlogged: false,
            has_row_security: false,
            has_full_index: true,
        };
        let (faults, damages) = (BTreeMap::new(), BTreeMap::new());
        Self { relation, blocks: blocks.to_vec(), faults, damages, lost: 0 }
    }

    fn rows(&self) -> u64 {
        self.blocks.iter().sum()
    }
}

impl Default for FakeDatabase {
    /// An empty one, with `amcheck`.
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            indexes: Vec::new(),
            answers: BTreeMap::new(),
            catalog: Catalog::default(),
            commits: Commits {
                started_at: Timestamp::UNIX_EPOCH,
                last_committed_at: None,
                last_replayed_at: None,
                last_replayed_lsn: None,
                is_in_recovery: false,
            },
            amcheck: Amcheck::Available {
                schema: "public".to_owned(),
                version: "1.5".to_owned(),
                verifies_heaps: true,
            },
        }
    }
}

impl FakeServer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds or replaces a database.
    pub fn put(&self, name: &str, database: FakeDatabase) {
        self.state().databases.insert(name.to_owned(), database);
    }

    /// The next connection is refused.
    pub fn refuse_next(&self, error: Error) {
        self.state().refused.push_back(error);
    }

    /// The next question of any session fails.
    pub fn fail_next(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// How many sessions were opened.
    pub fn opened(&self) -> u32 {
        self.state().opened
    }
}

/// The answer of a statement with one number.
pub fn number(value: i64) -> Answer {
    let cell = Cell { kind: CellKind::Number, text: Some(value.to_string()) };
    Answer { columns: 1, rows: 1, first: Some(cell) }
}

/// The answer of a statement with one text.
pub fn text(value: impl Into<String>) -> Answer {
    let cell = Cell { kind: CellKind::Text, text: Some(value.into()) };
    Answer { columns: 1, rows: 1, first: Some(cell) }
}

/// A connection to one of its databases.
#[derive(Clone, Debug)]
pub struct FakeSession {
    server: FakeServer,
    database: String,
}

impl Checks for FakeServer {
    type Session = FakeSession;

    async fn open(&self, server: &Server, _: &Credentials) -> Result<FakeSession> {
        let mut state = self.state();
        if let Some(error) = state.refused.pop_front() {
            return Err(error);
        }
        if !state.databases.contains_key(&server.database) {
            // As the server says it when it does not have the database.
            return Err(Error::retryable("3D000", format!("no database {}", server.database)));
        }
        state.opened += 1;
        drop(state);
        Ok(FakeSession { server: self.clone(), database: server.database.clone() })
    }
}

impl Postgres for FakeServer {
    async fn first_query(&self, server: &Server, credentials: &Credentials) -> Result<()> {
        self.open(server, credentials).await.map(drop)
    }
}

impl FakeSession {
    fn ask<T>(&self, ask: impl FnOnce(&FakeDatabase) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut state = self.server.state();
        if let Some(fault) = state.faults.pop_front() {
            return Err(fault);
        }
        let gone = || Fault::new(FaultKind::Unavailable, "the database is gone");
        ask(state.databases.get(&self.database).ok_or_else(gone)?)
    }

    fn of_table<T>(&self, oid: u32, ask: impl FnOnce(&FakeTable) -> Result<T, Fault>) -> Result<T, Fault> {
        self.ask(|database| {
            let table = database.tables.iter().find(|table| table.relation.oid == oid);
            ask(table.ok_or_else(|| Fault::of("42P01", "no such table"))?)
        })
    }

    fn relations(&self, from: u32) -> Result<Vec<Relation>, Fault> {
        self.ask(|database| {
            let relations = database.tables.iter().map(|table| table.relation.clone());
            Ok(relations.filter(|relation| relation.oid >= from).collect())
        })
    }
}

impl Session for FakeSession {
    async fn databases(&self) -> Result<Vec<String>, Fault> {
        self.ask(|_| Ok(()))?;
        Ok(self.server.state().databases.keys().cloned().collect())
    }

    async fn tables(&self, from: u32) -> Result<Vec<Relation>, Fault> {
        self.relations(from)
    }

    async fn heaps(&self, from: u32) -> Result<Vec<Relation>, Fault> {
        self.relations(from)
    }

    async fn indexes(&self, from: u32) -> Result<Vec<Index>, Fault> {
        self.ask(|database| {
            let indexes = database.indexes.iter().map(|(index, _)| index.clone());
            Ok(indexes.filter(|index| index.oid >= from).collect())
        })
    }

    async fn blocks(&self, oid: u32) -> Result<Option<u32>, Fault> {
        self.of_table(oid, |table| Ok(u32::try_from(table.blocks.len()).ok()))
    }

    async fn read(&self, relation: &Relation, blocks: Blocks, _: Duration) -> Result<Tally, Fault> {
        self.of_table(relation.oid, |table| {
            let to = if blocks.is_last { u32::MAX } else { blocks.to };
            if let Some((_, fault)) =
                table.faults.iter().find(|(block, _)| (blocks.from..to).contains(*block))
            {
                return Err(fault.clone());
            }
            let numbered = (0_u32..).zip(&table.blocks);
            let rows =
                numbered.filter(|(block, _)| (blocks.from..to).contains(block)).map(|(_, rows)| *rows).sum();
            Ok(Tally { rows, bytes: rows * ROW_BYTES })
        })
    }

    async fn rows_by_index(&self, relation: &Relation, _: Duration) -> Result<u64, Fault> {
        self.of_table(relation.oid, |table| Ok(table.rows() + table.lost))
    }

    async fn rows_both_ways(&self, relation: &Relation, _: Duration) -> Result<(u64, u64), Fault> {
        self.of_table(relation.oid, |table| Ok((table.rows(), table.rows() + table.lost)))
    }

    async fn amcheck(&self, _: bool) -> Result<Amcheck, Fault> {
        self.ask(|database| Ok(database.amcheck.clone()))
    }

    async fn verify_heap(
        &self,
        _: &str,
        relation: &Relation,
        blocks: Blocks,
        _: Duration,
    ) -> Result<Vec<Damage>, Fault> {
        self.of_table(relation.oid, |table| {
            let damages = table.damages.range(blocks.from..blocks.to.max(blocks.from));
            Ok(damages
                .map(|(block, message)| Damage { block: Some(*block), message: message.clone() })
                .collect())
        })
    }

    async fn verify_index(&self, _: &str, index: &Index, _: bool, _: Duration) -> Result<(), Fault> {
        self.ask(|database| {
            let found = database.indexes.iter().find(|(one, _)| one.oid == index.oid);
            found.and_then(|(_, fault)| fault.clone()).map_or(Ok(()), Err)
        })
    }

    async fn catalog(&self) -> Result<Catalog, Fault> {
        self.ask(|database| Ok(database.catalog.clone()))
    }

    async fn answer(&self, sql: &str, _: Duration) -> Result<Answer, Fault> {
        self.ask(|database| {
            let unknown = || Err(Fault::of("42601", "the fake knows no such statement"));
            database.answers.get(sql).cloned().unwrap_or_else(unknown)
        })
    }

    async fn commits(&self) -> Result<Commits, Fault> {
        self.ask(|database| Ok(database.commits.clone()))
    }
}
