use domain::{RecoveryPointId, ResourceId};
use reconcile::{Error, Request, Result, Wake};
use serde_json::Value;

/// What the function is asked. Each pass looks at everything that there is; what is asked says what is read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// What is due, as far as the budget goes: `{"wake": "tick"}`.
    Due,
    /// A person wants it now: `{"verify": "<recovery point>", "resource": "turso/shop"}`, or with `all` for the name.
    Now {
        /// Of which resource.
        resource: ResourceId,
        /// Which; all of them if `None`.
        id: Option<RecoveryPointId>,
    },
}

impl Request for Ask {
    fn parse(payload: Value) -> Result<Self> {
        let text = |key: &str| payload.get(key).and_then(Value::as_str);
        let is_own = |key: &str| payload.get(key).is_some();
        if !is_own("verify") && !is_own("resource") {
            return Wake::parse(payload).map(|_| Self::Due).map_err(|error| {
                let message = format!("{error}; verify-backup also knows {{\"verify\": …, \"resource\": …}}");
                Error::new(error.kind(), error.code().to_owned(), message)
            });
        }
        let others = payload.as_object().is_some_and(|object| object.len() > 2);
        let resource = text("resource").and_then(|text| ResourceId::try_from(text.to_owned()).ok());
        let id = match text("verify") {
            Some("all") => Some(None),
            Some(name) => {
                let id = RecoveryPointId::from(name);
                id.parts().is_some().then(|| Some(id.clone()))
            }
            None => None,
        };
        match (resource, id) {
            (Some(resource), Some(id)) if !others => Ok(Self::Now { resource, id }),
            _ => Err(Error::misconfigured(
                "MalformedEvent",
                "the payload is not understood and nothing was done: \"verify\" is a recovery point's name, as the ledger has \
                 it, or \"all\", and \"resource\" such as \"turso/shop\"; nothing else goes with them",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const POINT: &str = "tidemark-shop-20261122t0300z-ellsxv";

    #[rstest]
    #[case(json!({"wake": "tick"}), Ask::Due)]
    #[case(json!({"wake": "slot"}), Ask::Due)]
    #[case(
        json!({"verify": POINT, "resource": "turso/shop"}),
        Ask::Now { resource: ResourceId::turso("shop"), id: Some(POINT.into()) }
    )]
    #[case(
        json!({"verify": "all", "resource": "rds/orders"}),
        Ask::Now { resource: ResourceId::rds("orders"), id: None }
    )]
    fn understands(#[case] payload: Value, #[case] ask: Ask) {
        assert_eq!(Ask::parse(payload).unwrap(), ask);
    }

    #[rstest]
    #[case(json!({"verify": POINT}))]
    #[case(json!({"resource": "turso/shop"}))]
    #[case(json!({"verify": "../../x", "resource": "turso/shop"}))]
    #[case(json!({"verify": POINT, "resource": "shop"}))]
    #[case(json!({"verify": 7, "resource": "turso/shop"}))]
    #[case(json!({"verify": "all", "resource": "turso/shop", "wake": "tick"}))]
    #[case(json!({"wake": "now"}))]
    #[case(json!([]))]
    #[case(json!(null))]
    fn refuses(#[case] payload: Value) {
        assert_eq!(Ask::parse(payload).unwrap_err().code(), "MalformedEvent");
    }
}
