//! The front door: the one loopback endpoint for every AWS call.
//!
//! It routes by the service in the `SigV4` scope (RDS and ElastiCache to us, all else to `MiniStack`, bodies
//! streamed both ways),
//! records each call, and makes calls fail when told to. What it can be told over HTTP is in [`admin`].

mod admin;
mod calls;
mod faults;
mod forward;
mod operation;
mod refusal;
mod rest;
mod scope;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use local_elasticache::LocalElastiCache;
use local_rds::LocalRds;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::Error;
use crate::api::Api;
use crate::bridges::EventDelivery;
pub use calls::{Call, CallFilter};
pub(crate) use calls::{Calls, Subject};
pub(crate) use faults::Faults;
pub use faults::{Armed, Effect, Fault};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Streamed or whole.
pub(crate) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, hyper::Error>;

pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the answer is lost on purpose")]
pub(crate) struct Lost;

/// What the door leads to, and what it keeps.
pub(crate) struct House {
    pub(crate) rds: LocalRds,
    pub(crate) elasticache: LocalElastiCache,
    pub(crate) api: Api,
    /// Those of Turso, too, which do not come through this door.
    pub(crate) calls: Arc<Calls>,
    pub(crate) faults: Arc<Faults>,
    /// How the lifecycle events of RDS are delivered.
    pub(crate) events: watch::Sender<EventDelivery>,
    /// What `/_local/state` says.
    pub(crate) state: Mutex<Value>,
}

/// A loopback port, held before anything behind it is started, because everything behind it has to know it.
pub(crate) struct Doorstep(TcpListener);

impl Doorstep {
    /// 0 is any free port.
    pub(crate) async fn bind(port: u16) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        listener.map(Self).map_err(|source| Error::Listen { port, source })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr, Error> {
        self.0.local_addr().map_err(|source| Error::Listen { port: 0, source })
    }

    pub(crate) fn open(self, house: Arc<House>) -> Door {
        Door(tokio::spawn(accept(self.0, house)))
    }
}

/// Open until dropped.
#[derive(Debug)]
pub(crate) struct Door(JoinHandle<()>);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(listener: TcpListener, house: Arc<House>) {
    loop {
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
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, peer, &house));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "connection ended");
            }
        });
    }
}

async fn answer(request: Request<Incoming>, peer: SocketAddr, house: &House) -> Result<Response<Body>, Lost> {
    if let Some(what) = request.uri().path().strip_prefix("/_local/") {
        let what = what.to_owned();
        return Ok(admin::answer(request, &what, house).await);
    }
    forward::answer(request, peer, house).await
}
