//! The questions: which tables there are, what a range of one reads, and what SQLite says of its pages.

use std::collections::BTreeMap;

use reconcile::Result;

use super::{Fault, FaultKind};
use crate::{
    Session, Turso,
    cursor::{Cell, quoted},
    sql::{ask, unexpected},
};

/// The index of a vector column, as libSQL makes it.
const VECTOR_INDEX: &str = "libsql_vector_idx";

/// A table whose rows are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    /// Its columns, but for those that are computed when they are read.
    columns: Vec<String>,
    /// A name of the rowid that no column has taken, where it has one.
    rowid: Option<&'static str>,
}

/// What was read of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) rows: u64,
    pub(super) bytes: u64,
    /// The highest rowid of it.
    pub(super) last: Option<i64>,
}

/// Where a range begins: after a rowid, or, of a table that has none that can be named, after so many rows in the order of its key. The key
/// itself would be somebody's data, and kept in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct After {
    pub(super) rowid: Option<i64>,
    pub(super) rows: u64,
}

/// All tables that hold rows themselves, shadow tables among them, in the order of their names: those that [`crate::check::check`] counts.
/// Columns come with whether they are computed (2 if so), and as the last of a table a line without one, which says whether it has a rowid.
const TABLES: &str = "SELECT CAST(s.name AS BLOB), CAST(x.name AS BLOB), x.hidden FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS x \
     WHERE s.type = 'table' AND s.rootpage > 0 AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' UNION ALL \
     SELECT CAST(s.name AS BLOB), NULL, coalesce((SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = s.name), 0) \
     FROM sqlite_schema AS s WHERE s.type = 'table' AND s.rootpage > 0 AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

pub(super) async fn tables(turso: &impl Turso, at: &Session) -> Result<Result<Vec<Table>, Fault>> {
    let answer = ask(turso, at, &[TABLES.to_owned()]).await?;
    if let Some(failure) = answer.failure {
        return Ok(Err(Fault::of(failure)));
    }
    let mut found: BTreeMap<String, Seen> = BTreeMap::new();
    for row in answer.rows.into_iter().flatten() {
        let [Cell::Text(table), column, Cell::Integer(number)] = row.as_slice() else {
            return Err(unexpected(at));
        };
        let seen = found.entry(text(table)).or_default();
        match column {
            Cell::Text(column) => {
                seen.columns.push(text(column));
                // A generated column that is not stored is computed anew; what it is computed from is read.
                if *number != 2 {
                    seen.stored.push(text(column));
                }
            }
            _ => seen.is_without_rowid = *number == 1,
        }
    }
    let table = |(name, seen): (String, Seen)| {
        let free = |alias: &&str| !seen.columns.iter().any(|column| column.eq_ignore_ascii_case(alias));
        let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(free).filter(|_| !seen.is_without_rowid);
        Table { name, columns: seen.stored, rowid }
    };
    Ok(Ok(found.into_iter().map(table).collect()))
}

/// What the schema says of a table.
#[derive(Default)]
struct Seen {
    columns: Vec<String>,
    stored: Vec<String>,
    is_without_rowid: bool,
}

/// A name that is no UTF-8 is not found again, and said to be missing.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Table {
    /// Reads every column of up to `rows` rows, within the server. What is cast to a blob is read whole, pages of overflow included; `length` of
    /// the column itself would only look at its header.
    pub(super) async fn read(
        &self,
        turso: &impl Turso,
        at: &Session,
        after: After,
        rows: u64,
    ) -> Result<Result<Tally, Fault>> {
        let lengths: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("coalesce(length(CAST({} AS BLOB)), 0)", quoted(column)))
            .collect();
        let bytes = sum(&lengths);
        let (key, place) = match (self.rowid, after.rowid) {
            (Some(rowid), Some(after)) => {
                (rowid, format!("WHERE {rowid} > {after} ORDER BY {rowid} LIMIT {rows}"))
            }
            (Some(rowid), None) => (rowid, format!("ORDER BY {rowid} LIMIT {rows}")),
            (None, _) => ("NULL", format!("LIMIT {rows} OFFSET {}", after.rows)),
        };
        let sql = format!(
            "SELECT count(*), coalesce(sum(bytes), 0), max(key) FROM (SELECT {key} AS key, {bytes} AS bytes FROM {} NOT INDEXED {place})",
            quoted(&self.name)
        );
        let answer = ask(turso, at, &[sql]).await?;
        if let Some(failure) = answer.failure {
            return Ok(Err(Fault::of(failure)));
        }
        let mut all = answer.rows.into_iter().flatten();
        let (Some(row), None) = (all.next(), all.next()) else { return Err(unexpected(at)) };
        let [Cell::Integer(rows), Cell::Integer(bytes), last] = row.as_slice() else {
            return Err(unexpected(at));
        };
        let last = if let Cell::Integer(last) = last { Some(*last) } else { None };
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        Ok(Ok(Tally { rows: number(*rows), bytes: number(*bytes), last }))
    }

    /// How many rows there are by the shortest way, which is an index where there is one.
    pub(super) async fn count(&self, turso: &impl Turso, at: &Session) -> Result<Result<u64, Fault>> {
        let answer = ask(turso, at, &[format!("SELECT count(*) FROM {}", quoted(&self.name))]).await?;
        if let Some(failure) = answer.failure {
            return Ok(Err(Fault::of(failure)));
        }
        match answer.rows.first().map(Vec::as_slice) {
            Some([row]) if let [Cell::Integer(rows)] = row.as_slice() => {
                Ok(Ok(u64::try_from(*rows).unwrap_or(0)))
            }
            _ => Err(unexpected(at)),
        }
    }
}

/// A sum as a tree: SQLite's expressions may be a thousand deep, and a table have two thousand columns.
fn sum(terms: &[String]) -> String {
    match terms {
        [] => "0".to_owned(),
        [term] => term.clone(),
        terms => {
            let (left, right) = terms.split_at(terms.len() / 2);
            format!("({} + {})", sum(left), sum(right))
        }
    }
}

/// How thoroughly SQLite checks pages (SQLite documentation, `PRAGMA integrity_check` and `PRAGMA quick_check`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thoroughness {
    /// With every row looked up in every index.
    Full,
    /// Without.
    Quick,
}

/// What SQLite finds wrong with the pages of the database, or of one table.
pub(super) async fn integrity(
    turso: &impl Turso,
    at: &Session,
    table: Option<&str>,
    thoroughness: Thoroughness,
) -> Result<Result<Vec<Fault>, Fault>> {
    let pragma = match thoroughness {
        Thoroughness::Full => "integrity_check",
        Thoroughness::Quick => "quick_check",
    };
    // No number of complaints: newer versions of SQLite take one for the name of a table.
    let about = table.map_or_else(String::new, |table| format!("('{}')", table.replace('\'', "''")));
    let statements = [
        format!(
            "SELECT CAST(name AS BLOB) FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%{VECTOR_INDEX}%'"
        ),
        format!("SELECT CAST({pragma} AS BLOB) FROM pragma_{pragma}{about}"),
    ];
    let answer = ask(turso, at, &statements).await?;
    let mut rows = answer.rows.into_iter().map(|rows| {
        let first = |row: Vec<Cell>| match row.into_iter().next() {
            Some(Cell::Text(said)) => text(&said),
            _ => String::new(),
        };
        rows.into_iter().map(first).collect::<Vec<String>>()
    });
    let (vectors, said) = (rows.next().unwrap_or_default(), rows.next().unwrap_or_default());
    // As in `check`: libSQL keeps the entries of a vector index elsewhere.
    let is_vector = |said: &str| {
        vectors.iter().any(|name| {
            said.ends_with(&format!(" missing from index {name}"))
                || said == format!("wrong # of entries in index {name}")
        })
    };
    let lines =
        said.iter().flat_map(|said| said.lines()).filter(|line| *line != "ok" && !line.starts_with("***"));
    let complaint = |line: &str| {
        Fault::new(FaultKind::Corrupt, format!("{pragma}: {}", line.chars().take(200).collect::<String>()))
    };
    let complaints: Vec<Fault> = lines.filter(|line| !is_vector(line)).map(complaint).collect();
    // It may give up on what it has just found.
    match answer.failure {
        Some(failure) if complaints.is_empty() => Ok(Err(Fault::of(failure))),
        _ if said.is_empty() => Err(unexpected(at)),
        _ => Ok(Ok(complaints)),
    }
}
