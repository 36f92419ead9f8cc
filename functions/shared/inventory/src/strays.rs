//! What looks as if Tidemark had made it, and belongs to no recovery point. Nothing copies, verifies, keeps or deletes it: a
//! person has to hear of it.

use domain::{Engine, retention::Region};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How old a stray is before anybody hears of it: until then a person may be at work on it.
const GRACE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// So many are named in a retention plan.
const NAMED: usize = 100;

/// A snapshot, or an object among the recovery points of a vault, that belongs to none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stray {
    /// Among what it is: the snapshots of RDS, or the objects of that engine in a vault.
    pub engine: Engine,
    /// In which Region.
    pub region: Region,
    /// The snapshot's identifier, or the object's key.
    pub name: String,
    /// Why it belongs to no recovery point.
    pub why: String,
    /// When it was made, or written last; `None` where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_at: Option<Timestamp>,
}

impl Stray {
    /// Whether it has been there for so long that nobody is at work on it any more. Nothing that is still being made is of
    /// unknown age.
    pub fn is_old(&self, now: Timestamp) -> bool {
        self.made_at.is_none_or(|made_at| now.duration_since(made_at) > GRACE)
    }
}

/// The strays as they stand in a retention plan: all of them counted, and no more named than a person reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strays {
    /// How many there are.
    pub count: usize,
    /// The oldest of them.
    pub named: Vec<Stray>,
}

impl Strays {
    pub(crate) fn of(strays: &[Stray]) -> Self {
        let mut named: Vec<&Stray> = strays.iter().collect();
        named.sort_by_key(|stray| (stray.made_at, stray.engine, &stray.name, stray.region));
        Self { count: strays.len(), named: named.into_iter().take(NAMED).cloned().collect() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
