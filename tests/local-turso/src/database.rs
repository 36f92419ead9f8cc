//! One database: its folder, its server, its history, and what is set of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::pages::History;
use crate::sqld::{self, Configuration, Install, Server};
use crate::steering::Trouble;

/// What a database is a branch of.
#[derive(Clone, Debug)]
pub(crate) struct Parent {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) branched_at: Timestamp,
}

/// Whether the contents come by upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    /// They do not, or they are there.
    None,
    Awaited,
    /// A file is on its way.
    Running,
}

/// Whether it has a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Awake,
    /// Until the next request.
    Asleep,
    /// Until its group is unarchived.
    Archived,
    Deleted,
}

/// What changes about a database.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) configuration: Configuration,
    pub(crate) delete_protection: bool,
    pub(crate) allowed_ips: Vec<String>,
    pub(crate) allowed_vpcs: Vec<String>,
    /// How often its tokens were invalidated.
    pub(crate) round: u64,
    pub(crate) life: Life,
    pub(crate) upload: Upload,
    /// Without it, in the header of every request, nothing is told.
    pub(crate) encryption_key: Option<String>,
    pub(crate) troubles: Vec<Trouble>,
}

/// One database.
pub(crate) struct Database {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) created: Timestamp,
    pub(crate) parent: Option<Parent>,
    /// Of its own endpoint.
    pub(crate) port: u16,
    pub(crate) folder: Folder,
    pub(crate) install: Arc<Install>,
    pub(crate) condition: Mutex<Condition>,
    pub(crate) server: tokio::sync::Mutex<Option<Arc<Server>>>,
    pub(crate) history: Arc<Mutex<Option<History>>>,
}

/// A folder that is deleted with its last owner: whoever still reads from it holds the database.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(path = %self.0.display(), %error, "a folder stays");
            }
            _ => {}
        }
    }
}

/// Why a database cannot serve.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the database was deleted")]
    Deleted,
    #[error("the database waits for its upload")]
    Empty,
    #[error(transparent)]
    Sqld(#[from] sqld::Error),
    #[error("cannot read the database's files")]
    Files(#[from] io::Error),
    #[error("interrupted")]
    Interrupted,
}

impl Database {
    pub(crate) fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hostname(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// sqld's own folder.
    pub(crate) fn server_folder(&self) -> PathBuf {
        self.folder.0.join("sqld")
    }

    /// The database file.
    pub(crate) fn main_file(&self) -> PathBuf {
        Install::main_file(&self.server_folder())
    }

    /// The running server, which is started if there is none: because it slept, or because it ended by itself.
    pub(crate) async fn server(&self) -> Result<Arc<Server>, Error> {
        let mut slot = self.server.lock().await;
        if let Some(server) = slot.as_ref().filter(|server| !server.has_ended()) {
            return Ok(Arc::clone(server));
        }
        let configuration = {
            let condition = self.condition();
            if condition.life == Life::Deleted {
                return Err(Error::Deleted);
            }
            if condition.upload != Upload::None {
                return Err(Error::Empty);
            }
            condition.configuration.clone()
        };
        let server = self.install.start(&self.server_folder()).await?;
        if configuration != Configuration::default() {
            server.configure(&configuration).await?;
        }
        let server = Arc::new(server);
        if let Some(history) = self.history().as_mut() {
            history.restarted();
        }
        *slot = Some(Arc::clone(&server));
        let mut condition = self.condition();
        if condition.life == Life::Asleep {
            condition.life = Life::Awake;
        }
        drop(condition);
        Ok(server)
    }

    fn history(&self) -> MutexGuard<'_, Option<History>> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the history with what the running server has.
    pub(crate) async fn begin_history(&self) -> Result<(), Error> {
        let (slot, folder, main) =
            (Arc::clone(&self.history), self.folder.0.join("history"), self.main_file());
        blocking(move || {
            let history = History::begin(&folder, &main)?;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(history);
            Ok(())
        })
        .await
    }

    /// Works on the history where it may block.
    pub(crate) async fn with_history<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut History) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let slot = Arc::clone(&self.history);
        blocking(move || match slot.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(history) => Ok(work(history)?),
            None => Err(Error::Empty),
        })
        .await
    }

    /// Takes into the history all that is committed, unless the last look is `fresh` enough. A database that sleeps
    /// was looked at before.
    pub(crate) async fn look(&self, fresh: Duration) -> Result<(), Error> {
        // Held, so that the server neither stops nor starts in the middle.
        let slot = self.server.lock().await;
        if slot.as_ref().is_none_or(|server| server.has_ended()) {
            return Ok(());
        }
        self.with_history(move |history| {
            if history.looked() + fresh > Instant::now() {
                return Ok(());
            }
            history.look()
        })
        .await
    }

    /// Stops the server, after a last look.
    pub(crate) async fn sleep(&self) -> Result<(), Error> {
        self.look(Duration::ZERO).await?;
        if let Some(server) = self.server.lock().await.take() {
            server.stop().await;
            // What was committed between the look and the end is in the files, and is found when it wakes.
        }
        let mut condition = self.condition();
        if condition.life == Life::Awake {
            condition.life = Life::Asleep;
        }
        Ok(())
    }

    /// Ends it for ever. The folder goes with the last who holds the database.
    pub(crate) async fn end(&self) {
        self.condition().life = Life::Deleted;
        if let Some(server) = self.server.lock().await.take() {
            server.kill().await;
        }
    }

    /// Takes over a database file that nobody writes to.
    pub(crate) async fn place(&self, file: &Path) -> Result<(), Error> {
        let (from, to) = (file.to_owned(), self.main_file());
        blocking(move || {
            fs::create_dir_all(to.parent().unwrap_or(&to))?;
            Ok(fs::rename(&from, &to)?)
        })
        .await
    }
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)?
}
