//! Hash slots.

/// How many there are.
pub(crate) const SLOTS: u16 = 16_384;

/// A range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slots {
    pub(crate) first: u16,
    /// In it, too.
    pub(crate) last: u16,
}

impl Slots {
    /// Reads `0-5460`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-')?;
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (first <= last && last < SLOTS).then_some(Self { first, last })
    }

    /// The range that a key is in.
    pub(crate) fn hold(self, key: &[u8]) -> bool {
        let slot = redis_protocol::redis_keyslot(key);
        (self.first..=self.last).contains(&slot)
    }
}

impl std::fmt::Display for Slots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}
