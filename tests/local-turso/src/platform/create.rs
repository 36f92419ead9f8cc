//! Making databases: empty, as branches, for an upload.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::databases::{remove, size_limit};
use super::{Answer, ApiToken, Question, Refusal};
use crate::database::{Condition, Database, Error, Folder, Life, Parent, Upload};
use crate::door::{Doorstep, Room};
use crate::pages::Unreachable;
use crate::plane::{Held, Plane, is_name, uuid};
use crate::sqld::Configuration;

#[derive(Deserialize)]
struct New {
    name: String,
    group: String,
    seed: Option<Seed>,
    size_limit: Option<String>,
    remote_encryption: Option<Encryption>,
}

#[derive(Deserialize)]
struct Seed {
    r#type: String,
    /// The document has `name`, the CLI sends `value`.
    name: Option<String>,
    value: Option<String>,
    timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Encryption {
    encryption_key: Option<String>,
}

/// Where the contents come from.
enum Source {
    Nothing,
    Upload,
    Branch { of: Arc<Database>, at: Option<Timestamp> },
}

/// A name that nobody else may take until this is dropped.
struct Reserved {
    plane: Arc<Plane>,
    name: String,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.plane.state().creating.remove(&self.name);
    }
}

/// `POST …/databases`.
pub(super) async fn answer(plane: &Arc<Plane>, caller: &ApiToken, question: &Question<'_>) -> Answer {
    let new: New = question.document()?;
    let bad = |message: &str| Refusal::new(400, message);
    if !is_name(&new.name) {
        return Err(bad("database name must be lowercase letters, digits and dashes, 64 at most"));
    }
    if caller.group.as_ref().is_some_and(|pinned| *pinned != new.group) {
        return Err(Refusal::new(403, "the token is for another group"));
    }
    let size_limit = new.size_limit.as_deref().map(size_limit).transpose()?.flatten();
    let reserved = reserve(plane, &new)?;
    let source = source(plane, &new)?;
    let began = Instant::now();
    let database = make(plane, &new, source, size_limit).await?;
    plane
        .at_least(began, if database.parent.is_some() { |speed| speed.branch } else { |speed| speed.create })
        .await;
    // In this order: the name is free for others only when nobody can take it any more.
    drop(reserved);
    let made = json!({"DbId": database.id, "Hostname": database.hostname(), "Name": database.name});
    Ok(Some(json!({"database": made})))
}

fn reserve(plane: &Arc<Plane>, new: &New) -> Result<Reserved, Refusal> {
    let mut state = plane.state();
    if !state.groups.contains_key(&new.group) {
        return Err(Refusal::new(400, "group not found"));
    }
    if state.databases.contains_key(&new.name) || state.creating.contains(&new.name) {
        return Err(Refusal::new(409, format!("database with name {} already exists", new.name)));
    }
    let there = state.databases.len() + state.creating.len();
    if state.plan.databases.is_some_and(|limit| there >= limit) {
        return Err(Refusal::new(402, "the plan's limit of databases is reached: upgrade it"));
    }
    state.creating.insert(new.name.clone());
    Ok(Reserved { plane: Arc::clone(plane), name: new.name.clone() })
}

fn source(plane: &Plane, new: &New) -> Result<Source, Refusal> {
    let bad = |message: String| Refusal::new(400, message);
    let Some(seed) = &new.seed else { return Ok(Source::Nothing) };
    match seed.r#type.as_str() {
        "database_upload" => Ok(Source::Upload),
        // Turso took it once, and still does not refuse it: the database is simply empty.
        "dump" => Ok(Source::Nothing),
        "database" => {
            let name = seed.name.as_ref().or(seed.value.as_ref());
            let name = name.ok_or_else(|| bad("the seed names no database".to_owned()))?;
            let of = plane
                .database(name)
                .ok_or_else(|| bad(format!("could not find database with name {name}: record not found")))?;
            let is_encrypted = of.condition().encryption_key.is_some();
            if is_encrypted && new.remote_encryption.is_none() {
                return Err(bad(format!("database {name} is encrypted: a branch needs remote_encryption")));
            }
            let at = seed.timestamp.as_deref().map(|text| restorable(plane, &of, text)).transpose()?;
            Ok(Source::Branch { of, at })
        }
        other => Err(bad(format!("unknown seed type {other:?}"))),
    }
}

/// The timestamp, if the plan's window has it and the database was there.
fn restorable(plane: &Plane, of: &Database, text: &str) -> Result<Timestamp, Refusal> {
    let bad = |message: String| Refusal::new(400, message);
    let at: Timestamp = text.parse().map_err(|error| bad(format!("invalid timestamp {text:?}: {error}")))?;
    let (now, window) = (Timestamp::now(), plane.state().plan.pitr_window);
    if at > now {
        return Err(bad(format!("timestamp {at} is in the future")));
    }
    if now.duration_since(at) > window {
        return Err(bad(format!("timestamp {at} is outside the plan's recovery window of {window:#}")));
    }
    if at < of.created {
        return Err(bad(format!("timestamp {at} is before database {} was created", of.name)));
    }
    Ok(at)
}

async fn make(
    plane: &Arc<Plane>,
    new: &New,
    source: Source,
    size_limit: Option<String>,
) -> Result<Arc<Database>, Refusal> {
    let internal = |error: Error| Refusal::internal(&error);
    let step = Doorstep::bind(0).await.map_err(|error| internal(error.into()))?;
    let id = uuid();
    let folder = Folder(plane.folder(&id));
    let (upload, parent) = match &source {
        Source::Nothing => (Upload::None, None),
        Source::Upload => (Upload::Awaited, None),
        Source::Branch { of, at } => {
            let branched_at = at.unwrap_or_else(Timestamp::now);
            (Upload::None, Some(Parent { id: of.id.clone(), name: of.name.clone(), branched_at }))
        }
    };
    let encryption_key = new.remote_encryption.as_ref().and_then(|it| it.encryption_key.clone());
    let database = Arc::new(Database {
        id,
        name: new.name.clone(),
        group: new.group.clone(),
        created: Timestamp::now(),
        parent,
        port: step.address().port(),
        folder,
        install: Arc::clone(&plane.install),
        condition: Mutex::new(Condition {
            configuration: Configuration { size_limit, ..Configuration::default() },
            delete_protection: false,
            allowed_ips: Vec::new(),
            allowed_vpcs: Vec::new(),
            round: 0,
            life: Life::Awake,
            upload,
            encryption_key,
            troubles: Vec::new(),
        }),
        server: tokio::sync::Mutex::new(None),
        history: Arc::default(),
    });
    if let Source::Branch { of, at } = &source {
        branch(of, *at, &database).await?;
    }
    if upload == Upload::None {
        database.server().await.map_err(internal)?;
        database.begin_history().await.map_err(internal)?;
    }
    let room = Room::Database(Arc::clone(plane), Arc::clone(&database));
    let held = Held { database: Arc::clone(&database), _door: step.open(room) };
    let is_orphan = {
        let mut state = plane.state();
        state.databases.insert(new.name.clone(), held);
        !state.groups.contains_key(&new.group)
    };
    if is_orphan {
        remove(plane, &database).await;
        return Err(Refusal::new(400, "group not found"));
    }
    Ok(database)
}

/// Puts the pages of one database, as they are or were, where the other will look for them.
async fn branch(of: &Database, at: Option<Timestamp>, to: &Database) -> Result<(), Refusal> {
    if at.is_none() {
        of.look(Duration::ZERO).await.map_err(|error| Refusal::internal(&error))?;
    }
    let file = to.folder.0.join("branch");
    let target = file.clone();
    let written = of.with_history(move |history| {
        std::fs::create_dir_all(target.parent().unwrap_or(&target))?;
        match at {
            Some(at) => match history.at(at, &target) {
                Err(Unreachable::Files(error)) => Err(error),
                other => Ok(other),
            },
            None => history.newest(&target).map(Ok),
        }
    });
    match written.await {
        Ok(Ok(())) => to.place(&file).await.map_err(|error| Refusal::internal(&error)),
        Ok(Err(unreachable)) => Err(Refusal::new(400, unreachable.to_string())),
        Err(Error::Empty) => Err(Refusal::new(400, format!("database {} waits for its upload", of.name))),
        Err(error) => Err(Refusal::internal(&error)),
    }
}
