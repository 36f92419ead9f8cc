use std::time::Instant;

use domain::{ResourceId, tag};
use jiff::{SignedDuration, Timestamp};
use postgres::{Postgres, Server};
use rds::{Rds, Restore, ensure};
use reconcile::{Done, Entry, Error, Kind, Ledger, Metric, Outcome, Result};
use secrets::Secrets;
use serde_json::{Value, json};

use crate::{
    follow::{DEAD_END, FIRST_QUERY_FAILED, entry},
    observe::{RestoreDatabase, Restored},
};

/// What restore-database can do. It can neither delete nor modify anything.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Make the instance that a person asked for.
    Restore { resource: ResourceId, region: String, new: Box<Restore>, notes: Vec<String> },
    /// It is available: ask it a first query.
    FirstQuery { restored: Restored, available_recorded: bool },
    /// It never will be.
    GiveUp { restored: Restored },
}

/// The name of the action whose answer a person waits for.
pub(crate) const RESTORE: &str = "restore";

/// How long after an instance was first seen available its first query may fail.
const FIRST_QUERY_PATIENCE: SignedDuration = SignedDuration::from_mins(30);

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Restore { .. } => RESTORE,
            Self::FirstQuery { .. } => "ask-first-query",
            Self::GiveUp { .. } => "give-up",
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        match self {
            // The person who asked reads the error.
            Self::Restore { .. } => None,
            _ if error.kind() == Kind::Retryable => None,
            Self::FirstQuery { restored, .. } | Self::GiveUp { restored } => {
                let mut entry =
                    entry(restored, "restore-failed", Outcome::Failed(error.code().to_owned()), now);
                entry.detail.insert("error".to_owned(), error.report().into());
                Some(entry)
            }
        }
    }
}

/// Carries out `action`. A restore asked for twice is found made; entries are written once.
pub(crate) async fn act<R: Rds, L: Ledger, S: Secrets, P: Postgres>(
    function: &RestoreDatabase<R, L, S, P>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    match action {
        Action::Restore { resource, region, new, notes } => {
            restore(function.region(region)?, resource, new, notes, now).await
        }
        Action::FirstQuery { restored, available_recorded } => {
            first_query(function, restored, *available_recorded, now).await
        }
        Action::GiveUp { restored } => Err(Error::permanent(
            DEAD_END,
            format!(
                "{}: instance {} in {} is {} and will not become available; look at its events, delete it and ask again",
                restored.id, restored.instance.id, restored.region, restored.instance.status
            ),
        )),
    }
}

async fn restore(
    rds: &impl Rds,
    resource: &ResourceId,
    new: &Restore,
    notes: &[String],
    now: Timestamp,
) -> Result<Done> {
    let begun = Instant::now();
    let made = ensure::restore(rds, new).await?;
    let accepted_ms = elapsed_ms(begun);
    let Some(restored) = Restored::of(&made, rds.region()) else {
        return Err(Error::retryable(
            "AnswerIncomplete",
            format!("RDS answered for {} without its tags", made.id),
        ));
    };
    let to = new.tags.get(tag::RESTORED_TO).cloned().unwrap_or_default();
    let mut entry = entry(&restored, "restore-requested", Outcome::Completed, now);
    for (key, value) in [
        ("instance", Value::from(made.id.clone())),
        ("to", to.clone().into()),
        ("requested_at", restored.requested_at.to_string().into()),
        ("accepted_ms", accepted_ms.into()),
    ] {
        entry.detail.insert(key.to_owned(), value);
    }
    let done = Done { entries: vec![entry], ..Done::underway() };
    Ok(done
        .with("restore_id", restored.id.clone())
        .with("resource", resource.to_string())
        .with("to", to)
        .with("instance", made.id)
        .with("region", rds.region())
        .with("status", made.status)
        .with("requested_at", restored.requested_at.to_string())
        .with("notes", notes.to_vec())
        .with("next", format!("ticks follow it; the ledger will hold {}", restored.id)))
}

/// Notes when the instance was first seen available, asks the query, and when it is answered writes down the phases.
async fn first_query<R, L: Ledger, S: Secrets, P: Postgres>(
    function: &RestoreDatabase<R, L, S, P>,
    restored: &Restored,
    available_recorded: bool,
    now: Timestamp,
) -> Result<Done> {
    let begun = Instant::now();
    let mut available = entry(restored, "restore-available", Outcome::Completed, now);
    let available_at = if available_recorded {
        let stored = function.ledger.get(&available.key()).await?;
        stored.and_then(|entry| entry["at"].as_str()?.parse().ok()).unwrap_or(now)
    } else {
        now
    };
    available.detail.insert("instance".to_owned(), restored.instance.id.clone().into());
    let mut done = Done::default().with("restore_id", restored.id.clone());
    if !available_recorded {
        done.entries.push(available);
    }
    let first_query = match ask(function, restored).await {
        Ok(outcome) => outcome,
        Err(error) if now.duration_since(available_at) > FIRST_QUERY_PATIENCE => {
            return Err(Error::permanent(
                FIRST_QUERY_FAILED,
                format!(
                    "{}: {} is available since {available_at} and answers no query; the instance is left as it is",
                    restored.id, restored.instance.id
                ),
            )
            .caused_by(error));
        }
        Err(error) => {
            done.unfinished = true;
            return Ok(done.with("first_query", error.report()));
        }
    };
    let answered_at = now + SignedDuration::from_millis(elapsed_ms(begun));
    done.entries.push(completed(restored, available_at, answered_at, first_query, now));
    let duration_ms = between_ms(restored.requested_at, answered_at);
    done.metrics.push(Metric::milliseconds("restore_duration_ms", duration_ms));
    Ok(done.with("duration_ms", duration_ms))
}

/// The entry that says how long each phase took. `available` is when a tick first saw it: no finer than the ticks.
fn completed(
    restored: &Restored,
    available_at: Timestamp,
    answered_at: Timestamp,
    first_query: FirstQuery,
    now: Timestamp,
) -> Entry {
    let requested_at = restored.requested_at;
    let mut entry = entry(restored, "restore-completed", Outcome::Completed, now);
    let answered = matches!(first_query, FirstQuery::Answered);
    let mut phases = json!({
        "requested": requested_at,
        "available": available_at,
        "creating_ms": between_ms(requested_at, available_at),
    });
    if answered {
        phases["first_query_answered"] = json!(answered_at);
        phases["first_query_ms"] = between_ms(available_at, answered_at).into();
    }
    let end = if answered { answered_at } else { available_at };
    for (key, value) in [
        ("instance", Value::from(restored.instance.id.clone())),
        ("to", restored.instance.tags.get(tag::RESTORED_TO).cloned().into()),
        ("endpoint", restored.instance.endpoint.as_ref().map(|at| format!("{}:{}", at.host, at.port)).into()),
        ("phases", phases),
        ("duration_ms", between_ms(requested_at, end).into()),
        ("first_query", first_query.in_words().into()),
    ] {
        entry.detail.insert(key.to_owned(), value);
    }
    entry
}

/// What came of the first query.
#[derive(Clone, Copy)]
enum FirstQuery {
    Answered,
    /// No credentials are named: that it is available is all we can tell.
    NotAsked,
}

impl FirstQuery {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NotAsked => {
                "not asked: name a secret with credentials, in the request (\"secret\") or in the source's tag tidemark:secret"
            }
        }
    }
}

async fn ask<R, L, S: Secrets, P: Postgres>(
    function: &RestoreDatabase<R, L, S, P>,
    restored: &Restored,
) -> Result<FirstQuery> {
    let Some(secret) = restored.instance.tags.get(tag::SECRET) else { return Ok(FirstQuery::NotAsked) };
    let Some(endpoint) = restored.instance.endpoint.clone() else {
        return Err(Error::retryable(
            "EndpointMissing",
            format!("{} has no endpoint yet", restored.instance.id),
        ));
    };
    let database = restored.instance.database.clone().unwrap_or_else(|| "postgres".to_owned());
    let server = Server { host: endpoint.host, port: endpoint.port, database };
    let credentials = function.secrets.credentials(secret).await?;
    function.postgres.first_query(&server, &credentials).await?;
    Ok(FirstQuery::Answered)
}

fn elapsed_ms(begun: Instant) -> i64 {
    i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX)
}

fn between_ms(from: Timestamp, to: Timestamp) -> i64 {
    i64::try_from(to.duration_since(from).as_millis()).unwrap_or(i64::MAX)
}
