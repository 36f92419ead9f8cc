//! A session over a real connection.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures::TryStreamExt;
use jiff::Timestamp;
use tokio::{sync::OnceCell, time::timeout};
use tokio_postgres::{
    Client, Row, SimpleQueryMessage,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{
    Amcheck, Blocks, Catalog, Collation, Commits, Counts, Damage, Fault, FaultKind, Index, Relation,
    RelationKind, Role, Session, Tally,
    assertions::{Answer, Cell, CellKind},
    queries::{self, Form},
};

/// The server ends statements by itself; one that does not within so much more time is not there any more.
const GRACE: Duration = Duration::from_secs(15);
/// For questions about catalogs.
const SHORT: Duration = Duration::from_mins(1);
/// For `CREATE EXTENSION`.
const CREATION: Duration = Duration::from_mins(1);
/// TID range scans (`PostgreSQL` 14 release notes). Without them each range would read the whole table.
const HAS_TID_RANGES: i32 = 140_000;
/// `pg_database_collation_actual_version`.
const HAS_COLLATION_VERSION: i32 = 150_000;

/// Nothing that the server or the database is set to may change an answer, or hide rows without a word.
const SETTINGS: &str = "SET LOCAL row_security = off; SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC';
    SET LOCAL DateStyle = 'ISO, MDY'; SET LOCAL IntervalStyle = 'postgres'; SET LOCAL bytea_output = 'hex';
    SET LOCAL extra_float_digits = 1; SET LOCAL xmlbinary = 'base64'";
const CATALOGS_ONLY: &str = "SET LOCAL search_path = pg_catalog";
const NOT_THE_WHOLE_TABLE: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off";
const BY_INDEX: &str = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off;
    SET LOCAL enable_indexscan = on; SET LOCAL enable_indexonlyscan = on";
const BY_HEAP: &str = "SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = off;
    SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off";

/// A session over `tokio-postgres`.
pub struct ClientSession {
    client: Client,
    version: OnceCell<i32>,
}

impl ClientSession {
    /// One over a connection that is used for nothing else meanwhile.
    pub fn new(client: Client) -> Self {
        Self { client, version: OnceCell::new() }
    }

    /// Such as 180006.
    async fn version(&self) -> Result<i32, Fault> {
        let ask = async || {
            let row = self.client.query_one("SELECT current_setting('server_version_num')::int", &[]).await?;
            Ok(row.try_get(0)?)
        };
        self.version.get_or_try_init(ask).await.copied()
    }

    /// Does `work` in a transaction that writes nothing, and ends it however it went.
    async fn asking<T>(
        &self,
        settings: &str,
        within: Duration,
        work: impl AsyncFnOnce(&Client) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let limit = within.as_millis().clamp(1, i32::MAX.unsigned_abs().into());
        let begin = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {limit}; {SETTINGS}; {settings}"
        );
        let asked = async {
            self.client.batch_execute(&begin).await?;
            work(&self.client).await
        };
        let answer = limited(within, asked).await;
        if answer.as_ref().is_err_and(|fault| fault.kind == FaultKind::Unavailable) {
            return answer;
        }
        limited(SHORT, async { Ok(self.client.batch_execute("ROLLBACK").await?) }).await?;
        answer
    }

    async fn rows(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Fault> {
        self.asking(CATALOGS_ONLY, SHORT, async |client| Ok(client.query(sql, values).await?)).await
    }

    async fn relations(&self, sql: &str, from: u32) -> Result<Vec<Relation>, Fault> {
        self.rows(sql, &[&from]).await?.iter().map(|row| Ok(relation(row)?)).collect()
    }

    async fn tally(
        &self,
        relation: &Relation,
        blocks: Blocks,
        form: &Form,
        within: Duration,
    ) -> Result<Tally, Fault> {
        let sql = queries::read(relation, blocks, form, self.version().await? >= HAS_TID_RANGES);
        let settings = format!("{CATALOGS_ONLY}; {NOT_THE_WHOLE_TABLE}");
        let row = self.asking(&settings, within, async |client| {
            let statement = client.prepare(&sql).await?;
            // Text is to be read, not to be translated for us: some of it may not exist in our encoding.
            client.batch_execute("SET LOCAL client_encoding = 'SQL_ASCII'").await?;
            Ok(client.query_one(&statement, &[]).await?)
        });
        let row = row.await?;
        Ok(Tally { rows: count(&row, 0)?, bytes: count(&row, 1)? })
    }
}

async fn limited<T>(within: Duration, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout(within + GRACE, work).await.unwrap_or_else(|_| {
        Err(Fault::new(FaultKind::Unavailable, "the server neither answered nor ended the statement in time"))
    })
}

/// `invalid memory alloc request size`, or a buffer that exceeds its maximum length.
fn is_too_large(fault: &Fault) -> bool {
    fault.is(&SqlState::INTERNAL_ERROR) || fault.is(&SqlState::PROGRAM_LIMIT_EXCEEDED)
}

fn count(row: &Row, column: usize) -> Result<u64, tokio_postgres::Error> {
    Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or(0))
}

fn relation(row: &Row) -> Result<Relation, tokio_postgres::Error> {
    let kind = match row.try_get::<_, &str>(2)? {
        "m" => RelationKind::MaterializedView { is_populated: row.try_get(4)? },
        "f" => RelationKind::ForeignTable,
        "t" => RelationKind::Toast,
        _ => RelationKind::Table,
    };
    Ok(Relation {
        oid: row.try_get(0)?,
        name: row.try_get(1)?,
        kind,
        is_unlogged: row.try_get(3)?,
        has_row_security: row.try_get(5)?,
        has_full_index: row.try_get(6)?,
    })
}

impl Session for ClientSession {
    async fn databases(&self) -> Result<Vec<String>, Fault> {
        self.rows(queries::DATABASES, &[]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    async fn tables(&self, from: u32) -> Result<Vec<Relation>, Fault> {
        self.relations(queries::TABLES, from).await
    }

    async fn heaps(&self, from: u32) -> Result<Vec<Relation>, Fault> {
        self.relations(queries::HEAPS, from).await
    }

    async fn indexes(&self, from: u32) -> Result<Vec<Index>, Fault> {
        let rows = self.rows(queries::INDEXES, &[&from]).await?;
        rows.iter().map(|row| Ok(Index { oid: row.try_get(0)?, name: row.try_get(1)? })).collect()
    }

    async fn blocks(&self, oid: u32) -> Result<Option<u32>, Fault> {
        let rows = self.rows(queries::BLOCKS, &[&oid]).await?;
        let blocks = rows.first().map(|row| row.try_get::<_, Option<i64>>(0)).transpose()?.flatten();
        Ok(blocks.map(|blocks| u32::try_from(blocks).unwrap_or(u32::MAX)))
    }

    async fn read(&self, relation: &Relation, blocks: Blocks, within: Duration) -> Result<Tally, Fault> {
        if self.version().await? < HAS_TID_RANGES && blocks.from > 0 {
            // The first range was the whole table.
            return Ok(Tally::default());
        }
        match self.tally(relation, blocks, &Form::Binary, within).await {
            Err(fault) if fault.is(&SqlState::UNDEFINED_FUNCTION) => {
                self.tally(relation, blocks, &Form::Text, within).await
            }
            // Damage, or a row of more than 1 GB: the server says the same of both.
            Err(fault) if blocks.len() <= 1 && is_too_large(&fault) => {
                let columns = self.rows(queries::COLUMNS, &[&relation.oid]).await?;
                let columns = columns.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_, Fault>>()?;
                self.tally(relation, blocks, &Form::Columns(columns), within).await
            }
            other => other,
        }
    }

    async fn rows_by_index(&self, relation: &Relation, within: Duration) -> Result<u64, Fault> {
        let settings = format!("{CATALOGS_ONLY}; {BY_INDEX}");
        let ask =
            async |client: &Client| Ok(count(&client.query_one(&queries::count(relation), &[]).await?, 0)?);
        self.asking(&settings, within, ask).await
    }

    async fn rows_both_ways(&self, relation: &Relation, within: Duration) -> Result<(u64, u64), Fault> {
        let sql = queries::count(relation);
        let ask = async |client: &Client| {
            client.batch_execute(BY_HEAP).await?;
            let heap = count(&client.query_one(&sql, &[]).await?, 0)?;
            client.batch_execute(BY_INDEX).await?;
            Ok((heap, count(&client.query_one(&sql, &[]).await?, 0)?))
        };
        // Two statements, each with its own limit.
        self.asking(CATALOGS_ONLY, within / 2, async |client| ask(client).await).await
    }

    async fn amcheck(&self, may_create: bool) -> Result<Amcheck, Fault> {
        let not_available = |reason: String| Ok(Amcheck::NotAvailable { reason });
        let mut rows = self.rows(queries::AMCHECK, &[]).await?;
        if rows.is_empty() {
            if !may_create {
                return not_available("the extension is not created, and may not be".to_owned());
            }
            let create =
                async { Ok(self.client.batch_execute("CREATE EXTENSION IF NOT EXISTS amcheck").await?) };
            match limited(CREATION, create).await {
                Err(fault) if fault.kind == FaultKind::Unavailable => return Err(fault),
                Err(fault) => return not_available(format!("the extension cannot be created: {fault}")),
                Ok(()) => rows = self.rows(queries::AMCHECK, &[]).await?,
            }
        }
        let Some(row) = rows.first() else {
            return not_available("the extension was not created".to_owned());
        };
        let (schema, version): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        if !row.try_get::<_, bool>(2)? {
            return not_available("this role may not execute the extension's functions".to_owned());
        }
        let verifies_heaps = major_minor(&version) >= (1, 3);
        Ok(Amcheck::Available { schema, version, verifies_heaps })
    }

    async fn verify_heap(
        &self,
        schema: &str,
        relation: &Relation,
        blocks: Blocks,
        within: Duration,
    ) -> Result<Vec<Damage>, Fault> {
        if blocks.is_empty() && blocks.from > 0 {
            // It got shorter: there is no such block any more, and asking for it is an error.
            return Ok(Vec::new());
        }
        let first = (blocks.from > 0).then_some(i64::from(blocks.from));
        let last = (!blocks.is_last).then_some(i64::from(blocks.to) - 1);
        let sql = queries::verify_heap(schema);
        let ask = async |client: &Client| Ok(client.query(&sql, &[&relation.oid, &first, &last]).await?);
        let rows = self.asking(CATALOGS_ONLY, within, ask).await?;
        let damage = |row: &Row| {
            let block: Option<i64> = row.try_get(0)?;
            Ok(Damage { block: block.and_then(|block| u32::try_from(block).ok()), message: row.try_get(1)? })
        };
        rows.iter().map(damage).collect()
    }

    async fn verify_index(
        &self,
        schema: &str,
        index: &Index,
        every_row: bool,
        within: Duration,
    ) -> Result<(), Fault> {
        let sql = queries::verify_index(schema);
        let ask = async |client: &Client| Ok(client.execute(&sql, &[&index.oid, &every_row]).await?);
        self.asking(CATALOGS_ONLY, within, ask).await.map(drop)
    }

    async fn catalog(&self) -> Result<Catalog, Fault> {
        let has_version = self.version().await? >= HAS_COLLATION_VERSION;
        self.asking(CATALOGS_ONLY, SHORT, async |client| Ok(catalog(client, has_version).await?)).await
    }

    async fn answer(&self, sql: &str, within: Duration) -> Result<Answer, Fault> {
        self.asking("", within, async |client| answer(client, sql).await).await
    }

    async fn commits(&self) -> Result<Commits, Fault> {
        let rows = self.rows(queries::COMMITS, &[]).await?;
        let row = rows.first().ok_or_else(|| Fault::new(FaultKind::Failed, "no answer"))?;
        let at = |column| -> Result<Option<Timestamp>, Fault> {
            let micros: Option<i64> = row.try_get(column)?;
            Ok(micros.and_then(|micros| Timestamp::from_microsecond(micros).ok()))
        };
        Ok(Commits {
            started_at: at(0)?.unwrap_or(Timestamp::UNIX_EPOCH),
            last_committed_at: at(1)?,
            last_replayed_at: at(2)?,
            last_replayed_lsn: row.try_get(3)?,
            is_in_recovery: row.try_get(4)?,
        })
    }
}

async fn catalog(client: &Client, has_version: bool) -> Result<Catalog, tokio_postgres::Error> {
    let row = client.query_one(queries::DATABASE, &[]).await?;
    let actual_version =
        if has_version { client.query_one(queries::COLLATION_VERSION, &[]).await?.try_get(0)? } else { None };
    let mut extensions = BTreeMap::new();
    for row in client.query(queries::EXTENSIONS, &[]).await? {
        extensions.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let mut roles = BTreeMap::new();
    for row in client.query(queries::ROLES, &[]).await? {
        let role = Role {
            attributes: row.try_get(1)?,
            connection_limit: row.try_get(2)?,
            valid_until: row.try_get(3)?,
            member_of: row.try_get(4)?,
        };
        roles.insert(row.try_get(0)?, role);
    }
    let mut invalid_indexes = Vec::new();
    for row in client.query(queries::INVALID_INDEXES, &[]).await? {
        invalid_indexes.push(row.try_get(0)?);
    }
    Ok(Catalog {
        database: row.try_get(0)?,
        server_version: row.try_get(1)?,
        encoding: row.try_get(2)?,
        collation: Collation {
            collate: row.try_get(3)?,
            ctype: row.try_get(4)?,
            provider: row.try_get(5)?,
            locale: row.try_get(6)?,
            recorded_version: row.try_get(7)?,
            actual_version,
        },
        extensions,
        roles,
        counts: counts(&client.query_one(queries::COUNTS, &[]).await?)?,
        invalid_indexes,
        has_data_checksums: row.try_get(8)?,
        hides_damage: row.try_get(9)?,
    })
}

fn counts(row: &Row) -> Result<Counts, tokio_postgres::Error> {
    Ok(Counts {
        schemas: count(row, 0)?,
        tables: count(row, 1)?,
        views: count(row, 2)?,
        materialized_views: count(row, 3)?,
        indexes: count(row, 4)?,
        sequences: count(row, 5)?,
        functions: count(row, 6)?,
        large_objects: count(row, 7)?,
    })
}

/// The statement is prepared first, because only there the server refuses several; and then asked as text, in which every
/// type has a value.
async fn answer(client: &Client, sql: &str) -> Result<Answer, Fault> {
    let prepared = client.prepare(sql).await?;
    let Some(column) = prepared.columns().first() else {
        return Err(Fault::new(FaultKind::Failed, "the statement has no result"));
    };
    let (columns, kind) = (prepared.columns().len(), cell_kind(column.type_()));
    let (mut rows, mut first) = (0, None);
    let mut messages = pin!(client.simple_query_raw(sql).await?);
    while let Some(message) = messages.try_next().await? {
        if let SimpleQueryMessage::Row(row) = message {
            if rows == 0 {
                first = Some(Cell { kind, text: row.try_get(0)?.map(str::to_owned) });
            }
            rows += 1;
        }
    }
    Ok(Answer { columns, rows, first })
}

fn cell_kind(column: &Type) -> CellKind {
    match *column {
        Type::BOOL => CellKind::Bool,
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID | Type::NUMERIC | Type::FLOAT4 | Type::FLOAT8 => {
            CellKind::Number
        }
        _ => CellKind::Text,
    }
}

/// Of `1.5`. What is not of that form is old.
fn major_minor(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert!(major_minor("1.10") > major_minor("1.3"));
        assert!(major_minor("1.2") < (1, 3) && major_minor("") < (1, 3));
    }
}
