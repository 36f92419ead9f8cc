//! Turso as Tidemark sees it: the Platform API, and a consistent copy of a database.
//!
//! [`Turso`] is the port: one organization, in our own types. [`HttpTurso`] speaks to it; `FakeTurso` (feature `fake`)
//! is an organization in memory over real SQLite files, whose calls a test can break.
//!
//! A copy is taken by [`pages::copy`], which fetches the pages themselves, or where that is not offered by
//! [`cursor::copy`], which reads every row in one transaction. Either way the copy is a SQLite file, and [`check::check`]
//! opens it before anybody calls it a backup. Pages that take longer than an invocation are kept in a log as they come
//! ([`Staging`]), and the next invocation goes on with it. [`compress`] makes the same parts of the same file, each time.
//!
//! [`sql`] asks a database small questions, and [`checks`] is what a drill asks one that was restored.

pub mod check;
pub mod checks;
pub mod compress;
mod current;
pub mod cursor;
mod disk;
#[cfg(feature = "fake")]
mod fake;
pub mod heartbeats;
mod http;
mod own_branch;
mod page_file;
pub mod pages;
mod port;
mod secret;
pub mod sql;
mod staging;
mod wire;

pub use current::{CURRENT, Current, CurrentPoint};
pub use disk::{Scratch, free_bytes};
#[cfg(feature = "fake")]
pub use fake::{FakeDatabase, FakeTurso};
pub use http::{Connect, HttpConnector, HttpTurso};
pub use own_branch::{branch_name, is_own_branch, is_tidemarks_own, own_branch_slot, own_branch_source};
pub use port::{
    Access, Body, Configuration, Database, Frames, NewBranch, Organization, Parent, Session, Token, Turso,
};
pub use secret::Keys;
pub use staging::{Piece, Staging, Unstaged};

/// A frame of the write-ahead log: 24 bytes of header, and a page.
pub const FRAME_BYTES: usize = 24 + PAGE_BYTES;

/// The only page size that Turso has.
pub const PAGE_BYTES: usize = 4096;
