use std::{fmt, future::Future, path::Path, pin::Pin, time::Duration};

use bytes::Bytes;
use futures::Stream;
use jiff::{SignedDuration, Timestamp};
use reconcile::Result;
use secrecy::SecretString;

/// The organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its name in addresses.
    pub slug: String,
    /// The pricing plan: `starter`, `developer`, `scaler`, `pro`, …
    pub plan: String,
    /// Whether the provider has shut it off, for want of payment or quota.
    pub reads_blocked: bool,
}

impl Organization {
    /// How far back Turso itself can restore (docs.turso.tech, "Point-in-Time Recovery"). Of a plan that is not known, the
    /// shortest.
    pub fn pitr_window(&self) -> SignedDuration {
        let days = match self.plan.to_lowercase().as_str() {
            "developer" => 10,
            "scaler" => 30,
            "pro" | "enterprise" => 90,
            _ => 1,
        };
        SignedDuration::from_hours(days * 24)
    }
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are Turso's own, one by one")]
pub struct Database {
    /// Its name, which may be given again once it is deleted.
    pub name: String,
    /// The provider's own id of it, which may not.
    pub id: String,
    /// Where it answers.
    pub hostname: String,
    /// The group whose databases share a location.
    pub group: String,
    /// Where it is.
    pub locations: Vec<String>,
    /// Nobody may read it.
    pub block_reads: bool,
    /// Nobody may write to it.
    pub block_writes: bool,
    /// It cannot be deleted.
    pub delete_protection: bool,
    /// It is put away, and wakes when it is asked something.
    pub sleeping: bool,
    /// Its group is archived.
    pub archived: bool,
    /// What it was branched from.
    pub parent: Option<Parent>,
}

/// What a database was branched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The id of that database.
    pub id: String,
    /// Its name then.
    pub name: String,
}

/// What a database is set to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    /// How large it may become, as Turso says it: `10gb`.
    pub size_limit: Option<String>,
    /// Who may reach it: addresses and ranges; everybody if none is named.
    pub allowed_ips: Vec<String>,
    /// It cannot be deleted.
    pub delete_protection: bool,
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To read.
    ReadOnly,
    /// To read and write: for an upload.
    Full,
}

impl Access {
    /// Turso's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Full => "full-access",
        }
    }
}

/// A branch to be made: a new database, as another one was at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBranch {
    /// Its name.
    pub name: String,
    /// In which group: that of the other one.
    pub group: String,
    /// Of which database, by name.
    pub of: String,
    /// As of when; up to 15 s earlier is what Turso promises.
    pub at: Timestamp,
}

/// How one database is reached for a while.
#[derive(Clone)]
pub struct Session {
    /// Where it answers.
    pub hostname: String,
    /// A token for it alone.
    pub token: SecretString,
    /// The key under which it is encrypted at Turso, in base64, if it is.
    pub encryption_key: Option<SecretString>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("hostname", &self.hostname).finish_non_exhaustive()
    }
}

/// A body that comes piece by piece. An error in it means that it was cut short.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes>>>>;

/// What was asked for of a generation's frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Some of them, as SQLite's write-ahead log has them.
    Some(Bytes),
    /// There are none from there on. Only the provider's own, parsed word for it is this.
    End {
        /// The generation that the database is in now.
        generation: u64,
        /// The last frame that there is.
        max_frame_no: u64,
    },
}

/// One organization at Turso, and its databases.
///
/// Lists are complete: every page is read. Errors carry stable codes: `TursoUnauthorized`, `TursoForbidden`,
/// `TursoPaymentRequired`, `TursoNotFound`, `TursoConflict`, `TursoRequestInvalid`, `TursoThrottled`, `TursoUnavailable`,
/// `TursoNotReached`, `TursoAnswerUnreadable`. No token and no key is in any of them.
pub trait Turso {
    /// The organization.
    fn organization(&self) -> impl Future<Output = Result<Organization>>;
    /// Its databases, branches among them.
    fn databases(&self) -> impl Future<Output = Result<Vec<Database>>>;
    /// The database of that name.
    fn database(&self, name: &str) -> impl Future<Output = Result<Option<Database>>>;
    /// What it is set to.
    fn configuration(&self, name: &str) -> impl Future<Output = Result<Configuration>>;
    /// A token for that database.
    fn token(
        &self,
        name: &str,
        access: Access,
        lifetime: Duration,
    ) -> impl Future<Output = Result<SecretString>>;
    /// Makes a branch. One of that name that is there already is an error, `TursoConflict`.
    fn branch(&self, new: &NewBranch) -> impl Future<Output = Result<()>>;
    /// Lets nobody write to a database. It is read, and branched, as before. No error only if Turso says that it is so.
    fn block_writes(&self, name: &str) -> impl Future<Output = Result<()>>;
    /// Makes a database that waits for a file. One of that name that is there already is an error, `TursoConflict`.
    fn create_for_upload(&self, name: &str, group: &str) -> impl Future<Output = Result<Database>>;
    /// Deletes a database. One that is gone already is no error.
    fn delete(&self, name: &str) -> impl Future<Output = Result<()>>;

    /// The generation that a database is in. `PageExportUnavailable` where it does not offer its pages.
    fn generation(&self, at: &Session) -> impl Future<Output = Result<u64>>;
    /// The database file as it was when that generation began, from that byte on.
    fn export(&self, at: &Session, generation: u64, from: u64) -> impl Future<Output = Result<Body>>;
    /// Up to 128 frames of that generation from `first` on, counted from 1.
    fn frames(&self, at: &Session, generation: u64, first: u64) -> impl Future<Output = Result<Frames>>;
    /// The answer to a batch of statements (hrana 3, `/v3/cursor`): lines of JSON.
    fn cursor(&self, at: &Session, request: &serde_json::Value) -> impl Future<Output = Result<Body>>;
    /// Makes that SQLite file the content of a database that waits for one.
    fn upload(&self, at: &Session, file: &Path) -> impl Future<Output = Result<()>>;
}

/// The token with which the Platform API is asked. The errors are [`Turso`]'s.
pub trait Token {
    /// Until when it is valid; `None` if for ever.
    fn expires(&self) -> impl Future<Output = Result<Option<Timestamp>>>;
    /// The other organizations whose databases it may list, by slug: up to so many.
    fn reach(&self, most: usize) -> impl Future<Output = Result<Vec<String>>>;
}
