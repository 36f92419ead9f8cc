//! A recovery set: databases of one application, restored to one instant by one request.
//!
//! Which instant that is, and what each of them is called, is written down before any is begun. What is not begun then, because the
//! function was killed or somebody refused, ticks begin.

mod act;
mod follow;
mod names;
mod observe;
mod plan;
mod request;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeSet;

use reconcile::{EntryKey, Error, Kind, Outcome};
use serde_json::{Value, json};

pub use self::observe::RecoverySets;
use self::work::Work;
pub(crate) use self::{
    act::Action,
    follow::follow,
    observe::{Asked, Restores},
    plan::plan,
    request::SetRequest,
};
use crate::{
    orders::Order,
    restore::{DEAD_END, End, Restore},
};

/// The kinds of a set's entries in the ledger.
const REQUESTED: &str = "set-restore-requested";
const COMPLETED: &str = "set-restore-completed";
const FAILED: &str = "set-restore-failed";

/// How a set's restore ended, if the ledger knows.
fn end(restore: &Restore, recorded: &BTreeSet<EntryKey>) -> Option<End> {
    if restore.is_recorded(recorded, FAILED, Outcome::Failed(DEAD_END.to_owned())) {
        return Some(End::Failed(DEAD_END));
    }
    restore.is_recorded(recorded, COMPLETED, Outcome::Completed).then_some(End::Completed)
}

/// Why something of a set could not be begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Trouble {
    kind: Kind,
    code: String,
    says: String,
}

impl Trouble {
    /// For answers.
    fn to_json(&self) -> Value {
        json!({"code": self.code, "kind": self.kind.as_str(), "message": self.says})
    }
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        Self { kind: error.kind(), code: error.code().to_owned(), says: error.report() }
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble.kind, trouble.code, trouble.says)
    }
}

/// Which members could not be begun, and why.
fn troubles<'t, T>(order: &Order<Work>, all: &'t [Result<T, Trouble>]) -> Vec<(String, &'t Trouble)> {
    let named = order.work.members.iter().map(|member| member.resource.to_string()).zip(all);
    named.filter_map(|(name, one)| Some((name, one.as_ref().err()?))).collect()
}

/// One error for all that is refused, each with its own reason.
fn refused(what: &str, all: &[(String, &Trouble)], next: &str) -> Error {
    let is = |kind: &Kind| all.iter().any(|(_, trouble)| trouble.kind == *kind);
    let kind = [Kind::Misconfigured, Kind::Permanent].into_iter().find(is).unwrap_or(Kind::Retryable);
    let each = all.iter().map(|(name, Trouble { code, says, .. })| {
        format!("{name} ({code}): {}", says.trim_end_matches("; nothing was done"))
    });
    let each: Vec<String> = each.collect();
    Error::new(
        kind,
        "SetRefused",
        format!("{what}: {} refused: {}; {next}nothing was done", each.len(), each.join("; ")),
    )
}
