//! Whether a restored PostgreSQL server is what was lost: every database of it, in as many turns as it takes.

use std::time::Duration;

use domain::{Question, Side, tag};
use heartbeat::{
    Row,
    postgres::{IS_THERE, read_json},
};
use postgres::{
    Server,
    checks::{
        Catalog, Checks, Fault, FaultKind, Session,
        assertions::{self, Assertion},
        check_structure, compare, read_tables,
    },
};
use rds::{Instance, Rds};
use reconcile::{Error, Result};
use secrets::{Credentials, PlainSecrets, Secrets};
use serde_json::json;

use super::{
    RdsDrills,
    judge::{Database, Progress, over},
};
use crate::{
    drill::Drill,
    engine::{Checked, Turn},
    measure::{self, Beats},
    restored::Restored,
};

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
                progress.heartbeats =
                    heartbeats(function, &session).await?.map(|beats| beats.judge(drill.question()));
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

/// The heartbeats in what a person's restore made: of the first database that has any.
pub(super) async fn of_restored<R: Rds, S: Secrets + PlainSecrets, P: Checks>(
    function: &RdsDrills<R, S, P>,
    restored: &Restored,
) -> Result<Option<Beats>> {
    measure::has_keys(function.heartbeat_secret.as_ref())?;
    let instance = function.region(&restored.region)?.instance(&restored.name).await?;
    let instance = instance.ok_or_else(|| restored.gone())?;
    restored.made(instance.tags.get(tag::RESTORE))?;
    let (server, credentials) = reach(function, &instance).await?;
    let session = function.postgres.open(&server, &credentials).await?;
    let names = session.databases().await.map_err(|fault| fault.into_error("list its databases"))?;
    for database in names {
        let at = Server { database, ..server.clone() };
        let session = function.postgres.open(&at, &credentials).await?;
        if let Some(beats) = heartbeats(function, &session).await? {
            return Ok(Some(beats));
        }
    }
    Ok(None)
}

/// The heartbeats in that database; `None` if it has none, or nobody can verify them.
async fn heartbeats<R, S: PlainSecrets, P>(
    function: &RdsDrills<R, S, P>,
    session: &impl Session,
) -> Result<Option<Beats>> {
    let Some(secret) = &function.heartbeat_secret else { return Ok(None) };
    if text(session, IS_THERE).await?.as_deref() != Some("t") {
        return Ok(None);
    }
    let rows = text(session, &read_json(measure::HEARTBEATS)).await?.unwrap_or_default();
    let rows: Vec<[String; 6]> = serde_json::from_str(&rows).map_err(|_| {
        Error::permanent(
            "HeartbeatsUnreadable",
            "the table of heartbeats has not the columns that docs/heartbeats.md gives it",
        )
    })?;
    let rows: Vec<Row> = rows.into_iter().map(Row::of_fields).collect();
    let keys = measure::keys(&function.secrets, secret).await?;
    Ok(Some(Beats { rows, keys }))
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
