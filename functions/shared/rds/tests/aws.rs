//! What the adapter asks of RDS to tear down, and what it makes of the answers.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::{Arc, Mutex};

use aws_sdk_rds::config::{Credentials, HttpClient, RuntimeComponents, SharedCredentialsProvider};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::HttpRequest,
    },
    http::{Response, StatusCode},
};
use rds::{AwsRds, Teardown};
use reconcile::{Kind, Result, Settings, aws_config};
use rstest::rstest;

const DRILL: &str = "tidemark-drill-1";

/// Answers everything with the same, and keeps what it was asked.
#[derive(Clone, Debug)]
struct Canned {
    status: u16,
    body: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl HttpConnector for Canned {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = String::from_utf8(request.body().bytes().unwrap().to_vec()).unwrap();
        self.asked.lock().unwrap().push(body);
        let status = StatusCode::try_from(self.status).unwrap();
        HttpConnectorFuture::ready(Ok(Response::new(status, self.body.clone().into())))
    }
}

impl HttpClient for Canned {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

async fn delete(id: &str, status: u16, body: String) -> (Result<()>, Vec<String>) {
    let canned = Canned { status, body, asked: Arc::default() };
    let keys = SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test"));
    let config = aws_config(&Settings::new([])).into_builder().http_client(canned.clone());
    let rds = AwsRds::new(&config.credentials_provider(keys).build(), "us-east-1");
    let outcome = rds.delete_instance(id).await;
    (outcome, canned.asked.lock().unwrap().clone())
}

fn refusal(code: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    )
}

#[tokio::test]
async fn nothing_is_kept_of_a_drill() {
    let body = "<DeleteDBInstanceResponse><DeleteDBInstanceResult/></DeleteDBInstanceResponse>";
    let (outcome, asked) = delete(DRILL, 200, body.to_owned()).await;
    outcome.unwrap();
    assert_eq!(
        asked,
        [format!(
            "Action=DeleteDBInstance&Version=2014-10-31&DBInstanceIdentifier={DRILL}&SkipFinalSnapshot=true\
             &DeleteAutomatedBackups=true"
        )]
    );
    let (outcome, asked) = delete("orders", 200, body.to_owned()).await;
    assert_eq!((outcome.unwrap_err().code(), asked.len()), ("NotADrills", 0));
}

#[rstest]
#[case(404, "DBInstanceNotFound", None)]
#[case(400, "InvalidDBInstanceState", Some(Kind::Retryable))]
#[case(400, "InvalidParameterCombination", Some(Kind::Misconfigured))]
#[tokio::test]
async fn refusals(#[case] status: u16, #[case] code: &str, #[case] kind: Option<Kind>) {
    let (outcome, asked) = delete(DRILL, status, refusal(code)).await;
    assert_eq!(asked.len(), 1);
    let refused = outcome.err().map(|error| (error.code().to_owned(), error.kind()));
    assert_eq!(refused, kind.map(|kind| (code.to_owned(), kind)));
}
