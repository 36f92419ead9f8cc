//! The real templates keep every rule; spoilt in one place, they break the right one.

#![allow(clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

mod alerts;
mod functions;
mod roles;
mod stages;
mod vault;
mod wakes;

use std::sync::LazyLock;

use infra_tests::{Documents, Findings, documents};
use serde_json::Value;

static REAL: LazyLock<Documents> = LazyLock::new(|| documents().expect("the files can be read"));

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

fn none(findings: &Findings) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// Where to spoil a template, with what (`Null` removes), and words of the sentence that must come of it.
type Spoilt = (&'static str, Value, &'static str);

/// Spoils a copy of the template in each place in turn.
fn each_is_noticed(template: &Value, findings: fn(&Value) -> Findings, all: &[Spoilt]) {
    let mut unnoticed = Vec::new();
    for (pointer, value, words) in all {
        let mut copy = template.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = copy.pointer_mut(parent).unwrap_or_else(|| panic!("there is no {parent} to spoil"));
        match (parent, value) {
            (Value::Object(members), Value::Null) => {
                assert!(members.remove(key).is_some(), "there is no {pointer} to remove");
            }
            (Value::Object(members), value) => {
                members.insert(key.to_owned(), value.clone());
            }
            (Value::Array(items), value) => {
                let index: usize = key.parse().expect("an index");
                if value.is_null() {
                    items.remove(index);
                } else if index < items.len() {
                    items[index] = value.clone();
                } else {
                    items.push(value.clone());
                }
            }
            (other, _) => panic!("{pointer} leads into {other}"),
        }
        let found = findings(&copy);
        if !found.iter().any(|finding| finding.contains(words)) {
            unnoticed.push(format!("{pointer} := {value} should say `{words}`, says {found:?}"));
        }
    }
    assert!(unnoticed.is_empty(), "\n{}", unnoticed.join("\n"));
}

/// A place in the properties of a resource.
fn at(id: &str, rest: &str) -> &'static str {
    format!("/Resources/{id}/Properties/{rest}").leak()
}
