//! What a plan document says of drills, of heartbeats, and of databases that belong together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Engine, ResourceId, Schedule, plan_document::Reader};

/// A drill older than this proves nothing any more: the month, and a few days for a drill that has to be made again.
pub const LONGEST_WITHOUT: SignedDuration = SignedDuration::from_hours(35 * 24);

/// How the databases under a plan are drilled.
#[derive(Clone, Debug)]
pub struct DrillPlan {
    /// When each of them is due.
    pub schedule: Schedule,
    /// The class of the instances and nodes that they are restored into.
    pub class: DrillClass,
    /// What only the owner of the data knows, for each resource: JSON that the engine's checks read (`docs/drills.md`).
    pub assertions: BTreeMap<ResourceId, Vec<Value>>,
}

/// How large what a drill restores into is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DrillClass {
    /// The smallest that fits.
    #[default]
    Smallest,
    /// That of the source: what is measured is then what a real restore would take.
    Source,
}

/// Databases of one application: restored to the same instant, and drilled together.
#[derive(Clone, Debug, PartialEq)]
pub struct RecoverySet {
    /// Its name.
    pub name: String,
    /// Which; at least two.
    pub resources: Vec<ResourceId>,
    /// What must hold across them.
    pub assertions: Vec<CrossAssertion>,
}

/// Two numbers, each from one store, that must agree.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossAssertion {
    /// What it is called in evidence.
    pub name: String,
    /// Where the two numbers are from.
    pub sides: [Side; 2],
    /// How far they may be apart. Stores of different recovery points are of different instants.
    pub differ_by_at_most: u64,
}

/// Where one number is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Which of the set's databases.
    pub resource: ResourceId,
    /// In which database of a PostgreSQL server; the first one unless told otherwise.
    pub database: Option<String>,
    /// What it is asked: SQL, or of Redis the words of a command.
    pub question: Question,
}

/// What a store is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// A statement that answers one number.
    Sql(String),
    /// A command that answers an integer.
    Command(Vec<String>),
}

/// On the second of the month in the morning: a working day's hours follow in which somebody can look at what failed.
const DEFAULT_SCHEDULE: &str = "0 7 2 * *";

impl Reader {
    /// `None` where the plan says `null`: its databases are not drilled.
    pub(crate) fn drill(&mut self, path: &str, value: Option<&Value>, time_zone: &str) -> Option<DrillPlan> {
        let empty = Map::new();
        let given = match value {
            Some(Value::Null) => return None,
            None => &empty,
            Some(value) => self.object(path, value, &["schedule", "class", "assertions"])?,
        };
        let expression = match given.get("schedule") {
            None => DEFAULT_SCHEDULE,
            Some(Value::String(expression)) => expression,
            Some(other) => {
                self.problem(
                    &format!("{path}.schedule"),
                    format!("{other} is not a string, such as {DEFAULT_SCHEDULE:?}"),
                );
                DEFAULT_SCHEDULE
            }
        };
        let class = match given.get("class").map(Value::as_str) {
            None | Some(Some("smallest")) => DrillClass::Smallest,
            Some(Some("source")) => DrillClass::Source,
            Some(_) => {
                self.problem(&format!("{path}.class"), "must be \"smallest\" or \"source\"");
                DrillClass::Smallest
            }
        };
        let assertions = self.assertions(&format!("{path}.assertions"), given.get("assertions"));
        match Schedule::parse(expression, time_zone) {
            Ok(schedule) => Some(DrillPlan { schedule, class, assertions }),
            Err(error) => {
                self.problem(&format!("{path}.schedule"), error.to_string());
                None
            }
        }
    }

    fn assertions(&mut self, path: &str, value: Option<&Value>) -> BTreeMap<ResourceId, Vec<Value>> {
        let Some(value) = value else { return BTreeMap::new() };
        let Some(given) = value.as_object() else {
            self.problem(path, "must be an object of resources, such as {\"rds/orders\": […]}");
            return BTreeMap::new();
        };
        let mut read = BTreeMap::new();
        for (name, value) in given {
            let path = format!("{path}.{name}");
            let Some(resource) = self.resource(&path, name) else { continue };
            match value.as_array().filter(|list| list.iter().all(Value::is_object)) {
                Some(list) => _ = read.insert(resource, list.clone()),
                None => self.problem(&path, "must be a list of objects (docs/drills.md, \"Assertions\")"),
            }
        }
        read
    }

    /// The secret with the writer's credentials, for each database that gets heartbeats.
    pub(crate) fn heartbeats(&mut self, path: &str, value: Option<&Value>) -> BTreeMap<ResourceId, String> {
        let Some(value) = value else { return BTreeMap::new() };
        let Some(given) = value.as_object() else {
            self.problem(
                path,
                "must be an object of resources and secrets, such as {\"rds/orders\": \"tidemark/heartbeat-orders\"}",
            );
            return BTreeMap::new();
        };
        let mut read = BTreeMap::new();
        for (name, value) in given {
            let path = format!("{path}.{name}");
            let Some(resource) = self.resource(&path, name) else { continue };
            match value.as_str().filter(|secret| !secret.is_empty()) {
                Some(secret) => _ = read.insert(resource, secret.to_owned()),
                None => self.problem(&path, format!("{value} is no name or ARN of a secret")),
            }
        }
        read
    }

    pub(crate) fn recovery_sets(&mut self, value: Option<&Value>) -> Vec<RecoverySet> {
        let Some(value) = value else { return Vec::new() };
        let Some(given) = value.as_object() else {
            self.problem("recovery_sets", "must be an object of sets by name");
            return Vec::new();
        };
        given.iter().filter_map(|(name, value)| self.recovery_set(name, value)).collect()
    }

    fn recovery_set(&mut self, name: &str, value: &Value) -> Option<RecoverySet> {
        let path = format!("recovery_sets.{name}");
        let is_name = (1..=30).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !name.ends_with('-')
            && !name.contains("--");
        if !is_name {
            self.problem(
                &path,
                "a name is 1 to 30 of a-z, 0-9 and single hyphens, with a letter first and no hyphen last",
            );
        }
        let given = self.object(&path, value, &["resources", "assertions"])?;
        let resources = self.members(&format!("{path}.resources"), given.get("resources"));
        let mut assertions = Vec::new();
        match given.get("assertions") {
            None => {}
            Some(Value::Array(list)) => {
                for (at, value) in list.iter().enumerate() {
                    let path = format!("{path}.assertions[{at}]");
                    assertions.extend(self.cross_assertion(&path, value, &resources));
                }
            }
            Some(_) => self.problem(&format!("{path}.assertions"), "must be a list"),
        }
        Some(RecoverySet { name: name.to_owned(), resources, assertions })
    }

    fn members(&mut self, path: &str, value: Option<&Value>) -> Vec<ResourceId> {
        let texts: Vec<&str> =
            value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let count = value.and_then(Value::as_array).map_or(0, Vec::len);
        let distinct: BTreeSet<&str> = texts.iter().copied().collect();
        if !(2..=10).contains(&count) || distinct.len() != count {
            self.problem(
                path,
                "must be a list of 2 to 10 different resources, such as [\"rds/orders\", \"turso/shop\"]",
            );
        }
        texts.into_iter().filter_map(|text| self.resource(path, text)).collect()
    }

    fn cross_assertion(
        &mut self,
        path: &str,
        value: &Value,
        members: &[ResourceId],
    ) -> Option<CrossAssertion> {
        let given = self.object(path, value, &["name", "sides", "differ_by_at_most"])?;
        let name = given.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        if name.is_none() {
            self.problem(&format!("{path}.name"), "is missing; a failing assertion is told by it");
        }
        let differ_by_at_most = self.number(path, given, "differ_by_at_most", 0..=u32::MAX, 0).into();
        let sides = given.get("sides").and_then(Value::as_array);
        let Some([left, right]) = sides.map(Vec::as_slice) else {
            self.problem(&format!("{path}.sides"), "must be a list of two");
            return None;
        };
        let left = self.side(&format!("{path}.sides[0]"), left, members);
        let right = self.side(&format!("{path}.sides[1]"), right, members);
        Some(CrossAssertion { name: name?.to_owned(), sides: [left?, right?], differ_by_at_most })
    }

    fn side(&mut self, path: &str, value: &Value, members: &[ResourceId]) -> Option<Side> {
        let given = self.object(path, value, &["resource", "database", "sql", "command"])?;
        let name = given.get("resource").and_then(Value::as_str).unwrap_or_default();
        let resource = self.resource(path, name)?;
        if !members.contains(&resource) {
            self.problem(path, format!("{resource} is none of the set's resources"));
        }
        let words = |list: &Vec<Value>| -> Option<Vec<String>> {
            list.iter().map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let question = match (resource.engine, given.get("sql"), given.get("command")) {
            (Engine::Rds | Engine::Turso, Some(Value::String(sql)), None) => Question::Sql(sql.clone()),
            (Engine::Redis, None, Some(Value::Array(list))) if !list.is_empty() => {
                Question::Command(words(list)?)
            }
            _ => {
                self.problem(
                    path,
                    "needs \"sql\", or for Redis \"command\" as a list of words, such as [\"SCARD\", \"users\"]",
                );
                return None;
            }
        };
        let database = given.get("database").and_then(Value::as_str).map(str::to_owned);
        Some(Side { resource, database, question })
    }

    fn resource(&mut self, path: &str, text: &str) -> Option<ResourceId> {
        let resource = ResourceId::try_from(text.to_owned()).ok();
        let protected = resource.filter(|resource| Engine::PROTECTED.contains(&resource.engine));
        if protected.is_none() {
            self.problem(path, format!("{text:?} is no rds/<name>, redis/<name> or turso/<name>"));
        }
        protected
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::PlanDocument;

    #[test]
    fn everything_is_drilled_once_a_month_unless_the_plan_says_otherwise() {
        let document =
            PlanDocument::parse(r#"{"plans": {"default": {}, "scratch": {"drill": null}}}"#).unwrap();
        let drill = document.get("default").unwrap().drill.as_ref().unwrap();
        assert_eq!((drill.schedule.expression(), drill.class), (DEFAULT_SCHEDULE, DrillClass::Smallest));
        assert!(document.get("scratch").unwrap().drill.is_none());
        assert!(document.recovery_sets().is_empty());
    }

    #[test]
    fn what_is_said_is_read() {
        let text = r#"{"plans": {"default": {
            "drill": {"schedule": "0 6 * * 1", "class": "source",
                      "assertions": {"rds/orders": [{"name": "some", "sql": "SELECT 1", "expect": 1}]}},
            "heartbeats": {"rds/orders": "tidemark/heartbeat-orders"}
        }}, "recovery_sets": {"shop": {"resources": ["rds/orders", "redis/sessions"], "assertions": [
            {"name": "a session for each", "differ_by_at_most": 5, "sides": [
                {"resource": "rds/orders", "database": "shop", "sql": "SELECT count(*) FROM users"},
                {"resource": "redis/sessions", "command": ["SCARD", "users"]}]}
        ]}}}"#;
        let document = PlanDocument::parse(text).unwrap();
        let plan = document.get("default").unwrap();
        let drill = plan.drill.as_ref().unwrap();
        assert_eq!((drill.schedule.expression(), drill.class), ("0 6 * * 1", DrillClass::Source));
        assert_eq!(drill.assertions[&ResourceId::rds("orders")].len(), 1);
        assert_eq!(plan.heartbeats[&ResourceId::rds("orders")], "tidemark/heartbeat-orders");
        let set = &document.recovery_sets()[0];
        assert_eq!((set.name.as_str(), set.resources.len()), ("shop", 2));
        assert_eq!(set.assertions[0].differ_by_at_most, 5);
        assert_eq!(
            set.assertions[0].sides[1].question,
            Question::Command(vec!["SCARD".to_owned(), "users".to_owned()])
        );
    }

    #[rstest]
    #[case(r#"{"drill": {"schedule": "monthly"}}"#, "no cron expression")]
    #[case(r#"{"drill": {"schedule": 1}}"#, "is not a string")]
    #[case(r#"{"drill": {"class": "db.t4g.medium"}}"#, "\"smallest\" or \"source\"")]
    #[case(r#"{"drill": {"assertions": {"orders": []}}}"#, "is no rds/<name>")]
    #[case(r#"{"drill": {"assertions": {"rds/orders": {}}}}"#, "must be a list of objects")]
    #[case(r#"{"drill": []}"#, "must be an object")]
    #[case(r#"{"heartbeats": {"rds/orders": ""}}"#, "no name or ARN of a secret")]
    #[case(r#"{"heartbeats": true}"#, "must be an object of resources and secrets")]
    fn mistakes_of_a_plan_are_named(#[case] plan: &str, #[case] says: &str) {
        let error =
            PlanDocument::parse(&format!(r#"{{"plans": {{"default": {plan}}}}}"#)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[rstest]
    #[case(r#"{"resources": ["rds/orders"]}"#, "2 to 10 different resources")]
    #[case(r#"{"resources": ["rds/orders", "rds/orders"]}"#, "2 to 10 different resources")]
    #[case(r#"{"resources": ["rds/orders", "mysql/x"]}"#, "is no rds/<name>")]
    #[case(
        r#"{"resources": ["rds/a", "turso/b"], "assertions": [{"name": "x", "sides": [
            {"resource": "rds/c", "sql": "SELECT 1"}, {"resource": "turso/b", "sql": "SELECT 1"}]}]}"#,
        "rds/c is none of the set's resources"
    )]
    #[case(
        r#"{"resources": ["rds/a", "redis/b"], "assertions": [{"name": "x", "sides": [
            {"resource": "rds/a", "sql": "SELECT 1"}, {"resource": "redis/b", "sql": "SELECT 1"}]}]}"#,
        "for Redis \"command\""
    )]
    #[case(r#"{"resources": ["rds/a", "redis/b"], "assertions": [{"name": "x"}]}"#, "must be a list of two")]
    fn mistakes_of_a_set_are_named(#[case] set: &str, #[case] says: &str) {
        let text = format!(r#"{{"plans": {{"default": {{}}}}, "recovery_sets": {{"shop": {set}}}}}"#);
        let error = PlanDocument::parse(&text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
