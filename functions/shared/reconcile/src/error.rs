use std::{error::Error as StdError, fmt};

use lambda_runtime::Diagnostic;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the reader of an error should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: the next tick tries again.
    Retryable,
    /// Look into it: trying again gives the same.
    Permanent,
    /// Mend the configuration, a permission or the request.
    Misconfigured,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Retryable, Self::Permanent, Self::Misconfigured];

    /// The word for it in logs and ledger entries.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retryable => "retryable",
            Self::Permanent => "permanent",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// An error with a stable code, so that alarms and tests can tell errors apart without reading prose.
///
/// `Display` says this error alone; [`Error::report`] gives it with all its causes.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    code: String,
    message: String,
    request_id: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a stable `code` in CamelCase and a message that names the thing, the value, what is
    /// allowed and the next step.
    pub fn new(kind: Kind, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, code: code.into(), message: message.into(), request_id: None, source: None }
    }

    /// One that the next tick may not meet again.
    pub fn retryable(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::Retryable, code, message)
    }

    /// One that trying again does not mend.
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::Permanent, code, message)
    }

    /// One that a person must mend.
    pub fn misconfigured(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::Misconfigured, code, message)
    }

    /// Adds what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same, of another kind: where the caller knows more than the code says.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Keeps the id under which AWS support finds the call.
    #[must_use]
    pub fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.request_id = request_id;
        self
    }

    /// What to do about it.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The stable code: ours, or AWS's own error code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The AWS request id of the call that failed.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The error that one of our functions ended with, from what Lambda reports of it; its causes are in the message. `None` if it
    /// is not one of ours: Lambda's own, or a panic.
    pub fn reported(error_type: &str, error_message: &str) -> Option<Self> {
        let (message, kind) = error_message.strip_suffix(']')?.rsplit_once(" [")?;
        let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        (!error_type.is_empty()).then(|| Self::new(kind, error_type, message))
    }

    /// The message and, after colons, each cause in turn.
    pub fn report(&self) -> String {
        let mut report = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            report.push_str(": ");
            report.push_str(&error.to_string());
            cause = error.source();
        }
        if let Some(id) = &self.request_id {
            report.push_str(" (AWS request ");
            report.push_str(id);
            report.push(')');
        }
        report
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What Lambda reports: the stable code as the type, and the whole chain as the message. A report has room for no more than the
/// two, and of the code alone nobody can tell the kind, which a function that invoked this one must know: it stands at the
/// message's end, where [`Error::reported`] finds it.
impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let error_message = format!("{} [{}]", error.report(), error.kind.as_str());
        Self { error_type: error.code, error_message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_names_every_cause_once() {
        let inner = Error::retryable("Throttling", "rate exceeded").with_request_id(Some("r-1".to_owned()));
        let outer = Error::retryable("Throttling", "cannot list DB snapshots").caused_by(inner);
        assert_eq!(outer.to_string(), "cannot list DB snapshots");
        assert_eq!(outer.report(), "cannot list DB snapshots: rate exceeded");
        let diagnostic = Diagnostic::from(outer);
        assert_eq!(diagnostic.error_type, "Throttling");
        assert_eq!(diagnostic.error_message, "cannot list DB snapshots: rate exceeded [retryable]");
    }

    #[test]
    fn what_lambda_reports_of_an_error_is_the_error_again() {
        for kind in Kind::ALL {
            let error =
                Error::new(kind, "NameTaken", "it is [permanent]").with_request_id(Some("r-1".to_owned()));
            let Diagnostic { error_type, error_message } = error.into();
            let found = Error::reported(&error_type, &error_message).unwrap();
            assert_eq!((found.kind(), found.code()), (kind, "NameTaken"));
            assert_eq!(found.to_string(), "it is [permanent] (AWS request r-1)");
        }
    }

    #[test]
    fn what_is_not_ours_is_not_taken_for_it() {
        for (error_type, error_message) in [
            ("Sandbox.Timedout", "RequestId: 1 Error: Task timed out after 3.00 seconds"),
            ("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: exit status 1"),
            ("&str", "index out of bounds [0]"),
            ("Throttling", "rate exceeded"),
            ("", "rate exceeded [retryable]"),
            ("", ""),
        ] {
            assert!(Error::reported(error_type, error_message).is_none(), "{error_type}: {error_message}");
        }
    }
}
