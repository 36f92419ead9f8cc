//! What may become of a recovery point in the vault, and of its copy, whatever the engine.

use jiff::Timestamp;

use crate::{
    points::BYTES,
    world::{World, minutes},
};

/// Two attempts were begun, so that the first is given up.
pub(super) fn replace(world: &mut World, slot: Timestamp) -> Option<Timestamp> {
    world.begin(slot, 1);
    world.begin(slot, 2);
    Some(world.now)
}

pub(super) fn shrink(world: &mut World, slot: Timestamp) -> Option<Timestamp> {
    world.complete(slot, BYTES / 4);
    Some(world.now)
}

pub(super) fn copy_in_part(world: &mut World, slot: Timestamp) -> Option<Timestamp> {
    world.copy(slot, BYTES);
    Some(slot + minutes(360))
}

pub(super) fn spoil_copy(world: &mut World, slot: Timestamp) -> Option<Timestamp> {
    world.copy(slot, BYTES - 1);
    Some(world.now)
}
