use reconcile::{Error, Request, Result, Wake};
use serde_json::Value;

/// What the function is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Time to carry the newest plan out: `{"wake": "slot"}`, `{"wake": "tick"}`, or a person's `{"delete": "now"}`.
    CarryOut,
    /// A person wants to know what would be deleted: `{"delete": "dry-run"}`. Nothing is.
    DryRun,
}

impl Request for Ask {
    fn surveys(&self) -> bool {
        *self == Self::CarryOut
    }

    fn parse(payload: Value) -> Result<Self> {
        let keys: Vec<&String> = payload.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
        if !keys.iter().any(|key| *key == "delete") {
            return Wake::parse(payload).map(|_| Self::CarryOut).map_err(|error| {
                let message = format!("{error}; delete-expired also knows {{\"delete\": \"now\"}} and {{\"delete\": \"dry-run\"}}");
                Error::new(error.kind(), error.code().to_owned(), message)
            });
        }
        match payload["delete"].as_str() {
            Some("now") if keys.len() == 1 => Ok(Self::CarryOut),
            Some("dry-run") if keys.len() == 1 => Ok(Self::DryRun),
            // What to delete nobody may say but the retention plan.
            _ => Err(Error::misconfigured(
                "MalformedEvent",
                "the payload is not understood and nothing was done: \"delete\" stands alone, and is \"now\" or \"dry-run\"; what \
                 is deleted, the retention plan says",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"wake": "slot"}), Ask::CarryOut)]
    #[case(json!({"wake": "tick"}), Ask::CarryOut)]
    #[case(json!({"delete": "now"}), Ask::CarryOut)]
    #[case(json!({"delete": "dry-run"}), Ask::DryRun)]
    fn understands(#[case] payload: Value, #[case] ask: Ask) {
        assert_eq!(Ask::parse(payload).unwrap(), ask);
    }

    #[rstest]
    #[case(json!({"delete": "tidemark-orders-20261122t0300z-ellsxv"}))]
    #[case(json!({"delete": "now", "resource": "rds/orders"}))]
    #[case(json!({"delete": true}))]
    #[case(json!({"delete": "now", "wake": "tick"}))]
    #[case(json!({}))]
    #[case(json!([]))]
    #[case(json!(null))]
    fn refuses(#[case] payload: Value) {
        assert_eq!(Ask::parse(payload).unwrap_err().code(), "MalformedEvent");
    }
}
