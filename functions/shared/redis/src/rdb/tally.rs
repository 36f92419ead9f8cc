use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::report::{Engine, Expiries, Keys, Kind, Report, Verdict};

/// Counted each by itself; a server has 16 unless told otherwise.
const DATABASES: usize = 1024;

/// What has been seen so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tally {
    /// The next key's.
    expiry_ms: Option<i64>,
    engine: Option<Engine>,
    created: Option<Timestamp>,
    used_memory_bytes: Option<u64>,
    append_only_base: bool,
    /// The database that keys go into now, with what went into it since it was selected.
    database: (u32, Keys),
    databases: BTreeMap<u32, Keys>,
    in_further_databases: Keys,
    /// By [`Kind::ALL`].
    kinds: Vec<u64>,
    functions: u64,
    expiries: Expiries,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            expiry_ms: None,
            engine: None,
            created: None,
            used_memory_bytes: None,
            append_only_base: false,
            database: (0, Keys::default()),
            databases: BTreeMap::new(),
            in_further_databases: Keys::default(),
            kinds: vec![0; Kind::ALL.len()],
            functions: 0,
            expiries: Expiries::default(),
        }
    }
}

/// The auxiliary fields that are of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Field {
    RedisVersion,
    ValkeyVersion,
    Created,
    UsedMemory,
    AppendOnlyBase,
    Other,
}

impl Field {
    pub(super) fn of(name: &str) -> Self {
        match name {
            "redis-ver" => Self::RedisVersion,
            "valkey-ver" => Self::ValkeyVersion,
            "ctime" => Self::Created,
            "used-mem" => Self::UsedMemory,
            "aof-base" => Self::AppendOnlyBase,
            _ => Self::Other,
        }
    }
}

impl Tally {
    pub(super) fn expires(&mut self, at_ms: i64) {
        self.expiry_ms = Some(at_ms);
    }

    pub(super) fn function(&mut self) {
        self.functions += 1;
    }

    pub(super) fn enter_database(&mut self, number: u32) {
        self.leave_database();
        self.database.0 = number;
    }

    #[inline]
    pub(super) fn key(&mut self, kind: Kind) {
        if let Some(count) = self.kinds.get_mut(kind as usize) {
            *count += 1;
        }
        self.database.1.total += 1;
        if let Some(expiry_ms) = self.expiry_ms.take() {
            self.database.1.expiring += 1;
            self.expiries.add(expiry_ms);
        }
    }

    fn leave_database(&mut self) {
        let (number, keys) = (self.database.0, std::mem::take(&mut self.database.1));
        if keys.total == 0 {
            return;
        }
        let known = self.databases.len() < DATABASES || self.databases.contains_key(&number);
        let sum =
            if known { self.databases.entry(number).or_default() } else { &mut self.in_further_databases };
        sum.total += keys.total;
        sum.expiring += keys.expiring;
    }

    /// What a field says counts the first time: the server writes each once, before the keys.
    pub(super) fn learn(&mut self, field: Field, value: String) {
        match field {
            Field::Created if self.created.is_none() => {
                self.created = value.parse().ok().and_then(|second| Timestamp::from_second(second).ok());
                if let Some(created) = self.created {
                    self.expiries.count_from(created.as_millisecond());
                }
            }
            Field::RedisVersion | Field::ValkeyVersion if self.engine.is_none() => {
                self.engine = Some(Engine { valkey: field == Field::ValkeyVersion, version: value });
            }
            Field::UsedMemory if self.used_memory_bytes.is_none() => {
                self.used_memory_bytes = value.parse().ok();
            }
            Field::AppendOnlyBase => self.append_only_base |= value == "1",
            _ => {}
        }
    }

    pub(super) fn report(mut self, verdict: Verdict, bytes: u64, rdb_version: String) -> Report {
        self.leave_database();
        Report {
            verdict,
            bytes,
            rdb_version,
            engine: self.engine,
            created: self.created,
            used_memory_bytes: self.used_memory_bytes,
            append_only_base: self.append_only_base,
            databases: self.databases,
            in_further_databases: self.in_further_databases,
            kinds: Kind::ALL.into_iter().zip(self.kinds).filter(|(_, count)| *count > 0).collect(),
            functions: self.functions,
            expiries: self.expiries,
        }
    }
}
