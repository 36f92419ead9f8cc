use std::{
    fs, io,
    path::{Path, PathBuf},
};

use reconcile::{Error, Result};

/// Our error for a file or folder that did not do what it must.
pub(crate) fn broken(doing: &str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let said = format!("cannot {doing} {}", path.display());
    move |error| {
        let code = if error.kind() == io::ErrorKind::StorageFull { "DiskFull" } else { "DiskBroken" };
        Error::retryable(code, said).caused_by(error)
    }
}

/// How many bytes may still be written in that folder.
pub fn free_bytes(folder: &Path) -> Result<u64> {
    let room = rustix::fs::statvfs(folder).map_err(io::Error::from).map_err(broken("look at", folder))?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}

/// A file that is worth nothing once the work on it is over, with what SQLite lays beside it.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A name in that folder, for a file that is not there: what an earlier run left is removed.
    pub fn new(folder: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(folder).map_err(broken("make", folder))?;
        let scratch = Self(folder.join(name));
        scratch.remove();
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn remove(&self) {
        for suffix in ["", "-wal", "-shm", "-journal", "-pending"] {
            let mut path = self.0.clone().into_os_string();
            path.push(suffix);
            // What is not there need not go; what stays is removed by the next one.
            _ = fs::remove_file(path);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}
