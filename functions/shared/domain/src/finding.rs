use std::fmt::Display;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ResourceId;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is wrong; someone wants to know that it would be told.
    Info,
    /// Recovery is not at risk yet, and will be if nobody looks.
    Warning,
    /// Recovery is at risk now.
    Critical,
}

impl Severity {
    /// The word for it in messages and their attributes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// How recoverable a resource is at the moment, as far as whoever says it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The plan that protects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The newest second to which it could be restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest_restorable: Option<Timestamp>,
    /// The plan's recovery point objective.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpo_seconds: Option<i64>,
}

/// Something that is wrong with a resource, for as long as it is.
///
/// A function says all that it finds in each pass; what it says no more has ended. So an end needs no event of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// With what.
    pub resource: ResourceId,
    /// What, in kebab case: `rpo-exceeded`. Every kind has its section in `docs/runbooks/alerts.md`.
    pub kind: String,
    /// The stable error code, where an error says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How much it matters.
    pub severity: Severity,
    /// Since when it has been so; if nobody knows, when it was first noticed.
    pub since: Timestamp,
    /// What is wrong, a sentence or two.
    pub says: String,
    /// The next step.
    pub next: String,
    /// How recoverable the resource is meanwhile.
    #[serde(flatten)]
    pub standing: Standing,
}

impl Finding {
    /// That something is wrong with a resource. What `says` begins with the resource's name.
    pub fn new(
        resource: &ResourceId,
        kind: &str,
        severity: Severity,
        since: Timestamp,
        says: impl Display,
        next: impl Into<String>,
    ) -> Self {
        Self {
            resource: resource.clone(),
            kind: kind.to_owned(),
            code: None,
            severity,
            since,
            says: format!("{resource}: {says}"),
            next: next.into(),
            // The pass adds it.
            standing: Standing::default(),
        }
    }

    /// What is wrong, apart from with what: the kind, and the code where there is one. Findings of one resource with
    /// the same condition are the same finding, whatever their words.
    pub fn condition(&self) -> String {
        match &self.code {
            Some(code) => format!("{}-{code}", self.kind),
            None => self.kind.clone(),
        }
    }

    /// What makes it this finding and no other.
    pub fn key(&self) -> (ResourceId, String) {
        (self.resource.clone(), self.condition())
    }
}

/// All that one function finds wrong, as of its last whole pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Which function.
    pub function: String,
    /// When the last pass began that failed in nothing but what it found. Renewed every ten minutes while nothing changes.
    pub at: Timestamp,
    /// What it found, in the order of [`Finding::key`].
    pub findings: Vec<Finding>,
}
