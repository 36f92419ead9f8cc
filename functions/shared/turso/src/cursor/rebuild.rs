use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use reconcile::{Error, Result};
use rusqlite::{Connection, params_from_iter};

use super::{Object, Source, Table, value::Cell};
use crate::{
    PAGE_BYTES,
    check::{self, broken},
    disk,
};

/// The new file, while rows come in.
pub(super) struct Rebuild {
    file: Connection,
    path: PathBuf,
    inserts: Vec<String>,
    /// Of the tables that SQLite fills itself, those that hold only what the source says.
    emptied: BTreeSet<String>,
}

impl Rebuild {
    /// An empty file with the tables of `source`.
    pub(super) fn begin(path: &Path, source: &Source, room: u64) -> Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(disk::broken("replace", path)(error));
            }
            _ => {}
        }
        let file = Connection::open(path).map_err(broken("create the copy"))?;
        // An index that only libSQL has is made all the same: what it finds by is in tables of its own, which come along.
        check::know_vector_indexes(&file).map_err(broken("create the copy"))?;
        let inserts = source.tables.iter().map(Table::insert).collect();
        let rebuild = Self { file, path: path.to_owned(), inserts, emptied: BTreeSet::new() };
        let super::Header { user_version, application_id, .. } = source.header;
        // Nothing to go back to: a copy that is not finished is thrown away.
        rebuild.run(&format!(
            "PRAGMA page_size = {PAGE_BYTES}; PRAGMA encoding = 'UTF-8'; PRAGMA auto_vacuum = 0;
             PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA cache_size = {}; PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON;
             PRAGMA max_page_count = {};
             PRAGMA user_version = {user_version}; PRAGMA application_id = {application_id}; BEGIN",
            check::CACHE_KIB,
            (room / PAGE_BYTES as u64).clamp(1, u64::from(u32::MAX - 1)),
        ))?;
        rebuild.file.set_prepared_statement_cache_capacity(4);
        rebuild.tables(source)?;
        Ok(rebuild)
    }

    fn tables(&self, source: &Source) -> Result<()> {
        let owns = |name: &str| source.objects.iter().any(|object| object.name == name);
        for object in &source.objects {
            if object.kind == "table" && object.has_pages && !object.name.starts_with("sqlite_") {
                self.create(object)?;
            }
        }
        // SQLite makes these itself, and takes them from nobody.
        if owns("sqlite_sequence") {
            self.run(
                "CREATE TABLE tidemark_sequence(n INTEGER PRIMARY KEY AUTOINCREMENT); DROP TABLE tidemark_sequence",
            )?;
        }
        if owns("sqlite_stat1") {
            self.run("ANALYZE sqlite_schema")?;
        }
        Ok(())
    }

    /// What the source says its own schema is, carried out only if it makes something and nothing else.
    fn create(&self, object: &Object) -> Result<()> {
        let Some(sql) = &object.sql else { return Ok(()) };
        let begins = sql.trim_start().get(..7).is_some_and(|word| word.eq_ignore_ascii_case("CREATE "));
        let made = if begins { self.file.execute(sql, []) } else { Err(rusqlite::Error::InvalidQuery) };
        made.map(drop).map_err(|error| {
            let said = format!("{} {} cannot be made anew", object.kind, object.name);
            Error::permanent("SchemaNotCopied", said).caused_by(error)
        })
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.file.execute_batch(sql).map_err(broken("make the copy"))
    }

    /// Writes a row.
    pub(super) fn insert(&mut self, number: usize, table: &Table, cells: &[Cell]) -> Result<()> {
        self.empty(table)?;
        let write = || self.file.prepare_cached(&self.inserts[number])?.execute(params_from_iter(cells));
        write().map(drop).map_err(|error| {
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
                return Error::retryable("DiskFull", "the copy has no more room on disk").caused_by(error);
            }
            let said = format!("a row of table {} is not taken by its own copy", table.name);
            Error::permanent("RowNotCopied", said).caused_by(error)
        })
    }

    /// Takes out of one of SQLite's own tables what making the copy has put there.
    fn empty(&mut self, table: &Table) -> Result<()> {
        if table.name.starts_with("sqlite_") && self.emptied.insert(table.name.clone()) {
            self.run(&format!("DELETE FROM {}", table.name))?;
        }
        Ok(())
    }

    /// Adds all that is not a table, and closes the file. Its size.
    pub(super) fn finish(mut self, source: &Source) -> Result<u64> {
        source.tables.iter().try_for_each(|table| self.empty(table))?;
        for kind in ["index", "view", "trigger"] {
            for object in source.objects.iter().filter(|object| object.kind == kind) {
                self.create(object)?;
            }
        }
        self.run("PRAGMA writable_schema = ON")?;
        for object in source.objects.iter().filter(|object| object.kind == "table" && !object.has_pages) {
            let line = "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES ('table', ?1, ?2, 0, ?3)";
            let values = [Some(&object.name), Some(&object.table), object.sql.as_ref()];
            self.file.execute(line, values).map_err(broken("make the copy"))?;
        }
        self.run("PRAGMA writable_schema = OFF; COMMIT")?;
        self.file.close().map_err(|(_, error)| broken("close the copy")(error))?;
        let bytes = std::fs::metadata(&self.path).map_err(disk::broken("look at", &self.path))?.len();
        Ok(bytes)
    }
}
