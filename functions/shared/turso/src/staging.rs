//! What was fetched of a database so far, kept where another invocation finds it: a copy that takes longer than one goes on
//! where it was.
//!
//! It is a log: pieces in order, none of which is ever changed. Played back, it makes the same file of it each time.

use std::future::Future;

use bytes::{Bytes, BytesMut};
use reconcile::{Error, Kind, Result};

use crate::{FRAME_BYTES, page_file::PageFile};

/// How much is kept at once, and lost at most.
const PIECE_BYTES: usize = 8 << 20;

/// What a piece of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the file that a generation began with, after those of the piece before.
    Base {
        /// The generation.
        generation: u64,
    },
    /// Frames of a generation, one after the other.
    Frames {
        /// The generation.
        generation: u64,
        /// The first of them.
        first: u64,
    },
    /// The copy ends after that frame; it has no bytes.
    End {
        /// The generation.
        generation: u64,
        /// The frame.
        frame: u64,
    },
}

/// Where the log of one copy is.
pub trait Staging {
    /// Whether a copy of so many bytes is worth a log.
    fn is_for(&self, bytes: u64) -> bool;
    /// What was kept so far, in order; nothing if that was given up.
    fn pieces(&self) -> impl Future<Output = Result<Vec<Piece>>>;
    /// The bytes of that piece, counted from 0.
    fn read(&self, number: usize) -> impl Future<Output = Result<Bytes>>;
    /// Keeps a piece as that one. Once more after a lost answer is the same; other bytes under its number are an error.
    fn keep(&self, number: usize, piece: Piece, bytes: Bytes) -> impl Future<Output = Result<()>>;
    /// Nothing can be made of what was kept, so many pieces: it is left alone, and the next copy begins anew.
    fn give_up(&self, kept: usize) -> impl Future<Output = Result<()>>;
    /// Whether the time of the invocation is nearly over: what has a log goes on in the next one.
    fn is_time_over(&self) -> bool;
}

/// No log: a copy that does not fit into one invocation is begun anew.
#[derive(Clone, Copy, Debug)]
pub struct Unstaged;

impl Staging for Unstaged {
    fn is_for(&self, _bytes: u64) -> bool {
        false
    }
    async fn pieces(&self) -> Result<Vec<Piece>> {
        Ok(Vec::new())
    }
    async fn read(&self, _number: usize) -> Result<Bytes> {
        Err(Error::permanent("NotStaged", "nothing was kept"))
    }
    async fn keep(&self, _number: usize, _piece: Piece, _bytes: Bytes) -> Result<()> {
        Ok(())
    }
    async fn give_up(&self, _kept: usize) -> Result<()> {
        Ok(())
    }
    fn is_time_over(&self) -> bool {
        false
    }
}

/// The log of a copy while it is written.
pub(crate) struct Log<'s, S> {
    staging: &'s S,
    pub(crate) is_kept: bool,
    kept: usize,
    /// What comes next, and is not kept yet.
    open: Option<(Piece, BytesMut)>,
}

impl<'s, S: Staging> Log<'s, S> {
    /// Plays back what there is, into a file that is empty. What the next piece follows; `None` if there is none.
    pub(crate) async fn replay(staging: &'s S, file: &mut PageFile) -> Result<(Self, Option<Piece>)> {
        let pieces = staging.pieces().await?;
        let mut after = None;
        for (number, piece) in pieces.iter().enumerate() {
            after = Some(match *piece {
                Piece::Base { .. } => file.append(&staging.read(number).await?).map(|()| *piece)?,
                Piece::Frames { generation, first } => {
                    if is_later(generation, after) {
                        file.forget_pending()?;
                    }
                    let frames = staging.read(number).await?;
                    Piece::Frames { generation, first: first + file.apply(&frames)? }
                }
                Piece::End { .. } => *piece,
            });
        }
        let (is_kept, kept) = (!pieces.is_empty(), pieces.len());
        Ok((Self { staging, is_kept, kept, open: None }, after))
    }

    /// From here on a log is kept, if the copy is worth it.
    pub(crate) fn begin(&mut self, bytes: Option<u64>) {
        self.is_kept = self.is_kept || bytes.is_some_and(|bytes| self.staging.is_for(bytes));
    }

    /// Adds what came. Frames of the generation of the piece that is open go on in it.
    pub(crate) async fn add(&mut self, piece: Piece, bytes: &[u8]) -> Result<()> {
        if !self.is_kept {
            return Ok(());
        }
        if self.open.as_ref().is_some_and(|(open, _)| !goes_on(*open, piece)) {
            self.flush().await?;
        }
        let (_, open) = self.open.get_or_insert_with(|| (piece, BytesMut::new()));
        open.extend_from_slice(bytes);
        if open.len() >= PIECE_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<()> {
        match self.open.take() {
            Some((piece, bytes)) => self.keep(piece, bytes.freeze()).await,
            None => Ok(()),
        }
    }

    async fn keep(&mut self, piece: Piece, bytes: Bytes) -> Result<()> {
        self.staging.keep(self.kept, piece, bytes).await?;
        self.kept += 1;
        Ok(())
    }

    /// Whether the next invocation has to go on: then all that came is kept.
    pub(crate) async fn pauses(&mut self) -> Result<bool> {
        let pauses = self.is_kept && self.staging.is_time_over();
        if pauses {
            self.flush().await?;
        }
        Ok(pauses)
    }

    /// The copy ends here, and does so whenever the log is played back.
    pub(crate) async fn end(&mut self, generation: u64, frame: u64) -> Result<()> {
        if !self.is_kept {
            return Ok(());
        }
        self.flush().await?;
        self.keep(Piece::End { generation, frame }, Bytes::new()).await
    }

    /// An error that says that nothing will come of this log, or that it goes on from what is gone, ends it: the next copy is
    /// begun anew.
    pub(crate) async fn give_up_after(&mut self, error: Error, is_gone: bool) -> Error {
        let is_lost = is_gone || error.kind() == Kind::Permanent || error.code().starts_with("PageExport");
        if self.kept > 0 && is_lost {
            // If that fails as well, the next copy ends as this one did, and gives up then.
            _ = self.staging.give_up(self.kept).await;
        }
        error
    }
}

fn is_later(generation: u64, after: Option<Piece>) -> bool {
    matches!(after, Some(Piece::Frames { generation: before, .. }) if before != generation)
}

fn goes_on(open: Piece, piece: Piece) -> bool {
    match (open, piece) {
        (Piece::Base { .. }, Piece::Base { .. }) => true,
        (Piece::Frames { generation: open, .. }, Piece::Frames { generation, .. }) => open == generation,
        _ => false,
    }
}

const _: () = assert!(PIECE_BYTES > 128 * FRAME_BYTES, "one answer of frames is part of a piece");
