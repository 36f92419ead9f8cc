//! `MiniStack` as a child process: started through our launcher, watched, ended with everything that it started.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use toolbox::{Guard, Tools};

use crate::Error;
use crate::api::Api;

const LAUNCHER: &str = include_str!("python/launcher.py");

/// Cold, with Python compiling its modules on a busy machine; warm it is less than one second.
const START_LIMIT: Duration = Duration::from_secs(90);

/// What `MiniStack` is started with.
pub(crate) struct Settings<'a> {
    pub(crate) tools: &'a Tools,
    /// Its home, temporary files and log.
    pub(crate) data: &'a Path,
    /// The front door's.
    pub(crate) door_port: u16,
    pub(crate) account: &'a str,
    pub(crate) home_region: &'a str,
    /// Whether schedules fire by themselves.
    pub(crate) schedules: bool,
    pub(crate) guard: Arc<Guard>,
}

/// A running `MiniStack`.
#[derive(Debug)]
pub(crate) struct MiniStack {
    pub(crate) api: Api,
    process_group: u32,
    log: PathBuf,
    /// Turns true when the process has ended.
    ended: watch::Receiver<bool>,
    guard: Arc<Guard>,
}

impl MiniStack {
    pub(crate) async fn start(settings: Settings<'_>) -> Result<Self, Error> {
        let log = settings.data.join("ministack.log");
        let token = token(&log)?;
        let mut child = spawn(&settings, &log, &token)?;
        let process_group = child.id().unwrap_or_default();
        settings.guard.adopt(process_group);
        let stdout = child.stdout.take();
        let (ended_sender, ended) = watch::channel(false);
        tokio::spawn(async move {
            let _ = child.wait().await;
            // However it ended, its functions end with it.
            kill_group(process_group, Signal::SIGKILL);
            let _ = ended_sender.send(true);
        });
        let started = tokio::time::timeout(START_LIMIT, async {
            let mut line = String::new();
            if let Some(stdout) = stdout {
                let _ = BufReader::new(stdout).read_line(&mut line).await;
            }
            let answer: serde_json::Value = serde_json::from_str(&line).ok()?;
            let port = u16::try_from(answer["port"].as_u64()?).ok()?;
            let api = Api::new(port, settings.account, &token);
            while !api.is_ready().await {
                if *ended.borrow() {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Some(api)
        });
        let Ok(Some(api)) = started.await else {
            let error = gone(&log, "MiniStack did not start");
            end_group(process_group, &mut ended.clone()).await;
            return Err(error);
        };
        Ok(Self { api, process_group, log, ended, guard: settings.guard })
    }

    /// Returns once it has ended.
    pub(crate) async fn ended(&self) -> Error {
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
        gone(&self.log, "MiniStack ended unexpectedly")
    }

    /// Ends it and its functions.
    pub(crate) async fn stop(&self) {
        end_group(self.process_group, &mut self.ended.clone()).await;
        self.guard.release(self.process_group);
    }
}

fn spawn(settings: &Settings<'_>, log: &Path, token: &str) -> Result<Child, Error> {
    let temporary = settings.data.join("tmp");
    std::fs::create_dir_all(&temporary).map_err(Error::files(&temporary))?;
    let output = std::fs::File::create(log).map_err(Error::files(log))?;
    let door_port = settings.door_port.to_string();
    let mut command = std::process::Command::new(&settings.tools.python);
    command
        .args(["-I", "-c", LAUNCHER])
        .current_dir(settings.data)
        // Functions inherit all of it: nothing of the user's belongs there, least of all credentials.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", settings.data)
        .env("TMPDIR", &temporary)
        .env("LANG", "C.UTF-8")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{door_port}"))
        // The address in queue URLs and the like: they must lead through the front door too.
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", &door_port)
        .env("BIND_HOST", "127.0.0.1")
        .env("MINISTACK_ACCOUNT_ID", settings.account)
        .env("MINISTACK_REGION", settings.home_region)
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        .env("PERSIST_STATE", "0")
        .env("S3_PERSIST", "0")
        .env("STATE_DIR", settings.data.join("ministack"))
        // It looks for Docker otherwise, and there must be none in the picture.
        .env("DOCKER_HOST", "unix:///nonexistent")
        .env("TIDEMARK_LOCAL_TOKEN", token)
        .env("TIDEMARK_LOCAL_SCHEDULES", if settings.schedules { "run" } else { "pause" })
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(output);
    Command::from(command).kill_on_drop(true).spawn().map_err(Error::run("MiniStack"))
}

/// A word that only we and the launcher know.
fn token(log: &Path) -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    let mut source = std::fs::File::open("/dev/urandom").map_err(Error::files(log))?;
    std::io::Read::read_exact(&mut source, &mut bytes).map_err(Error::files(log))?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// Politely, then not.
async fn end_group(process_group: u32, ended: &mut watch::Receiver<bool>) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        kill_group(process_group, signal);
        let _ = tokio::time::timeout(Duration::from_secs(3), ended.wait_for(|ended| *ended)).await;
    }
}

/// Does nothing for a group that is gone, or for a number that would mean our own group or everybody.
fn kill_group(process_group: u32, signal: Signal) {
    if let Some(number) = i32::try_from(process_group).ok().filter(|number| *number > 1) {
        let _ = killpg(Pid::from_raw(number), signal);
    }
}

fn gone(log: &Path, what: &str) -> Error {
    Error::MiniStack { what: what.to_owned(), log: log.to_owned(), tail: tail(log) }
}

/// The last lines of a file; empty if it cannot be read.
pub(crate) fn tail(path: &Path) -> String {
    const LINES: usize = 20;
    let bytes = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
