//! The record of every AWS call.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use wildmatch::WildMatchPattern;

/// One AWS call, as it was answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Counts from 1, in the order of the answers.
    pub sequence: u64,
    /// When the request arrived.
    pub at: Timestamp,
    /// The signing name: `rds`, `s3`, `ssm`, … Empty for a request that was not signed.
    pub service: String,
    /// The Region it was signed for.
    pub region: String,
    /// AWS's name of the action; `METHOD /path` where it is not known.
    pub action: String,
    /// An identifier, a name, an ARN, or `bucket/key`.
    pub resource: Option<String>,
    /// The function that called (`backup-rds`), from the `app/…` of its user agent.
    pub function: Option<String>,
    /// The user agent, whole.
    pub user_agent: String,
    /// HTTP status of the service's answer; 0 if the call got none because it never took effect (`cut`, `hang`).
    pub status: u16,
    /// AWS's error code, if it failed.
    pub error_code: Option<String>,
    /// What an injected fault did to it: the name of the [`super::Effect`] as JSON has it (`lose_answer`).
    pub fault: Option<String>,
    /// From the request to the head of the service's answer; an injected delay comes after that.
    pub duration_ms: u64,
    /// The answer's request id.
    pub request_id: Option<String>,
}

/// Which calls. Everything absent matches; `*` stands for any run of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallFilter {
    /// The signing name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// The resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The Region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The function that calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
}

impl CallFilter {
    /// Every call.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only of this service (its signing name).
    #[must_use]
    pub fn service(self, service: impl Into<String>) -> Self {
        Self { service: Some(service.into()), ..self }
    }

    /// Only this action.
    #[must_use]
    pub fn action(self, action: impl Into<String>) -> Self {
        Self { action: Some(action.into()), ..self }
    }

    /// Only about this resource.
    #[must_use]
    pub fn resource(self, resource: impl Into<String>) -> Self {
        Self { resource: Some(resource.into()), ..self }
    }

    /// Only in this Region.
    #[must_use]
    pub fn region(self, region: impl Into<String>) -> Self {
        Self { region: Some(region.into()), ..self }
    }

    /// Only by this function (`backup-rds`).
    #[must_use]
    pub fn function(self, function: impl Into<String>) -> Self {
        Self { function: Some(function.into()), ..self }
    }

    pub(crate) fn matches(&self, subject: &Subject<'_>) -> bool {
        let fits =
            |pattern: &Option<String>, text: &str| pattern.as_deref().is_none_or(|glob| is_like(glob, text));
        fits(&self.service, subject.service)
            && fits(&self.action, subject.action)
            && fits(&self.resource, subject.resource.unwrap_or_default())
            && fits(&self.region, subject.region)
            && fits(&self.function, subject.function.unwrap_or_default())
    }
}

/// What a filter looks at.
pub(crate) struct Subject<'a> {
    pub(crate) service: &'a str,
    pub(crate) action: &'a str,
    pub(crate) resource: Option<&'a str>,
    pub(crate) region: &'a str,
    pub(crate) function: Option<&'a str>,
}

impl Call {
    fn subject(&self) -> Subject<'_> {
        Subject {
            service: &self.service,
            action: &self.action,
            resource: self.resource.as_deref(),
            region: &self.region,
            function: self.function.as_deref(),
        }
    }
}

/// Whether the text is like the pattern, in which `*` stands for any run of characters, also of slashes.
fn is_like(pattern: &str, text: &str) -> bool {
    WildMatchPattern::<'*', '\0'>::new(pattern).matches(text)
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

    pub(crate) fn matching(&self, filter: &CallFilter) -> Vec<Call> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1.iter().filter(|call| filter.matches(&call.subject())).cloned().collect()
    }

    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c*e", "abcde", true),
            ("a*e*c", "abcde", false),
            ("*", "", true),
            ("", "a", false),
            ("a*a", "a", false),
            ("ledger/*", "ledger/2026/11/x", true),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }
}
