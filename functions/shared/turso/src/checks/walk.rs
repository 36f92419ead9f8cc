//! Going through a database, table after table, in as many invocations as it takes.

use std::time::{Duration, Instant};

use reconcile::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

use super::{
    Counted, Evidence, Expected, Fault, FaultKind, Finding, Note, Remark,
    tables::{After, Table, Thoroughness, integrity, tables},
};
use crate::{Session, Turso};

/// The rows of the first range. Later ones are as large as takes about two seconds: Turso ends what takes longer than five
/// (docs.turso.tech, "Transactions").
const FIRST_STEP: u64 = 10_000;
/// A range takes at least this long, or the next is twice as large.
const QUICK: Duration = Duration::from_secs(1);
/// A range takes at most this long, or the next is half as large.
const SLOW: Duration = Duration::from_millis(2_500);
/// With less time left than this, nothing is begun: it would only be cut off.
const LEAST: Duration = Duration::from_secs(1);
/// How often a piece of work may come to nothing, until it is given up.
const ATTEMPTS: u32 = 3;
/// How many of SQLite's complaints about pages are told one by one.
const COMPLAINTS: usize = 5;
/// How many tables are told one by one, so that the progress stays a document of some 100 KiB.
const TABLES_TOLD: usize = 1_000;

/// How SQLite checked the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Integrity {
    /// Not yet.
    #[default]
    NotYet,
    /// All of them at once, with `PRAGMA integrity_check`.
    Whole,
    /// Those of each table, because all of them together take too long.
    ByTable,
    /// Not at all: the notes say so.
    NotChecked,
}

/// The table under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct UnderWay {
    table: String,
    /// The rowid up to which it was read.
    after: Option<i64>,
    rows: u64,
    bytes: u64,
    /// Every row was read.
    is_read: bool,
    /// Its pages are checked the quick way.
    is_quick: bool,
}

/// How far a walk through a database is, and what it found. A document: what one invocation leaves, another goes on from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Walk {
    /// Tables up to this one are done.
    done: Option<String>,
    under_way: Option<UnderWay>,
    step_rows: u64,
    /// How often in a row the next piece came to nothing.
    attempts: u32,
    /// Whether everything was gone through, and compared.
    pub is_over: bool,
    /// How the pages were checked.
    pub integrity: Integrity,
    /// How many tables were read.
    pub tables_read: u64,
    /// How many rows, of all tables.
    pub rows: u64,
    /// How many bytes, as in [`Counted`].
    pub bytes: u64,
    /// Each of the first 1,000 tables.
    pub tables: Vec<Counted>,
    /// What is wrong, and what there is to know.
    #[serde(flatten)]
    pub evidence: Evidence,
}

impl Default for Walk {
    fn default() -> Self {
        Self::in_steps_of(FIRST_STEP)
    }
}

/// Goes on with checking a restored database, as far as the time that is `left` allows: [`Walk::is_over`] says whether that was everything,
/// [`Walk::evidence`] what is wrong. It writes nothing.
///
/// `expected` is what its recovery point says; without that, counts are only recorded. It must be the same each time.
///
/// First SQLite checks all pages; then every column of every row of every table is read, within the server, and the rows are counted once
/// more by the shortest way, which is an index where there is one.
///
/// An error is of no one table: no answer came, or the token is refused. What was done until then is in `walk`, so try again. What
/// comes to nothing again and again is a finding at last, and is gone past.
pub async fn check(
    turso: &impl Turso,
    at: &Session,
    expected: Option<&Expected>,
    walk: &mut Walk,
    mut left: impl FnMut() -> Duration,
) -> Result<()> {
    while !walk.is_over && left() >= LEAST {
        let done = if walk.integrity == Integrity::NotYet {
            walk.check_pages(turso, at).await
        } else {
            walk.go_on(turso, at, expected, &mut left).await
        };
        let Err(error) = done else { continue };
        let fault = Fault::lost(&error);
        if fault.kind == FaultKind::Corrupt {
            // A server that cannot even read the schema answers no cursor.
            walk.damaged(fault);
        } else {
            walk.lost(&error);
            return Err(error);
        }
    }
    Ok(())
}

impl Walk {
    /// One whose first range has so many rows.
    pub fn in_steps_of(rows: u64) -> Self {
        Self {
            done: None,
            under_way: None,
            step_rows: rows.max(1),
            attempts: 0,
            is_over: false,
            integrity: Integrity::NotYet,
            tables_read: 0,
            rows: 0,
            bytes: 0,
            tables: Vec::new(),
            evidence: Evidence::default(),
        }
    }

    async fn check_pages(&mut self, turso: &impl Turso, at: &Session) -> Result<()> {
        let checked = match integrity(turso, at, None, Thoroughness::Full).await {
            // A server that does not take the statement at all.
            Err(error) if error.code() == "TursoRequestInvalid" => {
                self.leave_pages(error.report());
                return Ok(());
            }
            checked => checked?,
        };
        match checked {
            Ok(complaints) => {
                self.complain(None, complaints);
                self.integrity = Integrity::Whole;
            }
            Err(fault) => match fault.kind {
                FaultKind::Unavailable => self.integrity = Integrity::ByTable,
                FaultKind::Corrupt => {
                    self.evidence.find(Finding::new(None, fault));
                    self.integrity = Integrity::Whole;
                }
                _ => self.leave_pages(fault.to_string()),
            },
        }
        self.attempts = 0;
        Ok(())
    }

    /// Tells of the first complaints. What is damaged in one place gives hundreds.
    fn complain(&mut self, table: Option<&str>, complaints: Vec<Fault>) {
        self.evidence.more_findings += complaints.len().saturating_sub(COMPLAINTS) as u64;
        complaints
            .into_iter()
            .take(COMPLAINTS)
            .for_each(|complaint| self.evidence.find(Finding::new(table, complaint)));
    }

    /// The pages are not checked.
    fn leave_pages(&mut self, why: String) {
        self.evidence.note(Note::new(None, Remark::PagesNotChecked, Some(why)));
        self.integrity = Integrity::NotChecked;
        self.attempts = 0;
    }

    async fn go_on(
        &mut self,
        turso: &impl Turso,
        at: &Session,
        expected: Option<&Expected>,
        left: &mut impl FnMut() -> Duration,
    ) -> Result<()> {
        let all = match tables(turso, at).await? {
            Ok(all) => all,
            Err(fault) if fault.kind == FaultKind::Unavailable => {
                return Err(Error::retryable("CursorFailed", format!("{}: {fault}", at.hostname)));
            }
            Err(fault) => {
                // There is no more to be had of it.
                self.evidence.find(Finding::new(None, fault));
                self.is_over = true;
                return Ok(());
            }
        };
        for table in &all {
            if self.done.as_ref().is_some_and(|done| *done >= table.name) {
                continue;
            }
            if self.under_way.as_ref().is_none_or(|under_way| under_way.table != table.name) {
                self.under_way = Some(UnderWay { table: table.name.clone(), ..UnderWay::default() });
            }
            while self.under_way.is_some() {
                if left() < LEAST {
                    return Ok(());
                }
                self.step(turso, at, table, expected).await?;
            }
        }
        self.compare(&all, expected);
        self.is_over = true;
        Ok(())
    }

    async fn step(
        &mut self,
        turso: &impl Turso,
        at: &Session,
        table: &Table,
        expected: Option<&Expected>,
    ) -> Result<()> {
        let Some(under_way) = self.under_way.clone() else { return Ok(()) };
        if !under_way.is_read {
            let after = After { rowid: under_way.after, rows: under_way.rows };
            let begun = Instant::now();
            return match table.read(turso, at, after, self.step_rows).await? {
                Ok(tally) => {
                    let is_last = tally.rows < self.step_rows;
                    if let Some(under_way) = &mut self.under_way {
                        under_way.rows += tally.rows;
                        under_way.bytes += tally.bytes;
                        under_way.after = tally.last.or(under_way.after);
                        under_way.is_read = is_last;
                    }
                    self.step_rows = next_step(self.step_rows, is_last, begun.elapsed());
                    self.attempts = 0;
                    Ok(())
                }
                Err(fault) => self.failed(at, table, fault),
            };
        }
        if self.integrity == Integrity::ByTable {
            return self.check_table(turso, at, table, expected).await;
        }
        match table.count(turso, at).await? {
            Ok(rows) if rows != under_way.rows => {
                let said = format!(
                    "{} rows were read, and an index or the table itself counts {rows}: some are lost",
                    under_way.rows
                );
                self.evidence.find(Finding::new(Some(&table.name), Fault::new(FaultKind::Corrupt, said)));
                self.close(expected, false);
            }
            Ok(_) => self.close(expected, true),
            Err(fault) => return self.failed(at, table, fault),
        }
        Ok(())
    }

    /// The pages of one table, and its indexes.
    async fn check_table(
        &mut self,
        turso: &impl Turso,
        at: &Session,
        table: &Table,
        expected: Option<&Expected>,
    ) -> Result<()> {
        let is_quick = self.under_way.as_ref().is_some_and(|under_way| under_way.is_quick);
        let thoroughness = if is_quick { Thoroughness::Quick } else { Thoroughness::Full };
        match integrity(turso, at, Some(&table.name), thoroughness).await? {
            Ok(complaints) => {
                if is_quick {
                    self.evidence.note(Note::new(Some(&table.name), Remark::IndexesNotChecked, None));
                }
                let is_whole = complaints.is_empty();
                self.complain(Some(&table.name), complaints);
                self.close(expected, is_whole);
            }
            Err(fault) if fault.kind == FaultKind::Unavailable => self.too_slow(&table.name, expected),
            Err(fault) => {
                self.evidence.find(Finding::new(Some(&table.name), fault));
                self.close(expected, false);
            }
        }
        Ok(())
    }

    /// Checking a table took too long: the quick way, or not at all.
    fn too_slow(&mut self, table: &str, expected: Option<&Expected>) {
        match &mut self.under_way {
            Some(under_way) if !under_way.is_quick => under_way.is_quick = true,
            _ => {
                self.evidence.note(Note::new(Some(table), Remark::TableNotChecked, None));
                self.close(expected, true);
            }
        }
        self.attempts = 0;
    }

    /// A range could not be read, or the rows not be counted.
    fn failed(&mut self, at: &Session, table: &Table, fault: Fault) -> Result<()> {
        if fault.kind == FaultKind::Unavailable {
            // As if no answer had come.
            return Err(Error::retryable("CursorFailed", format!("{}: {fault}", at.hostname)));
        }
        let rows = self.under_way.as_ref().map_or(0, |under_way| under_way.rows);
        let message = format!("after {rows} rows: {}", fault.message);
        self.evidence.find(Finding::new(Some(&table.name), Fault { message, ..fault }));
        self.close(None, false);
        Ok(())
    }

    /// The next piece of work cannot be done, because of what is stored.
    fn damaged(&mut self, fault: Fault) {
        let table = self.under_way.as_ref().map(|under_way| under_way.table.clone());
        self.evidence.find(Finding::new(table.as_deref(), fault));
        match table {
            Some(_) => self.close(None, false),
            None if self.integrity == Integrity::NotYet => self.integrity = Integrity::Whole,
            None => self.is_over = true,
        }
    }

    /// No answer came to the next piece of work.
    fn lost(&mut self, error: &Error) {
        if error.kind() != Kind::Retryable {
            // The token, or the database, is the caller's to mend.
            return;
        }
        self.attempts += 1;
        self.step_rows = (self.step_rows / 4).max(1);
        if self.attempts < ATTEMPTS {
            return;
        }
        match self.under_way.take() {
            None if self.integrity == Integrity::NotYet => {
                let why = error.report();
                // As sqld says it, with status 500, of a PRAGMA that it does not carry out. Otherwise it is too much at once.
                if why.contains("unsupported statement") {
                    self.leave_pages(why);
                } else {
                    (self.integrity, self.attempts) = (Integrity::ByTable, 0);
                }
            }
            // The schema cannot be read. Whether it ever can is the caller's to wait for.
            None => {}
            Some(under_way) if under_way.is_read && self.integrity == Integrity::ByTable => {
                let table = under_way.table.clone();
                self.under_way = Some(under_way);
                self.too_slow(&table, None);
            }
            Some(under_way) if self.step_rows > 1 => {
                // There are smaller pieces.
                self.under_way = Some(under_way);
            }
            Some(under_way) => {
                self.evidence.find(Finding::new(Some(&under_way.table), Fault::lost(error)));
                self.under_way = Some(under_way);
                self.close(None, false);
            }
        }
    }

    /// Done with the table under way. Without `expected` its rows are compared with nothing: not all were read.
    fn close(&mut self, expected: Option<&Expected>, is_whole: bool) {
        let Some(UnderWay { table, rows, bytes, .. }) = self.under_way.take() else { return };
        let told = match expected {
            Some(Expected::Rows(tables)) => tables.get(&table).copied(),
            _ => None,
        };
        if let Some(told) = told.filter(|told| *told != rows) {
            let said = format!("{rows} rows are there, and the recovery point has {told}");
            self.evidence.find(Finding::new(Some(&table), Fault::new(FaultKind::Different, said)));
        }
        self.tables_read += 1;
        self.rows += rows;
        self.bytes += bytes;
        self.attempts = 0;
        if self.tables.len() < TABLES_TOLD {
            self.tables.push(Counted { table: table.clone(), rows, bytes, is_whole });
        }
        self.done = Some(table);
    }

    /// Compares which tables there are.
    fn compare(&mut self, all: &[Table], expected: Option<&Expected>) {
        let Some(expected) = expected else {
            self.evidence.note(Note::new(None, Remark::NotCompared, None));
            return;
        };
        let is_there = |name: &str| all.iter().any(|table| table.name == name);
        for name in expected.tables().keys().filter(|name| !is_there(name)) {
            let fault = Fault::new(FaultKind::Different, "the table is not there");
            self.evidence.find(Finding::new(Some(name), fault));
        }
        if let Expected::Rows(tables) = expected {
            for table in all.iter().filter(|table| !tables.contains_key(&table.name)) {
                let fault = Fault::new(FaultKind::Different, "the recovery point has no such table");
                self.evidence.find(Finding::new(Some(&table.name), fault));
            }
        }
    }
}

/// How many rows to take next, after a range took so long.
const fn next_step(step: u64, is_last: bool, took: Duration) -> u64 {
    if took.as_millis() > SLOW.as_millis() {
        if step > 1 { step / 2 } else { 1 }
    } else if took.as_millis() < QUICK.as_millis() && !is_last {
        // A short last range says nothing about the size.
        step.saturating_mul(2)
    } else {
        step
    }
}
