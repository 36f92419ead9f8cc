//! What a drill asks a restored `PostgreSQL` server: whether everything in it can be read, whether its heaps and indexes are
//! sound, what is in its catalog, whether the plan's assertions hold, and how new the newest commit is.
//!
//! A [`Session`] is the port: one connection to one database, with small questions. What takes long is asked in pieces, and
//! [`read_tables`] and [`check_structure`] go through them, as far as the time allows, in documents ([`Walk`],
//! [`Structure`]) that the next invocation goes on from. So these run over a fake as they do over a server.
//!
//! A check that fails gives evidence: relations, blocks, codes, and of an assertion one value. Rows are not kept, and never
//! leave the server.

mod amcheck;
pub mod assertions;
mod catalog;
mod client;
mod commits;
mod evidence;
#[cfg(feature = "fake")]
pub mod fake;
mod fault;
mod queries;
mod tables;
mod walk;

use std::{future::Future, time::Duration};

pub use amcheck::{Indexes, Structure, check_structure};
pub use catalog::{Catalog, Collation, Counts, Difference, DifferenceKind, Role, compare};
pub use client::ClientSession;
pub use commits::Commits;
pub use evidence::{Counted, Evidence, Finding, Note, Remark};
pub use fault::{Fault, FaultKind};
use reconcile::Result;
use secrets::Credentials;
use serde::{Deserialize, Serialize};
pub use tables::read_tables;
pub use walk::Walk;

use crate::{Server, TlsPostgres};
use assertions::Answer;

/// Servers whose databases can be checked.
pub trait Checks {
    /// A connection to one database.
    type Session: Session;

    /// Connects to one database of a restored server.
    fn open(&self, server: &Server, credentials: &Credentials)
    -> impl Future<Output = Result<Self::Session>>;
}

impl Checks for TlsPostgres {
    type Session = ClientSession;

    /// Every failure to connect is retryable: a restored server first replays its log.
    async fn open(&self, server: &Server, credentials: &Credentials) -> Result<ClientSession> {
        Ok(ClientSession::new(self.connect(server, credentials).await?))
    }
}

/// What kind of relation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// An ordinary table or the leaf of a partitioned one.
    Table,
    /// A materialized view.
    MaterializedView {
        /// `false` for one made `WITH NO DATA`.
        is_populated: bool,
    },
    /// A foreign table.
    ForeignTable,
    /// Where the large values of a table are. Read with its table, and verified by itself.
    Toast,
}

/// A relation that has, or stands for, rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Its oid in `pg_class`.
    pub oid: u32,
    /// Schema and name, quoted where SQL asks for it: as `PostgreSQL`'s `format('%I.%I')` writes them.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// Whether it was made with `UNLOGGED`.
    pub is_unlogged: bool,
    /// Whether row-level security would hide rows from this role.
    pub has_row_security: bool,
    /// Whether there is a valid B-tree index in which every row must be: one that is not partial.
    pub has_full_index: bool,
}

/// A B-tree index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its oid in `pg_class`.
    pub oid: u32,
    /// Schema and name, quoted where SQL asks for it.
    pub name: String,
}

/// A range of a relation's blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The first.
    pub from: u32,
    /// The one after the last.
    pub to: u32,
    /// Whether the relation ends with it. Then what lies behind `to` belongs to it too: a relation may grow.
    pub is_last: bool,
}

impl Blocks {
    /// How many there are.
    pub const fn len(self) -> u32 {
        self.to.saturating_sub(self.from)
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What was read of a range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many rows.
    pub rows: u64,
    /// How many bytes, as in [`Counted`].
    pub bytes: u64,
}

/// What `verify_heapam` says of a row or a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The block it is in.
    pub block: Option<u32>,
    /// `verify_heapam`'s words, which name offsets and attributes by number.
    pub message: String,
}

/// Whether the extension `amcheck` is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "amcheck")]
pub enum Amcheck {
    /// It is, and this role may use it.
    Available {
        /// The schema of its functions.
        schema: String,
        /// Its version, such as `1.5`.
        version: String,
        /// Whether it can verify heaps: from 1.3 on, which came with `PostgreSQL` 14.
        verifies_heaps: bool,
    },
    /// It is not: nothing was checked with it, which is not the same as that nothing is wrong.
    NotAvailable {
        /// Why.
        reason: String,
    },
}

/// A connection to one database of a restored server.
///
/// Everything is asked in transactions that write nothing, but for what [`Session::amcheck`] is allowed to. `within` ends a
/// question with [`FaultKind::TimeLimit`]. Relations come in the order of their oids.
pub trait Session {
    /// The databases of the server that can be connected to, in the order of their names: neither `template0`, `template1` nor
    /// `rdsadmin`, which RDS keeps for itself; nor those whose `DROP DATABASE` was cut off (`datconnlimit` -2).
    fn databases(&self) -> impl Future<Output = Result<Vec<String>, Fault>>;

    /// The relations with users' rows whose oid is `from` or larger: of every schema, but for those of `PostgreSQL` itself and other
    /// sessions' temporary ones. `pg_largeobject` is among them where there are large objects.
    fn tables(&self, from: u32) -> impl Future<Output = Result<Vec<Relation>, Fault>>;

    /// All relations of the database that are heaps and whose oid is `from` or larger: with those of `PostgreSQL` itself.
    fn heaps(&self, from: u32) -> impl Future<Output = Result<Vec<Relation>, Fault>>;

    /// All valid B-tree indexes of the database whose oid is `from` or larger.
    fn indexes(&self, from: u32) -> impl Future<Output = Result<Vec<Index>, Fault>>;

    /// How many blocks a relation has; `None` if it is gone.
    fn blocks(&self, oid: u32) -> impl Future<Output = Result<Option<u32>, Fault>>;

    /// Reads all columns of all rows in a range.
    fn read(
        &self,
        relation: &Relation,
        blocks: Blocks,
        within: Duration,
    ) -> impl Future<Output = Result<Tally, Fault>>;

    /// How many rows an index of the table leads to.
    fn rows_by_index(
        &self,
        relation: &Relation,
        within: Duration,
    ) -> impl Future<Output = Result<u64, Fault>>;

    /// How many rows the table has, and how many an index of it leads to, in one snapshot.
    fn rows_both_ways(
        &self,
        relation: &Relation,
        within: Duration,
    ) -> impl Future<Output = Result<(u64, u64), Fault>>;

    /// Whether `amcheck` is there. If it is not and `may_create`, `CREATE EXTENSION` is tried: for a copy that is torn down.
    fn amcheck(&self, may_create: bool) -> impl Future<Output = Result<Amcheck, Fault>>;

    /// `verify_heapam` of a range: what is wrong with it, at most 20 rows of it. `schema` is where `amcheck` is.
    fn verify_heap(
        &self,
        schema: &str,
        relation: &Relation,
        blocks: Blocks,
        within: Duration,
    ) -> impl Future<Output = Result<Vec<Damage>, Fault>>;

    /// `bt_index_check`; with `every_row`, each row of the table must be in the index too (`heapallindexed`).
    fn verify_index(
        &self,
        schema: &str,
        index: &Index,
        every_row: bool,
        within: Duration,
    ) -> impl Future<Output = Result<(), Fault>>;

    /// What the catalogs say.
    fn catalog(&self) -> impl Future<Output = Result<Catalog, Fault>>;

    /// What a statement answers. It runs in a read-only transaction, and must be one statement with a result.
    fn answer(&self, sql: &str, within: Duration) -> impl Future<Output = Result<Answer, Fault>>;

    /// How new the newest commit is.
    fn commits(&self) -> impl Future<Output = Result<Commits, Fault>>;
}
