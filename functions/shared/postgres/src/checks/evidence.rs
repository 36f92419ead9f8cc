//! What the checks of a drill leave: what is wrong, and what there is to know.

use serde::{Deserialize, Serialize};

use super::Fault;

/// How many findings, and how many notes, are told one by one, so that the evidence stays a small document.
const TOLD: usize = 100;

/// What is wrong, and what there is to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// What is wrong: the first 100. One is enough to fail the drill.
    pub findings: Vec<Finding>,
    /// How many more there are.
    pub more_findings: u64,
    /// What there is to know: the first 100.
    pub notes: Vec<Note>,
    /// How many more there are.
    pub more_notes: u64,
}

impl Evidence {
    pub(super) fn find(&mut self, relation: &str, oid: u32, block: Option<u32>, fault: Fault) {
        if self.findings.len() < TOLD {
            self.findings.push(Finding { relation: relation.to_owned(), oid, block, fault });
        } else {
            self.more_findings += 1;
        }
    }

    pub(super) fn note(&mut self, relation: &str, what: Remark) {
        if self.notes.len() < TOLD {
            self.notes.push(Note { relation: relation.to_owned(), what });
        } else {
            self.more_notes += 1;
        }
    }
}

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

/// What a reader of the evidence has to know to take it for no more than it is. It fails nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Schema and name, quoted where SQL asks for it.
    pub relation: String,
    /// What there is to know.
    pub what: Remark,
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
