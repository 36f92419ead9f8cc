use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of store that a protected resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// RDS for PostgreSQL.
    Rds,
    /// ElastiCache for Redis or Valkey.
    Redis,
    /// Turso (libSQL).
    Turso,
}

impl Engine {
    /// Every engine, in the order that people list them.
    pub const ALL: [Self; 3] = [Self::Rds, Self::Redis, Self::Turso];

    /// The word for it in plans, ledger keys, metrics and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rds => "rds",
            Self::Redis => "redis",
            Self::Turso => "turso",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which protected resource: an engine and the name by which its provider knows it, printed `rds/orders`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct ResourceId {
    /// The kind of store.
    pub engine: Engine,
    /// The provider's name, e.g. a DB instance identifier.
    pub name: String,
}

impl ResourceId {
    /// An RDS instance by its DB instance identifier.
    pub fn rds(name: impl Into<String>) -> Self {
        Self { engine: Engine::Rds, name: name.into() }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.engine, self.name)
    }
}

impl From<ResourceId> for String {
    fn from(id: ResourceId) -> Self {
        id.to_string()
    }
}
