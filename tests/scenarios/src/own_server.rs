//! A Valkey that its owner runs, with an append-only file.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result};
use local_cloud::{ARCHIVE_BUCKET, Cloud};
use tokio::process::{Child, Command};
use toolbox::{Guard, Tools};

use crate::{Cache, poll};

/// The server; it ends when dropped, or with this process.
pub struct OwnServer {
    child: Child,
    guard: Guard,
    folder: PathBuf,
    port: u16,
}

impl OwnServer {
    /// Starts a server on what is in the folder, if there is anything.
    pub async fn start(tools: &Tools, folder: &Path) -> Result<Self> {
        tokio::fs::create_dir_all(folder).await?;
        // Free now: who is quick takes it before the server, which then does not start, and says so.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let guard = Guard::start(&tools.python)?;
        let mut command = Command::new(tools.valkey.join("valkey-server"));
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--aof-timestamp-enabled", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().context("cannot run valkey-server")?;
        guard.adopt(child.id().unwrap_or_default());
        let server = Self { child, guard, folder: folder.to_owned(), port };
        poll("a server of our own", async || {
            let Ok(mut client) = server.connect().await else { return Ok(None) };
            Ok(client.call(&["PING"]).await.ok().map(drop))
        })
        .await?;
        Ok(server)
    }

    /// Connects.
    pub async fn connect(&self) -> Result<Cache> {
        Cache::connect("127.0.0.1", self.port).await
    }

    /// Its append-only directory.
    pub fn directory(&self) -> PathBuf {
        self.folder.join("appendonlydir")
    }

    /// Archives that directory under `name` as a sidecar does: the manifest last, so that what it names is there. A file whose
    /// name ends with `without` stays behind.
    pub async fn archive(&self, cloud: &Cloud, name: &str, without: Option<&str>) -> Result<()> {
        let mut files: Vec<_> = std::fs::read_dir(self.directory())?.collect::<Result<_, _>>()?;
        files.sort_by_key(|file| file.path().extension().is_some_and(|extension| extension == "manifest"));
        for file in files {
            let file_name = file.file_name().into_string().ok().context("a file without a name")?;
            if without.is_some_and(|without| file_name.ends_with(without)) {
                continue;
            }
            let bytes = tokio::fs::read(file.path()).await?;
            cloud.put_object(ARCHIVE_BUCKET, &format!("{name}/appendonlydir/{file_name}"), bytes).await?;
        }
        Ok(())
    }

    /// Ends it, as `kill` does: what was acknowledged is in its file.
    pub async fn stop(mut self) -> Result<()> {
        let group = self.child.id().unwrap_or_default();
        self.child.kill().await?;
        self.guard.release(group);
        Ok(())
    }
}
