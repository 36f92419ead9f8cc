//! Where recovery points are in the vault: `redis/2026-11-22/sessions/<recovery point>/<object>`.
//!
//! By day first, so that whoever wants to know what is new lists some days and not all years.

use std::collections::BTreeMap;

use domain::{Engine, RecoveryPointId, ResourceId, Slot};
use jiff::{Timestamp, civil::Date};
use reconcile::Result;

use crate::{MANIFEST, Object, Store};

/// A recovery point as a list of the vault shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub id: RecoveryPointId,
    /// What it is of.
    pub resource: ResourceId,
    /// The slot that it fills.
    pub slot: Slot,
    /// Its objects by name, the manifest among them where there is one.
    pub objects: BTreeMap<String, Object>,
}

/// What a vault has of an engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The recovery points, the earliest slot first.
    pub points: Vec<Listed>,
    /// The objects that are no recovery point's.
    pub misplaced: Vec<Misplaced>,
}

/// An object among the recovery points that belongs to none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// It.
    pub object: Object,
    /// Why not.
    pub why: &'static str,
}

impl Listed {
    /// When its manifest was written, last of all and only once everything was verified; `None` while it is not whole.
    pub fn completed(&self) -> Option<Timestamp> {
        self.objects.get(MANIFEST).map(|manifest| manifest.modified)
    }

    /// The size of all its objects.
    pub fn bytes(&self) -> u64 {
        self.objects.values().map(|object| object.bytes).sum()
    }

    /// Whether it is nothing but a manifest.
    pub fn is_bare(&self) -> bool {
        self.objects.keys().all(|name| name == MANIFEST)
    }

    /// Whether `other` has an object that this one has not.
    pub fn lacks_of(&self, other: &Self) -> bool {
        other.objects.keys().any(|name| !self.objects.contains_key(name))
    }

    /// Whether `copy` holds the same objects: names and sizes.
    pub fn is_held_by(&self, copy: &Self) -> bool {
        self.objects
            .iter()
            .all(|(name, object)| copy.objects.get(name).is_some_and(|copied| copied.bytes == object.bytes))
    }

    /// Whether this one and its `copy` are both whole: each has its manifest and more than that, and neither lacks what the
    /// other has. As much is asked before anything is deleted because the vaults have it.
    pub fn is_whole_with(&self, copy: &Self) -> bool {
        let is_whole = |one: &Self| one.completed().is_some() && !one.is_bare();
        is_whole(self) && is_whole(copy) && self.is_held_by(copy) && !self.lacks_of(copy)
    }
}

/// What the keys of an engine's recovery points of one day begin with.
pub fn day_prefix(engine: Engine, day: Date) -> String {
    format!("{engine}/{day}/")
}

/// What the keys of one recovery point begin with.
pub fn point_prefix(resource: &ResourceId, slot: Slot, id: &RecoveryPointId) -> String {
    let ResourceId { engine, name } = resource;
    format!("{engine}/{}/{name}/{id}/", slot.utc_date())
}

/// The recovery points of `engine` in those days (a list call a day, and one for each further 1,000 objects). What is
/// there under other names is nobody's recovery point.
pub async fn list(
    store: &impl Store,
    engine: Engine,
    days: impl IntoIterator<Item = Date>,
) -> Result<Vec<Listed>> {
    let mut objects = Vec::new();
    for day in days {
        objects.extend(store.list(&day_prefix(engine, day)).await?);
    }
    Ok(contents(engine, objects).points)
}

/// All that there is of `engine` (a list call for each 1,000 objects).
pub async fn list_all(store: &impl Store, engine: Engine) -> Result<Contents> {
    Ok(contents(engine, store.list(&format!("{engine}/")).await?))
}

fn contents(engine: Engine, objects: Vec<Object>) -> Contents {
    // By resource too: names that differ only in case have the same ids.
    let mut points: BTreeMap<(Slot, String, String), Listed> = BTreeMap::new();
    let mut misplaced = Vec::new();
    for object in objects {
        let place = match read_key(engine, &object.key) {
            Ok(place) => place,
            Err(why) => {
                misplaced.push(Misplaced { object, why });
                continue;
            }
        };
        let Place { resource, id, slot, name } = place;
        let point = points.entry((slot, resource.name.clone(), id.to_string())).or_insert_with(|| Listed {
            id,
            resource,
            slot,
            objects: BTreeMap::new(),
        });
        point.objects.insert(name, object);
    }
    Contents { points: points.into_values().collect(), misplaced }
}

/// What a key says.
struct Place {
    resource: ResourceId,
    id: RecoveryPointId,
    slot: Slot,
    name: String,
}

/// Or why it is no recovery point's.
fn read_key(engine: Engine, key: &str) -> Result<Place, &'static str> {
    const SHAPE: &str = "its key is not one of day, resource, recovery point and object";
    let below = key.strip_prefix(engine.as_str()).and_then(|rest| rest.strip_prefix('/')).ok_or(SHAPE)?;
    let parts: Vec<&str> = below.splitn(4, '/').collect();
    let [day, resource, id, name] = parts[..] else { return Err(SHAPE) };
    if name.is_empty() {
        return Err(SHAPE);
    }
    let id = RecoveryPointId::from(id);
    let said = id.parts().ok_or("its key names no recovery point")?;
    let slot = said.slot;
    // A name that says something else than its place is nobody's.
    if said.resource != resource.to_lowercase() || slot.utc_date().to_string() != day {
        return Err("its key names a recovery point of another resource or day");
    }
    let resource = ResourceId { engine, name: resource.to_owned() };
    Ok(Place { resource, slot, name: name.to_owned(), id: id.clone() })
}
