use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::Timestamp;
use postgres::{Client, Server, TlsPostgres};
use secrets::Credentials;

/// A connection to a database of a scenario.
pub struct Database {
    client: Client,
}

/// What a table holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Number of rows.
    pub rows: i64,
    /// MD5 over all rows, whatever their order.
    pub md5: String,
}

/// What every table holds, by name.
pub type Contents = BTreeMap<String, Digest>;

impl Database {
    /// Connects over TLS, as any client of RDS does.
    pub async fn connect(tls: &TlsPostgres, server: &Server, credentials: &Credentials) -> Result<Self> {
        Ok(Self { client: tls.connect(server, credentials).await? })
    }

    /// The tables and rows of `pgbench -i -s <scale>` (100,000 accounts each), made in the server as `pgbench -I dtGp` does.
    pub async fn fill_pgbench(&self, scale: u32) -> Result<()> {
        let sql = format!(
            "CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
             CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
             CREATE TABLE pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84));
             INSERT INTO pgbench_branches SELECT bid, 0 FROM generate_series(1, {scale}) AS bid;
             INSERT INTO pgbench_tellers SELECT tid, (tid - 1) / 10 + 1, 0 FROM generate_series(1, {scale} * 10) AS tid;
             INSERT INTO pgbench_accounts SELECT aid, (aid - 1) / 100000 + 1, (aid * 7919) % 1000, ''
                 FROM generate_series(1, {scale} * 100000) AS aid;
             ALTER TABLE pgbench_accounts ADD PRIMARY KEY (aid);"
        );
        self.run(&sql).await.context("cannot make the pgbench tables")
    }

    /// Runs statements.
    pub async fn run(&self, sql: &str) -> Result<()> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Rows and digest of a table, or of those of its rows for which `filter` holds.
    pub async fn digest(&self, table: &str, filter: Option<&str>) -> Result<Digest> {
        let filter = filter.unwrap_or("true");
        let sql = format!(
            "SELECT count(*), md5(coalesce(string_agg(row, '' ORDER BY row), ''))
             FROM (SELECT md5(t::text) AS row FROM {table} AS t WHERE {filter}) AS rows"
        );
        let row =
            self.client.query_one(&sql, &[]).await.with_context(|| format!("cannot read table {table}"))?;
        Ok(Digest { rows: row.get(0), md5: row.get(1) })
    }

    /// Rows and digest of each of `tables`.
    pub async fn contents(&self, tables: &[&str]) -> Result<Contents> {
        let mut contents = Contents::new();
        for table in tables {
            contents.insert((*table).to_owned(), self.digest(table, None).await?);
        }
        Ok(contents)
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> Result<i64> {
        Ok(self.client.query_one(sql, &[]).await?.get(0))
    }

    /// The server's clock, to the microsecond.
    pub async fn clock(&self) -> Result<Timestamp> {
        let micros = self.number("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").await?;
        Ok(Timestamp::from_microsecond(micros)?)
    }
}
