//! Databases compared value by value.

#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{collections::BTreeMap, path::Path};

use rusqlite::{Connection, OpenFlags, types::ValueRef};

/// Every value of every table, to the bit, with rowids; and the schema, and what stands in the header.
pub(crate) fn content(path: &Path) -> BTreeMap<String, Vec<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let file = Connection::open_with_flags(path, flags).unwrap();
    let rows = |sql: &str| -> Vec<String> {
        let mut statement = file.prepare(sql).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        let mut all = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            let cells: Vec<String> = (0..columns).map(|at| shown(row.get_ref(at).unwrap())).collect();
            all.push(cells.join("|"));
        }
        all.sort();
        all
    };
    let schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema";
    let mut content = BTreeMap::from([
        ("schema".to_owned(), rows(schema)),
        ("user_version".to_owned(), rows("PRAGMA user_version")),
        ("application_id".to_owned(), rows("PRAGMA application_id")),
    ]);
    let tables = "SELECT l.name, l.wr FROM pragma_table_list AS l JOIN sqlite_schema AS s USING (name) \
                  WHERE l.schema = 'main' AND s.type = 'table' AND s.rootpage > 0";
    let tables: Vec<(String, bool)> = file
        .prepare(tables)
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, without_rowid) in tables {
        let rowid = if without_rowid || name.contains("shadowed") { "" } else { "rowid, " };
        let sql = format!("SELECT {rowid}* FROM \"{}\"", name.replace('"', "\"\""));
        content.insert(format!("table {name}"), rows(&sql));
    }
    content
}

fn shown(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(integer) => format!("i{integer}"),
        ValueRef::Real(real) => format!("r{:016x}={real:?}", real.to_bits()),
        ValueRef::Text(text) => format!("t{}", text.escape_ascii()),
        ValueRef::Blob(blob) => format!("b{}", blob.escape_ascii()),
    }
}

/// Everything that a lesser copy loses.
pub(crate) const HARD: &[&str] = &[
    "CREATE TABLE plain(a, b INTEGER, c REAL, d TEXT, e BLOB, f NUMERIC)",
    "INSERT INTO plain(rowid, a) VALUES (1, 9e999), (2, -9e999), (3, -0.0), (4, 1.0), (5, 0.1), (6, 5e-324), \
     (7, 1.7976931348623157e308), (8, 9223372036854775807), (9, -9223372036854775808), (10, ''), (11, x''), (12, NULL), \
     (13, 9e999 - 9e999), (14, 0.30000000000000004), (15, 123456789012345680.0), (16, 'Infinity'), (17, '+'), (18, 'x00')",
    "INSERT INTO plain(rowid, a) VALUES (100, cast(x'41004200ff' AS TEXT)), (101, cast(x'c328' AS TEXT)), (102, x'00ff'), \
     (103, cast(x'00' AS TEXT)), (104, 'häß\u{1f600}'), (-5, char(10) || char(13) || '\"\\')",
    "INSERT INTO plain(rowid, b, c, d, e, f) VALUES (200, 9e999, 9e999, 1.0, 1.0, 1.5), (201, 'text', 'text', x'01', 'text', '1e400'), \
     (202, 9223372036854775807, 9223372036854775807, 9223372036854775807, 1.0, 9007199254740993)",
    "CREATE TABLE odd(\"select\", \"a\"\"b\" TEXT, [c d], `e'f`)",
    "INSERT INTO odd VALUES (1, 2, 3, 4)",
    r#"CREATE TABLE "my ""odd"" 'table'"(x UNIQUE)"#,
    r#"INSERT INTO "my ""odd"" 'table'" VALUES (1), (NULL), (NULL)"#,
    "CREATE TABLE shadowed(rowid, _rowid_, oid, x)",
    "INSERT INTO shadowed VALUES (1, 2, 3, 4)",
    "CREATE TABLE half(rowid TEXT, x)",
    "INSERT INTO half(_rowid_, rowid, x) VALUES (77, 'a', 1), (5, 'b', 2)",
    "CREATE TABLE wr(k TEXT, v, PRIMARY KEY (k, v)) WITHOUT ROWID",
    "INSERT INTO wr VALUES ('a', 1.0), ('a', x'00'), ('b', -9223372036854775808)",
    "CREATE TABLE strict(a ANY, b INT NOT NULL) STRICT",
    "INSERT INTO strict VALUES ('1', 1), (1, 2), (1.0, 3), (x'31', 4)",
    "CREATE TABLE computed(a, s AS (a * 2) STORED, v TEXT GENERATED ALWAYS AS (a || '!'), z)",
    "INSERT INTO computed(a, z) VALUES (1, 2), (2.5, 'z')",
    "CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, x)",
    "INSERT INTO counted VALUES (10, 'a'), (500, 'b')",
    "DELETE FROM counted WHERE id = 500",
    "CREATE TABLE keyed(id INTEGER PRIMARY KEY DESC, x CHECK (x <> 'no'))",
    "INSERT INTO keyed VALUES (5, 'five'), (3, 'three')",
    "CREATE TABLE child(parent REFERENCES keyed(id) DEFERRABLE INITIALLY DEFERRED)",
    "CREATE INDEX some ON plain(a, b DESC) WHERE b IS NOT NULL",
    "CREATE UNIQUE INDEX expressed ON counted(lower(x))",
    "CREATE TABLE log(line)",
    "CREATE TRIGGER written AFTER INSERT ON counted BEGIN INSERT INTO log VALUES ('counted ' || new.id); END",
    "CREATE VIEW seen AS SELECT a, b FROM plain WHERE a IS NOT NULL",
    "CREATE TRIGGER instead INSTEAD OF INSERT ON seen BEGIN INSERT INTO log VALUES (new.a); END",
    "CREATE VIRTUAL TABLE notes USING fts5(title, body, tokenize = 'porter')",
    "INSERT INTO notes(rowid, title, body) VALUES (7, 'tides', 'the marks of the tides'), (9, 'floods', 'and ebbs')",
    "CREATE TABLE empty(x)",
    "CREATE TABLE \"\"(x)",
    "PRAGMA user_version = -7",
];
