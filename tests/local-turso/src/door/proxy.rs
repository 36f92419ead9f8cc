//! What sqld answers.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::body::{Body, Cut, troubled};
use super::data::unready;
use super::pass::Lost;
use crate::Trouble;
use crate::database::Database;
use crate::platform::Refusal;

/// Hands the request on, and the answer back, both as they come.
pub(super) async fn answer(
    database: &Database,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    let server = database.server().await.map_err(|error| unready(&error))?;
    let lost = |error: &dyn std::fmt::Display| {
        tracing::debug!(%error, database.name, "sqld does not answer");
        Refusal::new(502, "the database does not answer")
    };
    let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let uri: Uri = format!("http://127.0.0.1:{}{path}", server.port).parse().map_err(|error| lost(&error))?;
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = uri;
    *request.headers_mut() = head.headers.clone();
    for name in [HOST, CONNECTION, TRANSFER_ENCODING] {
        request.headers_mut().remove(name);
    }
    // A connection of its own: one that sqld closed meanwhile would fail a call that never reached it.
    let client: Client<HttpConnector, Incoming> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
    let answer = client.request(request).await.map_err(|error| lost(&error))?;
    let (mut head_back, body) = answer.into_parts();
    let troubles = database.condition().troubles.clone();
    let cut = cut(head.uri.path(), &troubles);
    without_framing(&mut head_back.headers, cut.is_some());
    let body = body.map_err(|_| Lost).boxed_unsync();
    Ok(Response::from_parts(head_back, troubled(body, cut, &troubles)))
}

fn cut(path: &str, troubles: &[Trouble]) -> Option<(Cut, bool)> {
    if path != "/v3/cursor" {
        return None;
    }
    troubles.iter().find_map(|trouble| match trouble {
        Trouble::CursorCut { after_lines, clean } => Some((Cut::Lines(*after_lines), *clean)),
        _ => None,
    })
}

/// How the connection to sqld was framed says nothing about ours; a length would give a cut away.
fn without_framing(headers: &mut HeaderMap, is_cut: bool) {
    headers.remove(CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    if is_cut {
        headers.remove(CONTENT_LENGTH);
    }
}
