//! PostgreSQL's programs as child processes that cannot outlive us.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use aws_query::{Group, Process, Processes};

use super::Error;
use super::install::User;

/// A program to run, in a process group of its own.
pub(crate) struct Command {
    name: &'static str,
    inner: tokio::process::Command,
    processes: Arc<dyn Processes>,
}

impl Command {
    pub(super) fn new(
        name: &'static str,
        program: &Path,
        user: Option<User>,
        processes: Arc<dyn Processes>,
    ) -> Self {
        let mut command = tokio::process::Command::new(program);
        // Nothing of the caller's environment (PGDATA, PGOPTIONS, PGHOST, …) may change what it does.
        command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").env("PATH", "/usr/bin:/bin:/usr/local/bin");
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        Self { name, inner: command, processes }
    }

    pub(super) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.inner.arg(argument);
        self
    }

    pub(super) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.inner.args(arguments);
        self
    }

    pub(super) fn env(mut self, name: &str, value: &str) -> Self {
        self.inner.env(name, value);
        self
    }

    /// Runs it to its end and returns what it printed.
    pub(super) async fn run(mut self) -> Result<String, Error> {
        let name = self.name;
        let failed = |output: String| Error::Tool { tool: name, output };
        let child = self.inner.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child = child.map_err(|error| failed(error.to_string()))?;
        let mut group = Group::of(&child, self.processes);
        let output = child.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
        group.ended();
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
        }
    }

    /// Starts it and lets it run, printing into a file.
    pub(super) fn start(mut self, log: &Path) -> Result<Process, Error> {
        let file = File::create(log).map_err(Error::files(log))?;
        let copy = file.try_clone().map_err(Error::files(log))?;
        self.inner.stdout(file).stderr(copy);
        Process::start(self.inner, self.processes)
            .map_err(|error| Error::Tool { tool: self.name, output: error.to_string() })
    }
}
