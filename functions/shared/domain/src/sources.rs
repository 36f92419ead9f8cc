//! What a plan says of one engine alone.

use std::fmt;

use serde_json::Value;
use wildmatch::WildMatch;

use crate::plan_document::Reader;

/// Redis and Valkey: beside the caches that carry the plan's tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisSources {
    /// Directories of self-managed servers, archived to S3 by their owner.
    pub append_only: Vec<AppendOnlyArchive>,
    /// How many of the newest `ElastiCache` snapshots stay there once they are in the vault, as a quick way to restore.
    pub keep_snapshots: u32,
}

/// Where the `appendonlydir/` of a self-managed server is archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendOnlyArchive {
    /// The protected resource's name.
    pub name: String,
    /// The bucket.
    pub bucket: String,
    /// What the keys of its files begin with, up to and including the last `/`.
    pub prefix: String,
}

/// Turso: which databases of the organization.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TursoSources {
    /// Those that match one of these.
    pub databases: Vec<DatabasePattern>,
    /// How many of the newest slots have a branch at Turso, as a quick way to restore.
    pub branches: u32,
}

/// `<group>/<database>`, in which `*` stands for any characters of either name.
#[derive(Clone, Debug, PartialEq)]
pub struct DatabasePattern {
    group: WildMatch,
    database: WildMatch,
}

impl DatabasePattern {
    /// Reads a pattern; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (group, database) = text.split_once('/')?;
        let valid = |name: &str| {
            let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-*".contains(c);
            (1..=64).contains(&name.len()) && name.chars().all(allowed)
        };
        let pattern = || Self { group: WildMatch::new(group), database: WildMatch::new(database) };
        (valid(group) && valid(database)).then(pattern)
    }

    /// Whether that database of that group is meant.
    pub fn matches(&self, group: &str, database: &str) -> bool {
        self.group.matches(group) && self.database.matches(database)
    }

    /// Whether that database is meant, if it is in a group that is.
    pub fn may_match(&self, database: &str) -> bool {
        self.database.matches(database)
    }
}

impl fmt::Display for DatabasePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.database)
    }
}

impl Default for RedisSources {
    fn default() -> Self {
        Self { append_only: Vec::new(), keep_snapshots: 1 }
    }
}

impl Reader {
    pub(crate) fn redis(&mut self, path: &str, value: Option<&Value>) -> RedisSources {
        let mut redis = RedisSources::default();
        let Some(value) = value else { return redis };
        let Some(given) = self.object(path, value, &["append_only", "keep_snapshots"]) else { return redis };
        // ElastiCache takes 20 manual snapshots of a node in 24 hours; more of them are no quicker to restore.
        redis.keep_snapshots = self.number(path, given, "keep_snapshots", 0..=20, redis.keep_snapshots);
        let path = format!("{path}.append_only");
        match given.get("append_only") {
            None => {}
            Some(Value::Object(archives)) => {
                let read = archives.iter().filter_map(|(name, at)| self.archive(&path, name, at));
                redis.append_only = read.collect();
            }
            Some(_) => self.problem(
                &path,
                "must be an object of names and places, such as {\"sessions\": \"s3://bucket/sessions/appendonlydir/\"}",
            ),
        }
        redis
    }

    fn archive(&mut self, path: &str, name: &str, value: &Value) -> Option<AppendOnlyArchive> {
        let path = format!("{path}.{name}");
        let is_name = (1..=40).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !name.ends_with('-')
            && !name.contains("--");
        if !is_name {
            self.problem(
                &path,
                "a name is 1 to 40 of a-z, 0-9 and single hyphens, with a letter first and no hyphen last",
            );
        }
        let place = value.as_str().and_then(|at| at.strip_prefix("s3://")?.split_once('/'));
        match place.filter(|(bucket, prefix)| bucket.len() >= 3 && prefix.ends_with('/')) {
            Some((bucket, prefix)) if is_name => Some(AppendOnlyArchive {
                name: name.to_owned(),
                bucket: bucket.to_owned(),
                prefix: prefix.to_owned(),
            }),
            Some(_) => None,
            None => {
                self.problem(
                    &path,
                    format!("{value} is no place, such as \"s3://bucket/sessions/appendonlydir/\""),
                );
                None
            }
        }
    }

    pub(crate) fn turso(&mut self, path: &str, value: Option<&Value>) -> TursoSources {
        let mut turso = TursoSources::default();
        let Some(value) = value else { return turso };
        let Some(given) = self.object(path, value, &["databases", "branches"]) else { return turso };
        turso.branches = self.number(path, given, "branches", 0..=30, turso.branches);
        if let Some(databases) = given.get("databases") {
            turso.databases = self.patterns(&format!("{path}.databases"), databases);
        }
        turso
    }

    pub(crate) fn patterns(&mut self, path: &str, value: &Value) -> Vec<DatabasePattern> {
        let patterns = match value {
            Value::Array(patterns) if !patterns.is_empty() => patterns,
            _ => {
                self.problem(path, "must be a list with at least one pattern, such as [\"production/*\"]");
                return Vec::new();
            }
        };
        let mut read = Vec::new();
        for (at, pattern) in patterns.iter().enumerate() {
            match pattern.as_str().and_then(DatabasePattern::parse) {
                Some(pattern) => read.push(pattern),
                None => self.problem(
                    &format!("{path}[{at}]"),
                    format!(
                        "{pattern} is no <group>/<database> of a-z, 0-9, - and *, such as \"production/*\""
                    ),
                ),
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::PlanDocument;

    #[rstest]
    #[case("production/*", "production", "orders", true)]
    #[case("production/*", "staging", "orders", false)]
    #[case("*/orders-*", "eu", "orders-1", true)]
    #[case("*/orders-*", "eu", "orders", false)]
    fn patterns(#[case] pattern: &str, #[case] group: &str, #[case] database: &str, #[case] matches: bool) {
        let parsed = DatabasePattern::parse(pattern).unwrap();
        assert_eq!(parsed.matches(group, database), matches);
        assert_eq!(parsed.to_string(), pattern);
    }

    #[test]
    fn sources_are_read() {
        let document = r#"{"plans": {"default": {
            "redis": {"append_only": {"sessions": "s3://archive/sessions/appendonlydir/"}, "keep_snapshots": 0},
            "turso": {"databases": ["production/*"], "branches": 2}
        }}}"#;
        let document = PlanDocument::parse(document).unwrap();
        let plan = document.get("default").unwrap();
        assert_eq!(plan.redis.keep_snapshots, 0);
        assert_eq!(plan.redis.append_only[0].bucket, "archive");
        assert_eq!(plan.redis.append_only[0].prefix, "sessions/appendonlydir/");
        assert_eq!((plan.turso.databases.len(), plan.turso.branches), (1, 2));
    }

    #[rstest]
    #[case(r#"{"redis": {"append_only": {"Sessions": "s3://archive/x/"}}}"#, "a name is 1 to 40")]
    #[case(r#"{"redis": {"append_only": {"sessions": "s3://archive/x"}}}"#, "is no place")]
    #[case(r#"{"redis": {"append_only": []}}"#, "must be an object")]
    #[case(r#"{"redis": {"keep_snapshots": 21}}"#, "from 0 to 20")]
    #[case(r#"{"turso": {"databases": []}}"#, "at least one pattern")]
    #[case(r#"{"turso": {"databases": ["orders"]}}"#, "is no <group>/<database>")]
    #[case(r#"{"turso": {"databases": ["prod?/x"]}}"#, "is no <group>/<database>")]
    fn mistakes_are_named(#[case] plan: &str, #[case] says: &str) {
        let error =
            PlanDocument::parse(&format!(r#"{{"plans": {{"default": {plan}}}}}"#)).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
