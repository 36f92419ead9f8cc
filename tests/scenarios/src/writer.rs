use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use tokio::task::JoinHandle;

use crate::Database;

/// One committed row, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Its number; they are given without gaps.
    pub number: i64,
    /// Before the client sent it.
    pub begun: Timestamp,
    /// After the server had said that it is committed.
    pub acknowledged: Timestamp,
}

/// Commits numbered rows into the table `commits`, one transaction each, until it is stopped.
pub struct Writer {
    stop: Arc<AtomicBool>,
    log: Arc<Mutex<Vec<Commit>>>,
    task: JoinHandle<Result<()>>,
}

/// Between two commits.
const PAUSE: Duration = Duration::from_millis(4);

impl Writer {
    /// Makes the table and begins.
    pub async fn start(database: Database) -> Result<Self> {
        database.run("CREATE TABLE commits (number bigint PRIMARY KEY, note text NOT NULL)").await?;
        let (stop, log) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let task = tokio::spawn(write(database, Arc::clone(&stop), Arc::clone(&log)));
        Ok(Self { stop, log, task })
    }

    /// What was committed so far.
    pub fn commits(&self) -> Vec<Commit> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops, and gives all that was committed.
    pub async fn stop(self) -> Result<Vec<Commit>> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the writer panicked")??;
        Ok(self.log.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

async fn write(database: Database, stop: Arc<AtomicBool>, log: Arc<Mutex<Vec<Commit>>>) -> Result<()> {
    let mut number = 0;
    let mut pace = tokio::time::interval(PAUSE);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        number += 1;
        let begun = Timestamp::now();
        database.run(&format!("INSERT INTO commits VALUES ({number}, 'written at {begun}')")).await?;
        let commit = Commit { number, begun, acknowledged: Timestamp::now() };
        log.lock().unwrap_or_else(PoisonError::into_inner).push(commit);
    }
    Ok(())
}
