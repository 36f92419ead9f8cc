//! A real server on a port of the machine, ended with the test.

#![allow(dead_code, reason = "not every test uses all of it")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::server::{Connection, Reply, Server, Servers, TlsConnection, TlsServers};
use secrets::Credentials;
use tempfile::TempDir;
use toolbox::{Set, Silent};

/// Long enough for whatever a test asks.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Valkey {
    pub(crate) folder: TempDir,
    pub(crate) server: Server,
    pub(crate) credentials: Option<Credentials>,
    /// The codes of what was in the way until it answered.
    pub(crate) waited_for: Vec<String>,
    process: Child,
}

impl Drop for Valkey {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub(crate) fn credentials(username: &str, password: &str) -> Credentials {
    Credentials { username: username.to_owned(), password: password.to_owned().into() }
}

impl Valkey {
    /// An empty one.
    pub(crate) async fn start(options: &[&str]) -> Self {
        Self::on(TempDir::new().unwrap(), options).await
    }

    /// One that loads this file.
    pub(crate) async fn restored(dump: &[u8], options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("dump.rdb"), dump).unwrap();
        Self::on(folder, options).await
    }

    pub(crate) async fn on(folder: TempDir, options: &[&str]) -> Self {
        let password = options.windows(2).find(|pair| pair[0] == "--requirepass").map(|pair| pair[1]);
        let valkey = Self {
            server: Server { host: "127.0.0.1".to_owned(), port: free_port(), tls: false },
            credentials: password.map(|password| credentials("", password)),
            waited_for: Vec::new(),
            process: Command::new("true").spawn().unwrap(),
            folder,
        };
        valkey.launched(options).await
    }

    async fn launched(mut self, options: &[&str]) -> Self {
        let tools = toolbox::install(Set::Cloud, &Silent).await.unwrap();
        self.process = Command::new(tools.valkey.join("valkey-server"))
            .args(["--bind", "127.0.0.1", "--save", "", "--port", &self.server.port.to_string(), "--dir"])
            .arg(self.folder.path())
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.try_connect().await {
            self.waited_for.push(error.code().to_owned());
            assert!(Instant::now() < deadline, "{}", error.report());
            assert!(self.process.try_wait().unwrap().is_none(), "it does not start");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self
    }

    async fn try_connect(&self) -> reconcile::Result<TlsConnection> {
        TlsServers::new(None).connect(&self.server, self.credentials.as_ref()).await
    }

    pub(crate) async fn connect(&self) -> TlsConnection {
        self.try_connect().await.unwrap()
    }

    /// Carries out commands, one a line, that must not be refused.
    pub(crate) async fn does(&self, commands: &str) {
        let mut connection = self.connect().await;
        for line in commands.lines().map(str::trim).filter(|line| !line.is_empty()) {
            ask(&mut connection, line).await;
        }
    }

    /// What it has, as it saves it.
    pub(crate) async fn saved(&self) -> Vec<u8> {
        self.does("SAVE").await;
        std::fs::read(self.folder.path().join("dump.rdb")).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// What it answers to a command whose words have no spaces.
pub(crate) async fn ask(connection: &mut impl Connection, line: &str) -> Reply {
    let words: Vec<&str> = line.split(' ').collect();
    let reply = connection.ask(&words, PATIENCE).await.unwrap();
    assert_eq!(reply.refusal(), None, "{line}");
    reply
}
