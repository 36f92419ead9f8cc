//! The front door as clients see it. One cloud for all tests of this file, without anything deployed.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::python;
use local_cloud::{CallFilter, Cloud, Effect, Fault, Options, Silent};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

async fn cloud() -> &'static Cloud {
    static CLOUD: OnceCell<Cloud> = OnceCell::const_new();
    CLOUD
        .get_or_init(|| async {
            let options = Options { deploy: false, ..Options::default() };
            Cloud::start(options, Arc::new(Silent)).await.unwrap()
        })
        .await
}

/// Faults match by function, and only these tests call themselves `tester`: they take turns.
static FAULTS: Mutex<()> = Mutex::const_new(());

fn tester() -> CallFilter {
    CallFilter::all().function("tester")
}

/// One call by the faults script: `attempts` in all if the client may retry.
async fn outcome(service: &str, attempts: u32) -> Value {
    told(&[service, &attempts.to_string()]).await
}

/// One try to make a parameter of SSM, with so many seconds of patience.
async fn outcome_of(parameter: &str, patience: &str) -> Value {
    told(&["ssm", "1", parameter, patience]).await
}

async fn told(arguments: &[&str]) -> Value {
    serde_json::from_str(&python(cloud().await, include_str!("python/faults.py"), arguments).await).unwrap()
}

#[tokio::test]
async fn objects_arrive_as_they_were_sent() {
    let cloud = cloud().await;
    let printed = python(cloud, include_str!("python/s3.py"), &["one"]).await;
    assert_eq!(printed.lines().count(), 12, "{printed}");
    let s3 = CallFilter::all().service("s3").resource("door-one/*");
    let parts_of = |key| cloud.calls(&s3.clone().action("UploadPart").resource(format!("door-one/{key}")));
    let parts = [parts_of("multipart"), parts_of("streamed")].concat();
    assert_eq!(parts.len(), 6, "two uploads of three parts");
    assert!(parts.iter().all(|call| call.status == 200 && call.region == "us-east-1"));
    let keys = cloud.calls(&s3.clone().action("PutObject").resource("door-one/a b/ü+%25/c=d&e"));
    assert_eq!(keys.len(), 1, "the key is recorded as it is meant");
    let refused = cloud.calls(&s3.action("PutObject").resource("door-one/wrong"));
    assert_eq!(refused[0].error_code.as_deref(), Some("BadDigest"));
}

#[tokio::test]
async fn other_services_pass_and_regions_are_kept_apart() {
    assert_eq!(python(cloud().await, include_str!("python/others.py"), &[]).await.trim(), "ok");
}

/// The most this process ever had resident, where the system tells.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[tokio::test]
async fn big_objects_pass_in_constant_memory() {
    let script = "import boto3, io\n\
        s3 = boto3.client('s3'); s3.create_bucket(Bucket='big')\n\
        s3.put_object(Bucket='big', Key='k', Body=io.BytesIO(bytes(160 << 20)))\n\
        print(sum(len(part) for part in s3.get_object(Bucket='big', Key='k')['Body'].iter_chunks(1 << 20)))";
    let cloud = cloud().await;
    let Some(before) = peak_bytes() else { return };
    assert_eq!(python(cloud, script, &[]).await.trim(), (160 << 20).to_string());
    let grown = peak_bytes().unwrap() - before;
    assert!(grown < 64 << 20, "grew by {} MiB for an object of 160 MiB", grown >> 20);
}

#[tokio::test]
async fn calls_are_read_back_by_whom_they_were_made() {
    let _turn = FAULTS.lock().await;
    let cloud = cloud().await;
    let before = cloud.calls(&tester()).len();
    assert_eq!(outcome("rds", 1).await, "ok");
    let calls = cloud.calls(&tester());
    let call = &calls[before];
    assert_eq!((call.service.as_str(), call.action.as_str()), ("rds", "DescribeDBInstances"));
    assert_eq!((call.status, call.region.as_str(), call.fault.as_deref()), (200, "us-east-1", None));
    assert!(call.user_agent.starts_with("Boto3/") && call.request_id.is_some());
    // The same over HTTP.
    let url = format!("{}/_local/calls?function=tester&service=r*", cloud.endpoint());
    let script = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())";
    let listed: Value = serde_json::from_str(&python(cloud, script, &[&url]).await).unwrap();
    let last = listed.as_array().unwrap().last().unwrap();
    assert_eq!(last, &serde_json::to_value(call).unwrap());
}

#[tokio::test]
async fn an_injected_error_is_the_services_own_kind_of_error() {
    let _turn = FAULTS.lock().await;
    let cloud = cloud().await;
    for service in ["s3", "ssm", "rds", "lambda", "sqs"] {
        let effect = Effect::Error { code: "Broken".into(), status: 418, message: "on <purpose>".into() };
        cloud.inject(Fault::new(effect, tester().service(service)));
        let seen = outcome(service, 1).await;
        assert_eq!(seen, json!({"code": "Broken", "status": 418, "message": "on <purpose>"}), "{service}");
        assert_eq!(cloud.faults()[0].applied, 1);
        cloud.clear_faults();
    }
}

#[tokio::test]
async fn throttling_is_retried_by_the_client_and_then_succeeds() {
    let _turn = FAULTS.lock().await;
    let cloud = cloud().await;
    for (service, code) in [("s3", "SlowDown"), ("rds", "Throttling"), ("ssm", "ThrottlingException")] {
        let before = cloud.calls(&tester()).len();
        cloud.inject(Fault::new(Effect::Throttle, tester().service(service)).times(2));
        let expected = if service == "ssm" { 4 } else { 3 };
        let _ = outcome(service, expected).await;
        let calls = &cloud.calls(&tester())[before..];
        let codes: Vec<_> = calls.iter().map(|call| call.error_code.as_deref()).collect();
        assert_eq!(codes[..2], [Some(code), Some(code)], "{service}");
        assert_eq!(calls[2].fault, None, "{service}");
        cloud.clear_faults();
    }
}

#[tokio::test]
async fn a_lost_answer_took_effect() {
    let _turn = FAULTS.lock().await;
    let cloud = cloud().await;
    let before = cloud.calls(&tester()).len();
    let lost = tester().service("ssm").action("PutParameter");
    cloud.inject(Fault::new(Effect::LoseAnswer, lost.clone()).times(u32::MAX));
    let seen = outcome("ssm", 1).await;
    assert_eq!(seen["broken"], "ConnectionClosedError", "{seen}");
    cloud.clear_faults();
    // So that a second try finds what the first one made.
    assert_eq!(outcome("ssm", 1).await["code"], "ParameterAlreadyExists");
    let calls = &cloud.calls(&tester())[before..];
    assert_eq!((calls[0].status, calls[0].fault.as_deref()), (200, Some("lose_answer")));
}

#[tokio::test]
async fn an_internal_error_is_the_services_own() {
    let _turn = FAULTS.lock().await;
    let cloud = cloud().await;
    for (service, code) in [
        ("s3", "InternalError"),
        ("rds", "InternalFailure"),
        ("sqs", "InternalFailure"),
        ("ssm", "InternalServerError"),
        ("lambda", "ServiceException"),
    ] {
        cloud.inject(Fault::new(Effect::InternalError, tester().service(service)).nth(1).times(1));
        let seen = outcome(service, 1).await;
        assert_eq!((&seen["code"], &seen["status"]), (&json!(code), &json!(500)), "{service}");
        cloud.clear_faults();
    }
}

#[tokio::test]
async fn a_delayed_call_takes_effect_at_once_and_is_answered_later() {
    let _turn = FAULTS.lock().await;
    let cloud = cloud().await;
    let before = cloud.calls(&tester()).len();
    cloud.inject(Fault::new(Effect::delay(Duration::from_millis(1500)), tester().service("ssm")));
    // Whoever does not wait for it finds later that it was done.
    assert_eq!(outcome_of("/delayed", "0.5").await["broken"], "ReadTimeoutError");
    assert_eq!(outcome_of("/delayed", "60").await["code"], "ParameterAlreadyExists");
    cloud.clear_faults();
    cloud.inject(Fault::new(Effect::delay(Duration::from_millis(300)), tester().service("ssm")));
    let start = Instant::now();
    assert_eq!(outcome_of("/waited-for", "60").await, "ok");
    assert!(start.elapsed() >= Duration::from_millis(300));
    cloud.clear_faults();
    let calls = &cloud.calls(&tester())[before..];
    assert_eq!((calls[0].status, calls[0].fault.as_deref()), (200, Some("delay")));
}

#[tokio::test]
async fn a_call_that_hangs_takes_no_effect_and_ends_with_its_caller_or_its_rule() {
    let _turn = FAULTS.lock().await;
    let cloud = cloud().await;
    let before = cloud.calls(&tester()).len();
    cloud.inject(Fault::new(Effect::Hang, tester().service("ssm")).times(2));
    assert_eq!(outcome_of("/hung", "0.5").await["broken"], "ReadTimeoutError");
    let hanging = tokio::spawn(outcome_of("/hung", "60"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while cloud.calls(&tester()).len() < before + 2 {
        assert!(Instant::now() < deadline, "the second call does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!hanging.is_finished());
    cloud.clear_faults();
    assert_eq!(hanging.await.unwrap()["broken"], "ConnectionClosedError");
    let calls = &cloud.calls(&tester())[before..];
    assert!(calls.iter().all(|call| (call.status, call.fault.as_deref()) == (0, Some("hang"))), "{calls:#?}");
    assert_eq!(outcome_of("/hung", "60").await, "ok", "neither of them made it");
}

#[tokio::test]
async fn a_call_that_is_cut_took_no_effect() {
    let _turn = FAULTS.lock().await;
    let cloud = cloud().await;
    cloud.inject(Fault::new(Effect::Cut, tester().service("ssm").action("PutParameter")).nth(2));
    assert_eq!(outcome_of("/first", "60").await, "ok");
    assert_eq!(outcome_of("/cut", "60").await["broken"], "ConnectionClosedError");
    assert_eq!(outcome_of("/cut", "60").await, "ok");
    cloud.clear_faults();
    let calls = cloud.calls(&tester().resource("/cut"));
    let seen: Vec<_> = calls.iter().map(|call| (call.status, call.fault.as_deref())).collect();
    assert_eq!(seen, [(0, Some("cut")), (200, None)]);
}

#[tokio::test]
async fn rules_are_told_over_http_and_misspelt_ones_refused() {
    let _turn = FAULTS.lock().await;
    let script = "import sys, urllib.request, urllib.error\n\
        request = urllib.request.Request(sys.argv[1], data=sys.argv[3].encode() or None, method=sys.argv[2])\n\
        try: print(urllib.request.urlopen(request).read().decode())\n\
        except urllib.error.HTTPError as error: print(error.code, error.read().decode())";
    let cloud = cloud().await;
    let tell = async |method: &str, path: &str, body: &str| {
        let url = format!("{}/_local/{path}", cloud.endpoint());
        python(cloud, script, &[&url, method, body]).await
    };
    let rule =
        r#"{"match": {"service": "sqs", "function": "tester"}, "effect": {"error": {"code": "Told"}}}"#;
    let id = serde_json::from_str::<Value>(&tell("POST", "faults", rule).await).unwrap()["id"].clone();
    assert_eq!(outcome("sqs", 1).await["code"], "Told");
    let listed: Value = serde_json::from_str(&tell("GET", "faults", "").await).unwrap();
    assert_eq!(listed[0]["applied"], 1);
    tell("DELETE", &format!("faults/{id}"), "").await;
    assert_eq!(cloud.faults(), []);

    let refused = tell("POST", "faults", r#"{"match": {"sevrice": "sqs"}, "effect": "throttle"}"#).await;
    assert!(refused.starts_with("400") && refused.contains("sevrice"), "{refused}");
    for effect in [r#""hnag""#, r#"{"delay": {"seconds": 1}}"#, r#"{"delay": {"ms": 1, "s": 1}}"#] {
        let refused = tell("POST", "faults", &format!(r#"{{"effect": {effect}}}"#)).await;
        assert!(refused.starts_with("400"), "{effect}: {refused}");
    }
    for effect in [r#""hang""#, r#""cut""#, r#""internal_error""#, r#"{"delay": {"ms": 1}}"#] {
        tell("POST", "faults", &format!(r#"{{"match": {{"service": "none"}}, "effect": {effect}}}"#)).await;
    }
    assert_eq!(cloud.faults().len(), 4);
    cloud.clear_faults();
    assert!(tell("GET", "calls?functoin=x", "").await.starts_with("400"));
    assert!(tell("GET", "nothing", "").await.starts_with("404"));
    let state: Value = serde_json::from_str(&tell("GET", "state", "").await).unwrap();
    assert_eq!(state["endpoint"], cloud.endpoint());
}

#[tokio::test]
async fn events_of_aws_reach_rules_in_their_region_and_nobody_else_can_send_them() {
    let cloud = cloud().await;
    let script = include_str!("python/events.py");
    let urls: Value = serde_json::from_str(&python(cloud, script, &["make", "rds-events"]).await).unwrap();
    let detail = json!({"EventID": "RDS-EVENT-0042", "SourceIdentifier": "snap"});
    cloud.put_aws_event("us-west-2", "aws.rds", "RDS DB Snapshot Event", &detail).await.unwrap();
    let read = async |region: &str, seconds: &str| -> Value {
        let url = urls[region].as_str().unwrap();
        serde_json::from_str(&python(cloud, script, &["read", url, region, seconds]).await).unwrap()
    };
    let received = read("us-west-2", "20").await;
    assert_eq!(received[0]["source"], "aws.rds");
    assert_eq!(received[0]["detail-type"], "RDS DB Snapshot Event");
    assert_eq!(received[0]["region"], "us-west-2");
    assert_eq!(received[0]["detail"], detail);
    assert_eq!(read("us-east-1", "0").await, json!([]));
}

#[tokio::test]
async fn nothing_listens_beyond_loopback() {
    let cloud = cloud().await;
    // A process of another test may end while it is looked at: then it listens to nothing.
    let script = "import psutil, sys\n\
        me = psutil.Process(int(sys.argv[1]))\n\
        for process in [me, *me.children(recursive=True)]:\n\
        \x20   try: connections = process.net_connections(kind='inet')\n\
        \x20   except psutil.NoSuchProcess: continue\n\
        \x20   for one in connections:\n\
        \x20       if one.status == psutil.CONN_LISTEN: print(one.laddr.ip)";
    let listening = python(cloud, script, &[&std::process::id().to_string()]).await;
    assert!(listening.lines().count() >= 3, "the door, MiniStack and Turso: {listening}");
    assert!(listening.lines().all(|address| address == "127.0.0.1" || address == "::1"), "{listening}");
}
