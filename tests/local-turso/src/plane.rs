//! What all calls and all work under way share.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::calls::Calls;
use crate::database::{Database, Folder};
use crate::door::Door;
use crate::faults::Faults;
use crate::keys::Keys;
use crate::platform::ApiToken;
use crate::sqld::Install;
use crate::{Error, Options, Outside, Plan, PlatformTokens, Speed};

/// The control plane behind [`crate::LocalTurso`].
pub(crate) struct Plane {
    pub(crate) organization: String,
    pub(crate) keys: Keys,
    pub(crate) tokens: PlatformTokens,
    pub(crate) speed: watch::Sender<Speed>,
    pub(crate) calls: Calls,
    pub(crate) faults: Faults,
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) install: Arc<Install>,
    data: Folder,
    state: Mutex<State>,
    /// `None` once stopped: nothing new is started then.
    tasks: Mutex<Option<JoinSet<()>>>,
}

/// What the organization has.
pub(crate) struct State {
    pub(crate) plan: Plan,
    pub(crate) overages: bool,
    pub(crate) page_size: Option<usize>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) databases: BTreeMap<String, Held>,
    /// Names of databases that are being made.
    pub(crate) creating: BTreeSet<String>,
    pub(crate) api_tokens: Vec<ApiToken>,
    /// What else its owner belongs to, by slug. There are no databases there.
    pub(crate) other_organizations: Vec<String>,
}

/// A database and its open door.
pub(crate) struct Held {
    pub(crate) database: Arc<Database>,
    pub(crate) _door: Door,
}

/// A group of databases.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) location: String,
    pub(crate) delete_protection: bool,
    /// How often its tokens were invalidated.
    pub(crate) round: u64,
}

impl Group {
    pub(crate) fn new(name: &str, location: &str) -> Self {
        let (name, location) = (name.to_owned(), location.to_owned());
        Self { name, id: uuid(), location, delete_protection: false, round: 0 }
    }
}

impl Plane {
    pub(crate) fn start(options: Options) -> Result<Arc<Self>, Error> {
        let organization = options.organization;
        if !is_name(&organization) {
            return Err(Error::Organization(organization));
        }
        let files = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Files { path, source }
        };
        // sqld runs in another folder: a relative path would lead it elsewhere.
        let parent = std::path::absolute(&options.data).map_err(files(&options.data))?;
        let data = Folder(parent.join(format!("turso-{:016x}", fastrand::u64(..))));
        std::fs::create_dir_all(&data.0).map_err(files(&data.0))?;
        let keys = Keys::generate().ok_or(Error::Key)?;
        let key = data.0.join("tokens.pem");
        std::fs::write(&key, &keys.public_pem).map_err(files(&key))?;
        let (api_tokens, tokens) = ApiToken::first();
        let groups = BTreeMap::from([("default".to_owned(), Group::new("default", "aws-eu-west-1"))]);
        let state = State {
            plan: Plan::named("starter").ok_or(Error::Key)?,
            overages: false,
            page_size: None,
            groups,
            databases: BTreeMap::new(),
            creating: BTreeSet::new(),
            api_tokens,
            other_organizations: Vec::new(),
        };
        let plane = Arc::new(Self {
            organization,
            keys,
            tokens,
            speed: watch::Sender::new(options.speed),
            calls: Calls::default(),
            faults: Faults::default(),
            outside: options.outside,
            install: Arc::new(Install { sqld: options.sqld, key, processes: options.processes }),
            data,
            state: Mutex::new(state),
            tasks: Mutex::new(Some(JoinSet::new())),
        });
        plane.spawn(keep_history(Arc::downgrade(&plane), plane.speed.subscribe()));
        Ok(plane)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn database(&self, name: &str) -> Option<Arc<Database>> {
        self.state().databases.get(name).map(|held| Arc::clone(&held.database))
    }

    fn databases(&self) -> Vec<Arc<Database>> {
        self.state().databases.values().map(|held| Arc::clone(&held.database)).collect()
    }

    /// A folder for a database that will be made.
    pub(crate) fn folder(&self, id: &str) -> PathBuf {
        self.data.0.join(id)
    }

    /// Runs work that outlives the request. It is dropped if all has ended.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(work);
        }
    }

    /// Waits until something that began at `since` has taken as long as the speed asks for, also if that changes.
    pub(crate) async fn at_least(&self, since: Instant, least: fn(&Speed) -> Duration) {
        let mut speed = self.speed.subscribe();
        loop {
            let left = least(&speed.borrow_and_update()).saturating_sub(since.elapsed());
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                _ = speed.changed() => {}
            }
        }
    }

    /// Ends all work and all servers, then deletes what they left.
    pub(crate) async fn stop(&self) {
        let tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut tasks) = tasks {
            tasks.shutdown().await;
        }
        let held = std::mem::take(&mut self.state().databases);
        futures::future::join_all(held.values().map(|held| held.database.end())).await;
        // Their folders go with them.
        drop(tokio::task::spawn_blocking(move || drop(held)).await);
        if let Err(error) = tokio::fs::remove_dir_all(&self.data.0).await {
            tracing::debug!(path = %self.data.0.display(), %error, "the data folder stays");
        }
    }

    /// As [`Self::stop`], where nothing can be waited for.
    pub(crate) fn abandon(&self) {
        drop(self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take());
        drop(std::mem::take(&mut self.state().databases));
    }
}

/// Looks at every database again and again, and forgets what no branch may begin at any more.
async fn keep_history(plane: Weak<Plane>, mut speed: watch::Receiver<Speed>) {
    loop {
        let pause = speed.borrow_and_update().archive;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = speed.changed() => continue,
        }
        let Some(plane) = plane.upgrade() else { return };
        let window = plane.state().plan.pitr_window;
        for database in plane.databases() {
            let forget = Timestamp::now().saturating_sub(window).unwrap_or(Timestamp::MIN);
            let looked = match database.look(Duration::ZERO).await {
                Ok(()) => database.with_history(move |history| history.forget_before(forget)).await,
                Err(error) => Err(error),
            };
            match looked {
                Ok(()) | Err(crate::database::Error::Empty) => {}
                Err(error) => {
                    tracing::warn!(database.name = database.name, %error, "its history has a gap for now");
                }
            }
        }
    }
}

/// Of databases, groups and organizations.
pub(crate) fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(is_letter)
}

/// A version 4 UUID. It guards nothing, so a plain generator is enough.
pub(crate) fn uuid() -> String {
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
