use reconcile::{Error, Request, Result, Wake};
use serde_json::{Value, json};

/// What woke the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Time to see whether a report is due: `{"wake": "slot"}`, `{"wake": "tick"}`.
    Due,
    /// A person wants one now: `{"report": "now"}`.
    Now,
}

impl Request for Ask {
    fn parse(payload: Value) -> Result<Self> {
        if payload == json!({"report": "now"}) {
            return Ok(Self::Now);
        }
        if payload.get("report").is_some() {
            return Err(Error::misconfigured(
                "MalformedEvent",
                "the payload is not understood and nothing was done: \"report\" is \"now\", and stands alone",
            ));
        }
        Wake::parse(payload).map(|_| Self::Due).map_err(|error| {
            let message = format!("{error}; publish-report also knows {{\"report\": \"now\"}}");
            Error::new(error.kind(), error.code().to_owned(), message)
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(json!({"wake": "slot"}), Ask::Due)]
    #[case(json!({"wake": "tick"}), Ask::Due)]
    #[case(json!({"report": "now"}), Ask::Now)]
    fn understands(#[case] payload: Value, #[case] ask: Ask) {
        assert_eq!(Ask::parse(payload).unwrap(), ask);
    }

    #[rstest]
    #[case(json!({"report": "weekly"}))]
    #[case(json!({"report": "now", "wake": "tick"}))]
    #[case(json!({"report": null}))]
    #[case(json!("now"))]
    fn refuses(#[case] payload: Value) {
        let error = Ask::parse(payload).unwrap_err();
        assert_eq!(error.code(), "MalformedEvent");
        assert!(error.to_string().contains("now"), "{error}");
    }
}
