//! What a recovery point says that a database restored from it has.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a database must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "expected", content = "rows")]
pub enum Expected {
    /// These tables, each with as many rows, and no others: it was restored from the vault.
    Rows(BTreeMap<String, u64>),
    /// These tables; how many rows they have is recorded, and of others too: it is a branch, of which there is no manifest, and the tables are
    /// those that its source had both before and after.
    Tables(BTreeMap<String, u64>),
}

impl Expected {
    /// What stands in the content of the manifest of what was restored. What is wrong, if it cannot be read.
    pub fn of_content(content: &Map<String, Value>) -> Result<Self, String> {
        rows(content).map(Self::Rows)
    }

    /// For a branch, from the contents of the manifests of its source before and after it: what one of both does not have was made or
    /// dropped in between.
    pub fn of_neighbours(before: &Map<String, Value>, after: &Map<String, Value>) -> Result<Self, String> {
        let after = rows(after)?;
        let both = rows(before)?.into_iter().filter(|(table, _)| after.contains_key(table));
        Ok(Self::Tables(both.collect()))
    }

    pub(super) const fn tables(&self) -> &BTreeMap<String, u64> {
        match self {
            Self::Rows(tables) | Self::Tables(tables) => tables,
        }
    }
}

fn rows(content: &Map<String, Value>) -> Result<BTreeMap<String, u64>, String> {
    let rows = content.get("rows").and_then(|rows| BTreeMap::deserialize(rows).ok());
    rows.ok_or_else(|| "the manifest's content does not tell the rows of its tables".to_owned())
}
