use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, BodyStream, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Pool, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use reconcile::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use super::KEY_HEADER;
use crate::{Body, disk::broken, wire};

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a small answer may take as a whole, and the head of a long one. A sleeping database wakes within it.
const ANSWER: Duration = Duration::from_mins(1);
/// How long a long answer may stand still.
const SILENCE: Duration = Duration::from_secs(30);
/// How long an upload may take.
const UPLOAD: Duration = Duration::from_mins(14);
/// How often a call is made before its failure is one.
const ATTEMPTS: usize = 4;
/// The longest pause that a server may ask for; for longer ones there is the next tick.
const LONGEST_PAUSE: Duration = Duration::from_secs(20);
/// How large a small answer may be: 128 frames are half a megabyte, and a page of databases less.
const SMALL: usize = 8 << 20;
/// In what pieces a file is sent.
const PIECE: usize = 256 << 10;

type Sent = UnsyncBoxBody<Bytes, io::Error>;

/// One call, which can be made again.
pub(super) struct Call {
    /// In the present tense, for errors.
    pub(super) doing: String,
    pub(super) method: Method,
    pub(super) uri: String,
    pub(super) token: SecretString,
    pub(super) key: Option<SecretString>,
    pub(super) content: Content,
    /// The first byte of the answer that is wanted. Whether Turso's servers know ranges is not documented: from one that does
    /// not, the bytes before it come as well, and are let go.
    pub(super) from: u64,
}

pub(super) enum Content {
    Nothing,
    Json(String),
    /// A file, and how long it is.
    File(PathBuf, u64),
}

#[derive(Clone)]
pub(super) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Sent>,
    agent: HeaderValue,
    pub(super) first_pause: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("agent", &self.agent).finish_non_exhaustive()
    }
}

/// Why one attempt failed, and whether another may not.
struct Failure {
    error: Error,
    again: bool,
    after: Option<Duration>,
}

impl Client {
    pub(super) fn new(agent: &str) -> Result<Self> {
        let unfit = |what: &str| Error::misconfigured("EnvironmentIncomplete", what.to_owned());
        let agent =
            HeaderValue::from_str(agent).map_err(|_| unfit("AWS_SDK_UA_APP_ID is no name of a program"))?;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
            .map_err(|error| unfit("this system has no certificates to check others by").caused_by(error))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let pool = Pool::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(https);
        Ok(Self { pool, agent, first_pause: Duration::from_millis(200) })
    }

    /// Status and body of a small answer. One that says to come back is asked for again, a few times.
    pub(super) async fn answer(&self, call: &Call) -> Result<(u16, Bytes)> {
        let limit = if matches!(call.content, Content::File(..)) { UPLOAD } else { ANSWER };
        let attempt = || async {
            let whole = async {
                let answer = self.send(call).await?;
                let (status, after) = (answer.status().as_u16(), pause_of(&answer));
                let body = small(call, answer).await?;
                if is_passing(status) {
                    let error = wire::refused(&call.doing, status, &body);
                    return Err(Failure { error, again: true, after });
                }
                Ok((status, body))
            };
            timeout(limit, whole).await.unwrap_or_else(|_| Err(late(call)))
        };
        self.repeat(call, attempt).await
    }

    /// The body of a long answer. Until it begins, the call is made again as a small one is.
    pub(super) async fn stream(&self, call: &Call) -> Result<Body> {
        let attempt = || async {
            let answer = timeout(ANSWER, self.send(call)).await.unwrap_or_else(|_| Err(late(call)))?;
            let (status, after) = (answer.status().as_u16(), pause_of(&answer));
            if answer.status().is_success() {
                return Ok(answer);
            }
            let body = timeout(SILENCE, small(call, answer)).await.unwrap_or_else(|_| Err(late(call)))?;
            let error = wire::refused(&call.doing, status, &body);
            Err(Failure { error, again: is_passing(status), after })
        };
        let answer = self.repeat(call, attempt).await?;
        let superfluous = call.from - begins_at(call, &answer)?;
        let body = pieces(call.doing.clone(), answer.into_body());
        Ok(without_first(superfluous, body).boxed_local())
    }

    async fn repeat<T, F>(&self, call: &Call, attempt: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let pauses = ExponentialBuilder::default()
            .with_min_delay(self.first_pause)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(ATTEMPTS - 1)
            .with_jitter();
        // A file is sent once: whoever sends it looks first at what became of it.
        let repeatable = !matches!(call.content, Content::File(..));
        attempt
            .retry(pauses)
            .when(|failure| failure.again && repeatable)
            .adjust(|failure, pause| match failure.after {
                Some(asked) => pause.and((asked <= LONGEST_PAUSE).then_some(asked)),
                None => pause,
            })
            .await
            .map_err(|failure| failure.error)
    }

    async fn send(&self, call: &Call) -> Result<Response<Incoming>, Failure> {
        let request = self.request(call).map_err(|error| Failure { error, again: false, after: None })?;
        self.pool.request(request).await.map_err(|error| not_reached(call, error))
    }

    fn request(&self, call: &Call) -> Result<Request<Sent>> {
        let secret = |secret: &str| {
            let mut value = HeaderValue::from_str(secret).map_err(|_| {
                // Not the value itself: it is a secret.
                let said =
                    format!("cannot {}: the token or key has characters that no header may have", call.doing);
                Error::misconfigured("TursoUnauthorized", said)
            })?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        };
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(&call.uri)
            .header(header::USER_AGENT, self.agent.clone())
            .header(header::AUTHORIZATION, secret(&format!("Bearer {}", call.token.expose_secret()))?);
        if let Some(key) = &call.key {
            request = request.header(KEY_HEADER, secret(key.expose_secret())?);
        }
        if call.from > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", call.from));
        }
        let body = match &call.content {
            Content::Nothing => full(Bytes::new()),
            Content::Json(text) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                full(Bytes::from(text.clone()))
            }
            Content::File(path, length) => {
                request = request
                    .header(header::CONTENT_TYPE, "application/octet-stream")
                    .header(header::CONTENT_LENGTH, *length);
                BodyExt::boxed_unsync(StreamBody::new(file(path)?.map(|piece| piece.map(Frame::data))))
            }
        };
        request.body(body).map_err(|error| {
            Error::permanent("TursoRequestInvalid", format!("cannot {}", call.doing)).caused_by(error)
        })
    }
}

fn full(bytes: Bytes) -> Sent {
    BodyExt::boxed_unsync(Full::new(bytes).map_err(|never| match never {}))
}

fn file(path: &Path) -> Result<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
    let file = File::open(path).map_err(broken("open", path))?;
    Ok(stream::unfold(Some(file), |file| async {
        let mut file = file?;
        let mut piece = vec![0; PIECE];
        match file.read(&mut piece) {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(piece.into()), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    }))
}

fn pieces(doing: String, body: Incoming) -> impl Stream<Item = Result<Bytes>> {
    stream::unfold((BodyStream::new(body), doing, false), |(mut body, doing, over)| async move {
        if over {
            return None;
        }
        loop {
            let next = timeout(SILENCE, body.next()).await;
            let cut = |why: &str| Error::retryable("TursoConnectionLost", format!("cannot {doing}: {why}"));
            return match next {
                Err(_) => Some((Err(cut("nothing came for half a minute")), (body, doing, true))),
                Ok(None) => None,
                Ok(Some(Err(error))) => {
                    let error = cut("the answer was cut short").caused_by(error);
                    Some((Err(error), (body, doing, true)))
                }
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Some((Ok(data), (body, doing, false))),
                    Err(_) => continue,
                },
            };
        }
    })
}

/// With which byte the answer begins (RFC 9110, "206 Partial Content"): the one that was asked for, or the first.
fn begins_at(call: &Call, answer: &Response<Incoming>) -> Result<u64> {
    if answer.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(0);
    }
    let range = answer.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let begins = |range: &str| range.strip_prefix("bytes ")?.split_once('-')?.0.parse::<u64>().ok();
    match range.and_then(begins) {
        Some(first) if first == call.from => Ok(first),
        _ => {
            let said = format!("comes from another byte than {} on: {range:?}", call.from);
            Err(wire::unreadable(&call.doing, &said))
        }
    }
}

/// What comes after so many bytes.
fn without_first(bytes: u64, body: impl Stream<Item = Result<Bytes>>) -> impl Stream<Item = Result<Bytes>> {
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    body.map(move |piece| {
        let mut piece = piece?;
        let gone = piece.split_to(left.min(piece.len()));
        left -= gone.len();
        Ok(piece)
    })
}

async fn small(call: &Call, answer: Response<Incoming>) -> Result<Bytes, Failure> {
    match Limited::new(answer.into_body(), SMALL).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => {
            let said = format!("cannot {}: the answer was cut short, or is endless", call.doing);
            let error = Error::retryable("TursoConnectionLost", said).caused_by(error);
            Err(Failure { error, again: true, after: None })
        }
    }
}

const fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..)
}

/// How long the server asks to wait, in seconds; a date is not understood, and our own pause taken.
fn pause_of(answer: &Response<Incoming>) -> Option<Duration> {
    answer.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn not_reached(call: &Call, error: hyper_util::client::legacy::Error) -> Failure {
    let error = Error::retryable("TursoNotReached", format!("cannot {}", call.doing)).caused_by(error);
    Failure { error, again: true, after: None }
}

fn late(call: &Call) -> Failure {
    let error = Error::retryable("TursoTimedOut", format!("cannot {}: no answer in time", call.doing));
    Failure { error, again: true, after: None }
}
