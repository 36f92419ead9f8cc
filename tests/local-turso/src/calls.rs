//! The record of every call.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wildmatch::WildMatchPattern;

/// One call, as it was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Counts from 1, in the order of the answers; 0 as long as there is none.
    pub sequence: u64,
    /// When the request arrived.
    pub at: Timestamp,
    /// The database whose own endpoint was called; `None` for the Platform API.
    pub database: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// What follows the `?`.
    pub query: Option<String>,
    /// The port of this machine from which the call comes; `None` for one that came by [`crate::LocalTurso::handle`].
    pub caller_port: Option<u16>,
    /// The user agent, whole.
    pub user_agent: String,
    /// The function that called (`backup-turso`), from the `app/…` of its user agent.
    pub function: Option<String>,
    /// HTTP status; 0 if the call never took effect, or if the caller went away before it was answered.
    pub status: u16,
    /// Turso's error text, if it failed and the answer was ours.
    pub error: Option<String>,
    /// What an injected fault did to it: the name of the [`crate::Effect`] as JSON has it (`lose_answer`).
    pub fault: Option<String>,
    /// From the request to the head of the answer.
    pub duration_ms: u64,
}

/// Which calls. A field that is absent fits every call; `*` stands for any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallFilter {
    /// True: only the Platform API. False: only the endpoints of databases.
    pub platform: Option<bool>,
    /// The database whose own endpoint is called.
    pub database: Option<String>,
    /// The HTTP method.
    pub method: Option<String>,
    /// The path.
    pub path: Option<String>,
    /// The calling function.
    pub function: Option<String>,
}

impl CallFilter {
    /// Every call.
    pub fn all() -> Self {
        Self::default()
    }

    /// Every call of the Platform API.
    pub fn platform() -> Self {
        Self { platform: Some(true), ..Self::default() }
    }

    /// Every call of the endpoints of databases with such a name.
    pub fn database(name: impl Into<String>) -> Self {
        Self { database: Some(name.into()), ..Self::default() }
    }

    /// Of these only those with such a method.
    #[must_use]
    pub fn method(self, method: impl Into<String>) -> Self {
        Self { method: Some(method.into()), ..self }
    }

    /// Of these only those with such a path.
    #[must_use]
    pub fn path(self, path: impl Into<String>) -> Self {
        Self { path: Some(path.into()), ..self }
    }

    /// Of these only those of such a function.
    #[must_use]
    pub fn function(self, function: impl Into<String>) -> Self {
        Self { function: Some(function.into()), ..self }
    }

    /// Whether a call is one of these.
    pub fn matches(&self, call: &Call) -> bool {
        let fits = |pattern: &Option<String>, text: Option<&str>| {
            pattern.as_deref().is_none_or(|pattern| text.is_some_and(|text| is_like(pattern, text)))
        };
        self.platform.is_none_or(|platform| platform == call.database.is_none())
            && fits(&self.database, call.database.as_deref())
            && fits(&self.method, Some(&call.method))
            && fits(&self.path, Some(&call.path))
            && fits(&self.function, call.function.as_deref())
    }
}

/// Whether the text is like the pattern, in which `*` stands for any run of characters, also of slashes.
fn is_like(pattern: &str, text: &str) -> bool {
    WildMatchPattern::<'*', '\0'>::new(pattern).matches(text)
}

/// The function in a user agent: `tidemark app/backup-turso` is `backup-turso`.
pub(crate) fn function(user_agent: &str) -> Option<String> {
    user_agent.split_whitespace().find_map(|word| word.strip_prefix("app/")).map(str::to_owned)
}

/// All calls since the start, or since they were last forgotten.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<(u64, Vec<Call>)>);

impl Calls {
    pub(crate) fn record(&self, mut call: Call) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 += 1;
        call.sequence = inner.0;
        inner.1.push(call);
    }

    pub(crate) fn list(&self) -> Vec<Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn call(database: Option<&str>, path: &str) -> Call {
        Call {
            sequence: 0,
            at: Timestamp::UNIX_EPOCH,
            database: database.map(str::to_owned),
            method: "GET".to_owned(),
            path: path.to_owned(),
            query: None,
            caller_port: None,
            user_agent: "tidemark app/backup-turso".to_owned(),
            function: function("tidemark app/backup-turso"),
            status: 0,
            error: None,
            fault: None,
            duration_ms: 0,
        }
    }

    #[test]
    fn a_filter_fits_by_all_of_its_fields() {
        let (platform, data) = (call(None, "/v1/organizations/o/databases"), call(Some("shop"), "/info"));
        assert!(CallFilter::all().matches(&platform) && CallFilter::all().matches(&data));
        assert!(CallFilter::platform().matches(&platform) && !CallFilter::platform().matches(&data));
        assert!(CallFilter::database("sh*").matches(&data) && !CallFilter::database("*").matches(&platform));
        assert!(CallFilter::platform().path("*/databases").matches(&platform));
        assert!(!CallFilter::platform().path("*/data").matches(&platform));
        assert!(!CallFilter::all().method("POST").matches(&data));
        assert!(CallFilter::all().function("backup-*").matches(&data));
        assert!(!CallFilter::all().function("run-drill").matches(&data));
    }
}
