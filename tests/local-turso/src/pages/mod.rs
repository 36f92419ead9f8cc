//! The pages of a database over time: what a page export reads, and what a branch at a time is made of.

mod history;
mod live;
mod wal_index;

pub(crate) use history::{Frames, History, Unreachable};
pub(crate) use wal_index::PAGE;
