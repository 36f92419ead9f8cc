//! What write-heartbeat can find wrong. Each kind has its section in `docs/runbooks/alerts.md`.

/// A database has taken no heartbeat for some minutes.
pub const HEARTBEAT_MISSING: &str = "heartbeat-missing";
/// A row is there that is not to be believed.
pub const HEARTBEAT_NOT_INTACT: &str = "heartbeat-not-intact";
/// Rows that were there are not, and later ones are.
pub const HEARTBEAT_GAP: &str = "heartbeat-gap";
/// Rows are there, and none of them can be followed.
pub const HEARTBEATS_BEGUN_ANEW: &str = "heartbeats-begun-anew";
/// Heartbeats that were committed are not there any more: the database was set back.
pub const HEARTBEATS_SET_BACK: &str = "heartbeats-set-back";
/// The clock is behind that of an earlier pass.
pub const HEARTBEAT_CLOCK: &str = "heartbeat-clock";
