//! The checks, a module for each subject: pure functions from what was seen to what is wrong.

mod alerts;
mod buckets;
mod drills;
mod keys;
mod plans;
mod policy;
mod quotas;
mod rds;
mod redis;
mod replication;
mod retention;
mod turso;

use domain::{Engine, Finding, ResourceId, Severity};
use jiff::Timestamp;
use reconcile::Error;

pub(crate) use self::{
    plans::{drilled, standings},
    rds::told_elsewhere,
};
use crate::observe::Seen;

/// One check, with what it found; or why it could not look.
pub(crate) struct Check<'s> {
    /// What it looks for.
    pub(crate) kinds: &'static [&'static str],
    /// In what.
    pub(crate) of: Of,
    /// What it found.
    pub(crate) found: Result<Vec<Finding>, &'s Error>,
}

/// What a check looks at.
pub(crate) enum Of {
    /// Whatever there is.
    All,
    /// What is of one engine.
    Engine(Engine),
    /// One thing.
    One(ResourceId),
}

impl Of {
    /// Whether a finding is one of this check's.
    pub(crate) fn includes(&self, finding: &Finding, kinds: &[&str]) -> bool {
        let is_meant = match self {
            Self::All => true,
            Self::Engine(engine) => finding.resource.engine == *engine,
            Self::One(resource) => finding.resource == *resource,
        };
        is_meant && kinds.contains(&finding.kind.as_str())
    }
}

/// A check of one kind.
fn check<'s>(
    kind: &'static &'static str,
    of: Of,
    found: Result<impl IntoIterator<Item = Finding>, &'s Error>,
) -> Check<'s> {
    let found = found.map(|found| found.into_iter().collect());
    Check { kinds: std::slice::from_ref(kind), of, found }
}

/// All of them.
pub(crate) fn all(seen: &Seen, now: Timestamp) -> Vec<Check<'_>> {
    let mut checks = Vec::new();
    checks.extend(rds::checks(seen, now));
    checks.extend(keys::checks(seen, now));
    checks.extend(quotas::checks(seen, now));
    checks.extend(redis::checks(seen, now));
    checks.extend(turso::checks(seen, now));
    checks.extend(plans::checks(seen, now));
    checks.extend(buckets::checks(seen, now));
    checks.extend(replication::checks(seen, now));
    checks.extend(retention::checks(seen, now));
    checks.extend(alerts::checks(seen, now));
    checks.extend(drills::checks(seen, now));
    checks
}

/// How much of something, with its word: `1 day`, `2 days`.
fn many(count: impl Into<i64>, word: &str) -> String {
    let count = count.into();
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {word}{end}")
}

/// A finding that recovery is at risk now, and so on.
struct Level {
    severity: Severity,
    now: Timestamp,
}

const fn critical(now: Timestamp) -> Level {
    Level { severity: Severity::Critical, now }
}

const fn warning(now: Timestamp) -> Level {
    Level { severity: Severity::Warning, now }
}

const fn info(now: Timestamp) -> Level {
    Level { severity: Severity::Info, now }
}

impl Level {
    fn of(
        &self,
        resource: &ResourceId,
        kind: &str,
        says: impl std::fmt::Display,
        next: impl Into<String>,
    ) -> Finding {
        Finding::new(resource, kind, self.severity, self.now, says, next)
    }
}
