use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Measured;

/// What the rows of a restored database tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    /// The newest intact heartbeat at or before the wanted instant.
    pub newest_intact: Option<Mark>,
    /// What was lost, by that.
    pub loss: Option<Measured>,
    /// Intact heartbeats from after the wanted instant: the restore went too far.
    pub beyond: Option<Beyond>,
    /// Holes in the data: rows that were there once are not, and later ones are.
    #[serde(default)]
    pub gaps: Vec<Gap>,
    /// Holes in time alone: nothing is missing.
    #[serde(default)]
    pub pauses: Vec<Pause>,
    /// Heartbeats that follow none although earlier ones are there: their writer could believe none of those.
    #[serde(default)]
    pub begun_anew: Vec<Mark>,
    /// Rows that are not to be believed, the lowest number first.
    #[serde(default)]
    pub bad: Vec<Bad>,
    /// Intact rows of another resource, before this one's first: its database was made from that one's.
    #[serde(default)]
    pub inherited: usize,
}

impl Judgement {
    /// Nothing is wrong with what is there. How much is lost is another question.
    pub fn is_sound(&self) -> bool {
        self.beyond.is_none() && self.gaps.is_empty() && self.bad.is_empty()
    }
}

/// Which heartbeat, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mark {
    /// Its number.
    pub number: u64,
    /// By its writer's clock.
    pub at: Timestamp,
}

/// Heartbeats from after the wanted instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beyond {
    /// How many.
    pub rows: usize,
    /// That with the highest number.
    pub newest: Mark,
}

/// Rows are missing between two that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last before.
    pub from: Mark,
    /// The first after.
    pub to: Mark,
    /// How many, at most: numbers that a row which was not ours made the writer skip count along.
    pub missing: u64,
}

/// More time between two heartbeats that follow one another than between two that came when they were due: the writer did not
/// run. Or the database itself was set back then, by a failover or a restore, and went on from there: that, only who remembers
/// the highest number that was ever written can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The last before.
    pub from: Mark,
    /// The first after.
    pub to: Mark,
}

/// A row that is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Bad {
    /// Its number as it stands there, the first 40 characters of it.
    pub number: String,
    /// Why.
    pub doubt: Doubt,
}

impl Bad {
    /// A number may be as long as somebody liked.
    pub(crate) fn new(number: &str, doubt: Doubt) -> Self {
        Self { number: number.chars().take(40).collect(), doubt }
    }
}

/// Why a row is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// A field is not what it can be.
    Unreadable,
    /// It names a key that is not at hand.
    UnknownKey,
    /// It was changed, or signed by somebody else.
    WrongSignature,
    /// Signed for another resource: copied from there.
    OtherResource,
    /// Another one of this number is intact too, and earlier.
    Duplicate,
    /// Earlier than the one before it.
    Backwards,
    /// Later than the clock of whoever looks at it.
    Future,
}
