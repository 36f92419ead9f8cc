use std::time::Duration;

use aws_sdk_lambda::{
    Client,
    config::{Builder, timeout::TimeoutConfig},
    primitives::Blob,
};
use reconcile::{Error, Kind, Result, SdkConfig, aws_error};
use serde::Deserialize;
use serde_json::Value;

use crate::{Answer, Functions};

/// How much of an error's message is kept: a hostile payload is not repeated whole.
const LONGEST_MESSAGE: usize = 2_000;

/// How long an answer may take. A call of AWS that is not answered within 15 seconds hangs; a function may be at work.
const ANSWERED_WITHIN: Duration = Duration::from_mins(1);

/// How long all attempts may take: one that is answered late, after some that were turned away at once.
const OVER_WITHIN: Duration = Duration::from_secs(70);

/// The functions of the account, in the Region of its configuration.
#[derive(Clone, Debug)]
pub struct Lambda {
    client: Client,
}

impl Lambda {
    /// Connections are shared with whatever else uses `config`.
    ///
    /// The SDK sends a request again that was turned away or whose answer did not come, as it does everywhere: see
    /// [`Functions::invoke`] for why that does no harm.
    pub fn new(config: &SdkConfig) -> Self {
        let patient = config.timeout_config().map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder);
        let patient =
            patient.operation_attempt_timeout(ANSWERED_WITHIN).operation_timeout(OVER_WITHIN).build();
        Self { client: Client::from_conf(Builder::from(config).timeout_config(patient).build()) }
    }
}

impl Functions for Lambda {
    async fn invoke(&self, function: &str, payload: &Value) -> Result<Answer> {
        let doing = format!("invoke {function}");
        // Without an invocation type it is `RequestResponse` (Lambda API reference, `Invoke`).
        let request =
            self.client.invoke().function_name(function).payload(Blob::new(payload.to_string().into_bytes()));
        let answer = request.send().await.map_err(|error| refused_by_lambda(aws_error(&doing, error)))?;
        let said = answer.payload.as_ref().map_or(&[][..], Blob::as_ref);
        match answer.function_error {
            Some(sort) => failed(function, &sort, said),
            None => serde_json::from_slice(said).map(Answer::Done).map_err(|error| {
                Error::retryable("AnswerIncomplete", format!("{function} did not answer in JSON"))
                    .caused_by(error)
            }),
        }
    }
}

/// Lambda's own refusals, where their codes are known to nobody else: while a function is being updated it cannot be invoked; one
/// that is not there was named wrongly.
fn refused_by_lambda(error: Error) -> Error {
    match error.code() {
        "ResourceConflictException" => error.of_kind(Kind::Retryable),
        "ResourceNotFoundException" => error.of_kind(Kind::Misconfigured),
        _ => error,
    }
}

/// What Lambda answers with where a function failed. A function that ran out of time had no type for long.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Failure {
    error_type: String,
    error_message: String,
}

/// What a failed function said: a refusal, if it is of ours; all else ended it.
fn failed(function: &str, sort: &str, said: &[u8]) -> Result<Answer> {
    let Failure { error_type, error_message } = serde_json::from_slice(said).unwrap_or_default();
    let message = |text: &str| -> String { text.chars().take(LONGEST_MESSAGE).collect() };
    match Error::reported(&error_type, &error_message) {
        Some(error) if error.kind() == Kind::Retryable => {
            Err(Error::retryable(error.code(), message(&format!("{function} refused: {error}"))))
        }
        Some(error) => {
            Ok(Answer::Refused { code: error.code().to_owned(), message: message(&error.to_string()) })
        }
        None => {
            let code = match error_type.as_str() {
                "" if error_message.contains("Task timed out") => "Sandbox.Timedout",
                "" => sort,
                named => named,
            };
            let says = if error_message.is_empty() { "nothing" } else { &error_message };
            Err(Error::retryable(
                code,
                message(&format!("{function} ended without an answer: {code}: {says}")),
            ))
        }
    }
}

#[cfg(test)]
mod tests;
