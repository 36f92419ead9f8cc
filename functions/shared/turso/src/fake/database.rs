use std::{collections::BTreeMap, fs, path::Path};

use bytes::Bytes;
use data_encoding::BASE64_NOPAD;
use reconcile::{Error, Result};
use rusqlite::{Connection, params_from_iter, types::ValueRef};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Database, FRAME_BYTES};

/// The header of a write-ahead log.
const LOG_HEADER: usize = 32;

/// One database of it.
#[derive(Debug)]
pub struct FakeDatabase {
    /// What the list says of it.
    pub listed: Database,
    pub(super) folder: TempDir,
    pub(super) file: Connection,
    pub(super) generation: u64,
    /// The file and the frames of generations gone by.
    before: BTreeMap<u64, (Bytes, Vec<Bytes>)>,
    /// Whether it offers its pages.
    pub has_pages: bool,
}

pub(super) fn io(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::permanent("FakeBroken", "the database in memory").caused_by(error)
}

impl FakeDatabase {
    pub(super) fn new(listed: Database, content: Option<&Path>) -> Result<Self> {
        let folder = TempDir::new().map_err(io)?;
        let path = folder.path().join("data");
        if let Some(content) = content {
            fs::copy(content, &path).map_err(io)?;
        }
        let file = Connection::open(&path).map_err(io)?;
        file.execute_batch(
            "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0",
        )
        .map_err(io)?;
        Ok(Self { listed, folder, file, generation: 1, before: BTreeMap::new(), has_pages: true })
    }

    pub(super) fn base(&self, generation: u64) -> Result<Bytes> {
        match self.before.get(&generation) {
            Some((base, _)) => Ok(base.clone()),
            None if generation == self.generation => {
                Ok(fs::read(self.folder.path().join("data")).map_err(io)?.into())
            }
            None => Err(Error::permanent("TursoNotFound", "no such generation")),
        }
    }

    pub(super) fn frames(&self, generation: u64) -> Vec<Bytes> {
        if let Some((_, frames)) = self.before.get(&generation) {
            return frames.clone();
        }
        let log = fs::read(self.folder.path().join("data-wal")).unwrap_or_default();
        let frames = log.get(LOG_HEADER..).unwrap_or_default().chunks_exact(FRAME_BYTES);
        // What lies behind the end is of an earlier log: its salts are others.
        let own = |frame: &&[u8]| frame[8..16] == log[16..24];
        frames.take_while(own).map(Bytes::copy_from_slice).collect()
    }

    pub(super) fn checkpoint(&mut self) -> Result<()> {
        let gone = (self.base(self.generation)?, self.frames(self.generation));
        self.file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(io)?;
        self.before.insert(self.generation, gone);
        self.generation += 1;
        Ok(())
    }
}

/// Carries out a batch as sqld does: each step if the one before it went well, and what was not committed is undone.
pub(super) fn run(file: &Connection, request: &Value) -> Result<String> {
    let mut lines = vec![json!({"baton": null, "base_url": null})];
    let steps = request["batch"]["steps"].as_array().cloned().unwrap_or_default();
    for (number, step) in steps.iter().enumerate() {
        lines.push(json!({"type": "step_begin", "step": number, "cols": []}));
        match execute(file, &step["stmt"]) {
            Ok((rows, changed)) => {
                lines.extend(rows.into_iter().map(|row| json!({"type": "row", "row": row})));
                lines.push(
                    json!({"type": "step_end", "affected_row_count": changed, "last_insert_rowid": null}),
                );
            }
            Err(error) => {
                let error = json!({"message": error.to_string(), "code": "SQLITE_UNKNOWN"});
                lines.push(json!({"type": "step_error", "step": number, "error": error}));
                break;
            }
        }
    }
    if !file.is_autocommit() {
        file.execute_batch("ROLLBACK").map_err(io)?;
    }
    let mut text = String::new();
    for line in &lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    Ok(text)
}

/// Its rows, and how many it changed.
fn execute(file: &Connection, statement: &Value) -> rusqlite::Result<(Vec<Vec<Value>>, u64)> {
    let before = file.total_changes();
    let arguments = statement["args"].as_array().cloned().unwrap_or_default();
    let arguments =
        arguments.iter().map(|argument| argument["value"].as_str().unwrap_or_default().to_owned());
    let mut prepared = file.prepare(statement["sql"].as_str().unwrap_or_default())?;
    let columns = prepared.column_count();
    let mut rows = prepared.query(params_from_iter(arguments))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((0..columns).map(|at| row.get_ref(at).map(wire)).collect::<Result<_, _>>()?);
    }
    drop(rows);
    Ok((found, file.total_changes() - before))
}

fn wire(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => json!({"type": "null"}),
        ValueRef::Integer(integer) => json!({"type": "integer", "value": integer.to_string()}),
        ValueRef::Real(real) => json!({"type": "float", "value": real}),
        ValueRef::Text(text) => json!({"type": "text", "value": String::from_utf8_lossy(text)}),
        ValueRef::Blob(blob) => json!({"type": "blob", "base64": BASE64_NOPAD.encode(blob)}),
    }
}
