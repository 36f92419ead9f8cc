//! Whether a restored PostgreSQL server is what was lost: every database of it, in as many turns as it takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::{
    Question, Side,
    drill::{To, history::Verdict},
    tag,
};
use heartbeat::{Basis, Estimate, Judgement, Row};
use jiff::Timestamp;
use postgres::{
    Server,
    checks::{
        Amcheck, Catalog, Checks, Commits, Difference, DifferenceKind, Evidence, Fault, FaultKind, Remark,
        Session, Structure, Walk,
        assertions::{self, Assertion},
        check_structure, compare, read_tables,
    },
};
use rds::{Instance, Rds};
use reconcile::{Error, Result};
use secrets::{Credentials, PlainSecrets, Secrets};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::RdsDrills;
use crate::{
    act::failed,
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
    /// Those of the source; why it was not asked.
    source: Option<Result<Vec<String>, String>>,
    /// Those that are done.
    done: Vec<Finished>,
    /// The one that is being checked.
    current: Option<Database>,
    /// Of the server, as its first database tells it.
    commits: Option<Commits>,
    /// Whether heartbeats were read, or why not.
    sought: Option<String>,
    /// The heartbeats, of the one database that has them.
    heartbeats: Option<Judgement>,
}

/// What is known of the database that is being checked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Database {
    name: String,
    catalog: Option<Catalog>,
    /// How many tables the source's has now; `None` if it was not asked.
    tables_at_source: Option<u64>,
    /// Why it was not compared with the source's.
    not_compared: Option<String>,
    differences: Vec<Difference>,
    tables: Walk,
    structure: Structure,
    asserted: Vec<assertions::Verdict>,
    is_heartbeat_sought: bool,
}

/// What stays of a database that is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Finished {
    name: String,
    /// How many relations were read to their ends.
    relations: u64,
    tables_at_source: Option<u64>,
    has_assertions: bool,
    /// The first thing that is wrong: a code, and a sentence.
    failure: Option<(String, String)>,
    unchecked: Vec<String>,
    not_compared: Option<String>,
    /// How much was read.
    bytes: u64,
    /// What it has: for the next drill.
    had: BTreeSet<String>,
    evidence: Value,
}

/// What the next drill should know: what was there at this one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Known {
    /// Of when that state was.
    at: Option<Timestamp>,
    /// `extension hstore`, `role app`, by database.
    had: BTreeMap<String, BTreeSet<String>>,
    /// How many relations each database had.
    relations: BTreeMap<String, u64>,
}

/// How long a small question may take.
const SMALL: Duration = Duration::from_secs(30);

/// How long a question across a set may take.
const ACROSS: Duration = Duration::from_mins(2);

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
            progress.source = Some(at_source(function, drill).await.map_err(|error| error.report()));
            progress.databases.insert(names).clone()
        }
    };
    let all = assertions::parse("assertions", &json!(drill.assertions)).map_err(|_| {
        Error::permanent(
            "AssertionsInvalid",
            "the plan's assertions cannot be read by this version; drill again",
        )
    })?;
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
            let source = source(function, drill, name).await;
            database.not_compared = source.as_ref().err().map(Error::report);
            let source = source.ok();
            // What is unsound is so whatever the source has.
            database.differences = compare(source.as_ref().unwrap_or(&catalog), &catalog);
            database.tables_at_source = source.map(|source| source.counts.tables);
            database.catalog = Some(catalog);
        }
        if !database.is_heartbeat_sought {
            database.is_heartbeat_sought = true;
            if progress.heartbeats.is_none() {
                progress.heartbeats = heartbeats(function, &session, drill).await?;
                let sought = if function.heartbeat_secret.is_some() {
                    measure::READ
                } else {
                    "no keys to verify them by"
                };
                progress.sought = Some(sought.to_owned());
            }
        }
        let went = walk(&session, &mut database, &all, turn).await;
        // What was done until a connection was lost is kept.
        progress.current = Some(database);
        match went {
            Ok(true) => {
                let done = progress.current.take().map(|database| database.finish(drill));
                progress.done.extend(done);
            }
            Ok(false) => return Ok(Checked::Further(json!(progress))),
            Err(fault) if matches!(fault.kind, FaultKind::Unavailable | FaultKind::TimeLimit) => {
                tracing::warn!("{}: {fault:?}; the next tick goes on", drill.id);
                return Ok(Checked::Further(json!(progress)));
            }
            // It is of no one relation: the catalogs themselves cannot be read.
            Err(fault) => return Err(fault.into_error(&format!("check database {name} to the end"))),
        }
    }
    Ok(over(&progress, drill, &all))
}

/// The databases of the source, as it is now.
async fn at_source<R: Rds, S: Secrets, P: Checks>(
    function: &RdsDrills<R, S, P>,
    drill: &Drill,
) -> Result<Vec<String>> {
    let instance = function.home.instance(&drill.resource.name).await?;
    let (server, credentials) =
        reach(function, &instance.ok_or_else(|| super::gone(&drill.resource))?).await?;
    let session = function.postgres.open(&server, &credentials).await?;
    session.databases().await.map_err(|fault| fault.into_error("list the source's databases"))
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
    let answer = session.answer(sql, ACROSS).await.map_err(|fault| match fault.kind {
        FaultKind::TimeLimit => measure::no_number(side, "there was no answer within two minutes"),
        _ => fault.into_error("ask across the set"),
    })?;
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
    all: &[Assertion],
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
    let own: Vec<_> = all.iter().filter(|assertion| assertion.database == database.name).collect();
    for assertion in own.iter().skip(database.asserted.len()) {
        if !turn.has_room_for(assertion.within.unsigned_abs()) {
            return Ok(false);
        }
        database.asserted.push(assertions::check_assertion(session, assertion).await?);
    }
    Ok(true)
}

impl Database {
    /// What stays of it.
    fn finish(self, drill: &Drill) -> Finished {
        let known: Known = serde_json::from_value(drill.known.clone()).unwrap_or_default();
        let failure = self.failure(drill, &known);
        let unchecked = self.unchecked(drill, &known);
        Finished {
            bytes: self.tables.bytes,
            not_compared: self.not_compared.clone(),
            relations: self.tables.relations,
            tables_at_source: self.tables_at_source,
            has_assertions: !self.asserted.is_empty(),
            failure: failure.map(|(code, says)| (code.to_owned(), format!("database {}: {says}", self.name))),
            unchecked,
            had: self.catalog.iter().flat_map(had).collect(),
            evidence: self.evidence(),
            name: self.name,
        }
    }

    /// What was not checked of it.
    fn unchecked(&self, drill: &Drill, known: &Known) -> Vec<String> {
        let Structure { heaps, indexes, amcheck, .. } = &self.structure;
        let mut unchecked = Vec::new();
        match amcheck {
            Some(Amcheck::NotAvailable { reason }) => {
                unchecked.push(format!("the structure of heaps and indexes (amcheck: {reason})"));
            }
            Some(Amcheck::Available { verifies_heaps: false, version, .. }) => {
                unchecked.push(format!("the structure of heaps, which amcheck {version} cannot verify"));
            }
            Some(Amcheck::Available { .. }) | None => {}
        }
        for (remark, what) in [
            (Remark::NotCountedThroughIndex, "tables were not counted through an index"),
            (Remark::IndexNotChecked, "indexes were not checked"),
            (Remark::RowsNotLookedUp, "indexes were checked without looking up their tables' rows"),
        ] {
            let notes = [&self.tables.evidence, &heaps.evidence, &indexes.evidence];
            let notes = notes.into_iter().flat_map(|evidence| &evidence.notes);
            let of_kind: Vec<_> = notes.filter(|note| note.what == remark).collect();
            if let Some(first) = of_kind.first() {
                unchecked.push(format!(
                    "{} {what}, {} among them: it took too long",
                    of_kind.len(),
                    first.relation
                ));
            }
        }
        let missing = self.differences.iter().filter(|one| one.kind == DifferenceKind::Missing);
        if let (Some(first), false) = (missing.clone().next(), known.is_before(drill)) {
            unchecked.push(format!(
                "whether it should have what the source has now ({} in all, the first: {first}): the next drill knows",
                missing.count()
            ));
        }
        unchecked.into_iter().map(|what| format!("database {}: {what}", self.name)).collect()
    }

    /// The first thing that is wrong.
    fn failure(&self, drill: &Drill, known: &Known) -> Option<(&'static str, String)> {
        if self.catalog.as_ref().is_some_and(|catalog| catalog.hides_damage) {
            let says = "the server is set to pass over damaged pages (zero_damaged_pages or ignore_checksum_failure)";
            return Some(("DamageHidden", says.to_owned()));
        }
        if let Some(difference) = self.differences.iter().find(|one| self.is_lost(one, drill, known)) {
            return Some(("CatalogDiffers", difference.to_string()));
        }
        let had = known.relations.get(&self.name).copied().unwrap_or(0);
        if self.tables.relations == 0 && had > 0 && self.tables_at_source != Some(0) && known.is_before(drill)
        {
            return Some(("TablesMissing", format!("it has no table, and had {had}")));
        }
        let Structure { heaps, indexes, .. } = &self.structure;
        let walks = [
            ("TableUnreadable", &self.tables.evidence),
            ("HeapDamaged", &heaps.evidence),
            ("IndexDamaged", &indexes.evidence),
        ];
        if let Some(found) = walks.into_iter().find_map(|(code, found)| Some((code, first(found)?))) {
            return Some(found);
        }
        let failed = self.asserted.iter().find(|verdict| !verdict.holds)?;
        // What was found instead may be somebody's: the ledger has it.
        Some((
            "AssertionFailed",
            format!("assertion {:?} does not hold: expected {}", failed.name, failed.expected),
        ))
    }

    /// Whether a difference from the source cannot be explained by what was done at the source since: it had it before the state
    /// that was restored, and has it still.
    fn is_lost(&self, difference: &Difference, drill: &Drill, known: &Known) -> bool {
        let had_before = || known.had.get(&self.name).is_some_and(|had| had.contains(&difference.what));
        match difference.kind {
            DifferenceKind::Unsound => true,
            DifferenceKind::Missing => known.is_before(drill) && had_before(),
            DifferenceKind::Changed | DifferenceKind::Fewer => false,
        }
    }

    fn evidence(&self) -> Value {
        let Self { name, catalog, differences, tables, structure, asserted, .. } = self;
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
    }
}

impl Known {
    /// Whether it is of a state before the one that was restored.
    fn is_before(&self, drill: &Drill) -> bool {
        self.at.is_some_and(|at| at < drill.restored_state())
    }
}

/// What a catalog has that must not be missing from a later state.
fn had(catalog: &Catalog) -> impl Iterator<Item = String> {
    let extensions = catalog.extensions.keys().map(|name| format!("extension {name}"));
    extensions.chain(catalog.roles.keys().map(|name| format!("role {name}")))
}

/// So many tables of each database are told one by one.
const TABLES: usize = 100;

fn over(progress: &Progress, drill: &Drill, all: &[Assertion]) -> Checked {
    let verdict = match first_failure(progress, drill, all) {
        Some((code, says)) => failed(&code, says),
        None => Verdict::Passed,
    };
    let loss = loss(progress, drill);
    let mut unchecked: Vec<String> = progress.done.iter().flat_map(|done| done.unchecked.clone()).collect();
    if let Some(Err(why)) = &progress.source {
        unchecked.push(format!("nothing was compared with the source: {why}"));
    } else {
        unchecked.extend(progress.done.iter().filter_map(|done| {
            let why = done.not_compared.as_ref()?;
            Some(format!("database {} was not compared with the source's: {why}", done.name))
        }));
    }
    let databases: Vec<&Value> = progress.done.iter().map(|done| &done.evidence).collect();
    let evidence = json!({
        "databases": databases,
        "newest_commit": progress.commits.as_ref().and_then(Commits::newest),
        "commits": progress.commits,
        "heartbeats": progress.heartbeats, "heartbeats_sought": progress.sought,
        "loss": loss,
    });
    let known = Known {
        at: Some(drill.restored_state()),
        had: progress.done.iter().map(|done| (done.name.clone(), done.had.clone())).collect(),
        relations: progress.done.iter().map(|done| (done.name.clone(), done.relations)).collect(),
    };
    let bytes = Some(progress.done.iter().map(|done| done.bytes).sum()).filter(|bytes| *bytes > 0);
    let loss = Some(measure::in_short(&loss));
    Checked::Over { verdict, loss, evidence, unchecked, bytes, known: json!(known) }
}

/// The first thing that is wrong: with the server as a whole, then with its databases in their order.
fn first_failure(progress: &Progress, drill: &Drill, all: &[Assertion]) -> Option<(String, String)> {
    let known: Known = serde_json::from_value(drill.known.clone()).unwrap_or_default();
    let is_there = |name: &String| progress.done.iter().any(|done| done.name == *name);
    let failure = |code: &str, says: String| Some((code.to_owned(), says));
    if let Some(Ok(source)) = &progress.source {
        // What the source has, and had before the state that was restored.
        let lost = source.iter().find(|name| known.relations.contains_key(*name) && !is_there(name));
        if let Some(name) = lost.filter(|_| known.is_before(drill)) {
            return failure("DatabaseMissing", format!("there is no database {name}, which the source has"));
        }
    }
    if let Some(assertion) = all.iter().find(|one| !is_there(&one.database)) {
        let says = format!("assertion {:?}: there is no database {}", assertion.name, assertion.database);
        return failure("AssertionFailed", says);
    }
    if let Some(found) = progress.done.iter().find_map(|done| done.failure.clone()) {
        return Some(found);
    }
    let is_empty = |done: &Finished| done.relations == 0 && !done.has_assertions;
    let is_so_at_source = |done: &Finished| done.tables_at_source == Some(0);
    let is_known_empty = !progress.done.is_empty() && progress.done.iter().all(is_so_at_source);
    if progress.done.iter().all(is_empty) && !is_known_empty {
        let says =
            "it has no tables at all, and nobody could say that its source has none; nothing was proven";
        return failure("NothingChecked", says.to_owned());
    }
    let (code, says) = progress.heartbeats.as_ref().and_then(measure::unsound)?;
    failure(code, says)
}

fn first(found: &Evidence) -> Option<String> {
    found.findings.first().map(|finding| {
        let block = finding.block.map_or_else(String::new, |block| format!(", block {block}"));
        format!("{}{block}: {}", finding.relation, finding.fault.message)
    })
}

fn loss(progress: &Progress, drill: &Drill) -> heartbeat::Loss {
    let basis = match drill.choice.to {
        _ if drill.as_of.is_some() => Basis::RecoveryPointTime,
        To::Instant(_) => Basis::RestoredTo,
        To::Point(_) => Basis::Slot,
    };
    // What the server itself remembers of its newest commit is nearer to the truth than what anybody says, and no measure.
    let because = measure::unmeasured(progress.sought.as_deref());
    let estimate = Estimate::new(basis, drill.restored_state(), drill.until(), because);
    heartbeat::Loss::of(progress.heartbeats.as_ref(), estimate)
}
