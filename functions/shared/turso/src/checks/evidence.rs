//! What the checks of a drill leave: what is wrong, and what there is to know.

use serde::{Deserialize, Serialize};

use super::Fault;

/// What is wrong, and what there is to know.
pub type Evidence = domain::drill::evidence::Evidence<Finding, Note>;

/// Something wrong: it fails the drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The table; `None` if it is about the database as a whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub table: Option<String>,
    /// What is wrong.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Finding {
    pub(super) fn new(table: Option<&str>, fault: Fault) -> Self {
        Self { table: table.map(str::to_owned), fault }
    }
}

/// What a reader of the evidence has to know to take it for no more than it is. It fails nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The table; `None` if it is about the database as a whole.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub table: Option<String>,
    /// What there is to know.
    pub what: Remark,
    /// The server's words for it, if it said something.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub why: Option<String>,
}

impl Note {
    pub(super) fn new(table: Option<&str>, what: Remark, why: Option<String>) -> Self {
        Self { table: table.map(str::to_owned), what, why }
    }
}

/// What a [`Note`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remark {
    /// There is nothing to compare the counts with: they are only recorded.
    NotCompared,
    /// The server does not check its pages (`PRAGMA integrity_check`), or not in the time that it gives a statement.
    PagesNotChecked,
    /// The table's pages were checked, and it took too long to look up its rows in its indexes as well.
    IndexesNotChecked,
    /// It took too long to check the table's pages. Its rows were read.
    TableNotChecked,
}

/// What was read of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Its name.
    pub table: String,
    /// How many rows were read.
    pub rows: u64,
    /// How many bytes their values have, numbers as text.
    pub bytes: u64,
    /// Whether nothing was left out.
    pub is_whole: bool,
}
