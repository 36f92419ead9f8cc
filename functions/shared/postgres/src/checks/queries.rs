//! The questions, in SQL. Names come out of the catalogs as `format('%I')` quotes them, and go into statements as they are.

use super::{Blocks, Relation};

/// Those to connect to. A limit of -2 marks what an interrupted `DROP DATABASE` left (`PostgreSQL` 16.1 release notes).
pub(super) const DATABASES: &str = "
    SELECT datname::text FROM pg_database
    WHERE datallowconn AND datconnlimit <> -2 AND datname NOT IN ('template0', 'template1', 'rdsadmin')
    ORDER BY datname";

/// `$1`: the smallest oid.
pub(super) const TABLES: &str = "
    SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind::text, c.relpersistence = 'u', c.relispopulated,
           row_security_active(c.oid),
           EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am a ON a.oid = x.relam
                   WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisready AND i.indpred IS NULL AND a.amname = 'btree')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid >= $1 AND c.relkind IN ('r', 'm', 'f') AND c.relpersistence <> 't'
      AND (n.nspname NOT IN ('pg_catalog', 'information_schema')
           OR (c.oid = 'pg_catalog.pg_largeobject'::regclass AND EXISTS (SELECT FROM pg_largeobject_metadata)))
    ORDER BY c.oid";

/// `$1`: the smallest oid. Row-level security hides nothing from `verify_heapam`, and who reads notes what is unlogged.
pub(super) const HEAPS: &str = "
    SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind::text, false, c.relispopulated, false, false
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am a ON a.oid = c.relam
    WHERE c.oid >= $1 AND c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 't' AND a.amname = 'heap'
    ORDER BY c.oid";

/// `$1`: the smallest oid.
pub(super) const INDEXES: &str = "
    SELECT c.oid, format('%I.%I', n.nspname, c.relname)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         JOIN pg_am a ON a.oid = c.relam
    WHERE c.oid >= $1 AND c.relkind = 'i' AND c.relpersistence <> 't' AND a.amname = 'btree' AND i.indisvalid AND i.indisready
    ORDER BY c.oid";

/// `$1`: an oid.
pub(super) const BLOCKS: &str =
    "SELECT pg_relation_size($1::oid::regclass, 'main') / current_setting('block_size')::bigint";

pub(super) const AMCHECK: &str = "
    SELECT format('%I', n.nspname), e.extversion,
           has_function_privilege(format('%I.bt_index_check(regclass, boolean)', n.nspname), 'EXECUTE')
    FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'amcheck'";

pub(super) const COMMITS: &str = "
    SELECT (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint,
           CASE WHEN current_setting('track_commit_timestamp')::boolean
                THEN (SELECT (extract(epoch FROM timestamp) * 1000000)::bigint FROM pg_last_committed_xact()) END,
           (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint,
           pg_last_wal_replay_lsn()::text, pg_is_in_recovery()";

/// By `to_jsonb`, because columns came over the years: the provider and the versions with `PostgreSQL` 15, `datlocale` with 17.
pub(super) const DATABASE: &str = "
    SELECT d.datname::text, current_setting('server_version'), pg_encoding_to_char(d.encoding)::text, d.datcollate::text,
           d.datctype::text, to_jsonb(d) ->> 'datlocprovider',
           coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), to_jsonb(d) ->> 'datcollversion',
           current_setting('data_checksums')::boolean,
           current_setting('zero_damaged_pages')::boolean OR current_setting('ignore_checksum_failure')::boolean
    FROM pg_database d WHERE d.datname = current_database()";

/// Since `PostgreSQL` 15.
pub(super) const COLLATION_VERSION: &str =
    "SELECT pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = current_database()";

pub(super) const EXTENSIONS: &str = "SELECT extname::text, extversion FROM pg_extension ORDER BY 1";

pub(super) const ROLES: &str = "
    SELECT r.rolname::text,
           array_remove(ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolinherit THEN 'INHERIT' END,
                              CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
                              CASE WHEN rolcanlogin THEN 'LOGIN' END, CASE WHEN rolreplication THEN 'REPLICATION' END,
                              CASE WHEN rolbypassrls THEN 'BYPASSRLS' END], NULL),
           rolconnlimit, to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),
           ARRAY(SELECT DISTINCT g.rolname::text FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                 WHERE m.member = r.oid ORDER BY 1)
    FROM pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1";

pub(super) const COUNTS: &str = "
    WITH ours AS (SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'),
         relations AS (SELECT relkind FROM pg_class WHERE relnamespace IN (SELECT oid FROM ours))
    SELECT (SELECT count(*) FROM ours),
           (SELECT count(*) FROM relations WHERE relkind IN ('r', 'p', 'f')),
           (SELECT count(*) FROM relations WHERE relkind = 'v'),
           (SELECT count(*) FROM relations WHERE relkind = 'm'),
           (SELECT count(*) FROM relations WHERE relkind IN ('i', 'I')),
           (SELECT count(*) FROM relations WHERE relkind = 'S'),
           (SELECT count(*) FROM pg_proc p WHERE p.pronamespace IN (SELECT oid FROM ours)
              AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')),
           (SELECT count(*) FROM pg_largeobject_metadata)";

pub(super) const INVALID_INDEXES: &str = "
    SELECT format('%I.%I', n.nspname, c.relname)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT i.indisvalid ORDER BY 1";

/// `$1`: an oid.
pub(super) const COLUMNS: &str = "
    SELECT format('%I', attname) FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// How a row is made into what a client would be sent. All of them read every value in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In binary, as `COPY … (FORMAT binary)` does.
    Binary,
    /// As text: a few types, such as `aclitem`, have no binary form.
    Text,
    /// In binary, each of these columns by itself: a row may be larger than what the server can send, a value cannot.
    Columns(Vec<String>),
}

/// How many rows a range has, and how large they are. `t.*`, because a column may be called `t`.
pub(super) fn read(relation: &Relation, blocks: Blocks, form: &Form, is_ranged: bool) -> String {
    let row = match form {
        Form::Binary => "octet_length(record_send(t.*))".to_owned(),
        Form::Text => "octet_length((t.*)::text)".to_owned(),
        Form::Columns(columns) => {
            let each = columns.iter().map(|name| format!("octet_length(record_send(ROW(t.{name})))::bigint"));
            each.reduce(|sum, one| format!("{sum} + {one}")).unwrap_or_else(|| "0".to_owned())
        }
    };
    let range = if is_ranged { range(blocks) } else { String::new() };
    format!("SELECT count(*), coalesce(sum({row}), 0)::bigint FROM ONLY {} AS t{range}", relation.name)
}

/// TID range scans read these blocks and no others, from `PostgreSQL` 14 on.
fn range(blocks: Blocks) -> String {
    let from = format!(" WHERE ctid >= '({},0)'::tid", blocks.from);
    if blocks.is_last { from } else { format!("{from} AND ctid < '({},0)'::tid", blocks.to) }
}

pub(super) fn count(relation: &Relation) -> String {
    format!("SELECT count(*) FROM ONLY {}", relation.name)
}

/// `$1`: an oid; `$2`, `$3`: the first and the last block, or NULL.
pub(super) fn verify_heap(schema: &str) -> String {
    format!(
        "SELECT blkno, concat_ws(' ', 'offset ' || offnum, 'attribute ' || attnum, msg) FROM {schema}.verify_heapam(
             relation => $1::oid::regclass, on_error_stop => false, check_toast => false, skip => 'none',
             startblock => $2::bigint, endblock => $3::bigint) LIMIT 20"
    )
}

/// `$1`: an oid; `$2`: whether every row must be there.
pub(super) fn verify_index(schema: &str) -> String {
    format!("SELECT {schema}.bt_index_check($1::oid::regclass, $2::boolean)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::RelationKind;

    #[test]
    fn the_last_range_is_open() {
        let relation = Relation {
            oid: 1,
            name: "public.\"a\"\"b\"".to_owned(),
            kind: RelationKind::Table,
            is_unlogged: false,
            has_row_security: false,
            has_full_index: false,
        };
        let sql = |is_last| read(&relation, Blocks { from: 3, to: 9, is_last }, &Form::Binary, true);
        assert!(sql(false).ends_with(
            "FROM ONLY public.\"a\"\"b\" AS t WHERE ctid >= '(3,0)'::tid AND ctid < '(9,0)'::tid"
        ));
        assert!(sql(true).ends_with("WHERE ctid >= '(3,0)'::tid"));
        let blocks = Blocks { from: 0, to: 1, is_last: true };
        let columns = Form::Columns(vec!["id".to_owned(), "\"T t\"".to_owned()]);
        assert_eq!(
            read(&relation, blocks, &columns, false),
            "SELECT count(*), coalesce(sum(octet_length(record_send(ROW(t.id)))::bigint + \
             octet_length(record_send(ROW(t.\"T t\")))::bigint), 0)::bigint FROM ONLY public.\"a\"\"b\" AS t"
        );
    }
}
