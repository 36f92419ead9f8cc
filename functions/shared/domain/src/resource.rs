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
    /// None: Tidemark itself, its functions and alarms, which fail too and are told of in the same words.
    Tidemark,
}

impl Engine {
    /// Every engine that a plan can protect, in the order that people list them.
    pub const PROTECTED: [Self; 3] = [Self::Rds, Self::Redis, Self::Turso];

    /// The word for it in plans, ledger keys, metrics and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rds => "rds",
            Self::Redis => "redis",
            Self::Turso => "turso",
            Self::Tidemark => "tidemark",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which resource: an engine and the name by which its provider knows it, printed `rds/orders`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
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

    /// An ElastiCache cache, or a directory of a Redis or Valkey that its owner runs, by its name.
    pub fn redis(name: impl Into<String>) -> Self {
        Self { engine: Engine::Redis, name: name.into() }
    }

    /// A Turso database by its name.
    pub fn turso(name: impl Into<String>) -> Self {
        Self { engine: Engine::Turso, name: name.into() }
    }

    /// A part of Tidemark, e.g. the function `backup-rds`.
    pub fn tidemark(part: impl Into<String>) -> Self {
        Self { engine: Engine::Tidemark, name: part.into() }
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

/// A text that is no resource's.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no resource: expected <engine>/<name>, such as \"rds/orders\"")]
pub struct InvalidResourceId(String);

impl TryFrom<String> for ResourceId {
    type Error = InvalidResourceId;

    fn try_from(text: String) -> Result<Self, InvalidResourceId> {
        let known = [Engine::Rds, Engine::Redis, Engine::Turso, Engine::Tidemark];
        let parsed = text.split_once('/').and_then(|(engine, name)| {
            let engine = known.into_iter().find(|known| known.as_str() == engine)?;
            (!name.is_empty()).then(|| Self { engine, name: name.to_owned() })
        });
        parsed.ok_or(InvalidResourceId(text))
    }
}
