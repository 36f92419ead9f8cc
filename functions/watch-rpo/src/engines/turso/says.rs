//! What only Turso has, in words.

use domain::{Finding, ResourceId, Severity};
use jiff::Timestamp;
use turso::Database;

use crate::{engines::Lost, kind};

pub(super) fn blocked(resource: &ResourceId, now: Timestamp) -> Finding {
    let name = &resource.name;
    Finding::new(
        resource,
        kind::RESOURCE_UNHEALTHY,
        Severity::Critical,
        now,
        "Turso lets nobody read the database (block_reads), so that it cannot be backed up",
        format!(
            "Somebody has set that, or a quota or a bill is over: `turso plan show` and `turso org list` tell. Set it back with `PATCH \
             /v1/organizations/…/databases/{name}/configuration` and {{\"block_reads\": false}}. Its recovery points can be restored \
             meanwhile."
        ),
    )
}

pub(super) fn next_for_rpo(name: &str) -> String {
    format!(
        "See what backup-turso found and logged, and whether Turso answers for the database: `turso db show {name}`. Until it is \
         mended, a file holds today's state: `turso db export {name}`."
    )
}

pub(super) fn lost(name: &str, there: Option<&Database>, plan: Option<&str>) -> Lost {
    let plan = plan.unwrap_or("…");
    match there {
        Some(Database { group, .. }) => Lost {
            now: format!("now no plan names {group}/{name}"),
            otherwise: format!("name it again in the plan document, in `plans.{plan}.turso.databases`"),
        },
        None => Lost {
            now: "now there is no such database".to_owned(),
            otherwise: format!(
                "restore {name} with restore-database: Turso itself revives no database that was deleted"
            ),
        },
    }
}
