//! Assertions out of JSON. Read by hand, so that all mistakes are told at once, as those of a plan are.

use std::{collections::BTreeSet, fmt};

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::{Assertion, Decimal, Expect, Scalar};

/// How long a statement may take if the plan does not say, in seconds.
const WITHIN_SECONDS: u64 = 60;
/// What a plan may say: an invocation lasts 15 minutes, and has other things to do.
const WITHIN_SECONDS_ALLOWED: std::ops::RangeInclusive<u64> = 1..=600;
/// How long a name may be, in characters; that of a database has 63 bytes at most (`PostgreSQL` documentation, "Identifiers and
/// Key Words").
const NAME: usize = 64;
const DATABASE_BYTES: usize = 63;
/// What an object may say of the answer.
const EXPECTATIONS: &str = "equals; at_least, at_most or both; rows";

/// One mistake in the assertions of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `plans.default.drill.assertions[2].expect`.
    pub path: String,
    /// What is wrong with the value there, and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Reads a list of assertions, which stands at `path` of a document:
///
/// ```json
/// [{"name": "orders are there", "database": "shop", "sql": "SELECT count(*) FROM orders",
///   "expect": {"at_least": 1000}, "within_seconds": 120}]
/// ```
///
/// `expect` is a value (a number, a text, `true`, `false`, `null`), `{"equals": value}`, `{"at_least": number}`,
/// `{"at_most": number}`, both of these, or `{"rows": count}`. Numbers beyond what JSON readers keep exactly (2⁶⁴, or 15 digits with a
/// point) are written as text. `within_seconds` is a whole number from 1 to 600, by default 60.
///
/// The error has all mistakes, in the document's order.
pub fn parse(path: &str, value: &Value) -> Result<Vec<Assertion>, Vec<Problem>> {
    let mut reader = Reader { problems: Vec::new(), names: BTreeSet::new() };
    let Some(list) = value.as_array() else {
        reader.problem(path, format!("{} is not a list of assertions", kind(value)));
        return Err(reader.problems);
    };
    let assertions: Vec<_> = list
        .iter()
        .enumerate()
        .filter_map(|(index, value)| reader.assertion(&format!("{path}[{index}]"), value))
        .collect();
    if reader.problems.is_empty() { Ok(assertions) } else { Err(reader.problems) }
}

struct Reader {
    problems: Vec<Problem>,
    names: BTreeSet<String>,
}

impl Reader {
    fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), message: message.into() });
    }

    fn assertion(&mut self, path: &str, value: &Value) -> Option<Assertion> {
        let given = self.object(path, value, &["name", "database", "sql", "expect", "within_seconds"])?;
        let name = self.text(path, given, "name", "1 to 64 characters", |name| {
            (1..=NAME).contains(&name.chars().count())
        });
        if let Some(name) = &name
            && !self.names.insert(name.clone())
        {
            self.problem(
                &format!("{path}.name"),
                format!("{name:?} is the name of an earlier assertion too"),
            );
        }
        let database = self.text(path, given, "database", "the name of a database, 1 to 63 bytes", |name| {
            (1..=DATABASE_BYTES).contains(&name.len()) && !name.contains('\0')
        });
        let sql = self.text(path, given, "sql", "one statement with a result", |sql| {
            !sql.trim().is_empty() && !sql.contains('\0')
        });
        let expect = match given.get("expect") {
            Some(expect) => self.expect(&format!("{path}.expect"), expect),
            None => {
                self.problem(&format!("{path}.expect"), format!("is missing; a value, or {EXPECTATIONS}"));
                None
            }
        };
        let within = self.within(path, given.get("within_seconds"));
        Some(Assertion { name: name?, database: database?, sql: sql?, expect: expect?, within: within? })
    }

    fn expect(&mut self, path: &str, value: &Value) -> Option<Expect> {
        if !value.is_object() {
            return self.scalar(path, value).map(Expect::Equals);
        }
        let given = self.object(path, value, &["equals", "at_least", "at_most", "rows"])?;
        let keys: Vec<_> = given.keys().map(String::as_str).collect();
        match *keys.as_slice() {
            ["equals"] => self.scalar(&format!("{path}.equals"), &given["equals"]).map(Expect::Equals),
            ["rows"] => {
                let rows = given["rows"].as_u64();
                if rows.is_none() {
                    let said = format!("{} is not a whole number from 0 on", shown(&given["rows"]));
                    self.problem(&format!("{path}.rows"), said);
                }
                rows.map(Expect::Rows)
            }
            ["at_least" | "at_most"] | ["at_least", "at_most"] | ["at_most", "at_least"] => {
                self.between(path, given)
            }
            // What is unknown was told already.
            _ if given
                .keys()
                .all(|key| !["equals", "at_least", "at_most", "rows"].contains(&key.as_str()))
                && !given.is_empty() =>
            {
                None
            }
            _ => {
                self.problem(path, format!("must have one of: {EXPECTATIONS}"));
                None
            }
        }
    }

    fn between(&mut self, path: &str, given: &Map<String, Value>) -> Option<Expect> {
        let mut number = |key: &str| match given.get(key).map(|value| (value, decimal(value))) {
            None => Some(None),
            Some((_, Some(number))) => Some(Some(number)),
            Some((value, None)) => {
                self.problem(
                    &format!("{path}.{key}"),
                    format!("{} is not a number, such as 1000", shown(value)),
                );
                None
            }
        };
        let (at_least, at_most) = (number("at_least"), number("at_most"));
        let (at_least, at_most) = (at_least?, at_most?);
        if let (Some(least), Some(most)) = (&at_least, &at_most)
            && least > most
        {
            self.problem(path, format!("at_least {least} is more than at_most {most}: no number is both"));
            return None;
        }
        Some(Expect::Between { at_least, at_most })
    }

    fn scalar(&mut self, path: &str, value: &Value) -> Option<Scalar> {
        match value {
            Value::Null => Some(Scalar::Null),
            Value::Bool(value) => Some(Scalar::Bool(*value)),
            Value::String(text) => Some(Scalar::Text(text.clone())),
            Value::Number(_) => decimal(value).map(Scalar::Number),
            Value::Array(_) | Value::Object(_) => {
                let said = format!("{} is not a value: a number, a text, true, false or null", kind(value));
                self.problem(path, said);
                None
            }
        }
    }

    fn within(&mut self, path: &str, value: Option<&Value>) -> Option<SignedDuration> {
        let seconds = match value {
            None => Some(WITHIN_SECONDS),
            Some(value) => value.as_u64().filter(|seconds| WITHIN_SECONDS_ALLOWED.contains(seconds)),
        };
        if let (None, Some(value)) = (seconds, value) {
            let (low, high) = (WITHIN_SECONDS_ALLOWED.start(), WITHIN_SECONDS_ALLOWED.end());
            let said = format!("{} is not a whole number from {low} to {high}", shown(value));
            self.problem(&format!("{path}.within_seconds"), said);
        }
        seconds.and_then(|seconds| i64::try_from(seconds).ok()).map(SignedDuration::from_secs)
    }

    fn text(
        &mut self,
        path: &str,
        given: &Map<String, Value>,
        key: &str,
        allowed: &str,
        is_allowed: impl Fn(&str) -> bool,
    ) -> Option<String> {
        let found = given.get(key);
        let text = found.and_then(Value::as_str).filter(|text| is_allowed(text));
        if text.is_none() {
            let said = match found {
                None => format!("is missing; it is {allowed}"),
                Some(value) => format!("{} is not {allowed}", shown(value)),
            };
            self.problem(&format!("{path}.{key}"), said);
        }
        text.map(str::to_owned)
    }

    /// The object at `path`, after complaining about keys that it may not have.
    fn object<'v>(
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
            self.problem(
                &format!("{path}.{key}"),
                format!("is unknown here; allowed: {}", allowed.join(", ")),
            );
        }
        Some(object)
    }
}

/// A number, or a text that is one.
fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => Decimal::parse(&number.to_string()),
        Value::String(text) => Decimal::parse(text),
        _ => None,
    }
}

/// The value, so far as it fits into a message.
fn shown(value: &Value) -> String {
    super::shortened(&value.to_string(), 80)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
        _ => "a single value",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn told(value: &Value) -> Vec<String> {
        parse("drill.assertions", value).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_assertion_is_read() {
        let value = json!([
            {"name": "orders", "database": "shop", "sql": "SELECT count(*) FROM orders",
             "expect": {"at_least": 1000, "at_most": "1e9"}, "within_seconds": 120},
            {"name": "plans", "database": "shop", "sql": "SELECT true", "expect": true},
        ]);
        let read = parse("drill.assertions", &value).unwrap();
        assert_eq!(read[0].within, SignedDuration::from_secs(120));
        assert_eq!(read[0].expect.to_string(), "at least 1000, at most 1e9");
        assert_eq!(
            (read[1].within, read[1].expect.to_string()),
            (SignedDuration::from_secs(60), "true".to_owned())
        );
        assert_eq!(parse("drill.assertions", &json!([])).unwrap(), []);
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let value = json!([
            {"name": "", "database": "shop", "sql": " ", "expect": {"atleast": 3}},
            {"name": "a", "database": 7, "sql": "SELECT 1", "expect": {"at_least": 9, "at_most": 3}, "within_seconds": 900},
            {"name": "a", "database": "shop", "sql": "SELECT 1"},
            {"name": "b", "database": "shop", "sql": "SELECT 1", "expect": {"rows": -1}, "within": 3},
            {"name": "c", "database": "shop", "sql": "SELECT 1", "expect": {"equals": [1]}},
            {"name": "d", "database": "shop", "sql": "SELECT 1", "expect": {"equals": 1, "rows": 1}},
            {"name": "e", "database": "shop", "sql": "SELECT 1", "expect": {"at_most": "many"}},
            {"name": "f", "database": "shop", "sql": "SELECT 1", "expect": {}},
            "SELECT 1",
        ]);
        assert_eq!(
            told(&value),
            [
                "drill.assertions[0].name: \"\" is not 1 to 64 characters",
                "drill.assertions[0].sql: \" \" is not one statement with a result",
                "drill.assertions[0].expect.atleast: is unknown here; allowed: equals, at_least, at_most, rows",
                "drill.assertions[1].database: 7 is not the name of a database, 1 to 63 bytes",
                "drill.assertions[1].expect: at_least 9 is more than at_most 3: no number is both",
                "drill.assertions[1].within_seconds: 900 is not a whole number from 1 to 600",
                "drill.assertions[2].name: \"a\" is the name of an earlier assertion too",
                "drill.assertions[2].expect: is missing; a value, or equals; at_least, at_most or both; rows",
                "drill.assertions[3].within: is unknown here; allowed: name, database, sql, expect, within_seconds",
                "drill.assertions[3].expect.rows: -1 is not a whole number from 0 on",
                "drill.assertions[4].expect.equals: a list is not a value: a number, a text, true, false or null",
                "drill.assertions[5].expect: must have one of: equals; at_least, at_most or both; rows",
                "drill.assertions[6].expect.at_most: \"many\" is not a number, such as 1000",
                "drill.assertions[7].expect: must have one of: equals; at_least, at_most or both; rows",
                "drill.assertions[8]: must be an object with name, database, sql, expect, within_seconds",
            ]
        );
        assert_eq!(told(&json!({})), ["drill.assertions: an object is not a list of assertions"]);
    }

    proptest! {
        #[test]
        fn never_panics(name in ".{0,80}", sql in ".{0,20}", key in "[a-z_]{0,10}", number in any::<f64>()) {
            _ = parse("a", &json!([{"name": name, "sql": sql, "database": "d", "expect": {key: number}, "within_seconds": number}]));
        }
    }
}
