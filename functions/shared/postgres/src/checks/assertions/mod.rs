//! The plan's own assertions: a statement, what it must answer, and within which time.

mod decimal;
mod parse;

use std::fmt;

pub use decimal::Decimal;
use jiff::SignedDuration;
pub use parse::{Problem, parse};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Fault, FaultKind, Session, fault::shortened};

/// How much of a value the evidence shows, in characters.
const SHOWN: usize = 200;

/// What must hold in a restored database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// What it is called, in the plan and in the evidence.
    pub name: String,
    /// The database that it is about.
    pub database: String,
    /// One statement with a result.
    pub sql: String,
    /// What it must answer.
    pub expect: Expect,
    /// How long that may take.
    pub within: SignedDuration,
}

/// What a statement must answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// One row with one column, whose value is this one.
    Equals(Scalar),
    /// One row with one column, whose number is within these, the ends included. At least one of them is there.
    Between {
        /// The smallest number that will do.
        at_least: Option<Decimal>,
        /// The largest number that will do.
        at_most: Option<Decimal>,
    },
    /// So many rows, whatever is in them.
    Rows(u64),
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// `NULL`.
    Null,
    /// A `boolean`.
    Bool(bool),
    /// A number of any type, whose value is compared: `1.50` is 1.5.
    Number(Decimal),
    /// The text of a value of any other type, as `PostgreSQL` writes it with its default settings; or a number, if it is one. So a
    /// number that JSON cannot hold may be written as text.
    Text(String),
}

/// What a statement answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How many columns there are.
    pub columns: usize,
    /// How many rows came.
    pub rows: u64,
    /// The first column of the first row; `None` if there is none.
    pub first: Option<Cell>,
}

/// A value, and what its column is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// By the type of the column.
    pub kind: CellKind,
    /// As `PostgreSQL` writes it; `None` is `NULL`.
    pub text: Option<String>,
}

/// How a column's values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// `boolean`, written `t` and `f`.
    Bool,
    /// `smallint`, `integer`, `bigint`, `oid`, `numeric`, `real`, `double precision`.
    Number,
    /// Any other type.
    Text,
}

/// Whether an assertion holds: evidence, with at most one value of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it is called.
    pub name: String,
    /// The database that it is about.
    pub database: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was to be answered.
    pub expected: String,
    /// What was answered, at most 200 characters of it.
    pub found: String,
    /// Why there is no answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fault: Option<Fault>,
}

/// Asks `session`, which must be of [`Assertion::database`], and judges. A fault is one of the connection, with which nothing is
/// said about the assertion; one that the server refuses, or that is not over in time, does not hold.
pub async fn check_assertion<S: Session>(session: &S, assertion: &Assertion) -> Result<Verdict, Fault> {
    let within = assertion.within.unsigned_abs();
    let (holds, found, fault) = match session.answer(&assertion.sql, within).await {
        Ok(answer) => {
            let (holds, found) = judge(&assertion.expect, &answer);
            (holds, found, None)
        }
        Err(fault) if fault.kind == FaultKind::Unavailable => return Err(fault),
        Err(fault) if fault.kind == FaultKind::TimeLimit => {
            (false, format!("no answer within {} s", within.as_secs()), Some(fault))
        }
        Err(fault) => (false, "no answer".to_owned(), Some(fault)),
    };
    Ok(Verdict {
        name: assertion.name.clone(),
        database: assertion.database.clone(),
        holds,
        expected: assertion.expect.to_string(),
        found,
        fault,
    })
}

/// Whether an answer is what was expected, and what was found, at most 200 characters of it.
pub fn judge(expect: &Expect, answer: &Answer) -> (bool, String) {
    if let Expect::Rows(rows) = expect {
        return (answer.rows == *rows, rows_of(answer.rows));
    }
    let cell = match (&answer.first, answer.rows, answer.columns) {
        (Some(cell), 1, 1) => cell,
        (_, rows, columns) => {
            let column = if columns == 1 { "column" } else { "columns" };
            return (false, format!("{} with {columns} {column}, and not one value", rows_of(rows)));
        }
    };
    let holds = match (expect, &cell.text) {
        (Expect::Equals(Scalar::Null), text) => text.is_none(),
        (_, None) | (Expect::Rows(_), _) => false,
        (Expect::Equals(scalar), Some(text)) => equals(scalar, cell.kind, text),
        (Expect::Between { at_least, at_most }, Some(text)) => {
            cell.kind == CellKind::Number
                && Decimal::parse(text).is_some_and(|number| {
                    at_least.as_ref().is_none_or(|least| number >= *least)
                        && at_most.as_ref().is_none_or(|most| number <= *most)
                })
        }
    };
    (holds, told(cell))
}

fn equals(scalar: &Scalar, kind: CellKind, text: &str) -> bool {
    match (scalar, kind) {
        (Scalar::Bool(value), CellKind::Bool) => text == if *value { "t" } else { "f" },
        (Scalar::Number(value), CellKind::Number) => {
            Decimal::parse(text).is_some_and(|found| found == *value)
        }
        (Scalar::Text(value), CellKind::Number) => match (Decimal::parse(value), Decimal::parse(text)) {
            (Some(value), Some(found)) => value == found,
            // NaN and the infinities.
            _ => value == text,
        },
        (Scalar::Text(value), CellKind::Text) => value == text,
        _ => false,
    }
}

/// A value as the plan would have it, so that types can be told apart: `42` is a number, `"42"` a text.
fn told(cell: &Cell) -> String {
    match (&cell.text, cell.kind) {
        (None, _) => "null".to_owned(),
        (Some(text), CellKind::Bool) => (if text == "t" { "true" } else { "false" }).to_owned(),
        (Some(text), CellKind::Number) => shortened(text, SHOWN),
        (Some(text), CellKind::Text) => Value::from(shortened(text, SHOWN)).to_string(),
    }
}

fn rows_of(rows: u64) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equals(scalar) => scalar.fmt(f),
            Self::Between { at_least: Some(least), at_most: Some(most) } => {
                write!(f, "at least {least}, at most {most}")
            }
            Self::Between { at_least: Some(least), at_most: None } => write!(f, "at least {least}"),
            Self::Between { at_least: None, at_most: Some(most) } => write!(f, "at most {most}"),
            Self::Between { at_least: None, at_most: None } => f.write_str("any number"),
            Self::Rows(rows) => f.write_str(&rows_of(*rows)),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => Value::from(shortened(value, SHOWN)).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn expect(value: &Value) -> Expect {
        let document = json!([{"name": "a", "database": "d", "sql": "SELECT 1", "expect": value}]);
        parse("assertions", &document).unwrap().remove(0).expect
    }

    fn one(kind: CellKind, text: Option<&str>) -> Answer {
        Answer { columns: 1, rows: 1, first: Some(Cell { kind, text: text.map(str::to_owned) }) }
    }

    #[rstest]
    #[case(json!(42), CellKind::Number, Some("42.0"), true)]
    #[case(json!(42), CellKind::Number, Some("43"), false)]
    // A number is not its text: whoever expects one has another type in mind.
    #[case(json!(42), CellKind::Text, Some("42"), false)]
    #[case(json!("42"), CellKind::Text, Some("42"), true)]
    #[case(json!("12345678901234567890.10"), CellKind::Number, Some("12345678901234567890.1"), true)]
    #[case(json!("NaN"), CellKind::Number, Some("NaN"), true)]
    #[case(json!(0), CellKind::Number, Some("NaN"), false)]
    #[case(json!(true), CellKind::Bool, Some("t"), true)]
    #[case(json!(true), CellKind::Bool, Some("f"), false)]
    #[case(json!(true), CellKind::Text, Some("t"), false)]
    #[case(json!("t"), CellKind::Bool, Some("t"), false)]
    #[case(json!(null), CellKind::Text, None, true)]
    #[case(json!(null), CellKind::Text, Some(""), false)]
    #[case(json!(""), CellKind::Text, None, false)]
    #[case(json!({"at_least": 10}), CellKind::Number, Some("10"), true)]
    #[case(json!({"at_least": 10}), CellKind::Number, Some("9.99"), false)]
    #[case(json!({"at_least": 10, "at_most": 20}), CellKind::Number, Some("20.01"), false)]
    #[case(json!({"at_most": 20}), CellKind::Number, Some("NaN"), false)]
    #[case(json!({"at_most": 20}), CellKind::Number, None, false)]
    #[case(json!({"at_most": 20}), CellKind::Text, Some("3"), false)]
    fn values_are_compared_by_type(
        #[case] expected: Value,
        #[case] kind: CellKind,
        #[case] text: Option<&str>,
        #[case] holds: bool,
    ) {
        assert_eq!(judge(&expect(&expected), &one(kind, text)).0, holds);
    }

    #[test]
    fn one_value_is_one_row_with_one_column() {
        let many = Answer { rows: 3, ..one(CellKind::Number, Some("1")) };
        assert_eq!(
            judge(&expect(&json!(1)), &many),
            (false, "3 rows with 1 column, and not one value".to_owned())
        );
        assert_eq!(judge(&expect(&json!({"rows": 3})), &many), (true, "3 rows".to_owned()));
        let none = Answer { columns: 2, rows: 0, first: None };
        assert_eq!(judge(&expect(&json!(null)), &none).1, "0 rows with 2 columns, and not one value");
        assert!(judge(&expect(&json!({"rows": 0})), &none).0);
    }

    #[test]
    fn evidence_is_short() {
        let text = "x".repeat(10_000);
        let (holds, found) = judge(&expect(&json!("y")), &one(CellKind::Text, Some(&text)));
        assert!(!holds && found.chars().count() < SHOWN + 5, "{found}");
        assert!(expect(&json!(text)).to_string().chars().count() < SHOWN + 5);
    }
}
