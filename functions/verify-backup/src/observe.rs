use std::{collections::BTreeMap, path::PathBuf};

use domain::{Engine, retention::Region};
use futures::join;
use inventory::{Inventory, Places, What};
use jiff::{SignedDuration, Timestamp};
use kms::{Key, Kms, describe_all};
use rds::{Rds, Snapshot};
use reconcile::{Documents, Journal, Result};
use tokio::sync::Semaphore;
use vault::Store;

use crate::{
    Ask,
    desk::Desk,
    doubts::{self, Doubts},
    memory::{self, Memory},
};

/// The function, with the outside systems that it sees.
pub struct VerifyBackup<R, S, K, L, F, D> {
    /// RDS where the databases are.
    pub home: R,
    /// RDS where the copies are.
    pub recovery: R,
    /// The vault at home, in which the marks are, too.
    pub vault: S,
    /// The vault in the recovery Region.
    pub recovery_vault: S,
    /// The keys of both Regions.
    pub home_keys: K,
    /// The same, where the copies are.
    pub recovery_keys: K,
    /// The key under which copies of snapshots are encrypted, as backup-rds names it.
    pub recovery_key: String,
    /// Where it writes: what was found before what is remembered, so that nothing is thought to be recorded that is not.
    pub journal: Journal<L, F, D>,
    /// Where, and how much.
    pub pace: Pace,
    /// What is remembered; begins empty.
    pub desk: Desk,
}

/// Where and how much is read in a run.
pub struct Pace {
    /// The folder in which databases are opened: one at a time, since all share its room.
    pub folder: PathBuf,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    /// How much is read in a run.
    pub budget_bytes: u64,
    /// How long a run goes on with what it has begun.
    pub turn: SignedDuration,
    /// How much may be in memory at once, in MiB.
    pub(crate) memory: Semaphore,
    /// Who opens a database.
    pub(crate) disk: Semaphore,
}

/// How much may be in memory at once, in MiB: a larger part than that is read alone.
pub(crate) const MEMORY_MIB: u32 = 256;

impl Pace {
    /// In that folder, for so long, so much.
    pub fn new(
        folder: impl Into<PathBuf>,
        turn: SignedDuration,
        budget_bytes: u64,
        clock: fn() -> Timestamp,
    ) -> Self {
        let memory = Semaphore::new(MEMORY_MIB as usize);
        Self { folder: folder.into(), clock, budget_bytes, turn, memory, disk: Semaphore::new(1) }
    }

    /// On Lambda's own disk.
    pub fn deployed(turn: SignedDuration, budget_bytes: u64) -> Self {
        Self::new(std::env::temp_dir().join("tidemark"), turn, budget_bytes, Timestamp::now)
    }
}

impl<R, S, K, L, F, D> VerifyBackup<R, S, K, L, F, D> {
    pub(crate) fn vault(&self, region: Region) -> &S {
        match region {
            Region::Home => &self.vault,
            Region::Recovery => &self.recovery_vault,
        }
    }
}

/// What is true now.
#[derive(Debug)]
pub struct Observed {
    pub(crate) ask: Ask,
    /// The Regions' names, in the order of [`Region::ALL`].
    pub(crate) regions: [String; 2],
    pub(crate) inventory: Inventory,
    pub(crate) doubts: Doubts,
    pub(crate) keys: Keys,
    pub(crate) memory: Memory,
    pub(crate) budget_bytes: u64,
}

/// The keys that snapshots are encrypted with, as they stand in each Region.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// In the order of [`Region::ALL`].
    pub(crate) seen: [BTreeMap<String, Result<Option<Key>>>; 2],
    /// The one under which copies should be; `None` where there is no copy.
    pub(crate) expected: Option<Result<Option<Key>>>,
    /// What names it.
    pub(crate) expected_name: String,
}

/// Looks: a call for each page of what there is, for each mark that doubts, and for each key.
pub(crate) async fn observe<R: Rds, S: Store, K: Kms, L, F, D: Documents>(
    function: &VerifyBackup<R, S, K, L, F, D>,
    ask: Ask,
    now: Timestamp,
) -> Result<Observed> {
    let VerifyBackup { home, recovery, vault, recovery_vault, journal, pace, desk, .. } = function;
    // Without it nobody would know what is due, and findings could not be posted either.
    let (memory, version) = memory::read(&journal.documents, now).await?;
    let inventory = Inventory::observe(Places { home, recovery, vault, recovery_vault }, now).await?;
    let doubts = doubts::read(vault, recovery_vault, &inventory).await?;
    let keys = keys(function, &inventory).await;
    let memory = memory.of_what_is_there(&inventory, now);
    desk.begin(memory.clone(), version, now);
    let regions = [vault, recovery_vault].map(|store| store.region().to_owned());
    Ok(Observed { ask, regions, inventory, doubts, keys, memory, budget_bytes: pace.budget_bytes })
}

async fn keys<R, S, K: Kms, L, F, D>(
    function: &VerifyBackup<R, S, K, L, F, D>,
    inventory: &Inventory,
) -> Keys {
    let names =
        Region::ALL.map(|region| snapshots(inventory, region).filter_map(|one| one.kms_key.as_deref()));
    let [home, recovery] = names;
    let has_copies = snapshots(inventory, Region::Recovery).next().is_some();
    let expected = async {
        if has_copies { Some(function.recovery_keys.describe(&function.recovery_key).await) } else { None }
    };
    let (home, recovery, expected) = join!(
        describe_all(&function.home_keys, home),
        describe_all(&function.recovery_keys, recovery),
        expected
    );
    Keys { seen: [home, recovery], expected, expected_name: function.recovery_key.clone() }
}

/// The snapshots of a Region that count.
fn snapshots(inventory: &Inventory, region: Region) -> impl Iterator<Item = &Snapshot> {
    let of_rds = inventory.engines.get(&Engine::Rds).into_iter().flatten();
    let points = of_rds.flat_map(|lineages| lineages.values().flatten());
    points.filter_map(move |point| match &point.holding(region)?.what {
        What::Snapshots(snapshots) => snapshots.first(),
        What::Objects(_) => None,
    })
}
