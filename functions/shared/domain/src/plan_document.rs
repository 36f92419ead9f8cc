//! The one configuration document: which backup plans there are.
//!
//! Read by hand over `serde_json::Value` rather than derived, because a derived reader stops at the first mistake and
//! an engineer who mends a document at night wants to hear of all of them at once.

use std::{collections::BTreeMap, fmt};

use jiff::{SignedDuration, tz::TimeZone};
use serde_json::{Map, Value};

use crate::{
    BackupPlan, DatabasePattern, Engine, Objectives, PlanName, RecoverySet, Retention, Schedule,
    retention::LEAST_AGE, tag,
};

/// Every backup plan of a deployment.
#[derive(Clone, Debug, Default)]
pub struct PlanDocument {
    plans: BTreeMap<PlanName, BackupPlan>,
    unprotected: Vec<DatabasePattern>,
    recovery_sets: Vec<RecoverySet>,
}

/// One mistake in a plan document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `plans.default.keep.daily`.
    pub path: String,
    /// What is wrong with the value there, and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// A plan document with mistakes: all of them.
#[derive(Debug, thiserror::Error)]
#[error("the plan document has {} mistake{}: {}", .problems.len(), if .problems.len() == 1 { "" } else { "s" }, list(.problems))]
pub struct InvalidPlanDocument {
    /// The mistakes, in the document's order.
    pub problems: Vec<Problem>,
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl PlanDocument {
    /// Reads a document; see `docs/plans.md` for its shape.
    pub fn parse(text: &str) -> Result<Self, InvalidPlanDocument> {
        let value: Value = serde_json::from_str(text).map_err(|error| InvalidPlanDocument {
            problems: vec![Problem { path: "$".to_owned(), message: format!("is not JSON: {error}") }],
        })?;
        let mut reader = Reader { problems: Vec::new() };
        let document = reader.document(&value);
        if reader.problems.is_empty() {
            Ok(document)
        } else {
            Err(InvalidPlanDocument { problems: reader.problems })
        }
    }

    /// All plans, by name.
    pub fn iter(&self) -> impl Iterator<Item = &BackupPlan> {
        self.plans.values()
    }

    /// The plan of that name.
    pub fn get(&self, name: &str) -> Option<&BackupPlan> {
        self.plans.get(name)
    }

    /// The Turso databases that nobody means to protect. One that a plan names is protected all the same.
    pub fn unprotected(&self) -> &[DatabasePattern] {
        &self.unprotected
    }

    /// The databases that belong together, by the set's name.
    pub fn recovery_sets(&self) -> &[RecoverySet] {
        &self.recovery_sets
    }

    /// The names there are, for error messages.
    pub fn names(&self) -> impl Iterator<Item = &PlanName> {
        self.plans.keys()
    }
}

fn hours(time: SignedDuration) -> u32 {
    u32::try_from(time.as_hours()).unwrap_or(u32::MAX)
}

/// Reads values, and gathers what is wrong with them.
pub(crate) struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    pub(crate) fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), message: message.into() });
    }

    fn document(&mut self, value: &Value) -> PlanDocument {
        let mut document = PlanDocument::default();
        let Some(root) = self.object("$", value, &["plans", "unprotected", "recovery_sets"]) else {
            return document;
        };
        document.unprotected = self.unprotected("unprotected", root.get("unprotected"));
        document.recovery_sets = self.recovery_sets(root.get("recovery_sets"));
        let Some(plans) = root.get("plans") else {
            self.problem("plans", "is missing; it holds the backup plans by name");
            return document;
        };
        let Some(plans) = plans.as_object().filter(|plans| !plans.is_empty()) else {
            // An empty policy would quietly protect nothing.
            self.problem("plans", "must be an object with at least one plan");
            return document;
        };
        document.plans = plans.iter().filter_map(|(name, value)| self.plan(name, value)).collect();
        document
    }

    fn unprotected(&mut self, path: &str, value: Option<&Value>) -> Vec<DatabasePattern> {
        let Some(given) = value.and_then(|value| self.object(path, value, &["turso"])) else {
            return Vec::new();
        };
        given.get("turso").map_or_else(Vec::new, |value| self.patterns(&format!("{path}.turso"), value))
    }

    fn plan(&mut self, name: &str, value: &Value) -> Option<(PlanName, BackupPlan)> {
        let path = format!("plans.{name}");
        let parsed = PlanName::parse(name);
        if parsed.is_none() {
            self.problem(&path, "a plan's name is 1 to 64 of a-z, 0-9 and -");
        }
        if name == tag::NO_PLAN {
            let says = format!(
                "no plan can have this name: {}={name} says that a database is not to be protected",
                tag::PLAN
            );
            self.problem(&path, says);
        }
        let keys = ["time_zone", "schedule", "keep", "objectives", "redis", "turso", "drill", "heartbeats"];
        let plan = self.object(&path, value, &keys)?;
        let time_zone = self.time_zone(&format!("{path}.time_zone"), plan.get("time_zone"));
        let schedules = self.schedules(&format!("{path}.schedule"), plan.get("schedule"), &time_zone);
        let drill = self.drill(&format!("{path}.drill"), plan.get("drill"), &time_zone);
        let time_zone = TimeZone::get(&time_zone).unwrap_or(TimeZone::UTC);
        let keep = self.retention(&format!("{path}.keep"), plan.get("keep"));
        let objectives = self.objectives(&format!("{path}.objectives"), plan.get("objectives"));
        let redis = self.redis(&format!("{path}.redis"), plan.get("redis"));
        let turso = self.turso(&format!("{path}.turso"), plan.get("turso"));
        let heartbeats = self.heartbeats(&format!("{path}.heartbeats"), plan.get("heartbeats"));
        let name = parsed?;
        let plan = BackupPlan {
            name: name.clone(),
            time_zone,
            schedules,
            keep,
            redis,
            turso,
            objectives,
            drill,
            heartbeats,
        };
        Some((name, plan))
    }

    fn time_zone(&mut self, path: &str, value: Option<&Value>) -> String {
        let utc = "UTC".to_owned();
        let Some(value) = value else { return utc };
        match value.as_str().filter(|name| TimeZone::get(name).is_ok()) {
            Some(name) => name.to_owned(),
            None => {
                self.problem(
                    path,
                    format!("{value} is no IANA time zone, such as \"UTC\" or \"Europe/Berlin\""),
                );
                utc
            }
        }
    }

    fn schedules(
        &mut self,
        path: &str,
        value: Option<&Value>,
        time_zone: &str,
    ) -> BTreeMap<Engine, Schedule> {
        let mut schedules = BTreeMap::new();
        let empty = Map::new();
        let given = match value {
            None => &empty,
            Some(value) => match self.object(path, value, &Engine::PROTECTED.map(Engine::as_str)) {
                Some(given) => given,
                None => return schedules,
            },
        };
        for (engine, default) in DEFAULT_SCHEDULES {
            let path = format!("{path}.{engine}");
            let expression = match given.get(engine.as_str()) {
                None => default,
                Some(Value::String(expression)) => expression,
                Some(other) => {
                    self.problem(&path, format!("{other} is not a string, such as \"0 3 * * *\""));
                    continue;
                }
            };
            match Schedule::parse(expression, time_zone) {
                Ok(schedule) => _ = schedules.insert(engine, schedule),
                Err(error) => self.problem(&path, error.to_string()),
            }
        }
        schedules
    }

    fn retention(&mut self, path: &str, value: Option<&Value>) -> Retention {
        let mut keep = Retention::default();
        let Some(value) = value else { return keep };
        let keys = ["daily", "weekly", "monthly", "annual", "redundancy", "minimum_age_hours"];
        let Some(given) = self.object(path, value, &keys) else { return keep };
        // A floor in code: no configuration may ask for fewer than one daily recovery point.
        keep.daily = self.number(path, given, "daily", 1..=366, keep.daily);
        keep.weekly = self.number(path, given, "weekly", 0..=520, keep.weekly);
        keep.monthly = self.number(path, given, "monthly", 0..=120, keep.monthly);
        keep.annual = self.number(path, given, "annual", 0..=100, keep.annual);
        keep.redundancy = self.number(path, given, "redundancy", 1..=100, keep.redundancy);
        let (least, default) = (hours(LEAST_AGE), hours(keep.minimum_age));
        let minimum_age = self.number(path, given, "minimum_age_hours", least..=8_760, default);
        keep.minimum_age = SignedDuration::from_hours(minimum_age.into());
        keep
    }

    fn objectives(&mut self, path: &str, value: Option<&Value>) -> Objectives {
        let mut objectives = Objectives::default();
        let Some(value) = value else { return objectives };
        // RDS ships logs every 5 minutes (User Guide, USER_PIT): a smaller objective could never be met.
        let allowed = [
            ("rpo_minutes", 5..=1_440, &mut objectives.rpo),
            ("redis_rpo_minutes", 5..=10_080, &mut objectives.redis_rpo),
            ("turso_rpo_minutes", 5..=10_080, &mut objectives.turso_rpo),
            ("rto_minutes", 1..=10_080, &mut objectives.rto),
            ("slot_grace_minutes", 5..=1_440, &mut objectives.slot_grace),
            ("copy_grace_minutes", 15..=4_320, &mut objectives.copy_grace),
            ("replica_rpo_minutes", 15..=1_440, &mut objectives.replica_rpo),
        ];
        let keys = allowed.each_ref().map(|(key, ..)| *key);
        let Some(given) = self.object(path, value, &keys) else { return objectives };
        for (key, range, objective) in allowed {
            let default = u32::try_from(objective.as_mins()).unwrap_or(u32::MAX);
            *objective = SignedDuration::from_mins(self.number(path, given, key, range, default).into());
        }
        objectives
    }

    pub(crate) fn number(
        &mut self,
        path: &str,
        given: &Map<String, Value>,
        key: &str,
        allowed: std::ops::RangeInclusive<u32>,
        default: u32,
    ) -> u32 {
        let Some(value) = given.get(key) else { return default };
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        match number.filter(|number| allowed.contains(number)) {
            Some(number) => number,
            None => {
                let (low, high) = (allowed.start(), allowed.end());
                self.problem(
                    &format!("{path}.{key}"),
                    format!("{value} is not a whole number from {low} to {high}"),
                );
                default
            }
        }
    }

    /// The object at `path`, after complaining about keys that it may not have: a misspelt `montly` would
    /// otherwise silently mean the default.
    pub(crate) fn object<'v>(
        &mut self,
        path: &str,
        value: &'v Value,
        allowed: &[&str],
    ) -> Option<&'v Map<String, Value>> {
        let Some(object) = value.as_object() else {
            self.problem(path, format!("must be an object with {}", allowed.join(", ")));
            return None;
        };
        for key in object.keys().filter(|key| !allowed.contains(&key.as_str())) {
            let at = if path == "$" { key.clone() } else { format!("{path}.{key}") };
            self.problem(&at, format!("is unknown here; allowed: {}", allowed.join(", ")));
        }
        Some(object)
    }
}

/// The policy that Tidemark was founded on: daily at 03:00, Redis every 6 hours, Turso hourly.
const DEFAULT_SCHEDULES: [(Engine, &str); 3] =
    [(Engine::Rds, "0 3 * * *"), (Engine::Redis, "0 */6 * * *"), (Engine::Turso, "0 * * * *")];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn defaults_are_the_founding_policy() {
        let document = PlanDocument::parse(r#"{"plans": {"default": {}}}"#).unwrap();
        let plan = document.get("default").unwrap();
        let Retention { daily, weekly, monthly, annual, redundancy, minimum_age } = plan.keep;
        assert_eq!((daily, weekly, monthly, annual), (7, 4, 12, 7));
        assert_eq!((redundancy, minimum_age.as_hours()), (3, 48));
        assert_eq!(plan.objectives.rpo, SignedDuration::from_mins(15));
        assert_eq!(plan.objectives.rto, SignedDuration::from_hours(1));
        assert_eq!(plan.schedules[&Engine::Rds].expression(), "0 3 * * *");
        assert_eq!(plan.schedules[&Engine::Redis].expression(), "0 */6 * * *");
    }

    #[test]
    fn names_all_five_mistakes() {
        let text = r#"{"plans": {"prod": {
            "time_zone": "Mars/Olympus",
            "schedule": {"rds": "0 25 * * *"},
            "keep": {"daily": 0, "montly": 12},
            "objectives": {"rpo_minutes": "fifteen"}
        }}}"#;
        let error = PlanDocument::parse(text).unwrap_err();
        insta::assert_snapshot!(
            error.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        );
        assert_eq!(error.problems.len(), 5);
    }

    #[test]
    fn what_nobody_means_to_protect_is_named() {
        let text = r#"{"plans": {"default": {}}, "unprotected": {"turso": ["scratch/*"]}}"#;
        let document = PlanDocument::parse(text).unwrap();
        assert!(document.unprotected()[0].matches("scratch", "anything"));
        for (text, says) in [
            (r#"{"plans": {"default": {}}, "unprotected": {"rds": []}}"#, "unprotected.rds: is unknown here"),
            (r#"{"plans": {"default": {}}, "unprotected": {"turso": []}}"#, "at least one pattern"),
            (r#"{"plans": {"none": {}}}"#, "no plan can have this name"),
        ] {
            let error = PlanDocument::parse(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn an_empty_policy_is_an_error() {
        for text in ["", "[]", "{}", r#"{"plans": {}}"#, r#"{"plans": {"Default!": {}}}"#, "null"] {
            assert!(PlanDocument::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,200}") {
            _ = PlanDocument::parse(&text);
        }
    }
}
