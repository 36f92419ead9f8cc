//! Dumps: RDB files, one for each shard.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Error;

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Dump {
    pub(crate) path: PathBuf,
    pub(crate) size_bytes: u64,
}

/// The files of a snapshot, deleted with their last owner. Whoever reads from them holds them, so that a deletion in
/// the middle of a restore or an export takes nothing away from it.
#[derive(Debug)]
pub(crate) struct Dumps {
    pub(crate) files: Vec<Dump>,
    /// Holds the files.
    pub(super) _folder: TempDir,
}

impl Dumps {
    /// A folder and the paths of as many files in it, which are to be made.
    pub(crate) fn paths(folder: &Path, count: usize) -> Vec<PathBuf> {
        (1..=count).map(|file| folder.join(format!("{file:04}.rdb"))).collect()
    }

    /// Files that are there now.
    pub(crate) fn of(folder: TempDir, paths: &[PathBuf]) -> Result<Self, Error> {
        let file = |path: &PathBuf| {
            let size_bytes = std::fs::metadata(path).map_err(Error::files(path))?.len();
            Ok(Dump { path: path.clone(), size_bytes })
        };
        let files = paths.iter().map(file).collect::<Result<_, Error>>()?;
        Ok(Self { files, _folder: folder })
    }
}

/// A dump without keys, which every Redis from 7.2 on and every Valkey can load: what an export of simulated data is.
pub(crate) fn empty() -> Vec<u8> {
    // CRC-64 of what is before it, as redis-check-rdb and every server have it.
    const CHECKSUM: [u8; 8] = [0xc0, 0x22, 0x8a, 0x8d, 0x74, 0x38, 0x97, 0x62];
    [b"REDIS0011\xff".as_slice(), &CHECKSUM].concat()
}
