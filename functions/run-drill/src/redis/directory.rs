//! Whether an append-only directory that was put together is what was lost: every byte of it is read and understood once more.

use std::{collections::BTreeMap, time::Duration};

use domain::drill::history::Verdict;
use heartbeat::{Basis, Estimate, Unmeasured};
use reconcile::Result;
use redis::{checks, content::Checker, elasticache::ElastiCache};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use vault::{Manifest, Object, Store};

use super::RedisDrills;
use crate::{
    act::failed,
    drill::Drill,
    engine::{Checked, Turn},
    measure,
};

/// How far the checks have come: what looked at each file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    files: BTreeMap<String, Checker>,
    /// What is wrong with a file that cannot be read any further.
    broken: Option<String>,
}

/// How much is in memory at a time.
const PIECE: u64 = 8 << 20;

pub(super) async fn check<E: ElastiCache, S: Store, K, C>(
    function: &RedisDrills<E, S, K, C>,
    drill: &Drill,
    turn: Turn,
) -> Result<Checked> {
    let mut progress: Progress = measure::progress(&drill.checks)?;
    let manifest = function.manifest(drill).await?;
    let exports = &function.region(&drill.staging.region)?.exports;
    let prefix = format!("restores/{}/appendonlydir/", drill.name);
    let there = exports.list(&prefix).await?;
    for stored in &manifest.objects {
        let file = stored.name.rsplit('/').next().unwrap_or_default();
        let Some(checker) = Checker::of_stored(&manifest.content, &stored.name, stored.bytes) else {
            continue;
        };
        let Some(object) = there.iter().find(|object| object.key == format!("{prefix}{file}")) else {
            // What is not there, is told by whoever compares.
            continue;
        };
        let checker = progress.files.entry(stored.name.clone()).or_insert(checker);
        if let Some(broken) = read(exports, object, checker, turn).await? {
            progress.broken = Some(format!("{file}: {broken}"));
            break;
        }
        if checker.offset() < object.bytes {
            return Ok(Checked::Further(json!(progress)));
        }
    }
    Ok(over(&progress, &manifest, drill))
}

/// Reads on, as far as there is time; what is wrong, if it cannot be read.
async fn read(
    store: &impl Store,
    object: &Object,
    checker: &mut Checker,
    turn: Turn,
) -> Result<Option<String>> {
    while checker.offset() < object.bytes {
        if turn.left() < Duration::from_secs(1) {
            return Ok(None);
        }
        let from = checker.offset();
        let piece = store.read(&object.key, &object.etag, from..(from + PIECE).min(object.bytes)).await?;
        if let Err(broken) = checker.feed(&piece) {
            return Ok(Some(broken));
        }
    }
    Ok(None)
}

fn over(progress: &Progress, manifest: &Manifest, drill: &Drill) -> Checked {
    let differs = match &progress.broken {
        Some(broken) => Some(broken.clone()),
        None => checks::directory(&manifest.content, &progress.files, drill.wanted()).err(),
    };
    let verdict = match differs {
        Some(says) => failed("DataDiffers", says),
        None => Verdict::Passed,
    };
    let reaches = manifest.restorable_to.unwrap_or(manifest.taken_at);
    let reaches = drill.wanted().map_or(reaches, |instant| instant.min(reaches));
    let estimate = Estimate::new(Basis::RecoveryPointTime, reaches, drill.until(), Unmeasured::NotRead);
    let loss = heartbeat::Loss::of(None, estimate);
    let evidence = json!({
        "recovery_point": manifest.id, "taken_at": manifest.taken_at, "restorable_to": manifest.restorable_to,
        "files": progress.files.iter().map(|(name, checker)| json!({"file": name, "bytes": checker.offset()})).collect::<Vec<_>>(),
        "loss": loss,
    });
    Checked::Over {
        verdict,
        loss: Some(measure::in_short(&loss)),
        evidence,
        unchecked: Vec::new(),
        bytes: None,
        known: Value::Null,
    }
}
