//! What a person may ask. The shapes, with examples, are in `events/` and `docs/restoring.md`.

use std::fmt::Display;

use domain::{Engine, ResourceId};
use jiff::Timestamp;
use reconcile::{Error, Request, Result, Wake};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    drill::{self, Asker, Drill},
    engine::Of,
    rds, redis,
    restore::{Part, Restore},
    set::SetRequest,
    turso,
};

/// A restore of whichever engine.
pub(crate) type AnyRequest =
    Of<RestoreRequest<rds::Overrides>, RestoreRequest<redis::Wish>, RestoreRequest<turso::Wish>>;

/// What woke the function.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A person wants a database back.
    Restore(Box<AnyRequest>),
    /// A person wants a recovery set back.
    Set(Box<SetRequest>),
    /// Time to look after the restores under way.
    Follow,
}

/// A person's restore.
#[derive(Clone, Debug, PartialEq)]
pub struct RestoreRequest<W> {
    /// The protected resource.
    pub(crate) resource: ResourceId,
    /// The state it should have.
    pub(crate) to: Target,
    /// The new name.
    pub(crate) name: String,
    /// Where; the home Region unless told otherwise.
    pub(crate) region: Option<String>,
    /// The drill that it is for; `None` where a person wants it.
    pub(crate) drill: Option<Drill>,
    /// The set's restore that it is a part of; `None` where it is wanted by itself.
    pub(crate) part: Option<Part>,
    /// What the engine alone is told, such as what to do differently from the source.
    pub(crate) wish: W,
}

impl<W> RestoreRequest<W> {
    /// Who asks.
    pub(crate) fn by(&self) -> String {
        match (&self.part, &self.drill) {
            (Some(part), _) => part.restore.clone(),
            (None, Some(drill)) => drill.id.clone(),
            (None, None) => "a person".to_owned(),
        }
    }

    /// The same, so that asking again is the same restore.
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker::new(self.drill.as_ref(), self.part.as_ref())
    }

    /// Which restore it is, there. A part of a set was asked for when the set was, whenever it is begun.
    pub(crate) fn identity(&self, region: &str, now: Timestamp) -> Restore {
        let requested_at = self.part.as_ref().map_or(now, |part| part.requested_at);
        Restore {
            id: Restore::id_of(&self.name, requested_at),
            resource: self.resource.clone(),
            requested_at,
            region: region.to_owned(),
            set: self.part.clone(),
        }
    }
}

/// What a request may say of one engine alone.
pub trait Wish: DeserializeOwned {
    /// Of which.
    const ENGINE: Engine;
    /// Its keys; serde cannot refuse unknown ones where it flattens.
    const KEYS: &'static [&'static str];
    /// The longest name of that engine.
    const LONGEST: usize;
    /// What a name of that engine is, and `None` for a text that is none.
    fn name(text: &str) -> Option<String>;
    /// The same in words.
    const NAMES: &'static str;
}

/// The keys that every restore's payload has or may have.
const KEYS: [&str; 5] = ["resource", "to", "as", "region", "drill"];

/// The payload as it stands in JSON.
#[derive(Deserialize)]
struct Payload<W> {
    to: String,
    #[serde(rename = "as")]
    name: String,
    region: Option<String>,
    drill: Option<Drill>,
    #[serde(flatten)]
    wish: W,
}

/// The state that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The newest there is.
    Latest,
    /// As it was at that instant: commits at or before it are there, later ones are not.
    Instant(Timestamp),
    /// As that recovery point holds it.
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

    pub(crate) fn parse(text: &str) -> Result<Self> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(Self::Instant(instant));
        }
        // Names of recovery points begin with a letter, RDS's automated ones with `rds:` (CreateDBSnapshot); instants never do.
        if text.starts_with(|first: char| first.is_ascii_alphabetic()) {
            return Ok(Self::RecoveryPoint(text.to_owned()));
        }
        Err(invalid(format!(
            "\"to\" is {:?}: expected \"latest\", an instant with its offset such as \"2026-11-22T02:59:59Z\", or a recovery \
             point's id",
            shown(text)
        )))
    }
}

impl Request for Ask {
    fn surveys(&self) -> bool {
        matches!(self, Self::Follow)
    }

    fn parse(payload: Value) -> Result<Self> {
        let Value::Object(object) = payload else { return follow(payload) };
        match object.get("resource") {
            None if object.contains_key("set") => Ok(Self::Set(Box::new(SetRequest::parse(object)?))),
            None => follow(Value::Object(object)),
            Some(resource) => {
                let (engine, name) = engine(resource)?;
                let request = match engine {
                    Engine::Redis => Of::Redis(restore(object, &name)?),
                    Engine::Turso => Of::Turso(restore(object, &name)?),
                    Engine::Rds | Engine::Tidemark => Of::Rds(restore(object, &name)?),
                };
                Ok(Self::Restore(Box::new(request)))
            }
        }
    }
}

fn follow(payload: Value) -> Result<Ask> {
    Wake::parse(payload).map(|_| Ask::Follow)
}

/// Of which engine the resource is, and its name. An ARN ends in the name, and `ResourceId` prints the engine before it:
/// all three forms are in people's clipboards. A bare name is RDS's.
pub(crate) fn engine(resource: &Value) -> Result<(Engine, String)> {
    let Some(text) = resource.as_str() else {
        return Err(invalid("\"resource\" has an invalid type: expected a text such as \"rds/orders\""));
    };
    let found = match text.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "rds", _, _, "db", name] => Some((Engine::Rds, *name)),
        ["arn", _, "elasticache", _, _, "replicationgroup" | "cluster" | "serverlesscache", name] => {
            Some((Engine::Redis, *name))
        }
        _ => match text.split_once('/') {
            // An ARN of something else.
            None if text.contains(':') => None,
            None => Some((Engine::Rds, text)),
            Some((prefix, name)) => Engine::PROTECTED
                .into_iter()
                .find(|engine| engine.as_str() == prefix)
                .map(|engine| (engine, name)),
        },
    };
    found.map(|(engine, name)| (engine, name.to_owned())).ok_or_else(|| {
        invalid(format!(
            "\"resource\" is {:?}: expected rds/<name>, redis/<name>, turso/<name>, or the ARN of a DB instance or of a cache",
            shown(text)
        ))
    })
}

fn restore<W: Wish>(object: Map<String, Value>, resource: &str) -> Result<RestoreRequest<W>> {
    if let Some(unknown) = object.keys().find(|key| !KEYS.iter().chain(W::KEYS).any(|known| known == key)) {
        let allowed: Vec<&str> = KEYS.iter().chain(W::KEYS).copied().collect();
        return Err(invalid(format!(
            "{:?} is no key of a restore of {}; allowed: {}",
            shown(unknown),
            W::ENGINE,
            allowed.join(", ")
        )));
    }
    let payload: Payload<W> = serde_json::from_value(Value::Object(object))
        .map_err(|error| invalid(format!("a restore needs resource, to and as: {error}")))?;
    let name = name::<W>("as", &payload.name)?;
    let resource = ResourceId { engine: W::ENGINE, name: self::name::<W>("resource", resource)? };
    let to = Target::parse(&payload.to)?;
    drill::check(payload.drill.as_ref(), &name)?;
    let Payload { region, drill, wish, .. } = payload;
    Ok(RestoreRequest { resource, to, name, region, drill, part: None, wish })
}

pub(crate) fn name<W: Wish>(key: &str, text: &str) -> Result<String> {
    W::name(text).ok_or_else(|| invalid(format!("{key:?} is {:?}: {}", shown(text), W::NAMES)))
}

/// Of a hostile text only a short piece may reach an answer.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// AWS's rule for most identifiers: letters, digits and single hyphens, a letter first, no hyphen last. Kept in lower case.
pub(crate) fn identifier(text: &str, longest: usize) -> Option<String> {
    let valid = (1..=longest).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !text.ends_with('-')
        && !text.contains("--");
    valid.then(|| text.to_ascii_lowercase())
}

pub(crate) fn invalid(message: impl Display) -> Error {
    Error::misconfigured("RequestInvalid", format!("{message}; nothing was done"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn restore(payload: Value) -> RestoreRequest<rds::Overrides> {
        match Ask::parse(payload).unwrap() {
            Ask::Restore(request) => match *request {
                Of::Rds(request) => request,
                other => panic!("not RDS: {other:?}"),
            },
            other => panic!("not a restore: {other:?}"),
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
    fn a_drill_says_so_in_its_name() {
        let drill = json!({"id": "drill-rds-orders-20261122t100000z", "expires": "2026-11-22T22:00:00Z"});
        let payload =
            json!({"resource": "orders", "to": "latest", "as": "tidemark-drill-orders", "drill": drill});
        let request = restore(payload.clone());
        assert_eq!(request.drill.unwrap().id, "drill-rds-orders-20261122t100000z");
        for (key, value, because) in [
            (
                "as",
                json!("orders-2"),
                "\"as\" is \"orders-2\": what a drill makes begins with tidemark-drill-",
            ),
            ("drill", Value::Null, "begins with tidemark-drill-, which only drills may use"),
            (
                "drill",
                json!({"id": "", "expires": "2026-11-22T22:00:00Z"}),
                "1 to 100 of a-z, 0-9 and hyphens",
            ),
            (
                "drill",
                json!({"id": "a/b", "expires": "2026-11-22T22:00:00Z"}),
                "1 to 100 of a-z, 0-9 and hyphens",
            ),
            ("drill", json!({"id": "a"}), "missing field `expires`"),
            (
                "drill",
                json!({"id": "a", "expires": "2026-11-22T22:00:00Z", "by": "me"}),
                "unknown field `by`",
            ),
        ] {
            let mut payload = payload.clone();
            payload[key] = value;
            let error = Ask::parse(payload).unwrap_err();
            assert!(error.to_string().contains(because), "{error}");
        }
    }

    #[rstest]
    #[case("redis/sessions", "redis/sessions")]
    #[case("arn:aws:elasticache:us-east-1:123456789012:replicationgroup:sessions", "redis/sessions")]
    #[case("arn:aws:elasticache:us-east-1:123456789012:serverlesscache:Sessions", "redis/sessions")]
    #[case("turso/orders-1", "turso/orders-1")]
    #[case("rds/orders", "rds/orders")]
    fn engines(#[case] resource: &str, #[case] expected: &str) {
        let Ask::Restore(request) =
            Ask::parse(json!({"resource": resource, "to": "latest", "as": "x"})).unwrap()
        else {
            panic!("not a restore")
        };
        let found = match *request {
            Of::Rds(request) => request.resource,
            Of::Redis(request) => request.resource,
            Of::Turso(request) => request.resource,
        };
        assert_eq!(found.to_string(), expected);
    }

    #[rstest]
    #[case("mysql/orders", "expected rds/<name>, redis/<name>, turso/<name>")]
    #[case("tidemark/backup-rds", "expected rds/<name>")]
    #[case("arn:aws:dynamodb:us-east-1:123456789012:table/orders", "expected rds/<name>")]
    #[case("arn:aws:elasticache:us-east-1:123456789012:snapshot:x", "expected rds/<name>")]
    #[case("redis/", "1 to 40 letters")]
    #[case("redis/a/../b", "1 to 40 letters")]
    #[case("turso/Orders", "1 to 64 of a-z")]
    #[case("turso/-", "1 to 64 of a-z")]
    fn no_resources(#[case] resource: &str, #[case] because: &str) {
        let error = Ask::parse(json!({"resource": resource, "to": "latest", "as": "x"})).unwrap_err();
        assert_eq!(error.code(), "RequestInvalid");
        assert!(error.to_string().contains(because), "{error}");
    }

    #[rstest]
    #[case("rds/a", "node_type", "resource, to, as, region, drill, instance_class, subnet_group")]
    #[case("redis/a", "instance_class", "resource, to, as, region, drill, from, node_type")]
    #[case("turso/a", "subnet_group", "resource, to, as, region, drill, from, group")]
    fn a_key_of_another_engine_is_refused_with_those_of_this_one(
        #[case] resource: &str,
        #[case] key: &str,
        #[case] allowed: &str,
    ) {
        let error =
            Ask::parse(json!({"resource": resource, "to": "latest", "as": "x", key: "x"})).unwrap_err();
        assert!(error.to_string().contains(allowed), "{error}");
    }

    /// The files in `events/` are what they say they are.
    #[test]
    fn events() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../events");
        let mut seen = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let Some(case) = name.strip_prefix("restore-database-") else { continue };
            let payload = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let (read, is_malformed) = (Ask::parse(payload), case.contains("malformed"));
            assert_eq!(read.is_err(), is_malformed, "{name}: {read:?}");
            seen += 1;
        }
        assert!(seen >= 21, "{seen} files");
    }

    proptest! {
        /// Whatever stands in a request: it is read or refused, and what reaches an answer is short.
        #[test]
        fn any_text_is_read_or_refused(resource in ".{0,300}", to in ".{0,300}", name in ".{0,300}", prefix in 0_usize..4) {
            let resource = format!("{}{resource}", ["", "redis/", "turso/", "arn:aws:rds:"][prefix]);
            if let Err(error) = Ask::parse(json!({"resource": resource, "to": to, "as": name})) {
                prop_assert!(error.to_string().chars().count() < 2_000);
            }
        }
    }

    #[test]
    fn wakes_are_ticks() {
        assert_eq!(Ask::parse(json!({"wake": "tick"})).unwrap(), Ask::Follow);
        assert_eq!(Ask::parse(json!({"wake": "never"})).unwrap_err().code(), "MalformedEvent");
    }
}
