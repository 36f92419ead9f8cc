//! How a value comes whole through JSON.

use data_encoding::{BASE64_NOPAD, HEXUPPER};
use rusqlite::{
    ToSql,
    types::{ToSqlOutput, ValueRef},
};
use serde::Deserialize;

/// What SQLite holds in one place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    /// As bytes: SQLite takes any for text.
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

/// The expression that asks for a column so that [`Wire::cell`] gets back what is in it: text as a blob, a blob as `x` and
/// hex, an infinity as its sign; an integer as the text that hrana makes of it, and a real as its shortest exact form.
pub(crate) fn lossless(column: &str) -> String {
    format!(
        "CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) WHEN 'blob' THEN 'x' || hex({column}) \
         WHEN 'real' THEN CASE {column} WHEN 9e999 THEN '+' WHEN -9e999 THEN '-' ELSE {column} END ELSE {column} END"
    )
}

/// A value as hrana writes it.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Wire {
    Null,
    Integer { value: String },
    Float { value: f64 },
    Text { value: String },
    Blob { base64: String },
}

impl Wire {
    /// What the source holds; `None` for what no [`lossless`] expression gives.
    pub(super) fn cell(self) -> Option<Cell> {
        Some(match self {
            Self::Null => Cell::Null,
            Self::Integer { value } => Cell::Integer(value.parse().ok()?),
            Self::Float { value } => Cell::Real(value),
            Self::Blob { base64 } => {
                Cell::Text(BASE64_NOPAD.decode(base64.trim_end_matches('=').as_bytes()).ok()?)
            }
            Self::Text { value } => match value.split_at_checked(1)? {
                ("+", "") => Cell::Real(f64::INFINITY),
                ("-", "") => Cell::Real(f64::NEG_INFINITY),
                ("x", hex) => Cell::Blob(HEXUPPER.decode(hex.as_bytes()).ok()?),
                _ => return None,
            },
        })
    }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(integer) => ValueRef::Integer(*integer),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(blob) => ValueRef::Blob(blob),
        }))
    }
}
