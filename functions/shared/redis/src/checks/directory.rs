//! Whether an append-only directory that was put together holds what it should: pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::content::{Checker, recheck};

/// What is wrong with an append-only directory that was put together of the files of a recovery point.
///
/// `content` is its manifest's, `restored` what looked at each file of the directory from begin to end, by the names that the manifest has.
/// Without `until` the directory must be all of it, which is what [`recheck`] asks. With `until` it ends with that second: the base must be
/// whole, and so must every increment but the last that is there, which may be cut if it has later commands; none may hold a command of a later
/// second, or half of one, and none may be missing that has earlier ones. How many commands of the one that is cut are of which second the
/// manifest does not tell.
///
/// restore-database compares every byte that it reads with the vault's checksums, and then cuts by [`crate::aof::assemble`]; it records no
/// counts. This is for whoever reads what came of that.
pub fn directory(
    content: &Map<String, Value>,
    restored: &BTreeMap<String, Checker>,
    until: Option<Timestamp>,
) -> Result<(), String> {
    let Some(until) = until else { return recheck(content, restored) };
    let bases = restored.iter().filter(|(_, checker)| !matches!(checker, Checker::Increment(_)));
    let bases: BTreeMap<String, Checker> =
        bases.map(|(name, checker)| (name.clone(), checker.clone())).collect();
    recheck(content, &bases)?;
    let told = content.get("increments").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut ended: Option<&str> = None;
    for increment in told {
        let name = increment["object"].as_str().unwrap_or_default();
        let commands = increment["commands"].as_u64().unwrap_or(0);
        let dated = |edge: &str| increment[edge].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        let is_before = |edge: &str| dated(edge).is_some_and(|at| at.as_second() <= until.as_second());
        let Some(checker) = restored.get(name) else {
            if is_before("first") {
                return Err(format!("{name} is missing, and has commands up to {until}"));
            }
            ended = ended.or(Some(name));
            continue;
        };
        if let Some(ended) = ended {
            return Err(format!("{name} is there, and {ended} before it is cut off or missing"));
        }
        let Checker::Increment(scanner) = checker.clone() else {
            return Err(format!("{name} was read as something else"));
        };
        let found = scanner.finish();
        if let Some(broken) = &found.broken {
            return Err(format!("{name} is corrupt, {broken}"));
        }
        if found.torn_bytes() > 0 {
            return Err(format!("{name} ends with {} bytes of an incomplete command", found.torn_bytes()));
        }
        if found.commands > commands {
            return Err(format!(
                "{name} has {} commands, and the recovery point's has {commands}",
                found.commands
            ));
        }
        if found.commands < commands {
            if is_before("last") {
                let said = format!(
                    "{name} has {} commands, and all {commands} are of {until} or before",
                    found.commands
                );
                return Err(said);
            }
            ended = Some(name);
        }
        if let Some(last) = found.last.filter(|last| last.as_second() > until.as_second()) {
            return Err(format!("{name} has a command of {last}, which is after {until}"));
        }
    }
    Ok(())
}
