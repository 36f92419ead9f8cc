//! What the checks of a drill leave: what is wrong, and what there is to know.

use serde::{Deserialize, Serialize};

use super::Fault;

/// What is wrong, and what there is to know.
pub type Evidence = domain::drill::evidence::Evidence<Finding, Note>;

/// Something wrong with a relation: it fails the drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Schema and name, quoted where SQL asks for it.
    pub relation: String,
    /// Its oid, the same in every copy of the cluster.
    pub oid: u32,
    /// The block of the relation, from 0 on; `None` if it is about the relation as a whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub block: Option<u32>,
    /// What is wrong.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Finding {
    pub(super) fn new(relation: &str, oid: u32, block: Option<u32>, fault: Fault) -> Self {
        Self { relation: relation.to_owned(), oid, block, fault }
    }
}

/// What a reader of the evidence has to know to take it for no more than it is. It fails nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Schema and name, quoted where SQL asks for it.
    pub relation: String,
    /// What there is to know.
    pub what: Remark,
}

impl Note {
    pub(super) fn new(relation: &str, what: Remark) -> Self {
        Self { relation: relation.to_owned(), what }
    }
}

/// What a [`Note`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remark {
    /// A foreign table: its rows are elsewhere, and were not read.
    ForeignTable,
    /// An unlogged table: it is empty after a restore (`PostgreSQL` documentation, "CREATE TABLE", UNLOGGED). What is in it now
    /// was read.
    Unlogged,
    /// A materialized view that was never filled: there is nothing to read.
    NotPopulated,
    /// The rows were read to the end, but it took too long to count them through an index as well.
    NotCountedThroughIndex,
    /// The index was checked, but it took too long to look for every row of the table in it.
    RowsNotLookedUp,
    /// It took too long to check the index.
    IndexNotChecked,
}

/// What was read of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Schema and name, quoted where SQL asks for it.
    pub relation: String,
    /// How many rows were read.
    pub rows: u64,
    /// How large they are in the form in which `PostgreSQL` sends them to clients in binary, what it keeps out of line or
    /// compressed included.
    pub bytes: u64,
    /// Whether nothing was left out.
    pub is_whole: bool,
}
