use domain::{ResourceId, drill::Way};
use reconcile::{Error, Request, Result, Wake};
use serde_json::Value;

/// What the function is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To go on with what is under way, and to begin what is due: `{"wake": "tick"}`.
    Tick,
    /// A person wants a drill of that resource now: `{"drill": "rds/orders"}`.
    Now {
        /// Of what.
        resource: ResourceId,
        /// From what; chosen as always if nobody says: `"way": "copy"`.
        way: Option<Way>,
    },
    /// A person wants one of that recovery set now: `{"drill": "set/shop"}`.
    Set {
        /// Its name.
        name: String,
    },
    /// A person wants one of each, as fast as the budget allows: `{"drill": "all"}`.
    All,
}

const EXPECTED: &str = "\"drill\" is a resource such as \"rds/orders\", a recovery set such as \"set/shop\", or \"all\"; \"way\", for one resource, is \"instant\", \
                        \"newest\", \"older\" or \"copy\"; nothing else goes with them";

impl Request for Ask {
    fn surveys(&self) -> bool {
        *self == Self::Tick
    }

    fn parse(payload: Value) -> Result<Self> {
        let Some(asked) = payload.get("drill") else {
            return Wake::parse(payload).map(|_| Self::Tick).map_err(|error| {
                let message = format!("{error}; run-drill also knows {{\"drill\": …}}");
                Error::new(error.kind(), error.code().to_owned(), message)
            });
        };
        let malformed = || {
            Error::misconfigured(
                "MalformedEvent",
                format!("the payload is not understood and nothing was done: {EXPECTED}"),
            )
        };
        let known = |key: &String| ["drill", "way"].contains(&key.as_str());
        if !payload.as_object().is_some_and(|object| object.keys().all(known)) {
            return Err(malformed());
        }
        let way: Option<Way> = match payload.get("way") {
            None => None,
            Some(way) => Some(serde_json::from_value(way.clone()).map_err(|_| malformed())?),
        };
        let text = asked.as_str().ok_or_else(malformed)?;
        if text == "all" {
            return if way.is_none() { Ok(Self::All) } else { Err(malformed()) };
        }
        if let Some(name) = text.strip_prefix("set/") {
            let is_set = way.is_none() && !name.is_empty() && !name.contains('/');
            return if is_set { Ok(Self::Set { name: name.to_owned() }) } else { Err(malformed()) };
        }
        let resource = ResourceId::try_from(text.to_owned()).map_err(|_| malformed())?;
        if domain::Engine::PROTECTED.contains(&resource.engine) {
            Ok(Self::Now { resource, way })
        } else {
            Err(malformed())
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"wake": "tick"}), Ask::Tick)]
    #[case(json!({"wake": "slot"}), Ask::Tick)]
    #[case(json!({"drill": "all"}), Ask::All)]
    #[case(json!({"drill": "set/shop"}), Ask::Set { name: "shop".to_owned() })]
    #[case(json!({"drill": "rds/orders"}), Ask::Now { resource: ResourceId::rds("orders"), way: None })]
    #[case(
        json!({"drill": "turso/shop", "way": "copy"}),
        Ask::Now { resource: ResourceId::turso("shop"), way: Some(Way::Copy) }
    )]
    fn understands(#[case] payload: Value, #[case] ask: Ask) {
        assert_eq!(Ask::parse(payload).unwrap(), ask);
    }

    #[rstest]
    #[case(json!({"drill": "orders"}))]
    #[case(json!({"drill": "tidemark/run-drill"}))]
    #[case(json!({"drill": "all", "way": "copy"}))]
    #[case(json!({"drill": "set/shop", "way": "copy"}))]
    #[case(json!({"drill": "set/"}))]
    #[case(json!({"drill": "set/../orders"}))]
    #[case(json!({"drill": "rds/orders", "way": "backwards"}))]
    #[case(json!({"drill": "rds/orders", "as": "production"}))]
    #[case(json!({"drill": ["rds/orders"]}))]
    #[case(json!({"way": "copy"}))]
    #[case(json!([]))]
    #[case(json!(null))]
    fn refuses(#[case] payload: Value) {
        assert_eq!(Ask::parse(payload).unwrap_err().code(), "MalformedEvent");
    }

    /// The files in `events/` are what they say they are.
    #[test]
    fn events() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some(case) = name.strip_prefix("run-drill-") else { continue };
            let read = Ask::parse(serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap());
            assert_eq!(read.is_err(), case.contains("malformed"), "{name}: {read:?}");
            seen += 1;
        }
        assert!(seen >= 5, "{seen} files");
    }
}
