//! Whether a file is a SQLite database that is whole, and what is in it.

use std::{collections::BTreeMap, path::Path};

use data_encoding::HEXLOWER;
use reconcile::{Error, Result};
use rusqlite::{
    Connection, OpenFlags,
    functions::FunctionFlags,
    limits::Limit,
    types::{Null, ValueRef},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::PAGE_BYTES;

/// How much of a file SQLite keeps in memory; negative numbers are KiB to it.
pub(crate) const CACHE_KIB: i64 = -8 * 1024;

/// The function by which libSQL marks the index of a vector column. SQLite does not have it.
const VECTOR_INDEX: &str = "libsql_vector_idx";

/// How many of SQLite's complaints an error names.
const COMPLAINTS: usize = 5;

/// What is in a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The size of a page.
    pub page_bytes: u64,
    /// How many there are.
    pub pages: u64,
    /// The rows of each table that holds its rows itself, shadow tables among them.
    pub rows: BTreeMap<String, u64>,
    /// The SHA-256, in hex, of the lines of `sqlite_schema` in the order of type and name, but for those of `ANALYZE`: of each
    /// its type, name, table and SQL, each as its length in bytes, a colon and itself.
    pub schema_sha256: String,
    /// `PRAGMA user_version`.
    pub user_version: i64,
    /// `PRAGMA application_id`.
    pub application_id: i64,
    /// `PRAGMA encoding`.
    pub encoding: String,
    /// Rows whose foreign key leads nowhere: the application's own affair, but whoever restores wants to know that they were so
    /// before. `None` where SQLite cannot tell.
    pub foreign_key_violations: Option<u64>,
}

pub(crate) fn broken(doing: &'static str) -> impl Fn(rusqlite::Error) -> Error {
    move |error| {
        let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
        let (code, said) = (if full { "DiskFull" } else { "SqliteFailed" }, format!("cannot {doing}"));
        if full { Error::retryable(code, said) } else { Error::permanent(code, said) }.caused_by(error)
    }
}

/// Opens the file without a lock or a journal: nobody else writes it. What its schema says is not trusted.
fn open(path: &Path) -> Result<Connection> {
    let name: String = path
        .to_string_lossy()
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let file = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)?;
        file.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        file.execute_batch(&format!(
            "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0; PRAGMA cache_size = {CACHE_KIB}"
        ))?;
        know_vector_indexes(&file)?;
        Ok(file)
    };
    open().map_err(broken("open the copy"))
}

/// Lets SQLite read a schema that has the index of a vector column.
pub(crate) fn know_vector_indexes(file: &Connection) -> rusqlite::Result<()> {
    let harmless =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    file.create_scalar_function(VECTOR_INDEX, -1, harmless, |_| Ok(Null))
}

/// Opens the database, has SQLite check every page and index, and tells what is in it. A file that SQLite finds anything wrong
/// with is `IntegrityCheckFailed`.
pub fn check(path: &Path) -> Result<Content> {
    let file = open(path)?;
    whole(&file).map_err(|error| match error {
        Trouble::Complaints(said) => Error::permanent(
            "IntegrityCheckFailed",
            format!("SQLite says that the copy is damaged: {}", said.join("; ")),
        ),
        Trouble::Failed(error) => {
            Error::permanent("IntegrityCheckFailed", "SQLite cannot read the copy").caused_by(error)
        }
    })?;
    content(&file).map_err(|error| {
        Error::permanent("IntegrityCheckFailed", "SQLite cannot read the copy").caused_by(error)
    })
}

enum Trouble {
    Complaints(Vec<String>),
    Failed(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

fn whole(file: &Connection) -> Result<(), Trouble> {
    let vectors = vector_indexes(file)?;
    let mut statement = file.prepare("PRAGMA integrity_check(2147483647)")?;
    let mut rows = statement.query([])?;
    let mut complaints = Vec::new();
    while let Some(row) = rows.next()? {
        let said: String = row.get(0)?;
        // libSQL keeps the entries of a vector index in a table of its own, and none in the index: to SQLite they are missing.
        let is_vector = vectors.iter().any(|name| {
            said.ends_with(&format!(" missing from index {name}"))
                || said == format!("wrong # of entries in index {name}")
        });
        if said != "ok" && !is_vector && complaints.len() < COMPLAINTS {
            complaints.push(said);
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(Trouble::Complaints(complaints)) }
}

fn vector_indexes(file: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'index' AND sql LIKE '%' || ?1 || '%'";
    file.prepare(sql)?.query_map([VECTOR_INDEX], |row| row.get(0))?.collect()
}

fn content(file: &Connection) -> rusqlite::Result<Content> {
    let number = |pragma: &str| file.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let size = |pragma: &str| number(pragma).map(|number| u64::try_from(number).unwrap_or(0));
    Ok(Content {
        page_bytes: size("page_size")?,
        pages: size("page_count")?,
        rows: rows(file)?,
        schema_sha256: schema(file)?,
        user_version: number("user_version")?,
        application_id: number("application_id")?,
        encoding: file.query_row("PRAGMA encoding", [], |row| row.get(0))?,
        foreign_key_violations: violations(file).ok(),
    })
}

fn rows(file: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    let names: Vec<String> = file.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let count = |name: String| {
        let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        let rows: i64 = file.query_row(&sql, [], |row| row.get(0))?;
        Ok((name, u64::try_from(rows).unwrap_or(0)))
    };
    names.into_iter().map(count).collect()
}

fn schema(file: &Connection) -> rusqlite::Result<String> {
    let mut statement = file.prepare(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE tbl_name NOT LIKE 'sqlite\\_stat%' ESCAPE '\\' ORDER BY type, name",
    )?;
    let (mut rows, mut digest) = (statement.query([])?, Sha256::new());
    while let Some(row) = rows.next()? {
        for column in 0..4 {
            let field = match row.get_ref(column)? {
                ValueRef::Text(text) | ValueRef::Blob(text) => text,
                _ => &[],
            };
            digest.update(format!("{}:", field.len()));
            digest.update(field);
        }
    }
    Ok(HEXLOWER.encode(&digest.finalize()))
}

fn violations(file: &Connection) -> rusqlite::Result<u64> {
    let mut statement = file.prepare("PRAGMA foreign_key_check")?;
    let (mut rows, mut count) = (statement.query([])?, 0);
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Makes of a copy what Turso takes as an upload: a file in WAL mode, with pages of 4096 bytes, without auto-vacuum, in UTF-8.
/// Rows and schema stay what they are.
pub fn prepare_for_upload(path: &Path) -> Result<()> {
    let work = || {
        let file = Connection::open(path)?;
        let number =
            |pragma: &str| file.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
        let encoding: String = file.query_row("PRAGMA encoding", [], |row| row.get(0))?;
        if encoding != "UTF-8" {
            return Ok(Some(encoding));
        }
        file.execute_batch(&format!("PRAGMA cache_size = {CACHE_KIB}; PRAGMA journal_mode = DELETE"))?;
        if usize::try_from(number("page_size")?) != Ok(PAGE_BYTES) || number("auto_vacuum")? != 0 {
            file.execute_batch(&format!("PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = 0; VACUUM"))?;
        }
        file.execute_batch("PRAGMA journal_mode = WAL")?;
        // The last one to close it takes the log away.
        file.close().map_err(|(_, error)| error)?;
        Ok(None)
    };
    match work().map_err(broken("prepare the copy for Turso"))? {
        None => Ok(()),
        Some(encoding) => Err(Error::permanent(
            "EncodingNotSupported",
            format!("the copy keeps its text as {encoding}, and Turso takes only UTF-8"),
        )),
    }
}
