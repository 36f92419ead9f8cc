use std::collections::BTreeMap;

use domain::{Engine, ResourceId};
use jiff::Timestamp;
use reconcile::Result;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    drill::{self, Drill},
    rds, redis,
    request::{Target, Wish, engine, identifier, invalid, shown},
    restore::Restore,
    turso,
};

/// A person's restore of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct SetRequest {
    /// The recovery set, by its name in the plan document.
    pub(crate) set: String,
    /// The state that all of it should have: the latest, or an instant.
    pub(crate) to: Target,
    /// What the names of all that is made begin with.
    pub(crate) name: String,
    /// Where; the home Region unless told otherwise.
    pub(crate) region: Option<String>,
    /// The drill that it is for; `None` where a person wants it.
    pub(crate) drill: Option<Drill>,
    /// What engines alone are told, as the request of a single restore has it.
    pub(crate) wishes: BTreeMap<ResourceId, Map<String, Value>>,
}

/// The keys that the payload has or may have.
const KEYS: [&str; 6] = ["set", "to", "as", "region", "drill", "wishes"];

/// The payload as it stands in JSON.
#[derive(Deserialize)]
struct Payload {
    set: String,
    to: String,
    #[serde(rename = "as")]
    name: String,
    region: Option<String>,
    drill: Option<Drill>,
    #[serde(default)]
    wishes: BTreeMap<String, Map<String, Value>>,
}

impl SetRequest {
    pub(crate) fn parse(object: Map<String, Value>) -> Result<Self> {
        if let Some(unknown) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(invalid(format!(
                "{:?} is no key of a restore of a recovery set; allowed: {}; what a single restore may be told of its engine goes \
                 into \"wishes\"",
                shown(unknown),
                KEYS.join(", ")
            )));
        }
        let payload: Payload = serde_json::from_value(Value::Object(object))
            .map_err(|error| invalid(format!("a restore of a recovery set needs set, to and as: {error}")))?;
        let to = Target::parse(&payload.to)?;
        if let Target::RecoveryPoint(id) = &to {
            return Err(invalid(format!(
                "\"to\" is {:?}, and a set has an instant: expected \"latest\" or an instant with its offset; a recovery point is one \
                 database's: restore that by itself (\"resource\")",
                shown(id)
            )));
        }
        let name = identifier(&payload.name, rds::Overrides::LONGEST).ok_or_else(|| {
            invalid(format!("\"as\" is {:?}: {}", shown(&payload.name), rds::Overrides::NAMES))
        })?;
        drill::check(payload.drill.as_ref(), &name)?;
        let mut wishes = BTreeMap::new();
        for (key, told) in payload.wishes {
            let (engine, name) = engine(&Value::String(key))?;
            let resource = ResourceId { engine, name };
            check(&resource, &told)?;
            wishes.insert(resource, told);
        }
        let Payload { set, region, drill, .. } = payload;
        Ok(Self { set, to, name, region, drill, wishes })
    }

    /// Which restore this is, asked for now.
    pub(crate) fn identity(&self, home: &str, now: Timestamp) -> Restore {
        Restore {
            id: format!("set-{}", Restore::id_of(&self.name, now)),
            resource: ResourceId::tidemark(format!("recovery-set-{}", self.set)),
            requested_at: now,
            region: self.region.clone().unwrap_or_else(|| home.to_owned()),
            set: None,
        }
    }
}

fn check(resource: &ResourceId, told: &Map<String, Value>) -> Result<()> {
    match resource.engine {
        Engine::Rds | Engine::Tidemark => wish::<rds::Overrides>(resource, told).map(drop),
        Engine::Redis => wish::<redis::Wish>(resource, told).map(drop),
        Engine::Turso => wish::<turso::Wish>(resource, told).map(drop),
    }
}

/// What the engine of a member is told.
pub(crate) fn wish<W: Wish>(resource: &ResourceId, told: &Map<String, Value>) -> Result<W> {
    let of = shown(&resource.to_string());
    if let Some(unknown) = told.keys().find(|key| !W::KEYS.contains(&key.as_str())) {
        return Err(invalid(format!(
            "\"wishes\" of {of}: {:?} is no key of a restore of {}; allowed: {}",
            shown(unknown),
            W::ENGINE,
            W::KEYS.join(", ")
        )));
    }
    serde_json::from_value(Value::Object(told.clone()))
        .map_err(|error| invalid(format!("\"wishes\" of {of}: {error}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reconcile::Request;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::request::Ask;

    fn shop(to: &str) -> Value {
        json!({"set": "shop", "to": to, "as": "shop-2"})
    }

    fn with(key: &str, value: Value) -> Value {
        let mut payload = shop("latest");
        payload[key] = value;
        payload
    }

    #[test]
    fn what_is_said_is_read() {
        let wishes =
            json!({"rds/orders": {"instance_class": "db.t4g.small"}, "turso/catalog": {"from": "vault"}});
        let Ask::Set(request) = Ask::parse(with("wishes", wishes)).unwrap() else { panic!("no set") };
        assert_eq!(
            (request.set.as_str(), &request.to, request.name.as_str()),
            ("shop", &Target::Latest, "shop-2")
        );
        assert_eq!(request.wishes[&ResourceId::turso("catalog")]["from"], "vault");
        assert_eq!(
            request.identity("us-east-1", "2026-11-22T12:00:00Z".parse().unwrap()).id,
            "set-restore-shop-2-20261122t120000z"
        );
    }

    #[rstest]
    #[case(json!({"set": "shop", "to": "latest"}), "missing field `as`")]
    #[case(json!({"set": 1, "to": "latest", "as": "x"}), "invalid type")]
    #[case(shop("2026-11-22 02:59"), "with its offset")]
    #[case(shop("tidemark-orders-20261122t0300z-abcdef"), "a set has an instant")]
    #[case(with("as", json!("2nd")), "letter first")]
    #[case(with("as", json!("tidemark-drill-shop")), "which only drills may use")]
    #[case(with("drill", json!({"id": "drill-1", "expires": "2026-11-22T22:00:00Z"})), "begins with tidemark-drill-")]
    #[case(with("secret", json!("x")), "goes into \"wishes\"")]
    #[case(with("wishes", json!({"rds/orders": {"node_type": "x"}})), "\"wishes\" of rds/orders: \"node_type\" is no key of a restore of rds")]
    #[case(with("wishes", json!({"redis/sessions": {"replicas": "two"}})), "\"wishes\" of redis/sessions: invalid type")]
    #[case(with("wishes", json!({"turso/catalog": {"to": "latest"}})), "allowed: from, group")]
    #[case(with("wishes", json!({"mysql/orders": {}})), "expected rds/<name>")]
    #[case(with("wishes", json!([])), "expected a map")]
    fn refuses(#[case] payload: Value, #[case] because: &str) {
        let error = Ask::parse(payload).unwrap_err();
        assert_eq!(error.code(), "RequestInvalid");
        assert!(error.to_string().contains(because), "{error}");
    }

    #[test]
    fn one_database_has_no_set() {
        let payload = json!({"resource": "orders", "set": "shop", "to": "latest", "as": "x"});
        assert!(
            Ask::parse(payload).unwrap_err().to_string().contains("\"set\" is no key of a restore of rds")
        );
    }

    proptest! {
        /// Whatever stands in a request: it is read or refused, and what reaches an answer is short.
        #[test]
        fn any_text_is_read_or_refused(set in ".{0,300}", to in ".{0,300}", name in ".{0,300}", key in ".{0,300}") {
            let wishes = json!({format!("rds/{key}"): {key.clone(): key.clone()}, key: {}});
            if let Err(error) = Ask::parse(json!({"set": set, "to": to, "as": name, "wishes": wishes})) {
                prop_assert!(error.to_string().chars().count() < 2_000);
            }
        }
    }
}
