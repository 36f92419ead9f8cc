//! What Tidemark believes about the world, as plain values: no I/O, no clock, `now` always a parameter.
//!
//! The words are the glossary's (`docs/glossary.md`).

mod ages;
pub mod drill;
mod drills;
mod finding;
mod plan;
mod plan_document;
mod recovery_point;
mod resource;
pub mod retention;
mod slot;
mod sources;
mod watched;

pub use ages::{Ages, DayOfAges, MeasuredAge};
pub use drills::{CrossAssertion, DrillClass, DrillPlan, LONGEST_WITHOUT, Question, RecoverySet, Side};
pub use finding::{Finding, Findings, Severity, Standing};
pub use plan::{BackupPlan, Objectives, PlanName, Retention};
pub use plan_document::{InvalidPlanDocument, PlanDocument, Problem};
pub use recovery_point::{RecoveryPointId, RecoveryPointParts, RecoveryPointState};
pub use resource::{Engine, InvalidResourceId, ResourceId};
pub use slot::{InvalidSchedule, Schedule, Slot};
pub use sources::{AppendOnlyArchive, DatabasePattern, RedisSources, TursoSources};
pub use watched::{Watched, WatchedMonth};

/// The tags by which people and functions speak to each other through AWS. Values hold only the characters that
/// RDS allows in a tag: letters, digits, spaces and `_ . : / = + - @` (RDS User Guide, "Tagging Amazon RDS resources").
pub mod tag {
    use std::collections::BTreeMap;

    /// On a database, set by its owner: the name of the backup plan that protects it, or [`NO_PLAN`].
    pub const PLAN: &str = "tidemark:plan";
    /// What stands in [`PLAN`] of a database that is not to be protected, so that nobody takes that for an oversight.
    pub const NO_PLAN: &str = "none";

    /// The plan that the owner of what bears those tags named for it.
    pub fn plan(tags: &BTreeMap<String, String>) -> Option<&str> {
        tags.get(PLAN).map(String::as_str).filter(|name| *name != NO_PLAN)
    }

    /// Of what [`plan`] has none of, what it has instead: `no tag tidemark:plan`, or `the tag tidemark:plan=none`.
    pub fn absence(tags: &BTreeMap<String, String>) -> String {
        tags.get(PLAN).map_or_else(|| format!("no tag {PLAN}"), |value| format!("the tag {PLAN}={value}"))
    }

    /// On a database, optional, set by its owner: the Secrets Manager secret (name or ARN) with its credentials.
    pub const SECRET: &str = "tidemark:secret";
    /// On what Tidemark made: the protected resource it belongs to, as [`crate::ResourceId`] prints it.
    pub const RESOURCE: &str = "tidemark:resource";
    /// On a recovery point: the slot it fills, RFC 3339.
    pub const SLOT: &str = "tidemark:slot";
    /// On what Tidemark made: when it was asked for, RFC 3339.
    pub const REQUESTED_AT: &str = "tidemark:requested-at";
    /// On a snapshot, set by a person: it is not deleted while it has this tag, whatever stands in it.
    pub const LEGAL_HOLD: &str = "tidemark:legal-hold";
    /// On a snapshot: the coarsest tier that it fills.
    pub const TIER: &str = "tidemark:tier";
    /// On a restored database: the restore it came from.
    pub const RESTORE: &str = "tidemark:restore";
    /// On a restored database: the instant or recovery point it was restored to.
    pub const RESTORED_TO: &str = "tidemark:restored-to";
    /// On a database that was restored with others to one instant: the recovery set.
    pub const SET: &str = "tidemark:set";
    /// On the same: the restore of the whole set.
    pub const SET_RESTORE: &str = "tidemark:set-restore";
    /// On the same, if it was made from a recovery point: as of when it is, RFC 3339.
    pub const AS_OF: &str = "tidemark:as-of";
    /// On a database that a drill restored: the drill's id. What carries it, and nothing else, is torn down.
    pub const DRILL: &str = "tidemark:drill";
    /// On a database that a drill restored: from when on nobody needs it, whatever became of the drill, RFC 3339.
    pub const EXPIRES: &str = "tidemark:expires";
}
