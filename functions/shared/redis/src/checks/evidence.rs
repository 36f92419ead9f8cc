//! What the checks of a drill leave: what is wrong, and what there is to know.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Fault;

/// How much of a key's digest is told, in bytes: enough to find it among those that there are.
const MARK: usize = 8;

/// What is wrong, and what there is to know.
pub type Evidence = domain::drill::evidence::Evidence<Finding, Note>;

/// What something is about. What is left away is about all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The shard, by the host and port of its primary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<String>,
    /// The logical database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<u32>,
    /// The type, as `TYPE` names it.
    #[serde(skip_serializing_if = "Option::is_none", rename = "type")]
    pub kind: Option<String>,
    /// The first 16 digits, in hex, of the key's SHA-256: a key may be somebody's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_sha256: Option<String>,
}

impl Place {
    /// A database of all shards together.
    pub(super) fn database(database: u32) -> Self {
        Self { database: Some(database), ..Self::default() }
    }

    /// A type in all databases together.
    pub(super) fn kind(kind: &str) -> Self {
        Self { kind: Some(kind.to_owned()), ..Self::default() }
    }

    pub(super) fn of_key(mut self, kind: &str, key: &[u8]) -> Self {
        self.kind = Some(kind.to_owned());
        self.key_sha256 = Some(HEXLOWER.encode(&Sha256::digest(key)[..MARK]));
        self
    }
}

/// Something wrong: it fails the drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Finding {
    pub(super) const fn new(place: Place, fault: Fault) -> Self {
        Self { place, fault }
    }
}

/// What a reader of the evidence has to know to take it for no more than it is. It fails nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// What there is to know.
    pub what: Remark,
}

impl Note {
    pub(super) const fn new(place: Place, what: Remark) -> Self {
        Self { place, what }
    }
}

/// What a [`Note`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remark {
    /// There is nothing to compare the counts with: they are only recorded.
    NotCompared,
    /// The recovery point does not tell when its keys expire, so that none of those that do is missed.
    ExpiriesNotKnown,
    /// Keys that have expired are still counted: a server removes them little by little.
    ExpiredStillCounted,
    /// The server does not say where the keys of its cluster are. Those of the server that was asked were looked at.
    ShardsNotTold,
    /// The server does not say which databases have keys (`INFO keyspace`). Those of the recovery point were looked at.
    DatabasesNotTold,
    /// The server does not count its keys (`DBSIZE`). Those that `SCAN` gave were counted instead.
    NotCounted,
    /// The server does not list its keys (`SCAN`): none was read.
    NotListed,
    /// The server does not tell which function libraries it has.
    FunctionsNotTold,
    /// Keys of a module, or of a type that is not known: they were counted, and not read.
    TypeNotRead,
    /// A key whose value is too large to be read; how many elements it has was asked.
    TooLarge,
    /// A hash has fewer fields than it says, on a server where fields expire by themselves.
    FieldsMayHaveExpired,
}
