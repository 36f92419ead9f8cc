//! Finding a Python that can do the work.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::Error;

/// The oldest that works: no release of `MiniStack` supports 3.9.
const OLDEST: (u32, u32) = (3, 11);

/// The newest with wheels for every package: macOS has none for `watchdog`, which the SAM CLI pins, on 3.14.
const NEWEST: (u32, u32) = if cfg!(target_os = "macos") { (3, 13) } else { (3, 99) };

/// What is asked of a candidate: `MAJOR MINOR PIP`, where `PIP` says how packages can be installed.
const PROBE: &str = "
import importlib.util as u, sys
has = lambda name: u.find_spec(name) is not None
pip = 'ensurepip' if has('ensurepip') else 'pip' if has('pip') else 'none'
print(*sys.version_info[:2], pip if has('venv') else 'none')
";

/// A Python that can make virtual environments and install into them.
#[derive(Clone, Debug)]
pub(crate) struct Python {
    pub(crate) program: PathBuf,
    /// Such as `3.11`.
    pub(crate) version: String,
    /// False on a Debian without `python3-venv`, where its own pip has to do.
    pub(crate) ensurepip: bool,
}

/// Looks at `named` alone if it is given, otherwise at the usual names on the path.
pub(crate) fn find(named: Option<OsString>) -> Result<Python, Error> {
    let names: Vec<OsString> = match named {
        Some(name) => vec![name],
        None => std::iter::once("python3".to_owned())
            .chain((OLDEST.1..=13).rev().map(|minor| format!("python3.{minor}")))
            .chain(std::iter::once("python".to_owned()))
            .map(OsString::from)
            .collect(),
    };
    let mut findings = Vec::new();
    for name in names {
        match probe(&name) {
            Ok(python) => return Ok(python),
            Err(Some(finding)) => findings.push(finding),
            Err(None) => {}
        }
    }
    let found = if findings.is_empty() { "none was found".to_owned() } else { findings.join(", ") };
    Err(Error::NoPython { found })
}

/// `Err(None)`: there is no such program. `Err(Some(_))`: why it does not do.
fn probe(name: &OsString) -> Result<Python, Option<String>> {
    let shown = name.to_string_lossy();
    let output = match clean(&mut Command::new(name)).args(["-c", PROBE]).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(None),
        Err(error) => return Err(Some(format!("{shown} does not run ({error})"))),
    };
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = answer.split_whitespace();
    let mut number = || words.next().and_then(|word| word.parse::<u32>().ok());
    let (Some(major), Some(minor)) = (number(), number()) else {
        // A version manager's shim without a version behind it ends up here.
        return Err(Some(format!("{shown} does not run")));
    };
    let installer = words.next().unwrap_or("none");
    if (major, minor) < OLDEST {
        return Err(Some(format!("{shown} is {major}.{minor}")));
    }
    if (major, minor) > NEWEST {
        return Err(Some(format!("{shown} is {major}.{minor}, too new for some packages")));
    }
    if installer == "none" {
        return Err(Some(format!("{shown} ({major}.{minor}) has no venv or no pip")));
    }
    Ok(Python {
        program: PathBuf::from(name),
        version: format!("{major}.{minor}"),
        ensurepip: installer == "ensurepip",
    })
}

/// Keeps a user's Python and pip settings from moving the install elsewhere; proxies and mirrors still count.
pub(crate) fn clean(command: &mut Command) -> &mut Command {
    for name in ["PYTHONHOME", "PYTHONPATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV"]
    {
        command.env_remove(name);
    }
    command.env("PYTHONNOUSERSITE", "1")
}
