//! Going through every shard, database and key, in as many invocations as it takes.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use reconcile::{Error, Result};
use secrets::Credentials;
use serde::{Deserialize, Serialize};

use super::{Evidence, Expected, Fault, FaultKind, Finding, Note, Place, Remark, judge::judge, pass::Pass};
use crate::server::{NOT_REACHED, Server, Servers, UNREADABLE, shards};

/// So many keys of each type are read, of each database and shard.
pub const SAMPLE: u32 = 20;
/// With less time left than this, nothing is begun: it would only be cut off.
const LEAST: Duration = Duration::from_secs(1);
/// The longest that one question may take.
const LONGEST: Duration = Duration::from_mins(1);
/// How often the same piece of work may lose the connection, until it is given up.
const ATTEMPTS: u32 = 3;

/// A shard: where its primary is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shard {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The database under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct UnderWay {
    /// Where `SCAN` goes on; `None` before the first page.
    pub(super) cursor: Option<String>,
    /// How many keys of each type were read.
    pub(super) sampled: BTreeMap<String, u32>,
}

/// What was found in a database, in all shards together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    /// How many keys, by `DBSIZE`; of those that have expired, some may be among them.
    pub keys: u64,
    /// How many keys `SCAN` gave; some it may have given twice.
    pub listed: u64,
    /// Whether every key was listed.
    pub is_whole: bool,
    /// Whether every shard counted its keys.
    pub is_counted: bool,
}

/// How far a walk through a restored server is, and what it found. A document: what one invocation leaves, another goes on from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Walk {
    /// Those that are to be gone through, once they are known; those before `shard` are done.
    pub(super) shards: Option<Vec<Shard>>,
    pub(super) shard: usize,
    /// Databases of this shard that are to be gone through, the last first, once they are known.
    pub(super) databases: Option<Vec<u32>>,
    pub(super) under_way: UnderWay,
    /// How often in a row the next piece lost the connection.
    attempts: u32,
    /// When the keys were counted last.
    pub(super) counted_at: Option<Timestamp>,
    /// Whether everything was gone through, and compared.
    pub is_over: bool,
    /// What was found in each database.
    pub counted: BTreeMap<u32, Counted>,
    /// How many keys of each type `SCAN` gave, as `TYPE` names them; some it may have given twice.
    pub types: BTreeMap<String, u64>,
    /// How many keys of each type were read.
    pub read: BTreeMap<String, u64>,
    /// Function libraries: of the shard that has the fewest.
    pub functions: Option<u64>,
    /// What is wrong, and what there is to know.
    #[serde(flatten)]
    pub evidence: Evidence,
}

/// Goes on with checking a restored server, as far as the time that is `left` allows: [`Walk::is_over`] says whether that was
/// everything, [`Walk::evidence`] what is wrong. It writes nothing.
///
/// `server` is any node of it. `expected` is what its recovery point says; without that, counts are only recorded. It must be the same each
/// time.
///
/// Every key is listed, and its type asked, in pages of a thousand; of each type, database and shard the first [`SAMPLE`] keys that come are
/// read. They come in the order of their hashes.
///
/// An error is of no one key: there is no connection, or it was lost. What was done until then is in `walk`, so try again. What loses the
/// connection again and again is a finding at last, and is gone past.
pub async fn check<S: Servers>(
    servers: &S,
    server: &Server,
    credentials: Option<&Credentials>,
    expected: Option<&Expected>,
    walk: &mut Walk,
    now: Timestamp,
    mut left: impl FnMut() -> Duration,
) -> Result<()> {
    while !walk.is_over && is_time(left()) {
        let Some(all) = &walk.shards else {
            find_shards(servers, server, credentials, walk).await?;
            continue;
        };
        let Some(Shard { host, port }) = all.get(walk.shard).cloned() else {
            judge(walk, expected, now);
            walk.is_over = true;
            continue;
        };
        let server = Server { host, port, tls: server.tls };
        // Whom nothing connects to is nobody's fault but the server's, and the caller's to wait for.
        let connection = servers.connect(&server, credentials).await?;
        let mut pass = Pass { servers, server, credentials, expected, now, left: &mut left };
        if let Err(error) = pass.go_on(connection, walk).await {
            walk.lost(&error);
            return Err(error);
        }
    }
    Ok(())
}

async fn find_shards<S: Servers>(
    servers: &S,
    server: &Server,
    credentials: Option<&Credentials>,
    walk: &mut Walk,
) -> Result<()> {
    let mut connection = servers.connect(server, credentials).await?;
    let primaries = match shards(&mut connection, server, LONGEST).await {
        Ok(found) => {
            if found.missing_slots > 0 {
                let said = format!(
                    "of the 16,384 slots of the cluster, {} have no server: their keys are nowhere",
                    found.missing_slots
                );
                walk.evidence.find(Finding::new(Place::default(), Fault::new(FaultKind::Different, said)));
            }
            found.primaries
        }
        Err(error) if [NOT_REACHED, UNREADABLE].contains(&error.code()) => return Err(error),
        Err(_) => {
            walk.evidence.note(Note::new(Place::default(), Remark::ShardsNotTold));
            vec![server.clone()]
        }
    };
    let shard = |server: Server| Shard { host: server.host, port: server.port };
    walk.shards = Some(primaries.into_iter().map(shard).collect());
    Ok(())
}

impl Walk {
    /// The place of the shard that is gone through.
    pub(super) fn place(&self, database: Option<u32>) -> Place {
        let all = self.shards.as_deref().unwrap_or_default();
        // Of one alone nothing is to be said.
        let shard = all
            .get(self.shard)
            .filter(|_| all.len() > 1)
            .map(|shard| format!("{}:{}", shard.host, shard.port));
        Place { shard, database, ..Place::default() }
    }

    /// The database that is gone through.
    pub(super) fn database(&self) -> Option<u32> {
        self.databases.as_ref().and_then(|databases| databases.last().copied())
    }

    /// Something was done.
    pub(super) fn advanced(&mut self) {
        self.attempts = 0;
    }

    /// Done with the database that is gone through.
    pub(super) fn leave_database(&mut self) {
        if let Some(databases) = &mut self.databases {
            databases.pop();
        }
        self.under_way = UnderWay::default();
        self.advanced();
    }

    /// Done with the shard that is gone through.
    pub(super) fn leave_shard(&mut self) {
        self.shard += 1;
        self.databases = None;
        self.under_way = UnderWay::default();
        self.advanced();
    }

    /// Gives up a database.
    pub(super) fn give_up(&mut self, database: u32, fault: Fault) {
        self.evidence.find(Finding::new(self.place(Some(database)), fault));
        let counted = self.counted.entry(database).or_default();
        counted.is_whole = false;
        self.leave_database();
    }

    /// The connection was lost over the next piece of work.
    fn lost(&mut self, error: &Error) {
        // Before the databases are known it is no one of them that is at fault.
        let Some(database) = self.database() else { return };
        self.attempts += 1;
        if self.attempts >= ATTEMPTS {
            self.give_up(database, Fault::new(FaultKind::Unavailable, error.report()));
        }
    }
}

/// How long a question may take.
pub(super) fn within(left: Duration) -> Duration {
    left.clamp(LEAST, LONGEST)
}

/// Whether there is time to begin something.
pub(super) fn is_time(left: Duration) -> bool {
    left >= LEAST
}
