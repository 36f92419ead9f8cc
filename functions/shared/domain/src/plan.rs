use std::{borrow::Borrow, collections::BTreeMap, fmt};

use jiff::SignedDuration;

use crate::{Engine, Schedule};

/// The name of a backup plan, as it stands in a database's `tidemark:plan` tag: 1 to 64 of `a-z 0-9 -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlanName(String);

impl PlanName {
    /// Reads a name; `None` if it is empty, too long or holds another character.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = (1..=64).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        valid.then(|| Self(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for PlanName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What a database's owner was promised.
#[derive(Clone, Debug)]
pub struct BackupPlan {
    /// Its name.
    pub name: PlanName,
    /// When each engine's recovery points are due.
    pub schedules: BTreeMap<Engine, Schedule>,
    /// How many of them are kept.
    pub keep: Retention,
    /// How much may be lost, and how long a restore may take.
    pub objectives: Objectives,
}

/// Grandfather-father-son: how many recovery points each tier holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Daily recovery points kept.
    pub daily: u32,
    /// Weekly ones (ISO weeks).
    pub weekly: u32,
    /// Monthly ones.
    pub monthly: u32,
    /// Annual ones.
    pub annual: u32,
}

/// The plan's objectives; what was measured stands beside them in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objectives {
    /// Recovery point objective.
    pub rpo: SignedDuration,
    /// Recovery time objective.
    pub rto: SignedDuration,
    /// How long after a slot its recovery point may be incomplete.
    pub slot_grace: SignedDuration,
    /// How long after a slot its copy in the recovery Region may be incomplete.
    pub copy_grace: SignedDuration,
    /// How far automated backups that are replicated to the recovery Region may lag.
    pub replica_rpo: SignedDuration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { daily: 7, weekly: 4, monthly: 12, annual: 7 }
    }
}

impl Default for Objectives {
    fn default() -> Self {
        Self {
            rpo: SignedDuration::from_mins(15),
            rto: SignedDuration::from_mins(60),
            slot_grace: SignedDuration::from_mins(60),
            copy_grace: SignedDuration::from_mins(360),
            replica_rpo: SignedDuration::from_mins(60),
        }
    }
}
