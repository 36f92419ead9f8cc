//! What is in a database, by asking it.

pub(crate) use turso::sql::{objects, rows};
