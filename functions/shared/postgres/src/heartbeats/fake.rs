//! Databases in memory that take heartbeats, whose calls a test can break.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use heartbeat::{Heartbeat, KEEP, Place, Row};
use reconcile::{Error, Result};
use secrecy::ExposeSecret;
use secrets::Credentials;

use super::Tables;
use crate::{NOT_REACHED, Server};

/// Databases by `host/database`. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct FakeTables(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    databases: BTreeMap<String, Database>,
    faults: VecDeque<(&'static str, Fault)>,
    calls: Vec<String>,
}

#[derive(Debug, Default)]
struct Database {
    password: String,
    rows: Vec<Row>,
}

#[derive(Debug)]
enum Fault {
    Refuse(Error),
    LoseAnswer,
    Hang,
}

impl FakeTables {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an empty one, which lets nobody in but who knows the password.
    pub fn add(&self, place: &str, password: &str) {
        let database = Database { password: password.to_owned(), rows: Vec::new() };
        self.state().databases.insert(place.to_owned(), database);
    }

    /// Its rows, the newest first.
    pub fn rows(&self, place: &str) -> Vec<Row> {
        self.state().databases.get(place).map(|database| database.rows.clone()).unwrap_or_default()
    }

    /// Somebody changes its rows.
    pub fn change(&self, place: &str, change: impl FnOnce(&mut Vec<Row>)) {
        if let Some(database) = self.state().databases.get_mut(place) {
            change(&mut database.rows);
        }
    }

    /// Its password is another one from now on.
    pub fn set_password(&self, place: &str, password: &str) {
        if let Some(database) = self.state().databases.get_mut(place) {
            password.clone_into(&mut database.password);
        }
    }

    /// The next `connect`, `read` or `write` answers `error` and does nothing.
    pub fn refuse_next(&self, call: &'static str, error: Error) {
        self.state().faults.push_back((call, Fault::Refuse(error)));
    }

    /// The next one takes effect, and its answer is lost.
    pub fn lose_answer_of_next(&self, call: &'static str) {
        self.state().faults.push_back((call, Fault::LoseAnswer));
    }

    /// The next one never answers.
    pub fn hang_next(&self, call: &'static str) {
        self.state().faults.push_back((call, Fault::Hang));
    }

    /// Every call so far: `write orders.example/shop`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    async fn call<T>(
        &self,
        call: &'static str,
        place: &str,
        effect: impl FnOnce(&mut Database) -> Result<T>,
    ) -> Result<T> {
        let fault = {
            let mut state = self.state();
            state.calls.push(format!("{call} {place}"));
            let waiting = state.faults.iter().position(|(at, _)| *at == call);
            waiting.and_then(|at| state.faults.remove(at)).map(|(_, fault)| fault)
        };
        match fault {
            Some(Fault::Refuse(error)) => return Err(error),
            Some(Fault::Hang) => pending().await,
            _ => {}
        }
        let lost = |why: &str| Error::retryable(NOT_REACHED, format!("cannot {call} {place}: {why}"));
        let done = effect(self.state().databases.get_mut(place).ok_or_else(|| lost("nobody is there"))?)?;
        if matches!(fault, Some(Fault::LoseAnswer)) { Err(lost("the answer was lost")) } else { Ok(done) }
    }
}

impl Tables for FakeTables {
    type Table = FakeTable;

    async fn table(&self, server: &Server, credentials: &Credentials) -> Result<FakeTable> {
        let place = format!("{}/{}", server.host, server.database);
        let enter = |database: &mut Database| {
            if credentials.password.expose_secret() == database.password {
                return Ok(());
            }
            Err(Error::misconfigured("28P01", "the password is another one"))
        };
        self.call("connect", &place, enter).await?;
        Ok(FakeTable { tables: self.clone(), place })
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub struct FakeTable {
    tables: FakeTables,
    place: String,
}

fn position(row: &Row) -> u64 {
    row.number.parse().unwrap_or(0)
}

impl Place for FakeTable {
    type Error = Error;

    async fn read(&mut self, count: u32) -> Result<Vec<Row>> {
        let newest = |database: &mut Database| {
            database.rows.sort_by_key(|row| Reverse(position(row)));
            Ok(database.rows.iter().take(count as usize).cloned().collect())
        };
        self.tables.call("read", &self.place, newest).await
    }

    async fn write(&mut self, heartbeat: &Heartbeat) -> Result<bool> {
        let insert = |database: &mut Database| {
            let is_newest = database.rows.iter().all(|row| position(row) < heartbeat.number());
            if is_newest {
                database.rows.insert(0, Row::from(heartbeat));
                database.rows.truncate(KEEP as usize);
            }
            Ok(is_newest)
        };
        self.tables.call("write", &self.place, insert).await
    }
}
