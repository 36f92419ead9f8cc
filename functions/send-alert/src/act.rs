use std::time::{Duration, Instant};

use alerts::{Message, Topic};
use domain::ResourceId;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use reconcile::{Documents, Done, Entry, Error, Kind, Result};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    memory::Open,
    observe::{OPEN, SendAlert},
};

/// What send-alert can do. It knows no database and no backup.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Publish, and remember what was told.
    Tell(Box<Telling>),
}

/// What is published in one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Telling {
    /// The version of the memory that this was decided on.
    pub(crate) version: Option<String>,
    /// What is remembered before anything goes out.
    pub(crate) claim: Open,
    pub(crate) messages: Vec<Outgoing>,
    /// A queue delivered something that is written nowhere else.
    pub(crate) must_not_be_lost: bool,
}

/// A message, and the conversations that it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) resources: Vec<ResourceId>,
    pub(crate) message: Message,
}

impl reconcile::Action for Action {
    fn name(&self) -> &'static str {
        match self {
            Self::Tell(_) => "tell",
        }
    }

    /// What could not be told is told by the next tick; the function's own alarms say when that lasts.
    fn failure(&self, _error: &Error, _now: Timestamp) -> Option<Entry> {
        None
    }
}

/// Carries out `action`.
pub(crate) async fn act<A, T: Topic, D: Documents>(
    function: &SendAlert<A, T, D>,
    action: &Action,
    now: Timestamp,
) -> Result<Done> {
    match action {
        Action::Tell(telling) => tell(function, telling, now).await,
    }
}

/// How many messages are published at the same time: SNS takes far more.
const AT_ONCE: usize = 4;

/// How long one publication may take, so that the others can still be told and written down.
const PUBLISH_LIMIT: Duration = Duration::from_secs(8);

/// Says what is about to be told, tells it, and says that it is told.
///
/// Of two invocations one gets the lease, so that nobody hears a thing twice. One that is killed after a message went out
/// leaves the message pending: when its lease has run out it goes out again, under the same id. Twice in a crash is the
/// price for never not at all: SNS has no way to ask whether it has published something.
async fn tell<A, T: Topic, D: Documents>(
    function: &SendAlert<A, T, D>,
    telling: &Telling,
    now: Timestamp,
) -> Result<Done> {
    let documents = &function.documents;
    let held = Held::of(&telling.claim);
    let claim = text(OPEN, &telling.claim)?;
    let Some(version) = documents.write(OPEN, &claim, telling.version.as_deref()).await? else {
        if telling.must_not_be_lost {
            let message = "another invocation was quicker; the queue delivers again";
            return Err(Error::retryable("MemoryContended", message));
        }
        return Ok(Done::underway().with("told", "by another invocation"));
    };
    let mut open = telling.claim.clone();
    let (mut told, mut failure) = (Vec::new(), None);
    let published: Vec<_> = stream::iter(&telling.messages)
        .map(async |outgoing| (outgoing, publish(&function.topic, &outgoing.message, &held).await))
        .buffered(AT_ONCE)
        .collect()
        .await;
    for (outgoing, outcome) in published {
        match outcome {
            Ok(_) => {
                open.confirm(&outgoing.resources, now);
                told.push(outgoing.message.id.clone());
            }
            Err(error) => failure = Some(error),
        }
    }
    // Without the lease: what did not go out is still pending, and the next tick tries it at once.
    open.lease = None;
    let open = text(OPEN, &open)?;
    let confirmed = match documents.write(OPEN, &open, Some(&version)).await {
        // What was told and not written down is told again: it is worth a second attempt.
        Err(_) => documents.write(OPEN, &open, Some(&version)).await?,
        Ok(confirmed) => confirmed,
    };
    match failure {
        Some(error) => Err(error),
        None => Ok(Done { unfinished: confirmed.is_none(), ..Done::default() }.with("told", told)),
    }
}

/// Publishes, unless the lease has run out: the process may have been frozen meanwhile, and another invocation has begun
/// where this one stood.
async fn publish(topic: &impl Topic, message: &Message, held: &Held) -> Result<String> {
    if held.since.elapsed() >= held.lease {
        let id = &message.id;
        return Err(Error::retryable(
            "LeaseOver",
            format!("{id} was not published in time; the next tick does it"),
        ));
    }
    let publish = timeout(PUBLISH_LIMIT, topic.publish(message));
    let hangs = |_| Error::retryable("RequestTimedOut", format!("SNS did not answer to {}", message.id));
    match publish.await.map_err(hangs).flatten() {
        // SNS does not take it, and never will: better a bare word of it than nothing.
        Err(error) if error.kind() == Kind::Permanent => topic.publish(&message.bare(&error.report())).await,
        outcome => outcome,
    }
}

/// The right to publish, counted by a clock that nobody sets.
struct Held {
    since: Instant,
    lease: Duration,
}

impl Held {
    fn of(claim: &Open) -> Self {
        let lease = claim.lease.as_ref().map(|lease| lease.until.duration_since(lease.taken_at));
        let lease = lease.and_then(|lease| Duration::try_from(lease).ok()).unwrap_or_default();
        Self { since: Instant::now(), lease }
    }
}

fn text(name: &str, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::permanent("MemoryUnwritable", format!("{name} cannot be written: {error}")))
}
