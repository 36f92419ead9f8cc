//! What a scenario is made of: a real database with real data, a writer that never stops, and steps on the local cloud.

mod alerting;
mod cache;
mod caches;
mod database;
mod drills;
mod end;
mod heartbeats;
mod libsql;
mod memory;
mod own_server;
mod removal;
mod steps;
pub mod sweep;
mod writer;
pub mod year;

pub use alerting::{Alert, alerts};
pub use cache::{Cache, CacheContents};
pub use database::{Contents, Database, Digest};
pub use end::End;
pub use heartbeats::{HEARTBEAT_PASSWORD, heartbeat_keys};
pub use libsql::{Libsql, LibsqlContents, platform};
pub use own_server::OwnServer;
pub use steps::{Estate, RestoreOutcome, poll};
pub use writer::{Commit, Writer};

/// Shows a figure to whoever runs the tests, also when they pass: cargo keeps what `println!` says of those to itself.
pub fn show(figure: &str) {
    // Whoever closed standard error does not want to see.
    _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{figure}\n").as_bytes());
}
