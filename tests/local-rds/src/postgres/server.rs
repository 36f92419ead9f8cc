//! A running server.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_query::{Process, free_port};
use nix::sys::signal::Signal;
use tokio_postgres::{Client, Config, NoTls};

use super::{Error, Install};

/// The superuser, as RDS calls it. Its password is the control plane's.
pub(crate) const ADMINISTRATOR: &str = "rdsadmin";

/// In an instance's folder: a link to the archive, while there is one.
pub(super) const ARCHIVE_LINK: &str = "archive";
/// How long a server may take to get ready: recovery from a big archive included.
const READY_WITHIN: Duration = Duration::from_mins(5);
/// How long a fast shutdown may take until it is a kill.
const STOPPED_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at something that takes milliseconds.
const GLANCE: Duration = Duration::from_millis(10);

/// Another process may take the port between our look and the server's bind.
const PORTS_TRIED: u32 = 10;

/// A `postgres` process. Dropping it kills it.
pub(crate) struct Server {
    pub(crate) port: u16,
    password: String,
    process: Process,
}

/// What a server is started on.
pub(super) struct Start<'a> {
    pub(super) install: &'a Install,
    pub(super) password: &'a str,
    /// The folder of the instance: `pgdata`, `pg_hba.conf` and the log are in it.
    pub(super) folder: &'a Path,
    /// Settings for recovery.
    pub(super) settings: &'a [(&'static str, String)],
}

impl Start<'_> {
    /// Starts the server and waits until it takes writes: until any recovery is over.
    pub(super) async fn run(&self) -> Result<Server, Error> {
        self.write_access_rules()?;
        let mut tried = 1;
        loop {
            let server = self.launch(free_port().map_err(Error::files(Path::new("127.0.0.1:0")))?)?;
            match self.ready(&server).await {
                Err(Error::Ended { log })
                    if tried < PORTS_TRIED && log.contains("Address already in use") =>
                {
                    tried += 1;
                }
                Err(error) => return Err(error),
                Ok(()) => return Ok(server),
            }
        }
    }

    /// The server itself writes into a file how far it is: asking for a connection every few milliseconds would slow
    /// a recovery down. `ready` comes after any recovery, as nobody may connect during one.
    async fn ready(&self, server: &Server) -> Result<(), Error> {
        let status = self.folder.join("pgdata/postmaster.pid");
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if server.process.has_ended() {
                return Err(Error::Ended { log: tail(&self.log()) });
            }
            let text = tokio::fs::read_to_string(&status).await.unwrap_or_default();
            // Line LOCK_FILE_LINE_PM_STATUS of `miscadmin.h`.
            if text.lines().nth(7).is_some_and(|line| line.trim_end() == "ready") {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Error::NotReady { log: tail(&self.log()) });
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn rules(&self) -> PathBuf {
        self.folder.join("pg_hba.conf")
    }

    /// Clients come through the endpoint, which sees to it that they use TLS.
    fn write_access_rules(&self) -> Result<(), Error> {
        let rules = "host all,replication all 127.0.0.1/32 scram-sha-256\n";
        self.install.write_secret(&self.rules(), rules)
    }

    fn launch(&self, port: u16) -> Result<Server, Error> {
        let process = self
            .install
            .tool("postgres")
            .arg("-D")
            .arg(self.folder.join("pgdata"))
            .args(
                self.settings(port)
                    .into_iter()
                    .flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")]),
            )
            .start(&self.log())?;
        Ok(Server { port, password: self.password.to_owned(), process })
    }

    /// Everything is set on the command line, so that nothing in the data folder has to be edited, ever.
    fn settings(&self, port: u16) -> Vec<(&'static str, String)> {
        let set = |name, value: &str| (name, value.to_owned());
        let file = |name, path: &Path| (name, path.display().to_string());
        let mut settings = vec![
            set("listen_addresses", "127.0.0.1"),
            set("port", &port.to_string()),
            set("unix_socket_directories", ""),
            file("hba_file", &self.rules()),
            set("wal_level", "replica"),
            set("archive_mode", "on"),
            set("archive_command", &archive_command(&self.folder.join(ARCHIVE_LINK))),
            // The machine's crash may lose data here, a process's cannot: nothing on this disk outlives a test.
            set("fsync", "off"),
            set("min_wal_size", "4MB"),
            set("max_wal_size", "256MB"),
            // Small, because many run at once.
            set("shared_buffers", "16MB"),
            set("max_connections", "60"),
            set("max_wal_senders", "6"),
            set("max_worker_processes", "4"),
            set("io_method", "sync"),
            set("jit", "off"),
            // Shared memory that goes with the data folder, even after a kill.
            set("dynamic_shared_memory_type", "mmap"),
            set("logging_collector", "off"),
            set("log_destination", "stderr"),
            // A statement that fails may hold a password.
            set("log_min_error_statement", "panic"),
            set("timezone", "UTC"),
            set("log_timezone", "UTC"),
        ];
        settings.extend(self.settings.iter().cloned());
        settings
    }
}

/// Copies a finished WAL file under another name first: whoever sees the right name sees a whole file. Without the
/// folder there are no automated backups, and the file is let go.
fn archive_command(archive: &Path) -> String {
    let archive = archive.display();
    format!(
        "test ! -d '{archive}' || test -f '{archive}/%f' || \
         {{ cp '%p' '{archive}/%f.part' && mv '{archive}/%f.part' '{archive}/%f'; }}"
    )
}

impl Server {
    /// A session of the superuser in the database `postgres`.
    pub(crate) async fn connect(&self) -> Result<Client, Error> {
        self.connect_to("postgres").await
    }

    /// A session of the superuser in that database.
    pub(crate) async fn connect_to(&self, database: &str) -> Result<Client, Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(ADMINISTRATOR).password(&self.password);
        config.dbname(database).application_name("rdsadmin").connect_timeout(Duration::from_secs(5));
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move {
            // It ends with the client or the server; either notices by itself.
            let _ = connection.await;
        });
        Ok(client)
    }

    /// Waits until the process is gone.
    pub(crate) async fn ended(&self) {
        self.process.ended().await;
    }

    /// Fast shutdown, then kill.
    pub(crate) async fn stop(&self) {
        self.process.stop(Signal::SIGINT, STOPPED_WITHIN).await;
    }

    /// Where its tools connect: arguments that all of them take.
    pub(super) fn address(&self) -> [String; 6] {
        let text = str::to_owned;
        [text("-h"), text("127.0.0.1"), text("-p"), self.port.to_string(), text("-U"), text(ADMINISTRATOR)]
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }
}

/// The end of a log, for an error.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
