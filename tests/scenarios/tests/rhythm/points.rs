//! Recovery points that are there without anybody having to make them in the simulation.

use crc_fast::{CrcAlgorithm, checksum};
use domain::{Engine, RecoveryPointId, ResourceId, Slot, tag};
use jiff::Timestamp;
use rds::{Snapshot, SnapshotKind};
use serde_json::Map;
use vault::{Digests, MANIFEST, Manifest, point_prefix};

use crate::world::{AWAY, HOME, USERS, World, minutes};

/// The size of a recovery point in the vault; what the functions make in the simulation is no smaller.
pub(crate) const BYTES: usize = 16;

/// What is protected of an engine.
pub(crate) fn resource(engine: Engine) -> ResourceId {
    match engine {
        Engine::Redis => ResourceId::redis("sessions"),
        Engine::Turso => ResourceId::turso(USERS),
        Engine::Rds | Engine::Tidemark => ResourceId::rds("orders"),
    }
}

pub(crate) fn incarnation(engine: Engine) -> &'static str {
    match engine {
        Engine::Redis => "2026-01-01T00:00:00Z",
        Engine::Turso => "id-of-users",
        Engine::Rds | Engine::Tidemark => "db-1",
    }
}

/// An RDB of one key.
pub(crate) fn rdb() -> Vec<u8> {
    let mut file = b"REDIS0011\xfe\x00\x00\x01k\x01v\xff".to_vec();
    let sum = checksum(CrcAlgorithm::Crc64Redis, &file);
    file.extend_from_slice(&sum.to_le_bytes());
    file
}

fn id(engine: Engine, slot: Timestamp, attempt: u32) -> RecoveryPointId {
    RecoveryPointId::new(&resource(engine).name, incarnation(engine), Slot::at(slot), attempt)
}

/// A recovery point of `orders` for the slot, in that state.
pub(crate) fn snapshot(region: &str, slot: Timestamp, status: &str) -> Snapshot {
    let id = id(Engine::Rds, slot, 1).to_string();
    let slot = Slot::at(slot);
    let tags = [
        (tag::PLAN, "default".to_owned()),
        (tag::RESOURCE, "rds/orders".to_owned()),
        (tag::SLOT, slot.to_string()),
        (tag::REQUESTED_AT, slot.to_string()),
    ];
    Snapshot {
        arn: format!("arn:aws:rds:{region}:123456789012:snapshot:{id}"),
        id,
        instance: "orders".to_owned(),
        incarnation: incarnation(Engine::Rds).to_owned(),
        kind: SnapshotKind::Manual,
        status: status.to_owned(),
        percent: 0,
        allocated_gib: 20,
        created: Some(slot.instant()),
        encrypted: true,
        kms_key: None,
        copied_from: (region == AWAY).then(|| "arn:aws:rds:home".to_owned()),
        tags: tags.map(|(key, value)| (key.to_owned(), value)).into(),
    }
}

/// The key of the one object of a recovery point in the vault, or of its manifest.
fn key(engine: Engine, slot: Timestamp, attempt: u32, object: &str) -> String {
    let prefix = point_prefix(&resource(engine), Slot::at(slot), &id(engine, slot, attempt));
    format!("{prefix}{object}")
}

/// What the one object of a recovery point in the vault is called.
const CONTENT: &str = "content";

impl World {
    /// There is a recovery point for the slot, and its copy.
    pub(crate) fn complete(&self, slot: Timestamp, bytes: usize) {
        let engine = self.engine;
        if engine == Engine::Rds {
            self.account.put_snapshot(HOME, snapshot(HOME, slot, "available"));
            self.account.put_snapshot(AWAY, snapshot(AWAY, slot, "available"));
            return;
        }
        let content = vec![7; bytes];
        let mut digests = Digests::new(1 << 20);
        digests.add(&content);
        let manifest = Manifest {
            version: 1,
            id: id(engine, slot, 1),
            resource: resource(engine),
            incarnation: incarnation(engine).to_owned(),
            slot: Slot::at(slot),
            plan: "default".to_owned(),
            method: "by-the-test".to_owned(),
            taken_at: slot,
            restorable_to: None,
            verified_at: slot + minutes(3),
            objects: vec![digests.into_object(CONTENT)],
            source: Map::new(),
            content: Map::new(),
        };
        self.vault.set_now(slot + minutes(3));
        self.vault.put(&key(engine, slot, 1, CONTENT), content);
        self.vault.put(&key(engine, slot, 1, MANIFEST), manifest.to_json());
        self.vault.set_now(self.now);
    }

    /// The content of an attempt comes into the vault, and no manifest.
    pub(crate) fn begin(&self, slot: Timestamp, attempt: u32) {
        self.vault.put(&key(self.engine, slot, attempt, CONTENT), vec![7; BYTES]);
    }

    /// So many bytes come into the recovery vault as the content of that slot's recovery point.
    pub(crate) fn copy(&self, slot: Timestamp, bytes: usize) {
        self.recovery_vault.put(&key(self.engine, slot, 1, CONTENT), vec![7; bytes]);
    }

    /// The slot has no recovery point yet.
    pub(crate) fn open(&mut self, slot: Timestamp) {
        self.account.remove_snapshot(HOME, &id(self.engine, slot, 1).to_string());
        for object in [CONTENT, MANIFEST] {
            self.vault.remove(&key(self.engine, slot, 1, object));
        }
        self.lose_copies(slot);
    }

    /// It has none, and nobody makes one.
    pub(crate) fn leave_open(&mut self, slot: Timestamp) {
        self.backs_up = false;
        self.open(slot);
    }

    /// The copies of that slot and later ones are not there.
    fn lose_copies(&mut self, since: Timestamp) {
        for slot in (0..9).map(|hours| since + minutes(60 * hours)) {
            self.account.remove_snapshot(AWAY, &id(self.engine, slot, 1).to_string());
            for object in [CONTENT, MANIFEST] {
                self.recovery_vault.remove(&key(self.engine, slot, 1, object));
            }
        }
    }

    /// They are not, and nobody makes any.
    pub(crate) fn leave_uncopied(&mut self, since: Timestamp) {
        self.backs_up = false;
        self.lose_copies(since);
    }
}
