//! Turso's calls, which do not come through the front door: in the same record, and under the same faults.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use local_turso::{Onward, Outside, Verdict};

use crate::api::Api;
use crate::door::{Call, Calls, Effect, Faults, Subject};

/// Turso has locations and no Regions.
const REGION: &str = "global";

/// What stands between a caller and Turso.
pub(crate) struct Desk {
    api: Api,
    calls: Arc<Calls>,
    faults: Arc<Faults>,
    /// Effects that come after the call's own.
    later: Mutex<Later>,
}

/// The rule and the effect, by when a call arrived and from where.
type Later = HashMap<(Timestamp, Option<u16>), (u64, Effect)>;

impl Desk {
    pub(crate) fn new(api: Api, calls: Arc<Calls>, faults: Arc<Faults>) -> Self {
        Self { api, calls, faults, later: Mutex::default() }
    }

    fn record(&self, call: &local_turso::Call, status: u16, error: Option<String>, fault: Option<&Effect>) {
        let (action, resource) = named(call);
        self.calls.record(Call {
            sequence: 0,
            at: call.at,
            service: "turso".to_owned(),
            region: REGION.to_owned(),
            action,
            resource,
            function: function(call),
            user_agent: call.user_agent.clone(),
            status,
            error_code: error,
            fault: fault.map(|effect| effect.name().to_owned()),
            duration_ms: call.duration_ms,
            request_id: None,
        });
    }

    fn refuse(&self, call: &local_turso::Call, status: u16, message: &str, effect: &Effect) -> Verdict {
        self.record(call, status, Some(message.to_owned()), Some(effect));
        Verdict::Refuse { status, message: message.to_owned() }
    }

    fn later(&self) -> MutexGuard<'_, Later> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outside for Desk {
    fn before<'a>(&'a self, call: &'a local_turso::Call) -> BoxFuture<'a, Verdict> {
        Box::pin(async move {
            let (action, resource) = named(call);
            let function = function(call);
            let subject = Subject {
                service: "turso",
                action: &action,
                resource: resource.as_deref(),
                region: REGION,
                function: function.as_deref(),
            };
            let Some((rule, effect)) = self.faults.strike(&subject) else { return Verdict::Go };
            match &effect {
                Effect::Error { status, message, .. } => self.refuse(call, *status, message, &effect),
                Effect::Throttle => self.refuse(call, 429, "rate limit exceeded", &effect),
                Effect::InternalError => self.refuse(call, 500, "internal server error", &effect),
                Effect::Cut => {
                    self.record(call, 0, None, Some(&effect));
                    Verdict::Cut
                }
                Effect::Hang => {
                    self.record(call, 0, None, Some(&effect));
                    self.faults.cleared(rule).await;
                    Verdict::Cut
                }
                Effect::Delay { .. } | Effect::Freeze { .. } | Effect::Kill | Effect::LoseAnswer => {
                    self.later().insert((call.at, call.caller_port), (rule, effect));
                    Verdict::Go
                }
            }
        })
    }

    fn after<'a>(&'a self, call: &'a local_turso::Call) -> BoxFuture<'a, Onward> {
        Box::pin(async move {
            let struck = self.later().remove(&(call.at, call.caller_port));
            self.record(call, call.status, call.error.clone(), struck.as_ref().map(|(_, effect)| effect));
            let Some((rule, effect)) = struck else { return Onward::Answer };
            let port = call.caller_port.unwrap_or_default();
            match effect {
                Effect::Delay { ms } => {
                    let cleared = self.faults.cleared(rule);
                    let _ = tokio::time::timeout(Duration::from_millis(ms), cleared).await;
                    Onward::Answer
                }
                Effect::Freeze { ms } => {
                    let frozen = self.api.freeze_caller(port, ms).await;
                    tracing::info!(?frozen, ms, "frozen after its call took effect");
                    Onward::Answer
                }
                Effect::Kill => {
                    let killed = self.api.kill_caller(port).await;
                    tracing::info!(?killed, "killed after its call took effect");
                    Onward::Cut
                }
                _ => Onward::Cut,
            }
        })
    }
}

/// The crate's name of the function that calls: its user agent says `app/tidemark-backup-turso`.
fn function(call: &local_turso::Call) -> Option<String> {
    let function = call.function.as_deref()?;
    Some(function.strip_prefix("tidemark-").unwrap_or(function).to_owned())
}

/// What is asked, in one word as AWS has them, and of which database.
fn named(call: &local_turso::Call) -> (String, Option<String>) {
    let path = call.path.trim_matches('/');
    if let Some(database) = &call.database {
        let action = match path.split('/').collect::<Vec<_>>().as_slice() {
            ["info"] => "Info",
            ["export", ..] => "Export",
            ["sync", ..] => "Sync",
            ["v2" | "v3", "pipeline"] => "Pipeline",
            ["v3", "cursor"] => "Cursor",
            ["v1", "upload"] => "Upload",
            _ => return (format!("{} {}", call.method, call.path), Some(database.clone())),
        };
        return (action.to_owned(), Some(database.clone()));
    }
    let parts: Vec<&str> = path.split('/').collect();
    let (action, database) = match (call.method.as_str(), parts.get(3..).unwrap_or_default()) {
        ("GET", []) => ("GetOrganization", None),
        ("GET", ["databases"]) => ("ListDatabases", None),
        ("POST", ["databases"]) => ("CreateDatabase", None),
        ("GET", ["databases", name]) => ("GetDatabase", Some(name)),
        ("DELETE", ["databases", name]) => ("DeleteDatabase", Some(name)),
        ("GET", ["databases", name, "configuration"]) => ("GetDatabaseConfiguration", Some(name)),
        ("POST", ["databases", name, "auth", "tokens"]) => ("CreateDatabaseToken", Some(name)),
        ("GET", ["groups"]) => ("ListGroups", None),
        ("GET", ["groups", _]) => ("GetGroup", None),
        _ => return (format!("{} {}", call.method, call.path), None),
    };
    (action.to_owned(), database.map(|name| (*name).to_owned()))
}
