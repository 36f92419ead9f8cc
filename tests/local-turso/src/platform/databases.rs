//! Databases: lists, records, configuration, tokens, deletion.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, ApiToken, Question, Refusal, create, tokens};
use crate::database::{Database, Life, Upload};
use crate::plane::{Plane, State};

/// `/v1/organizations/{slug}/databases…`.
pub(super) async fn answer(
    plane: &Arc<Plane>,
    caller: &ApiToken,
    question: &Question<'_>,
    rest: &[&str],
) -> Answer {
    match (question.method.as_str(), rest) {
        ("GET", []) => list(plane, caller, question),
        ("POST", []) => create::answer(plane, caller, question).await,
        ("GET", [name]) => {
            let database = super::database(plane, name)?;
            Ok(Some(json!({"database": document(&plane.state(), &database)})))
        }
        ("DELETE", [name]) => delete(plane, name).await,
        ("GET", [name, "configuration"]) => Ok(Some(configuration(&*super::database(plane, name)?))),
        ("PATCH", [name, "configuration"]) => configure(&super::database(plane, name)?, question).await,
        ("GET", [name, "instances"]) => {
            let database = super::database(plane, name)?;
            Ok(Some(json!({"instances": [instance(&plane.state(), &database)]})))
        }
        ("GET", [name, "instances", location]) => {
            let database = super::database(plane, name)?;
            let instance = instance(&plane.state(), &database);
            if instance["name"] != *location {
                return Err(Refusal::new(404, format!("instance {location} not found")));
            }
            Ok(Some(json!({"instance": instance})))
        }
        ("POST", [name, "auth", "tokens"]) => {
            let database = super::database(plane, name)?;
            let round = database.condition().round;
            tokens::mint(plane, question, &database.group, Some((database.id.clone(), round)))
        }
        ("POST", [name, "auth", "rotate"]) => {
            super::database(plane, name)?.condition().round += 1;
            Ok(None)
        }
        ("GET", [name, "usage"]) => usage(&super::database(plane, name)?, question).await,
        ("GET", [name, "stats"]) => {
            super::database(plane, name)?;
            Ok(Some(json!({"top_queries": null})))
        }
        _ => Err(Refusal::no_route()),
    }
}

/// In the order of the names. `limit` and `cursor` are the CLI's; the document does not have them.
fn list(plane: &Plane, caller: &ApiToken, question: &Question<'_>) -> Answer {
    let (group, parent) = (question.parameter("group"), question.parameter("parent"));
    let (limit, cursor) = (question.parameter("limit"), question.parameter("cursor"));
    let limit = limit.map(|text| text.parse::<usize>().ok().filter(|limit| *limit > 0));
    let limit = match limit {
        Some(None) => return Err(Refusal::new(400, "invalid limit parameter: a positive number")),
        Some(limit) => limit,
        None => None,
    };
    let state = plane.state();
    let size = limit.unwrap_or(usize::MAX).min(state.page_size.unwrap_or(usize::MAX));
    let mut found = state.databases.values().map(|held| &held.database).filter(|database| {
        let is = |asked: &Option<String>, own: &str| asked.as_ref().is_none_or(|asked| asked == own);
        let parent_id = database.parent.as_ref().map_or("", |parent| &parent.id);
        is(&group, &database.group)
            && is(&caller.group, &database.group)
            && is(&parent, parent_id)
            && cursor.as_ref().is_none_or(|after| database.name > *after)
    });
    let page: Vec<_> = found.by_ref().take(size).collect();
    let next = found.next().and(page.last()).map(|last| last.name.clone());
    let databases: Vec<_> = page.into_iter().map(|database| document(&state, database)).collect();
    let mut answer = json!({"databases": databases});
    if limit.is_some() || next.is_some() {
        answer["pagination"] = json!({"next": next});
    }
    Ok(Some(answer))
}

fn location(state: &State, database: &Database) -> String {
    state.groups.get(&database.group).map(|group| group.location.clone()).unwrap_or_default()
}

fn document(state: &State, database: &Database) -> Value {
    let location = location(state, database);
    let condition = database.condition();
    let parent = database.parent.as_ref().map(
        |parent| json!({"id": parent.id, "name": parent.name, "branched_at": parent.branched_at.to_string()}),
    );
    json!({
        "Name": database.name,
        "DbId": database.id,
        "Hostname": database.hostname(),
        "block_reads": condition.configuration.block_reads,
        "block_writes": condition.configuration.block_writes,
        "regions": [location],
        "primaryRegion": location,
        "group": database.group,
        "delete_protection": condition.delete_protection,
        "parent": parent,
        "type": "logical",
        "is_schema": false,
        "sleeping": condition.life == Life::Asleep,
        "archived": condition.life == Life::Archived,
    })
}

fn instance(state: &State, database: &Database) -> Value {
    let location = location(state, database);
    json!({
        "uuid": database.id,
        "name": location,
        "type": "primary",
        "region": location,
        "hostname": database.hostname(),
    })
}

pub(super) fn protected(name: &str) -> Refusal {
    Refusal::new(403, format!("database {name} is protected against deletion"))
}

async fn delete(plane: &Arc<Plane>, name: &str) -> Answer {
    let began = Instant::now();
    let database = super::database(plane, name)?;
    if database.condition().delete_protection {
        return Err(protected(name));
    }
    plane.at_least(began, |speed| speed.delete).await;
    if !remove(plane, &database).await {
        return Err(Refusal::no_database(name));
    }
    Ok(Some(json!({"database": name})))
}

/// Closes its door, then ends it. False if somebody else did.
pub(super) async fn remove(plane: &Plane, database: &Arc<Database>) -> bool {
    let held = {
        let mut state = plane.state();
        let is_it =
            state.databases.get(&database.name).is_some_and(|held| Arc::ptr_eq(&held.database, database));
        if is_it { state.databases.remove(&database.name) } else { None }
    };
    let was_there = held.is_some();
    drop(held);
    database.end().await;
    was_there
}

fn configuration(database: &Database) -> Value {
    let condition = database.condition();
    json!({
        "size_limit": condition.configuration.size_limit.as_deref().unwrap_or("0"),
        "allow_attach": condition.configuration.allow_attach,
        "block_reads": condition.configuration.block_reads,
        "block_writes": condition.configuration.block_writes,
        "delete_protection": condition.delete_protection,
        "allowed_ips": condition.allowed_ips,
        "allowed_aws_vpc_ids": condition.allowed_vpcs,
    })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    size_limit: Option<String>,
    allow_attach: Option<bool>,
    block_reads: Option<bool>,
    block_writes: Option<bool>,
    delete_protection: Option<bool>,
    allowed_ips: Option<Vec<String>>,
    allowed_aws_vpc_ids: Option<Vec<String>>,
}

async fn configure(database: &Arc<Database>, question: &Question<'_>) -> Answer {
    let change: Change = question.document()?;
    let mut wanted = database.condition().configuration.clone();
    if let Some(limit) = change.size_limit {
        wanted.size_limit = size_limit(&limit)?;
    }
    wanted.allow_attach = change.allow_attach.unwrap_or(wanted.allow_attach);
    wanted.block_reads = change.block_reads.unwrap_or(wanted.block_reads);
    wanted.block_writes = change.block_writes.unwrap_or(wanted.block_writes);
    let is_new = wanted != database.condition().configuration;
    if is_new && database.condition().upload == Upload::None {
        let server = database.server().await.map_err(|error| Refusal::internal(&error))?;
        server.configure(&wanted).await.map_err(|error| Refusal::internal(&error.into()))?;
    }
    {
        let mut condition = database.condition();
        condition.configuration = wanted;
        condition.delete_protection = change.delete_protection.unwrap_or(condition.delete_protection);
        if let Some(addresses) = change.allowed_ips {
            condition.allowed_ips = addresses;
        }
        if let Some(endpoints) = change.allowed_aws_vpc_ids {
            condition.allowed_vpcs = endpoints;
        }
    }
    Ok(Some(configuration(database)))
}

/// A number of bytes, or one with a unit; 0 for no limit.
pub(super) fn size_limit(text: &str) -> Result<Option<String>, Refusal> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let number = digits.parse::<u64>().ok().filter(|_| ["", "b", "kb", "mb", "gb", "tb"].contains(&unit));
    match number {
        Some(0) => Ok(None),
        Some(_) => Ok(Some(text)),
        None => Err(Refusal::new(400, format!("invalid size limit {text:?}"))),
    }
}

async fn usage(database: &Arc<Database>, question: &Question<'_>) -> Answer {
    for name in ["from", "to"] {
        let Some(text) = question.parameter(name) else { continue };
        text.parse::<Timestamp>()
            .map_err(|error| Refusal::new(400, format!("invalid {name} parameter: {error}")))?;
    }
    let is_empty = database.condition().upload != Upload::None;
    let (read, written, bytes) = if is_empty {
        (0, 0, 0)
    } else {
        let work = async {
            let counted = database.server().await?.statistics().await?;
            database.look(std::time::Duration::ZERO).await?;
            let bytes = database.with_history(|history| Ok(history.bytes())).await?;
            Ok((counted.rows_read_count, counted.rows_written_count, bytes))
        };
        work.await.map_err(|error| Refusal::internal(&error))?
    };
    let usage =
        json!({"rows_read": read, "rows_written": written, "storage_bytes": bytes, "bytes_synced": 0});
    let database =
        json!({"uuid": database.id, "instances": [{"uuid": database.id, "usage": usage}], "total": usage});
    Ok(Some(json!({"database": database})))
}
