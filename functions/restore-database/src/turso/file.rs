//! The vault's file, checked and made ready for an upload.

use std::{
    fs::OpenOptions,
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use reconcile::{Error, Result};
use turso::{
    PAGE_BYTES, Scratch,
    check::{Content, check},
    compress::Unpacker,
};
use vault::{Store, StoredObject, read_back};

/// What a SQLite file begins with (sqlite.org, "Database File Format").
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// How much of it is header.
const HEADER_BYTES: usize = 100;

/// The two bytes that say how it is written and read; 2 is a write-ahead log.
const FORMAT: std::ops::Range<usize> = 18..20;

/// Fetches the object, decompressed, into `scratch`: each part is compared with the manifest before a byte of it is
/// believed, and SQLite then looks at the whole. One part is in memory at a time.
pub(crate) async fn fetch(
    store: &impl Store,
    prefix: &str,
    object: &StoredObject,
    scratch: &Scratch,
) -> Result<Content> {
    let mut unpacker = Unpacker::onto(scratch.path())?;
    read_back(store, prefix, object, async |part| unpacker.add(&part)).await?;
    unpacker.finish()?;
    check(scratch.path())
}

/// Makes the header say what Turso takes: a write-ahead log, pages of 4,096 bytes, no auto-vacuum, UTF-8. Only the first can
/// be had by writing it there (docs.turso.tech, "Upload a database").
pub(crate) fn prepare(path: &Path) -> Result<()> {
    let open = OpenOptions::new().read(true).write(true).open(path);
    let mut file = open.map_err(|error| broken("open", path, error))?;
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header).map_err(|error| broken("read", path, error))?;
    if let Some(why) = unfit(&header) {
        return Err(Error::permanent("DatabaseNotUploadable", format!("Turso takes no such file: {why}")));
    }
    header[FORMAT].fill(2);
    let written =
        file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&header)).and_then(|()| file.sync_all());
    written.map_err(|error| broken("write", path, error))
}

fn unfit(header: &[u8; HEADER_BYTES]) -> Option<String> {
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    // 1 stands for 65,536.
    let page = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        bytes => usize::from(bytes),
    };
    if &header[..16] != MAGIC {
        Some("it is no SQLite database".to_owned())
    } else if page != PAGE_BYTES {
        Some(format!("its pages have {page} bytes, not {PAGE_BYTES}"))
    } else if number(52) != 0 {
        Some("it has auto_vacuum on".to_owned())
    } else if ![0, 1].contains(&number(56)) {
        Some("its text is not UTF-8".to_owned())
    } else {
        None
    }
}

fn broken(doing: &str, path: &Path, error: std::io::Error) -> Error {
    let code = if error.kind() == std::io::ErrorKind::StorageFull { "DiskFull" } else { "DiskBroken" };
    Error::retryable(code, format!("cannot {doing} {}", path.display())).caused_by(error)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn header() -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..16].copy_from_slice(MAGIC);
        header[16..18].copy_from_slice(&4096_u16.to_be_bytes());
        header[59] = 1;
        header
    }

    #[test]
    fn what_turso_takes() {
        assert_eq!(unfit(&header()), None);
    }

    #[rstest]
    #[case::other(0, 0, "no SQLite")]
    #[case::pages(16, 2, "512 bytes")]
    #[case::auto_vacuum(55, 1, "auto_vacuum")]
    #[case::utf16(59, 2, "UTF-8")]
    fn what_it_does_not(#[case] at: usize, #[case] byte: u8, #[case] says: &str) {
        let mut header = header();
        header[at] = byte;
        assert!(unfit(&header).unwrap().contains(says));
    }
}
