//! Folders of database files: owned, copied, linked.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::Error;

/// A folder that is deleted with its last owner. Whoever reads from one holds it, so that a deletion in the middle of a
/// restore or a copy takes nothing away from it.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Takes over a folder that exists or will be made.
    pub(crate) fn adopt(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A copy that shares the files (hard links): for folders that nobody writes to any more.
    pub(crate) async fn link_to(&self, target: PathBuf) -> Result<Self, Error> {
        let (source, folder) = (self.0.clone(), Self(target));
        let to = folder.0.clone();
        blocking(move || link_tree(&source, &to).map_err(Error::files(&to))).await?;
        Ok(folder)
    }

    /// A copy with files of its own; where the file system can, they share blocks until written to.
    pub(crate) async fn copy_to(&self, target: &Path) -> Result<(), Error> {
        let (source, to) = (self.0.clone(), target.to_owned());
        blocking(move || copy_tree(&source, &to).map_err(Error::files(&to))).await
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(path = %self.0.display(), %error, "a folder stays");
            }
            _ => {}
        }
    }
}

/// Runs file work where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Interrupted)?
}

/// Copies a folder with modes and owners.
pub(crate) fn copy_tree(source: &Path, target: &Path) -> io::Result<()> {
    walk(source, target, &|from, to| {
        // `fs::copy` keeps the mode and shares blocks where the file system can.
        fs::copy(from, to)?;
        let (old, new) = (fs::metadata(from)?, fs::metadata(to)?);
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            std::os::unix::fs::chown(to, Some(old.uid()), Some(old.gid()))?;
        }
        Ok(())
    })
}

fn link_tree(source: &Path, target: &Path) -> io::Result<()> {
    walk(source, target, &|from, to| match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    })
}

fn walk(source: &Path, target: &Path, file: &dyn Fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let like = fs::metadata(source)?;
    fs::DirBuilder::new().recursive(true).mode(like.permissions().mode()).create(target)?;
    let made = fs::metadata(target)?;
    if (like.uid(), like.gid()) != (made.uid(), made.gid()) {
        std::os::unix::fs::chown(target, Some(like.uid()), Some(like.gid()))?;
    }
    for entry in fs::read_dir(source)? {
        let entry = entry?;
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&from, &to, file)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            file(&from, &to)?;
        }
    }
    Ok(())
}
