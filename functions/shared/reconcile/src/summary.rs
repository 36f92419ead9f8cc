use domain::ResourceId;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{Error, Kind, Timestamp};

/// What a pass did, as its invoker and the log read it.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The function.
    pub function: &'static str,
    /// The pass's `now`.
    pub at: Timestamp,
    /// What was carried out.
    pub acted: Vec<Acted>,
    /// What waits for the cloud.
    pub waiting: Vec<Waiting>,
    /// What failed.
    pub failed: Vec<Failed>,
    /// How many things are as they should be.
    pub settled: usize,
    /// How many decisions the time left did not allow.
    pub deferred: usize,
    /// How many things a later tick has to look at again. Zero means: all is as it should be.
    pub unfinished: usize,
    /// How many findings stand on the function's board; `None` if this pass did not write there.
    pub findings: Option<usize>,
}

/// One action that was carried out.
#[derive(Debug, Serialize)]
pub struct Acted {
    /// What it was about.
    pub resource: ResourceId,
    /// The action's name.
    pub action: &'static str,
    /// Why it was decided.
    pub reason: String,
    /// What came of it.
    #[serde(flatten)]
    pub detail: Map<String, Value>,
}

/// One thing under way.
#[derive(Debug, Serialize)]
pub struct Waiting {
    /// What it is.
    pub resource: ResourceId,
    /// What it waits for.
    pub reason: String,
}

/// One failure.
#[derive(Debug)]
pub struct Failed {
    /// What it was about.
    pub resource: ResourceId,
    /// The action's name, or `plan` when it was refused before it was tried.
    pub action: &'static str,
    /// What went wrong.
    pub error: Error,
}

impl Serialize for Failed {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json!({
            "resource": self.resource,
            "action": self.action,
            "error": {"code": self.error.code(), "kind": self.error.kind().as_str(), "message": self.error.report()},
        })
        .serialize(serializer)
    }
}

/// How many rows of each list an answer shows: Lambda refuses asynchronous answers above 1 MB, and nobody reads 10,000.
const ROWS: usize = 100;

impl Summary {
    /// As JSON, each list cut to its first hundred rows and the number cut off named in `omitted`.
    pub fn into_json(mut self) -> Value {
        let cut = [&self.acted.len(), &self.waiting.len(), &self.failed.len()]
            .map(|rows| rows.saturating_sub(ROWS));
        self.acted.truncate(ROWS);
        self.waiting.truncate(ROWS);
        self.failed.truncate(ROWS);
        let mut json = json!(self);
        if cut.iter().any(|omitted| *omitted > 0) {
            json["omitted"] = json!({"acted": cut[0], "waiting": cut[1], "failed": cut[2]});
        }
        json
    }

    /// The error with which the invocation fails, if anything failed that nobody hears of otherwise.
    ///
    /// What stands on the board is told from there, for as long as it lasts. If the invocation failed for it as well,
    /// Lambda would retry it and hand it over each time, and people would be told of the function besides.
    pub fn take_unsaid_error(&mut self) -> Option<Error> {
        let is_said = self.findings.is_some()
            && self.failed.iter().all(|failed| failed.error.kind() != Kind::Retryable);
        if is_said { None } else { self.take_error() }
    }

    /// The pass's error, if anything failed: that one itself, or one that names them all.
    ///
    /// Errors are collected and then returned, so that one stops no other.
    pub fn take_error(&mut self) -> Option<Error> {
        if self.failed.len() == 1 {
            return self.failed.pop().map(|failed| failed.error);
        }
        let (first, total) = (self.failed.first()?, self.failed.len());
        let names: Vec<String> = self
            .failed
            .iter()
            .take(ROWS)
            .map(|failed| format!("{}: {}", failed.resource, failed.error.report()))
            .collect();
        Some(Error::new(
            first.error.kind(),
            "ResourcesFailed",
            format!("{total} resources failed: {}", names.join("; ")),
        ))
    }
}
