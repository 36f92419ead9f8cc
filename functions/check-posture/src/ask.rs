use reconcile::{Error, Request, Result, Wake};
use serde_json::{Value, json};

/// What the function is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Time to look, once a day, and each hour while something is wrong: `{"wake": "slot"}`, `{"wake": "tick"}`.
    Check,
    /// A person, or a deployment, wants to know now: `{"check": "now"}`.
    CheckNow,
}

impl Request for Ask {
    fn parse(payload: Value) -> Result<Self> {
        if payload == json!({"check": "now"}) {
            return Ok(Self::CheckNow);
        }
        let also = "check-posture also knows {\"check\": \"now\"}";
        if payload.get("check").is_some() {
            let says =
                format!("the payload is not understood and nothing was done; {also}, and nothing beside it");
            return Err(Error::misconfigured("MalformedEvent", says));
        }
        Wake::parse(payload)
            .map(|_| Self::Check)
            .map_err(|error| Error::new(error.kind(), error.code().to_owned(), format!("{error}; {also}")))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(json!({"wake": "slot"}), Ask::Check)]
    #[case(json!({"wake": "tick"}), Ask::Check)]
    #[case(json!({"check": "now"}), Ask::CheckNow)]
    fn understands(#[case] payload: Value, #[case] ask: Ask) {
        assert_eq!(Ask::parse(payload).unwrap(), ask);
        assert!(ask.surveys());
    }

    #[rstest]
    #[case(json!({"check": "tomorrow"}))]
    #[case(json!({"check": "now", "wake": "tick"}))]
    #[case(json!({}))]
    #[case(json!(null))]
    fn refuses(#[case] payload: Value) {
        let error = Ask::parse(payload).unwrap_err();
        assert_eq!(error.code(), "MalformedEvent");
        assert!(error.to_string().contains(r#"{"check": "now"}"#), "{error}");
    }
}
