//! Heartbeats in a database at Turso: what stands in [`heartbeat::sqlite`], in batches of one transaction each.

use futures::StreamExt;
use heartbeat::{
    Heartbeat, Place, Row,
    sqlite::{EXPIRE, READ, WRITE},
};
use reconcile::{Error, Kind, Result};
use serde_json::{Value, json};

use crate::{
    Session, Turso,
    cursor::{Cell, Event, Reply, transaction},
};

/// Turso counts the rows that a statement looks at, which for [`EXPIRE`] is all that there are: so only every sixtieth heartbeat
/// deletes what is too much.
const EXPIRES_EACH: u64 = 60;

/// The table of one database, as whoever has the session's token.
#[derive(Clone, Debug)]
pub struct Table<T> {
    turso: T,
    session: Session,
}

impl<T: Turso> Table<T> {
    /// Of the database that the session leads to.
    pub const fn new(turso: T, session: Session) -> Self {
        Self { turso, session }
    }

    /// The rows of the statements, and how many rows the first of them changed.
    async fn ask(&self, doing: &str, statements: &[Value]) -> Result<(Vec<Vec<Cell>>, u64)> {
        self.carry_out(statements).await.map_err(|error| {
            let doing = format!("cannot {doing} of {}", self.session.hostname);
            let kind = match error.kind() {
                Kind::Retryable if error.report().contains("no such table") => Kind::Misconfigured,
                kind => kind,
            };
            Error::new(kind, error.code().to_owned(), doing).caused_by(error)
        })
    }

    async fn carry_out(&self, statements: &[Value]) -> Result<(Vec<Vec<Cell>>, u64)> {
        let mut body = self.turso.cursor(&self.session, &transaction(statements.iter().cloned())).await?;
        let mut reply = Reply::new(&self.session.hostname, statements.len() + 2);
        let (mut rows, mut changed) = (Vec::new(), 0);
        while let Some(piece) = body.next().await {
            reply.add(&piece?);
            while let Some(event) = reply.next_event()? {
                match event {
                    Event::Row { cells, .. } => rows.push(cells),
                    // BEGIN is step 0.
                    Event::End { step: 1, changed: rows } => changed = rows,
                    Event::End { .. } | Event::Progress => {}
                }
            }
        }
        reply.finish()?;
        Ok((rows, changed))
    }
}

fn text(text: &str) -> Value {
    json!({"type": "text", "value": text})
}

impl<T: Turso> Place for Table<T> {
    type Error = Error;

    async fn read(&mut self, count: u32) -> Result<Vec<Row>> {
        // As bytes: JSON has no text that is not UTF-8, which somebody may have put there.
        let sql = format!(
            "WITH newest (number, follows, at_ms, resource, key_id, signature) AS ({READ}) SELECT CAST(number AS BLOB), \
             CAST(follows AS BLOB), CAST(at_ms AS BLOB), CAST(resource AS BLOB), CAST(key_id AS BLOB), CAST(signature AS BLOB) \
             FROM newest"
        );
        let count = json!({"type": "integer", "value": count.to_string()});
        let statement = json!({"sql": sql, "args": [count], "want_rows": true});
        let (rows, _) = self.ask("read the heartbeats", &[statement]).await?;
        let row = |cells: Vec<Cell>| {
            let fields = cells.into_iter().map(|cell| match cell {
                Cell::Text(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                // What is no text is no heartbeat.
                _ => String::new(),
            });
            <[String; 6]>::try_from(fields.collect::<Vec<_>>()).unwrap_or_default()
        };
        Ok(rows.into_iter().map(|cells| Row::of_fields(row(cells))).collect())
    }

    async fn write(&mut self, heartbeat: &Heartbeat) -> Result<bool> {
        let row = Row::from(heartbeat);
        let insert = json!({"sql": WRITE, "args": row.fields().map(text)});
        let expire = heartbeat.number().is_multiple_of(EXPIRES_EACH).then(|| json!({"sql": EXPIRE}));
        let statements: Vec<Value> = [insert].into_iter().chain(expire).collect();
        let (_, written) = self.ask("write a heartbeat", &statements).await?;
        Ok(written == 1)
    }
}
