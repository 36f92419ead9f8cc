//! A running server.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_query::{Process, Processes, free_port};
use nix::sys::signal::Signal;
use redis_protocol::resp2::types::OwnedFrame;
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::client::{Client, field};
use super::{Dump, Error};

/// How long a server may take to get ready: loading a big dump included.
const READY_WITHIN: Duration = Duration::from_mins(2);
/// How long a dump may take.
const DUMPED_WITHIN: Duration = Duration::from_mins(2);
/// How long a shutdown may take until it is a kill.
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
/// Between two looks at something that takes milliseconds.
const GLANCE: Duration = Duration::from_millis(10);
/// Another process may take the port between our look and the server's bind.
const PORTS_TRIED: u32 = 10;
/// What a server loads when it starts, and where it dumps to.
const DUMP: &str = "dump.rdb";

/// Where Valkey is, how to run it, and where it keeps its files.
pub(crate) struct Install {
    program: PathBuf,
    /// Such as `9.1.2`.
    pub(crate) version: String,
    /// Our folder: below it is everything we make. `None` once stopped.
    data: std::sync::Mutex<Option<TempDir>>,
    path: PathBuf,
    processes: Arc<dyn Processes>,
}

impl Install {
    pub(crate) async fn prepare(
        valkey: &Path,
        data: &Path,
        processes: Arc<dyn Processes>,
    ) -> Result<Self, Error> {
        let program = valkey.join("valkey-server");
        fs::create_dir_all(data).map_err(Error::files(data))?;
        let data = fs::canonicalize(data).map_err(Error::files(data))?;
        let folder = tempfile::Builder::new().prefix("local-elasticache-").tempdir_in(&data);
        let folder = folder.map_err(Error::files(&data))?;
        let output = tokio::process::Command::new(&program).arg("--version").output().await;
        let output = output.map_err(Error::files(&program))?;
        // `Valkey server v=9.1.2 sha=…`
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().find_map(|word| word.strip_prefix("v="));
        let version = version.ok_or(Error::Ended { log: text.clone() })?.to_owned();
        let path = folder.path().to_owned();
        Ok(Self { program, version, data: std::sync::Mutex::new(Some(folder)), path, processes })
    }

    /// A new folder, deleted when it is dropped.
    pub(crate) fn folder(&self, prefix: &str) -> Result<TempDir, Error> {
        tempfile::Builder::new().prefix(prefix).tempdir_in(&self.path).map_err(Error::files(&self.path))
    }

    /// Deletes everything that was made.
    pub(crate) fn clear(&self) {
        self.data.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    }
}

/// Two ports that nobody has at the moment, for clients and for the cluster bus. Another process may take one before
/// the server does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) client: u16,
    pub(super) bus: u16,
}

impl Ports {
    pub(super) fn free() -> Result<Self, Error> {
        Ok(Self { client: free_port()?, bus: free_port()? })
    }
}

/// What a server is started on.
pub(super) struct Start<'a> {
    pub(super) install: &'a Install,
    pub(super) password: Option<&'a str>,
    /// What it loads.
    pub(super) dump: Option<&'a Path>,
}

/// A `valkey-server` process. Dropping it kills it, and deletes its files.
pub(crate) struct Server {
    pub(crate) port: u16,
    password: Option<String>,
    process: Process,
    folder: TempDir,
    /// One dump at a time.
    dumping: Mutex<()>,
}

impl Start<'_> {
    /// Starts a server without cluster mode, and waits until it has loaded what there is to load.
    pub(super) async fn alone(&self) -> Result<Server, Error> {
        let mut tried = 1;
        loop {
            let folder = self.install.folder("node-")?;
            match self.on(folder, Ports::free()?, None).await {
                Err(Error::Ended { log }) if tried < PORTS_TRIED && port_taken(&log) => tried += 1,
                result => return result,
            }
        }
    }

    /// Starts a server on ports of the caller's choice; `nodes` is the cluster's `nodes.conf` as it has it.
    pub(super) async fn on(
        &self,
        folder: TempDir,
        ports: Ports,
        nodes: Option<&str>,
    ) -> Result<Server, Error> {
        if let Some(nodes) = nodes {
            write(&folder.path().join("nodes.conf"), nodes)?;
        }
        if let Some(dump) = self.dump {
            let to = folder.path().join(DUMP);
            tokio::fs::copy(dump, &to).await.map_err(Error::files(&to))?;
        }
        let path = folder.path().join("valkey.conf");
        // In a file, because everybody on the machine can read a command line, and it may hold a password.
        write(&path, &self.configuration(folder.path(), ports, nodes.is_some()))?;
        let log = folder.path().join("log");
        let file = fs::File::create(&log).map_err(Error::files(&log))?;
        let mut command = tokio::process::Command::new(&self.install.program);
        command.arg(&path).current_dir(folder.path());
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC");
        command.stdin(std::process::Stdio::null());
        command.stdout(file.try_clone().map_err(Error::files(&log))?).stderr(file);
        let process = Process::start(command, Arc::clone(&self.install.processes))?;
        let server = Server {
            port: ports.client,
            password: self.password.map(str::to_owned),
            process,
            folder,
            dumping: Mutex::new(()),
        };
        server.ready().await?;
        Ok(server)
    }

    fn configuration(&self, folder: &Path, ports: Ports, cluster: bool) -> String {
        let Ports { client, bus } = ports;
        let folder = folder.display();
        let mut text = format!(
            "bind 127.0.0.1\nport {client}\ndir \"{folder}\"\ndbfilename {DUMP}\nsave \"\"\nappendonly no\n\
             daemonize no\nmaxclients 256\nmaxmemory 1gb\nmaxmemory-policy noeviction\nactivedefrag no\n"
        );
        if cluster {
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-port {bus}\n\
                 cluster-announce-ip 127.0.0.1\ncluster-node-timeout 15000\n"
            );
        }
        if let Some(password) = self.password {
            let quoted = password.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(text, "requirepass \"{quoted}\"");
        }
        text
    }
}

pub(super) fn port_taken(log: &str) -> bool {
    log.contains("Address already in use")
}

/// Writes a file that nobody else may read.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write as _;
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::files(path))
}

impl Server {
    pub(super) async fn connect(&self) -> Result<Client, Error> {
        Client::connect(self.port, self.password.as_deref()).await
    }

    pub(super) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Waits until it has loaded its dump.
    async fn ready(&self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if self.process.has_ended() {
                return Err(Error::Ended { log: self.log() });
            }
            if self.answers().await {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::NotReady { log: self.log() });
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Whether it is this server that answers, and not one that took the port before it; and whether it has loaded all that there is:
    /// a dump with a wrong checksum ends it only then. `CONFIG` and `INFO` are answered meanwhile.
    async fn answers(&self) -> bool {
        let Ok(mut client) = self.connect().await else { return false };
        let expected = self.folder.path().display().to_string().into_bytes();
        let is_it = match client.call(&["CONFIG", "GET", "dir"]).await {
            Ok(OwnedFrame::Array(parts)) => parts.contains(&OwnedFrame::BulkString(expected)),
            _ => false,
        };
        is_it
            && client
                .text(&["INFO", "persistence"])
                .await
                .is_ok_and(|text| field(&text, "loading") == Some("0"))
    }

    /// Waits until it takes part in a whole cluster.
    pub(super) async fn joined(&self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_WITHIN;
        let mut client = self.connect().await?;
        loop {
            let text = client.text(&["CLUSTER", "INFO"]).await?;
            if field(&text, "cluster_state") == Some("ok") {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::NotReady { log: text });
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    /// Dumps what it holds now into a file of that name: BGSAVE, and the finished file taken away.
    pub(super) async fn dump(&self, to: &Path) -> Result<Dump, Error> {
        let _one_at_a_time = self.dumping.lock().await;
        let deadline = Instant::now() + DUMPED_WITHIN;
        let late = || Error::Dump { status: "not done in time".to_owned() };
        let mut client = self.connect().await?;
        // A client may have asked for a dump itself: that one would not hold what was written since.
        while let Err(error) = client.call(&["BGSAVE"]).await {
            match error {
                Error::Refused { answer, .. } if answer.contains("in progress") => {}
                error => return Err(error),
            }
            if Instant::now() > deadline {
                return Err(late());
            }
            tokio::time::sleep(GLANCE).await;
        }
        loop {
            let text = client.text(&["INFO", "persistence"]).await?;
            if field(&text, "rdb_bgsave_in_progress") == Some("0") {
                let status = field(&text, "rdb_last_bgsave_status").unwrap_or_default();
                if status != "ok" {
                    return Err(Error::Dump { status: status.to_owned() });
                }
                break;
            }
            if Instant::now() > deadline {
                return Err(late());
            }
            tokio::time::sleep(GLANCE).await;
        }
        let from = self.folder.path().join(DUMP);
        tokio::fs::rename(&from, to).await.map_err(Error::files(&from))?;
        let size_bytes = tokio::fs::metadata(to).await.map_err(Error::files(to))?.len();
        Ok(Dump { path: to.to_owned(), size_bytes })
    }

    pub(super) async fn stop(&self) {
        self.process.stop(Signal::SIGTERM, STOPPED_WITHIN).await;
    }

    /// The end of its log, for an error.
    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }
}
