//! Heartbeats in a PostgreSQL database: what stands in [`heartbeat::postgres`], over a connection.
//!
//! [`Tables`] is the port; [`TlsPostgres`] reaches servers, and `FakeTables` (feature `fake`) are some in memory.

#[cfg(feature = "fake")]
mod fake;

use std::future::Future;

use heartbeat::{
    Heartbeat, Place, Row,
    postgres::{READ, WRITE},
};
use reconcile::{Error, Kind, Result};
use secrets::Credentials;
use tokio_postgres::{
    Client,
    types::{ToSql, Type},
};

#[cfg(feature = "fake")]
pub use self::fake::{FakeTable, FakeTables};
use crate::{NOT_REACHED, Server, TlsPostgres};

/// Where tables of heartbeats are reached.
pub trait Tables {
    /// The table of one database.
    type Table: Place<Error = Error>;

    /// Connects to a database as whoever may write its heartbeats.
    ///
    /// Errors carry the server's `SQLSTATE`, or `DatabaseNotReached`. Those that pass are retryable; misconfigured is what a person
    /// has to mend: a password, a right, a table or a database that is not there.
    fn table(&self, server: &Server, credentials: &Credentials) -> impl Future<Output = Result<Self::Table>>;
}

/// The table at the other end of a connection.
pub struct Table {
    client: Client,
}

impl Table {
    /// Over a connection that may be used for something else as well.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// One journey: the statement and its parameters, of which the server need not be asked the types.
    async fn ask(&self, doing: &str, sql: &str, texts: &[&str]) -> Result<Vec<Vec<String>>> {
        let failed = |error: tokio_postgres::Error| {
            let code = error.code().map_or(NOT_REACHED, |state| state.code()).to_owned();
            let kind = kind(&code);
            Error::new(kind, code, format!("cannot {doing}")).caused_by(error)
        };
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            texts.iter().map(|text| (text as &(dyn ToSql + Sync), Type::TEXT)).collect();
        let rows = self.client.query_typed(sql, &parameters).await.map_err(failed)?;
        let texts = |row: &tokio_postgres::Row| (0..row.len()).map(|column| row.try_get(column)).collect();
        rows.iter().map(texts).collect::<Result<_, _>>().map_err(failed)
    }
}

impl Place for Table {
    type Error = Error;

    async fn read(&mut self, count: u32) -> Result<Vec<Row>> {
        let rows = self.ask("read the heartbeats", READ, &[&count.to_string()]).await?;
        let fields = rows.into_iter().map(<[String; 6]>::try_from).collect::<Result<Vec<_>, _>>();
        let fields =
            fields.map_err(|_| Error::permanent("AnswerIncomplete", "a heartbeat has six fields"))?;
        Ok(fields.into_iter().map(Row::of_fields).collect())
    }

    async fn write(&mut self, heartbeat: &Heartbeat) -> Result<bool> {
        let row = Row::from(heartbeat);
        let written = self.ask("write a heartbeat", WRITE, &row.fields()).await?;
        Ok(written.concat() == ["1"])
    }
}

impl Tables for TlsPostgres {
    type Table = Table;

    async fn table(&self, server: &Server, credentials: &Credentials) -> Result<Table> {
        // That of a database which is protected does not replay its log: what it refuses, it refuses for good.
        let told = |error: Error| {
            let kind = kind(error.code());
            error.of_kind(kind)
        };
        self.connect(server, credentials).await.map(Table::new).map_err(told)
    }
}

/// What a `SQLSTATE` asks for, by its class (PostgreSQL documentation, appendix A).
fn kind(code: &str) -> Kind {
    match code.get(..2).unwrap_or_default() {
        _ if code == NOT_REACHED => Kind::Retryable,
        // The connection, a transaction that cannot be (25006: the server became a standby), one that was rolled back, resources, locks
        // and time limits, an operator, the system.
        "08" | "25" | "40" | "53" | "55" | "57" | "58" => Kind::Retryable,
        // Who it is, which database, which schema; rights and tables.
        "28" | "3D" | "3F" | "42" => Kind::Misconfigured,
        _ => Kind::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::connections_used_up("53300", Kind::Retryable)]
    #[case::starting("57P03", Kind::Retryable)]
    #[case::standby("25006", Kind::Retryable)]
    #[case::time_limit("57014", Kind::Retryable)]
    #[case::lock("55P03", Kind::Retryable)]
    #[case::nobody(NOT_REACHED, Kind::Retryable)]
    #[case::password("28P01", Kind::Misconfigured)]
    #[case::database("3D000", Kind::Misconfigured)]
    #[case::schema("3F000", Kind::Misconfigured)]
    #[case::table("42P01", Kind::Misconfigured)]
    #[case::right("42501", Kind::Misconfigured)]
    #[case::check("23514", Kind::Permanent)]
    #[case::none("", Kind::Permanent)]
    fn kinds(#[case] code: &str, #[case] expected: Kind) {
        assert_eq!(kind(code), expected);
    }
}
