//! The way to a database's heartbeats, and one more of them.

use std::{rc::Rc, time::Duration};

use domain::{Finding, ResourceId};
use heartbeat::{Heartbeat, Keys, Next, Place, READ_TO_WRITE, Row, next};
use jiff::Timestamp;
use postgres::heartbeats::Tables;
use reconcile::{Documents, Error, Kind, Result};
use redis::{heartbeats::Stream, server::Server};
use secrecy::{ExposeSecret, SecretString};
use secrets::Credentials;
use serde::Deserialize;
use tokio::time::timeout;
use turso::{Connect, Session, heartbeats::Table};

use crate::{
    memory::Found,
    says,
    systems::{Systems, WriteHeartbeat},
};

/// A database that takes longer has missed its minute. The whole of it fits into the quarter of a minute by which a heartbeat may
/// be late (`heartbeat::Rhythm`).
const WITHIN: Duration = Duration::from_secs(10);

/// One more heartbeat of one database.
#[derive(Debug)]
pub struct Beat {
    pub(crate) resource: ResourceId,
    pub(crate) way: Way,
    /// The secret with the writer's credentials.
    pub(crate) secret: String,
    pub(crate) keys: Rc<Keys>,
    /// What is remembered.
    pub(crate) found: Found,
}

/// How a database is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In that database, unless the secret names another one.
    Postgres(postgres::Server),
    /// In its first shard, or whichever has the stream.
    Redis(Server),
    /// Where the secret says.
    Turso,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Beaten {
    pub(crate) next: Next,
    /// What is wrong with those before it.
    pub(crate) findings: Vec<Finding>,
    /// Not if another writer was quicker.
    pub(crate) is_written: bool,
}

/// The JSON of a database's secret, as RDS keeps it: `dbname` need not be there.
#[derive(Deserialize)]
struct Login {
    #[serde(flatten)]
    credentials: Credentials,
    dbname: Option<String>,
}

/// Writes it, within ten seconds.
pub(crate) async fn beat<W: Systems>(
    function: &WriteHeartbeat<W>,
    beat: &Beat,
    found: &mut Found,
    now: Timestamp,
) -> Result<Beaten> {
    timeout(WITHIN, with_secret(function, beat, found, now)).await.unwrap_or_else(|_| {
        let said = format!("{} took no heartbeat within {} s", beat.resource, WITHIN.as_secs());
        Err(Error::retryable("HeartbeatTimedOut", said))
    })
}

/// A password that was changed is read again before anybody is told.
async fn with_secret<W: Systems>(
    function: &WriteHeartbeat<W>,
    beat: &Beat,
    found: &mut Found,
    now: Timestamp,
) -> Result<Beaten> {
    let secret = function.secrets.get(&beat.secret, now).await?;
    match Box::pin(attempt(function, beat, found, &secret.text, now)).await {
        Err(error) if secret.may_be_old && error.kind() == Kind::Misconfigured => {
            let text = function.secrets.read(&beat.secret, now).await?;
            Box::pin(attempt(function, beat, found, &text, now)).await
        }
        outcome => outcome,
    }
}

async fn attempt<W: Systems>(
    function: &WriteHeartbeat<W>,
    beat: &Beat,
    found: &mut Found,
    secret: &SecretString,
    now: Timestamp,
) -> Result<Beaten> {
    let documents = &function.documents;
    match &beat.way {
        Way::Postgres(server) => {
            let Login { credentials, dbname } = login(&beat.secret, secret)?;
            let database = dbname.unwrap_or_else(|| server.database.clone());
            let server = postgres::Server { database, ..server.clone() };
            let mut table = function.tables.table(&server, &credentials).await?;
            mark(&mut table, documents, beat, found, now).await
        }
        Way::Redis(server) => {
            let Login { credentials, .. } = login(&beat.secret, secret)?;
            let mut stream = Stream::open(&function.servers, server, Some(credentials)).await?;
            mark(&mut stream, documents, beat, found, now).await
        }
        Way::Turso => {
            let session = Session::parse(&beat.secret, secret)?;
            let connector = function.turso.as_ref().ok_or_else(|| no_organization(&beat.resource))?;
            let mut table = Table::new(connector.connect(session.token.clone()), session);
            mark(&mut table, documents, beat, found, now).await
        }
    }
}

async fn mark(
    place: &mut impl Place<Error = Error>,
    documents: &impl Documents,
    beat: &Beat,
    found: &mut Found,
    now: Timestamp,
) -> Result<Beaten> {
    let rows = place.read(READ_TO_WRITE).await?;
    let next = next(&beat.resource, &rows, now, &beat.keys)
        .map_err(|error| Error::permanent("HeartbeatNumbersExhausted", error.to_string()))?;
    let findings = says::once(beat, found, &rows, &next, now);
    if !findings.is_empty() {
        // Before the heartbeat that covers it up: whoever is killed from here on has it told all the same.
        let memory = found.memory.telling(&findings, now);
        found.replace(documents, &beat.resource, memory).await?;
    }
    let is_written = place.write(&next.heartbeat).await?;
    if !is_written {
        surpassed(place, &next.heartbeat).await?;
    }
    Ok(Beaten { next, findings, is_written })
}

/// Whoever was quicker has left a row. Where there is none the place refuses for ever: a stream remembers the highest id that it ever had,
/// though the entry was deleted.
async fn surpassed(place: &mut impl Place<Error = Error>, refused: &Heartbeat) -> Result<()> {
    let rows = place.read(READ_TO_WRITE).await?;
    if rows.iter().filter_map(Row::position).any(|number| number >= refused.number()) {
        return Ok(());
    }
    let said = format!(
        "heartbeat {} of {} is refused as not newer, and nothing newer is there: somebody wrote a higher number and deleted it; delete the \
         stream {} as a whole, and it begins anew",
        refused.number(),
        refused.resource(),
        heartbeat::redis::KEY
    );
    Err(Error::retryable("HeartbeatRefused", said))
}

fn login(name: &str, secret: &SecretString) -> Result<Login> {
    // serde's own message may quote the value it stumbled over, which here is a secret: it is not passed on.
    serde_json::from_str(secret.expose_secret()).map_err(|_| {
        Error::misconfigured(
            "SecretUnreadable",
            format!("secret {name} is not JSON with \"username\" and \"password\", as RDS keeps them"),
        )
    })
}

/// What is wrong where a plan names a database at Turso, and there is no organization.
pub(crate) fn no_organization(resource: &ResourceId) -> Error {
    Error::misconfigured(
        "TursoNotConfigured",
        format!("{resource}: no Turso organization is set up; deploy with the parameter TursoOrganization"),
    )
}
