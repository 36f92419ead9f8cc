//! What a scenario is made of: a real database with real data, a writer that never stops, and steps on the local cloud.

mod alerting;
mod database;
mod end;
mod steps;
pub mod sweep;
mod writer;

pub use alerting::{Alert, alerts};
pub use database::{Contents, Database, Digest};
pub use end::End;
pub use steps::{Estate, RestoreOutcome, poll};
pub use writer::{Commit, Writer};
