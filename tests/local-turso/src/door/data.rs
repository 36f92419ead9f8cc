//! The endpoint of a database: what is refused before anything is looked at, and who answers the rest.

use std::sync::Arc;
use std::time::Instant;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;
use jiff::Timestamp;

use super::{Body, Lost, bearer, pages, pass, proxy, refusal, upload};
use crate::database::{self, Database, Life, Upload};
use crate::keys::Access;
use crate::plane::Plane;
use crate::platform::{Refusal, chain};

/// Answers one request.
pub(super) async fn answer(
    plane: &Arc<Plane>,
    database: &Arc<Database>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Lost> {
    let (head, body) = request.into_parts();
    let name = database.name.clone();
    pass(plane, Some(&name), &head, async {
        let answer = route(plane, database, &head, body).await;
        answer.unwrap_or_else(|refused| refusal(&refused))
    })
    .await
}

async fn route(
    plane: &Arc<Plane>,
    database: &Arc<Database>,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let segments: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
    // As on sqld, these two are for everybody.
    let is_open = matches!(segments.as_slice(), ["health" | "version"]);
    if !is_open {
        admit(database, head)?;
    }
    match (head.method.as_str(), segments.as_slice()) {
        ("POST", ["v1", "upload"]) => {
            authorize(plane, database, head, Access::Full)?;
            upload::answer(database, head, body).await
        }
        ("GET", ["info"] | ["export", _] | ["sync", _, _, _]) => {
            if pages::are_exported(database) {
                authorize(plane, database, head, Access::ReadOnly)?;
                wake(plane, database).await?;
            }
            pages::answer(plane, database, head, &segments).await
        }
        _ => {
            if !is_open {
                belongs(plane, database, head)?;
            }
            wake(plane, database).await?;
            proxy::answer(database, head, body).await
        }
    }
}

fn admit(database: &Database, head: &Parts) -> Result<(), Refusal> {
    let condition = database.condition();
    if condition.life == Life::Archived {
        return Err(Refusal::new(
            403,
            format!("database {} is archived: unarchive its group", database.name),
        ));
    }
    if let Some(key) = &condition.encryption_key {
        let given = head.headers.get("x-turso-encryption-key").map(http::HeaderValue::as_bytes);
        if given != Some(key.as_bytes()) {
            return Err(Refusal::new(
                400,
                "the database is encrypted: x-turso-encryption-key is missing or wrong",
            ));
        }
    }
    Ok(())
}

/// A token that is ours must be for this database, and not invalidated. What else is wrong with a token, sqld says.
fn belongs(plane: &Plane, database: &Database, head: &Parts) -> Result<Option<Access>, Refusal> {
    let claims = bearer(head).and_then(|token| plane.keys.claims(token));
    let Some(claims) = claims else { return Ok(None) };
    let refused = |why: &str| Refusal::new(401, format!("Unauthorized: `{why}`"));
    let round = plane.state().groups.get(&database.group).map(|group| group.round);
    let own_round = database.condition().round;
    // sqld is generous by a minute.
    if claims.have_expired(Timestamp::now()) {
        return Err(refused("The JWT has expired"));
    }
    if claims.group != database.group || claims.database.as_ref().is_some_and(|(id, _)| *id != database.id) {
        return Err(refused("The JWT is for another database"));
    }
    let is_old = claims.database.as_ref().is_some_and(|(_, round)| *round != own_round);
    if is_old || round != Some(claims.group_round) {
        return Err(refused("The JWT was invalidated"));
    }
    Ok(Some(claims.a))
}

/// For what is not sqld's.
fn authorize(plane: &Plane, database: &Database, head: &Parts, needed: Access) -> Result<(), Refusal> {
    match (belongs(plane, database, head)?, needed) {
        (None, _) => Err(Refusal::new(401, "Unauthorized: `The JWT is missing, invalid or expired`")),
        (Some(Access::ReadOnly), Access::Full) => {
            Err(Refusal::new(403, "Authorization forbidden: the token is read-only"))
        }
        (Some(_), _) => Ok(()),
    }
}

/// A database that sleeps, or whose server ended by itself, is started.
async fn wake(plane: &Plane, database: &Database) -> Result<(), Refusal> {
    if database.condition().upload != Upload::None {
        return Err(unready(&database::Error::Empty));
    }
    if database.condition().life == Life::Asleep {
        plane.at_least(Instant::now(), |speed| speed.wake).await;
    }
    database.server().await.map(drop).map_err(|error| unready(&error))
}

pub(super) fn unready(error: &database::Error) -> Refusal {
    match error {
        database::Error::Empty => Refusal::new(400, "the database waits for its upload"),
        database::Error::Deleted => Refusal::new(404, "the database was deleted"),
        error => {
            tracing::warn!(error = %chain(error), "a database does not answer");
            Refusal::new(502, "the database does not answer")
        }
    }
}
