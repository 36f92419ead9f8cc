//! What a test decides about Turso from outside, because no request can bring it about.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::database::{Database, Life};
use crate::{Error, Fault, LocalTurso, Speed};

/// How the endpoint of a database goes wrong, until [`LocalTurso::clear_troubles`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// `/info`, `/export` and `/sync` answer 404, as every server but Turso's own.
    NoPageExport,
    /// `/sync` answers this status, without the end marker, to requests for this frame (from 1) or later ones.
    SyncFails {
        /// HTTP status; 400 and 500 are what a careless client takes for the end.
        status: u16,
        /// Requests that end before this frame go well.
        from_frame: u64,
    },
    /// The body of `/export` ends after so many bytes.
    ExportCut {
        /// Bytes that still come.
        after_bytes: u64,
        /// True: as if that were all. False: the connection breaks.
        clean: bool,
    },
    /// `/export` answers a request for the bytes from N on with 206 and those. Whether Turso's servers do so is not documented;
    /// without this, all bytes come.
    KnowsRanges,
    /// The last frame of each answer of `/sync` is cut in half, and the answer ends as if that were all.
    FrameTorn,
    /// The answer of `/v3/cursor` ends after so many lines.
    CursorCut {
        /// Lines that still come.
        after_lines: u64,
        /// True: as if that were all. False: the connection breaks.
        clean: bool,
    },
    /// Bodies of answers come in pieces of so many bytes, with a pause after each.
    Slow {
        /// Bytes in a piece; 0 counts as 1.
        piece_bytes: usize,
        /// Between two pieces.
        pause: Duration,
    },
    /// A checkpoint comes between `/info` and whatever follows it, each time.
    CheckpointAfterInfo,
    /// `/v1/upload` reads everything, then answers this status; the database stays empty.
    UploadFails {
        /// HTTP status.
        status: u16,
    },
}

/// What an organization pays for, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `starter`, `developer`, `scaler`, `pro`.
    pub id: String,
    /// How far back a branch can begin.
    pub pitr_window: SignedDuration,
    /// How many databases there may be; one more is refused with 402.
    pub databases: Option<usize>,
}

impl Plan {
    /// A plan of Turso's by its name, with the window that Turso gives it: `starter` (free) 1 day, `developer` 10, `scaler`
    /// 30, `pro` 90. Without a limit to the number of databases.
    pub fn named(id: &str) -> Option<Self> {
        let days = match id {
            "starter" => 1,
            "developer" => 10,
            "scaler" => 30,
            "pro" => 90,
            _ => return None,
        };
        Some(Self { id: id.to_owned(), pitr_window: SignedDuration::from_hours(24 * days), databases: None })
    }
}

impl LocalTurso {
    fn database(&self, name: &str) -> Result<Arc<Database>, Error> {
        self.plane().database(name).ok_or_else(|| Error::Database(name.to_owned()))
    }

    /// Changes the speed.
    pub fn set_speed(&self, speed: Speed) {
        self.plane().speed.send_replace(speed);
    }

    /// Changes the plan; `starter` at first.
    pub fn set_plan(&self, plan: Plan) {
        self.plane().state().plan = plan;
    }

    /// What else the organization's owner belongs to, by slug; nothing at first.
    pub fn set_other_organizations(&self, slugs: &[&str]) {
        self.plane().state().other_organizations = slugs.iter().map(|slug| (*slug).to_owned()).collect();
    }

    /// A token for the Platform API ends at that time; with `None` never.
    pub fn expire_token(&self, token: &str, at: Option<Timestamp>) {
        let mut state = self.plane().state();
        let mut tokens = state.api_tokens.iter_mut();
        if let Some(found) = tokens.find(|known| known.is(token)) {
            found.expire(at);
        }
    }

    /// Lists of databases come in pages of at most so many, whatever `limit` a request asks for. `None`: no more than asked.
    pub fn set_page_size(&self, databases: Option<usize>) {
        self.plane().state().page_size = databases;
    }

    /// Takes all that is committed in a database into its history: a branch at any time from now on has it.
    pub async fn archive_now(&self, database: &str) -> Result<(), Error> {
        self.database(database)?.look(Duration::ZERO).await.map_err(Error::work)
    }

    /// A checkpoint: sqld's WAL is moved into its file, and the page export goes on with the next generation, whose
    /// number is returned.
    pub async fn checkpoint(&self, database: &str) -> Result<u64, Error> {
        crate::door::checkpoint(&*self.database(database)?).await.map_err(Error::work)
    }

    /// Makes the endpoint of a database go wrong from now on. Several troubles may be in force at once.
    pub fn trouble(&self, database: &str, trouble: Trouble) -> Result<(), Error> {
        self.database(database)?.condition().troubles.push(trouble);
        Ok(())
    }

    /// Ends all troubles of a database.
    pub fn clear_troubles(&self, database: &str) -> Result<(), Error> {
        self.database(database)?.condition().troubles.clear();
        Ok(())
    }

    /// Sends a database to sleep: its server ends, lists say `sleeping`, and the next request wakes it.
    pub async fn put_to_sleep(&self, database: &str) -> Result<(), Error> {
        self.database(database)?.sleep().await.map_err(Error::work)
    }

    /// Archives a database: lists say `archived`, and its endpoint refuses everything with 403 until its group is
    /// unarchived by the API.
    pub async fn archive(&self, database: &str) -> Result<(), Error> {
        let database = self.database(database)?;
        database.sleep().await.map_err(Error::work)?;
        database.condition().life = Life::Archived;
        Ok(())
    }

    /// From now on (or no longer), requests to a database's endpoint need this key in `x-turso-encryption-key`, and
    /// are refused with 400 without. The data is not encrypted.
    pub fn require_encryption_key(&self, database: &str, key: Option<&str>) -> Result<(), Error> {
        self.database(database)?.condition().encryption_key = key.map(str::to_owned);
        Ok(())
    }

    /// Kills a database's server, as a crash does. The next request starts it again.
    pub async fn crash(&self, database: &str) -> Result<(), Error> {
        let database = self.database(database)?;
        if let Some(server) = database.server.lock().await.take() {
            server.kill().await;
        }
        Ok(())
    }

    /// Makes calls fail; the rule's number.
    pub fn inject(&self, fault: Fault) -> u64 {
        self.plane().faults.arm(fault)
    }

    /// Ends a rule, or all. Whether there was any.
    pub fn clear_faults(&self, rule: Option<u64>) -> bool {
        self.plane().faults.disarm(rule)
    }
}
