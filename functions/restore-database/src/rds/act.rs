use std::time::Instant;

use domain::tag;
use jiff::{SignedDuration, Timestamp};
use postgres::{Postgres, Server};
use rds::{Instance, Rds, Restore, RestoreFrom, ensure};
use reconcile::{Done, Entry, Error, Ledger, Metric, Outcome, Result};
use secrets::Secrets;
use serde_json::{Value, json};

use super::observe::{RdsRestores, Restored};
use crate::restore::{DEAD_END, FIRST_QUERY_FAILED, RESTORE, between_ms, elapsed_ms};

/// What restore-database can do. It can neither delete nor modify anything.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make the instance that a person asked for.
    Restore { region: String, new: Box<Restore>, notes: Vec<String> },
    /// The person asks again, and it is being made: say so.
    GoOn { restored: Box<Restored>, recovery_point: Option<String> },
    /// It is available: ask it a first query.
    FirstQuery { restored: Restored, requested_recorded: bool, available_recorded: bool },
    /// It never will be.
    GiveUp { restored: Restored },
}

/// How long after an instance was first seen available its first query may fail.
const FIRST_QUERY_PATIENCE: SignedDuration = SignedDuration::from_mins(30);

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Restore { .. } | Self::GoOn { .. } => RESTORE,
            Self::FirstQuery { .. } => "ask-first-query",
            Self::GiveUp { .. } => "give-up",
        }
    }

    fn failure(&self, error: &Error, now: Timestamp) -> Option<Entry> {
        match self {
            // The person who asked reads the error.
            Self::Restore { .. } | Self::GoOn { .. } => None,
            Self::FirstQuery { restored, .. } | Self::GiveUp { restored } => {
                restored.restore.failed(error, now)
            }
        }
    }
}

/// Carries out `action`. A restore asked for twice is found made; entries are written once.
pub(crate) async fn act<R: Rds, L: Ledger, S: Secrets, P: Postgres>(
    function: &RdsRestores<R, L, S, P>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    match action {
        Action::Restore { region, new, notes } => restore(function.region(region)?, new, notes, now).await,
        Action::GoOn { restored, recovery_point } => {
            Ok(answer(restored, None, recovery_point.as_deref(), &[], now))
        }
        Action::FirstQuery { restored, requested_recorded, available_recorded } => {
            let mut done = first_query(function, restored, *available_recorded, now).await?;
            if !requested_recorded {
                // The function was killed after RDS had accepted the restore.
                done.entries.insert(0, requested(restored, None, now));
            }
            Ok(done)
        }
        Action::GiveUp { restored } => Err(Error::permanent(
            DEAD_END,
            format!(
                "{}: instance {} in {} is {} and will not become available; look at its events, delete it and ask again",
                restored.restore.id, restored.instance.id, restored.restore.region, restored.instance.status
            ),
        )),
    }
}

async fn restore(rds: &impl Rds, new: &Restore, notes: &[String], now: Timestamp) -> Result<Done> {
    let begun = Instant::now();
    let made = ensure::restore(rds, new).await?;
    let accepted_ms = elapsed_ms(begun);
    // It is being made, whatever else the answer holds: tags that it leaves out are those that were asked for.
    let tagged =
        if made.tags.contains_key(tag::RESTORE) { made } else { Instance { tags: new.tags.clone(), ..made } };
    let restored = Restored::of(&tagged, rds.region()).ok_or_else(|| {
        Error::permanent("TagsUnreadable", format!("{} is being made; its tags are not ours", tagged.id))
    })?;
    let recovery_point = match &new.from {
        RestoreFrom::Snapshot(id) => Some(id.as_str()),
        RestoreFrom::Instant(..) => None,
    };
    Ok(answer(&restored, Some(accepted_ms), recovery_point, notes, now))
}

/// What a person is told of a restore that is being made.
fn answer(
    restored: &Restored,
    accepted_ms: Option<i64>,
    recovery_point: Option<&str>,
    notes: &[String],
    now: Timestamp,
) -> Done {
    let (restore, instance) = (&restored.restore, &restored.instance);
    let entry = requested(restored, accepted_ms, now);
    let mut done = Done { entries: vec![entry], ..Done::underway() };
    for (key, value) in restored.lost() {
        done = done.with(key, value);
    }
    if let (true, Some(id)) = (done.detail.contains_key("as_of"), recovery_point) {
        done = done.with("recovery_point", id);
    }
    done.with("restore_id", restore.id.clone())
        .with("resource", restore.resource.to_string())
        .with("to", instance.tags.get(tag::RESTORED_TO).cloned().unwrap_or_default())
        .with("instance", instance.id.clone())
        .with("region", restore.region.clone())
        .with("status", instance.status.clone())
        .with("requested_at", restore.requested_at.to_string())
        .with("notes", notes.to_vec())
        .with("next", format!("ticks follow it; the ledger will hold {}", restore.id))
}

/// The entry that a restore was asked for.
fn requested(restored: &Restored, accepted_ms: Option<i64>, now: Timestamp) -> Entry {
    let instance = &restored.instance;
    let detail = [
        ("instance", instance.id.clone().into()),
        ("to", instance.tags.get(tag::RESTORED_TO).cloned().into()),
        ("accepted_ms", accepted_ms.into()),
    ];
    let mut entry = restored.restore.requested(detail, now);
    entry.detail.extend(restored.lost().into_iter().map(|(key, value)| (key.to_owned(), value)));
    entry
}

/// Notes when the instance was first seen available, asks the query, and when it is answered writes down the phases.
async fn first_query<R, L: Ledger, S: Secrets, P: Postgres>(
    function: &RdsRestores<R, L, S, P>,
    restored: &Restored,
    available_recorded: bool,
    now: Timestamp,
) -> Result<Done> {
    let begun = Instant::now();
    let mut available = restored.restore.entry("restore-available", Outcome::Completed, now);
    let available_at = if available_recorded {
        let stored = function.ledger.get(&available.key()).await?;
        stored.and_then(|entry| entry["at"].as_str()?.parse().ok()).unwrap_or(now)
    } else {
        now
    };
    available.detail.insert("instance".to_owned(), restored.instance.id.clone().into());
    let mut done = Done::default().with("restore_id", restored.restore.id.clone());
    if !available_recorded {
        done.entries.push(available);
    }
    let first_query = match ask(function, restored).await {
        Ok(outcome) => outcome,
        Err(error)
            if error.code() == NOT_REACHED && now.duration_since(available_at) > FIRST_QUERY_PATIENCE =>
        {
            FirstQuery::NotReached
        }
        Err(error) if now.duration_since(available_at) > FIRST_QUERY_PATIENCE => {
            return Err(Error::permanent(
                FIRST_QUERY_FAILED,
                format!(
                    "{}: {} is available since {available_at} and answers no query; the instance is left as it is",
                    restored.restore.id, restored.instance.id
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
    let end = if first_query == FirstQuery::Answered { answered_at } else { available_at };
    let duration_ms = between_ms(restored.restore.requested_at, end);
    done.entries.push(completed(restored, available_at, end, first_query, now));
    done.metrics.push(Metric::milliseconds("restore_duration_ms", duration_ms));
    Ok(done.with("duration_ms", duration_ms))
}

/// The entry that says how long each phase took. `available` is when a tick first saw it: no finer than the ticks.
fn completed(
    restored: &Restored,
    available_at: Timestamp,
    end: Timestamp,
    first_query: FirstQuery,
    now: Timestamp,
) -> Entry {
    let requested_at = restored.restore.requested_at;
    let mut entry = restored.restore.entry("restore-completed", Outcome::Completed, now);
    let mut phases = json!({
        "requested": requested_at,
        "available": available_at,
        "creating_ms": between_ms(requested_at, available_at),
    });
    if first_query == FirstQuery::Answered {
        phases["first_query_answered"] = json!(end);
        phases["first_query_ms"] = between_ms(available_at, end).into();
    }
    let common = [
        ("instance", Value::from(restored.instance.id.clone())),
        ("to", restored.instance.tags.get(tag::RESTORED_TO).cloned().into()),
        ("endpoint", restored.instance.endpoint.as_ref().map(|at| format!("{}:{}", at.host, at.port)).into()),
        ("phases", phases),
        ("duration_ms", between_ms(requested_at, end).into()),
        ("first_query", first_query.as_str().into()),
        ("first_query_note", first_query.note().into()),
    ];
    let all = common.into_iter().chain(restored.lost());
    entry.detail.extend(all.map(|(key, value)| (key.to_owned(), value)));
    entry
}

/// What came of the first query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FirstQuery {
    Answered,
    /// No credentials are named: that it is available is all we can tell.
    NotAsked,
    /// No way leads from the function to the database: that says nothing of the database.
    NotReached,
}

/// The code under which the port says that no connection came about.
const NOT_REACHED: &str = "DatabaseNotReached";

impl FirstQuery {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::NotAsked => "not-asked",
            Self::NotReached => "not-reached",
        }
    }

    const fn note(self) -> Option<&'static str> {
        match self {
            Self::Answered => None,
            Self::NotAsked => Some(
                "name a secret with credentials, in the request (\"secret\") or in the source's tag tidemark:secret",
            ),
            Self::NotReached => Some(
                "deploy with VpcSubnetIds and VpcSecurityGroupIds from which the database can be reached, and let it be reached",
            ),
        }
    }
}

async fn ask<R, L, S: Secrets, P: Postgres>(
    function: &RdsRestores<R, L, S, P>,
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
