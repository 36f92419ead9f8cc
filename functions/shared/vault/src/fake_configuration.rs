use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reconcile::{Error, Result};

use crate::{Configuration, DefaultEncryption, DefaultLock, Lock, PublicAccess, ReplicationRule, Versioning};

/// How a bucket in memory is set up: as a test says, and whose answers a test can break.
#[derive(Clone, Debug)]
pub struct FakeConfiguration {
    region: String,
    bucket: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    setup: Setup,
    faults: VecDeque<(&'static str, Error)>,
    calls: Vec<&'static str>,
}

/// All that is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// [`Configuration::versioning`].
    pub versioning: Versioning,
    /// [`Configuration::lock`].
    pub lock: Option<Lock>,
    /// [`Configuration::replication`].
    pub replication: Vec<ReplicationRule>,
    /// [`Configuration::public_access`].
    pub public_access: PublicAccess,
    /// [`Configuration::policy`].
    pub policy: Option<String>,
    /// [`Configuration::encryption`].
    pub encryption: Option<DefaultEncryption>,
}

impl Setup {
    /// As the template sets up a vault, that replicates to `recovery` if that is one.
    pub fn of_a_vault(key: &str, recovery: Option<(&str, &str)>) -> Self {
        let rule = |(bucket, key): (&str, &str)| ReplicationRule {
            id: "everything-to-the-recovery-region".to_owned(),
            enabled: true,
            prefix: String::new(),
            by_tag: false,
            destination: bucket.to_owned(),
            kms_objects: true,
            replica_key: Some(key.to_owned()),
            deletes: false,
        };
        Self {
            versioning: Versioning::Enabled,
            lock: Some(Lock { default: Some(DefaultLock { compliance: false, days: 8 }) }),
            replication: recovery.map(rule).into_iter().collect(),
            public_access: PublicAccess {
                acls_blocked: true,
                acls_ignored: true,
                policy_blocked: true,
                buckets_restricted: true,
            },
            policy: None,
            encryption: Some(DefaultEncryption {
                algorithm: "aws:kms".to_owned(),
                key: Some(key.to_owned()),
            }),
        }
    }
}

impl FakeConfiguration {
    /// Of that bucket, in that Region.
    pub fn new(region: &str, bucket: &str, setup: Setup) -> Self {
        let state = State { setup, faults: VecDeque::new(), calls: Vec::new() };
        Self { region: region.to_owned(), bucket: bucket.to_owned(), state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody sets it up otherwise.
    pub fn change(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.state().setup);
    }

    /// The next answer to that question (`versioning`) is `error`.
    pub fn refuse_next(&self, question: &'static str, error: Error) {
        self.state().faults.push_back((question, error));
    }

    /// What was asked, in order.
    pub fn calls(&self) -> Vec<&'static str> {
        self.state().calls.clone()
    }

    fn answer<T>(&self, question: &'static str, of: impl FnOnce(&Setup) -> T) -> Result<T> {
        let mut state = self.state();
        state.calls.push(question);
        let fault = state.faults.iter().position(|(at, _)| *at == question);
        match fault.and_then(|at| state.faults.remove(at)) {
            Some((_, error)) => Err(error),
            None => Ok(of(&state.setup)),
        }
    }
}

impl Configuration for FakeConfiguration {
    fn region(&self) -> &str {
        &self.region
    }

    fn bucket(&self) -> &str {
        &self.bucket
    }

    async fn versioning(&self) -> Result<Versioning> {
        self.answer("versioning", |setup| setup.versioning)
    }

    async fn lock(&self) -> Result<Option<Lock>> {
        self.answer("lock", |setup| setup.lock)
    }

    async fn replication(&self) -> Result<Vec<ReplicationRule>> {
        self.answer("replication", |setup| setup.replication.clone())
    }

    async fn public_access(&self) -> Result<PublicAccess> {
        self.answer("public_access", |setup| setup.public_access)
    }

    async fn policy(&self) -> Result<Option<String>> {
        self.answer("policy", |setup| setup.policy.clone())
    }

    async fn encryption(&self) -> Result<Option<DefaultEncryption>> {
        self.answer("encryption", |setup| setup.encryption.clone())
    }
}
