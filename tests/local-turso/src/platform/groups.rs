//! Groups of databases.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, ApiToken, Question, Refusal, databases, organization, tokens};
use crate::database::Life;
use crate::plane::{Group, Plane, State, is_name};

#[derive(Deserialize)]
struct New {
    name: String,
    location: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Change {
    delete_protection: Option<bool>,
}

/// `/v1/organizations/{slug}/groups…`.
pub(super) async fn answer(
    plane: &Arc<Plane>,
    caller: &ApiToken,
    question: &Question<'_>,
    rest: &[&str],
) -> Answer {
    match (question.method.as_str(), rest) {
        ("GET", []) => {
            let state = plane.state();
            let visible = |group: &&Group| caller.group.as_ref().is_none_or(|pinned| *pinned == group.name);
            let groups: Vec<_> =
                state.groups.values().filter(visible).map(|group| document(&state, group)).collect();
            Ok(Some(json!({"groups": groups})))
        }
        ("POST", []) => create(plane, question),
        ("GET", [name]) => {
            let mut state = plane.state();
            let group = super::group(&mut state, name)?.clone();
            Ok(Some(json!({"group": document(&state, &group)})))
        }
        ("DELETE", [name]) => delete(plane, name).await,
        ("GET", [name, "configuration"]) => {
            let protected = super::group(&mut plane.state(), name)?.delete_protection;
            Ok(Some(json!({"delete_protection": protected})))
        }
        ("PATCH", [name, "configuration"]) => {
            let change: Change = question.document()?;
            let mut state = plane.state();
            let group = super::group(&mut state, name)?;
            group.delete_protection = change.delete_protection.unwrap_or(group.delete_protection);
            Ok(Some(json!({"delete_protection": group.delete_protection})))
        }
        ("POST", [name, "unarchive"]) => {
            let mut state = plane.state();
            let group = super::group(&mut state, name)?.clone();
            for held in state.databases.values().filter(|held| held.database.group == *name) {
                let mut condition = held.database.condition();
                if condition.life == Life::Archived {
                    condition.life = Life::Asleep;
                }
            }
            Ok(Some(json!({"group": document(&state, &group)})))
        }
        ("POST", [name, "auth", "tokens"]) => {
            super::group(&mut plane.state(), name)?;
            tokens::mint(plane, question, name, None)
        }
        ("POST", [name, "auth", "rotate"]) => {
            super::group(&mut plane.state(), name)?.round += 1;
            Ok(None)
        }
        _ => Err(Refusal::no_route()),
    }
}

fn document(state: &State, group: &Group) -> Value {
    let mut members = state.databases.values().filter(|held| held.database.group == group.name).peekable();
    let is_archived =
        members.peek().is_some() && members.all(|held| held.database.condition().life == Life::Archived);
    json!({
        "name": group.name,
        "uuid": group.id,
        "version": "v0.24.32",
        "locations": [group.location],
        "primary": group.location,
        "delete_protection": group.delete_protection,
        "archived": is_archived,
    })
}

fn create(plane: &Plane, question: &Question<'_>) -> Answer {
    let new: New = question.document()?;
    if !is_name(&new.name) {
        return Err(Refusal::new(400, "group name must be lowercase letters, digits and dashes, 64 at most"));
    }
    if !organization::is_location(&new.location) {
        return Err(Refusal::new(400, format!("invalid location: {}", new.location)));
    }
    let mut state = plane.state();
    if state.groups.contains_key(&new.name) {
        return Err(Refusal::new(409, "group already exists"));
    }
    let group = Group::new(&new.name, &new.location);
    let document = document(&state, &group);
    state.groups.insert(new.name, group);
    Ok(Some(json!({"group": document})))
}

/// With all its databases, unless something of it is protected.
async fn delete(plane: &Arc<Plane>, name: &str) -> Answer {
    let (document, members) = {
        let mut state = plane.state();
        let group = super::group(&mut state, name)?.clone();
        let members: Vec<_> = state
            .databases
            .values()
            .filter(|held| held.database.group == name)
            .map(|held| Arc::clone(&held.database))
            .collect();
        let protected = members.iter().find(|database| database.condition().delete_protection);
        if group.delete_protection {
            return Err(Refusal::new(403, format!("group {name} is protected against deletion")));
        }
        if let Some(protected) = protected {
            return Err(databases::protected(&protected.name));
        }
        let document = document(&state, &group);
        state.groups.remove(name);
        (document, members)
    };
    for database in members {
        databases::remove(plane, &database).await;
    }
    Ok(Some(json!({"group": document})))
}
