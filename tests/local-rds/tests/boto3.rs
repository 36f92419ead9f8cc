//! The wire format, judged by an independent client: boto3 with AWS's own model of RDS.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use common::{ACCOUNT, AWAY, Cloud, HOME};
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use local_rds::{Key, Keys, LocalRds};
use tokio::net::TcpListener;

/// One customer key in each Region.
struct TwoKeys;

impl Keys for TwoKeys {
    fn describe<'a>(&'a self, region: &'a str, key: &'a str) -> BoxFuture<'a, Option<Key>> {
        let name = if region == HOME { "home" } else { "away" };
        let arn = format!("arn:aws:kms:{region}:{ACCOUNT}:key/{name}");
        let disabled = key == "disabled";
        let found = key == arn || disabled;
        Box::pin(async move { found.then_some(Key { arn, enabled: !disabled }) })
    }
}

/// The Region that a request was signed for: `Credential=KEY/DATE/REGION/rds/aws4_request`.
fn region(request: &hyper::Request<Incoming>) -> String {
    let authorization = request.headers()[hyper::header::AUTHORIZATION].to_str().unwrap();
    authorization.split("Credential=").nth(1).unwrap().split('/').nth(2).unwrap().to_owned()
}

async fn answer(
    rds: LocalRds,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let region = region(&request);
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let response = rds.handle(&region, &body).await;
    assert!(!response.action.is_empty());
    Ok(hyper::Response::builder()
        .status(response.status)
        .header("content-type", response.content_type)
        .header("x-amzn-requestid", response.request_id)
        .body(Full::from(response.body))
        .unwrap())
}

async fn serve(rds: LocalRds) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let rds = rds.clone();
            let service = service_fn(move |request| answer(rds.clone(), request));
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(connection), service));
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_drives_every_action() {
    let cloud = Cloud::start_with(Arc::new(TwoKeys)).await;
    let endpoint = serve(cloud.rds.clone()).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boto3/drive.py");
    let output = tokio::process::Command::new(&cloud.tools.python)
        .arg("-B")
        .arg(script)
        .args([&endpoint, HOME, AWAY])
        .env("PYTHONPATH", toolbox::modules())
        // Nothing of the caller's own AWS set-up.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    cloud.stop().await;
}
