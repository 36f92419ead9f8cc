//! One shard: its keys are counted, listed, and some of them read.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use jiff::Timestamp;
use reconcile::{Error, Result};
use secrets::Credentials;

use super::{
    Counted, Expected, Fault, Finding, Note, Place, Remark, SAMPLE, Walk,
    keys::{self, Found, page},
    walk::{is_time, within},
};
use crate::{
    rdb::Keys,
    server::{Connection, Reply, Server, Servers, TOO_LARGE, UNREADABLE},
};

/// How many keys `SCAN` is asked for at once.
const PAGE: &str = "1000";
/// No server has more databases that are of interest.
const DATABASES: usize = 1_024;

/// What the work on one shard needs.
pub(super) struct Pass<'p, S, L> {
    pub(super) servers: &'p S,
    pub(super) server: Server,
    pub(super) credentials: Option<&'p Credentials>,
    pub(super) expected: Option<&'p Expected>,
    pub(super) now: Timestamp,
    pub(super) left: &'p mut L,
}

impl<S: Servers, L: FnMut() -> Duration> Pass<'_, S, L> {
    /// Goes on with the shard, until it is done with or too little time is left.
    pub(super) async fn go_on(&mut self, mut connection: S::Connection, walk: &mut Walk) -> Result<()> {
        if walk.databases.is_none() {
            self.functions(&mut connection, walk).await?;
            self.count(&mut connection, walk).await?;
        }
        while let Some(database) = walk.database() {
            if let Some(words) = self.select(&mut connection, database).await? {
                walk.give_up(database, Fault::refused("SELECT", &words));
                continue;
            }
            while walk.database() == Some(database) {
                if !is_time((self.left)()) {
                    return Ok(());
                }
                connection = self.page(connection, database, walk).await?;
            }
        }
        walk.leave_shard();
        Ok(())
    }

    async fn connect(&self) -> Result<S::Connection> {
        self.servers.connect(&self.server, self.credentials).await
    }

    fn within(&mut self) -> Duration {
        within((self.left)())
    }

    async fn ask(&mut self, connection: &mut S::Connection, command: &[&str]) -> Result<Reply> {
        let within = self.within();
        connection.ask(command, within).await
    }

    /// Goes to a database; the server's words if it does not let us. A connection begins in 0, and there are servers that know no other, nor
    /// the command.
    async fn select(&mut self, connection: &mut S::Connection, database: u32) -> Result<Option<String>> {
        let reply = self.ask(connection, &["SELECT", &database.to_string()]).await?;
        Ok(reply.refusal().filter(|_| database != 0).map(str::to_owned))
    }

    /// Counts the keys of each database.
    async fn count(&mut self, connection: &mut S::Connection, walk: &mut Walk) -> Result<()> {
        let place = walk.place(None);
        let info = self.ask(connection, &["INFO", "keyspace"]).await?;
        let told = info.text().map(keyspace);
        if told.is_none() {
            walk.evidence.note(Note::new(place, Remark::DatabasesNotTold));
        }
        let mut databases: BTreeSet<u32> = told.unwrap_or_default();
        let should = |(database, keys): (&u32, &Keys)| (keys.total > 0).then_some(*database);
        databases
            .extend(self.expected.iter().flat_map(|expected| expected.databases.iter().filter_map(should)));
        databases.insert(0);
        let databases: Vec<u32> = databases.into_iter().take(DATABASES).collect();
        let mut counts = Vec::new();
        for database in &databases {
            counts.push(match self.select(connection, *database).await? {
                None => self.ask(connection, &["DBSIZE"]).await?,
                Some(words) => Reply::Refused(words),
            });
        }
        // Only now that all have come: what was counted before the connection was lost would be counted twice.
        for (database, count) in databases.iter().zip(counts) {
            let counted = walk.counted.entry(*database).or_insert(Counted {
                is_whole: true,
                is_counted: true,
                ..Counted::default()
            });
            match count.integer().and_then(|keys| u64::try_from(keys).ok()) {
                Some(keys) => counted.keys += keys,
                None => {
                    counted.is_counted = false;
                    walk.evidence.note(Note::new(walk.place(Some(*database)), Remark::NotCounted));
                }
            }
        }
        walk.counted_at = Some(self.now);
        walk.databases = Some(databases.into_iter().rev().collect());
        Ok(())
    }

    /// Counts the function libraries; each shard has them all.
    async fn functions(&mut self, connection: &mut S::Connection, walk: &mut Walk) -> Result<()> {
        if self.expected.is_none_or(|expected| expected.functions == 0) {
            return Ok(());
        }
        let reply = self.ask(connection, &["FUNCTION", "LIST"]).await?;
        match reply.many() {
            Some(all) => {
                let found = all.len() as u64;
                walk.functions = Some(walk.functions.map_or(found, |fewest| fewest.min(found)));
            }
            None => walk.evidence.note(Note::new(walk.place(None), Remark::FunctionsNotTold)),
        }
        Ok(())
    }

    /// The next page of keys: their types, and some of them read. The connection, or another one if it was lost over a key.
    async fn page(
        &mut self,
        mut connection: S::Connection,
        database: u32,
        walk: &mut Walk,
    ) -> Result<S::Connection> {
        let cursor = walk.under_way.cursor.clone().unwrap_or_else(|| "0".to_owned());
        let reply = self.ask(&mut connection, &["SCAN", &cursor, "COUNT", PAGE]).await?;
        if let Some(words) = reply.refusal() {
            if is_unknown(words) {
                walk.evidence.note(Note::new(walk.place(Some(database)), Remark::NotListed));
                walk.counted.entry(database).or_default().is_whole = false;
                walk.leave_database();
            } else {
                walk.give_up(database, Fault::refused("SCAN", words));
            }
            return Ok(connection);
        }
        let unreadable =
            || Error::retryable(UNREADABLE, format!("{} answers SCAN otherwise", self.server.host));
        let (next, keys) = reply.many().and_then(page).ok_or_else(unreadable)?;
        let keys: Option<Vec<&[u8]>> = keys.iter().map(Reply::bytes).collect();
        let (next, keys) = (next.to_owned(), keys.ok_or_else(unreadable)?);
        let types = match self.types(&mut connection, &keys).await? {
            Ok(types) => types,
            Err(fault) => {
                walk.give_up(database, fault);
                return Ok(connection);
            }
        };

        let mut sample = Sample { sampled: walk.under_way.sampled.clone(), read: BTreeMap::new(), database };
        for (key, kind) in keys.iter().zip(&types) {
            if kind != "none" && sample.wants(kind) {
                connection = self.key(connection, key, kind, &mut sample, walk).await?;
            }
        }
        // What was found on a page counts once it is done with.
        for kind in types.into_iter().filter(|kind| kind != "none") {
            walk.counted.entry(database).or_default().listed += 1;
            *walk.types.entry(kind).or_default() += 1;
        }
        for (kind, read) in sample.read {
            *walk.read.entry(kind).or_default() += read;
        }
        walk.under_way.sampled = sample.sampled;
        walk.advanced();
        if next == "0" {
            walk.leave_database();
        } else {
            walk.under_way.cursor = Some(next);
        }
        Ok(connection)
    }

    /// The types of keys, in their order; `none` of one that is gone.
    async fn types(
        &mut self,
        connection: &mut S::Connection,
        keys: &[&[u8]],
    ) -> Result<Result<Vec<String>, Fault>> {
        let commands: Vec<Vec<&[u8]>> = keys.iter().map(|key| vec![b"TYPE".as_slice(), key]).collect();
        let replies = connection.ask_all(&commands, self.within()).await?;
        let kind = |reply: &Reply| match reply {
            Reply::Refused(words) => Err(Fault::refused("TYPE", words)),
            reply => Ok(reply.text().unwrap_or("unknown").to_owned()),
        };
        Ok(replies.iter().map(kind).collect())
    }

    async fn key(
        &mut self,
        mut connection: S::Connection,
        key: &[u8],
        kind: &str,
        sample: &mut Sample,
        walk: &mut Walk,
    ) -> Result<S::Connection> {
        let place = walk.place(Some(sample.database));
        match keys::read(&mut connection, kind, key, self.within()).await {
            Ok(Found::Gone) => return Ok(connection),
            Ok(Found::Sound) => *sample.read.entry(kind.to_owned()).or_default() += 1,
            Ok(Found::NotRead) => {
                let place = Place { kind: Some(kind.to_owned()), ..place };
                walk.evidence.note(Note::new(place, Remark::TypeNotRead));
            }
            Ok(Found::FieldsMayHaveExpired) => {
                walk.evidence.note(Note::new(place.of_key(kind, key), Remark::FieldsMayHaveExpired));
            }
            Ok(Found::Wrong(fault)) => walk.evidence.find(Finding::new(place.of_key(kind, key), fault)),
            Err(error) if error.code() == TOO_LARGE => {
                walk.evidence.note(Note::new(place.of_key(kind, key), Remark::TooLarge));
                connection = self.connect().await?;
                if let Some(words) = self.select(&mut connection, sample.database).await? {
                    let said = format!("{} no longer lets us select a database: {words}", self.server.host);
                    return Err(Error::retryable(UNREADABLE, said));
                }
            }
            Err(error) => return Err(error),
        }
        *sample.sampled.entry(kind.to_owned()).or_default() += 1;
        Ok(connection)
    }
}

/// The keys of a page that are read.
struct Sample {
    sampled: BTreeMap<String, u32>,
    read: BTreeMap<String, u64>,
    database: u32,
}

impl Sample {
    fn wants(&self, kind: &str) -> bool {
        self.sampled.get(kind).is_none_or(|sampled| *sampled < SAMPLE)
    }
}

/// Whether a server, or who runs it, does not have the command at all.
fn is_unknown(words: &str) -> bool {
    words.starts_with("ERR unknown command")
}

/// The databases that have keys: lines such as `db0:keys=1,expires=0,avg_ttl=0`.
fn keyspace(text: &str) -> BTreeSet<u32> {
    let number = |line: &str| line.strip_prefix("db")?.split_once(':')?.0.parse().ok();
    text.lines().filter_map(number).collect()
}
