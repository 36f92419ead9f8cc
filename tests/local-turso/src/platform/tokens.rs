//! Tokens: those that the Platform API is called with, and those for databases that it makes.

use std::collections::BTreeSet;

use http::Method;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Question, Refusal};
use crate::PlatformTokens;
use crate::keys::{Access, Claims, Lifetime, lifetime};
use crate::plane::{Plane, uuid};

/// What a token that is pinned to a group may do, one by one.
const SCOPES: [&str; 8] = [
    "read",
    "db:create",
    "db:delete",
    "db:configure",
    "db:mint-token",
    "db:rotate-creds",
    "group:configure",
    "group:mint-token",
];
const LAST_SCOPE: &str = "group:rotate-creds";

/// A token for the Platform API.
#[derive(Clone, Debug)]
pub(crate) struct ApiToken {
    name: String,
    id: String,
    secret: String,
    created: Timestamp,
    expires: Option<Timestamp>,
    is_revoked: bool,
    /// Given to it by name; all others may use any organization.
    organization: Option<String>,
    /// The only group that it may touch.
    pub(crate) group: Option<String>,
    /// `None`: all.
    scopes: Option<BTreeSet<String>>,
}

impl ApiToken {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            id: uuid(),
            secret: format!("{:032x}{:032x}", fastrand::u128(..), fastrand::u128(..)),
            created: Timestamp::now(),
            expires: None,
            is_revoked: false,
            organization: None,
            group: None,
            scopes: None,
        }
    }

    /// Those that the organization begins with.
    pub(crate) fn first() -> (Vec<Self>, PlatformTokens) {
        let (full, mut read) = (Self::new("full-access"), Self::new("read-only"));
        let (mut expired, mut revoked) = (Self::new("expired"), Self::new("revoked"));
        read.scopes = Some(BTreeSet::from(["read".to_owned()]));
        expired.expires = Some(Timestamp::UNIX_EPOCH);
        revoked.is_revoked = true;
        let tokens = PlatformTokens {
            full_access: full.secret.clone(),
            read_only: read.secret.clone(),
            expired: expired.secret.clone(),
            revoked: revoked.secret.clone(),
        };
        (vec![full, read, expired, revoked], tokens)
    }

    /// Whether it may act on whatever its owner may.
    pub(super) const fn is_unrestricted(&self) -> bool {
        self.organization.is_none() && self.scopes.is_none()
    }

    pub(crate) const fn expire(&mut self, at: Option<Timestamp>) {
        self.expires = at;
    }

    pub(crate) fn is(&self, secret: &str) -> bool {
        self.secret == secret
    }

    /// Whether it may do this to what `rest`, the path below the organization, names.
    pub(crate) fn may(&self, plane: &Plane, method: &Method, rest: &[&str]) -> Result<(), Refusal> {
        if let Some(scopes) = &self.scopes {
            let needed = scope(method, rest);
            if needed.is_none_or(|needed| !scopes.contains(needed)) {
                let missing = needed.unwrap_or("full access");
                return Err(Refusal::new(403, format!("the token lacks the permission: {missing}")));
            }
        }
        let Some(pinned) = &self.group else { return Ok(()) };
        let group = match rest {
            ["databases"] => return Ok(()),
            ["databases", name, ..] => {
                plane.database(name).map(|database| database.group.clone()).unwrap_or_default()
            }
            ["groups", name, ..] => (*name).to_owned(),
            _ => String::new(),
        };
        if group == *pinned { Ok(()) } else { Err(Refusal::new(403, "the token is for another group")) }
    }
}

/// What a call needs; `None` if no scope covers it.
fn scope(method: &Method, rest: &[&str]) -> Option<&'static str> {
    match (method.as_str(), rest) {
        ("GET", _) => Some("read"),
        ("POST", ["databases"]) => Some("db:create"),
        ("DELETE", ["databases", _]) => Some("db:delete"),
        ("PATCH", ["databases", _, "configuration"]) => Some("db:configure"),
        ("POST", ["databases", _, "auth", "tokens"]) => Some("db:mint-token"),
        ("POST", ["databases", _, "auth", "rotate"]) => Some("db:rotate-creds"),
        ("POST", ["groups", _, "auth", "tokens"]) => Some("group:mint-token"),
        ("POST", ["groups", _, "auth", "rotate"]) => Some(LAST_SCOPE),
        ("PATCH", ["groups", _, "configuration"]) | ("POST", ["groups", _, "unarchive"]) => {
            Some("group:configure")
        }
        _ => None,
    }
}

/// The token behind a bearer string.
pub(super) fn caller(plane: &Plane, bearer: Option<&str>, now: Timestamp) -> Result<ApiToken, Refusal> {
    let refused = |why: &str| Refusal::new(401, format!("unauthorized: {why}"));
    let bearer = bearer.ok_or_else(|| refused("no bearer token"))?;
    let state = plane.state();
    let found = state.api_tokens.iter().find(|token| token.is(bearer));
    let token = found.ok_or_else(|| refused("the token is not known"))?;
    if token.is_revoked {
        return Err(refused("the token was revoked"));
    }
    if token.expires.is_some_and(|expires| expires <= now) {
        return Err(refused("the token has expired"));
    }
    Ok(token.clone())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Restriction {
    organization: Option<String>,
    group: Option<String>,
    scopes: Vec<String>,
}

/// `/v1/auth/…`.
pub(super) fn answer(plane: &Plane, caller: &ApiToken, question: &Question<'_>, rest: &[&str]) -> Answer {
    match (question.method.as_str(), rest) {
        ("GET", ["validate"]) => {
            let expires = caller.expires.map_or(-1, Timestamp::as_second);
            Ok(Some(json!({"exp": expires})))
        }
        (_, ["api-tokens", ..]) if caller.scopes.is_some() => {
            Err(Refusal::new(403, "the token may not manage tokens"))
        }
        ("GET", ["api-tokens"]) => {
            let state = plane.state();
            let tokens = state.api_tokens.iter().filter(|token| !token.is_revoked);
            Ok(Some(json!({"tokens": tokens.map(described).collect::<Vec<_>>()})))
        }
        ("POST", ["api-tokens", name]) => create(plane, question, name),
        ("DELETE", ["api-tokens", name]) => {
            let mut state = plane.state();
            let mut tokens = state.api_tokens.iter_mut();
            let found = tokens.find(|token| token.name == *name && !token.is_revoked);
            found.ok_or_else(|| Refusal::new(404, "token not found"))?.is_revoked = true;
            Ok(Some(json!({"token": name})))
        }
        _ => Err(Refusal::no_route()),
    }
}

fn create(plane: &Plane, question: &Question<'_>, name: &str) -> Answer {
    let asked: Restriction = question.document()?;
    if asked.organization.as_ref().is_some_and(|slug| *slug != plane.organization) {
        return Err(Refusal::new(404, "organization not found"));
    }
    let mut token = ApiToken::new(name);
    token.organization.clone_from(&asked.organization);
    if let Some(group) = asked.group {
        if asked.organization.is_none() || asked.scopes.is_empty() {
            return Err(Refusal::new(400, "a token for a group needs organization and scopes"));
        }
        token.scopes = Some(expanded(&asked.scopes)?);
        super::group(&mut plane.state(), &group)?;
        token.group = Some(group);
    }
    let mut state = plane.state();
    if state.api_tokens.iter().any(|token| token.name == name && !token.is_revoked) {
        return Err(Refusal::new(409, format!("token with name {name} already exists")));
    }
    let answer = json!({"name": token.name, "id": token.id, "token": token.secret});
    state.api_tokens.push(token);
    Ok(Some(answer))
}

fn expanded(scopes: &[String]) -> Result<BTreeSet<String>, Refusal> {
    let all = || SCOPES.into_iter().chain([LAST_SCOPE]);
    let mut expanded = BTreeSet::new();
    for scope in scopes {
        match scope.as_str() {
            "read-only" => expanded.extend(["read".to_owned()]),
            "full-access" => expanded.extend(all().map(str::to_owned)),
            known if all().any(|scope| scope == known) => expanded.extend([known.to_owned()]),
            unknown => return Err(Refusal::new(400, format!("unknown scope {unknown:?}"))),
        }
    }
    Ok(expanded)
}

fn described(token: &ApiToken) -> serde_json::Value {
    let created = token.created.strftime("%Y-%m-%d").to_string();
    let mut document = json!({"name": token.name, "id": token.id, "created_at": created});
    if let Some(organization) = &token.organization {
        document["organization"] = json!(organization);
    }
    if let (Some(group), Some(scopes)) = (&token.group, &token.scopes) {
        document["group"] = json!(group);
        document["scopes"] = json!(scopes);
    }
    document
}

/// Makes a token for a database, or for all of a group.
pub(super) fn mint(
    plane: &Plane,
    question: &Question<'_>,
    group: &str,
    database: Option<(String, u64)>,
) -> Answer {
    let bad = |message: &str| Refusal::new(400, message);
    let expiration = question.parameter("expiration").unwrap_or_else(|| "never".to_owned());
    let lifetime = lifetime(&expiration).ok_or_else(|| bad("Invalid expiration format"))?;
    let access = match question.parameter("authorization").as_deref() {
        None | Some("full-access") => Access::Full,
        Some("read-only") => Access::ReadOnly,
        Some(_) => return Err(bad("Invalid authorization: full-access or read-only")),
    };
    // Permissions to attach other databases are taken and not looked at: a token is for its database alone.
    let _: serde_json::Map<String, serde_json::Value> = question.document()?;
    let now = Timestamp::now().as_second();
    let group_round = super::group(&mut plane.state(), group)?.round;
    let claims = Claims {
        a: access,
        iat: now,
        exp: match lifetime {
            Lifetime::Forever => None,
            Lifetime::Seconds(seconds) => Some(now.saturating_add(seconds)),
        },
        group: group.to_owned(),
        group_round,
        database,
    };
    Ok(Some(json!({"jwt": plane.keys.token(&claims)})))
}
