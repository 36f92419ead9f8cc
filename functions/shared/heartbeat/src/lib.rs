//! Heartbeats: a row of each protected database, every minute another one, numbered, with the time, and signed.
//!
//! After a restore, the newest intact one tells what was really lost, whatever an API claims. Pure: no I/O, no clock.
//! See `docs/heartbeats.md`.
//!
//! - [`next`] makes the heartbeat that a writer writes, from the rows that it has read.
//! - [`postgres`], [`sqlite`] and [`redis`] say how it is written and read back; [`Place`] is where.
//! - [`judge`] says what the rows of a restored database tell.

mod heartbeat;
mod judge;
mod judgement;
mod key;
mod loss;
mod next;
mod place;
pub mod postgres;
pub mod redis;
mod row;
pub mod sqlite;
#[cfg(test)]
mod tests;

pub use heartbeat::Heartbeat;
pub use judge::{Question, Rhythm, judge};
pub use judgement::{Bad, Beyond, Doubt, Gap, Judgement, Mark, Pause};
pub use key::{InvalidKeyId, InvalidKeys, Key, KeyId, Keys};
pub use loss::{Basis, Estimate, Loss, Measured, Unmeasured};
pub use next::{MOST_AHEAD, Next, Note, NumbersExhausted, next};
pub use place::Place;
pub use row::Row;

use jiff::SignedDuration;

/// So many heartbeats stay in a database: those of two days, at one a minute.
pub const KEEP: u32 = 2_880;

/// So many of the newest rows a writer reads to make the next. More than one, because the newest may not be intact.
pub const READ_TO_WRITE: u32 = 16;

/// So far the clocks of a writer, a database and a drill are believed to differ. Amazon Time Sync keeps them within
/// milliseconds; what is further apart than this is told.
pub const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(5);

/// The highest number: the engines' columns are signed.
const HIGHEST: u64 = i64::MAX.unsigned_abs();
