//! What all actions that make caches have in common.

use std::sync::Arc;

use aws_query::{Element, Fault};

use super::Request;
use super::origin::Source;
use crate::plane::Plane;
use crate::state::{Cache, CacheStatus, Data, Kind, Region, Settings, Tags, Traits};
use crate::work;

/// A new cache, about to be made.
pub(super) fn new(plane: &Plane, traits: Traits, settings: Settings, tags: Tags) -> Cache {
    Cache {
        number: plane.number(),
        status: CacheStatus::Creating,
        traits,
        settings,
        tags,
        snapshots_asked: Vec::new(),
        data: Data::None,
    }
}

/// Adds it, if `check` lets it, and begins to make it.
pub(super) fn launch(
    request: &Request,
    cache: Cache,
    source: Source,
    check: impl FnOnce(&mut Region) -> Result<(), Fault>,
    document: impl FnOnce(&Region, &Cache) -> Element,
) -> Result<Element, Fault> {
    let (plane, region) = (&request.plane, &request.region);
    let number = cache.number;
    let document = plane.region(region, |region| {
        check(region)?;
        let document = document(region, &cache);
        region.caches.insert((cache.traits.kind, cache.traits.cache.clone()), cache);
        Ok(document)
    })?;
    let origin = source.begin(plane, region);
    plane.tasks.spawn(work::bring_up(Arc::clone(plane), region.clone(), number, origin));
    Ok(document)
}

/// Whether as many nodes may be added.
pub(super) fn room_for(region: &Region, nodes: usize, quota: usize) -> Result<(), Fault> {
    if region.nodes() + nodes > quota {
        return Err(crate::faults::node_quota(format!("Cannot have more than {quota} nodes.")));
    }
    Ok(())
}

/// Whether the name of a new cache is free.
pub(super) fn free(
    region: &mut Region,
    kind: Kind,
    name: &str,
    exists: fn(String) -> Fault,
) -> Result<(), Fault> {
    match region.cache(kind, name) {
        Ok(_) => Err(exists(format!("{name} already exists."))),
        Err(_) => Ok(()),
    }
}
