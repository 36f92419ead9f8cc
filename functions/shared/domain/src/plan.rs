use std::{borrow::Borrow, collections::BTreeMap, fmt};

use jiff::{SignedDuration, tz::TimeZone};

use crate::{DrillPlan, Engine, RedisSources, ResourceId, Schedule, TursoSources, retention::Policy};

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
    /// Whose days, weeks, months and years its recovery points are kept by.
    pub time_zone: TimeZone,
    /// When each engine's recovery points are due.
    pub schedules: BTreeMap<Engine, Schedule>,
    /// How many of them are kept.
    pub keep: Retention,
    /// What it says of Redis and Valkey alone.
    pub redis: RedisSources,
    /// What it says of Turso alone.
    pub turso: TursoSources,
    /// How much may be lost, and how long a restore may take.
    pub objectives: Objectives,
    /// How they are drilled; `None` if nobody wants that.
    pub drill: Option<DrillPlan>,
    /// Which of them get heartbeats: the secret with the writer's credentials.
    pub heartbeats: BTreeMap<ResourceId, String>,
}

/// Grandfather-father-son: how many recovery points each tier holds, and what is kept besides ([`crate::retention`]).
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
    /// So many of the newest verified ones are kept in any case; at least one is.
    pub redundancy: u32,
    /// Nothing younger is deleted; at least [`crate::retention::LEAST_AGE`].
    pub minimum_age: SignedDuration,
}

/// The plan's objectives; what was measured stands beside them in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objectives {
    /// Recovery point objective of what has point-in-time restore: RDS.
    pub rpo: SignedDuration,
    /// Recovery point objective of Redis and Valkey, whose recovery points are the slots'.
    pub redis_rpo: SignedDuration,
    /// Recovery point objective of Turso. What counts is the copy in the vault: a provider that is lost takes its own
    /// point-in-time restore with it.
    pub turso_rpo: SignedDuration,
    /// Recovery time objective.
    pub rto: SignedDuration,
    /// How long after a slot its recovery point may be incomplete.
    pub slot_grace: SignedDuration,
    /// How long after a slot its copy in the recovery Region may be incomplete.
    pub copy_grace: SignedDuration,
    /// How far automated backups that are replicated to the recovery Region may lag.
    pub replica_rpo: SignedDuration,
}

impl BackupPlan {
    /// How its recovery points are kept.
    pub fn policy(&self) -> Policy {
        Policy { keep: self.keep, time_zone: self.time_zone.clone() }
    }

    /// For how many days RDS has to keep automated backups: as far back as there are daily recovery points, and no further
    /// than RDS can (RDS User Guide, "Backup retention period").
    pub fn automated_backup_days(&self) -> i32 {
        i32::try_from(self.keep.daily.clamp(1, 35)).unwrap_or(35)
    }
}

impl Objectives {
    /// How much of that engine's data may be lost.
    pub fn rpo_of(&self, engine: Engine) -> SignedDuration {
        match engine {
            Engine::Redis => self.redis_rpo,
            Engine::Turso => self.turso_rpo,
            Engine::Rds | Engine::Tidemark => self.rpo,
        }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            daily: 7,
            weekly: 4,
            monthly: 12,
            annual: 7,
            redundancy: 3,
            minimum_age: SignedDuration::from_hours(48),
        }
    }
}

impl Default for Objectives {
    fn default() -> Self {
        Self {
            rpo: SignedDuration::from_mins(15),
            redis_rpo: SignedDuration::from_mins(480),
            turso_rpo: SignedDuration::from_mins(120),
            rto: SignedDuration::from_mins(60),
            slot_grace: SignedDuration::from_mins(60),
            copy_grace: SignedDuration::from_mins(360),
            replica_rpo: SignedDuration::from_mins(60),
        }
    }
}
