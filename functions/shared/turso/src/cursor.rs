//! A copy of a database row by row, where its pages are not to be had: all statements in one batch between BEGIN and COMMIT,
//! so that all rows are of one instant, and a new SQLite file made of what comes.
//!
//! The answer is complete only if every step has its end and the last line is whole: the server streams, and whatever goes
//! wrong after the first line can no longer be told by the status. Values come as JSON, which has no infinity and no text
//! that is not UTF-8; so text is asked for as a blob, a blob as text, and an infinity as its sign ([`value`]).
//!
//! Virtual tables (FTS5) are carried over as `.dump` does it: their shadow tables like any other, and their own line put
//! into `sqlite_schema`.

mod rebuild;
mod reply;
mod value;

use std::{iter, path::Path};

use futures::StreamExt;
use reconcile::{Error, Result};
use serde_json::{Value, json};

use self::rebuild::Rebuild;
pub(crate) use self::{
    reply::{Event, Failure, Reply},
    value::{Cell, lossless},
};
use crate::{Session, Turso};

/// How often the schema may change between looking at it and reading the rows.
const TRIES: usize = 3;

/// The schema as it is at the source.
const SCHEMA: &str = "SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), \
                      CASE WHEN rootpage > 0 THEN 1 ELSE 0 END, CAST(sql AS BLOB) FROM sqlite_schema ORDER BY rowid";

/// The columns of all tables that hold rows themselves, those that are computed marked.
const COLUMNS: &str = "SELECT CAST(s.name AS BLOB), CAST(x.name AS BLOB), x.hidden FROM sqlite_schema AS s, \
                       pragma_table_xinfo(s.name) AS x WHERE s.type = 'table' AND s.rootpage > 0 ORDER BY s.rowid, x.cid";

/// The tables that have no rowid.
const WITHOUT_ROWID: &str = "SELECT CAST(name AS BLOB) FROM pragma_table_list WHERE schema = 'main' AND wr";

/// What stands in the header.
const SETTINGS: &str = "SELECT user_version, application_id, CAST(encoding AS BLOB), page_count * page_size FROM \
                        pragma_user_version, pragma_application_id, pragma_encoding, pragma_page_count, pragma_page_size";

/// One line of `sqlite_schema`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Object {
    kind: String,
    name: String,
    table: String,
    /// Whether it has pages of its own: a virtual table and a view have none.
    has_pages: bool,
    sql: Option<String>,
}

/// A table whose rows are read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Table {
    name: String,
    /// Its columns but for the computed ones; first the rowid by a name of it that no column has taken, where it has one.
    columns: Vec<String>,
}

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    user_version: i64,
    application_id: i64,
    bytes: u64,
}

/// The schema, and what to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    objects: Vec<Object>,
    tables: Vec<Table>,
    header: Header,
}

/// Copies a database into a new file at `path`, which may become `room` bytes large. Its size then.
pub async fn copy(turso: &impl Turso, at: &Session, path: &Path, room: u64) -> Result<u64> {
    for _ in 0..TRIES {
        let source = look(turso, at).await?;
        source.header.fits(room)?;
        let mut rebuild = Rebuild::begin(path, &source, room)?;
        if rows(turso, at, &source, &mut rebuild).await? {
            return rebuild.finish(&source);
        }
    }
    let said = format!("the schema of {} changes each time it is copied", at.hostname);
    Err(Error::retryable("SchemaChanging", said))
}

/// A batch of statements in one transaction, each only if the one before it went well.
fn batch(statements: &[String]) -> Value {
    transaction(statements.iter().map(|sql| json!({"sql": sql, "want_rows": true})))
}

/// The same of statements as hrana has them.
pub(crate) fn transaction(statements: impl Iterator<Item = Value>) -> Value {
    let [begin, commit] = ["BEGIN", "COMMIT"].map(|sql| json!({"sql": sql}));
    let steps: Vec<Value> = iter::once(begin)
        .chain(statements)
        .chain([commit])
        .enumerate()
        .map(|(number, stmt)| match number.checked_sub(1) {
            None => json!({"stmt": stmt}),
            Some(before) => json!({"stmt": stmt, "condition": {"type": "ok", "step": before}}),
        })
        .collect();
    json!({"baton": null, "batch": {"steps": steps}})
}

/// Has the statements carried out, and hands over each row with the number of its statement. Stops early, and says so, when
/// `each` answers `false`.
async fn ask(
    turso: &impl Turso,
    at: &Session,
    statements: &[String],
    mut each: impl FnMut(usize, &[Cell]) -> Result<bool>,
) -> Result<bool> {
    let mut body = turso.cursor(at, &batch(statements)).await?;
    let mut reply = Reply::new(&at.hostname, statements.len() + 2);
    while let Some(piece) = body.next().await {
        reply.add(&piece?);
        while let Some(event) = reply.next_event()? {
            let Event::Row { step, cells } = event else { continue };
            // BEGIN is step 0 and has no rows.
            if !each(step.saturating_sub(1), &cells)? {
                return Ok(false);
            }
        }
    }
    reply.finish()?;
    Ok(true)
}

async fn look(turso: &impl Turso, at: &Session) -> Result<Source> {
    let statements = [SCHEMA, COLUMNS, WITHOUT_ROWID, SETTINGS].map(str::to_owned);
    let (mut objects, mut columns, mut without, mut header) = (Vec::new(), Vec::new(), Vec::new(), None);
    ask(turso, at, &statements, |number, cells| {
        match number {
            0 => objects.push(Object::of(at, cells)?),
            1 => columns.push((text(at, cells, 0)?, text(at, cells, 1)?, integer(at, cells, 2)?)),
            2 => without.push(text(at, cells, 0)?),
            _ => header = Some(Header::of(at, cells)?),
        }
        Ok(true)
    })
    .await?;
    let header = header.ok_or_else(|| unexpected(at, "it says nothing of its header"))?;
    let tables = objects.iter().filter(|object| object.kind == "table" && object.has_pages);
    // What ANALYZE made of an index is made anew by ANALYZE, and in other versions of SQLite is something else.
    let tables =
        tables.filter(|table| !table.name.starts_with("sqlite_stat") || table.name == "sqlite_stat1");
    let mut tables: Vec<Table> =
        tables.map(|table| Table::of(&table.name, &columns, without.contains(&table.name))).collect();
    // It is written by the rows of others, and must have the last word.
    tables.sort_by_key(|table| table.name == "sqlite_sequence");
    Ok(Source { objects, tables, header })
}

/// Reads all rows into `rebuild`. `false` if the schema is not any more what it was.
async fn rows(turso: &impl Turso, at: &Session, source: &Source, rebuild: &mut Rebuild) -> Result<bool> {
    let first = [SCHEMA, SETTINGS].map(str::to_owned);
    let statements: Vec<String> = first.into_iter().chain(source.tables.iter().map(Table::select)).collect();
    let mut objects = source.objects.iter();
    let whole = ask(turso, at, &statements, |number, cells| match number {
        0 => Ok(objects.next() == Some(&Object::of(at, cells)?)),
        1 => {
            let now = Header::of(at, cells)?;
            Ok((now.user_version, now.application_id)
                == (source.header.user_version, source.header.application_id))
        }
        _ => {
            let table =
                source.tables.get(number - 2).ok_or_else(|| unexpected(at, "rows of no table come"))?;
            if cells.len() != table.columns.len() {
                return Err(unexpected(at, &format!("a row of {} has {} values", table.name, cells.len())));
            }
            rebuild.insert(number - 2, table, cells)?;
            Ok(true)
        }
    })
    .await?;
    Ok(whole && objects.next().is_none())
}

fn unexpected(at: &Session, what: &str) -> Error {
    let said = format!("cannot read the rows of {}: {what}", at.hostname);
    Error::retryable("CursorUnexpected", said)
}

fn text(at: &Session, cells: &[Cell], number: usize) -> Result<String> {
    match cells.get(number) {
        Some(Cell::Text(text)) => String::from_utf8(text.clone()).map_err(|_| {
            Error::permanent("NameNotUtf8", format!("{} has a name that is not UTF-8", at.hostname))
        }),
        _ => Err(unexpected(at, "a name is no text")),
    }
}

fn integer(at: &Session, cells: &[Cell], number: usize) -> Result<i64> {
    match cells.get(number) {
        Some(Cell::Integer(integer)) => Ok(*integer),
        _ => Err(unexpected(at, "a number is none")),
    }
}

impl Object {
    fn of(at: &Session, cells: &[Cell]) -> Result<Self> {
        let sql = match cells.get(4) {
            Some(Cell::Null) => None,
            _ => Some(text(at, cells, 4)?),
        };
        let [kind, name, table] = [0, 1, 2].map(|number| text(at, cells, number));
        Ok(Self { kind: kind?, name: name?, table: table?, has_pages: integer(at, cells, 3)? == 1, sql })
    }
}

impl Header {
    fn of(at: &Session, cells: &[Cell]) -> Result<Self> {
        let encoding = text(at, cells, 2)?;
        if encoding != "UTF-8" {
            let said = format!("{} keeps its text as {encoding}, and only UTF-8 is copied", at.hostname);
            return Err(Error::permanent("EncodingNotSupported", said));
        }
        Ok(Self {
            user_version: integer(at, cells, 0)?,
            application_id: integer(at, cells, 1)?,
            bytes: u64::try_from(integer(at, cells, 3)?).unwrap_or(0),
        })
    }

    fn fits(&self, room: u64) -> Result<()> {
        if self.bytes > room { Err(crate::page_file::too_large(self.bytes, room)) } else { Ok(()) }
    }
}

impl Table {
    fn of(name: &str, columns: &[(String, String, i64)], without_rowid: bool) -> Self {
        let own = columns.iter().filter(|(table, ..)| table == name);
        // 2 and 3 are columns that SQLite computes from others.
        let written = own.clone().filter(|(.., hidden)| !(2..=3).contains(hidden));
        let taken = |alias: &&str| !own.clone().any(|(_, column, _)| column.eq_ignore_ascii_case(alias));
        let rowid = ["rowid", "_rowid_", "oid"].into_iter().find(taken).filter(|_| !without_rowid);
        let columns = rowid
            .map(str::to_owned)
            .into_iter()
            .chain(written.map(|(_, column, _)| column.clone()))
            .collect();
        Self { name: name.to_owned(), columns }
    }

    fn select(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|column| value::lossless(&quoted(column))).collect();
        format!("SELECT {} FROM {}", columns.join(", "), quoted(&self.name))
    }

    fn insert(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| quoted(column)).collect();
        let values = vec!["?"; columns.len()].join(", ");
        format!("INSERT INTO {} ({}) VALUES ({values})", quoted(&self.name), columns.join(", "))
    }
}

/// A name as SQL has it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
