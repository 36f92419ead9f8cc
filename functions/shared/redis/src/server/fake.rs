//! Servers in memory, whose answers a test can break.

mod commands;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reconcile::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use secrets::Credentials;

use super::{Connection, NOT_REACHED, REFUSED, Reply, Server, Servers};

/// Servers by their host. Clones are the same servers.
#[derive(Clone, Debug, Default)]
pub struct FakeServers {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<String, Node>,
    refused: VecDeque<Error>,
    faults: VecDeque<(String, Error)>,
    answers: BTreeMap<String, Reply>,
    lost_after: Option<usize>,
    asked: Vec<String>,
    connected: u32,
}

/// One server.
#[derive(Debug, Default)]
struct Node {
    databases: BTreeMap<u32, BTreeMap<Vec<u8>, FakeValue>>,
    /// Who is let in; everybody, if nobody is named.
    user: Option<(String, SecretString)>,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
pub enum FakeValue {
    /// A string.
    Text(Vec<u8>),
    /// A list.
    List(Vec<Vec<u8>>),
    /// A set; each member once.
    Set(Vec<Vec<u8>>),
    /// A sorted set, in its order.
    SortedSet(Vec<(Vec<u8>, f64)>),
    /// A hash; each field once.
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
    /// A stream, in the order of its ids.
    Stream(Vec<FakeEntry>),
    /// What a module keeps, by the name of its type.
    Module(String),
}

/// An entry of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeEntry {
    /// `1-0`.
    pub id: String,
    /// Names and values in turn.
    pub fields: Vec<Vec<u8>>,
}

impl FakeServers {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an empty server. Several of them are one cluster, which they share the slots of.
    pub fn add(&self, host: &str) {
        self.state().nodes.entry(host.to_owned()).or_default();
    }

    /// Takes a server away.
    pub fn remove(&self, host: &str) {
        self.state().nodes.remove(host);
    }

    /// Lets nobody in but this user.
    pub fn demand(&self, host: &str, username: &str, password: &str) {
        let user = (username.to_owned(), SecretString::from(password));
        self.state().nodes.entry(host.to_owned()).or_default().user = Some(user);
    }

    /// Sets a key of a database of a server, which is added if it is not there.
    pub fn put(&self, host: &str, database: u32, key: impl AsRef<[u8]>, value: FakeValue) {
        let mut state = self.state();
        let node = state.nodes.entry(host.to_owned()).or_default();
        node.databases.entry(database).or_default().insert(key.as_ref().to_vec(), value);
    }

    /// Deletes a key.
    pub fn delete(&self, host: &str, database: u32, key: impl AsRef<[u8]>) {
        let mut state = self.state();
        let databases = state.nodes.get_mut(host).map(|node| &mut node.databases);
        if let Some(keys) = databases.and_then(|databases| databases.get_mut(&database)) {
            keys.remove(key.as_ref());
        }
    }

    /// The next connection is refused.
    pub fn refuse_next(&self, error: Error) {
        self.state().refused.push_back(error);
    }

    /// The next command that begins with this word is not answered, and its connection is lost.
    pub fn fail_next(&self, word: &str, error: Error) {
        self.state().faults.push_back((word.to_owned(), error));
    }

    /// After so many more commands, the next one is not answered, and its connection is lost.
    pub fn lose_after(&self, commands: usize) {
        self.state().lost_after = Some(commands);
    }

    /// Every command that begins with these words is answered so from now on, by every server.
    pub fn answer(&self, words: &str, reply: Reply) {
        self.state().answers.insert(words.to_owned(), reply);
    }

    /// Every command so far, its words in a row.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// How often somebody connected.
    pub fn connected(&self) -> u32 {
        self.state().connected
    }
}

impl Servers for FakeServers {
    type Connection = FakeConnection;

    async fn connect(&self, server: &Server, credentials: Option<&Credentials>) -> Result<FakeConnection> {
        let mut state = self.state();
        if let Some(error) = state.refused.pop_front() {
            return Err(error);
        }
        let node = state.nodes.get(&server.host);
        let node = node.ok_or_else(|| Error::retryable(NOT_REACHED, format!("no server {}", server.host)))?;
        if let Some((user, password)) = &node.user {
            let default = |name: &str| if name.is_empty() { "default".to_owned() } else { name.to_owned() };
            let may = credentials.is_some_and(|who| {
                default(&who.username) == default(user)
                    && who.password.expose_secret() == password.expose_secret()
            });
            if !may {
                return Err(Error::misconfigured(REFUSED, format!("{} does not let us in", server.host)));
            }
        }
        state.connected += 1;
        drop(state);
        Ok(FakeConnection { servers: self.clone(), server: server.clone(), database: 0, is_open: true })
    }
}

/// A connection to one of them.
#[derive(Clone, Debug)]
pub struct FakeConnection {
    servers: FakeServers,
    server: Server,
    database: u32,
    is_open: bool,
}

impl FakeConnection {
    fn one(&mut self, words: &[&[u8]]) -> Result<Reply> {
        let mut state = self.servers.state();
        let text: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
        let text = text.join(" ");
        state.asked.push(text.clone());
        match state.lost_after {
            Some(0) => {
                state.lost_after = None;
                return Err(Error::retryable(NOT_REACHED, "the connection was lost"));
            }
            Some(left) => state.lost_after = Some(left - 1),
            None => {}
        }
        let begins =
            |with: &str| text.strip_prefix(with).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        if let Some(at) = state.faults.iter().position(|(word, _)| begins(word))
            && let Some((_, error)) = state.faults.remove(at)
        {
            return Err(error);
        }
        if let Some((_, reply)) = state.answers.iter().find(|(words, _)| begins(words)) {
            return Ok(reply.clone());
        }
        let hosts: Vec<String> = state.nodes.keys().cloned().collect();
        let gone = || Error::retryable(NOT_REACHED, "the server is gone");
        let node = state.nodes.get_mut(&self.server.host).ok_or_else(gone)?;
        Ok(commands::answer(node, &hosts, self.server.port, &mut self.database, words))
    }
}

impl Connection for FakeConnection {
    async fn ask_all<W: AsRef<[u8]>>(&mut self, commands: &[Vec<W>], _: Duration) -> Result<Vec<Reply>> {
        if !self.is_open {
            return Err(Error::retryable(NOT_REACHED, "the connection is closed"));
        }
        let mut replies = Vec::new();
        for command in commands {
            let words: Vec<&[u8]> = command.iter().map(AsRef::as_ref).collect();
            let reply = self.one(&words);
            self.is_open = reply.is_ok();
            replies.push(reply?);
        }
        Ok(replies)
    }
}
