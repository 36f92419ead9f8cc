//! A file as compressed parts: zstd frames of a fixed number of plain bytes, each with its size and a checksum, one after
//! the other, and what comes out cut into parts of one size. So the same file gives the same parts, however often it is
//! asked for; the whole is a `.zst` that `zstd -d` reads; and neither needs more memory for a larger file.

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
};

use bytes::{Bytes, BytesMut};
use data_encoding::HEXLOWER;
use reconcile::{Error, Result};
use sha2::{Digest, Sha256};
use zstd::{
    bulk::Compressor,
    stream::{raw::CParameter, write::Decoder},
};

/// How many plain bytes a frame holds: more would compress hardly better, and need more memory.
pub const FRAME_PLAIN_BYTES: usize = 4 << 20;

/// How hard zstd tries. Measured (docs/turso.md): higher levels cost more time than they save bytes.
pub const LEVEL: i32 = 3;

/// The largest window that is accepted, as a power of two: that of a frame, so that no made-up file can ask for more memory.
const WINDOW_LOG: u32 = 23;

/// The compressed parts of what is read from `R`.
pub struct Parts<R> {
    from: R,
    part_bytes: usize,
    compressor: Compressor<'static>,
    plain: Vec<u8>,
    out: BytesMut,
    over: bool,
}

impl<R: Read> Parts<R> {
    /// In parts of `part_bytes`, the last one shorter.
    pub fn new(from: R, part_bytes: usize) -> Result<Self> {
        let mut compressor = Compressor::new(LEVEL).map_err(broken)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true)).map_err(broken)?;
        Ok(Self { from, part_bytes, compressor, plain: Vec::new(), out: BytesMut::new(), over: false })
    }

    /// The next part.
    pub fn next_part(&mut self) -> Result<Option<Bytes>> {
        while !self.over && self.out.len() < self.part_bytes {
            self.plain.clear();
            let limit = FRAME_PLAIN_BYTES as u64;
            let read = self.from.by_ref().take(limit).read_to_end(&mut self.plain);
            let read = read
                .map_err(|error| Error::retryable("DiskBroken", "cannot read the copy").caused_by(error))?;
            self.over = read < FRAME_PLAIN_BYTES;
            // A file of no bytes still is a frame; the end of one that was read in whole frames is not.
            if read > 0 || self.out.is_empty() {
                self.out.extend_from_slice(&self.compressor.compress(&self.plain).map_err(broken)?);
            }
        }
        let length = self.out.len().min(self.part_bytes);
        Ok((length > 0).then(|| self.out.split_to(length).freeze()))
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::permanent("CompressionFailed", "zstd does not compress").caused_by(error)
}

/// What a compressed object holds, while its bytes go by.
pub struct Unpacker<W: Write>(Decoder<'static, Digesting<W>>);

/// The plain content of an object that was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in hex.
    pub sha256: String,
}

struct Digesting<W> {
    to: W,
    bytes: u64,
    sha256: Sha256,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, plain: &[u8]) -> std::io::Result<usize> {
        let written = self.to.write(plain)?;
        self.sha256.update(&plain[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

impl Unpacker<File> {
    /// Writes the plain bytes to a file that is not there yet.
    pub fn onto(path: &Path) -> Result<Self> {
        Self::new(File::create_new(path).map_err(crate::disk::broken("make", path))?)
    }
}

impl<W: Write> Unpacker<W> {
    /// Writes the plain bytes to `to`: a file, or [`std::io::sink`].
    pub fn new(to: W) -> Result<Self> {
        let mut decoder =
            Decoder::new(Digesting { to, bytes: 0, sha256: Sha256::new() }).map_err(not_zstd)?;
        decoder.window_log_max(WINDOW_LOG).map_err(not_zstd)?;
        Ok(Self(decoder))
    }

    /// The next compressed bytes.
    pub fn add(&mut self, compressed: &[u8]) -> Result<()> {
        self.0.write_all(compressed).map_err(not_zstd)
    }

    /// What it was, if it has come to its end.
    pub fn finish(self) -> Result<Plain> {
        // Not `flush`, to which a frame that ends before its checksum is as good as another.
        let Digesting { bytes, sha256, .. } = self.0.finish().map_err(not_zstd)?;
        Ok(Plain { bytes, sha256: HEXLOWER.encode(&sha256.finalize()) })
    }
}

fn not_zstd(error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::retryable("DiskFull", "cannot write the copy").caused_by(error);
    }
    Error::permanent("CompressionMismatch", "the object does not decompress").caused_by(error)
}

/// Size and SHA-256 of a file.
pub fn digest(path: &Path) -> Result<Plain> {
    let mut file = File::open(path).map_err(crate::disk::broken("open", path))?;
    let mut digesting = Digesting { to: std::io::sink(), bytes: 0, sha256: Sha256::new() };
    std::io::copy(&mut file, &mut digesting).map_err(crate::disk::broken("read", path))?;
    Ok(Plain { bytes: digesting.bytes, sha256: HEXLOWER.encode(&digesting.sha256.finalize()) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(plain: &[u8], part_bytes: usize) -> Vec<Bytes> {
        let mut parts = Parts::new(plain, part_bytes).unwrap();
        std::iter::from_fn(|| parts.next_part().unwrap()).collect()
    }

    fn unpack(parts: &[Bytes]) -> Result<(Plain, Vec<u8>)> {
        let mut plain = Vec::new();
        let mut unpacker = Unpacker::new(&mut plain)?;
        parts.iter().try_for_each(|part| unpacker.add(part))?;
        let content = unpacker.finish()?;
        Ok((content, plain))
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 7_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..bytes).map(|_| next()).collect()
    }

    #[test]
    fn the_same_file_gives_the_same_parts_and_comes_back() {
        for bytes in [0, 1, FRAME_PLAIN_BYTES - 1, FRAME_PLAIN_BYTES, 2 * FRAME_PLAIN_BYTES + 5] {
            let plain = noise(bytes);
            let made = parts(&plain, 1 << 20);
            assert_eq!(made, parts(&plain, 1 << 20));
            assert!(made.iter().rev().skip(1).all(|part| part.len() == 1 << 20));
            let (content, back) = unpack(&made).unwrap();
            assert!(back == plain && content.bytes == bytes as u64, "{bytes}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A changed bit never comes back as other plain bytes: it is an error, or one of the few that mean nothing.
        #[test]
        fn a_changed_bit_is_seen(bytes in 1_usize..10_000, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let plain = noise(bytes);
            let mut made = parts(&plain, 1 << 20)[0].to_vec();
            let at = at.index(made.len());
            made[at] ^= 1 << bit;
            let whole = digest_of(&plain);
            prop_assert!(unpack(&[made.into()]).map_or(true, |(content, _)| content == whole));
        }

        /// So is a missing end.
        #[test]
        fn a_missing_end_is_seen(bytes in 1_usize..10_000, at in any::<prop::sample::Index>()) {
            let plain = noise(bytes);
            let mut made = parts(&plain, 1 << 20)[0].to_vec();
            made.truncate(at.index(made.len()));
            let whole = digest_of(&plain);
            prop_assert!(unpack(&[made.into()]).map_or(true, |(content, _)| content != whole));
        }
    }

    fn digest_of(plain: &[u8]) -> Plain {
        Plain { bytes: plain.len() as u64, sha256: HEXLOWER.encode(&Sha256::digest(plain)) }
    }
}
