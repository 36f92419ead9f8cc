//! Drills of recovery sets: restore-database restores all of a set's databases to one instant, each is checked as in a drill of its own,
//! and what must hold across them is asked before anything is torn down.
//!
//! The set's document says which drills are its; each of those stands in its own resource's document, so that there is one drill of
//! a resource at a time here, too.

mod act;
mod plan;
mod record;

pub(crate) use self::{
    act::{SetAction, act},
    plan::{Begun, asked, due, holds, is_released, is_under_way, plan},
    record::{KeptSet, SetCandidate, SetDrill, document},
};
