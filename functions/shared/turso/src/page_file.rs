//! The SQLite file that becomes a copy: the bytes of a generation's base, and the pages of frames on top of them.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use reconcile::{Error, Kind, Result};

use crate::{FRAME_BYTES, PAGE_BYTES, Session, disk::broken};

/// Where SQLite writes how large a page is, how many there are, and by which change that number was last right.
const HEADER_BYTES: usize = 100;

pub(crate) fn malformed(what: String) -> Error {
    Error::retryable("PageExportMalformed", what)
}

/// The room of the disk, as an error that a person can act on.
pub(crate) fn too_large(needed: u64, room: u64) -> Error {
    Error::new(
        Kind::Misconfigured,
        "DatabaseTooLarge",
        format!(
            "the database needs {needed} bytes on disk and there is room for {room}; give the function more ephemeral storage (10 \
             GiB at most), or split the database"
        ),
    )
}

/// The file that becomes the copy.
pub(crate) struct PageFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    room: u64,
    /// The frames of a transaction whose end has not come yet.
    pending_path: PathBuf,
    pending: Option<File>,
    pending_bytes: u64,
}

impl PageFile {
    pub(crate) fn create(path: &Path, room: u64) -> Result<Self> {
        let mut pending_path = path.to_owned().into_os_string();
        pending_path.push("-pending");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(broken("create", path))?,
            bytes: 0,
            room,
            pending_path: pending_path.into(),
            pending: None,
            pending_bytes: 0,
        })
    }

    /// Its size.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What its first bytes say; `None` while there are too few of them.
    pub(crate) fn header(&mut self) -> Result<Option<Header>> {
        if self.bytes < HEADER_BYTES as u64 {
            return Ok(None);
        }
        let mut head = [0; HEADER_BYTES];
        self.file
            .rewind()
            .and_then(|()| self.file.read_exact(&mut head))
            .map_err(broken("read", &self.path))?;
        Header::read(&head)
    }

    /// Whether a file with that header can become this one.
    pub(crate) fn admit(&self, header: Header) -> Result<()> {
        header.check(self.room)
    }

    /// Adds bytes of the file that a generation began with.
    pub(crate) fn append(&mut self, piece: &[u8]) -> Result<()> {
        let bytes = self.bytes + piece.len() as u64;
        if bytes > self.room {
            return Err(too_large(bytes, self.room));
        }
        self.file
            .seek(SeekFrom::Start(self.bytes))
            .and_then(|_| self.file.write_all(piece))
            .map_err(broken("write", &self.path))?;
        self.bytes = bytes;
        Ok(())
    }

    /// Takes the frames in. How many there are.
    pub(crate) fn apply(&mut self, frames: &Bytes) -> Result<u64> {
        if frames.is_empty() || !frames.len().is_multiple_of(FRAME_BYTES) {
            return Err(malformed(format!(
                "{} bytes are not a number of frames of {FRAME_BYTES}",
                frames.len()
            )));
        }
        let ends = |frame: &[u8]| size_after(frame) != 0;
        let committed = frames.chunks_exact(FRAME_BYTES).rposition(ends).map_or(0, |last| last + 1);
        let (whole, open) = frames.split_at(committed * FRAME_BYTES);
        if !whole.is_empty() {
            self.apply_pending()?;
            for frame in whole.chunks_exact(FRAME_BYTES) {
                self.write(frame)?;
            }
        }
        self.keep(open)?;
        Ok((frames.len() / FRAME_BYTES) as u64)
    }

    /// Keeps frames until it is known that their transaction was committed.
    fn keep(&mut self, frames: &[u8]) -> Result<()> {
        if frames.is_empty() {
            return Ok(());
        }
        let needed = self.bytes + self.pending_bytes + frames.len() as u64;
        if needed > self.room {
            return Err(too_large(needed, self.room));
        }
        let path = &self.pending_path;
        let file = match &mut self.pending {
            Some(file) => file,
            none => {
                let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
                none.insert(file.map_err(broken("create", path))?)
            }
        };
        file.seek(SeekFrom::Start(self.pending_bytes)).map_err(broken("write", path))?;
        file.write_all(frames).map_err(broken("write", path))?;
        self.pending_bytes += frames.len() as u64;
        Ok(())
    }

    fn apply_pending(&mut self) -> Result<()> {
        let Some(mut file) = self.pending.take() else { return Ok(()) };
        let path = self.pending_path.clone();
        file.rewind().map_err(broken("read", &path))?;
        let mut frame = vec![0; FRAME_BYTES];
        for _ in 0..self.pending_bytes / FRAME_BYTES as u64 {
            file.read_exact(&mut frame).map_err(broken("read", &path))?;
            self.write(&frame)?;
        }
        (self.pending, self.pending_bytes) = (Some(file), 0);
        Ok(())
    }

    /// What was not committed when its generation ended never will be.
    pub(crate) fn forget_pending(&mut self) -> Result<()> {
        self.pending_bytes = 0;
        self.pending
            .as_mut()
            .map_or(Ok(()), |file| file.set_len(0))
            .map_err(broken("write", &self.pending_path))
    }

    /// Writes one page to its place; the last one of a transaction says how large the database is then.
    fn write(&mut self, frame: &[u8]) -> Result<()> {
        let number = number_at(frame, 0);
        if number == 0 {
            return Err(malformed("a frame is of page 0, which there is not".to_owned()));
        }
        let offset = u64::from(number - 1) * PAGE_BYTES as u64;
        let end = offset + PAGE_BYTES as u64;
        if end > self.room {
            return Err(too_large(end, self.room));
        }
        self.file.seek(SeekFrom::Start(offset)).map_err(broken("write", &self.path))?;
        self.file.write_all(&frame[FRAME_BYTES - PAGE_BYTES..]).map_err(broken("write", &self.path))?;
        self.bytes = self.bytes.max(end);
        let pages = size_after(frame);
        if pages != 0 {
            let bytes = u64::from(pages) * PAGE_BYTES as u64;
            if bytes > self.bytes {
                // A transaction writes all pages that it adds.
                let said =
                    format!("a transaction makes {pages} pages of it, and there are {} bytes", self.bytes);
                return Err(malformed(said));
            }
            self.file.set_len(bytes).map_err(broken("write", &self.path))?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// The size, once all is on the disk.
    pub(crate) fn finish(&mut self, at: &Session) -> Result<u64> {
        self.file.flush().and_then(|()| self.file.sync_data()).map_err(broken("write", &self.path))?;
        if self.bytes == 0 {
            // Nothing was ever written to it.
            let said = format!("{} has no page yet", at.hostname);
            return Err(Error::permanent("PageExportUnavailable", said));
        }
        if let Some(header) = self.header()? {
            header.check_length(self.bytes)?;
        }
        Ok(self.bytes)
    }
}

impl Drop for PageFile {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.pending_path);
    }
}

fn number_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(number)
}

/// The size of the database in pages after the frame, if it ends a transaction; else 0.
fn size_after(frame: &[u8]) -> u32 {
    number_at(frame, 4)
}

/// What the first bytes of a SQLite file say (<https://sqlite.org/fileformat2.html#the_database_header>).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    page_bytes: u64,
    /// `None` where a very old SQLite wrote last, which did not keep it.
    pages: Option<u64>,
}

impl Header {
    /// `None` while there is too little of it.
    pub(crate) fn read(head: &[u8]) -> Result<Option<Self>> {
        if head.len() < HEADER_BYTES {
            return Ok(None);
        }
        if !head.starts_with(b"SQLite format 3\0") {
            let said = "what comes is no SQLite file; if the database is encrypted, put its key into the secret, under \
                        encryption_keys";
            return Err(Error::misconfigured("NotSqlite", said));
        }
        let page_bytes = match u16::from_be_bytes([head[16], head[17]]) {
            1 => 65_536,
            bytes => u64::from(bytes),
        };
        let is_kept = number_at(head, 24) == number_at(head, 92);
        let pages = Some(u64::from(number_at(head, 28))).filter(|pages| is_kept && *pages > 0);
        Ok(Some(Self { page_bytes, pages }))
    }

    /// The size of the file.
    pub(crate) fn bytes(self) -> Option<u64> {
        self.pages.map(|pages| pages * self.page_bytes)
    }

    fn check(self, room: u64) -> Result<()> {
        if self.page_bytes != PAGE_BYTES as u64 {
            let said = format!("the pages have {} bytes, and frames have {PAGE_BYTES}", self.page_bytes);
            return Err(Error::permanent("PageExportUnavailable", said));
        }
        match self.bytes() {
            Some(bytes) if bytes > room => Err(too_large(bytes, room)),
            _ => Ok(()),
        }
    }

    pub(crate) fn check_length(self, bytes: u64) -> Result<()> {
        let says = self.bytes().unwrap_or(bytes);
        if bytes != says || !bytes.is_multiple_of(PAGE_BYTES as u64) || bytes == 0 {
            return Err(malformed(format!("{bytes} bytes came, and the file says that it has {says}")));
        }
        Ok(())
    }
}
