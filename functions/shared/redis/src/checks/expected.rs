//! What a recovery point says that a server restored from it has.

use std::{collections::BTreeMap, ops::RangeInclusive};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::rdb::{Expiries, Keys, Kind};

/// What a server must have, by the manifest of the recovery point that it was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Keys, and those of them that expire, by database.
    pub(super) databases: BTreeMap<u32, Keys>,
    pub(super) total: Keys,
    pub(super) kinds: BTreeMap<Kind, u64>,
    pub(super) functions: u64,
    /// Keys that had expired when the recovery point was taken.
    expired_before: u64,
    /// When the others do, of each file; `None` of a manifest that does not say.
    expiries: Option<Vec<Expiries>>,
}

impl Expected {
    /// How many keys it has.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total.total
    }

    /// Reads the content of a manifest, as [`crate::content::summary`] and [`crate::content::shard`] write it. What is wrong, if it cannot
    /// be read.
    pub fn of_content(content: &Map<String, Value>) -> Result<Self, String> {
        let keys_by_database: BTreeMap<u32, u64> = field(content, "keys_by_database")?;
        let total = Keys { total: field(content, "keys")?, expiring: field(content, "expiring")? };
        let files = content.get("shards").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let read = |name: &str| files.iter().map(|file| file.get(name)).collect::<Option<Vec<_>>>();
        let by_file: Option<Vec<BTreeMap<u32, Keys>>> =
            read("databases").and_then(|all| all.into_iter().map(parsed).collect());
        let expiries =
            read("expiries").and_then(|all| all.into_iter().map(parsed).collect::<Option<Vec<Expiries>>>());
        let expiring = |database: u32, keys: u64| match &by_file {
            Some(files) if !files.is_empty() => {
                files.iter().filter_map(|file| file.get(&database)).map(|keys| keys.expiring).sum()
            }
            // All of them may be of this database.
            _ => total.expiring.min(keys),
        };
        let databases = keys_by_database
            .into_iter()
            .map(|(database, keys)| (database, Keys { total: keys, expiring: expiring(database, keys) }));
        Ok(Self {
            databases: databases.collect(),
            total,
            kinds: field(content, "keys_by_kind")?,
            functions: field(content, "functions")?,
            expired_before: field(content, "expired_at_least")?,
            expiries: expiries.filter(|all| !all.is_empty()),
        })
    }

    /// How many keys may have expired at `instant`, at most.
    pub(super) fn gone_at(&self, instant: Timestamp) -> u64 {
        match &self.expiries {
            Some(files) => {
                files.iter().map(|file| *file.gone_at(instant).end()).sum::<u64>().min(self.total.expiring)
            }
            None => self.total.expiring,
        }
    }

    /// How many keys a server has at `instant`: fewest and most. One that loads the recovery point leaves away what has expired by then;
    /// what expires later it counts until it removes it.
    pub fn keys_at(&self, instant: Timestamp) -> RangeInclusive<u64> {
        let most = self.total.total.saturating_sub(self.expired_before);
        self.total.total.saturating_sub(self.gone_at(instant)).min(most)..=most
    }

    /// The fewest keys that a database has, if so many may have expired in all.
    pub(super) fn fewest(keys: &Keys, gone: u64) -> u64 {
        keys.total.saturating_sub(keys.expiring.min(gone))
    }

    /// Whether it says when keys expire, where any do.
    pub(super) fn knows_expiries(&self) -> bool {
        self.expiries.is_some() || self.total.expiring == 0
    }

    /// Keys of databases that the manifest does not tell one by one.
    pub(super) fn in_further_databases(&self) -> u64 {
        self.total.total.saturating_sub(self.databases.values().map(|keys| keys.total).sum())
    }
}

fn parsed<T: DeserializeOwned>(value: &Value) -> Option<T> {
    T::deserialize(value).ok()
}

fn field<T: DeserializeOwned>(content: &Map<String, Value>, name: &str) -> Result<T, String> {
    content
        .get(name)
        .and_then(parsed)
        .ok_or_else(|| format!("the manifest's content does not tell its {name}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content() -> Map<String, Value> {
        let content = json!({
            "keys": 110, "expiring": 30, "keys_by_kind": {"string": 100, "sorted_set": 10}, "keys_by_database": {"0": 100, "7": 10},
            "expired_at_least": 4, "expired_at_most": 5, "functions": 1,
        });
        content.as_object().unwrap().clone()
    }

    #[test]
    fn without_times_of_expiry_none_of_those_that_expire_is_missed() {
        let expected = Expected::of_content(&content()).unwrap();
        assert_eq!(expected.keys_at(Timestamp::UNIX_EPOCH), 80..=106);
        assert_eq!(expected.databases[&0].expiring, 30);
        assert_eq!(expected.databases[&7].expiring, 10);
        assert!(!expected.knows_expiries() && expected.kinds[&Kind::SortedSet] == 10);
    }

    #[test]
    fn a_manifest_without_counts_is_none() {
        for name in ["keys", "keys_by_kind", "keys_by_database", "expiring", "functions", "expired_at_least"]
        {
            let mut content = content();
            content.remove(name);
            assert!(Expected::of_content(&content).unwrap_err().ends_with(name));
        }
    }
}
