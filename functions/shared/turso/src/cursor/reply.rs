use reconcile::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

use super::value::{Cell, Wire};

/// How long one line may be: a row of two large values, as hex.
const LONGEST_LINE: usize = 256 << 20;

/// The answer to a batch: lines of JSON (hrana 3, "Cursor entries"), which must tell of every step from begin to end.
pub(crate) struct Reply<'h> {
    host: &'h str,
    steps: usize,
    buffer: Vec<u8>,
    read: usize,
    /// How many steps have ended.
    ended: usize,
    open: bool,
    began: bool,
    failure: Option<Failure>,
}

/// Why a statement failed, as the server has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// `SQLITE_CORRUPT`, `BLOCKED`, …
    pub(crate) code: String,
    /// In one line of at most 200 characters.
    pub(crate) message: String,
}

/// What a line says.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// Nothing that a reader of rows needs.
    Progress,
    Row {
        step: usize,
        cells: Vec<Cell>,
    },
    /// A step has ended.
    End {
        step: usize,
        /// How many rows it changed.
        changed: u64,
    },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Entry {
    StepBegin {
        step: usize,
    },
    StepEnd {
        #[serde(default)]
        affected_row_count: u64,
    },
    StepError {
        error: Value,
    },
    Row {
        row: Vec<Wire>,
    },
    Error {
        error: Value,
    },
    /// Not in the specification; sqld ends with it.
    ReplicationIndex {},
}

impl<'h> Reply<'h> {
    pub(crate) fn new(host: &'h str, steps: usize) -> Self {
        Self { host, steps, buffer: Vec::new(), read: 0, ended: 0, open: false, began: false, failure: None }
    }

    /// Why a statement failed, if that is what was wrong.
    pub(crate) fn failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole line.
    pub(crate) fn next_event(&mut self) -> Result<Option<Event>> {
        let rest = &self.buffer[self.read..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            if rest.len() > LONGEST_LINE {
                return Err(Error::permanent(
                    "RowTooLarge",
                    format!("a row of {} is longer than 256 MiB", self.host),
                ));
            }
            return Ok(None);
        };
        let line = rest[..end].to_vec();
        self.read += end + 1;
        if !self.began {
            // The first line is of the stream, not of the batch.
            let value: Value =
                serde_json::from_slice(&line).map_err(|_| self.wrong("its first line is no JSON"))?;
            if !value.is_object() || value.get("error").is_some() {
                return Err(self.wrong("its first line is not that of a stream"));
            }
            self.began = true;
            return Ok(Some(Event::Progress));
        }
        let entry =
            serde_json::from_slice(&line).map_err(|_| self.wrong("a line is no entry of a cursor"))?;
        self.entry(entry).map(Some)
    }

    fn entry(&mut self, entry: Entry) -> Result<Event> {
        match entry {
            Entry::StepBegin { step } if !self.open && step == self.ended && step < self.steps => {
                self.open = true;
            }
            Entry::StepEnd { affected_row_count: changed } if self.open => {
                (self.open, self.ended) = (false, self.ended + 1);
                return Ok(Event::End { step: self.ended - 1, changed });
            }
            Entry::Row { row } if self.open => {
                let cells = row.into_iter().map(Wire::cell).collect::<Option<_>>();
                let cells = cells.ok_or_else(|| self.wrong("a value is not what was asked for"))?;
                return Ok(Event::Row { step: self.ended, cells });
            }
            Entry::ReplicationIndex {} => {}
            Entry::StepError { error } | Entry::Error { error } => return Err(self.failed(&error)),
            _ => return Err(self.wrong("its steps are not in their order")),
        }
        Ok(Event::Progress)
    }

    /// Whether all of it has come.
    pub(crate) fn finish(self) -> Result<()> {
        if self.ended == self.steps && !self.open && self.read == self.buffer.len() {
            return Ok(());
        }
        let said = format!(
            "the rows of {} were cut short: {} of {} steps have come to their end",
            self.host, self.ended, self.steps
        );
        Err(Error::retryable("CursorCutShort", said))
    }

    fn wrong(&self, what: &str) -> Error {
        Error::retryable("CursorUnexpected", format!("cannot read the rows of {}: {what}", self.host))
    }

    fn failed(&mut self, error: &Value) -> Error {
        let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
        let message: String = text("message").chars().filter(|c| !c.is_control()).take(200).collect();
        let code: String = text("code").chars().filter(|c| !c.is_control()).take(60).collect();
        let said = format!("{} failed to read the rows: {code} {message}", self.host);
        self.failure = Some(Failure { code, message });
        Error::retryable("CursorFailed", said)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const WHOLE: &str = concat!(
        "{\"baton\":null,\"base_url\":null}\n",
        "{\"type\":\"step_begin\",\"step\":0,\"cols\":[]}\n",
        "{\"type\":\"step_end\",\"affected_row_count\":0,\"last_insert_rowid\":null}\n",
        "{\"type\":\"step_begin\",\"step\":1,\"cols\":[]}\n",
        "{\"type\":\"row\",\"row\":[{\"type\":\"integer\",\"value\":\"-9223372036854775808\"}]}\n",
        "{\"type\":\"step_end\",\"affected_row_count\":0,\"last_insert_rowid\":null}\n",
        "{\"type\":\"replication_index\",\"replication_index\":5}\n",
    );

    fn read(text: &str, piece: usize) -> Result<usize> {
        let mut reply = Reply::new("db", 2);
        let mut rows = 0;
        for piece in text.as_bytes().chunks(piece) {
            reply.add(piece);
            while let Some(event) = reply.next_event()? {
                rows += usize::from(matches!(event, Event::Row { .. }));
            }
        }
        reply.finish().map(|()| rows)
    }

    #[test]
    fn it_may_come_in_any_pieces() {
        for piece in 1..WHOLE.len() {
            assert_eq!(read(WHOLE, piece).unwrap(), 1);
        }
    }

    #[test]
    fn every_cut_but_after_the_last_step_is_seen() {
        let last = WHOLE.rfind("{\"type\":\"replication_index").unwrap();
        for cut in 0..WHOLE.len() {
            assert_eq!(read(&WHOLE[..cut], 7).is_ok(), cut == last, "{cut}");
        }
    }

    #[rstest]
    #[case(
        "{\"type\":\"step_end\"",
        "{\"type\":\"step_error\",\"step\":0,\"error\":{\"message\":\"no\"}",
        "CursorFailed"
    )]
    #[case(
        "{\"type\":\"row\"",
        "{\"type\":\"error\",\"error\":{\"code\":\"X\",\"message\":\"gone\"}",
        "CursorFailed"
    )]
    #[case("\"step\":1", "\"step\":2", "CursorUnexpected")]
    #[case("\"integer\"", "\"surprise\"", "CursorUnexpected")]
    #[case("-9223372036854775808", "9223372036854775808", "CursorUnexpected")]
    #[case("{\"baton\":null", "<html>", "CursorUnexpected")]
    fn what_is_wrong_is_an_error(#[case] from: &str, #[case] to: &str, #[case] code: &str) {
        assert_eq!(read(&WHOLE.replacen(from, to, 1), 50).unwrap_err().code(), code);
    }
}
