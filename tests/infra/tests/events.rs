//! `events/`: each file is for a function that exists, is what that function is really sent, and is in the table.

#![allow(clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use infra_tests::functions::{FUNCTIONS, logical};
use infra_tests::{documents, resolve};
use serde_json::Value;

fn folder() -> PathBuf {
    toolbox::workspace().join("events")
}

/// By file name without `.json`.
fn events() -> BTreeMap<String, Value> {
    let mut events = BTreeMap::new();
    for entry in std::fs::read_dir(folder()).expect("events/") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("a text");
            let event = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}.json: {error}"));
            events.insert(name, event);
        }
    }
    events
}

fn function_of(event: &str) -> Option<&'static str> {
    FUNCTIONS.iter().map(|(name, _)| *name).find(|name| event.starts_with(&format!("{name}-")))
}

#[test]
fn each_is_for_a_function_and_in_the_table() {
    let table = std::fs::read_to_string(folder().join("README.md")).expect("events/README.md");
    let events = events();
    for name in events.keys() {
        let function = function_of(name).unwrap_or_else(|| panic!("{name}.json is for no function"));
        let row = format!("| `{name}.json` | {function} |");
        assert!(table.contains(&row), "events/README.md has no row for {name}.json");
    }
    let rows = table.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, events.len(), "events/README.md names files that do not exist");
    for (function, _) in FUNCTIONS {
        assert!(events.contains_key(&format!("{function}-malformed")), "no malformed event for {function}");
    }
}

#[test]
fn wakes_are_what_the_schedules_send() {
    let events = events();
    for schedule in FUNCTIONS.iter().flat_map(|(_, schedules)| *schedules) {
        let sent: Value = serde_json::from_str(schedule.input).expect("the input is JSON");
        assert_eq!(events.get(schedule.name), Some(&sent), "{}.json", schedule.name);
    }
}

#[test]
fn notices_pass_the_rule_of_their_function() {
    let documents = documents().expect("the files can be read");
    let stack = resolve(&documents.functions, "us-east-1", &[]).expect("the functions' stack");
    let mut notices = 0;
    for (name, event) in events().iter().filter(|(_, event)| event.get("source").is_some()) {
        notices += 1;
        for key in ["version", "id", "detail-type", "account", "time", "region", "resources", "detail"] {
            assert!(event.get(key).is_some(), "{name}.json is no whole EventBridge event: {key}");
        }
        let function = function_of(name).map(|function| format!("@{}Function.Arn", logical(function)));
        let matched = stack.of_type("AWS::Events::Rule").any(|(_, rule)| {
            let pattern = &rule["Properties"]["EventPattern"];
            let admits =
                |pattern: &Value, value: &Value| pattern.as_array().is_some_and(|any| any.contains(value));
            rule["Properties"]["Targets"][0]["Arn"].as_str() == function.as_deref()
                && admits(&pattern["source"], &event["source"])
                && admits(&pattern["detail-type"], &event["detail-type"])
                && admits(&pattern["detail"]["EventID"], &event["detail"]["EventID"])
        });
        assert!(matched, "{name}.json would not reach its function");
    }
    assert!(notices >= 2, "no event of RDS among the files");
}
