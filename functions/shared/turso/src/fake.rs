//! An organization in memory, whose databases are real SQLite files with real write-ahead logs, and whose calls a test can
//! break.

mod database;

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, future::pending, stream};
use jiff::Timestamp;
use reconcile::{Error, Kind, Result};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

pub use self::database::FakeDatabase;
use self::database::{io, run};
use crate::{
    Access, Body, Configuration, Connect, Database, Frames, NewBranch, Organization, Parent, Session, Token,
    Turso,
};

/// How many frames an answer has.
const BATCH: usize = 128;

/// The organization.
#[derive(Clone, Debug)]
pub struct FakeTurso {
    state: Arc<Mutex<State>>,
    token: String,
}

#[derive(Debug)]
struct State {
    organization: Organization,
    databases: BTreeMap<String, FakeDatabase>,
    faults: VecDeque<(&'static str, Fault)>,
    calls: Vec<String>,
    made: usize,
    most_databases: usize,
    token_expires: Option<Timestamp>,
    reach: Vec<String>,
}

#[derive(Debug)]
enum Fault {
    Refuse(Error),
    LoseAnswer,
    Hang,
    Cut(usize),
    Garble(usize),
}

impl Default for FakeTurso {
    fn default() -> Self {
        let organization =
            Organization { slug: "acme".to_owned(), plan: "developer".to_owned(), reads_blocked: false };
        let state = State {
            organization,
            databases: BTreeMap::new(),
            faults: VecDeque::new(),
            calls: Vec::new(),
            made: 0,
            most_databases: usize::MAX,
            token_expires: None,
            reach: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), token: Self::TOKEN.to_owned() }
    }
}

impl FakeTurso {
    /// The token that opens it.
    pub const TOKEN: &str = "fake-platform-token";

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the list says of a database of that name, id and group.
    pub fn listed(name: &str, id: &str, group: &str) -> Database {
        Database {
            name: name.to_owned(),
            id: id.to_owned(),
            hostname: format!("{name}-acme.turso.io"),
            group: group.to_owned(),
            locations: vec!["aws-us-east-1".to_owned()],
            block_reads: false,
            block_writes: false,
            delete_protection: false,
            sleeping: false,
            archived: false,
            parent: None,
        }
    }

    /// Adds a database, or makes one anew under its name, with that SQL carried out.
    ///
    /// # Panics
    /// If the SQL fails, here and below.
    pub fn put(&self, listed: Database, sql: &str) {
        let name = listed.name.clone();
        let made = FakeDatabase::new(listed, None).and_then(|database| {
            database.file.execute_batch(sql).map_err(io)?;
            Ok(database)
        });
        match made {
            Ok(database) => _ = self.state().databases.insert(name, database),
            Err(error) => panic!("{}", error.report()),
        }
    }

    /// Removes one.
    pub fn remove(&self, name: &str) {
        self.state().databases.remove(name);
    }

    /// Changes what the list says of one, or whether it offers its pages.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut FakeDatabase)) {
        if let Some(database) = self.state().databases.get_mut(name) {
            change(database);
        }
    }

    /// Carries out SQL in one.
    ///
    /// # Panics
    /// If it fails.
    pub fn execute(&self, name: &str, sql: &str) {
        let done = self.state().databases.get(name).map(|database| database.file.execute_batch(sql));
        assert!(matches!(done, Some(Ok(()))), "{name}: {done:?}");
    }

    /// How large the file is that the present generation of one began with.
    pub fn bytes_of(&self, name: &str) -> usize {
        let state = self.state();
        state.databases.get(name).and_then(|one| one.base(one.generation).ok()).map_or(0, |base| base.len())
    }

    /// One begins its next generation.
    ///
    /// # Panics
    /// If it cannot.
    pub fn checkpoint(&self, name: &str) {
        let done = self.state().databases.get_mut(name).map(FakeDatabase::checkpoint);
        assert!(matches!(done, Some(Ok(()))), "{name}: {done:?}");
    }

    /// Sets until when the token is valid, and which other organizations it reaches.
    pub fn set_token(&self, expires: Option<Timestamp>, reach: &[&str]) {
        let mut state = self.state();
        state.token_expires = expires;
        state.reach = reach.iter().map(|slug| (*slug).to_owned()).collect();
    }

    /// Sets the organization's plan, and how many databases it may have.
    pub fn set_plan(&self, plan: &str, most_databases: usize) {
        let mut state = self.state();
        plan.clone_into(&mut state.organization.plan);
        state.most_databases = most_databases;
    }

    /// The next call of that name answers `error` and does nothing.
    pub fn refuse_next(&self, call: &'static str, error: Error) {
        self.state().faults.push_back((call, Fault::Refuse(error)));
    }

    /// The next call of that name takes effect, and its answer is lost.
    pub fn lose_answer_of_next(&self, call: &'static str) {
        self.state().faults.push_back((call, Fault::LoseAnswer));
    }

    /// The next call of that name never answers.
    pub fn hang_next(&self, call: &'static str) {
        self.state().faults.push_back((call, Fault::Hang));
    }

    /// The body of the next call of that name ends after so many bytes as if that were all.
    pub fn cut_next(&self, call: &'static str, bytes: usize) {
        self.state().faults.push_back((call, Fault::Cut(bytes)));
    }

    /// A byte of the body of the next call of that name is another one.
    pub fn garble_next(&self, call: &'static str, at: usize) {
        self.state().faults.push_back((call, Fault::Garble(at)));
    }

    /// Every call so far: `sync orders`.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The names of all databases.
    pub fn names(&self) -> Vec<String> {
        self.state().databases.keys().cloned().collect()
    }

    /// Records the call, meets its fault if one waits, and otherwise lets `effect` happen.
    async fn call<T>(
        &self,
        call: &'static str,
        about: &str,
        effect: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<(T, Option<Fault>)> {
        let fault = {
            let mut state = self.state();
            state.calls.push(format!("{call} {about}"));
            let waiting = state.faults.iter().position(|(at, _)| *at == call);
            waiting.and_then(|at| state.faults.remove(at)).map(|(_, fault)| fault)
        };
        match fault {
            Some(Fault::Refuse(error)) => return Err(error),
            Some(Fault::Hang) => pending().await,
            _ => {}
        }
        let done = effect(&mut self.state())?;
        match fault {
            Some(Fault::LoseAnswer) => Err(Error::retryable("TursoTimedOut", "the answer was lost")),
            fault => Ok((done, fault)),
        }
    }

    async fn platform<T>(
        &self,
        call: &'static str,
        about: &str,
        effect: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        let allowed = self.token == Self::TOKEN;
        let effect = |state: &mut State| if allowed { effect(state) } else { Err(unauthorized()) };
        self.call(call, about, effect).await.map(|(done, _)| done)
    }

    /// Asks a database, if the session may.
    async fn data<T>(
        &self,
        call: &'static str,
        at: &Session,
        effect: impl FnOnce(&FakeDatabase) -> Result<T>,
    ) -> Result<(T, Option<Fault>)> {
        let name = at.hostname.strip_suffix("-acme.turso.io").unwrap_or(&at.hostname);
        let effect = |state: &mut State| {
            let database = state.databases.get(name).ok_or_else(|| not_found(name))?;
            if !at.token.expose_secret().ends_with(&format!("-for-{}", database.listed.id)) {
                return Err(unauthorized());
            }
            if database.listed.block_reads {
                return Err(Error::misconfigured("TursoForbidden", "reads are blocked"));
            }
            effect(database)
        };
        self.call(call, name, effect).await
    }
}

fn unauthorized() -> Error {
    Error::misconfigured("TursoUnauthorized", "the token is not valid")
}

fn not_found(name: &str) -> Error {
    Error::permanent("TursoNotFound", format!("no database {name}"))
}

fn spoil(bytes: Bytes, fault: Option<&Fault>) -> Bytes {
    match fault {
        Some(Fault::Cut(after)) => bytes.slice(..bytes.len().min(*after)),
        Some(Fault::Garble(at)) => {
            let mut bytes = bytes.to_vec();
            let length = bytes.len();
            bytes[at % length] ^= 0x55;
            bytes.into()
        }
        _ => bytes,
    }
}

fn body(bytes: &Bytes) -> Body {
    let pieces: Vec<_> = bytes.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed_local()
}

impl Connect for FakeTurso {
    type Turso = Self;

    fn connect(&self, token: SecretString) -> Self {
        Self { state: Arc::clone(&self.state), token: token.expose_secret().to_owned() }
    }
}

impl Turso for FakeTurso {
    async fn organization(&self) -> Result<Organization> {
        self.platform("organization", "", |state| Ok(state.organization.clone())).await
    }

    async fn databases(&self) -> Result<Vec<Database>> {
        let listed = |state: &mut State| {
            Ok(state.databases.values().map(|database| database.listed.clone()).collect())
        };
        self.platform("databases", "", listed).await
    }

    async fn database(&self, name: &str) -> Result<Option<Database>> {
        let one = |state: &mut State| Ok(state.databases.get(name).map(|database| database.listed.clone()));
        self.platform("database", name, one).await
    }

    async fn configuration(&self, name: &str) -> Result<Configuration> {
        let one = |state: &mut State| {
            let database = state.databases.get(name).ok_or_else(|| not_found(name))?;
            let delete_protection = database.listed.delete_protection;
            Ok(Configuration {
                size_limit: Some("10gb".to_owned()),
                delete_protection,
                ..Configuration::default()
            })
        };
        self.platform("configuration", name, one).await
    }

    async fn token(&self, name: &str, access: Access, _lifetime: Duration) -> Result<SecretString> {
        let one = |state: &mut State| {
            let database = state.databases.get(name).ok_or_else(|| not_found(name))?;
            Ok(SecretString::from(format!("{}-for-{}", access.as_str(), database.listed.id)))
        };
        self.platform("token", name, one).await
    }

    async fn branch(&self, new: &NewBranch) -> Result<()> {
        let make = |state: &mut State| {
            let source = state.databases.get(&new.of).ok_or_else(|| not_found(&new.of))?;
            let parent = Parent { id: source.listed.id.clone(), name: new.of.clone() };
            let content = source.folder.path().join("branch");
            source.file.execute("VACUUM INTO ?1", [content.to_string_lossy()]).map_err(io)?;
            state.add(&new.name, &new.group, Some(parent), Some(&content))?;
            fs::remove_file(content).map_err(io)
        };
        self.platform("branch", &new.name, make).await
    }

    async fn block_writes(&self, name: &str) -> Result<()> {
        let close = |state: &mut State| {
            let database = state.databases.get_mut(name).ok_or_else(|| not_found(name))?;
            database.listed.block_writes = true;
            Ok(())
        };
        self.platform("block-writes", name, close).await
    }

    async fn create_for_upload(&self, name: &str, group: &str) -> Result<Database> {
        self.platform("create", name, |state| state.add(name, group, None, None)).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        let delete = |state: &mut State| match state.databases.get(name) {
            Some(database) if database.listed.delete_protection => {
                Err(Error::misconfigured("TursoForbidden", format!("{name} cannot be deleted")))
            }
            _ => {
                state.databases.remove(name);
                Ok(())
            }
        };
        self.platform("delete", name, delete).await
    }

    async fn generation(&self, at: &Session) -> Result<u64> {
        let generation = |database: &FakeDatabase| {
            let missing = || Error::permanent("PageExportUnavailable", "it does not offer its pages");
            if database.has_pages { Ok(database.generation) } else { Err(missing()) }
        };
        self.data("info", at, generation).await.map(|(generation, _)| generation)
    }

    async fn export(&self, at: &Session, generation: u64, from: u64) -> Result<Body> {
        let (bytes, fault) = self.data("export", at, |database| database.base(generation)).await?;
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
        Ok(body(&spoil(bytes.slice(from..), fault.as_ref())))
    }

    async fn frames(&self, at: &Session, generation: u64, first: u64) -> Result<Frames> {
        let some = |database: &FakeDatabase| {
            let frames = database.frames(generation);
            let from = usize::try_from(first.saturating_sub(1)).unwrap_or(usize::MAX).min(frames.len());
            let wanted = &frames[from..frames.len().min(from + BATCH)];
            let last = database.frames(database.generation).len() as u64;
            Ok((Bytes::from(wanted.concat()), database.generation, last))
        };
        let ((bytes, generation, max_frame_no), fault) = self.data("sync", at, some).await?;
        if bytes.is_empty() {
            return Ok(Frames::End { generation, max_frame_no });
        }
        Ok(Frames::Some(spoil(bytes, fault.as_ref())))
    }

    async fn cursor(&self, at: &Session, request: &Value) -> Result<Body> {
        let (text, fault) = self.data("cursor", at, |database| run(&database.file, request)).await?;
        Ok(body(&spoil(text.into(), fault.as_ref())))
    }

    async fn upload(&self, at: &Session, file: &Path) -> Result<()> {
        let name = at.hostname.strip_suffix("-acme.turso.io").unwrap_or(&at.hostname).to_owned();
        let upload = |state: &mut State| {
            let listed = state.databases.get(&name).ok_or_else(|| not_found(&name))?.listed.clone();
            if at.token.expose_secret() != format!("{}-for-{}", Access::Full.as_str(), listed.id) {
                return Err(unauthorized());
            }
            state.databases.insert(name.clone(), FakeDatabase::new(listed, Some(file))?);
            Ok(())
        };
        self.call("upload", &name, upload).await.map(drop)
    }
}

impl Token for FakeTurso {
    async fn expires(&self) -> Result<Option<Timestamp>> {
        self.platform("validate", "", |state| Ok(state.token_expires)).await
    }

    async fn reach(&self, most: usize) -> Result<Vec<String>> {
        self.platform("reach", "", |state| Ok(state.reach.iter().take(most).cloned().collect())).await
    }
}

impl State {
    fn add(
        &mut self,
        name: &str,
        group: &str,
        parent: Option<Parent>,
        content: Option<&Path>,
    ) -> Result<Database> {
        if self.databases.contains_key(name) {
            return Err(Error::permanent("TursoConflict", format!("database {name} exists")));
        }
        if self.databases.len() >= self.most_databases {
            return Err(Error::new(
                Kind::Misconfigured,
                "TursoForbidden",
                "the plan allows no more databases",
            ));
        }
        self.made += 1;
        let listed = Database { parent, ..FakeTurso::listed(name, &format!("made-{}", self.made), group) };
        self.databases.insert(name.to_owned(), FakeDatabase::new(listed.clone(), content)?);
        Ok(listed)
    }
}
