use std::{collections::BTreeMap, ops::RangeInclusive};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::corrupt::Corrupt;

/// What reading a whole file has shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether it can be trusted. The rest of the report is worth what the verdict is worth: of a corrupt file it
    /// counts what stood before the place.
    pub verdict: Verdict,
    /// Bytes read: those of the whole file, unless it is corrupt.
    pub bytes: u64,
    /// As in the header: `REDIS0011`, `VALKEY080`. Empty if the file has none.
    pub rdb_version: String,
    /// Who says to have written it.
    pub engine: Option<Engine>,
    /// When the server began to write it, to the second, by its own clock.
    pub created: Option<Timestamp>,
    /// The memory that the server used then: what a server must have, to be restored onto.
    pub used_memory_bytes: Option<u64>,
    /// Whether it is the base of an append-only directory.
    pub append_only_base: bool,
    /// Keys by database number.
    pub databases: BTreeMap<u32, Keys>,
    /// Keys in further databases, once 1,024 had been seen: a file is not to say how much memory its report takes.
    pub in_further_databases: Keys,
    /// Keys by what they hold.
    pub kinds: BTreeMap<Kind, u64>,
    /// Function libraries.
    pub functions: u64,
    /// When keys expire.
    pub expiries: Expiries,
}

impl Report {
    /// Keys in all databases.
    pub fn keys(&self) -> u64 {
        self.databases.values().map(|keys| keys.total).sum::<u64>() + self.in_further_databases.total
    }

    /// Of those, keys that expire.
    pub fn expiring(&self) -> u64 {
        self.databases.values().map(|keys| keys.expiring).sum::<u64>() + self.in_further_databases.expiring
    }

    /// How many keys a server that has loaded the file holds at `instant`: fewest and most. A server drops what has
    /// expired, when it loads and later.
    pub fn keys_at(&self, instant: Timestamp) -> RangeInclusive<u64> {
        let gone = self.expiries.gone_at(instant);
        self.keys().saturating_sub(*gone.end())..=self.keys().saturating_sub(*gone.start())
    }
}

/// Whether a file can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Whole, and every bit as it was written: structure, length and checksum agree.
    Verified,
    /// Structure and length agree, and there is no checksum to compare: the server ran with `rdbchecksum no`, or is
    /// older than 2.6. A damaged value would look the same.
    NoChecksum,
    /// Damaged, or cut off, or no RDB.
    Corrupt(Corrupt),
}

/// Who wrote a file, by its own word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Whether it is Valkey; Redis otherwise. Valkey 7.2 calls itself Redis.
    pub valkey: bool,
    /// `7.2.4`, …
    pub version: String,
}

/// Keys of one database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// All of them.
    pub total: u64,
    /// Those that expire.
    pub expiring: u64,
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the engines' own words")]
pub enum Kind {
    String,
    List,
    Set,
    SortedSet,
    Hash,
    Stream,
    Module,
    Array,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::String,
        Self::List,
        Self::Set,
        Self::SortedSet,
        Self::Hash,
        Self::Stream,
        Self::Module,
        Self::Array,
    ];
}

/// When keys expire, seen from the moment the file was begun: exact for what had expired by then, and to a quarter of
/// the time that they still had for the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiries {
    /// What the times are counted from, ms of Unix time: `ctime`, or 0 in a file without.
    from_ms: i64,
    /// Keys by [`bucket`].
    counts: Vec<u64>,
}

impl Default for Expiries {
    fn default() -> Self {
        Self { from_ms: 0, counts: vec![0; BUCKETS] }
    }
}

/// One for what has expired, four for each doubling of the seconds, and the last for all beyond.
const BUCKETS: usize = 132;

impl Expiries {
    pub(super) fn count_from(&mut self, from_ms: i64) {
        self.from_ms = from_ms;
    }

    #[inline]
    pub(super) fn add(&mut self, expiry_ms: i64) {
        // Of a checkpoint, which might have been shortened.
        if let Some(count) = self.counts.get_mut(bucket(expiry_ms.saturating_sub(self.from_ms))) {
            *count += 1;
        }
    }

    /// How many keys have expired at `instant`: at least, and at most.
    pub fn gone_at(&self, instant: Timestamp) -> RangeInclusive<u64> {
        let until = bucket(instant.as_millisecond().saturating_sub(self.from_ms));
        let before: u64 = self.counts.iter().take(until).sum();
        let within = self.counts.get(until).copied().unwrap_or(0);
        // Had it expired when the file was begun, it has for certain; later within a bucket nobody knows.
        if until == 0 && instant.as_millisecond() >= self.from_ms {
            return within..=within;
        }
        before..=before + within
    }
}

/// Of how many ms are left.
fn bucket(left_ms: i64) -> usize {
    let Ok(left_ms) = u64::try_from(left_ms) else { return 0 };
    // Whole seconds, rounded up: 0 has expired.
    let seconds = left_ms.div_ceil(1000);
    let Some(doublings) = seconds.checked_ilog2() else { return 0 };
    let quarter =
        if doublings < 2 { (seconds << (2 - doublings)) & 3 } else { (seconds >> (doublings - 2)) & 3 };
    let quarter = usize::try_from(quarter).unwrap_or(0);
    let doublings = usize::try_from(doublings).unwrap_or(0);
    (1 + 4 * doublings + quarter).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What has expired by an instant is between the two numbers, whatever the instant.
        #[test]
        fn bounds_hold(
            expiries in prop::collection::vec(-100_000_i64..40_000_000, 0..200),
            begun in 0_i64..2_000_000_000_000,
            after in -200_000_i64..50_000_000,
        ) {
            let mut counted = Expiries::default();
            counted.count_from(begun);
            for expiry in &expiries {
                counted.add(begun + expiry);
            }
            let gone = expiries.iter().filter(|expiry| **expiry <= after).count() as u64;
            let said = counted.gone_at(Timestamp::from_millisecond(begun + after).unwrap());
            prop_assert!(said.contains(&gone), "{gone} not in {said:?}");
        }

        #[test]
        fn buckets_are_in_order(earlier in any::<i64>(), later in any::<i64>()) {
            let (earlier, later) = (earlier.min(later), earlier.max(later));
            prop_assert!(bucket(earlier) <= bucket(later));
            prop_assert!(bucket(later) < BUCKETS);
        }
    }
}
