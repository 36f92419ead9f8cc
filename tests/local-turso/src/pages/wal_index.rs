//! The header of the WAL index (`data-shm`), by which `SQLite` says how far its WAL is valid.
//!
//! The format is `SQLite`'s own and stable: <https://www.sqlite.org/walformat.html>, "The WAL-Index Header".

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The size of every page here; Turso has no other.
pub(crate) const PAGE: usize = 4096;
const PAGE_U64: u64 = 4096;
/// Of a WAL and of our own frame logs: a frame's header, and a frame.
pub(crate) const FRAME_HEADER: usize = 24;
/// Header and page.
pub(crate) const FRAME: usize = FRAME_HEADER + PAGE;
const FRAME_U64: u64 = 4120;
const WAL_HEADER: u64 = 32;
/// One copy of the header; two of them follow each other.
const COPY: usize = 48;
/// A writer holds the header for microseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far a WAL is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Change whenever the WAL is begun anew.
    pub(crate) salts: [u8; 8],
    /// Committed frames.
    pub(crate) frames: u32,
    /// The size of the database in pages; only with frames does it mean anything.
    pub(crate) pages: u32,
}

impl Extent {
    /// Reads it. A header that a writer is just changing (its two copies differ) is read again.
    pub(crate) fn read(index: &Path) -> io::Result<Self> {
        let file = File::open(index)?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut bytes = [0_u8; 2 * COPY];
            file.read_exact_at(&mut bytes, 0)?;
            if let Some(extent) = Self::parse(&bytes) {
                return Ok(extent);
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("the WAL index never comes to rest"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn parse(bytes: &[u8; 2 * COPY]) -> Option<Self> {
        let (one, two) = bytes.split_at(COPY);
        let number = |at: usize| one.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes);
        let is_initialised = one.get(12) == Some(&1);
        if one != two || !is_initialised {
            return None;
        }
        let salts = one.get(32..40)?.try_into().ok()?;
        Some(Self { salts, frames: number(16)?, pages: number(20)? })
    }
}

/// Where frame `number`, from 1, begins in a WAL.
pub(crate) fn in_wal(number: u32) -> u64 {
    WAL_HEADER + u64::from(number.saturating_sub(1)) * FRAME_U64
}

/// Where frame `number`, from 1, begins in one of our logs.
pub(crate) fn in_log(number: u64) -> u64 {
    number.saturating_sub(1) * FRAME_U64
}

/// Where page `number`, from 1, begins in a database file.
pub(crate) fn in_file(number: u32) -> u64 {
    u64::from(number.saturating_sub(1)) * PAGE_U64
}

/// The page number of a frame, and the size of the database in pages after it if it ends a commit, else 0.
pub(crate) fn heading(frame: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| frame.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((number(0)?, number(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(frames: u32) -> [u8; COPY] {
        let mut copy = [0; COPY];
        copy[12] = 1;
        copy[16..20].copy_from_slice(&frames.to_ne_bytes());
        copy[20..24].copy_from_slice(&9_u32.to_ne_bytes());
        copy[32..40].copy_from_slice(b"saltsalt");
        copy
    }

    #[test]
    fn a_header_in_the_making_is_not_believed() {
        let both =
            |one: [u8; COPY], two: [u8; COPY]| -> [u8; 2 * COPY] { [one, two].concat().try_into().unwrap() };
        let expected = Extent { salts: *b"saltsalt", frames: 3, pages: 9 };
        assert_eq!(Extent::parse(&both(header(3), header(3))), Some(expected));
        assert_eq!(Extent::parse(&both(header(4), header(3))), None);
        assert_eq!(Extent::parse(&[0; 2 * COPY]), None);
    }
}
