//! A copy of a database's pages: the file as it was when a generation began, and on top the frames of the write-ahead log
//! up to the last committed transaction. What `turso db export` does, with one difference: only the provider's own word
//! for the end is the end. That command takes any 400 or 500 for it, so that a copy may silently be short.
//!
//! The frames are those of SQLite's write-ahead log (<https://sqlite.org/fileformat2.html#the_write_ahead_log>): number of
//! the page, size of the database in pages if it ends a transaction and 0 otherwise, both big-endian; salts and
//! checksums, which Turso does not keep up and nobody checks; the page.
//!
//! Memory is that of one answer. Frames whose transaction goes on in the next answer wait on disk.

use std::path::Path;

use futures::StreamExt;
use reconcile::{Error, Kind, Result};

use crate::{
    Frames, Piece, Session, Staging, Turso,
    page_file::{Header, PageFile, malformed},
    staging::Log,
};

/// How many generations may come and go while one copy is made.
const GENERATIONS: u64 = 1_000;

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The generation that the database was in at the end.
    pub generation: u64,
    /// The last frame of that generation that there was; 0 if none.
    pub frame: u64,
    /// The size of the file.
    pub bytes: u64,
    /// Whether a log holds it all: played back, it is this very file again.
    pub is_staged: bool,
}

/// How far a copy came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is whole.
    Whole(Copied),
    /// The time was over: so many bytes are on disk, and the log goes on from them.
    Paused {
        /// The size of the file so far.
        bytes: u64,
    },
}

/// Copies a database into a new file at `path`, which may become `room` bytes large, or goes on with what `staging` has of it.
///
/// Consistent: what is there at the end is the database as it was after some transaction, and no earlier than when this
/// began, or when the log was ended. `PageExportUnavailable` where the database does not offer its pages,
/// `DatabaseTooLarge` where they do not fit.
pub async fn copy(
    turso: &impl Turso,
    at: &Session,
    path: &Path,
    room: u64,
    staging: &impl Staging,
) -> Result<Progress> {
    let mut file = PageFile::create(path, room)?;
    // A piece that has gone meanwhile is missing from the next look, which begins anew.
    let replayed = Log::replay(staging, &mut file).await;
    let (log, after) = replayed.map_err(|error| error.of_kind(Kind::Retryable))?;
    let mut copying = Copying { turso, at, file, log };
    match copying.go_on(after).await {
        Ok(Some(copied)) => Ok(Progress::Whole(copied)),
        Ok(None) => Ok(Progress::Paused { bytes: copying.file.bytes() }),
        Err(error) => Err(copying.give_up_after(error, after).await),
    }
}

/// One copy while it is made.
struct Copying<'c, T, S> {
    turso: &'c T,
    at: &'c Session,
    file: PageFile,
    log: Log<'c, S>,
}

impl<T: Turso, S: Staging> Copying<'_, T, S> {
    /// Fetches what comes after that piece; `None` if the time is over.
    async fn go_on(&mut self, after: Option<Piece>) -> Result<Option<Copied>> {
        let (began, next) = match after {
            Some(Piece::End { generation, frame }) => {
                let bytes = self.file.finish(self.at)?;
                return Ok(Some(Copied { generation, frame, bytes, is_staged: true }));
            }
            Some(Piece::Frames { generation, first }) => (generation, first),
            Some(Piece::Base { generation }) => (generation, 1),
            None => (self.turso.generation(self.at).await?, 1),
        };
        if next == 1 && !self.base(began).await? {
            return Ok(None);
        }
        self.frames(began, next).await
    }

    /// Fetches what is missing of the file that a generation began with. Its header says how large it is: what does not fit is
    /// not begun. Whether all of it is there.
    async fn base(&mut self, generation: u64) -> Result<bool> {
        let mut header = self.file.header()?;
        if header.is_some_and(|header| header.bytes() == Some(self.file.bytes())) {
            return Ok(true);
        }
        let mut body = self.turso.export(self.at, generation, self.file.bytes()).await?;
        let mut head = Vec::new();
        while let Some(piece) = body.next().await {
            let mut piece = piece?;
            if piece.is_empty() {
                // Of a server that begins from the first byte again. Nothing was gained.
                continue;
            }
            if header.is_none() {
                head.extend_from_slice(&piece);
                let Some(found) = Header::read(&head)? else { continue };
                self.file.admit(found)?;
                self.log.begin(found.bytes());
                (header, piece) = (Some(found), std::mem::take(&mut head).into());
            }
            self.file.append(&piece)?;
            self.log.add(Piece::Base { generation }, &piece).await?;
            if self.log.pauses().await? {
                return Ok(false);
            }
        }
        match header {
            None if head.is_empty() => Ok(true),
            None => {
                let at = &self.at.hostname;
                Err(malformed(format!("the export of {at} is only {} bytes long", head.len())))
            }
            Some(header) => header.check_length(self.file.bytes()).map(|()| true),
        }
    }

    /// Fetches the frames from that one on, and those of the generations that follow.
    async fn frames(&mut self, began: u64, first: u64) -> Result<Option<Copied>> {
        let (mut generation, mut next) = (began, first);
        loop {
            match self.turso.frames(self.at, generation, next).await {
                Ok(Frames::Some(frames)) => {
                    let count = self.file.apply(&frames)?;
                    self.log.add(Piece::Frames { generation, first: next }, &frames).await?;
                    next += count;
                    // Only with more than there was: each invocation comes further.
                    if self.log.pauses().await? {
                        return Ok(None);
                    }
                }
                Ok(Frames::End { generation: now, max_frame_no }) if now == generation => {
                    if max_frame_no >= next {
                        return Err(self.contradiction(&format!(
                            "its frames end before {next} of generation {generation}, and yet there are {max_frame_no}"
                        )));
                    }
                    let (frame, bytes) = (next - 1, self.file.finish(self.at)?);
                    self.log.end(generation, frame).await?;
                    let is_staged = self.log.is_kept;
                    return Ok(Some(Copied { generation, frame, bytes, is_staged }));
                }
                Ok(Frames::End { generation: now, .. }) if now > generation && now - began < GENERATIONS => {
                    self.file.forget_pending()?;
                    (generation, next) = (generation + 1, 1);
                }
                Ok(Frames::End { generation: now, .. }) => {
                    return Err(
                        self.contradiction(&format!("its generation goes from {generation} to {now}"))
                    );
                }
                // An empty database answers 500 here (libSQL's own client has a note of it): the other way copies it as well.
                Err(error)
                    if error.code() == "TursoUnavailable"
                        && (generation, next) == (began, 1)
                        && !self.log.is_kept =>
                {
                    let said =
                        format!("{} does not give the frames of generation {generation}", self.at.hostname);
                    return Err(Error::permanent("PageExportUnavailable", said).caused_by(error));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether anything can still come of the log, now that this went wrong. What goes wrong with a log that an earlier invocation
    /// began is no failed copy: the next one is begun anew.
    async fn give_up_after(&mut self, error: Error, after: Option<Piece>) -> Error {
        let (Some(Piece::Base { generation } | Piece::Frames { generation, .. }), true) =
            (after, error.code() != "PageExportUnavailable")
        else {
            return self.log.give_up_after(error, false).await;
        };
        // Frames of a generation gone by may be gone as well, however that is said.
        let is_unavailable = error.code() == "TursoUnavailable";
        let is_gone =
            is_unavailable && self.turso.generation(self.at).await.is_ok_and(|now| now > generation);
        self.log.give_up_after(error, is_gone).await.of_kind(Kind::Retryable)
    }

    fn contradiction(&self, what: &str) -> Error {
        let said = format!("cannot copy the pages of {}: {what}", self.at.hostname);
        Error::retryable("PageExportContradictory", said)
    }
}

/// Whether nothing was written since that frame of that generation: two small calls.
pub async fn is_unchanged(turso: &impl Turso, at: &Session, generation: u64, frame: u64) -> Result<bool> {
    if turso.generation(at).await? != generation {
        return Ok(false);
    }
    let end = turso.frames(at, generation, frame.saturating_add(1)).await?;
    Ok(
        matches!(end, Frames::End { generation: now, max_frame_no } if now == generation && max_frame_no <= frame),
    )
}
