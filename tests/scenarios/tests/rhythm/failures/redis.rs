//! What ElastiCache, its caches and their recovery points in the vault may do.

use domain::{Engine, PlanDocument, tag};
use jiff::Timestamp;
use redis::elasticache::{Cache, CacheKind, Settings, Snapshot};

use super::{EACH_TIME, Failure, denied, in_order, vaulted};
use crate::{
    points::rdb,
    world::{HOME, World, at, minutes, sessions},
};

const SLOT: &str = "2026-11-22T06:00:00Z";

/// Less than is left of it when a slot's grace is over, so that this alone is told.
const SHORT_RPO: &str = r#"{"plans": {"default": {"objectives": {"redis_rpo_minutes": 390}}}}"#;

const ARCHIVED: &str =
    r#"{"plans": {"default": {"redis": {"append_only": {"carts": "s3://archive/carts/"}}}}}"#;

const NONE: Failure = Failure {
    name: "",
    engine: Engine::Redis,
    resource: "redis/sessions",
    kind: "",
    slot: SLOT,
    from_slot_minutes: 120,
    before: in_order,
    happens: |_| None,
};

pub(crate) const FAILURES: &[Failure] = &[
    Failure {
        name: "Redis: a snapshot is refused",
        kind: "recovery-point-failed",
        from_slot_minutes: -2,
        happens: |world| refuse(world, "CreateSnapshot"),
        ..NONE
    },
    Failure {
        name: "Redis: the day's snapshots are used up",
        kind: "refused",
        from_slot_minutes: -2,
        happens: use_up,
        ..NONE
    },
    Failure {
        name: "Redis: an export is refused",
        kind: "recovery-point-failed",
        from_slot_minutes: -2,
        happens: |world| refuse(world, "CopySnapshot"),
        ..NONE
    },
    Failure {
        name: "Redis: what is exported is corrupt",
        kind: "recovery-point-failed",
        from_slot_minutes: -2,
        happens: corrupt,
        ..NONE
    },
    Failure {
        name: "Redis: ElastiCache gives up on a snapshot",
        kind: "recovery-point-failed",
        from_slot_minutes: 0,
        before: |world| world.open(at(SLOT)),
        happens: give_up,
        ..NONE
    },
    Failure {
        name: "Redis: a recovery point has no checksum",
        kind: "rdb-without-checksum",
        from_slot_minutes: -2,
        happens: uncheck,
        ..NONE
    },
    Failure {
        name: "Redis: the cache moves to nodes that cannot be exported",
        kind: "cannot-export",
        from_slot_minutes: -2,
        happens: move_to_disks,
        ..NONE
    },
    Failure { name: "Redis: the cache's tag names no plan", kind: "refused", happens: mistype, ..NONE },
    Failure {
        name: "Redis: nothing is where a plan says that a server is archived",
        resource: "redis/carts",
        kind: "refused",
        happens: archive,
        ..NONE
    },
    Failure {
        name: "Redis: what a server archives is corrupt",
        resource: "redis/carts",
        kind: "recovery-point-failed",
        happens: archive_badly,
        ..NONE
    },
    Failure {
        name: "Redis: backup-redis never ran",
        kind: "slot-missed",
        from_slot_minutes: 57,
        before: |world| world.leave_open(at(SLOT)),
        happens: |_| Some(at(SLOT) + minutes(60)),
        ..NONE
    },
    Failure {
        name: "Redis: the newest recovery point is too old (RPO exceeded)",
        kind: "rpo-exceeded",
        from_slot_minutes: 27,
        before: shorten,
        happens: |_| Some(at(SLOT) + minutes(390 - 360)),
        ..NONE
    },
    Failure {
        name: "Redis: a recovery point is given up without a manifest",
        kind: "recovery-point-failed",
        from_slot_minutes: 5,
        before: |world| world.leave_open(at(SLOT)),
        happens: |world| vaulted::replace(world, at(SLOT)),
        ..NONE
    },
    Failure {
        name: "Redis: a recovery point is less than half as large",
        kind: "recovery-point-shrunk",
        from_slot_minutes: 5,
        before: |world| world.leave_open(at(SLOT)),
        happens: |world| vaulted::shrink(world, at(SLOT)),
        ..NONE
    },
    Failure {
        name: "Redis: a copy is missing",
        kind: "copy-missing",
        from_slot_minutes: 357,
        before: |world| world.leave_uncopied(at(SLOT)),
        happens: |_| Some(at(SLOT) + minutes(360)),
        ..NONE
    },
    Failure {
        name: "Redis: a copy is behind",
        kind: "copy-behind",
        from_slot_minutes: 357,
        before: |world| world.leave_uncopied(at(SLOT)),
        happens: |world| vaulted::copy_in_part(world, at(SLOT)),
        ..NONE
    },
    Failure {
        name: "Redis: a copy differs",
        kind: "copy-failed",
        from_slot_minutes: 5,
        happens: |world| vaulted::spoil_copy(world, at(SLOT)),
        ..NONE
    },
    Failure {
        name: "Redis: the cache is in a state that takes no snapshot",
        kind: "resource-unhealthy",
        happens: fall_ill,
        ..NONE
    },
    Failure { name: "Redis: the cache is deleted", kind: "protection-lost", happens: delete, ..NONE },
    Failure {
        name: "Redis: ElastiCache refuses to list its caches",
        resource: "tidemark/caches",
        kind: "refused",
        happens: hide,
        ..NONE
    },
];

fn refuse(world: &mut World, operation: &'static str) -> Option<Timestamp> {
    for _ in 0..EACH_TIME {
        world.caches.refuse_next(operation, denied());
    }
    None
}

fn hide(world: &mut World) -> Option<Timestamp> {
    refuse(world, "DescribeCaches");
    Some(world.now)
}

fn use_up(world: &mut World) -> Option<Timestamp> {
    for number in 0..CacheKind::ReplicationGroup.snapshots_a_day() {
        let name = format!("by-hand-{number}");
        world.caches.put_snapshot(Snapshot {
            arn: format!("arn:aws:elasticache:us-east-1:123456789012:snapshot:{name}"),
            name,
            kind: CacheKind::ReplicationGroup,
            cache: sessions().name,
            status: "available".to_owned(),
            shards: Vec::new(),
            engine: None,
            engine_version: None,
            created: Some(world.now),
            tags: [].into(),
        });
    }
    None
}

/// One bit of the value is another.
fn corrupt(world: &mut World) -> Option<Timestamp> {
    let value = world.exported.iter().position(|byte| *byte == b'v').unwrap();
    world.exported[value] ^= 1;
    None
}

fn give_up(world: &mut World) -> Option<Timestamp> {
    for snapshot in world.caches.snapshots() {
        world.caches.fail_snapshot(snapshot.kind, &snapshot.name);
    }
    None
}

/// As a server with `rdbchecksum no` writes it.
fn uncheck(world: &mut World) -> Option<Timestamp> {
    let end = world.exported.len() - 8;
    world.exported[end..].fill(0);
    None
}

fn move_to_disks(world: &mut World) -> Option<Timestamp> {
    let sessions = sessions();
    let settings = Settings { data_tiering: true, ..sessions.settings };
    world.caches.put_cache(Cache { settings, ..sessions });
    None
}

fn mistype(world: &mut World) -> Option<Timestamp> {
    let tags = [(tag::PLAN.to_owned(), "defautl".to_owned())].into();
    world.caches.put_cache(Cache { tags, ..sessions() });
    None
}

/// A plan begins to name it.
fn archive(world: &mut World) -> Option<Timestamp> {
    world.plans = PlanDocument::parse(ARCHIVED).unwrap();
    None
}

fn archive_badly(world: &mut World) -> Option<Timestamp> {
    let files = [
        ("appendonly.aof.1.base.rdb", rdb()),
        ("appendonly.aof.1.incr.aof", b"*1\r\n$4\r\nPING\r\nnonsense".to_vec()),
        (
            "appendonly.aof.manifest",
            b"file appendonly.aof.1.base.rdb seq 1 type b\nfile appendonly.aof.1.incr.aof seq 1 type i\n"
                .to_vec(),
        ),
    ];
    let archive = world.vault.beside(HOME, "archive");
    for (name, content) in files {
        archive.put(&format!("carts/{name}"), content);
    }
    self::archive(world)
}

fn shorten(world: &mut World) {
    world.plans = PlanDocument::parse(SHORT_RPO).unwrap();
    world.leave_open(at(SLOT));
}

fn fall_ill(world: &mut World) -> Option<Timestamp> {
    world.caches.put_cache(Cache { status: "incompatible-network".to_owned(), ..sessions() });
    Some(world.now)
}

fn delete(world: &mut World) -> Option<Timestamp> {
    world.caches.remove_cache(CacheKind::ReplicationGroup, &sessions().name);
    Some(world.now)
}
