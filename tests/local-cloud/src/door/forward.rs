//! One AWS call through the door: identified, perhaps struck by a fault, answered, recorded.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use jiff::Timestamp;

use super::calls::{Call, Subject};
use super::operation::{self, Operation};
use super::refusal::{Refusal, error_code, internal, throttling};
use super::scope::{self, Scope};
use super::{Body, Effect, House, Lost, whole};
use crate::keys::described_aws_managed;

/// Requests of the JSON and Query protocols are read whole up to this: AWS takes at most 1 MB of them (`PutEvents`,
/// `SendMessage`: 1 MiB). Longer ones are streamed and their resource is not known.
const MOST_READ_BYTES: u64 = 2 << 20;

/// Error answers are read whole up to this, for the code in them.
const MOST_ERROR_BYTES: usize = 256 * 1024;

/// A call on its way.
struct Visit {
    started: Instant,
    at: Timestamp,
    scope: Scope,
    operation: Operation,
    fault: Option<&'static str>,
}

pub(crate) async fn answer(
    request: Request<Incoming>,
    peer: SocketAddr,
    house: &House,
) -> Result<Response<Body>, Lost> {
    let (started, at) = (Instant::now(), Timestamp::now());
    let scope = Scope::of(&request);
    let early = operation::from_head(&request, &scope);
    let (head, body) = request.into_parts();
    let (operation, body) = read_if_small(&head.headers, early, &scope, body).await?;
    let mut visit = Visit { started, at, scope, operation, fault: None };
    let (rule, effect) = house.faults.strike(&visit.subject()).unzip();
    visit.fault = effect.as_ref().map(Effect::name);
    let (service, protocol) = (visit.scope.service.as_str(), visit.operation.protocol);
    let response = match &effect {
        Some(Effect::Error { code, status, message }) => visit.refuse(*status, code, message),
        Some(Effect::Throttle) => {
            let (code, status) = throttling(service, protocol);
            visit.refuse(status, code, "Rate exceeded")
        }
        Some(Effect::InternalError) => {
            visit.refuse(500, internal(service, protocol), "The request processing has failed.")
        }
        Some(Effect::Cut) => {
            visit.record_unanswered(house);
            return Err(Lost);
        }
        Some(Effect::Hang) => {
            visit.record_unanswered(house);
            return hang(body, rule.unwrap_or_default(), house).await;
        }
        _ => visit.pass(Request::from_parts(head, body), house).await,
    };
    let response = visit.record(response, house).await;
    match effect {
        Some(Effect::Kill) => lose(response, Some(peer.port()), house).await,
        Some(Effect::LoseAnswer) => lose(response, None, house).await,
        Some(Effect::Freeze { ms }) => freeze(response, peer.port(), ms, house).await,
        Some(Effect::Delay { ms }) => {
            let cleared = house.faults.cleared(rule.unwrap_or_default());
            let _ = tokio::time::timeout(Duration::from_millis(ms), cleared).await;
            Ok(response)
        }
        _ => Ok(response),
    }
}

/// The request's body: read whole if only it tells what is asked, streamed otherwise (always for S3).
async fn read_if_small(
    headers: &HeaderMap,
    early: Option<Operation>,
    scope: &Scope,
    body: Incoming,
) -> Result<(Operation, Body), Lost> {
    let is_json = scope::header(headers, "content-type").is_some_and(|value| value.contains("json"));
    let wanted = scope.service != "s3" && (is_json || early.is_none());
    let small = body.size_hint().upper().is_some_and(|upper| upper <= MOST_READ_BYTES);
    if !wanted || !small {
        return Ok((early.unwrap_or_default(), body.boxed_unsync()));
    }
    // A caller that goes away in the middle of its request waits for no answer.
    let bytes = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let operation = match early {
        None => operation::from_form(&bytes),
        Some(known) if known.resource.is_some() => known,
        Some(known) => Operation { resource: operation::json_resource(&known.action, &bytes), ..known },
    };
    Ok((operation, whole(bytes)))
}

impl Visit {
    fn subject(&self) -> Subject<'_> {
        Subject {
            service: &self.scope.service,
            action: &self.operation.action,
            resource: self.operation.resource.as_deref(),
            region: &self.scope.region,
            function: self.scope.function.as_deref(),
        }
    }

    fn refuse(&self, status: u16, code: &str, message: &str) -> Response<Body> {
        let nanoseconds = self.at.as_nanosecond();
        let request_id = format!("tidemark-{nanoseconds:x}");
        Refusal { status, code, message, request_id: &request_id }
            .response(self.operation.protocol)
            .map(whole)
    }

    async fn pass(&self, request: Request<Body>, house: &House) -> Response<Body> {
        if ["elasticache", "rds", "tagging"].contains(&self.scope.service.as_str()) {
            return self.pass_to_ours(request, house).await;
        }
        if let Some(described) = self.aws_managed_key() {
            return described;
        }
        match house.api.forward(prepared(request)).await {
            Ok(response) => {
                let (mut head, body) = response.into_parts();
                remove_hop_by_hop(&mut head.headers);
                Response::from_parts(head, body.boxed_unsync())
            }
            Err(error) => {
                let message = format!("the local cloud's MiniStack does not answer: {error}");
                self.refuse(503, "ServiceUnavailable", &message)
            }
        }
    }

    /// The answer about a key that AWS makes by itself, and `MiniStack` does not have.
    fn aws_managed_key(&self) -> Option<Response<Body>> {
        let Visit { scope, operation, .. } = self;
        if (scope.service.as_str(), operation.action.as_str()) != ("kms", "DescribeKey") {
            return None;
        }
        let described = described_aws_managed(&scope.region, operation.resource.as_deref()?)?;
        let mut response = Response::new(whole(described.to_string()));
        let json = http::HeaderValue::from_static("application/x-amz-json-1.1");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        Some(response)
    }

    async fn pass_to_ours(&self, request: Request<Body>, house: &House) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return self.refuse(400, "IncompleteBody", &error.to_string()),
        };
        let region = self.scope.region.as_str();
        let answered = match self.scope.service.as_str() {
            "elasticache" => house.elasticache.handle(region, &body).await,
            // RDS tells tags in its own lists: nobody asks for them here.
            "tagging" => {
                let target = scope::header(&head.headers, "x-amz-target").unwrap_or_default();
                house.elasticache.handle_tagging(region, target, &body)
            }
            _ => house.rds.handle(region, &body).await,
        };
        let mut response = Response::new(whole(answered.body));
        *response.status_mut() =
            http::StatusCode::from_u16(answered.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static(answered.content_type));
        if let Ok(value) = answered.request_id.parse() {
            headers.insert("x-amzn-requestid", value);
        }
        response
    }

    /// Writes the call down before the caller sees the answer, so that who sees the answer finds the record.
    async fn record(&self, response: Response<Body>, house: &House) -> Response<Body> {
        let (head, body) = response.into_parts();
        let failed = head.status.as_u16() >= 400;
        let (error, body) = if failed { read_error(&head.headers, body).await } else { (None, body) };
        let request_id = ["x-amzn-requestid", "x-amz-request-id"]
            .iter()
            .find_map(|name| scope::header(&head.headers, name))
            .map(str::to_owned);
        let status = head.status.as_u16();
        house.calls.record(Call { status, error_code: error, request_id, ..self.call() });
        Response::from_parts(head, body)
    }

    /// Writes down a call that gets no answer.
    fn record_unanswered(&self, house: &House) {
        house.calls.record(self.call());
    }

    /// What is known of the call before its answer.
    fn call(&self) -> Call {
        Call {
            sequence: 0,
            at: self.at,
            service: self.scope.service.clone(),
            region: self.scope.region.clone(),
            action: self.operation.action.clone(),
            resource: self.operation.resource.clone(),
            function: self.scope.function.clone(),
            user_agent: self.scope.user_agent.clone(),
            status: 0,
            error_code: None,
            fault: self.fault.map(str::to_owned),
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            request_id: None,
        }
    }
}

async fn read_error(headers: &HeaderMap, body: Body) -> (Option<String>, Body) {
    match Limited::new(body, MOST_ERROR_BYTES).collect().await {
        Ok(body) => {
            let bytes = body.to_bytes();
            (error_code(headers, &bytes), whole(bytes))
        }
        Err(_) => (error_code(headers, b""), whole(Bytes::new())),
    }
}

/// The call took effect; its answer is read to the end, and goes nowhere.
async fn lose(response: Response<Body>, kill: Option<u16>, house: &House) -> Result<Response<Body>, Lost> {
    let _ = response.into_body().collect().await;
    if let Some(port) = kill {
        match house.api.kill_caller(port).await {
            Ok(Some(function)) => tracing::info!(function, "killed after its call took effect"),
            Ok(None) => tracing::warn!(port, "no function to kill: the caller is none"),
            Err(error) => tracing::warn!(%error, "the function could not be killed"),
        }
    }
    Err(Lost)
}

/// The call goes nowhere, and its caller is kept waiting. One that gives up closes the connection, which ends this.
async fn hang(body: Body, rule: u64, house: &House) -> Result<Response<Body>, Lost> {
    // Else the end of the connection would not be seen behind what is still to be read.
    let _ = body.collect().await;
    house.faults.cleared(rule).await;
    Err(Lost)
}

/// The call took effect; the function that made it stops before its answer, and reads that once it goes on.
async fn freeze(response: Response<Body>, port: u16, ms: u64, house: &House) -> Result<Response<Body>, Lost> {
    match house.api.freeze_caller(port, ms).await {
        Ok(Some(function)) => tracing::info!(function, ms, "frozen after its call took effect"),
        Ok(None) => tracing::warn!(port, "no function to freeze: the caller is none"),
        Err(error) => tracing::warn!(%error, "the function could not be frozen"),
    }
    Ok(response)
}

/// The request as `MiniStack` is to get it: the same but for what belongs to one connection.
fn prepared(mut request: Request<Body>) -> Request<Body> {
    remove_hop_by_hop(request.headers_mut());
    // We have said "100 Continue" by reading the body; a second one would be waited for in vain.
    request.headers_mut().remove(header::EXPECT);
    if matches!(*request.method(), Method::GET | Method::HEAD) && request.body().is_end_stream() {
        *request.body_mut() = whole(Bytes::new());
    }
    request
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TE, header::TRAILER]
    {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
}
