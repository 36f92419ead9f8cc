//! Connections to real servers.

use std::{
    fmt, io,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use reconcile::{Error, Kind, Result};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use secrecy::ExposeSecret;
use secrets::Credentials;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    Connection, NOT_REACHED, REFUSED, Reply, Server, Servers, TOO_LARGE, UNREADABLE,
    reply::refused,
    wire::{Stream, Wire},
};

/// A server that takes longer than this to answer is not answering.
const PATIENCE: Duration = Duration::from_secs(5);

/// Servers reached over TLS, or without where [`Server::tls`] says so.
#[derive(Clone, Debug)]
pub struct TlsServers {
    /// Further trusted roots, beside those of the system.
    extra_roots: Option<String>,
    /// Made when it is first needed.
    tls: OnceLock<Arc<ClientConfig>>,
}

impl TlsServers {
    /// Trusts the roots of the system, among which are Amazon's, by which ElastiCache's certificates are signed (ElastiCache User
    /// Guide, "In-transit encryption"), and those in the PEM file at `extra_roots`. Reads nothing yet: most invocations connect to no
    /// server.
    pub const fn new(extra_roots: Option<String>) -> Self {
        Self { extra_roots, tls: OnceLock::new() }
    }

    fn tls(&self) -> Result<Arc<ClientConfig>> {
        if let Some(made) = self.tls.get() {
            return Ok(Arc::clone(made));
        }
        let mut roots = RootCertStore::empty();
        // A certificate that cannot be read is one that nothing is trusted for.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(path) = &self.extra_roots {
            roots.add_parsable_certificates(read_roots(Path::new(path))?);
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::permanent("TlsUnavailable", "cannot set up TLS").caused_by(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::clone(self.tls.get_or_init(|| Arc::new(config))))
    }

    async fn open(&self, server: &Server, credentials: Option<&Credentials>) -> Result<TlsConnection> {
        let name = format!("{}:{}", server.host, server.port);
        let doing = format!("connect to {name}");
        let lost =
            |error: io::Error| Error::retryable(NOT_REACHED, format!("cannot {doing}")).caused_by(error);
        let stream = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        let stream: Box<dyn Stream + Send> = if server.tls {
            let host = ServerName::try_from(server.host.clone()).map_err(|error| {
                Error::misconfigured("HostUnusable", format!("{} is no host", server.host)).caused_by(error)
            })?;
            Box::new(TlsConnector::from(self.tls()?).connect(host, stream).await.map_err(lost)?)
        } else {
            Box::new(stream)
        };
        let mut wire = Wire::new(&name, stream);
        if let Some(credentials) = credentials {
            prove(&mut wire, credentials, &doing).await?;
        }
        // It says whether the server lets us in at all, and has read its data. Who may not ask it is in.
        let words = match wire.ask(&[vec!["PING"]]).await?.pop() {
            Some(Reply::Refused(words)) if !words.starts_with("NOPERM ") => words,
            _ => return Ok(TlsConnection { name, wire: Some(wire) }),
        };
        Err(kept_out(refused(&doing, &words)))
    }
}

/// Whoever answers otherwise than a server does may be none, or one that speaks TLS.
fn speaks_otherwise(error: Error) -> Error {
    if [UNREADABLE, TOO_LARGE].contains(&error.code()) {
        let said = "what answers does not speak as a Redis or Valkey server does; look whether it wants TLS";
        return Error::retryable(NOT_REACHED, said).caused_by(error);
    }
    error
}

/// Who is not let in has to mend something, unless it passes.
fn kept_out(error: Error) -> Error {
    if error.kind() == Kind::Retryable { error } else { error.of_kind(Kind::Misconfigured) }
}

/// `AUTH`. The words of a refusal are kept only by their code: who knows what they repeat.
async fn prove<S: Stream>(wire: &mut Wire<S>, credentials: &Credentials, doing: &str) -> Result<()> {
    let (user, password) = (credentials.username.as_str(), credentials.password.expose_secret());
    let is_default = user.is_empty() || user == "default";
    let command = if is_default { vec!["AUTH", password] } else { vec!["AUTH", user, password] };
    let Some(Reply::Refused(words)) = wire.ask(&[command]).await?.pop() else { return Ok(()) };
    let who = if is_default { "with the password alone".to_owned() } else { format!("as {user}") };
    if words.starts_with("ERR AUTH ") {
        let said = format!("cannot {doing} {who}: it has no password; leave the secret away");
        return Err(Error::misconfigured(REFUSED, said));
    }
    let code = words.split(' ').next().unwrap_or_default();
    let error = refused(doing, &words);
    let said = format!("cannot {doing} {who}: it answers {code}");
    Err(kept_out(Error::new(error.kind(), error.code(), said)))
}

fn read_roots(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_or_else(Err, Iterator::collect);
    certificates.map_err(|error| {
        let problem = format!("TIDEMARK_DATABASE_CA: {} holds no PEM certificates", path.display());
        Error::misconfigured("DatabaseCaUnreadable", problem).caused_by(io::Error::other(error.to_string()))
    })
}

impl Servers for TlsServers {
    type Connection = TlsConnection;

    async fn connect(&self, server: &Server, credentials: Option<&Credentials>) -> Result<TlsConnection> {
        let Ok(opened) = timeout(PATIENCE, self.open(server, credentials)).await else {
            return Err(Error::retryable(
                NOT_REACHED,
                format!(
                    "{}:{} did not answer within {} s; if it never does, look at its security groups, at the function's subnets, \
                     and whether it speaks TLS",
                    server.host,
                    server.port,
                    PATIENCE.as_secs()
                ),
            ));
        };
        opened.map_err(speaks_otherwise)
    }
}

/// A connection to a server.
pub struct TlsConnection {
    name: String,
    /// None once something went wrong, or an answer was not waited for.
    wire: Option<Wire<Box<dyn Stream + Send>>>,
}

impl fmt::Debug for TlsConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConnection").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Connection for TlsConnection {
    async fn ask_all<W: AsRef<[u8]>>(&mut self, commands: &[Vec<W>], within: Duration) -> Result<Vec<Reply>> {
        // Put back only when every answer has come.
        let Some(mut wire) = self.wire.take() else {
            return Err(Error::retryable(NOT_REACHED, format!("the connection to {} is closed", self.name)));
        };
        let answered = timeout(within, wire.ask(commands)).await;
        let late = |_| {
            let said = format!("{} did not answer within {} ms", self.name, within.as_millis());
            Error::retryable(NOT_REACHED, said)
        };
        let replies = answered.map_err(late)??;
        self.wire = Some(wire);
        Ok(replies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_of_roots_is_named() {
        let error = TlsServers::new(Some("/nowhere/ca.pem".to_owned())).tls().err().unwrap();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }
}
