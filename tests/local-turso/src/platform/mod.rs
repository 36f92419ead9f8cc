//! The Platform API: who may call, what was called, and the answer.

mod create;
mod databases;
mod groups;
mod organization;
mod tokens;

use std::sync::Arc;

use http::Method;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::database::{self, Database};
use crate::plane::{Group, Plane, State};
pub(crate) use tokens::ApiToken;

/// A request, without what HTTP adds.
pub(crate) struct Question<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    /// The bearer string, if there is one.
    pub(crate) bearer: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

impl Question<'_> {
    /// A parameter of the query, decoded.
    fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    /// The body as a document; one that is empty is `{}`.
    fn document<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let body = if self.body.iter().all(u8::is_ascii_whitespace) { b"{}" } else { self.body };
        serde_json::from_slice(body)
            .map_err(|error| Refusal::new(400, format!("invalid request body: {error}")))
    }
}

/// A good answer: a document, or none.
pub(crate) type Answer = Result<Option<Value>, Refusal>;

/// Any other answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn no_route() -> Self {
        Self::new(404, "not found")
    }

    /// In Turso's words.
    fn no_database(name: &str) -> Self {
        Self::new(404, format!("could not find database with name {name}: record not found"))
    }

    fn no_group() -> Self {
        Self::new(404, "group not found")
    }

    /// Something of ours does not work: the cause is for the log, not for the caller.
    fn internal(error: &database::Error) -> Self {
        tracing::warn!(error = %chain(error), "the local Turso cannot do its work");
        Self::new(500, "internal server error")
    }
}

/// An error with all its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Answers one request.
pub(crate) async fn answer(plane: &Arc<Plane>, question: &Question<'_>) -> Answer {
    let segments: Vec<&str> = question.path.trim_matches('/').split('/').collect();
    let caller = tokens::caller(plane, question.bearer, Timestamp::now())?;
    match (question.method.as_str(), segments.as_slice()) {
        (_, ["v1", "auth", rest @ ..]) => tokens::answer(plane, &caller, question, rest),
        ("GET", ["v1", "organizations"]) => Ok(Some(organization::list(plane, caller.is_unrestricted()))),
        ("GET", ["v1", "locations"]) => Ok(Some(organization::locations())),
        (_, ["v1", "organizations", slug, rest @ ..]) => {
            if *slug != plane.organization {
                return organization::other(plane, &caller, question, slug, rest);
            }
            caller.may(plane, question.method, rest)?;
            match rest {
                ["databases", rest @ ..] => databases::answer(plane, &caller, question, rest).await,
                ["groups", rest @ ..] => groups::answer(plane, &caller, question, rest).await,
                rest => organization::answer(plane, question, rest),
            }
        }
        _ => Err(Refusal::no_route()),
    }
}

/// A database by its name.
fn database(plane: &Plane, name: &str) -> Result<Arc<Database>, Refusal> {
    plane.database(name).ok_or_else(|| Refusal::no_database(name))
}

/// A group by its name.
fn group<'a>(state: &'a mut State, name: &str) -> Result<&'a mut Group, Refusal> {
    state.groups.get_mut(name).ok_or_else(Refusal::no_group)
}
