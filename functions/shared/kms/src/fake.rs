use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reconcile::{Error, Result};

use crate::{Key, Kms, Permission};

/// Keys in memory, whose next call a test can break.
#[derive(Clone, Debug)]
pub struct FakeKms {
    region: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<String, Key>,
    aliases: BTreeMap<String, String>,
    denied: BTreeMap<String, String>,
    faults: VecDeque<Error>,
    calls: Vec<String>,
}

impl FakeKms {
    /// A Region without keys.
    pub fn new(region: &str) -> Self {
        Self { region: region.to_owned(), state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds or replaces a key, which those aliases, ids or ARNs stand for too.
    pub fn put(&self, aliases: &[&str], key: Key) {
        let mut state = self.state();
        state.aliases.extend(aliases.iter().map(|alias| ((*alias).to_owned(), key.arn.clone())));
        state.keys.insert(key.arn.clone(), key);
    }

    /// The key is gone.
    pub fn remove(&self, arn: &str) {
        self.state().keys.remove(arn);
    }

    /// A policy lets nobody encrypt with that key any more.
    pub fn deny(&self, arn: &str, says: &str) {
        self.state().denied.insert(arn.to_owned(), says.to_owned());
    }

    /// The next call answers `error`.
    pub fn refuse_next(&self, error: Error) {
        self.state().faults.push_back(error);
    }

    /// Which keys were asked for, in order.
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }
}

impl Kms for FakeKms {
    fn region(&self) -> &str {
        &self.region
    }

    async fn describe(&self, key: &str) -> Result<Option<Key>> {
        let mut state = self.state();
        state.calls.push(key.to_owned());
        if let Some(error) = state.faults.pop_front() {
            return Err(error);
        }
        let arn = state.aliases.get(key).map_or(key, String::as_str);
        Ok(state.keys.get(arn).cloned())
    }

    async fn may_encrypt(&self, key: &str) -> Result<Permission> {
        let mut state = self.state();
        state.calls.push(format!("may encrypt {key}"));
        if let Some(error) = state.faults.pop_front() {
            return Err(error);
        }
        let arn = state.aliases.get(key).map_or(key, String::as_str);
        Ok(state.denied.get(arn).cloned().map_or(Permission::Given, Permission::Denied))
    }
}
