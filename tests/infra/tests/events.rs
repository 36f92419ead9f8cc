//! `events/`: each file is for a function that exists, is what that function is really sent, and is in the table.

#![allow(clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use infra_tests::functions::{FUNCTIONS, Function};
use infra_tests::patterns::{event_matches, message_passes};
use infra_tests::{Stack, documents, resolve};
use serde_json::{Value, json};

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

fn function_of(event: &str) -> &'static Function {
    let mut all = FUNCTIONS.iter();
    let found = all.find(|function| event.starts_with(&format!("{}-", function.name)));
    found.unwrap_or_else(|| panic!("{event}.json is for no function"))
}

fn stack() -> Stack {
    let documents = documents().expect("the files can be read");
    let address = [("AlertEmail", "on-call@example.com")];
    resolve(&documents.functions, "us-east-1", &address).expect("the functions' stack")
}

#[test]
fn each_is_for_a_function_and_in_the_table() {
    let table = std::fs::read_to_string(folder().join("README.md")).expect("events/README.md");
    let events = events();
    for name in events.keys() {
        let row = format!("| `{name}.json` | {} |", function_of(name).name);
        assert!(table.contains(&row), "events/README.md has no row for {name}.json");
    }
    let rows = table.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, events.len(), "events/README.md names files that do not exist");
    for Function { name, .. } in FUNCTIONS {
        assert!(events.contains_key(&format!("{name}-malformed")), "no malformed event for {name}");
    }
}

#[test]
fn wakes_are_what_the_schedules_send() {
    let events = events();
    for schedule in FUNCTIONS.iter().flat_map(|function| function.schedules) {
        let sent: Value = serde_json::from_str(schedule.input).expect("the input is JSON");
        assert_eq!(events.get(schedule.name), Some(&sent), "{}.json", schedule.name);
    }
}

#[test]
fn notices_pass_the_rule_of_their_function() {
    let stack = stack();
    let mut passed = Vec::new();
    for (name, event) in events().iter().filter(|(_, event)| event.get("source").is_some()) {
        for key in ["version", "id", "detail-type", "account", "time", "region", "resources", "detail"] {
            assert!(event.get(key).is_some(), "{name}.json is no whole EventBridge event: {key}");
        }
        let function = format!("@{}.Arn", function_of(name).id("Function"));
        let rules = stack.of_type("AWS::Events::Rule").map(|(_, rule)| &rule["Properties"]);
        let mut its = rules.filter(|rule| rule["Targets"][0]["Arn"] == function.as_str());
        let rule = its.find(|rule| event_matches(&rule["EventPattern"], event));
        let rule = rule.unwrap_or_else(|| panic!("{name}.json would not reach its function"));
        passed.push(rule["Name"].clone());
    }
    for rule in FUNCTIONS.iter().flat_map(|function| function.rules) {
        let full = json!(format!("tidemark-dev-{}", rule.name));
        assert!(passed.contains(&full), "no file shows what {full} delivers");
    }
}

#[test]
fn messages_come_from_a_queue_of_their_function() {
    let stack = stack();
    let mut from = Vec::new();
    for (name, event) in events().iter().filter(|(_, event)| event.get("Records").is_some()) {
        for record in event["Records"].as_array().expect("a batch") {
            assert_eq!(record["eventSource"], "aws:sqs", "{name}.json");
            let queue = FUNCTIONS.iter().flat_map(|function| function.reads).find(|id| {
                let queue = stack.get(id)["Properties"]["QueueName"].as_str().unwrap_or_default();
                record["eventSourceARN"] == format!("arn:aws:sqs:us-east-1:123456789012:{queue}")
            });
            let queue = queue.unwrap_or_else(|| panic!("{name}.json comes from no queue that is read"));
            assert!(function_of(name).reads.contains(queue), "{name}.json: another function reads {queue}");
            if !name.ends_with("-malformed") {
                for key in
                    ["messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfBody"]
                {
                    assert!(record.get(key).is_some(), "{name}.json is no whole SQS event: {key}");
                }
                from.push(*queue);
            }
        }
    }
    for queue in FUNCTIONS.iter().flat_map(|function| function.reads) {
        assert!(from.contains(queue), "no file shows what {queue} delivers");
    }
}

/// What the body of the first message says.
fn body(event: &str) -> Value {
    let events = events();
    let body = events[event]["Records"][0]["body"].as_str().expect("a body");
    serde_json::from_str(body).expect("JSON in the body")
}

#[test]
fn the_failure_is_one_that_lambda_hands_over() {
    let record = body("send-alert-failure");
    let mut all = FUNCTIONS.iter();
    let failed = all.find(|function| {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:tidemark-dev-";
        record["requestContext"]["functionArn"] == format!("{arn}{}:$LATEST", function.name)
    });
    let failed = failed.expect("a function of ours failed");
    assert_eq!(failed.failures, "FailuresQueue", "{} hands its failures to another queue", failed.name);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    let payload = record["requestPayload"].to_string();
    assert!(failed.schedules.iter().any(|schedule| schedule.input == payload), "it was woken by nothing");
    for key in ["errorType", "errorMessage"] {
        assert!(record["responsePayload"][key].is_string(), "the error has no {key}");
    }
}

#[test]
fn the_canary_passes_its_own_filter_and_no_persons() {
    let stack = stack();
    let envelope = body("send-alert-canary");
    assert_eq!(envelope["Type"], "Notification");
    let topic = stack.get("AlertsTopic")["Properties"]["TopicName"].as_str().unwrap_or_default();
    assert_eq!(envelope["TopicArn"], format!("arn:aws:sns:us-east-1:123456789012:{topic}"));
    let message: Value = serde_json::from_str(envelope["Message"].as_str().expect("text")).expect("JSON");
    let attributes = envelope["MessageAttributes"].as_object().expect("attributes");
    for (name, attribute) in attributes {
        let said = if name == "kind" { &message["kinds"][0] } else { &message[name] };
        assert_eq!(&attribute["Value"], said, "{name}");
    }
    let policy = |id: &str| stack.get(id)["Properties"]["FilterPolicy"].clone();
    assert!(message_passes(&policy("AlertsCanary"), attributes));
    assert!(!message_passes(&policy("AlertsEmail"), attributes));
    let mut alert = attributes.clone();
    alert.insert("kind".to_owned(), json!({"Type": "String", "Value": "rpo-exceeded"}));
    assert!(!message_passes(&policy("AlertsCanary"), &alert));
    assert!(message_passes(&policy("AlertsEmail"), &alert));
}
