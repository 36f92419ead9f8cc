//! The function over a cloud in memory: one pass after another, with the cloud moving in between.

mod archives;
mod caches;
mod left_over;
mod random;
mod superseded;
mod world;
