//! What is backed up in the simulated year, and what its recovery points look like.

use std::{collections::BTreeMap, ops::Range};

use domain::{Engine, RecoveryPointId, ResourceId, Slot, retention::Worth};
use inventory::{Held, Holding, What};
use jiff::{SignedDuration, Timestamp};
use rds::{Snapshot, SnapshotKind};
use vault::{Listed, MANIFEST, Object, point_prefix};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

/// A database or a cache.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) resource: ResourceId,
    pub(super) incarnation: String,
    /// Its size when the year begins, and how much comes to it in a day.
    bytes: u64,
    grows: u64,
    /// From when to when none of its slots succeeds.
    broken: Range<Timestamp>,
}

pub(super) fn sources() -> Vec<Source> {
    let never = Timestamp::UNIX_EPOCH..Timestamp::UNIX_EPOCH;
    let source = |engine: Engine, name: &str, mib: u64, grows_kib: u64| Source {
        resource: ResourceId { engine, name: name.to_owned() },
        incarnation: format!("id-of-{name}"),
        bytes: mib << 20,
        grows: grows_kib << 10,
        broken: never.clone(),
    };
    let mut sources = vec![
        source(Engine::Rds, "billing", 100 << 10, 0),
        source(Engine::Rds, "orders", 500 << 10, 0),
        source(Engine::Rds, "warehouse", 2_000 << 10, 0),
        source(Engine::Redis, "carts", 900, 120),
        source(Engine::Redis, "sessions", 3_400, 900),
        source(Engine::Turso, "catalogue", 48, 30),
        source(Engine::Turso, "shop", 210, 410),
        source(Engine::Turso, "tenants", 1_200, 2_100),
    ];
    // Of late: a week without one in spring, a day in autumn, and last night.
    let instant = |text: &str| text.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    sources[1].broken = instant("2026-11-09T00:00:00Z")..instant("2026-11-11T00:00:00Z");
    sources[4].broken = instant("2026-11-22T20:00:00Z")..Timestamp::MAX;
    sources[6].broken = instant("2026-04-02T00:00:00Z")..instant("2026-04-09T00:00:00Z");
    sources
}

impl Source {
    pub(super) fn is_broken(&self, slot: Slot) -> bool {
        self.broken.contains(&slot.instant())
    }

    /// How long a recovery point takes.
    pub(super) fn takes_seconds(&self) -> Range<i64> {
        match self.resource.engine {
            Engine::Rds => 180..1_500,
            Engine::Redis => 60..400,
            Engine::Turso | Engine::Tidemark => 4..90,
        }
    }

    /// How much it holds at that time.
    pub(super) fn bytes_at(&self, slot: Slot) -> u64 {
        let begun: Timestamp = "2025-11-23T00:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH);
        let days = slot.instant().duration_since(begun).as_hours() / 24;
        self.bytes + self.grows * u64::try_from(days).unwrap_or_default()
    }

    /// The recovery point of a slot, verified in both Regions.
    pub(super) fn recovery_point(&self, slot: Slot) -> Held {
        let id = RecoveryPointId::new(&self.resource.name, &self.incarnation, slot, 1);
        let holding = |region: &str, minutes: i64| {
            let made_at = slot.instant() + SignedDuration::from_mins(minutes);
            let what = match self.resource.engine {
                Engine::Rds => What::Snapshots(vec![self.snapshot(&id, region, made_at)]),
                _ => What::Objects(self.objects(&id, slot, made_at)),
            };
            Some(Holding { worth: Worth::Verified, made_at, what })
        };
        let (home, recovery) = (holding(HOME, 5), holding(AWAY, 25));
        Held { id, resource: self.resource.clone(), slot, home, recovery, is_held: false }
    }

    fn snapshot(&self, id: &RecoveryPointId, region: &str, made_at: Timestamp) -> Snapshot {
        let arn = |region: &str| format!("arn:aws:rds:{region}:123456789012:snapshot:{id}");
        Snapshot {
            id: id.to_string(),
            arn: arn(region),
            instance: self.resource.name.clone(),
            incarnation: self.incarnation.clone(),
            kind: SnapshotKind::Manual,
            status: "available".to_owned(),
            percent: 100,
            allocated_gib: i32::try_from(self.bytes >> 30).unwrap_or(i32::MAX),
            created: Some(made_at),
            encrypted: true,
            kms_key: None,
            copied_from: (region == AWAY).then(|| arn(HOME)),
            tags: BTreeMap::new(),
        }
    }

    fn objects(&self, id: &RecoveryPointId, slot: Slot, modified: Timestamp) -> Listed {
        let prefix = point_prefix(&self.resource, slot, id);
        let object = |name: &str, bytes: u64| {
            let object = Object { key: format!("{prefix}{name}"), bytes, etag: String::new(), modified };
            (name.to_owned(), object)
        };
        let objects = [object("content", self.bytes_at(slot)), object(MANIFEST, 1_100)].into();
        Listed { id: id.clone(), resource: self.resource.clone(), slot, objects }
    }
}
