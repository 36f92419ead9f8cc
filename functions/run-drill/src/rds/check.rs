//! Whether a restored PostgreSQL server is what was lost: every database of it, in as many turns as it takes.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    Question, Side,
    drill::{To, history::Verdict},
    tag,
};
use heartbeat::{Basis, Estimate, Judgement, Row, Unmeasured};
use jiff::Timestamp;
use postgres::{
    Server,
    checks::{
        Catalog, Checks, Commits, Difference, DifferenceKind, Evidence, Fault, Session, Structure, Walk,
        assertions, check_structure, compare, read_tables,
    },
};
use rds::{Instance, Rds};
use reconcile::{Error, Result};
use secrets::{Credentials, PlainSecrets, Secrets};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::RdsDrills;
use crate::{
    drill::Drill,
    engine::{Checked, Turn},
    measure,
};

/// How far the checks have come: a document that the next turn goes on from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    /// The databases of the server; `None` as long as nobody asked.
    databases: Option<Vec<String>>,
    /// Those that are done.
    done: Vec<Database>,
    /// The one that is being checked.
    current: Option<Database>,
    /// Of the server, as its first database tells it.
    commits: Option<Commits>,
    /// The newest heartbeats, of the one database that has them.
    heartbeats: Option<Judgement>,
    /// Why the source's catalog was not compared.
    not_compared: Option<String>,
}

/// What is known of one database.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Database {
    name: String,
    catalog: Option<Catalog>,
    differences: Vec<Difference>,
    tables: Walk,
    structure: Structure,
    asserted: Vec<assertions::Verdict>,
    is_heartbeat_sought: bool,
}

/// What the next drill should know: what the source had at this one, by database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    /// When.
    at: Option<Timestamp>,
    /// `extension hstore`, `role app`.
    had: BTreeSet<String>,
}

/// How long a small question may take.
const SMALL: Duration = Duration::from_secs(30);

pub(super) async fn check<R: Rds, S: Secrets + PlainSecrets, P: Checks>(
    function: &RdsDrills<R, S, P>,
    drill: &Drill,
    turn: Turn,
) -> Result<Checked> {
    let mut progress: Progress = measure::progress(&drill.checks)?;
    let rds = function.region(&drill.staging.region)?;
    let instance = rds.instance(&drill.name).await?.ok_or_else(|| {
        let says = format!("instance {} is gone, and nobody has checked it to the end", drill.name);
        Error::permanent("RestoredGone", says)
    })?;
    let (server, credentials) = reach(function, &instance).await?;
    let names = match &progress.databases {
        Some(names) => names.clone(),
        None => {
            let session = function.postgres.open(&server, &credentials).await?;
            let names = session.databases().await.map_err(|fault| fault.into_error("list its databases"))?;
            progress.commits = session.commits().await.ok();
            progress.databases.insert(names).clone()
        }
    };
    while let Some(name) = names.get(progress.done.len()) {
        if turn.left() < Duration::from_secs(1) {
            return Ok(Checked::Further(json!(progress)));
        }
        let at = Server { database: name.clone(), ..server.clone() };
        let session = function.postgres.open(&at, &credentials).await?;
        let mut database =
            progress.current.take().unwrap_or_else(|| Database { name: name.clone(), ..Database::default() });
        if database.catalog.is_none() {
            // Before amcheck is made in it.
            let catalog = session.catalog().await.map_err(|fault| fault.into_error("read its catalog"))?;
            match source(function, drill, name).await {
                Ok(source) => database.differences = compare(&source, &catalog),
                Err(error) => {
                    progress.not_compared.get_or_insert(error.report());
                }
            }
            database.catalog = Some(catalog);
        }
        if !database.is_heartbeat_sought {
            database.is_heartbeat_sought = true;
            if progress.heartbeats.is_none() {
                progress.heartbeats = heartbeats(function, &session, drill).await?;
            }
        }
        let went = walk(&session, &mut database, drill, turn).await;
        // What was done until a connection was lost is kept.
        progress.current = Some(database);
        match went {
            Ok(true) => progress.done.extend(progress.current.take()),
            Ok(false) => return Ok(Checked::Further(json!(progress))),
            Err(fault) => {
                tracing::warn!("{}: {fault:?}; the next tick goes on", drill.id);
                return Ok(Checked::Further(json!(progress)));
            }
        }
    }
    Ok(over(&progress, drill, turn.now))
}

/// The one whole number that a statement answers.
pub(super) async fn number<R: Rds, S: Secrets, P: Checks>(
    function: &RdsDrills<R, S, P>,
    drill: &Drill,
    side: &Side,
) -> Result<i128> {
    let Question::Sql(sql) = &side.question else {
        return Err(measure::no_number(side, "a command is no SQL"));
    };
    let instance = function.region(&drill.staging.region)?.instance(&drill.name).await?;
    let (server, credentials) =
        reach(function, &instance.ok_or_else(|| super::gone(&drill.resource))?).await?;
    let at = Server { database: side.database.clone().unwrap_or_else(|| server.database.clone()), ..server };
    let session = function.postgres.open(&at, &credentials).await?;
    let answer = session.answer(sql, SMALL).await.map_err(|fault| fault.into_error("ask across the set"))?;
    let first = answer.first.filter(|_| answer.columns == 1 && answer.rows == 1).and_then(|cell| cell.text);
    let text = first.ok_or_else(|| measure::no_number(side, "the answer is not one row with one value"))?;
    text.parse().map_err(|_| measure::no_number(side, "the answer is no whole number"))
}

/// Where it answers, and to whom.
async fn reach<R, S: Secrets, P>(
    function: &RdsDrills<R, S, P>,
    instance: &Instance,
) -> Result<(Server, Credentials)> {
    let secret = instance.tags.get(tag::SECRET).ok_or_else(|| {
        let says = format!(
            "{} was restored and nothing was checked: no secret with credentials is named in the source's tag {}",
            instance.id,
            tag::SECRET
        );
        Error::misconfigured("NotChecked", says)
    })?;
    let endpoint = instance
        .endpoint
        .clone()
        .ok_or_else(|| Error::retryable("EndpointMissing", format!("{} has no endpoint yet", instance.id)))?;
    let database = instance.database.clone().unwrap_or_else(|| "postgres".to_owned());
    let server = Server { host: endpoint.host, port: endpoint.port, database };
    Ok((server, function.secrets.credentials(secret).await?))
}

/// The catalog of the source's database of that name, as it is now.
async fn source<R: Rds, S: Secrets, P: Checks>(
    function: &RdsDrills<R, S, P>,
    drill: &Drill,
    database: &str,
) -> Result<Catalog> {
    let instance =
        function.home.instance(&drill.resource.name).await?.ok_or_else(|| super::gone(&drill.resource))?;
    let (server, credentials) = reach(function, &instance).await?;
    let at = Server { database: database.to_owned(), ..server };
    let session = function.postgres.open(&at, &credentials).await?;
    session.catalog().await.map_err(|fault| fault.into_error("read the source's catalog"))
}

/// The heartbeats in that database; `None` if it has none, or nobody can verify them.
async fn heartbeats<R, S: PlainSecrets, P>(
    function: &RdsDrills<R, S, P>,
    session: &impl Session,
    drill: &Drill,
) -> Result<Option<Judgement>> {
    let Some(secret) = &function.heartbeat_secret else { return Ok(None) };
    let there = "SELECT to_regclass('tidemark.tidemark_heartbeat') IS NOT NULL";
    if text(session, there).await?.as_deref() != Some("t") {
        return Ok(None);
    }
    let read = format!(
        "SELECT coalesce(json_agg(row), '[]')::text FROM (SELECT json_build_array(number::text, follows::text, at_ms::text, \
         left(resource, 600), left(key_id, 40), left(signature, 200)) AS row FROM tidemark.tidemark_heartbeat ORDER BY \
         tidemark_heartbeat.number DESC LIMIT {}) AS newest",
        measure::HEARTBEATS
    );
    let rows = text(session, &read).await?.unwrap_or_default();
    let rows: Vec<[String; 6]> = serde_json::from_str(&rows).map_err(|_| {
        Error::permanent(
            "HeartbeatsUnreadable",
            "the table of heartbeats has not the columns that docs/heartbeats.md gives it",
        )
    })?;
    let rows: Vec<Row> = rows.into_iter().map(Row::of_fields).collect();
    let keys = measure::keys(&function.secrets, secret).await?;
    Ok(Some(measure::judgement(&rows, drill, &keys)))
}

async fn text(session: &impl Session, sql: &str) -> Result<Option<String>> {
    let answer =
        session.answer(sql, SMALL).await.map_err(|fault: Fault| fault.into_error("read its heartbeats"))?;
    Ok(answer.first.and_then(|cell| cell.text))
}

/// Goes on with one database; whether it is done.
async fn walk(
    session: &impl Session,
    database: &mut Database,
    drill: &Drill,
    turn: Turn,
) -> Result<bool, Fault> {
    let left = || turn.left();
    read_tables(session, &mut database.tables, left).await?;
    if !database.tables.is_over {
        return Ok(false);
    }
    check_structure(session, &mut database.structure, true, left).await?;
    if !database.structure.is_over {
        return Ok(false);
    }
    // They were read when the drill was begun; what cannot be read any more is no assertion.
    let all = assertions::parse("assertions", &json!(drill.assertions)).unwrap_or_default();
    let own: Vec<_> = all.iter().filter(|assertion| assertion.database == database.name).collect();
    for assertion in own.iter().skip(database.asserted.len()) {
        if !turn.has_room_for(assertion.within.unsigned_abs()) {
            return Ok(false);
        }
        database.asserted.push(assertions::check_assertion(session, assertion).await?);
    }
    Ok(true)
}

fn over(progress: &Progress, drill: &Drill, now: Timestamp) -> Checked {
    let known: Known = serde_json::from_value(drill.known.clone()).unwrap_or_default();
    let verdict = match first_failure(progress, drill, &known) {
        Some((code, says)) => Verdict::Failed { code: code.to_owned(), says },
        None => Verdict::Passed,
    };
    let loss = loss(progress, drill);
    Checked::Over {
        verdict,
        loss: Some(measure::in_short(&loss)),
        evidence: evidence(progress, &loss),
        known: json!(had(progress, now)),
    }
}

/// The first thing that is wrong, databases in their order.
fn first_failure(progress: &Progress, drill: &Drill, known: &Known) -> Option<(&'static str, String)> {
    for database in &progress.done {
        let of = |what: String| format!("database {}: {what}", database.name);
        if database.catalog.as_ref().is_some_and(|catalog| catalog.hides_damage) {
            let says = "the server is set to pass over damaged pages (zero_damaged_pages or ignore_checksum_failure)";
            return Some(("DamageHidden", of(says.to_owned())));
        }
        if let Some(difference) = database.differences.iter().find(|one| is_lost(one, drill, known)) {
            return Some(("CatalogDiffers", of(difference.to_string())));
        }
        let Structure { heaps, indexes, .. } = &database.structure;
        let walks = [
            ("TableUnreadable", &database.tables.evidence),
            ("HeapDamaged", &heaps.evidence),
            ("IndexDamaged", &indexes.evidence),
        ];
        for (code, found) in walks {
            if let Some(says) = first(found) {
                return Some((code, of(says)));
            }
        }
        if let Some(verdict) = database.asserted.iter().find(|verdict| !verdict.holds) {
            let says = format!(
                "assertion {:?}: expected {}, found {}",
                verdict.name, verdict.expected, verdict.found
            );
            return Some(("AssertionFailed", of(says)));
        }
    }
    // Of a database that is not there an assertion cannot hold.
    let all = assertions::parse("assertions", &json!(drill.assertions)).unwrap_or_default();
    let missing = all.iter().find(|one| !progress.done.iter().any(|database| database.name == one.database));
    if let Some(assertion) = missing {
        let says = format!("assertion {:?}: there is no database {}", assertion.name, assertion.database);
        return Some(("AssertionFailed", says));
    }
    progress.heartbeats.as_ref().and_then(measure::unsound)
}

fn first(found: &Evidence) -> Option<String> {
    found.findings.first().map(|finding| {
        let block = finding.block.map_or_else(String::new, |block| format!(", block {block}"));
        format!("{}{block}: {}", finding.relation, finding.fault.message)
    })
}

/// Whether a difference from the source cannot be explained by what was done at the source since: it had it before the state that
/// was restored, and has it still.
fn is_lost(difference: &Difference, drill: &Drill, known: &Known) -> bool {
    let had_before =
        known.at.is_some_and(|at| at < restored_state(drill)) && known.had.contains(&difference.what);
    match difference.kind {
        DifferenceKind::Unsound => true,
        DifferenceKind::Missing => had_before,
        DifferenceKind::Changed | DifferenceKind::Fewer => false,
    }
}

/// Of when the restored state is, as far as its name says.
fn restored_state(drill: &Drill) -> Timestamp {
    match &drill.choice.to {
        To::Instant(instant) => *instant,
        To::Point(id) => id.parts().map_or(drill.asked_at, |parts| parts.slot.instant()),
    }
}

/// What is there, and was there at the source: by this the next drill knows what must not be missing.
fn had(progress: &Progress, now: Timestamp) -> Known {
    let catalogs = progress.done.iter().filter_map(|database| database.catalog.as_ref());
    let had = catalogs.flat_map(|catalog| {
        let extensions = catalog.extensions.keys().map(|name| format!("extension {name}"));
        extensions.chain(catalog.roles.keys().map(|name| format!("role {name}")))
    });
    Known { at: Some(now), had: had.collect() }
}

fn loss(progress: &Progress, drill: &Drill) -> heartbeat::Loss {
    let basis = match drill.choice.to {
        To::Instant(_) => Basis::RestoredTo,
        To::Point(_) => Basis::Slot,
    };
    // What the server itself remembers of its newest commit is nearer to the truth than what anybody says, and no measure.
    let estimate = Estimate::new(basis, restored_state(drill), drill.until(), Unmeasured::NoHeartbeats);
    heartbeat::Loss::of(progress.heartbeats.as_ref(), estimate)
}

/// So many tables of each database are told one by one.
const TABLES: usize = 100;

fn evidence(progress: &Progress, loss: &heartbeat::Loss) -> Value {
    let databases: Vec<Value> = progress
        .done
        .iter()
        .map(|database| {
            let Database { name, catalog, differences, tables, structure, asserted, .. } = database;
            let told: Vec<_> = tables.tables.iter().take(TABLES).collect();
            json!({
                "database": name,
                "server_version": catalog.as_ref().map(|catalog| &catalog.server_version),
                "counts": catalog.as_ref().map(|catalog| &catalog.counts),
                "differences": differences,
                "relations": tables.relations, "rows": tables.rows, "bytes": tables.bytes,
                "tables": told, "read": tables.evidence,
                "amcheck": structure.amcheck, "heaps": structure.heaps.evidence,
                "indexes_checked": structure.indexes.checked, "indexes": structure.indexes.evidence,
                "assertions": asserted,
            })
        })
        .collect();
    json!({
        "databases": databases,
        "newest_commit": progress.commits.as_ref().and_then(Commits::newest),
        "commits": progress.commits,
        "heartbeats": progress.heartbeats,
        "loss": loss,
        "source_not_compared": progress.not_compared,
    })
}
