//! The organization over HTTP.

mod client;

use std::{fs, path::Path, time::Duration};

use ::http::{Method, Uri};
use jiff::Timestamp;
use reconcile::{Error, Result, Settings};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use self::client::{Call, Client, Content};
use crate::{
    Access, Body, Configuration, Database, Frames, NewBranch, Organization, Session, Token, Turso,
    disk::broken, wire,
};

/// Where the Platform API is.
const API: &str = "https://api.turso.tech";

/// How many databases a page is asked for.
const PAGE: &str = "100";

/// How many pages are read before a list is taken for one that never ends.
const PAGES: usize = 1_000;

/// How many frames are asked for at once: the most that Turso gives.
const BATCH: u64 = 128;

/// The key of an encrypted database.
const KEY_HEADER: &str = "x-turso-encryption-key";

/// Reaches an organization with a token, which may be another one tomorrow.
pub trait Connect {
    /// What is reached.
    type Turso: Turso;
    /// With that token.
    fn connect(&self, token: SecretString) -> Self::Turso;
}

/// The way to an organization over HTTP: connections are kept from one pass to the next.
#[derive(Clone, Debug)]
pub struct HttpConnector {
    client: Client,
    /// Scheme and authority, without a slash at the end.
    api: String,
    scheme: String,
    organization: String,
}

impl HttpConnector {
    /// To that organization, at the place that `TIDEMARK_TURSO_API` names.
    pub fn new(settings: &Settings, organization: &str) -> Result<Self> {
        let api = settings.optional("TIDEMARK_TURSO_API").unwrap_or_else(|| API.to_owned());
        let agent = settings.optional("AWS_SDK_UA_APP_ID").unwrap_or_else(|| "tidemark".to_owned());
        let invalid = || {
            let said = format!("TIDEMARK_TURSO_API is {api:?}, not an address such as {API:?}");
            Error::misconfigured("EnvironmentIncomplete", said)
        };
        let uri: Uri = api.parse().map_err(|_| invalid())?;
        let scheme =
            uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme)).ok_or_else(invalid)?;
        let api = api.trim_end_matches('/').to_owned();
        let client = Client::new(&format!("app/{agent}"))?;
        Ok(Self { client, api, scheme: scheme.to_owned(), organization: organization.to_owned() })
    }

    /// With that pause before the first repetition of a failed call.
    #[must_use]
    pub fn with_first_pause(mut self, pause: Duration) -> Self {
        self.client.first_pause = pause;
        self
    }
}

impl Connect for HttpConnector {
    type Turso = HttpTurso;

    fn connect(&self, token: SecretString) -> HttpTurso {
        HttpTurso { way: self.clone(), token }
    }
}

/// An organization over HTTP.
#[derive(Clone, Debug)]
pub struct HttpTurso {
    way: HttpConnector,
    token: SecretString,
}

fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl HttpTurso {
    fn platform(&self, doing: String, method: Method, path: &str, body: Option<Value>) -> Call {
        let HttpConnector { api, organization, .. } = &self.way;
        let uri = format!("{api}/v1/organizations/{}{path}", segment(organization));
        let content = body.map_or(Content::Nothing, |body| Content::Json(body.to_string()));
        Call { doing, method, uri, token: self.token.clone(), key: None, content, from: 0 }
    }

    /// A call of the Platform API that is about no organization, or another one.
    fn outside(&self, doing: &str, path: &str) -> Call {
        let uri = format!("{}{path}", self.way.api);
        let (doing, token) = (doing.to_owned(), self.token.clone());
        Call { doing, method: Method::GET, uri, token, key: None, content: Content::Nothing, from: 0 }
    }

    fn at(&self, session: &Session, doing: &str, path: &str) -> Call {
        Call {
            doing: format!("{doing} of {}", session.hostname),
            method: Method::GET,
            uri: format!("{}://{}{path}", self.way.scheme, session.hostname),
            token: session.token.clone(),
            key: session.encryption_key.clone(),
            content: Content::Nothing,
            from: 0,
        }
    }

    /// The answer to a call that must succeed, as JSON.
    async fn ask(&self, call: &Call) -> Result<Value> {
        let (status, body) = self.way.client.answer(call).await?;
        if !(200..300).contains(&status) {
            return Err(wire::refused(&call.doing, status, &body));
        }
        wire::json(&call.doing, &body)
    }

    async fn create(&self, doing: String, body: Value) -> Result<Value> {
        self.ask(&self.platform(doing, Method::POST, "/databases", Some(body))).await
    }
}

/// Whether the token is simply not for that.
fn is_kept_out(error: &Error) -> bool {
    ["TursoForbidden", "TursoNotFound", "TursoUnauthorized", "TursoPaymentRequired"].contains(&error.code())
}

/// A database that does not know the address offers no pages: there is another way to copy it.
fn unavailable(doing: &str, error: Error) -> Error {
    let missing = matches!(error.code(), "TursoNotFound")
        || error.to_string().contains("answers 405")
        || error.to_string().contains("answers 501");
    if !missing {
        return error;
    }
    Error::permanent(
        "PageExportUnavailable",
        format!("cannot {doing}: the database does not offer its pages"),
    )
    .caused_by(error)
}

impl Turso for HttpTurso {
    async fn organization(&self) -> Result<Organization> {
        let doing = format!("look at organization {}", self.way.organization);
        let call = self.platform(doing, Method::GET, "", None);
        wire::organization(&call.doing, &self.ask(&call).await?)
    }

    async fn databases(&self) -> Result<Vec<Database>> {
        let doing = format!("list the databases of organization {}", self.way.organization);
        let (mut all, mut cursor): (Vec<Database>, Option<String>) = (Vec::new(), None);
        for _ in 0..PAGES {
            let mut query = form_urlencoded::Serializer::new("/databases?".to_owned());
            query.append_pair("limit", PAGE);
            query.extend_pairs(cursor.iter().map(|cursor| ("cursor", cursor)));
            let call = self.platform(doing.clone(), Method::GET, &query.finish().replace("?&", "?"), None);
            let (page, next) = wire::databases(&doing, &self.ask(&call).await?)?;
            all.extend(page);
            match next {
                None => {
                    all.sort_by(|a, b| a.name.cmp(&b.name));
                    all.dedup_by(|a, b| a.id == b.id);
                    return Ok(all);
                }
                same if same == cursor => break,
                next => cursor = next,
            }
        }
        Err(wire::unreadable(&doing, "is a list without an end"))
    }

    async fn database(&self, name: &str) -> Result<Option<Database>> {
        let call = self.platform(
            format!("look at database {name}"),
            Method::GET,
            &format!("/databases/{}", segment(name)),
            None,
        );
        match self.ask(&call).await {
            Ok(value) => wire::database(&call.doing, value.get("database").unwrap_or(&value)).map(Some),
            Err(error) if error.code() == "TursoNotFound" => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn configuration(&self, name: &str) -> Result<Configuration> {
        let path = format!("/databases/{}/configuration", segment(name));
        let call = self.platform(format!("read the configuration of {name}"), Method::GET, &path, None);
        Ok(wire::configuration(&self.ask(&call).await?))
    }

    async fn token(&self, name: &str, access: Access, lifetime: Duration) -> Result<SecretString> {
        let minutes = lifetime.as_secs().div_ceil(60).max(1);
        let (name_, access) = (segment(name), access.as_str());
        let path = format!("/databases/{name_}/auth/tokens?expiration={minutes}m&authorization={access}");
        let call = self.platform(format!("make a token for {name}"), Method::POST, &path, None);
        let token = self.ask(&call).await?.get("jwt").and_then(Value::as_str).map(SecretString::from);
        token
            .filter(|token| !token.expose_secret().is_empty())
            .ok_or_else(|| wire::unreadable(&call.doing, "has no token"))
    }

    async fn branch(&self, new: &NewBranch) -> Result<()> {
        let NewBranch { name, group, of, at } = new;
        // The documentation names the source `name`, Turso's own command line `value`.
        let seed = json!({"type": "database", "name": of, "value": of, "timestamp": at.to_string()});
        let body = json!({"name": name, "group": group, "seed": seed});
        self.create(format!("make branch {name} of {of}"), body).await.map(drop)
    }

    async fn block_writes(&self, name: &str) -> Result<()> {
        let path = format!("/databases/{}/configuration", segment(name));
        let body = json!({"block_writes": true});
        let call = self.platform(format!("block writes to {name}"), Method::PATCH, &path, Some(body));
        if wire::blocks_writes(&self.ask(&call).await?) {
            return Ok(());
        }
        Err(wire::unreadable(&call.doing, "does not say that writes are blocked now"))
    }

    async fn create_for_upload(&self, name: &str, group: &str) -> Result<Database> {
        let doing = format!("make database {name}");
        let body = json!({"name": name, "group": group, "seed": {"type": "database_upload"}});
        let made = self.create(doing.clone(), body).await?;
        let mut made = made.get("database").cloned().unwrap_or(made);
        // The answer has name, id and place; the group is the one that was asked for.
        made.as_object_mut().map(|made| made.entry("group").or_insert_with(|| group.into()));
        wire::database(&doing, &made)
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let path = format!("/databases/{}", segment(name));
        match self.ask(&self.platform(format!("delete database {name}"), Method::DELETE, &path, None)).await {
            Err(error) if error.code() != "TursoNotFound" => Err(error),
            _ => Ok(()),
        }
    }

    async fn generation(&self, at: &Session) -> Result<u64> {
        let call = self.at(at, "read the generation", "/info");
        let info = self.ask(&call).await.map_err(|error| unavailable(&call.doing, error))?;
        info.get("current_generation")
            .and_then(Value::as_u64)
            .ok_or_else(|| wire::unreadable(&call.doing, "names no generation"))
    }

    async fn export(&self, at: &Session, generation: u64, from: u64) -> Result<Body> {
        let mut call = self.at(at, "export the pages", &format!("/export/{generation}"));
        call.from = from;
        self.way.client.stream(&call).await.map_err(|error| unavailable(&call.doing, error))
    }

    async fn frames(&self, at: &Session, generation: u64, first: u64) -> Result<Frames> {
        let path = format!("/sync/{generation}/{first}/{}", first.saturating_add(BATCH));
        let call = self.at(at, &format!("read the frames of generation {generation} from {first} on"), &path);
        let (status, body) = self.way.client.answer(&call).await?;
        if (200..300).contains(&status) {
            return Ok(Frames::Some(body));
        }
        match wire::end_marker(status, &body) {
            Some((generation, max_frame_no)) => Ok(Frames::End { generation, max_frame_no }),
            None => Err(wire::refused(&call.doing, status, &body)),
        }
    }

    async fn cursor(&self, at: &Session, request: &Value) -> Result<Body> {
        let mut call = self.at(at, "read the rows", "/v3/cursor");
        (call.method, call.content) = (Method::POST, Content::Json(request.to_string()));
        self.way.client.stream(&call).await
    }

    async fn upload(&self, at: &Session, file: &Path) -> Result<()> {
        let length = fs::metadata(file).map_err(broken("look at", file))?.len();
        let mut call = self.at(at, "upload the content", "/v1/upload");
        (call.method, call.content) = (Method::POST, Content::File(file.to_owned(), length));
        let (status, body) = self.way.client.answer(&call).await?;
        if (200..300).contains(&status) { Ok(()) } else { Err(wire::refused(&call.doing, status, &body)) }
    }
}

impl Token for HttpTurso {
    async fn expires(&self) -> Result<Option<Timestamp>> {
        let call = self.outside("ask how long the token is valid", "/v1/auth/validate");
        wire::expiry(&call.doing, &self.ask(&call).await?)
    }

    /// A token that was made for one organization may be shown others all the same: what it can do there is what counts.
    async fn reach(&self, most: usize) -> Result<Vec<String>> {
        let call = self.outside("list the organizations that the token knows", "/v1/organizations");
        let known = match self.ask(&call).await {
            Ok(known) => wire::organizations(&call.doing, &known)?,
            Err(error) if is_kept_out(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut reached = Vec::new();
        for slug in known.into_iter().filter(|slug| *slug != self.way.organization).take(most) {
            let path = format!("/v1/organizations/{}/databases?limit=1", segment(&slug));
            let call = self.outside(&format!("list a database of organization {slug}"), &path);
            match self.ask(&call).await {
                Ok(_) => reached.push(slug),
                Err(error) if is_kept_out(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(reached)
    }
}
