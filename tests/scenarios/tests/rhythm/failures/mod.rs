//! What can go wrong, and when.

mod rds;
mod redis;
mod tidemark;
mod turso;
mod vaulted;

use alerts::Message;
use domain::Engine;
use jiff::Timestamp;
use reconcile::Error;

use crate::world::World;

/// A kind of failure.
pub(crate) struct Failure {
    /// As the table has it.
    pub(crate) name: &'static str,
    /// What is protected is of that engine.
    pub(crate) engine: Engine,
    /// Of which resource it is told.
    pub(crate) resource: &'static str,
    /// And what.
    pub(crate) kind: &'static str,
    /// When the simulation begins: so many minutes from that slot.
    pub(crate) slot: &'static str,
    pub(crate) from_slot_minutes: i64,
    /// What is so then, beside that all is in order.
    pub(crate) before: fn(&mut World),
    /// What happens a minute later or so; that gives the moment from which the alert's seconds are counted. `None` is the
    /// pass that first found it.
    pub(crate) happens: fn(&mut World) -> Option<Timestamp>,
}

impl Failure {
    pub(crate) fn is_told_by(&self, message: &Message) -> bool {
        message.attributes["event"] != ["cleared"]
            && message.attributes["resource"] == [self.resource]
            && message.attributes["kind"].iter().any(|kind| kind == self.kind)
    }

    /// Whether the message is about that resource, or a part of Tidemark, which may meet the same failure.
    pub(crate) fn has_to_do_with(&self, message: &Message) -> bool {
        message.attributes["resource"] == [self.resource] || message.attributes["engine"] == ["tidemark"]
    }
}

/// All of them, in the order of the table.
pub(crate) fn failures() -> impl Iterator<Item = &'static Failure> {
    [rds::FAILURES, redis::FAILURES, turso::FAILURES, tidemark::FAILURES].into_iter().flatten()
}

/// All is in order.
fn in_order(_: &mut World) {}

/// So often that no pass of the simulation is spared.
const EACH_TIME: usize = 200;

fn denied() -> Error {
    Error::misconfigured("AccessDenied", "not allowed")
}
