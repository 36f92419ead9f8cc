//! What the front door can be told and asked over HTTP, on the same port, under `/_local/`:
//!
//! | method, path | does |
//! |---|---|
//! | `GET calls?service=&action=&resource=&region=&function=` | the calls that match (`*` in a value: any characters), oldest first |
//! | `DELETE calls` | forgets them |
//! | `GET faults` | the rules in force, with what they matched and what they were applied to |
//! | `POST faults` | adds a rule ([`super::Fault`] as JSON); answers `{"id": N}` |
//! | `DELETE faults`, `DELETE faults/N` | removes all, or one |
//! | `GET events` | how the lifecycle events of RDS are delivered: `{"delivery": "normal"}` |
//! | `PUT events` | changes that: `normal`, `twice`, `late` (with `"ms": N`), `out_of_order` or `never` |
//! | `GET state` | endpoint, Regions, account, versions, what is deployed |
//!
//! A rule's `effect` is `"throttle"`, `"internal_error"`, `"hang"`, `"cut"`, `"kill"`, `"lose_answer"`,
//! `{"error": {"code": "…", "status": 400, "message": "…"}}`, `{"delay": {"ms": 500}}` or `{"freeze": {"ms": 500}}`.
//!
//! Anything misspelt is refused with 400 and a sentence: a rule that silently matched nothing would prove nothing.

use std::sync::PoisonError;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::{Body, CallFilter, Fault, House, whole};
use crate::bridges::ToldDelivery;

/// Far more than a rule needs.
const MOST_BYTES: usize = 64 * 1024;

pub(crate) async fn answer(request: Request<Incoming>, what: &str, house: &House) -> Response<Body> {
    let (head, body) = request.into_parts();
    let outcome = match (head.method, what) {
        (Method::GET, "calls") => filter(head.uri.query().unwrap_or_default())
            .map(|filter| serde_json::to_value(house.calls.matching(&filter)).unwrap_or_default()),
        (Method::DELETE, "calls") => {
            house.calls.forget();
            Ok(json!({}))
        }
        (Method::GET, "faults") => Ok(serde_json::to_value(house.faults.list()).unwrap_or_default()),
        (Method::POST, "faults") => read(body).await.and_then(|body| arm(&body, house)),
        (Method::GET, "events") => Ok(delivery(house)),
        (Method::PUT, "events") => read(body).await.and_then(|body| deliver(&body, house)),
        (Method::DELETE, "faults") => {
            house.faults.disarm(None);
            Ok(json!({}))
        }
        (Method::DELETE, one) if one.starts_with("faults/") => {
            disarm(one.trim_start_matches("faults/"), house)
        }
        (Method::GET, "state") => Ok(house.state.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        (method, what) => Err((StatusCode::NOT_FOUND, format!("there is no {method} /_local/{what}"))),
    };
    let (status, value) = match outcome {
        Ok(value) => (StatusCode::OK, value),
        Err((status, message)) => (status, json!({"error": message})),
    };
    let mut response = Response::new(whole(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

type Outcome = Result<Value, (StatusCode, String)>;

fn filter(query: &str) -> Result<CallFilter, (StatusCode, String)> {
    let fields: serde_json::Map<String, Value> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

async fn read(body: Incoming) -> Result<Bytes, (StatusCode, String)> {
    let body = Limited::new(body, MOST_BYTES).collect().await;
    body.map(Collected::to_bytes).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

fn delivery(house: &House) -> Value {
    serde_json::to_value(ToldDelivery::from(*house.events.borrow())).unwrap_or_default()
}

fn deliver(body: &[u8], house: &House) -> Outcome {
    let told: ToldDelivery =
        serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    house.events.send_replace(told.into());
    Ok(delivery(house))
}

fn arm(body: &[u8], house: &House) -> Outcome {
    let fault: Fault =
        serde_json::from_slice(body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(json!({"id": house.faults.arm(fault)}))
}

fn disarm(id: &str, house: &House) -> Outcome {
    let number = id.parse().map_err(|_| (StatusCode::BAD_REQUEST, format!("{id:?} is not a number")))?;
    if house.faults.disarm(Some(number)) {
        return Ok(json!({}));
    }
    Err((StatusCode::NOT_FOUND, format!("there is no fault {number}")))
}
