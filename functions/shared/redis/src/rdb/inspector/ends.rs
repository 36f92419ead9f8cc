//! The two ends of a file: its header, and the checksum over all before it.

use super::{Inspector, Phase};
use crate::rdb::{corrupt::Because, grammar::Family};

/// "REDIS0011" and "VALKEY080" are of one length.
const HEADER: usize = 9;

/// The checksum after the end mark.
const CHECKSUM: usize = 8;

/// The end mark, and since version 5 the checksum.
pub(super) const WITH_CHECKSUM: u64 = 9;
const WITHOUT_CHECKSUM: u64 = 1;

impl Inspector {
    pub(super) fn header(&mut self, bytes: &[u8]) -> Result<Option<usize>, Because> {
        let Some(header) = bytes.first_chunk::<HEADER>() else {
            // What cannot become one is told at once.
            let begins = |magic: &[u8]| bytes.iter().zip(magic).all(|(one, other)| one == other);
            return if begins(b"REDIS") || begins(b"VALKEY") { Ok(None) } else { Err(Because::Header) };
        };
        let text = std::str::from_utf8(header).map_err(|_| Because::Header)?;
        let redis = text.strip_prefix("REDIS").map(|digits| (Family::Redis, digits));
        let (family, digits) = redis
            .or_else(|| text.strip_prefix("VALKEY").map(|digits| (Family::Valkey, digits)))
            .filter(|(_, digits)| digits.bytes().all(|digit| digit.is_ascii_digit()))
            .ok_or(Because::Header)?;
        let version: u16 = digits.parse().map_err(|_| Because::Header)?;
        // Valkey has left the numbers between to Redis.
        if !(match family {
            Family::Redis => (1..80).contains(&version),
            Family::Valkey => version >= 80,
        }) {
            return Err(Because::Version(text.to_owned()));
        }
        if family == Family::Redis && version < 5 {
            self.tail = WITHOUT_CHECKSUM;
        }
        self.family = family;
        text.clone_into(&mut self.rdb_version);
        self.phase = Phase::Body;
        Ok(Some(HEADER))
    }

    /// `rdbchecksum no` writes zeros.
    pub(super) fn checksum(&mut self, bytes: &[u8]) -> Result<usize, Because> {
        let used = bytes.len().min(CHECKSUM.saturating_sub(self.carry.len()));
        self.carry.extend_from_slice(&bytes[..used]);
        if let Some(eight) = self.carry.first_chunk() {
            let stored = u64::from_le_bytes(*eight);
            if stored != 0 && stored != self.sum {
                let computed = self.sum;
                return Err(Because::Checksum { stored, computed });
            }
            self.phase = if stored == 0 { Phase::NoChecksum } else { Phase::Verified };
            self.carry.clear();
            self.parsed += CHECKSUM as u64;
        }
        Ok(used)
    }
}
