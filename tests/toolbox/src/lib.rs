//! The pinned Python tools of the local cloud, installed without being asked, and the guard that ends child processes.
//!
//! The packages and their hashes are in `requirements/`; wheels only, so that no compiler is needed and no package's
//! code runs during the install. Once installed, nothing here uses the network.

mod guard;
mod install;
mod python;
mod sqld;

use std::path::{Path, PathBuf};

pub use guard::Guard;

/// Which tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// What the local cloud runs: `MiniStack`, `PostgreSQL`, the SAM CLI, boto3.
    Cloud,
    /// What building and checking a deployment needs: the SAM CLI with its linter, cargo-lambda, zig, cargo-deny.
    Build,
    /// What looks at a page in a browser: axe-core, which finds what keeps people out. The browser itself is the system's.
    Browser,
    /// What a person on call has at a shell: the AWS CLI.
    Shell,
}

impl Set {
    fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Build => "build",
            Self::Browser => "browser",
            Self::Shell => "shell",
        }
    }

    fn lock(self) -> &'static str {
        match self {
            Self::Cloud => include_str!("../requirements/cloud.txt"),
            Self::Build => include_str!("../requirements/build.txt"),
            Self::Browser => include_str!("../requirements/browser.txt"),
            Self::Shell => include_str!("../requirements/shell.txt"),
        }
    }
}

/// Where installed tools are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The Python of the virtual environment.
    pub python: PathBuf,
    /// Its `site-packages`.
    pub site_packages: PathBuf,
    /// `PostgreSQL`: the folder with `bin/`, `lib/` and `share/`. Exists only in [`Set::Cloud`].
    pub postgres: PathBuf,
    /// Valkey: the folder with `valkey-server`. Exists only in [`Set::Cloud`].
    pub valkey: PathBuf,
    /// sqld, libSQL's own server. Exists only in [`Set::Cloud`].
    pub sqld: PathBuf,
    /// axe-core, a script. Exists only in [`Set::Browser`].
    pub axe: PathBuf,
    /// The commands: `sam`, and by set `ministack` or `cargo-lambda` and `cargo-deny`; `aws` in [`Set::Shell`]; none in
    /// [`Set::Browser`].
    pub bin: PathBuf,
}

/// Told what takes long.
pub trait Progress: Send + Sync {
    /// One line, without a newline, in the present tense.
    fn step(&self, line: &str);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn step(&self, _line: &str) {}
}

/// Why the tools cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No Python that will do. One line: it is all that a user sees.
    #[error(
        "Python 3.11 or newer with venv and pip is needed ({found}): install it (Debian, Ubuntu: python3-venv; \
         macOS: brew install python) or name one in TIDEMARK_PYTHON"
    )]
    NoPython {
        /// What was found instead.
        found: String,
    },
    /// A folder or file of ours cannot be made, locked or read.
    #[error("cannot use {path}", path = path.display())]
    Files {
        /// What was to be used.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A program cannot be started.
    #[error("cannot run {program}", program = program.display())]
    Run {
        /// Which.
        program: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A step of the install failed.
    #[error("installing the tools failed at `{step}`:\n{output}")]
    Step {
        /// The step.
        step: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// The thread that installs is gone.
    #[error("the install was interrupted")]
    Interrupted,
}

/// This process's arguments, without the `--` by which cargo is told where they begin: `cargo demo --json x` and
/// `cargo demo -- --json x` mean the same.
pub fn arguments() -> impl Iterator<Item = std::ffi::OsString> {
    std::env::args_os()
        .enumerate()
        .filter(|(at, argument)| *at != 1 || argument != "--")
        .map(|(_, argument)| argument)
}

/// The folder of this workspace, known from when this crate was built.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Cargo's target folder: `CARGO_TARGET_DIR`, else `target` in the workspace.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The folder with the Python modules that tests share, for `PYTHONPATH`: `judge` holds the answers that boto3 gets
/// against AWS's own models.
pub fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// Installs a set below [`target`], if it is not there yet. Any number of processes may do so at once.
pub async fn install(set: Set, progress: &dyn Progress) -> Result<Tools, Error> {
    install_in(&target().join("tools"), set, std::env::var_os("TIDEMARK_PYTHON"), progress).await
}

/// As [`install`], in a folder of the caller's choice, with the Python of the caller's choice if one is named.
pub async fn install_in(
    folder: &Path,
    set: Set,
    python: Option<std::ffi::OsString>,
    progress: &dyn Progress,
) -> Result<Tools, Error> {
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel::<String>();
    let folder = folder.to_owned();
    let work = tokio::task::spawn_blocking(move || install::install(&folder, set, python, &sender));
    // The sender lives in the thread: this ends when the thread does.
    while let Some(line) = lines.recv().await {
        progress.step(&line);
    }
    work.await.map_err(|_| Error::Interrupted)?
}
