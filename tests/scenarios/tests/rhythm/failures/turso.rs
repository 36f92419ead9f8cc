//! What Turso, its databases and their recovery points in the vault may do.

use domain::{Engine, PlanDocument};
use jiff::Timestamp;
use reconcile::Error;

use super::{EACH_TIME, Failure, in_order, vaulted};
use crate::world::{USERS, World, at, minutes};

const SLOT: &str = "2026-11-22T04:00:00Z";

/// Less than is left of it when a slot's grace is over, so that this alone is told.
const SHORT_RPO: &str = r#"{"plans": {"default": {
    "objectives": {"turso_rpo_minutes": 90}, "turso": {"databases": ["production/*"]}
}}}"#;

const TWO_PLANS: &str = r#"{"plans": {
    "default": {"turso": {"databases": ["production/*"]}}, "other": {"turso": {"databases": ["*/users"]}}
}}"#;

const MISSPELT: &str =
    r#"{"plans": {"default": {"turso": {"databases": ["production/*", "prodution/archive"]}}}}"#;

const NONE: Failure = Failure {
    name: "",
    engine: Engine::Turso,
    resource: "turso/users",
    kind: "",
    slot: SLOT,
    from_slot_minutes: 20,
    before: in_order,
    happens: |_| None,
};

pub(crate) const FAILURES: &[Failure] = &[
    Failure {
        name: "Turso: the token is valid no more",
        resource: "tidemark/turso",
        kind: "refused",
        happens: revoke,
        ..NONE
    },
    Failure {
        name: "Turso: the token may not open the database",
        kind: "refused",
        from_slot_minutes: -2,
        happens: forbid,
        ..NONE
    },
    Failure {
        name: "Turso: the copy that comes is damaged",
        kind: "recovery-point-failed",
        from_slot_minutes: -2,
        happens: damage,
        ..NONE
    },
    Failure {
        name: "Turso: a second plan names the database",
        kind: "refused",
        happens: |world| set_plans(world, TWO_PLANS),
        ..NONE
    },
    Failure {
        name: "Turso: a pattern names nothing",
        resource: "tidemark/backup-turso",
        kind: "pattern-matches-nothing",
        happens: |world| set_plans(world, MISSPELT),
        ..NONE
    },
    Failure {
        name: "Turso: backup-turso never ran",
        kind: "slot-missed",
        from_slot_minutes: 57,
        before: |world| world.leave_open(at(SLOT)),
        happens: |_| Some(at(SLOT) + minutes(60)),
        ..NONE
    },
    Failure {
        name: "Turso: the newest recovery point is too old (RPO exceeded)",
        kind: "rpo-exceeded",
        from_slot_minutes: 27,
        before: shorten,
        happens: |_| Some(at(SLOT) + minutes(90 - 60)),
        ..NONE
    },
    Failure {
        name: "Turso: a recovery point is given up without a manifest",
        kind: "recovery-point-failed",
        from_slot_minutes: 5,
        before: |world| world.leave_open(at(SLOT)),
        happens: |world| vaulted::replace(world, at(SLOT)),
        ..NONE
    },
    Failure {
        name: "Turso: a recovery point is less than half as large",
        kind: "recovery-point-shrunk",
        from_slot_minutes: 5,
        before: |world| world.leave_open(at(SLOT)),
        happens: |world| vaulted::shrink(world, at(SLOT)),
        ..NONE
    },
    Failure {
        name: "Turso: a copy is missing",
        kind: "copy-missing",
        from_slot_minutes: 357,
        before: |world| world.leave_uncopied(at(SLOT)),
        happens: |_| Some(at(SLOT) + minutes(360)),
        ..NONE
    },
    Failure {
        name: "Turso: a copy is behind",
        kind: "copy-behind",
        from_slot_minutes: 357,
        before: |world| world.leave_uncopied(at(SLOT)),
        happens: |world| vaulted::copy_in_part(world, at(SLOT)),
        ..NONE
    },
    Failure {
        name: "Turso: a copy differs",
        kind: "copy-failed",
        from_slot_minutes: 5,
        happens: |world| vaulted::spoil_copy(world, at(SLOT)),
        ..NONE
    },
    Failure { name: "Turso: reads are blocked", kind: "resource-unhealthy", happens: block, ..NONE },
    Failure { name: "Turso: the database is deleted", kind: "protection-lost", happens: delete, ..NONE },
];

fn set_plans(world: &mut World, plans: &str) -> Option<Timestamp> {
    world.plans = PlanDocument::parse(plans).unwrap();
    None
}

fn revoke(world: &mut World) -> Option<Timestamp> {
    world.token = "revoked";
    Some(world.now)
}

fn forbid(world: &mut World) -> Option<Timestamp> {
    for _ in 0..EACH_TIME {
        let error = Error::misconfigured("TursoForbidden", "the token does not allow it");
        world.turso.refuse_next("token", error);
    }
    None
}

/// A byte in the second page of the file is another.
fn damage(world: &mut World) -> Option<Timestamp> {
    world.turso.checkpoint(USERS);
    for _ in 0..EACH_TIME {
        world.turso.garble_next("export", 4096);
    }
    None
}

fn shorten(world: &mut World) {
    set_plans(world, SHORT_RPO);
    world.leave_open(at(SLOT));
}

fn block(world: &mut World) -> Option<Timestamp> {
    world.turso.change(USERS, |database| database.listed.block_reads = true);
    Some(world.now)
}

fn delete(world: &mut World) -> Option<Timestamp> {
    world.turso.remove(USERS);
    Some(world.now)
}
