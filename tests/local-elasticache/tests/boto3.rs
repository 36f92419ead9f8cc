//! The wire format, judged by an independent client: boto3 with AWS's own models of ElastiCache and the tagging API.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use common::{ACCOUNT, AWAY, Cloud, HOME, VAULT, policy};
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use local_elasticache::{Key, Keys, LocalElastiCache};
use tokio::net::TcpListener;

/// One customer key, and one that is disabled.
struct TwoKeys;

impl Keys for TwoKeys {
    fn describe<'a>(&'a self, region: &'a str, key: &'a str) -> BoxFuture<'a, Option<Key>> {
        let arn = format!("arn:aws:kms:{region}:{ACCOUNT}:key/own");
        let disabled = key == "disabled";
        let found = key == arn || disabled;
        Box::pin(async move { found.then_some(Key { arn, enabled: !disabled }) })
    }
}

/// The Region and service that a request was signed for: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn scope(request: &hyper::Request<Incoming>) -> (String, String) {
    let authorization = request.headers()[hyper::header::AUTHORIZATION].to_str().unwrap();
    let mut parts = authorization.split("Credential=").nth(1).unwrap().split('/').skip(2);
    (parts.next().unwrap().to_owned(), parts.next().unwrap().to_owned())
}

async fn answer(
    cache: LocalElastiCache,
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let (region, service) = scope(&request);
    let target = request.headers().get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let response = match service.as_str() {
        "tagging" => cache.handle_tagging(&region, &target.unwrap(), &body),
        "elasticache" => cache.handle(&region, &body).await,
        other => panic!("signed for {other}"),
    };
    assert!(!response.action.is_empty());
    Ok(hyper::Response::builder()
        .status(response.status)
        .header("content-type", response.content_type)
        .header("x-amzn-requestid", response.request_id)
        .body(Full::from(response.body))
        .unwrap())
}

async fn serve(cache: LocalElastiCache) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let cache = cache.clone();
            let service = service_fn(move |request| answer(cache.clone(), request));
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(connection), service));
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3_drives_every_action() {
    let cloud = Cloud::start_with(Arc::new(TwoKeys)).await;
    cloud.objects.make_bucket("elsewhere", AWAY, Some(&policy(AWAY, "elsewhere")));
    cloud.objects.make_bucket("closed", HOME, None);
    let endpoint = serve(cloud.cache.clone()).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boto3/drive.py");
    let output = tokio::process::Command::new(&cloud.tools.python)
        .arg("-B")
        .arg(script)
        .args([&endpoint, HOME, VAULT])
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
    assert_eq!(
        cloud.objects.keys(VAULT),
        ["carts-1-0001.rdb", "monthly-0001.rdb", "monthly-0002.rdb"],
        "what the exports left"
    );
    cloud.stop().await;
}
