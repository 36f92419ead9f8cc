//! Where clients connect: TLS in front of a server.
//!
//! The `PostgreSQL` that we use is built without TLS. So the control plane ends it: an endpoint takes what a client
//! begins with (`PostgreSQL` documentation, "SSL Session Encryption" in "Message Flow"), and joins what is inside to the
//! server's own port.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::{Authority, Error};

/// Codes in the place of a protocol version.
const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
/// The first byte of a TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;
/// A refusal: `ErrorResponse` with severity, code `invalid_authorization_specification`, message.
const REFUSAL: &[u8] =
    b"SFATAL\0VFATAL\0C28000\0Mno pg_hba.conf entry for this host and user, no encryption (rds.force_ssl is on)\0\0";

/// A port of ours that leads to a server. Dropping it closes all connections.
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    task: AbortHandle,
}

impl Endpoint {
    /// Opens one to the server on a port.
    pub(super) async fn open(authority: &Authority, server: u16) -> Result<Self, Error> {
        let failed = || Error::files(Path::new("127.0.0.1:0"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed())?;
        let port = listener.local_addr().map_err(failed())?.port();
        let acceptor = TlsAcceptor::from(Arc::clone(&authority.tls));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((client, _)) => {
                            let acceptor = acceptor.clone();
                            connections.spawn(async move {
                                if let Err(error) = serve(client, &acceptor, server).await {
                                    tracing::debug!(%error, "a client connection ended");
                                }
                            });
                        }
                        Err(error) => tracing::debug!(%error, "a client connection was not accepted"),
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Self { port, task: task.abort_handle() })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut client: TcpStream, acceptor: &TlsAcceptor, server: u16) -> io::Result<()> {
    client.set_nodelay(true)?;
    let mut first = [0; 1];
    client.peek(&mut first).await?;
    if first == [TLS_HANDSHAKE] {
        return join(acceptor.accept(client).await?, server, &[]).await;
    }
    loop {
        let mut head = [0; 8];
        client.read_exact(&mut head).await?;
        let [_, _, _, _, code @ ..] = head;
        match u32::from_be_bytes(code) {
            SSL_REQUEST => {
                client.write_all(b"S").await?;
                return join(acceptor.accept(client).await?, server, &[]).await;
            }
            // We have none; the client goes on with something else.
            GSSENC_REQUEST => client.write_all(b"N").await?,
            // Carries a secret of its own, and gets no answer.
            CANCEL_REQUEST => return join(client, server, &head).await,
            _ => return refuse(client).await,
        }
    }
}

/// Passes everything on in both directions, after what was read already.
async fn join(mut client: impl AsyncRead + AsyncWrite + Unpin, port: u16, read: &[u8]) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    server.set_nodelay(true)?;
    server.write_all(read).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

async fn refuse(mut client: TcpStream) -> io::Result<()> {
    let length = u32::try_from(REFUSAL.len() + 4).unwrap_or_default();
    client.write_all(b"E").await?;
    client.write_all(&length.to_be_bytes()).await?;
    client.write_all(REFUSAL).await?;
    client.shutdown().await
}
