//! What a person may ask. The shapes, with examples, are in `events/`.

use std::fmt::Display;

use domain::ResourceId;
use jiff::Timestamp;
use reconcile::{Error, Request, Result, Wake};
use serde::Deserialize;
use serde_json::Value;

/// What woke the function.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A person wants a database back.
    Restore(Box<RestoreRequest>),
    /// Time to look after the restores under way.
    Follow,
}

/// A person's restore.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoreRequest {
    /// The protected resource.
    pub(crate) resource: ResourceId,
    /// The state it should have.
    pub(crate) to: Target,
    /// The name of the new instance.
    pub(crate) name: String,
    /// Where; the home Region unless told otherwise.
    pub(crate) region: Option<String>,
    /// What to do differently from the source.
    pub(crate) overrides: Overrides,
}

/// The state that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The newest there is.
    Latest,
    /// As it was at that instant: commits at or before it are there, later ones are not.
    Instant(Timestamp),
    /// As that snapshot holds it.
    RecoveryPoint(String),
}

impl Target {
    /// As it stands in the tag `tidemark:restored-to`.
    pub(crate) fn as_tag(&self) -> String {
        match self {
            Self::Latest => "latest".to_owned(),
            Self::Instant(instant) => instant.to_string(),
            Self::RecoveryPoint(id) => id.clone(),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self::Instant(instant));
        }
        // Snapshot identifiers begin with a letter, automated ones with `rds:` (CreateDBSnapshot); instants never do.
        if text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Ok(Self::RecoveryPoint(text.to_owned()));
        }
        Err(invalid(format!(
            "\"to\" is {text:?}: expected \"latest\", an instant with its offset such as \"2026-11-22T02:59:59Z\", or a recovery \
             point's id"
        )))
    }
}

/// What a restore may do differently from the source.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Overrides {
    pub(crate) instance_class: Option<String>,
    pub(crate) subnet_group: Option<String>,
    pub(crate) security_groups: Option<Vec<String>>,
    pub(crate) parameter_group: Option<String>,
    pub(crate) option_group: Option<String>,
    pub(crate) multi_az: Option<bool>,
    pub(crate) publicly_accessible: Option<bool>,
    /// The secret with credentials for the first query.
    pub(crate) secret: Option<String>,
}

/// The payload as it stands in JSON.
#[derive(Deserialize)]
struct Payload {
    resource: String,
    to: String,
    #[serde(rename = "as")]
    name: String,
    region: Option<String>,
    #[serde(flatten)]
    overrides: Overrides,
}

/// The keys that a restore's payload may have; serde cannot refuse unknown ones where it flattens.
const KEYS: [&str; 12] = [
    "resource",
    "to",
    "as",
    "region",
    "instance_class",
    "subnet_group",
    "security_groups",
    "parameter_group",
    "option_group",
    "multi_az",
    "publicly_accessible",
    "secret",
];

impl Request for Ask {
    fn surveys(&self) -> bool {
        matches!(self, Self::Follow)
    }

    fn parse(payload: Value) -> Result<Self> {
        let Some(object) = payload.as_object().filter(|object| object.contains_key("resource")) else {
            return Wake::parse(payload).map(|_| Self::Follow);
        };
        if let Some(unknown) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(invalid(format!("{unknown:?} is no key of a restore; allowed: {}", KEYS.join(", "))));
        }
        let payload: Payload = serde_json::from_value(payload)
            .map_err(|error| invalid(format!("a restore needs resource, to and as: {error}")))?;
        let name = instance_identifier("as", &payload.name)?;
        // An ARN ends in the identifier, and ResourceId prints `rds/` before it: all three forms are in people's clipboards.
        let resource = payload.resource.rsplit([':', '/']).next().unwrap_or_default();
        let resource = ResourceId::rds(instance_identifier("resource", resource)?);
        let to = Target::parse(&payload.to)?;
        let (region, overrides) = (payload.region, payload.overrides);
        Ok(Self::Restore(Box::new(RestoreRequest { resource, to, name, region, overrides })))
    }
}

/// A DB instance identifier: 1 to 63 letters, digits and single hyphens, a letter first, no hyphen last
/// (`CreateDBInstance`). RDS keeps it in lower case.
fn instance_identifier(key: &str, text: &str) -> Result<String> {
    let valid = (1..=63).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.ends_with('-')
        && !text.contains("--");
    if valid {
        return Ok(text.to_ascii_lowercase());
    }
    let shown: String = text.chars().take(80).collect();
    Err(invalid(format!(
        "{key:?} is {shown:?}: a DB instance identifier is 1 to 63 letters, digits and single hyphens, with a letter first and no \
         hyphen last"
    )))
}

fn invalid(message: impl Display) -> Error {
    Error::misconfigured("RequestInvalid", format!("{message}; nothing was done"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn restore(payload: Value) -> RestoreRequest {
        match Ask::parse(payload).unwrap() {
            Ask::Restore(request) => *request,
            Ask::Follow => panic!("not a restore"),
        }
    }

    #[rstest]
    #[case("latest", Target::Latest)]
    #[case("2026-11-22T02:59:59Z", Target::Instant("2026-11-22T02:59:59Z".parse().unwrap()))]
    #[case("2026-11-22T03:59:59.5+01:00", Target::Instant("2026-11-22T02:59:59.5Z".parse().unwrap()))]
    #[case("rds:orders-2026-11-22-03-05", Target::RecoveryPoint("rds:orders-2026-11-22-03-05".into()))]
    fn targets(#[case] to: &str, #[case] target: Target) {
        assert_eq!(restore(json!({"resource": "orders", "to": to, "as": "orders-2"})).to, target);
    }

    #[rstest]
    #[case("orders")]
    #[case("rds/orders")]
    #[case("arn:aws:rds:us-east-1:123456789012:db:orders")]
    fn resources(#[case] resource: &str) {
        let request = restore(json!({"resource": resource, "to": "latest", "as": "orders-2"}));
        assert_eq!(request.resource, ResourceId::rds("orders"));
    }

    #[rstest]
    #[case(json!({"resource": "orders", "to": "latest"}), "missing field `as`")]
    #[case(json!({"resource": "orders", "to": "2026-11-22 02:59", "as": "x"}), "with its offset")]
    #[case(json!({"resource": "orders", "to": "latest", "as": "2nd"}), "letter first")]
    #[case(json!({"resource": "orders", "to": "latest", "as": "a--b"}), "single hyphens")]
    #[case(json!({"resource": "orders", "to": "latest", "as": "x", "regoin": "us-west-2"}), "\"regoin\" is no key")]
    #[case(json!({"resource": {"a": 1}, "to": "latest", "as": "x"}), "invalid type")]
    #[case(json!({"resource": "orders; DROP TABLE", "to": "latest", "as": "x"}), "\"resource\" is")]
    #[case(json!({"resource": "orders", "to": "latest", "as": "x", "multi_az": "yes"}), "invalid type")]
    fn refuses(#[case] payload: Value, #[case] because: &str) {
        let error = Ask::parse(payload).unwrap_err();
        assert_eq!(error.code(), "RequestInvalid");
        assert!(error.to_string().contains(because), "{error}");
    }

    #[test]
    fn wakes_are_ticks() {
        assert_eq!(Ask::parse(json!({"wake": "tick"})).unwrap(), Ask::Follow);
        assert_eq!(Ask::parse(json!({"wake": "never"})).unwrap_err().code(), "MalformedEvent");
    }
}
