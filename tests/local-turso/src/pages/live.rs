//! Reading the files of a database that a running sqld writes to.
//!
//! Nothing here takes a lock of `SQLite`'s, and `SQLite` itself is not used on these files: what makes a reading
//! consistent is that a WAL only grows until it is begun anew, and that its salts tell when it was. A checkpoint
//! meanwhile writes to the main file only what the frames have, too, so the frames laid over it give the exact state.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::wal_index::{Extent, FRAME, FRAME_HEADER, PAGE, heading, in_file, in_wal};

/// A WAL is begun anew once in a thousand frames at most: this many readings are not all in vain.
const READINGS: usize = 200;

/// The files of a database.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    main: PathBuf,
    wal: PathBuf,
    index: PathBuf,
}

impl Live {
    /// `main` is the database file; its WAL and the index lie beside it.
    pub(crate) fn at(main: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut name = main.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { main: main.to_owned(), wal: beside("-wal"), index: beside("-shm") }
    }

    pub(crate) fn extent(&self) -> io::Result<Extent> {
        Extent::read(&self.index)
    }

    /// Writes the whole database, as it is after some commit during this call, to `target`, and returns which.
    pub(crate) fn copy_to(&self, target: &Path) -> io::Result<Extent> {
        for _ in 0..READINGS {
            let before = self.extent()?;
            fs::copy(&self.main, target)?;
            let after = self.extent()?;
            if before.salts != after.salts {
                continue;
            }
            let Some(frames) = self.frames(after, 1)? else { continue };
            let target = File::options().write(true).open(target)?;
            for frame in &frames {
                lay_over(frame, &target)?;
            }
            return Ok(after);
        }
        Err(io::Error::other(format!("{} is written to too fast to be read", self.main.display())))
    }

    /// The committed frames of an extent from number `first` on. `None` if the WAL was begun anew meanwhile.
    pub(crate) fn frames(&self, extent: Extent, first: u32) -> io::Result<Option<Vec<Vec<u8>>>> {
        let mut frames = Vec::new();
        if first <= extent.frames {
            let wal = File::open(&self.wal)?;
            for number in first..=extent.frames {
                let mut frame = vec![0; FRAME];
                match wal.read_exact_at(&mut frame, in_wal(number)) {
                    // Cut off by a checkpoint that empties the file: the salts say so, too.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                    result => result?,
                }
                frames.push(frame);
            }
        }
        let after = self.extent()?;
        if after.salts != extent.salts {
            return Ok(None);
        }
        let last = frames.last().and_then(|frame| heading(frame)).map(|(_, pages)| pages);
        let is_whole = frames.len() == extent.frames.saturating_sub(first).saturating_add(1) as usize;
        if first <= extent.frames && (!is_whole || last.is_none_or(|pages| pages == 0)) {
            return Err(io::Error::other("the WAL does not end with a commit where its index says so"));
        }
        Ok(Some(frames))
    }
}

/// Writes a frame's page to its place, and gives the file its size at the end of a commit.
pub(crate) fn lay_over(frame: &[u8], file: &File) -> io::Result<()> {
    let (page, pages) = heading(frame).ok_or_else(|| io::Error::other("a frame without a header"))?;
    let body = frame.get(FRAME_HEADER..FRAME_HEADER + PAGE);
    file.write_all_at(body.ok_or_else(|| io::Error::other("a torn frame"))?, in_file(page))?;
    if pages > 0 {
        file.set_len(in_file(pages.saturating_add(1)))?;
    }
    Ok(())
}

/// Frames that make `old` equal to `new`: every page that differs, in order, as one commit.
pub(crate) fn difference(old: &File, new: &File) -> io::Result<Vec<Vec<u8>>> {
    let pages = |file: &File| -> io::Result<u32> {
        let length = file.metadata()?.len();
        u32::try_from(length / PAGE as u64).map_err(io::Error::other)
    };
    let (before, after) = (pages(old)?, pages(new)?);
    let mut frames = Vec::new();
    let (mut ours, mut theirs) = (vec![0; PAGE], vec![0; PAGE]);
    for page in 1..=after {
        new.read_exact_at(&mut theirs, in_file(page))?;
        let known = page <= before;
        if known {
            old.read_exact_at(&mut ours, in_file(page))?;
        }
        // A database that only got smaller still needs a frame that says so; its first page differs anyway.
        if !known || ours != theirs || (page == after && after < before && frames.is_empty()) {
            frames.push(framed(page, &theirs));
        }
    }
    if let Some(last) = frames.last_mut() {
        end_commit(last, after);
    }
    Ok(frames)
}

fn framed(page: u32, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; FRAME_HEADER];
    if let Some(number) = frame.get_mut(..4) {
        number.copy_from_slice(&page.to_be_bytes());
    }
    frame.extend_from_slice(body);
    frame
}

fn end_commit(frame: &mut [u8], pages: u32) {
    if let Some(size) = frame.get_mut(4..8) {
        size.copy_from_slice(&pages.to_be_bytes());
    }
}

/// Salts and checksums belong to sqld's WAL: a log of ours has other neighbours, and clients give frames their own.
pub(crate) fn without_checksum(frame: &mut [u8]) {
    if let Some(rest) = frame.get_mut(8..FRAME_HEADER) {
        rest.fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn database(pages: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        for (page, byte) in (1..).zip(pages) {
            file.write_all_at(&[*byte; PAGE], in_file(page)).unwrap();
        }
        file
    }

    fn bytes(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn a_difference_laid_over_the_old_is_the_new(
            old in prop::collection::vec(0..3_u8, 1..12),
            new in prop::collection::vec(0..3_u8, 1..12),
        ) {
            let (ours, theirs) = (database(&old), database(&new));
            let mut frames = difference(&ours, &theirs).unwrap();
            prop_assert_eq!(frames.is_empty(), old == new);
            prop_assert_eq!(frames.iter().filter(|frame| heading(frame).unwrap().1 > 0).count(), usize::from(old != new));
            for frame in &mut frames {
                without_checksum(frame);
                lay_over(frame, &ours).unwrap();
            }
            prop_assert_eq!(bytes(&ours), bytes(&theirs));
        }
    }
}
