//! What `infra/`, `samconfig.toml` and `events/` must never lose.
//!
//! Each rule is a function from a resolved [`Stack`] to a list of sentences, one for each thing that is wrong. The
//! tests ask that the real templates give none, and that a template spoilt in one place gives the right one: the local
//! cloud drops much of what a template says (Object Lock, encryption, replication), so that nothing else would notice.

pub mod access;
mod alarms;
pub mod dashboard;
pub mod functions;
mod load;
pub mod patterns;
mod queues;
mod resolve;
pub mod roles;
pub mod stages;
pub mod topics;
pub mod vault;
mod wakes;

use serde_json::Value;

pub use load::{Documents, documents, sam};
pub use resolve::{Stack, resolve};

/// What is wrong, one sentence each. Empty means that the rule holds.
pub type Findings = Vec<String>;

/// Adds `sentence` unless `holds`.
pub(crate) fn expect(findings: &mut Findings, holds: bool, sentence: impl FnOnce() -> String) {
    if !holds {
        findings.push(sentence());
    }
}

/// Adds a sentence unless `value` has `wanted` at `pointer` (RFC 6901).
pub(crate) fn expect_at(findings: &mut Findings, name: &str, value: &Value, pointer: &str, wanted: &Value) {
    let found = value.pointer(pointer).unwrap_or(&Value::Null);
    expect(findings, found == wanted, || format!("{name}: {pointer} is {found}, not {wanted}"));
}

/// The strings of a value that is a string or a list of them, as policies write both.
pub(crate) fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The members of a list; of anything else, none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A string, or the empty string.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
