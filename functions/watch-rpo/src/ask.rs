use reconcile::{Error, Request, Result, Wake};
use serde_json::{Value, json};

/// What woke the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Time to look.
    Watch(Wake),
    /// Time to look, and to raise the daily canary: `{"wake": "canary"}`.
    Canary,
}

impl Request for Ask {
    fn parse(payload: Value) -> Result<Self> {
        if payload == json!({"wake": "canary"}) {
            return Ok(Self::Canary);
        }
        Wake::parse(payload).map(Self::Watch).map_err(|error| {
            let message = format!("{error}; watch-rpo also knows {{\"wake\": \"canary\"}}");
            Error::new(error.kind(), error.code().to_owned(), message)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_or_a_wake() {
        assert_eq!(Ask::parse(json!({"wake": "canary"})).unwrap(), Ask::Canary);
        assert_eq!(Ask::parse(json!({"wake": "tick"})).unwrap(), Ask::Watch(Wake::Tick));
        assert!(Ask::Canary.surveys(), "a canary's pass looks at everything");
        for payload in [json!({"wake": "canary", "source": "aws.rds"}), json!({"wake": ["canary"]})] {
            let error = Ask::parse(payload).unwrap_err();
            assert_eq!(error.code(), "MalformedEvent");
            assert!(error.to_string().contains("canary"), "{error}");
        }
    }
}
