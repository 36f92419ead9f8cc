//! Whether an event passes an `EventBridge` rule, and a message an SNS filter policy: as much of both as the templates use.

use serde_json::{Map, Value};

/// Whether an event matches an event pattern: every key of the pattern is there, with one of the values named.
///
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>
pub fn event_matches(pattern: &Value, event: &Value) -> bool {
    match pattern {
        Value::Object(keys) => keys.iter().all(|(key, inner)| event_matches(inner, &event[key])),
        Value::Array(any) => any.iter().any(|one| value_matches(one, event)),
        _ => false,
    }
}

/// Whether a subscription with that filter policy receives a message with those attributes, as they stand in the
/// envelope: `{"<name>": {"Type": "String", "Value": "…"}}`.
///
/// <https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html>
pub fn message_passes(policy: &Value, attributes: &Map<String, Value>) -> bool {
    // An attribute that is not there matches nothing, not even `anything-but`.
    policy.as_object().into_iter().flatten().all(|(name, any)| {
        let value = attributes.get(name).map(|attribute| &attribute["Value"]);
        value.is_some_and(|value| event_matches(any, value))
    })
}

fn value_matches(wanted: &Value, value: &Value) -> bool {
    let Value::Object(operator) = wanted else { return wanted == value };
    match operator.iter().next() {
        Some((name, Value::String(start))) if name == "prefix" => {
            value.as_str().is_some_and(|value| value.starts_with(start))
        }
        Some((name, Value::Array(none))) if name == "anything-but" => {
            value.is_string() && !none.contains(value)
        }
        // What the templates do not use.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events() {
        let pattern = json!({"source": ["a", "b"], "detail": {"name": [{"prefix": "tidemark-dev-"}]}});
        assert!(event_matches(
            &pattern,
            &json!({"source": "b", "detail": {"name": "tidemark-dev-x", "more": 1}})
        ));
        assert!(!event_matches(&pattern, &json!({"source": "c", "detail": {"name": "tidemark-dev-x"}})));
        assert!(!event_matches(&pattern, &json!({"source": "a", "detail": {"name": "tidemark-prod-x"}})));
        assert!(!event_matches(&pattern, &json!({"source": "a", "detail": {}})));
        assert!(!event_matches(&json!({"a": [{"unknown": "x"}]}), &json!({"a": "x"})));
    }

    #[test]
    fn messages() {
        let passes = |policy: &Value, attributes: Value| {
            message_passes(policy, attributes.as_object().unwrap_or(&Map::new()))
        };
        let but_canary = json!({"kind": [{"anything-but": ["canary"]}]});
        let kind = |kind: &str| json!({"kind": {"Type": "String", "Value": kind}});
        assert!(passes(&but_canary, kind("rpo-exceeded")));
        assert!(!passes(&but_canary, kind("canary")));
        assert!(!passes(&but_canary, json!({})));
        assert!(!passes(&but_canary, json!({"severity": {"Type": "String", "Value": "critical"}})));
        assert!(passes(&json!({"kind": ["canary"]}), kind("canary")));
    }
}
