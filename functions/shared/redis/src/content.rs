//! What is in the files of a recovery point: looked at while their bytes go by, told in its manifest, and compared with that
//! when they are looked at again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    aof::{BaseScanner, IncrReport, IncrScanner},
    rdb::{Inspector, Kind, Report, Verdict},
};

/// What looks at the bytes of a file while they go by.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checker {
    /// An RDB that ElastiCache exported.
    Rdb(Box<Inspector>),
    /// The base of an append-only directory.
    Base(Box<BaseScanner>),
    /// An increment of one.
    Increment(Box<IncrScanner>),
}

impl Checker {
    /// How many bytes it has seen.
    pub fn offset(&self) -> u64 {
        match self {
            Self::Rdb(inspector) => inspector.offset(),
            Self::Base(scanner) => scanner.offset(),
            Self::Increment(scanner) => scanner.offset(),
        }
    }

    /// The next bytes; what is wrong with them, if they cannot be read any further.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        match self {
            Self::Rdb(inspector) => inspector.feed(bytes).map_err(|corrupt| corrupt.to_string()),
            // It keeps what is wrong to itself until its end.
            Self::Base(scanner) => {
                scanner.feed(bytes);
                Ok(())
            }
            Self::Increment(scanner) => scanner.feed(bytes).map_err(|broken| broken.to_string()),
        }
    }
}

/// What is in all of the files together.
pub fn summary<'r>(
    reports: impl Iterator<Item = &'r Report>,
    taken_at: Option<Timestamp>,
) -> Map<String, Value> {
    let (mut keys, mut expiring, mut functions, mut least, mut most) = (0, 0, 0, 0, 0);
    let mut kinds: BTreeMap<Kind, u64> = BTreeMap::new();
    let mut databases: BTreeMap<u32, u64> = BTreeMap::new();
    for report in reports {
        keys += report.keys();
        expiring += report.expiring();
        // Each shard has them all.
        functions = functions.max(report.functions);
        for (kind, count) in &report.kinds {
            *kinds.entry(*kind).or_default() += count;
        }
        for (database, found) in &report.databases {
            *databases.entry(*database).or_default() += found.total;
        }
        if let Some(gone) = taken_at.or(report.created).map(|at| report.expiries.gone_at(at)) {
            least += gone.start();
            most += gone.end();
        }
    }
    Map::from_iter([
        ("keys".to_owned(), keys.into()),
        ("keys_by_kind".to_owned(), json!(kinds)),
        ("keys_by_database".to_owned(), json!(databases)),
        ("expiring".to_owned(), expiring.into()),
        ("expired_at_least".to_owned(), least.into()),
        ("expired_at_most".to_owned(), most.into()),
        ("functions".to_owned(), functions.into()),
    ])
}

/// What is in one file.
pub fn shard(name: &str, report: &Report) -> Value {
    json!({
        "object": name,
        "rdb_version": report.rdb_version,
        "engine": report.engine.as_ref().map(|engine| if engine.valkey { "valkey" } else { "redis" }),
        "engine_version": report.engine.as_ref().map(|engine| &engine.version),
        "created": report.created,
        "used_memory_bytes": report.used_memory_bytes,
        "keys": report.keys(),
        "expiring": report.expiring(),
        "databases": report.databases,
        "kinds": report.kinds,
        "expiries": report.expiries,
        "functions": report.functions,
        "checksum": report.verdict == Verdict::Verified,
    })
}

/// What is in one increment.
pub fn increment(name: &str, report: &IncrReport) -> Value {
    json!({
        "object": name,
        "commands": report.commands,
        "undated_commands": report.undated_commands,
        "first": report.first,
        "last": report.last,
        "torn_bytes": report.torn_bytes(),
        "clock_set_back": report.clock_set_back,
    })
}

/// What a look at the same files must find again. That of keys of which it depends on the day, how many have expired, is none of it.
const LASTING: [&str; 5] = ["keys", "keys_by_kind", "keys_by_database", "expiring", "functions"];

impl Checker {
    /// What looks at that file of a recovery point, by what its manifest tells; nothing at one that holds no data, an archive's
    /// own manifest.
    pub fn of_stored(content: &Map<String, Value>, name: &str, bytes: u64) -> Option<Self> {
        let Some(base) = content.get("base") else {
            return Some(Self::Rdb(Box::new(Inspector::with_length(bytes))));
        };
        if base["object"] == name {
            return Some(Self::Base(Box::default()));
        }
        let is_increment = increments(content).any(|increment| increment["object"] == name);
        is_increment.then(|| Self::Increment(Box::new(IncrScanner::new(None))))
    }
}

fn increments(content: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    content.get("increments").and_then(Value::as_array).into_iter().flatten()
}

/// Compares what was found in all files, each read to its end, with what the manifest tells. What is wrong, if they differ or
/// cannot be loaded.
pub fn recheck(content: &Map<String, Value>, checked: &BTreeMap<String, Checker>) -> Result<(), String> {
    let mut reports = Vec::new();
    for (name, checker) in checked {
        match checker.clone() {
            Checker::Rdb(inspector) => {
                let report = inspector.finish(None);
                if let Verdict::Corrupt(why) = &report.verdict {
                    return Err(format!("{name} is corrupt, {why}"));
                }
                reports.push(report);
            }
            Checker::Base(base) => {
                let base = base.finish();
                if let Some(defect) = base.defect() {
                    return Err(format!("{name} is corrupt, {defect}"));
                }
                reports.extend(base.rdb);
            }
            Checker::Increment(scanner) => recheck_increment(content, name, &scanner.finish())?,
        }
    }
    let found = summary(reports.iter(), None);
    LASTING.into_iter().try_for_each(|key| same(key, content.get(key), found.get(key)))
}

fn recheck_increment(content: &Map<String, Value>, name: &str, found: &IncrReport) -> Result<(), String> {
    if let Some(broken) = &found.broken {
        return Err(format!("{name} is corrupt, {broken}"));
    }
    let told = increments(content).find(|increment| increment["object"] == name);
    let found = increment(name, found);
    let keys = ["commands", "undated_commands", "torn_bytes"];
    keys.into_iter().try_for_each(|key| {
        same(&format!("{key} of {name}"), told.and_then(|told| told.get(key)), found.get(key))
    })
}

fn same(what: &str, told: Option<&Value>, found: Option<&Value>) -> Result<(), String> {
    let (told, found) = (told.unwrap_or(&Value::Null), found.unwrap_or(&Value::Null));
    if told == found {
        Ok(())
    } else {
        Err(format!("it holds {found} as its {what}; the manifest says {told}"))
    }
}
