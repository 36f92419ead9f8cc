//! Heartbeats in SQLite and libSQL: the table `tidemark_heartbeat`.
//!
//! Everything is given and taken as text, in the order of [`crate::Row::fields`]; the columns are numbers, and `STRICT` sees to it.

/// Makes the table, once.
pub const TABLE: &str = "\
CREATE TABLE IF NOT EXISTS tidemark_heartbeat (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    follows INTEGER NOT NULL CHECK (follows >= 0 AND follows < number),
    at_ms INTEGER NOT NULL,
    resource TEXT NOT NULL CHECK (length(resource) <= 512),
    key_id TEXT NOT NULL CHECK (length(key_id) <= 32),
    signature TEXT NOT NULL CHECK (length(signature) <= 128)
) STRICT";

/// What a database token of Turso needs, as `turso db tokens create --permissions` takes it.
pub const PERMISSIONS: &str = "tidemark_heartbeat:data_read,data_add,data_delete";

/// Inserts a heartbeat, unless one with its number or a higher one is there. That no row was changed means that another writer
/// was quicker, which is as good.
pub const WRITE: &str = "\
INSERT INTO tidemark_heartbeat (number, follows, at_ms, resource, key_id, signature)
SELECT CAST(?1 AS INTEGER), CAST(?2 AS INTEGER), CAST(?3 AS INTEGER), ?4, ?5, ?6
WHERE NOT EXISTS (SELECT 1 FROM tidemark_heartbeat WHERE number >= CAST(?1 AS INTEGER))
ON CONFLICT (number) DO NOTHING";

/// Deletes all but the newest 2,880; in one transaction with [`WRITE`], after it: SQLite has no DELETE within another statement. It
/// looks at all of them, so that where that is paid for it need not be done each time.
pub const EXPIRE: &str = "\
DELETE FROM tidemark_heartbeat WHERE number < (
    SELECT number FROM tidemark_heartbeat ORDER BY number DESC LIMIT 1 OFFSET 2879
)";

/// The newest `?1` rows, the newest first.
pub const READ: &str = "\
SELECT CAST(number AS TEXT), CAST(follows AS TEXT), CAST(at_ms AS TEXT), resource, key_id, signature
FROM tidemark_heartbeat
ORDER BY tidemark_heartbeat.number DESC LIMIT ?1";
