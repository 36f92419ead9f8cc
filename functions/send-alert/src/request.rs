//! What wakes the function. Only the failures queue brings something that is written nowhere else.

use jiff::Timestamp;
use reconcile::{Error, Request, Result, Wake};
use serde::Deserialize;
use serde_json::Value;

/// What the function is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To look whether there is something to tell.
    Look,
    /// The same, with what the queues delivered.
    Receive(Received),
}

/// What the queues delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Invocations that Lambda gave up.
    pub(crate) failures: Vec<Failure>,
    /// Canaries that came back, each with the seconds that it was on its way.
    pub(crate) canary_seconds: Vec<i64>,
}

/// An invocation that Lambda gave up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The function's deployed name; `None` if the record is not understood.
    pub(crate) function: Option<String>,
    pub(crate) code: String,
    pub(crate) says: String,
    /// When it was given up; `None` if the record does not say.
    pub(crate) at: Option<Timestamp>,
}

impl Ask {
    /// Whether it carries something that is written nowhere else.
    pub(crate) fn brings_failures(&self) -> bool {
        matches!(self, Self::Receive(received) if !received.failures.is_empty())
    }
}

impl Request for Ask {
    fn parse(payload: Value) -> Result<Self> {
        match payload.get("Records") {
            Some(records) => receive(records).map(Self::Receive),
            None => Wake::parse(payload).map(|_| Self::Look),
        }
    }
}

/// A batch of SQS, as Lambda delivers it (Lambda guide, "Using Lambda with Amazon SQS").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_source: String,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: String,
    body: String,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
struct Attributes {
    /// Milliseconds since 1970, as text.
    #[serde(rename = "SentTimestamp", default)]
    sent: String,
}

/// A record that cannot be read at all refuses the batch; one whose body cannot be read is a failure to be told of, for it
/// came from a queue of failures.
fn receive(records: &Value) -> Result<Received> {
    let records: Vec<Record> = Vec::deserialize(records).map_err(|error| {
        // Of a hostile payload only a short piece may reach the log.
        let why = alerts::plain(&error.to_string(), 200);
        let message =
            format!("the payload has Records that are no batch of SQS messages ({why}); nothing was done");
        Error::misconfigured("MalformedEvent", message)
    })?;
    let mut received = Received::default();
    for record in &records {
        if record.event_source != "aws:sqs" {
            let from = alerts::plain(&record.event_source, 60);
            let message = format!("a record is from {from:?}; expected aws:sqs, and nothing was done");
            return Err(Error::misconfigured("MalformedEvent", message));
        }
        if record.event_source_arn.ends_with("-canary") {
            received.canary_seconds.extend(canary_seconds(record));
        } else {
            received.failures.push(failure(&record.body));
        }
    }
    Ok(received)
}

/// From the finding to its arrival in the queue; `None` for an all-clear, or for a stranger's message.
fn canary_seconds(record: &Record) -> Option<i64> {
    let envelope: Value = serde_json::from_str(&record.body).ok()?;
    let message: Value = serde_json::from_str(envelope.get("Message")?.as_str()?).ok()?;
    let opened = message.get("event")? == "opened";
    let since: Timestamp = message.pointer("/conditions/0/since")?.as_str()?.parse().ok()?;
    let sent = Timestamp::from_millisecond(record.attributes.sent.parse().ok()?).ok()?;
    opened.then(|| sent.duration_since(since).as_secs().max(0))
}

/// Lambda's record of an asynchronous invocation (Lambda guide, "Capturing records of asynchronous invocations").
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    timestamp: Option<Timestamp>,
    request_context: Context,
    #[serde(default)]
    response_payload: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    function_arn: String,
    #[serde(default)]
    condition: String,
}

fn failure(body: &str) -> Failure {
    let destination: Destination = match serde_json::from_str(body) {
        Ok(destination) => destination,
        Err(error) => return unreadable(body, &error.to_string()),
    };
    let arn = &destination.request_context.function_arn;
    let named = arn.split_once(":function:").map(|(_, rest)| rest.split(':').next().unwrap_or(rest));
    // A function's name (Lambda API reference, CreateFunction): what is none is not repeated as one.
    let valid = |name: &&str| {
        (1..=64).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let Some(function) = named.filter(valid) else {
        return unreadable(body, "it names no function");
    };
    let error = |key: &str| destination.response_payload.get(key).and_then(Value::as_str);
    let condition = alerts::plain(&destination.request_context.condition, 60);
    // Of an error of ours, without what is there for functions.
    let ours = error("errorType")
        .zip(error("errorMessage"))
        .and_then(|(code, message)| reconcile::Error::reported(code, message))
        .map(|error| error.to_string());
    let message = ours.as_deref().or_else(|| error("errorMessage"));
    Failure {
        function: Some(function.to_owned()),
        code: error("errorType").map_or_else(|| "Unhandled".to_owned(), code),
        says: message.map_or(condition, |message| alerts::plain(message, 1_000)),
        at: destination.timestamp,
    }
}

/// An error's type as the stable code that it should be: letters, digits, dots and no more than 60 of them.
fn code(text: &str) -> String {
    let code: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').take(60).collect();
    if code.is_empty() { "Unhandled".to_owned() } else { code }
}

fn unreadable(body: &str, why: &str) -> Failure {
    let (why, shown) = (alerts::plain(why, 200), alerts::plain(body, 200));
    Failure {
        function: None,
        code: "RecordUnreadable".to_owned(),
        says: format!("a record in the failures queue is not understood ({why}): {shown}"),
        at: None,
    }
}
