//! A PostgreSQL server as a client meets it: over TLS, the certificate checked against the roots of Amazon RDS. And what a drill
//! checks on one that was restored, and where heartbeats are.

pub mod checks;
pub mod heartbeats;

use std::{
    fmt,
    future::Future,
    io,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reconcile::{Error, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use secrecy::ExposeSecret;
use secrets::Credentials;
use tokio::time::timeout;
pub use tokio_postgres::Client;
use tokio_postgres::{Config, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Which server, and which database on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// DNS name or address; the certificate must be for it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database to connect to.
    pub database: String,
}

/// PostgreSQL servers.
pub trait Postgres {
    /// Connects and runs a first query; an error says what was in the way.
    fn first_query(&self, server: &Server, credentials: &Credentials) -> impl Future<Output = Result<()>>;
}

/// Servers reached over TLS.
#[derive(Clone)]
pub struct TlsPostgres {
    /// Further trusted roots, beside those of Amazon RDS.
    extra_roots: Option<String>,
    /// Made when it is first needed.
    tls: OnceLock<MakeRustlsConnect>,
}

impl fmt::Debug for TlsPostgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsPostgres").field("extra_roots", &self.extra_roots).finish_non_exhaustive()
    }
}

/// The code of an error that means: there is no connection, or none any more.
const NOT_REACHED: &str = "DatabaseNotReached";

const RDS_ROOTS: &str = include_str!("../rds-root-ca.pem");

/// A server that takes longer than this to answer is not answering.
const PATIENCE: Duration = Duration::from_secs(5);

impl TlsPostgres {
    /// Trusts the roots of Amazon RDS and those in the PEM file at `extra_roots`. Reads nothing yet: most invocations
    /// connect to no database.
    pub const fn new(extra_roots: Option<String>) -> Self {
        Self { extra_roots, tls: OnceLock::new() }
    }

    fn tls(&self) -> Result<MakeRustlsConnect> {
        if let Some(made) = self.tls.get() {
            return Ok(made.clone());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(CertificateDer::pem_slice_iter(RDS_ROOTS.as_bytes()).flatten());
        if let Some(path) = &self.extra_roots {
            roots.add_parsable_certificates(read_roots(Path::new(path))?);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::permanent("TlsUnavailable", "cannot set up TLS").caused_by(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(self.tls.get_or_init(|| MakeRustlsConnect::new(config)).clone())
    }

    /// Connects. The connection ends when the client is dropped.
    pub async fn connect(&self, server: &Server, credentials: &Credentials) -> Result<Client> {
        let doing = format!(
            "connect to {}:{}/{} as {}",
            server.host, server.port, server.database, credentials.username
        );
        let (client, connection) = Config::new()
            .host(&server.host)
            .port(server.port)
            .dbname(&server.database)
            .user(&credentials.username)
            .password(credentials.password.expose_secret())
            .application_name("tidemark")
            .ssl_mode(SslMode::Require)
            .connect(self.tls()?)
            .await
            .map_err(|error| failed(&doing, error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!("the connection ended: {error}");
            }
        });
        Ok(client)
    }

    async fn query(&self, server: &Server, credentials: &Credentials) -> Result<()> {
        let client = self.connect(server, credentials).await?;
        let doing = format!("ask {}:{} a first query", server.host, server.port);
        client.simple_query("SELECT 1").await.map(drop).map_err(|error| failed(&doing, error))
    }
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_or_else(Err, Iterator::collect);
    certificates.map_err(|error| {
        let problem = format!("TIDEMARK_DATABASE_CA: {} holds no PEM certificates", path.display());
        Error::misconfigured("DatabaseCaUnreadable", problem).caused_by(io::Error::other(error.to_string()))
    })
}

/// Every failure to connect may pass: a restored server first replays its log, and refuses meanwhile.
fn failed(doing: &str, error: tokio_postgres::Error) -> Error {
    let code = error.code().map_or(NOT_REACHED, |state| state.code()).to_owned();
    Error::retryable(code, format!("cannot {doing}")).caused_by(error)
}

impl Postgres for TlsPostgres {
    async fn first_query(&self, server: &Server, credentials: &Credentials) -> Result<()> {
        timeout(PATIENCE, self.query(server, credentials)).await.unwrap_or_else(|_| {
            Err(Error::retryable(
                NOT_REACHED,
                format!(
                    "{}:{} did not answer within {} s; if it never does, look at its security groups and at the function's subnets",
                    server.host,
                    server.port,
                    PATIENCE.as_secs()
                ),
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rds_root_is_read() {
        let listed = RDS_ROOTS.matches("BEGIN CERTIFICATE").count();
        let mut roots = RootCertStore::empty();
        let (read, ignored) =
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(RDS_ROOTS.as_bytes()).flatten());
        assert_eq!((read, ignored), (listed, 0));
        assert!(read >= 60, "{read} roots: three for each Region");
    }

    #[test]
    fn a_missing_file_of_roots_is_named() {
        let error = TlsPostgres::new(Some("/nowhere/ca.pem".to_owned())).tls().err().unwrap();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
