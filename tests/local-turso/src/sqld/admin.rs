//! sqld's own admin API, by which it blocks reads and writes and limits its size.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde::Deserialize;
use serde_json::json;

use super::{Error, Server};

/// What is set of a database. sqld itself enforces it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// As the caller wrote it: `256mb`, or bytes. `None` for no limit.
    pub(crate) size_limit: Option<String>,
    pub(crate) allow_attach: bool,
    pub(crate) block_reads: bool,
    pub(crate) block_writes: bool,
}

/// What sqld counts.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Statistics {
    pub(crate) rows_read_count: u64,
    pub(crate) rows_written_count: u64,
}

impl Server {
    /// Whether the server that answers is ours: a port may have been taken by another one before ours could.
    pub(super) async fn is_ours(&self) -> bool {
        self.admin(Method::GET, "config", None).await.is_ok()
    }

    /// Sets all of it at once. Refused by sqld: a size that it does not understand.
    pub(crate) async fn configure(&self, configuration: &Configuration) -> Result<(), Error> {
        let mut body = json!({
            "allow_attach": configuration.allow_attach,
            "block_reads": configuration.block_reads,
            "block_writes": configuration.block_writes,
        });
        if let Some(limit) = &configuration.size_limit {
            let is_number = !limit.is_empty() && limit.bytes().all(|byte| byte.is_ascii_digit());
            body["max_db_size"] = if is_number { format!("{limit}b").into() } else { limit.as_str().into() };
        }
        self.admin(Method::POST, "config", Some(body.to_string())).await.map(drop)
    }

    pub(crate) async fn statistics(&self) -> Result<Statistics, Error> {
        let body = self.admin(Method::GET, "stats", None).await?;
        serde_json::from_slice(&body).map_err(|error| Error::Admin(error.to_string()))
    }

    /// Moves the WAL into the database file and empties it.
    pub(crate) async fn checkpoint(&self) -> Result<(), Error> {
        self.admin(Method::POST, "checkpoint", None).await.map(drop)
    }

    async fn admin(&self, method: Method, what: &str, body: Option<String>) -> Result<Bytes, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Admin(error.to_string());
        let uri = format!("http://127.0.0.1:{}/v1/namespaces/default/{what}", self.admin_port);
        let request = Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", format!("basic {}", self.admin_key))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| failed(&error))?;
        let answer = self.client.request(request).await.map_err(|error| failed(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
        if status == StatusCode::OK {
            return Ok(body);
        }
        Err(Error::Admin(format!("{status} {}", String::from_utf8_lossy(&body))))
    }
}
