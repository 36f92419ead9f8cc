//! Recovery points of all engines, seen in an account and in vaults in memory.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod left_over;
mod plans;
mod points;
mod strays;

use domain::{RecoveryPointId, ResourceId, Slot};
use inventory::{Held, Inventory, Lineage, Mark, Places, mark_key};
use jiff::{SignedDuration, Timestamp};
use rds::{FakeAccount, Snapshot};
use reconcile::Result;
use vault::{FakeStore, point_prefix};

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

const NOW: &str = "2026-11-22T05:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

struct World {
    account: FakeAccount,
    vault: FakeStore,
    away: FakeStore,
}

impl World {
    fn new() -> Self {
        let vault = FakeStore::new(HOME, "vault");
        vault.set_now(at(NOW));
        Self { account: FakeAccount::default(), away: vault.beside(AWAY, "vault-away"), vault }
    }

    async fn observe(&self) -> Inventory {
        self.observe_all().await.unwrap()
    }

    async fn observe_all(&self) -> Result<Inventory> {
        let (home, recovery) = (self.account.region(HOME), self.account.region(AWAY));
        let places =
            Places { home: &home, recovery: &recovery, vault: &self.vault, recovery_vault: &self.away };
        Inventory::observe(places, at(NOW)).await
    }

    /// What there is, told short: `rds/orders verified held`.
    async fn points(&self) -> Vec<String> {
        let inventory = self.observe().await;
        let tell = |(lineage, points): (&Lineage, &Vec<Held>)| {
            let resource = lineage.resource.clone();
            let tell = move |point: &Held| {
                let regions = [(&point.home, " home"), (&point.recovery, " away")];
                let regions: String = regions
                    .iter()
                    .filter(|(holding, _)| holding.is_some())
                    .map(|(_, region)| *region)
                    .collect();
                let held = if point.is_held { " held" } else { "" };
                format!("{resource} {:?}{regions}{held}", point.worth())
            };
            points.iter().map(tell).collect::<Vec<_>>()
        };
        inventory.known().flat_map(tell).collect()
    }

    /// An object of the shop's recovery point for that slot.
    fn put(&self, store: &FakeStore, slot: &str, name: &str) {
        let (resource, slot) = (ResourceId::turso("shop"), Slot::at(at(slot)));
        let id = RecoveryPointId::new("shop", "id-1", slot, 1);
        let (name, content) = if name == "large" { (DATA, "more content") } else { (name, "content") };
        store.put(&format!("{}{name}", point_prefix(&resource, slot, &id)), content);
    }

    fn mark(&self, at_minute: i64, mark: Mark) {
        let id = RecoveryPointId::new("shop", "id-1", Slot::at(at("2026-11-22T03:00:00Z")), 1);
        let at = at("2026-11-22T06:00:00Z") + SignedDuration::from_mins(at_minute);
        self.vault.put(&mark_key(&ResourceId::turso("shop"), &id, at, mark), "{}");
    }
}

fn snapshot(region: &str, slot: &str, status: &str) -> Snapshot {
    let taken = Snapshot::fake(HOME, "orders", "db-ABC", Slot::at(at(slot)));
    let there = if region == HOME { taken } else { Snapshot::fake_copy(region, &taken) };
    Snapshot { status: status.to_owned(), ..there }
}

const SLOT: &str = "2026-11-22T03:00:00Z";
const DATA: &str = "database.sqlite.zst";
const MANIFEST: &str = "manifest.json";
