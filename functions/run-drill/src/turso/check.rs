//! Whether a restored Turso database is what was lost.

use std::time::Duration;

use domain::{
    Question, Side,
    drill::{To, history::Verdict},
};
use heartbeat::{Basis, Estimate, Judgement, Place};
use postgres::checks::assertions::{self, Answer, Assertion, Cell, CellKind};
use reconcile::{Documents, Error, Kind, Result};
use secrets::PlainSecrets;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;
use turso::{
    Connect, Database, Session, Turso,
    checks::{self, Evidence, Expected, Integrity, Note, Remark, Walk},
    heartbeats::Table,
    sql::{self, One},
};
use vault::{Manifest, Store};

use super::TursoDrills;
use crate::{
    act::failed,
    drill::Drill,
    engine::{Checked, Turn},
    manifest,
    measure::{self, Beats},
    restored::Restored,
};

/// How far the checks have come.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    heartbeats: Option<Judgement>,
    /// Whether they were read, or why not.
    sought: Option<String>,
    walk: Walk,
    asserted: Vec<Asserted>,
}

/// Whether an assertion holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Asserted {
    name: String,
    holds: bool,
    found: String,
}

pub(super) async fn check<C: Connect, K: PlainSecrets, S: Store, D: Documents>(
    function: &TursoDrills<C, K, S, D>,
    drill: &Drill,
    turn: Turn,
) -> Result<Checked> {
    let mut progress: Progress = measure::progress(&drill.checks)?;
    let manifest = match &drill.choice.to {
        To::Point(id) => {
            let vault = function.vault_of(drill.choice.region);
            Some(manifest::read(vault, &drill.resource, id).await?)
        }
        To::Instant(_) => None,
    };
    let expected = match &manifest {
        Some(manifest) => Some(expected(manifest)?),
        None => of_neighbours(function, drill).await?,
    };
    let (turso, _) = function.reach().await?;
    let session = function.session(&drill.resource, &restored(&turso, drill).await?).await?;
    if progress.sought.is_none() {
        match heartbeats(function, &turso, &session).await {
            Ok(beats) => {
                progress.heartbeats = beats.map(|beats| beats.judge(drill.question()));
                progress.sought = Some(measure::READ.to_owned());
            }
            Err(error) if error.kind() == Kind::Retryable => return Err(error),
            Err(error) => progress.sought = Some(error.report()),
        }
    }
    let went = checks::check(&turso, &session, expected.as_ref(), &mut progress.walk, || turn.left()).await;
    match went {
        Ok(()) if progress.walk.is_over => {}
        Ok(()) => return Ok(Checked::Further(json!(progress))),
        // What was done until then is kept; what was never reached is waited for by whoever asks.
        Err(error) if error.kind() == Kind::Retryable && !drill.checks.is_null() => {
            tracing::warn!("{}: {}; the next tick goes on", drill.id, error.report());
            return Ok(Checked::Further(json!(progress)));
        }
        Err(error) => return Err(error),
    }
    let all = self::assertions("assertions", &drill.resource.name, &drill.assertions).map_err(|_| {
        Error::permanent(
            "AssertionsInvalid",
            "the plan's assertions cannot be read by this version; drill again",
        )
    })?;
    for assertion in all.iter().skip(progress.asserted.len()) {
        if !turn.has_room_for(assertion.within.unsigned_abs()) {
            return Ok(Checked::Further(json!(progress)));
        }
        progress.asserted.push(assert(&turso, &session, assertion).await?);
    }
    Ok(over(&progress, manifest.as_ref(), drill, function.heartbeat_secret.is_some()))
}

/// Assertions are read as those of PostgreSQL are; there is one database, which need not be named.
pub(super) fn assertions(path: &str, database: &str, given: &[Value]) -> Result<Vec<Assertion>, String> {
    let named: Vec<Value> = given
        .iter()
        .map(|value| {
            let mut value = value.clone();
            if let Some(object) = value.as_object_mut() {
                object.entry("database").or_insert_with(|| json!(database));
            }
            value
        })
        .collect();
    assertions::parse(path, &json!(named))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// What a branch must have by the recovery points before and after its instant; `None` where there are none, or not any more.
async fn of_neighbours<C, K, S: Store, D>(
    function: &TursoDrills<C, K, S, D>,
    drill: &Drill,
) -> Result<Option<Expected>> {
    let Some([before, after]) = &drill.around else { return Ok(None) };
    let before = manifest::find(&function.vault, &drill.resource, before).await?;
    let after = manifest::find(&function.vault, &drill.resource, after).await?;
    let instant = drill.restored_state();
    let (Some(before), Some(after)) = (before, after) else { return Ok(None) };
    if before.taken_at > instant || after.taken_at < instant {
        return Ok(None);
    }
    Expected::of_neighbours(&before.content, &after.content).map(Some).map_err(|why| {
        Error::permanent("ManifestUnreadable", format!("the manifests around {instant}: {why}"))
    })
}

fn expected(manifest: &Manifest) -> Result<Expected> {
    Expected::of_content(&manifest.content).map_err(|why| {
        Error::permanent("ManifestUnreadable", format!("the manifest of {}: {why}", manifest.id))
    })
}

async fn restored(turso: &impl Turso, drill: &Drill) -> Result<Database> {
    turso.database(&drill.name).await?.ok_or_else(|| {
        let says = format!("Turso database {} is gone, and nobody has checked it to the end", drill.name);
        Error::permanent("RestoredGone", says)
    })
}

/// The heartbeats in what a person's restore made.
pub(super) async fn of_restored<C: Connect, K: PlainSecrets, S, D: Documents>(
    function: &TursoDrills<C, K, S, D>,
    restored: &Restored,
) -> Result<Option<Beats>> {
    measure::has_keys(function.heartbeat_secret.as_ref())?;
    let (turso, _) = function.reach().await?;
    let there = turso.database(&restored.name).await?;
    let is_it = |there: &Database| restored.database_id.as_ref().is_none_or(|id| *id == there.id);
    let there = there.filter(is_it).ok_or_else(|| restored.gone())?;
    let session = function.session(&restored.resource, &there).await?;
    heartbeats(function, &turso, &session).await
}

async fn heartbeats<C: Connect, K: PlainSecrets, S, D: Documents>(
    function: &TursoDrills<C, K, S, D>,
    turso: &C::Turso,
    session: &Session,
) -> Result<Option<Beats>> {
    let Some(secret) = &function.heartbeat_secret else { return Ok(None) };
    let there = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'tidemark_heartbeat'";
    if sql::one(turso, session, there).await?.first.as_deref() != Some("1") {
        return Ok(None);
    }
    let keys = measure::keys(&function.secrets, secret).await?;
    let (own, _) = function.reach().await?;
    let rows = Table::new(own, session.clone()).read(measure::HEARTBEATS).await?;
    Ok(Some(Beats { rows, keys }))
}

async fn assert(turso: &impl Turso, session: &Session, assertion: &Assertion) -> Result<Asserted> {
    let within = assertion.within.unsigned_abs();
    let asked = timeout(within, sql::one(turso, session, &assertion.sql)).await;
    let (holds, found) = match asked {
        Ok(Ok(one)) => assertions::judge(&assertion.expect, &answer(one)),
        Ok(Err(error)) if error.kind() == Kind::Retryable => return Err(error),
        Ok(Err(error)) => (false, error.to_string()),
        Err(_) => (false, format!("no answer within {} s", within.as_secs())),
    };
    Ok(Asserted { name: assertion.name.clone(), holds, found })
}

/// As those of PostgreSQL are judged.
fn answer(one: One) -> Answer {
    let kind = if one.is_number { CellKind::Number } else { CellKind::Text };
    Answer { columns: 1, rows: one.rows, first: (one.rows > 0).then_some(Cell { kind, text: one.first }) }
}

/// What nobody can tell from a branch of the wrong instant.
const EMPTY: &str =
    "the branch has no tables at all, and there is nothing to compare it with; nothing was proven";

fn first_finding(found: &Evidence) -> Option<String> {
    found.findings.first().map(|finding| {
        let table = finding.table.as_ref().map_or_else(String::new, |table| format!("table {table}: "));
        format!("{table}{}", finding.fault)
    })
}

/// The one whole number that a statement answers.
pub(super) async fn number<C: Connect, K: PlainSecrets, S: Store, D: Documents>(
    function: &TursoDrills<C, K, S, D>,
    drill: &Drill,
    side: &Side,
) -> Result<i128> {
    let Question::Sql(text) = &side.question else {
        return Err(measure::no_number(side, "a command is no SQL"));
    };
    let (turso, _) = function.reach().await?;
    let session = function.session(&drill.resource, &restored(&turso, drill).await?).await?;
    let asked = timeout(SMALL, sql::one(&turso, &session, text)).await;
    let one = asked.map_err(|_| measure::no_number(side, "there was no answer within two minutes"))??;
    let first = one.first.filter(|_| one.rows == 1);
    let first = first.ok_or_else(|| measure::no_number(side, "the answer is not one row with one value"))?;
    first.parse().map_err(|_| measure::no_number(side, "the answer is no whole number"))
}

/// How long one question may take.
const SMALL: Duration = Duration::from_mins(2);

fn over(progress: &Progress, manifest: Option<&Manifest>, drill: &Drill, has_keys: bool) -> Checked {
    let unasserted = progress.asserted.iter().find(|asserted| !asserted.holds);
    let failure = first_finding(&progress.walk.evidence)
        .map(|says| ("DataDiffers", says))
        .or_else(|| {
            unasserted.map(|one| ("AssertionFailed", format!("assertion {:?} does not hold", one.name)))
        })
        .or_else(|| progress.heartbeats.as_ref().and_then(measure::unsound))
        .or_else(|| {
            (manifest.is_none() && progress.walk.tables_read == 0)
                .then(|| ("NothingChecked", EMPTY.to_owned()))
        });
    let verdict = match failure {
        Some((code, says)) => failed(code, says),
        None => Verdict::Passed,
    };
    let (basis, state_at) = match (&drill.choice.to, manifest) {
        (To::Instant(instant), _) => (Basis::RestoredTo, *instant),
        (To::Point(_), Some(manifest)) => (Basis::RecoveryPointTime, manifest.taken_at),
        (To::Point(id), None) => {
            (Basis::Slot, id.parts().map_or(drill.asked_at, |parts| parts.slot.instant()))
        }
    };
    let estimate = Estimate::new(
        basis,
        state_at,
        drill.until(),
        measure::unmeasured(progress.sought.as_deref().filter(|_| has_keys)),
    );
    let loss = heartbeat::Loss::of(progress.heartbeats.as_ref(), estimate);
    let unread = progress.sought.as_deref().filter(|sought| *sought != measure::READ);
    let mut unchecked: Vec<String> = unread.map(|why| format!("heartbeats: {why}")).into_iter().collect();
    unchecked.extend(not_checked(progress, drill));
    let evidence = json!({
        "restored": super::says(&drill.choice.to), "taken_at": manifest.map(|manifest| manifest.taken_at),
        "read": progress.walk, "assertions": progress.asserted,
        "heartbeats": progress.heartbeats, "heartbeats_sought": progress.sought, "loss": loss,
    });
    let loss = Some(measure::in_short(&loss));
    Checked::Over { verdict, loss, evidence, unchecked, bytes: None, known: Value::Null }
}

/// What the server did not let be checked, and what nothing was compared with.
fn not_checked(progress: &Progress, drill: &Drill) -> Vec<String> {
    // A set is restored to an instant after which there is no recovery point yet: what tables there were, its members' own drills tell.
    let is_told = |note: &&Note| note.what != Remark::NotCompared || drill.set.is_none();
    let notes: Vec<&Note> = progress.walk.evidence.notes.iter().filter(is_told).collect();
    let mut unchecked = Vec::new();
    for (remark, what) in [
        (Remark::TableNotChecked, "pages of tables, because it took too long"),
        (Remark::IndexesNotChecked, "indexes of tables, because it took too long"),
        (Remark::NotCompared, "its tables: no recovery points before and after it tell which there were"),
    ] {
        let of_kind: Vec<_> = notes.iter().filter(|note| note.what == remark).collect();
        let Some(first) = of_kind.first() else { continue };
        let of = first.table.as_ref().map_or_else(String::new, |table| format!(" ({table}, and so on)"));
        unchecked.push(format!("{what}{of}"));
    }
    if progress.walk.integrity == Integrity::NotChecked {
        unchecked.push("the pages, because the database does not take PRAGMA integrity_check".to_owned());
    }
    unchecked
}
