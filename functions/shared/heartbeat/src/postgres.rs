//! Heartbeats in PostgreSQL: the table `tidemark.tidemark_heartbeat`.
//!
//! Everything is given and taken as text, in the order of [`crate::Row::fields`]; the columns are numbers.

/// Makes the schema and the table, once, as whoever owns the database.
pub const TABLE: &str = "\
CREATE SCHEMA IF NOT EXISTS tidemark;
REVOKE ALL ON SCHEMA tidemark FROM PUBLIC;
CREATE TABLE IF NOT EXISTS tidemark.tidemark_heartbeat (
    number bigint PRIMARY KEY CHECK (number > 0),
    follows bigint NOT NULL CHECK (follows >= 0 AND follows < number),
    at_ms bigint NOT NULL,
    resource text NOT NULL CHECK (length(resource) <= 512),
    key_id text NOT NULL CHECK (length(key_id) <= 32),
    signature text NOT NULL CHECK (length(signature) <= 128)
);
";

/// What the role `tidemark_heartbeat` may do, which has to be there (`CREATE ROLE tidemark_heartbeat LOGIN`, then its password with
/// `\password`). No UPDATE: a row is never changed. The time limits are for a table that somebody holds a lock on.
pub const GRANTS: &str = "\
REVOKE ALL ON tidemark.tidemark_heartbeat FROM PUBLIC;
GRANT USAGE ON SCHEMA tidemark TO tidemark_heartbeat;
GRANT SELECT, INSERT, DELETE ON tidemark.tidemark_heartbeat TO tidemark_heartbeat;
ALTER ROLE tidemark_heartbeat CONNECTION LIMIT 3;
ALTER ROLE tidemark_heartbeat SET statement_timeout = '10s';
ALTER ROLE tidemark_heartbeat SET lock_timeout = '5s';
";

/// Inserts a heartbeat, unless one with its number or a higher one is there, and deletes all but the newest 2,880.
/// Answers with one row: how many were inserted, 1 or 0. 0 means that another writer was quicker, which is as good.
///
/// Both parts see the table as it was before, so 2,879 stay beside the new row. By rank and not by number: a row with an
/// enormous number, put there by somebody, must not make all the others go.
pub const WRITE: &str = "\
WITH written AS (
    INSERT INTO tidemark.tidemark_heartbeat (number, follows, at_ms, resource, key_id, signature)
    SELECT $1::text::bigint, $2::text::bigint, $3::text::bigint, $4::text, $5::text, $6::text
    WHERE NOT EXISTS (SELECT FROM tidemark.tidemark_heartbeat WHERE number >= $1::text::bigint)
    ON CONFLICT (number) DO NOTHING
    RETURNING 1
), expired AS (
    DELETE FROM tidemark.tidemark_heartbeat WHERE number < (
        SELECT number FROM tidemark.tidemark_heartbeat ORDER BY number DESC OFFSET 2878 LIMIT 1
    )
)
SELECT count(*)::text FROM written";

/// The newest `$1` rows, the newest first. The order is by the column: a bare `number` would be the text in the output.
pub const READ: &str = "\
SELECT number::text, follows::text, at_ms::text, resource, key_id, signature
FROM tidemark.tidemark_heartbeat
ORDER BY tidemark_heartbeat.number DESC LIMIT $1::text::bigint";

/// Whether there is such a table: one row, `t` or `f` as text.
pub const IS_THERE: &str = "SELECT to_regclass('tidemark.tidemark_heartbeat') IS NOT NULL";

/// The newest `limit` rows as one JSON text, a list of lists, for those who take one row with one value. What somebody put there
/// may be long, and is cut.
pub fn read_json(limit: u32) -> String {
    format!(
        "SELECT coalesce(json_agg(row), '[]')::text FROM (SELECT json_build_array(number::text, follows::text, at_ms::text, \
         left(resource, 600), left(key_id, 40), left(signature, 200)) AS row FROM tidemark.tidemark_heartbeat ORDER BY \
         tidemark_heartbeat.number DESC LIMIT {limit}) AS newest"
    )
}
