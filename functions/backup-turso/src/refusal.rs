//! What should be done and cannot be, said so that the reader knows what to do.

use domain::{BackupPlan, PlanName, RecoveryPointId, Slot};
use reconcile::Error;
use turso::Database;

pub(crate) fn not_configured(plans: &[&PlanName]) -> Error {
    let names: Vec<&str> = plans.iter().map(|plan| plan.as_str()).collect();
    Error::misconfigured(
        "OrganizationNotConfigured",
        format!(
            "plans name Turso databases ({}), and Tidemark knows of no organization, so none is backed up; deploy with the \
             parameters TursoOrganization and TursoSecret, or take turso.databases out of the plans",
            names.join(", ")
        ),
    )
}

pub(crate) fn ambiguous(database: &Database, plans: &[&BackupPlan]) -> Error {
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    Error::misconfigured(
        "PlanAmbiguous",
        format!(
            "{}/{} matches turso.databases of the plans {}, and no more than one can protect it, so it is not backed up; \
             make the patterns narrower",
            database.group,
            database.name,
            names.join(" and ")
        ),
    )
}

pub(crate) fn name(database: &Database) -> Error {
    Error::permanent(
        "NameUnusable",
        format!(
            "{:?} is no name of a database that has a place in the vault, so it is not backed up",
            database.name
        ),
    )
}

pub(crate) fn reads_blocked(database: &Database, whole: bool) -> Error {
    let (what, next) = if whole {
        ("the organization", "look at its plan and its billing: a quota is used up, or a bill is open")
    } else {
        ("the database", "set block_reads to false in its configuration")
    };
    Error::misconfigured(
        "ReadsBlocked",
        format!("{} cannot be copied, because reads are blocked for {what}; {next}", database.name),
    )
}

pub(crate) fn given_up(slot: Slot, ids: impl Iterator<Item = RecoveryPointId>) -> Error {
    let names: Vec<String> = ids.map(|id| id.to_string()).collect();
    Error::permanent(
        "AttemptsExhausted",
        format!(
            "{} attempts at a copy for slot {slot} failed: {}; the ledger has each one's error. The next slot is tried anew",
            names.len(),
            names.join(", ")
        ),
    )
}
