use std::collections::{BTreeMap, BTreeSet};

use domain::{RecoveryPointId, ResourceId, retention::Region};
use futures::future::try_join_all;
use jiff::Timestamp;
use reconcile::Result;
use vault::Store;

/// Below which all marks are.
const MARKS: &str = "marks/";

/// What is said of a recovery point after it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A person holds it: it is not deleted until that person lets it go.
    Held,
    /// Nobody holds it any more.
    Released,
    /// A later look found what that Region has of it damaged, or could not find it whole.
    Unverified(Region),
    /// A look after that found it whole.
    Verified(Region),
}

impl Mark {
    const ALL: [Self; 6] = [
        Self::Held,
        Self::Released,
        Self::Unverified(Region::Home),
        Self::Unverified(Region::Recovery),
        Self::Verified(Region::Home),
        Self::Verified(Region::Recovery),
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Released => "released",
            Self::Unverified(Region::Home) => "unverified-at-home",
            Self::Unverified(Region::Recovery) => "unverified-away",
            Self::Verified(Region::Home) => "verified-at-home",
            Self::Verified(Region::Recovery) => "verified-away",
        }
    }
}

/// Below which the marks of one recovery point are.
pub fn mark_prefix(resource: &ResourceId, id: &RecoveryPointId) -> String {
    format!("{MARKS}{resource}/{id}/")
}

/// The key of a mark in the vault: `marks/turso/shop/<recovery point>/2026-11-23T02:30:00.000Z-held`. An object is only ever added,
/// and the latest of its kind is what counts: so who held what, and until when, stays on record.
pub fn mark_key(resource: &ResourceId, id: &RecoveryPointId, at: Timestamp, mark: Mark) -> String {
    format!("{}{}-{}", mark_prefix(resource, id), at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ"), mark.as_str())
}

/// All marks (one list call for each 1,000).
#[derive(Clone, Debug, Default)]
pub struct Marks {
    held: BTreeMap<(ResourceId, RecoveryPointId), bool>,
    /// The key of the mark that says so; `None` once a later one says otherwise.
    doubted: BTreeMap<(ResourceId, RecoveryPointId, Region), Option<String>>,
}

impl Marks {
    /// Reads the names of the marks, which say all that they say. Those of the home vault are in the other one too; but where the
    /// home vault was lost, or somebody held a recovery point through a deployment over there, they are only there.
    pub async fn read<S: Store>(vaults: &[&S]) -> Result<Self> {
        Self::read_below(vaults, MARKS).await
    }

    /// Those of one recovery point.
    pub async fn read_of<S: Store>(
        vaults: &[&S],
        resource: &ResourceId,
        id: &RecoveryPointId,
    ) -> Result<Self> {
        Self::read_below(vaults, &mark_prefix(resource, id)).await
    }

    async fn read_below<S: Store>(vaults: &[&S], prefix: &str) -> Result<Self> {
        let mut marks = Self::default();
        let lists = try_join_all(vaults.iter().map(|vault| vault.list(prefix))).await?;
        // In the order of their keys, and so of their time.
        let keys: BTreeSet<String> = lists.into_iter().flatten().map(|object| object.key).collect();
        for key in keys {
            if let Some(((resource, id), mark)) = read(&key) {
                let Self { held, doubted } = &mut marks;
                match mark {
                    Mark::Held | Mark::Released => _ = held.insert((resource, id), mark == Mark::Held),
                    Mark::Unverified(region) => _ = doubted.insert((resource, id, region), Some(key)),
                    Mark::Verified(region) => _ = doubted.insert((resource, id, region), None),
                }
            }
        }
        Ok(marks)
    }

    /// Whether a person holds it.
    pub fn is_held(&self, resource: &ResourceId, id: &RecoveryPointId) -> bool {
        self.held.get(&(resource.clone(), id.clone())).copied().unwrap_or(false)
    }

    /// Whether the last look found what that Region has of it damaged.
    pub fn is_doubted(&self, resource: &ResourceId, id: &RecoveryPointId, region: Region) -> bool {
        self.doubt(resource, id, region).is_some()
    }

    /// The key of the mark that says so, in whose object stands what was found.
    pub fn doubt(&self, resource: &ResourceId, id: &RecoveryPointId, region: Region) -> Option<&str> {
        self.doubted.get(&(resource.clone(), id.clone(), region))?.as_deref()
    }
}

fn read(key: &str) -> Option<((ResourceId, RecoveryPointId), Mark)> {
    let (of, said) = key.strip_prefix(MARKS)?.rsplit_once('/')?;
    let (resource, id) = of.rsplit_once('/')?;
    let (_, said) = said.split_once("Z-")?;
    let mark = Mark::ALL.into_iter().find(|mark| mark.as_str() == said)?;
    Some(((ResourceId::try_from(resource.to_owned()).ok()?, RecoveryPointId::from(id)), mark))
}
