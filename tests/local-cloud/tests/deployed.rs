//! The real templates, deployed by the real SAM CLI, and the functions that run. One cloud for all tests of this file.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::python;
use jiff::{SignedDuration, Timestamp};
use local_cloud::{
    AlarmState, CallFilter, Cloud, Effect, Error, Fault, Options, Received, Silent, StateValue,
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

async fn cloud() -> &'static Cloud {
    static CLOUD: OnceCell<Cloud> = OnceCell::const_new();
    CLOUD.get_or_init(|| async { Cloud::start(Options::default(), Arc::new(Silent)).await.unwrap() }).await
}

/// Tests that count a function's calls, or make them fail, take turns.
static TURNS: Mutex<()> = Mutex::const_new(());

#[tokio::test]
async fn what_is_deployed_is_what_the_templates_say() {
    let _turn = TURNS.lock().await;
    let root = toolbox::workspace().display().to_string();
    let printed = python(cloud().await, include_str!("python/deployed.py"), &[&root]).await;
    let checked: Value = serde_json::from_str(&printed).unwrap();
    assert!(checked["functions"].as_u64().unwrap() >= 2, "{checked}");
    assert!(checked["events"].as_u64().unwrap() >= 5, "{checked}");
    assert!(checked["others"].as_u64().unwrap() >= 8, "{checked}");
    let stack = cloud().await.stack();
    assert_eq!(stack.functions["backup-rds"], "tidemark-dev-backup-rds");
    assert_eq!(stack.vault_bucket(), "tidemark-vault-dev-123456789012-us-east-1");
    assert_eq!(stack.recovery_vault_bucket(), "tidemark-vault-dev-123456789012-us-west-2");
}

#[tokio::test]
async fn a_schedule_fires_its_function_with_its_own_input_and_what_it_did_can_be_read_back() {
    let _turn = TURNS.lock().await;
    let cloud = cloud().await;
    cloud.forget_calls();
    let slot = cloud.fire_schedule("backup-rds-slot").await.unwrap();
    assert_eq!(slot.error, None, "{:#?}", slot.logs);
    let ticks = cloud.ticks("backup-rds", Duration::from_mins(1)).await.unwrap();
    assert_eq!(ticks.last().unwrap().payload["unfinished"], 0);
    let calls = cloud.calls(&CallFilter::all().function("backup-rds").action("DescribeDBInstances"));
    assert!(calls.iter().any(|call| call.region == "us-east-1" && call.status == 200), "{calls:#?}");
    assert!(!cloud.metrics("backup-rds").await.unwrap().is_empty());
    let logs = cloud.log_lines("backup-rds").await.unwrap();
    assert!(logs.iter().any(|line| line.starts_with("START RequestId")), "{logs:#?}");
    let measured = cloud.measurements("backup-rds").await.unwrap();
    assert!(measured.iter().any(|one| one.init_ms.is_some_and(|ms| ms > 0.0)), "{measured:#?}");
    if cfg!(target_os = "linux") {
        assert!(measured.iter().all(|one| one.failed || one.peak_rss_bytes > Some(1 << 20)), "{measured:#?}");
    }
}

#[tokio::test]
async fn a_function_killed_after_its_call_is_replaced_by_a_new_one() {
    let _turn = TURNS.lock().await;
    let cloud = cloud().await;
    let calls = CallFilter::all().service("ssm").action("GetParameter").function("backup-rds");
    cloud.forget_calls();
    // Named, because the first call of all may be for an object that is not there yet.
    let describe = CallFilter::all().function("backup-rds").action("DescribeDBInstances");
    let number = cloud.inject(Fault::new(Effect::Kill, describe));
    let killed = cloud.invoke("backup-rds", &json!({"wake": "tick"})).await.unwrap();
    assert_eq!(killed.error.unwrap().error_type, "Runtime.ExitError");
    assert_eq!(killed.payload, Value::Null);
    let struck = cloud.calls(&CallFilter::all().function("backup-rds"));
    let struck: Vec<_> = struck.iter().filter(|call| call.fault.is_some()).collect();
    assert_eq!((struck.len(), struck[0].fault.as_deref(), struck[0].status), (1, Some("kill"), 200));
    assert_eq!(cloud.faults()[0].id, number);
    cloud.clear_faults();
    let next = cloud.invoke("backup-rds", &json!({"wake": "tick"})).await.unwrap();
    assert_eq!(next.error, None, "{:#?}", next.logs);
    assert!(!cloud.calls(&calls).is_empty(), "a new process reads the plans");
}

#[tokio::test]
async fn a_frozen_function_goes_on_where_it_was() {
    let _turn = TURNS.lock().await;
    let cloud = cloud().await;
    let filter = CallFilter::all().function("backup-rds").action("DescribeDBInstances");
    cloud.inject(Fault::new(Effect::freeze(Duration::from_millis(700)), filter.clone()));
    let start = Instant::now();
    let slow = cloud.invoke("backup-rds", &json!({"wake": "tick"})).await.unwrap();
    assert_eq!(slow.error, None, "{:#?}", slow.logs);
    assert!(start.elapsed() >= Duration::from_millis(700));
    let calls = cloud.calls(&filter);
    assert!(calls.iter().any(|call| call.fault.as_deref() == Some("freeze") && call.status == 200));
    cloud.clear_faults();

    // By name: the environment that has just answered waits for its next event.
    assert!(cloud.freeze("backup-rds", Duration::from_millis(400)).await.unwrap() >= 1);
    let start = Instant::now();
    cloud.invoke("backup-rds", &json!({"wake": "tick"})).await.unwrap().into_payload().unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn one_variable_changes_and_the_others_stay() {
    let _turn = TURNS.lock().await;
    let cloud = cloud().await;
    let invoke = async || cloud.invoke("backup-rds", &json!({"wake": "tick"})).await.unwrap();
    cloud.set_environment("backup-rds", "AWS_SDK_UA_APP_ID", "tidemark-renamed").await.unwrap();
    assert_eq!(invoke().await.error, None, "the other variables are there");
    assert!(!cloud.calls(&CallFilter::all().function("renamed")).is_empty());
    cloud.set_environment("backup-rds", "AWS_SDK_UA_APP_ID", "tidemark-backup-rds").await.unwrap();
    cloud.set_environment("backup-rds", "ADDED_BY_A_TEST", "1").await.unwrap();
    cloud.remove_environment("backup-rds", "ADDED_BY_A_TEST").await.unwrap();
    cloud.forget_calls();
    assert_eq!(invoke().await.error, None);
    assert_eq!(cloud.calls(&CallFilter::all().function("renamed")), []);
}

#[tokio::test]
async fn an_asynchronous_invocation_that_fails_is_repeated_and_then_told() {
    let _turn = TURNS.lock().await;
    let cloud = cloud().await;
    let before = cloud.measurements("backup-rds").await.unwrap().len();
    // Somebody may be fed from the queue: what was in it is known all the same.
    let told_before = cloud.arrivals("tidemark-dev-failures").await.unwrap().len();
    cloud.inject(Fault::new(Effect::Kill, CallFilter::all().function("backup-rds")).times(u32::MAX));
    cloud.invoke_async("backup-rds", &json!({"wake": "tick"})).await.unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while cloud.arrivals("tidemark-dev-failures").await.unwrap().len() == told_before {
        assert!(Instant::now() < deadline, "the failure is told to nobody");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cloud.clear_faults();
    let attempts = &cloud.measurements("backup-rds").await.unwrap()[before..];
    assert_eq!(attempts.len(), 3, "{attempts:#?}");
    assert!(attempts.iter().all(|attempt| attempt.failed));
    assert!(attempts.is_sorted_by_key(|attempt| attempt.at));
}

fn named<'a>(alarms: &'a [AlarmState], name: &str) -> &'a AlarmState {
    alarms.iter().find(|alarm| alarm.name == name).unwrap_or_else(|| panic!("no {name} in {alarms:#?}"))
}

#[tokio::test]
async fn alarms_change_with_what_was_measured_and_tell_their_subscribers() {
    let _turn = TURNS.lock().await;
    let cloud = cloud().await;
    let topic = &cloud.stack().outputs["WatchTopicArn"];
    let inbox = cloud.inbox(topic, None).await.unwrap();
    let rule = "import boto3, json\n\
        sqs, events = boto3.client('sqs'), boto3.client('events')\n\
        print(sqs.create_queue(QueueName='alarm-changes')['QueueUrl'])\n\
        events.put_rule(Name='changes', EventPattern=json.dumps({'source': ['aws.cloudwatch']}))\n\
        arn = 'arn:aws:sqs:us-east-1:123456789012:alarm-changes'\n\
        events.put_targets(Rule='changes', Targets=[{'Id': 'queue', 'Arn': arn}])";
    let changes = python(cloud, rule, &[]).await.trim().to_owned();
    let (silent, errors) = ("tidemark-dev-watch-rpo-silent", "tidemark-dev-watch-rpo-errors");

    cloud.invoke("watch-rpo", &json!({"wake": "tick"})).await.unwrap();
    let now = Timestamp::now();
    let alarms = cloud.evaluate_alarms(now, None).await.unwrap();
    assert_eq!(named(&alarms, silent).state, StateValue::Ok, "{alarms:#?}");
    assert_eq!(named(&alarms, errors).state, StateValue::Ok);
    // An hour later nobody has run any more: that is the silence which the alarm is for.
    let later = now + SignedDuration::from_hours(1);
    let alarms = cloud.evaluate_alarms(later, None).await.unwrap();
    let silence = named(&alarms, silent);
    assert_eq!((silence.state, silence.previous), (StateValue::Alarm, StateValue::Ok), "{}", silence.reason);
    assert_eq!(named(&alarms, errors).state, StateValue::Ok, "missing data is not breaching");
    // The same as of now, had it all ended an hour ago; and nothing changes, so that nothing is told twice.
    let before = now - SignedDuration::from_hours(1);
    let alarms = cloud.evaluate_alarms(now, Some(before)).await.unwrap();
    assert_eq!(named(&alarms, silent).previous, StateValue::Alarm);
    let told = |messages: &[Received]| {
        let subject = format!("ALARM: \"{silent}\" in us-east-1");
        messages.iter().filter(|message| message.subject.as_deref() == Some(&subject)).count() == 1
    };
    inbox.wait("one message of the alarm", Duration::from_secs(10), told).await.unwrap();

    let read = "import boto3, json, sys\n\
        sqs, got = boto3.client('sqs'), []\n\
        while batch := sqs.receive_message(QueueUrl=sys.argv[1], MaxNumberOfMessages=10).get('Messages'):\n\
        \x20   got += [json.loads(message['Body']) for message in batch]\n\
        print(json.dumps(got))";
    let events: Vec<Value> = serde_json::from_str(&python(cloud, read, &[&changes]).await).unwrap();
    let of_it = events.iter().filter(|event| event["detail"]["alarmName"] == silent);
    let alarm: Vec<_> = of_it.filter(|event| event["detail"]["state"]["value"] == "ALARM").collect();
    assert_eq!(alarm.len(), 1, "{events:#?}");
    assert_eq!(alarm[0]["detail-type"], "CloudWatch Alarm State Change");
    assert_eq!(alarm[0]["detail"]["previousState"]["value"], "OK");
    assert_eq!(alarm[0]["time"], later.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
}

#[tokio::test]
async fn what_waits_in_a_queue_raises_its_alarm_from_its_arrival_on() {
    let _turn = TURNS.lock().await;
    let cloud = cloud().await;
    let send =
        "import boto3, sys; boto3.client('sqs').send_message(QueueUrl=sys.argv[1], MessageBody='lost')";
    let (queue, alarm) = (&cloud.stack().outputs["UndeliveredQueueUrl"], "tidemark-dev-undelivered");
    let before = Timestamp::now();
    let state = async |at| named(&cloud.evaluate_alarms(at, None).await.unwrap(), alarm).state;
    assert_eq!(state(before).await, StateValue::Ok);
    python(cloud, send, &[queue]).await;
    assert_eq!(state(Timestamp::now()).await, StateValue::Alarm);
    assert_eq!(state(before).await, StateValue::Ok, "then it was not there yet");
    let purge = "import boto3, sys; boto3.client('sqs').purge_queue(QueueUrl=sys.argv[1])";
    python(cloud, purge, &[queue]).await;
    assert_eq!(state(Timestamp::now() + SignedDuration::from_mins(1)).await, StateValue::Ok);
}

#[tokio::test]
async fn objects_are_written_and_deleted_behind_everybodys_back() {
    let _turn = TURNS.lock().await;
    let cloud = cloud().await;
    for bucket in [cloud.stack().vault_bucket(), cloud.stack().recovery_vault_bucket()] {
        cloud.forget_calls();
        cloud.put_object(bucket, "tests/a b+c.txt", "first").await.unwrap();
        assert_eq!(cloud.object(bucket, "tests/a b+c.txt").await.unwrap(), b"first");
        assert_eq!(cloud.object_keys(bucket, "tests/").await.unwrap(), ["tests/a b+c.txt"]);
        cloud.delete_object(bucket, "tests/a b+c.txt").await.unwrap();
        assert_eq!(cloud.object_keys(bucket, "tests/").await.unwrap(), [""; 0]);
        assert_eq!(cloud.calls(&CallFilter::all().service("s3").resource("*/tests/*")), [], "{bucket}");
    }
}

#[tokio::test]
async fn a_function_that_is_not_there_is_named_with_those_that_are() {
    let error = cloud().await.invoke("backup-everything", &json!({})).await.unwrap_err();
    assert!(matches!(error, Error::NoFunction { .. }));
    assert!(
        error.to_string().contains("backup-everything") && error.to_string().contains("backup-rds"),
        "{error}"
    );
}
