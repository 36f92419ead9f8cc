//! What every call goes through: who decides about it, and the record.

use std::future::Future;
use std::time::{Duration, Instant};

use http::Response;
use http::header::USER_AGENT;
use http::request::Parts;
use jiff::Timestamp;

use super::{Body, refusal};
use crate::calls::{Call, function};
use crate::faults::Effect;
use crate::plane::Plane;
use crate::platform::Refusal;
use crate::{Onward, Verdict};

/// The connection is to be closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer is lost on purpose")]
pub struct Lost;

/// In the extensions of an answer: the text of its error.
#[derive(Clone)]
pub(super) struct ErrorText(pub(super) String);

/// In the extensions of a request: the port from which it comes.
#[derive(Clone, Copy)]
pub(super) struct CallerPort(pub(super) u16);

/// Recorded when dropped, so that a call whose caller went away is in the record, too.
struct Recording<'a> {
    plane: &'a Plane,
    call: Call,
    began: Instant,
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if self.call.duration_ms == 0 {
            self.call.duration_ms = milliseconds(self.began);
        }
        self.plane.calls.record(self.call.clone());
    }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

fn arrived(database: Option<&str>, head: &Parts) -> Call {
    let header = head.headers.get(USER_AGENT);
    let user_agent = header.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let user_agent = user_agent.unwrap_or_default();
    Call {
        sequence: 0,
        at: Timestamp::now(),
        database: database.map(str::to_owned),
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        function: function(&user_agent),
        caller_port: head.extensions.get::<CallerPort>().map(|port| port.0),
        user_agent,
        status: 0,
        error: None,
        fault: None,
        duration_ms: 0,
    }
}

/// Lets a call through to `work`, unless a fault or the caller-supplied [`crate::Outside`] has it otherwise.
pub(super) async fn pass(
    plane: &Plane,
    database: Option<&str>,
    head: &Parts,
    work: impl Future<Output = Response<Body>>,
) -> Result<Response<Body>, Lost> {
    let mut recording = Recording { plane, call: arrived(database, head), began: Instant::now() };
    let struck = plane.faults.strike(&recording.call);
    recording.call.fault = struck.as_ref().map(|(_, effect)| effect.name().to_owned());
    match &struck {
        Some((_, Effect::Error { status, message })) => {
            return Ok(refused(&mut recording, &Refusal::new(*status, message.as_str())));
        }
        Some((rule, Effect::Hang)) => {
            plane.faults.cleared(*rule).await;
            return Err(Lost);
        }
        Some((_, Effect::Cut)) => return Err(Lost),
        Some((_, Effect::Delay { .. } | Effect::LoseAnswer)) | None => {}
    }
    match plane.outside.before(&recording.call).await {
        Verdict::Go => {}
        Verdict::Refuse { status, message } => {
            return Ok(refused(&mut recording, &Refusal::new(status, message)));
        }
        Verdict::Cut => return Err(Lost),
    }
    let response = work.await;
    recording.call.status = response.status().as_u16();
    recording.call.error = response.extensions().get::<ErrorText>().map(|text| text.0.clone());
    recording.call.duration_ms = milliseconds(recording.began);
    let onward = plane.outside.after(&recording.call).await;
    match struck {
        Some((_, Effect::LoseAnswer)) => return Err(Lost),
        Some((_, Effect::Delay { ms })) => {
            drop(recording);
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
        _ => {}
    }
    match onward {
        Onward::Answer => Ok(response),
        Onward::Cut => Err(Lost),
    }
}

fn refused(recording: &mut Recording<'_>, refused: &Refusal) -> Response<Body> {
    recording.call.status = refused.status;
    recording.call.error = Some(refused.message.clone());
    refusal(refused)
}
