//! Generations and their frames, kept beside the live files.
//!
//! Every look at the live files takes over all frames that were committed since the one before, as sqld wrote them; if
//! the WAL was begun anew meanwhile, the pages that differ, as one commit. So the granularity of a branch at a time is
//! the look: it holds all that was committed before the last look up to that time, and nothing that came after it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;

use super::live::{Live, difference, lay_over, without_checksum};
use super::wal_index::{Extent, FRAME, in_log};

/// A generation with as many frames is the last but one: sqld's own WAL is checkpointed at this size, too.
const GENERATION: u64 = 1000;

/// One generation: a database file, and the frames that were committed on top of it.
struct Generation {
    number: u64,
    base: PathBuf,
    log: PathBuf,
    began: Timestamp,
    looks: Vec<Look>,
}

/// After this look, so many frames were there.
struct Look {
    at: Timestamp,
    frames: u64,
}

impl Generation {
    fn new(folder: &Path, number: u64, began: Timestamp) -> Self {
        let file = |kind: &str| folder.join(format!("{number}.{kind}"));
        Self { number, base: file("base"), log: file("frames"), began, looks: Vec::new() }
    }

    fn frames(&self) -> u64 {
        self.looks.last().map_or(0, |look| look.frames)
    }
}

/// What a page export may read of a generation.
pub(crate) enum Frames {
    /// One frame after the other.
    Some(Vec<u8>),
    /// The generation has no such frame, yet or for ever.
    End {
        /// The newest generation.
        current: u64,
        /// The last frame of the one asked for.
        last: u64,
    },
    /// There is no such generation.
    Unknown,
}

/// A time that no branch can be made at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    #[error("the history of the database begins at {0}")]
    Before(Timestamp),
    #[error(transparent)]
    Files(#[from] io::Error),
}

/// The history of one database.
pub(crate) struct History {
    folder: PathBuf,
    live: Live,
    /// Up to where the live WAL was taken over. `None` after a restart of sqld: nothing can be said then.
    seen: Option<Extent>,
    looked: Instant,
    /// The database as it was at the last look.
    mirror: PathBuf,
    /// Whether it is more than the record says, because taking something over failed in the middle.
    mirror_is_torn: bool,
    /// In order; never empty.
    generations: Vec<Generation>,
}

impl History {
    /// Begins with the database as it is. `main` is the file that a running sqld writes to.
    pub(crate) fn begin(folder: &Path, main: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let live = Live::at(main);
        let mirror = folder.join("mirror");
        let seen = live.copy_to(&mirror)?;
        let first = Generation::new(folder, 1, Timestamp::now());
        fs::copy(&mirror, &first.base)?;
        File::create(&first.log)?;
        Ok(Self {
            folder: folder.to_owned(),
            live,
            seen: Some(seen),
            looked: Instant::now(),
            mirror,
            mirror_is_torn: false,
            generations: vec![first],
        })
    }

    /// sqld is another process now: its WAL index says nothing about the one before.
    pub(crate) fn restarted(&mut self) {
        self.seen = None;
    }

    /// When the last look was.
    pub(crate) fn looked(&self) -> Instant {
        self.looked
    }

    /// Takes over what was committed since the last look. What was committed before this call is in the history after it.
    pub(crate) fn look(&mut self) -> io::Result<()> {
        let looked = Instant::now();
        if self.mirror_is_torn {
            let whole = self.folder.join("whole");
            self.at(Timestamp::MAX, &whole).map_err(io::Error::other)?;
            fs::rename(&whole, &self.mirror)?;
            self.mirror_is_torn = false;
        }
        let extent = self.live.extent()?;
        if self.seen == Some(extent) {
            self.looked = looked;
            return Ok(());
        }
        let known = self.seen.filter(|seen| seen.salts == extent.salts && seen.frames <= extent.frames);
        let grown = match known {
            Some(seen) => self.live.frames(extent, seen.frames.saturating_add(1))?,
            None => None,
        };
        match grown {
            Some(frames) => {
                // What comes later in the same millisecond would be as old as its time says, or older.
                let at = Timestamp::now();
                self.append(frames, at)?;
                self.seen = Some(extent);
            }
            None => self.compare()?,
        }
        self.looked = looked;
        if self.last().is_some_and(|last| last.frames() >= GENERATION) {
            self.advance()?;
        }
        Ok(())
    }

    /// The WAL was begun anew since the last look: the whole database is read, and compared with what it was.
    fn compare(&mut self) -> io::Result<()> {
        let fresh = self.folder.join("fresh");
        let seen = self.live.copy_to(&fresh)?;
        let at = Timestamp::now();
        let frames = difference(&File::open(&self.mirror)?, &File::open(&fresh)?)?;
        fs::remove_file(&fresh)?;
        self.append(frames, at)?;
        self.seen = Some(seen);
        Ok(())
    }

    /// The log first, then the mirror, then the record that there is more: after an error in between, nothing of it
    /// is told, and the next look finds the same again.
    fn append(&mut self, mut frames: Vec<Vec<u8>>, at: Timestamp) -> io::Result<()> {
        let Some(generation) = self.generations.last_mut() else { return Ok(()) };
        if frames.is_empty() {
            return Ok(());
        }
        (self.seen, self.mirror_is_torn) = (None, true);
        let before = generation.frames();
        let log = File::options().write(true).open(&generation.log)?;
        let mirror = File::options().write(true).open(&self.mirror)?;
        for (number, frame) in (before + 1..).zip(&mut frames) {
            without_checksum(frame);
            log.write_all_at(frame, in_log(number))?;
        }
        for frame in &frames {
            lay_over(frame, &mirror)?;
        }
        generation.looks.push(Look { at, frames: before + frames.len() as u64 });
        self.mirror_is_torn = false;
        Ok(())
    }

    /// Ends the generation, as a checkpoint does: the next begins with the database as it was at the last look.
    pub(crate) fn advance(&mut self) -> io::Result<()> {
        let began = Timestamp::now();
        let next = Generation::new(&self.folder, self.current() + 1, began);
        fs::copy(&self.mirror, &next.base)?;
        File::create(&next.log)?;
        self.generations.push(next);
        Ok(())
    }

    /// Drops generations that ended before a time, but never the newest.
    pub(crate) fn forget_before(&mut self, time: Timestamp) -> io::Result<()> {
        while self.generations.get(1).is_some_and(|second| second.began < time) {
            let old = self.generations.remove(0);
            fs::remove_file(&old.base)?;
            fs::remove_file(&old.log)?;
        }
        Ok(())
    }

    fn last(&self) -> Option<&Generation> {
        self.generations.last()
    }

    fn generation(&self, number: u64) -> Option<&Generation> {
        self.generations.iter().find(|generation| generation.number == number)
    }

    /// The newest generation.
    pub(crate) fn current(&self) -> u64 {
        self.last().map_or(0, |last| last.number)
    }

    /// The size of the database at the last look.
    pub(crate) fn bytes(&self) -> u64 {
        fs::metadata(&self.mirror).map_or(0, |found| found.len())
    }

    /// The database file at the start of a generation, open, so that nothing that happens later takes it away.
    pub(crate) fn export(&self, number: u64) -> io::Result<Option<File>> {
        self.generation(number).map(|generation| File::open(&generation.base)).transpose()
    }

    /// Frames `first` to `end` (exclusive) of a generation, or those of them that there are.
    pub(crate) fn frames(&self, number: u64, first: u64, end: u64) -> io::Result<Frames> {
        let Some(generation) = self.generation(number) else { return Ok(Frames::Unknown) };
        let last = generation.frames();
        if first > last {
            return Ok(Frames::End { current: self.current(), last });
        }
        let count = end.min(last + 1).saturating_sub(first);
        let length = usize::try_from(count).map_err(io::Error::other)?.saturating_mul(FRAME);
        let mut bytes = vec![0; length];
        File::open(&generation.log)?.read_exact_at(&mut bytes, in_log(first))?;
        Ok(Frames::Some(bytes))
    }

    /// Writes the database, as it was at the last look, to `target`.
    pub(crate) fn newest(&self, target: &Path) -> io::Result<()> {
        fs::copy(&self.mirror, target).map(drop)
    }

    /// Writes the database, as it was at the last look up to `time`, to `target`.
    pub(crate) fn at(&self, time: Timestamp, target: &Path) -> Result<(), Unreachable> {
        let generation = self.generations.iter().rev().find(|generation| generation.began <= time);
        let Some(generation) = generation else {
            let began = self.generations.first().map_or(Timestamp::MAX, |first| first.began);
            return Err(Unreachable::Before(began));
        };
        fs::copy(&generation.base, target)?;
        let frames = generation.looks.iter().rev().find(|look| look.at <= time).map_or(0, |look| look.frames);
        let (log, target) = (File::open(&generation.log)?, File::options().write(true).open(target)?);
        let mut frame = vec![0; FRAME];
        for number in 1..=frames {
            log.read_exact_at(&mut frame, in_log(number))?;
            lay_over(&frame, &target)?;
        }
        Ok(())
    }
}
