use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::HttpRequest,
        runtime_components::RuntimeComponents,
    },
    http::{Response, StatusCode},
};
use reconcile::{Settings, aws_config};
use rstest::rstest;
use serde_json::json;

use super::*;

/// What Lambda is asked, and what it answers: status, whether the function failed, body. Nothing means never.
#[derive(Clone, Debug, Default)]
struct Canned(Arc<Mutex<Exchange>>);

#[derive(Debug, Default)]
struct Exchange {
    asked: Vec<(String, String)>,
    answers: VecDeque<Option<(u16, bool, String)>>,
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut exchange = self.0.lock().unwrap();
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        exchange.asked.push((request.uri().to_owned(), body));
        let Some((status, has_failed, body)) = exchange.answers.pop_front().unwrap() else {
            return HttpConnectorFuture::new(std::future::pending());
        };
        let mut response = Response::new(StatusCode::try_from(status).unwrap(), body.into());
        if has_failed {
            response.headers_mut().insert("x-amz-function-error", "Unhandled");
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl Canned {
    fn answer(&self, status: u16, has_failed: bool, body: &Value) {
        self.answer_text(status, has_failed, &body.to_string());
    }

    fn answer_text(&self, status: u16, has_failed: bool, body: &str) {
        self.0.lock().unwrap().answers.push_back(Some((status, has_failed, body.to_owned())));
    }

    fn never_answer(&self) {
        self.0.lock().unwrap().answers.push_back(None);
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().asked.clone()
    }

    async fn invoke(&self) -> Result<Answer> {
        let set = [("AWS_REGION", "us-east-1"), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let settings = Settings::new(set.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let config = aws_config(&settings).into_builder().http_client(self.clone());
        // The environment's: a test has none.
        let keys = aws_sdk_lambda::config::Credentials::new("a", "b", None, None, "test");
        let keys = aws_sdk_lambda::config::SharedCredentialsProvider::new(keys);
        let lambda = Lambda::new(&config.credentials_provider(keys).build());
        lambda.invoke("tidemark-dev-restore-database", &json!({"as": "x"})).await
    }
}

/// As the runtime of our functions writes it.
fn reported(error: Error) -> Value {
    let diagnostic = lambda_runtime::Diagnostic::from(error);
    serde_json::to_value(diagnostic).unwrap()
}

#[tokio::test]
async fn an_answer_is_what_the_function_returned() {
    let canned = Canned::default();
    canned.answer(200, false, &json!({"restored": "x"}));
    assert_eq!(canned.invoke().await.unwrap(), Answer::Done(json!({"restored": "x"})));
    let path = "/2015-03-31/functions/tidemark-dev-restore-database/invocations";
    let asked = canned.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].0.ends_with(path), "{asked:?}");
    assert_eq!(asked[0].1, r#"{"as":"x"}"#);
    canned.answer(200, false, &Value::Null);
    assert_eq!(canned.invoke().await.unwrap(), Answer::Done(Value::Null));
    canned.answer_text(200, false, "");
    assert_eq!(canned.invoke().await.unwrap_err().code(), "AnswerIncomplete");
}

#[rstest]
#[case(Kind::Permanent)]
#[case(Kind::Misconfigured)]
#[tokio::test]
async fn a_refusal_for_good_is_an_answer(#[case] kind: Kind) {
    let canned = Canned::default();
    canned.answer(
        200,
        true,
        &reported(Error::new(kind, "OutsidePitrWindow", "it is too early").caused_by("so")),
    );
    let refused =
        Answer::Refused { code: "OutsidePitrWindow".to_owned(), message: "it is too early: so".to_owned() };
    assert_eq!(canned.invoke().await.unwrap(), refused);
    assert_eq!(canned.asked().len(), 1);
}

#[tokio::test]
async fn a_refusal_that_passes_is_an_error_that_passes() {
    let canned = Canned::default();
    canned.answer(200, true, &reported(Error::retryable("Throttling", "rate exceeded")));
    let error = canned.invoke().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("Throttling", Kind::Retryable));
    assert_eq!(error.to_string(), "tidemark-dev-restore-database refused: rate exceeded");
}

#[rstest]
#[case(
    json!({"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 1 Error: Task timed out after 900.00 seconds"}),
    "Sandbox.Timedout"
)]
#[case(json!({"errorMessage": "2026-11-22T03:00:00.000Z 1 Task timed out after 3.01 seconds"}), "Sandbox.Timedout")]
#[case(
    json!({"errorType": "Runtime.ExitError", "errorMessage": "RequestId: 1 Error: Runtime exited with error: signal: killed"}),
    "Runtime.ExitError"
)]
#[case(json!({"errorType": "&str", "errorMessage": "index out of bounds"}), "&str")]
#[case(json!("something else"), "Unhandled")]
#[tokio::test]
async fn a_function_that_ended_may_do_better_the_next_time(#[case] body: Value, #[case] code: &str) {
    let canned = Canned::default();
    canned.answer(200, true, &body);
    let error = canned.invoke().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (code, Kind::Retryable));
    assert!(error.to_string().contains("ended without an answer"), "{error}");
}

#[rstest]
#[case(429, "TooManyRequestsException", Kind::Retryable, 4)]
#[case(500, "ServiceException", Kind::Retryable, 4)]
#[case(409, "ResourceConflictException", Kind::Retryable, 1)]
#[case(404, "ResourceNotFoundException", Kind::Misconfigured, 1)]
#[case(403, "AccessDeniedException", Kind::Misconfigured, 1)]
#[case(413, "RequestTooLargeException", Kind::Permanent, 1)]
#[tokio::test(start_paused = true)]
async fn what_lambda_refuses(
    #[case] status: u16,
    #[case] code: &str,
    #[case] kind: Kind,
    #[case] attempts: usize,
) {
    let canned = Canned::default();
    for _ in 0..attempts {
        canned.answer(status, false, &json!({"__type": code, "message": "no"}));
    }
    let error = canned.invoke().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (code, kind));
    assert_eq!(canned.asked().len(), attempts);
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_waited_for_a_minute() {
    let canned = Canned::default();
    canned.never_answer();
    canned.never_answer();
    let begun = tokio::time::Instant::now();
    let error = canned.invoke().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("RequestTimedOut", Kind::Retryable));
    assert_eq!(begun.elapsed().as_secs(), 70);
}

#[tokio::test]
async fn of_a_long_message_the_beginning_is_kept() {
    let canned = Canned::default();
    for kind in [Kind::Permanent, Kind::Retryable] {
        canned.answer(200, true, &reported(Error::new(kind, "Long", "ä".repeat(100_000))));
    }
    canned.answer(200, true, &json!({"errorType": "Runtime.ExitError", "errorMessage": "ä".repeat(100_000)}));
    let Answer::Refused { message, .. } = canned.invoke().await.unwrap() else { panic!("it refused") };
    assert_eq!(message, "ä".repeat(2_000));
    for _ in 0..2 {
        assert_eq!(canned.invoke().await.unwrap_err().to_string().chars().count(), 2_000);
    }
}
