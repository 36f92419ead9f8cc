use serde_json::Value;

use crate::{Error, Result};

/// Something that a function can be asked.
pub trait Request: Sized {
    /// Reads the invocation's payload. A payload that is not understood is refused before anything is looked at.
    fn parse(payload: Value) -> Result<Self>;

    /// Whether the pass for it looks at everything that the function looks after, so that what it does not find wrong
    /// is not wrong. A person's request for one thing does not.
    fn surveys(&self) -> bool {
        true
    }
}

/// A bare wake-up. It carries no facts: state comes from Describe calls, never from an event's word for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A plan's slot has come: `{"wake": "slot"}`.
    Slot,
    /// Time to look after what is unfinished: `{"wake": "tick"}`.
    Tick,
    /// An event of the default bus, as EventBridge delivers it.
    Event {
        /// `aws.rds`, …
        source: String,
        /// `RDS DB Snapshot Event`, …
        detail_type: String,
    },
}

impl Request for Wake {
    fn parse(payload: Value) -> Result<Self> {
        let text = |key: &str| payload.get(key).and_then(Value::as_str);
        match (text("wake"), text("source"), text("detail-type")) {
            (Some("slot"), None, None) => Ok(Self::Slot),
            (Some("tick"), None, None) => Ok(Self::Tick),
            (None, Some(source), Some(detail_type))
                if payload.get("detail").is_some_and(Value::is_object) =>
            {
                Ok(Self::Event { source: source.to_owned(), detail_type: detail_type.to_owned() })
            }
            _ => Err(malformed(&payload)),
        }
    }
}

fn malformed(payload: &Value) -> Error {
    // Of a hostile payload only a short, escaped piece may reach the log.
    let shown: String = payload.to_string().chars().take(200).collect();
    Error::misconfigured(
        "MalformedEvent",
        format!(
            "the payload is not understood and nothing was done: expected {{\"wake\": \"slot\"}}, {{\"wake\": \"tick\"}} \
             or an EventBridge event with source, detail-type and detail; got {shown}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"wake": "slot"}), Wake::Slot)]
    #[case(json!({"wake": "tick"}), Wake::Tick)]
    #[case(
        json!({"source": "aws.rds", "detail-type": "RDS DB Snapshot Event", "detail": {}, "time": "2026-11-22T03:00:00Z"}),
        Wake::Event { source: "aws.rds".into(), detail_type: "RDS DB Snapshot Event".into() }
    )]
    fn understands(#[case] payload: Value, #[case] wake: Wake) {
        assert_eq!(Wake::parse(payload).unwrap(), wake);
    }

    #[rstest]
    #[case(json!(null))]
    #[case(json!("tick"))]
    #[case(json!([{"wake": "tick"}]))]
    #[case(json!({"wake": "now"}))]
    #[case(json!({"wake": 7}))]
    #[case(json!({"source": "aws.rds", "detail-type": "x", "detail": "not an object"}))]
    #[case(json!({"source": {"$ne": null}, "detail-type": "x", "detail": {}}))]
    fn refuses(#[case] payload: Value) {
        let error = Wake::parse(payload).unwrap_err();
        assert_eq!(error.code(), "MalformedEvent");
    }
}
