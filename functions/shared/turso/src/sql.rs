//! Small questions to one database, each in one transaction. What reads whole tables is [`crate::cursor`], what writes
//! [`crate::heartbeats`].

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use futures::StreamExt;
use reconcile::{Error, Result};
use serde_json::json;

use crate::{
    Session, Turso,
    cursor::{Cell, Event, Failure, Reply, lossless, quoted, transaction},
};

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 16 << 20;

/// How many rows each of these tables has, all at one instant.
pub async fn rows<'t>(
    turso: &impl Turso,
    at: &Session,
    tables: impl Iterator<Item = &'t String>,
) -> Result<BTreeMap<String, u64>> {
    let tables: Vec<&String> = tables.collect();
    let count = |table: &&String| format!("SELECT count(*) FROM {}", quoted(table));
    let answer = ask(turso, at, &tables.iter().map(count).collect::<Vec<_>>()).await?.granted(at)?;
    let counts = answer.iter().map(|rows| number(at, rows)).collect::<Result<Vec<_>>>()?;
    Ok(tables.into_iter().cloned().zip(counts).collect())
}

/// How many tables, indexes, views and triggers there are; that it answers is what matters most.
pub async fn objects(turso: &impl Turso, at: &Session) -> Result<u64> {
    let answer = ask(turso, at, &["SELECT count(*) FROM sqlite_schema".to_owned()]).await?.granted(at)?;
    number(at, answer.first().map(Vec::as_slice).unwrap_or_default())
}

/// What a statement with one column answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct One {
    /// How many rows.
    pub rows: u64,
    /// The first value as text; `None` if it is NULL, or there is none.
    pub first: Option<String>,
    /// Whether that is an integer or a real.
    pub is_number: bool,
}

/// Asks a question: one SELECT with one column. `StatementFailed` if the database does not take it.
pub async fn one(turso: &impl Turso, at: &Session, sql: &str) -> Result<One> {
    let value = lossless("value");
    let sql = sql.trim().trim_end_matches(';');
    let statement = format!(
        "WITH answer (value) AS (\n{sql}\n) SELECT (SELECT count(*) FROM answer), (SELECT {value} FROM answer LIMIT 1)"
    );
    let answer = ask(turso, at, &[statement]).await?;
    if let Some(Failure { code, message }) = answer.failure {
        return Err(Error::permanent(
            "StatementFailed",
            format!("the database refuses it: {code} {message}"),
        ));
    }
    let mut cells = answer.rows.into_iter().flatten().flatten();
    let (Some(Cell::Integer(rows)), Some(first)) = (cells.next(), cells.next()) else {
        return Err(unexpected(at));
    };
    let is_number = matches!(first, Cell::Integer(_) | Cell::Real(_));
    let first = match first {
        Cell::Null => None,
        Cell::Integer(integer) => Some(integer.to_string()),
        Cell::Real(real) => Some(real.to_string()),
        Cell::Text(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Cell::Blob(bytes) => Some(HEXLOWER.encode(&bytes)),
    };
    Ok(One { rows: rows.unsigned_abs(), first, is_number })
}

/// The one number that a statement gives.
fn number(at: &Session, rows: &[Vec<Cell>]) -> Result<u64> {
    let number = match rows {
        [row] => match row.as_slice() {
            [Cell::Integer(number)] => u64::try_from(*number).ok(),
            _ => None,
        },
        _ => None,
    };
    number.ok_or_else(|| unexpected(at))
}

pub(crate) fn unexpected(at: &Session) -> Error {
    let said = format!("{} answers something else than was asked for", at.hostname);
    Error::retryable("CursorUnexpected", said)
}

/// What came of statements.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Answer {
    /// What each gave, as far as it came.
    pub(crate) rows: Vec<Vec<Vec<Cell>>>,
    /// Why the first that failed did.
    pub(crate) failure: Option<Failure>,
}

impl Answer {
    /// What each gave, if none failed.
    fn granted(self, at: &Session) -> Result<Vec<Vec<Vec<Cell>>>> {
        let Some(Failure { code, message }) = self.failure else { return Ok(self.rows) };
        Err(Error::retryable("CursorFailed", format!("{} failed to answer: {code} {message}", at.hostname)))
    }
}

/// Has statements carried out in one transaction, each only if the one before it went well. They must give texts as blobs: JSON has no text
/// that is not UTF-8. What failed is an answer; an error is that none came.
pub(crate) async fn ask(turso: &impl Turso, at: &Session, statements: &[String]) -> Result<Answer> {
    let request = transaction(statements.iter().map(|sql| json!({"sql": sql, "want_rows": true})));
    let mut body = turso.cursor(at, &request).await?;
    // BEGIN and COMMIT end, too.
    let mut reply = Reply::new(&at.hostname, statements.len() + 2);
    let mut answer = Answer { rows: statements.iter().map(|_| Vec::new()).collect(), failure: None };
    let mut bytes = 0;
    while let Some(piece) = body.next().await {
        let piece = piece?;
        bytes += piece.len();
        if bytes > LONGEST_ANSWER {
            let said = format!("an answer of {} is longer than 16 MiB", at.hostname);
            return Err(Error::permanent("AnswerTooLarge", said));
        }
        reply.add(&piece);
        loop {
            let event = match reply.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    answer.failure = reply.failure();
                    return if answer.failure.is_some() { Ok(answer) } else { Err(error) };
                }
            };
            if let Event::Row { step, cells } = event {
                // BEGIN is step 0.
                let rows = step.checked_sub(1).and_then(|statement| answer.rows.get_mut(statement));
                rows.ok_or_else(|| unexpected(at))?.push(cells);
            }
        }
    }
    reply.finish()?;
    Ok(answer)
}
