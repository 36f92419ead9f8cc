//! AWS calls of this crate's own, straight to `MiniStack`: small requests that need no SDK crate, and that the record
//! of calls must not show, because nobody under test made them.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::Error;
use crate::door::{Body, BoxError, whole};

const TOKEN_HEADER: &str = "x-tidemark-token";

/// A pool of connections to one `MiniStack`.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    client: Client<HttpConnector, Body>,
    /// `127.0.0.1:PORT`.
    authority: String,
    account: String,
    token: String,
    /// The cloud's own runtime: a connection made in a caller's would end with that, and with it the pool's use.
    runtime: Handle,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self, what: &str) -> Result<Value, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|_| Error::unexpected(what, String::from_utf8_lossy(&self.body)))
    }
}

impl Api {
    /// Must be called in the cloud's runtime.
    pub(crate) fn new(port: u16, account: &str, token: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            // MiniStack closes idle connections after 75 s: ours must be gone before.
            .pool_idle_timeout(std::time::Duration::from_secs(30))
            .pool_timer(hyper_util::rt::TokioTimer::new())
            .build(connector);
        Self {
            client,
            authority: format!("127.0.0.1:{port}"),
            account: account.to_owned(),
            token: token.to_owned(),
            runtime: Handle::current(),
        }
    }

    /// Somebody else's request, as it is.
    pub(crate) async fn forward(&self, mut request: Request<Body>) -> Result<Response<Incoming>, BoxError> {
        let path = request.uri().path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let uri: Uri = format!("http://{}{path}", self.authority).parse()?;
        *request.uri_mut() = uri;
        // Only our own requests may carry it.
        request.headers_mut().remove(TOKEN_HEADER);
        Ok(self.client.request(request).await?)
    }

    /// A signed request as far as `MiniStack` looks: it reads Region and account from the scope, and verifies nothing.
    pub(crate) async fn send(
        &self,
        (service, region): (&str, &str),
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, Error> {
        let what = headers
            .iter()
            .find(|(name, _)| *name == "x-amz-target")
            .map_or_else(|| format!("{method} {path}"), |(_, target)| (*target).to_owned());
        let scope = format!("{}/20260101/{region}/{service}/aws4_request", self.account);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.authority))
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
            )
            .header(TOKEN_HEADER, &self.token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let no_answer = |source: BoxError| Error::NoAnswer { action: what.clone(), source };
        let request = request.body(whole(body)).map_err(|error| no_answer(error.into()))?;
        let client = self.client.clone();
        let exchange = self.runtime.spawn(async move {
            let (head, body) = client.request(request).await?.into_parts();
            Ok::<_, BoxError>((head, body.collect().await?.to_bytes()))
        });
        let (head, body) = exchange.await.map_err(|error| no_answer(error.into()))?.map_err(no_answer)?;
        if !head.status.is_success() {
            let body = String::from_utf8_lossy(&body).into_owned();
            return Err(Error::Refused { action: what, status: head.status.as_u16(), body });
        }
        Ok(Reply { headers: head.headers, body })
    }

    /// A call in one of the JSON protocols: `target` is `PREFIX.Action`.
    pub(crate) async fn json(&self, scope: (&str, &str), target: &str, body: &Value) -> Result<Value, Error> {
        let headers = [("x-amz-target", target), ("content-type", "application/x-amz-json-1.1")];
        let reply = self.send(scope, Method::POST, "/", &headers, body.to_string()).await?;
        if reply.body.is_empty() { Ok(Value::Null) } else { reply.json(target) }
    }

    /// A call in the Query protocol; the answer is XML.
    pub(crate) async fn query(
        &self,
        scope: (&str, &str),
        version: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Bytes, Error> {
        let form = form(&[&[("Action", action), ("Version", version)], parameters].concat());
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        Ok(self.send(scope, Method::POST, "/", &headers, form).await?.body)
    }

    /// Asks our launcher, which runs inside `MiniStack`'s process.
    pub(crate) async fn launcher(&self, what: &str) -> Result<Value, Error> {
        let path = format!("/_tidemark/{what}");
        self.send(("launcher", "us-east-1"), Method::GET, &path, &[], "").await?.json(what)
    }

    /// Kills the function whose process has a connection from this local port; its name, if there is one.
    pub(crate) async fn kill_caller(&self, port: u16) -> Result<Option<String>, Error> {
        let answer = self.launcher(&format!("kill?port={port}")).await?;
        Ok(answer["function"].as_str().map(str::to_owned))
    }

    /// Stops the function whose process has a connection from this local port for a while; its name, if there is one.
    pub(crate) async fn freeze_caller(&self, port: u16, ms: u64) -> Result<Option<String>, Error> {
        let answer = self.launcher(&format!("freeze?port={port}&ms={ms}")).await?;
        Ok(answer["function"].as_str().map(str::to_owned))
    }

    /// Whether it answers at all.
    pub(crate) async fn is_ready(&self) -> bool {
        self.send(("launcher", "us-east-1"), Method::GET, "/_ministack/health", &[], "").await.is_ok()
    }
}

/// `name=value&…`, encoded.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
