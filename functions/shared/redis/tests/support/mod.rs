//! A writer of RDBs, for what no server at hand writes, and ways to read one.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::cast_possible_truncation, reason = "the low bits are meant")]

use std::path::Path;

use redis::rdb::{Inspector, Report};

/// An RDB in the making.
pub(crate) struct Rdb(pub(crate) Vec<u8>);

impl Rdb {
    pub(crate) fn new(header: &str) -> Self {
        Self(header.as_bytes().to_vec())
    }

    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// In the shortest form.
    pub(crate) fn length(self, length: u64) -> Self {
        match length {
            0..64 => self.byte(length as u8),
            64..16384 => self.byte(0x40 | (length >> 8) as u8).byte(length as u8),
            _ if u32::try_from(length).is_ok() => self.byte(0x80).bytes(&(length as u32).to_be_bytes()),
            _ => self.byte(0x81).bytes(&length.to_be_bytes()),
        }
    }

    pub(crate) fn lengths(self, lengths: &[u64]) -> Self {
        lengths.iter().fold(self, |rdb, length| rdb.length(*length))
    }

    pub(crate) fn text(self, text: impl AsRef<[u8]>) -> Self {
        let text = text.as_ref();
        self.length(text.len() as u64).bytes(text)
    }

    pub(crate) fn compressed(self, compressed: &[u8], length: u64) -> Self {
        self.byte(0xc3).length(compressed.len() as u64).length(length).bytes(compressed)
    }

    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        self.byte(250).text(name).text(value)
    }

    /// The end mark and the sum.
    pub(crate) fn end(self) -> Vec<u8> {
        let rdb = self.byte(255);
        let sum = crc64(&rdb.0);
        rdb.bytes(&sum.to_le_bytes()).0
    }
}

/// CRC-64 by Jones, reflected, bit by bit: as in the server's `crc64.c`, and by another way than the crate's.
pub(crate) fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u64::from(*byte), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0x95ac_9329_ac4b_c9b5 } else { crc >> 1 }
        })
    })
}

/// In one piece, its length known.
pub(crate) fn inspect(bytes: &[u8]) -> Report {
    inspect_in_chunks(bytes, Some(bytes.len() as u64), &mut |_| bytes.len(), &mut |inspector| inspector)
}

/// In chunks of sizes by offset; after each chunk something is done with the inspector.
pub(crate) fn inspect_in_chunks(
    bytes: &[u8],
    length: Option<u64>,
    sizes: &mut dyn FnMut(usize) -> usize,
    between: &mut dyn FnMut(Inspector) -> Inspector,
) -> Report {
    let mut inspector = length.map_or_else(Inspector::new, Inspector::with_length);
    let mut at = 0;
    while at < bytes.len() {
        let end = (at + sizes(at).max(1)).min(bytes.len());
        if inspector.feed(&bytes[at..end]).is_err() {
            break;
        }
        at = end;
        assert_eq!(inspector.offset(), at as u64);
        inspector = between(inspector);
    }
    inspector.finish(length)
}

/// Through a checkpoint and back.
#[expect(clippy::needless_pass_by_value, reason = "the one before it is gone")]
pub(crate) fn resumed(inspector: Inspector) -> Inspector {
    let checkpoint = serde_json::to_string(&inspector).unwrap();
    assert!(checkpoint.len() < 8192, "a checkpoint of {} bytes", checkpoint.len());
    serde_json::from_str(&checkpoint).unwrap()
}

/// The files of `tests/corpus`, by name.
pub(crate) fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rdb"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(files.len() >= 10);
    files
}
