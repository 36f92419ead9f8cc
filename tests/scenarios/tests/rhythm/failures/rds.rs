//! What RDS and its databases may do.

use domain::Engine;
use jiff::Timestamp;
use rds::{AutomatedBackup, PitrWindow};
use reconcile::Error;

use super::{EACH_TIME, Failure, in_order};
use crate::{
    points::{incarnation, snapshot},
    world::{AWAY, HOME, Wake, World, at, minutes},
};

const SLOT: &str = "2026-11-22T03:00:00Z";

const NONE: Failure = Failure {
    name: "",
    engine: Engine::Rds,
    resource: "rds/orders",
    kind: "",
    slot: SLOT,
    from_slot_minutes: 120,
    before: in_order,
    happens: |_| None,
};

pub(crate) const FAILURES: &[Failure] = &[
    Failure {
        name: "a snapshot is refused (its key is disabled)",
        kind: "recovery-point-failed",
        from_slot_minutes: -2,
        happens: refuse_snapshots,
        ..NONE
    },
    Failure {
        name: "the quota of snapshots is full",
        kind: "refused",
        from_slot_minutes: -2,
        happens: fill_quota,
        ..NONE
    },
    Failure {
        name: "RDS gives up on a snapshot",
        kind: "recovery-point-failed",
        from_slot_minutes: 5,
        before: begin_snapshot,
        happens: fail_snapshot,
        ..NONE
    },
    Failure {
        name: "RDS gives up on a copy",
        kind: "copy-failed",
        from_slot_minutes: 5,
        happens: fail_copy,
        ..NONE
    },
    Failure {
        name: "backup-rds never ran",
        kind: "slot-missed",
        from_slot_minutes: 57,
        before: |world| world.leave_open(at(SLOT)),
        happens: |_| Some(at(SLOT) + minutes(60)),
        ..NONE
    },
    Failure {
        name: "a copy is missing",
        kind: "copy-missing",
        from_slot_minutes: 357,
        // The copy is refused as too fast, again and again: no failure of any call, and no copy either.
        before: |world| world.leave_uncopied(at(SLOT)),
        happens: |_| Some(at(SLOT) + minutes(360)),
        ..NONE
    },
    Failure {
        name: "logs are shipped no more (RPO exceeded)",
        kind: "rpo-exceeded",
        happens: stop_shipping,
        ..NONE
    },
    Failure {
        name: "automated backups are turned off",
        kind: "automated-backups-off",
        happens: turn_off,
        ..NONE
    },
    Failure {
        name: "the same, and RDS's event is lost",
        kind: "automated-backups-off",
        happens: turn_off_unheard,
        ..NONE
    },
    Failure {
        name: "the instance's storage is full",
        kind: "resource-unhealthy",
        happens: fill_storage,
        ..NONE
    },
    Failure { name: "the database is deleted", kind: "protection-lost", happens: delete, ..NONE },
    Failure {
        name: "replication to the recovery Region lags",
        kind: "replication-behind",
        happens: lag,
        ..NONE
    },
];

fn refuse_snapshots(world: &mut World) -> Option<Timestamp> {
    for _ in 0..EACH_TIME {
        let error = Error::misconfigured("KMSKeyNotAccessibleFault", "the key is disabled");
        world.account.refuse_next("CreateDBSnapshot", error);
    }
    None
}

fn fill_quota(world: &mut World) -> Option<Timestamp> {
    world.account.set_quota(1);
    None
}

fn begin_snapshot(world: &mut World) {
    world.open(at(SLOT));
    world.account.put_snapshot(HOME, snapshot(HOME, at(SLOT), "creating"));
}

fn fail_snapshot(world: &mut World) -> Option<Timestamp> {
    world.account.put_snapshot(HOME, snapshot(HOME, at(SLOT), "failed"));
    Some(world.now)
}

fn fail_copy(world: &mut World) -> Option<Timestamp> {
    world.account.put_snapshot(AWAY, snapshot(AWAY, at(SLOT), "failed"));
    Some(world.now)
}

fn stop_shipping(world: &mut World) -> Option<Timestamp> {
    let until = world.orders.latest_restorable.unwrap();
    world.shipped_until = Some(until);
    Some(until + minutes(15))
}

fn turn_off(world: &mut World) -> Option<Timestamp> {
    world.event(60, Wake::WatchForEvent);
    turn_off_unheard(world)
}

fn turn_off_unheard(world: &mut World) -> Option<Timestamp> {
    world.orders.retention_days = 0;
    Some(world.now)
}

fn fill_storage(world: &mut World) -> Option<Timestamp> {
    "storage-full".clone_into(&mut world.orders.status);
    Some(world.now)
}

fn delete(world: &mut World) -> Option<Timestamp> {
    "gone".clone_into(&mut world.orders.status);
    world.account.remove_instance(HOME, "orders");
    Some(world.now)
}

fn lag(world: &mut World) -> Option<Timestamp> {
    let latest = world.now - minutes(60);
    world.account.put_automated_backup(
        AWAY,
        AutomatedBackup {
            arn: format!("arn:aws:rds:{AWAY}:123456789012:auto-backup:ab-1"),
            instance: "orders".to_owned(),
            incarnation: incarnation(Engine::Rds).to_owned(),
            status: "replicating".to_owned(),
            source_region: HOME.to_owned(),
            window: Some(PitrWindow { earliest: at("2026-11-16T00:00:00Z"), latest }),
        },
    );
    Some(world.now)
}
