//! A running sqld.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use nix::sys::signal::Signal;
use tokio::process::Command;
use tokio::sync::watch;

use super::Error;
use super::command::Group;
use crate::Processes;

/// A big database is recovered first.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// How long an orderly end may take until it is a kill.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at something that takes milliseconds.
const GLANCE: Duration = Duration::from_millis(5);
/// Another process may take a port between our look and sqld's bind.
const PORTS_TRIED: u32 = 10;

/// What every server is started with.
pub(crate) struct Install {
    /// The program.
    pub(crate) sqld: PathBuf,
    /// The public key that tokens are checked with.
    pub(crate) key: PathBuf,
    pub(crate) processes: Arc<dyn Processes>,
}

/// An sqld process over one folder. Dropping it kills it.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(super) admin_port: u16,
    pub(super) admin_key: String,
    pub(super) client: Client<HttpConnector, Full<Bytes>>,
    ended: watch::Receiver<bool>,
    orders: watch::Sender<Option<Signal>>,
}

impl Install {
    /// The database file in a server's folder.
    pub(crate) fn main_file(folder: &Path) -> PathBuf {
        folder.join("dbs/default/data")
    }

    /// Starts a server over a folder, which may be empty, and waits until it answers.
    pub(crate) async fn start(&self, folder: &Path) -> Result<Server, Error> {
        tokio::fs::create_dir_all(folder).await.map_err(Error::files(folder))?;
        let log = folder.join("sqld.log");
        let mut tried = 1;
        loop {
            let server = self.launch(folder, &log)?;
            match ready(&server, &log).await {
                Err(Error::Ended { log }) if tried < PORTS_TRIED && log.contains("in use") => tried += 1,
                Err(error) => return Err(error),
                Ok(()) => return Ok(server),
            }
        }
    }

    fn launch(&self, folder: &Path, log: &Path) -> Result<Server, Error> {
        let (port, admin_port) = free_ports()?;
        let admin_key = format!("{:032x}", fastrand::u128(..));
        let out = File::create(log).map_err(Error::files(log))?;
        let copy = out.try_clone().map_err(Error::files(log))?;
        let mut child = Command::new(&self.sqld)
            .arg("--db-path")
            .arg(folder)
            .args(["--no-welcome", "--disable-metrics", "--shutdown-timeout", "5"])
            .args(["--http-listen-addr", &format!("127.0.0.1:{port}")])
            .args(["--admin-listen-addr", &format!("127.0.0.1:{admin_port}")])
            .arg("--auth-jwt-key-file")
            .arg(&self.key)
            // Nothing of the caller's environment (SQLD_…, LIBSQL_…) may change what it does; the key is not for `ps`.
            .env_clear()
            .env("LIBSQL_ADMIN_AUTH_KEY", &admin_key)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(copy)
            .process_group(0)
            .spawn()
            .map_err(Error::Start)?;
        let mut group = Group::of(&child, Arc::clone(&self.processes));
        let (gone, ended) = watch::channel(false);
        let (orders, mut next) = watch::channel(None);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = child.wait() => break,
                    order = next.changed() => {
                        // No order means that the server was dropped.
                        let signal = order.ok().and_then(|()| *next.borrow_and_update());
                        group.signal(signal.unwrap_or(Signal::SIGKILL));
                        if signal.is_none() {
                            let _ = child.wait().await;
                            break;
                        }
                    }
                }
            }
            group.ended();
            gone.send_replace(true);
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Ok(Server { port, admin_port, admin_key, client, ended, orders })
    }
}

/// It is ready when its admin API, which comes after all else, takes our key.
async fn ready(server: &Server, log: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if server.has_ended() {
            return Err(Error::Ended { log: tail(log) });
        }
        if server.is_ours().await {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::NotReady { log: tail(log) });
        }
        tokio::time::sleep(GLANCE).await;
    }
}

impl Server {
    pub(crate) fn has_ended(&self) -> bool {
        *self.ended.borrow()
    }

    async fn ended(&self) {
        // An error means that the task that would say so is gone, and with it the process.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    /// An orderly end, then a kill.
    pub(crate) async fn stop(&self) {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            self.orders.send_replace(Some(signal));
            if tokio::time::timeout(STOPPED_WITHIN, self.ended()).await.is_ok() {
                return;
            }
        }
    }

    /// As a crash: what was not written yet is lost.
    pub(crate) async fn kill(&self) {
        self.orders.send_replace(Some(Signal::SIGKILL));
        self.ended().await;
    }
}

/// Two that are free at the moment, held together so that they differ.
fn free_ports() -> Result<(u16, u16), Error> {
    let bind = || TcpListener::bind(("127.0.0.1", 0)).map_err(Error::Start);
    let (one, two) = (bind()?, bind()?);
    let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
    Ok((port(&one).map_err(Error::Start)?, port(&two).map_err(Error::Start)?))
}

/// The end of a log, for an error.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(8)..).unwrap_or_default().join("\n")
}
