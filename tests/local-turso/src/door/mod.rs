//! The ports: one for the Platform API, and one for each database.

mod body;
mod data;
mod pages;
mod pass;
mod proxy;
mod upload;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::database::Database;
use crate::plane::Plane;
use crate::platform::{self, Question, Refusal};
use body::{Body, whole};
pub(crate) use pages::checkpoint;
pub use pass::Lost;
use pass::{CallerPort, pass};

/// More than any document of the Platform API needs.
const DOCUMENT_BYTES: usize = 1 << 20;

/// What a port leads to.
pub(crate) enum Room {
    Platform(Arc<Plane>),
    Database(Arc<Plane>, Arc<Database>),
}

/// A loopback port, held before what is behind it is there.
pub(crate) struct Doorstep {
    listener: TcpListener,
    address: SocketAddr,
}

impl Doorstep {
    /// 0 is any free port.
    pub(crate) async fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn open(self, room: Room) -> Door {
        Door(tokio::spawn(accept(self.listener, Arc::new(room))))
    }
}

/// Open until dropped; then its connections are closed, too.
#[derive(Debug)]
pub(crate) struct Door(JoinHandle<()>);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(listener: TcpListener, room: Arc<Room>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others are being closed meanwhile.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        // Small answers must not wait for the caller's acknowledgement of the ones before.
        let _ = stream.set_nodelay(true);
        let room = Arc::clone(&room);
        connections.spawn(async move {
            let service = service_fn(|mut request: Request<Incoming>| {
                request.extensions_mut().insert(CallerPort(peer.port()));
                enter(request, &room)
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "connection ended");
            }
        });
    }
}

async fn enter(request: Request<Incoming>, room: &Room) -> Result<Response<Body>, Lost> {
    match room {
        Room::Platform(plane) => {
            let (head, body) = request.into_parts();
            pass(plane, None, &head, async {
                match Limited::new(body, DOCUMENT_BYTES).collect().await {
                    Ok(body) => call(plane, head.clone(), body.to_bytes()).await,
                    Err(error) => refusal(&Refusal::new(413, format!("cannot read the request: {error}"))),
                }
            })
            .await
        }
        Room::Database(plane, database) => data::answer(plane, database, request).await,
    }
}

/// A request to the Platform API that did not come through the port.
pub(crate) async fn platform(plane: &Arc<Plane>, request: Request<Bytes>) -> Result<Response<Bytes>, Lost> {
    let (head, body) = request.into_parts();
    let answer = pass(plane, None, &head, call(plane, head.clone(), body)).await?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// The work itself goes on if the caller goes away, as it does in a cloud.
async fn call(plane: &Arc<Plane>, head: Parts, body: Bytes) -> Response<Body> {
    let (done, answer) = oneshot::channel();
    let shared = Arc::clone(plane);
    plane.spawn(async move {
        let question = Question {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            bearer: bearer(&head),
            body: &body,
        };
        // Nobody listens any more if the caller went away.
        let _ = done.send(platform::answer(&shared, &question).await);
    });
    match answer.await {
        Ok(Ok(Some(document))) => json(StatusCode::OK, document.to_string()),
        Ok(Ok(None)) => Response::new(whole(Bytes::new())),
        Ok(Err(refused)) => refusal(&refused),
        Err(_) => refusal(&Refusal::new(503, "it has ended")),
    }
}

fn bearer(head: &Parts) -> Option<&str> {
    let text = head.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn json(status: StatusCode, text: String) -> Response<Body> {
    let mut response =
        Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Turso's error document. Its text goes into the record of the call.
fn refusal(refused: &Refusal) -> Response<Body> {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, serde_json::json!({"error": refused.message}).to_string());
    response.extensions_mut().insert(pass::ErrorText(refused.message.clone()));
    response
}
