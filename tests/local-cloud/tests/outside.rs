//! What surrounds the functions: topics, keys, buckets. One cloud for all tests of this file, without anything deployed.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::python;
use local_cloud::{Cloud, Error, EventDelivery, Options, Silent};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

async fn cloud() -> &'static Cloud {
    static CLOUD: OnceCell<Cloud> = OnceCell::const_new();
    CLOUD
        .get_or_init(|| async {
            let options = Options { deploy: false, ..Options::default() };
            Cloud::start(options, Arc::new(Silent)).await.unwrap()
        })
        .await
}

async fn topic(name: &str) -> String {
    let script = "import boto3, sys; print(boto3.client('sns').create_topic(Name=sys.argv[1])['TopicArn'])";
    python(cloud().await, script, &[name]).await.trim().to_owned()
}

/// Publishes with these arguments; `ok`, or what SNS says of them.
async fn publish(topic: &str, message: Value) -> String {
    let script = "import boto3, botocore, json, sys\n\
        try: boto3.client('sns').publish(TopicArn=sys.argv[1], **json.loads(sys.argv[2])); print('ok')\n\
        except botocore.exceptions.ClientError as error: print(error.response['Error']['Message'])";
    python(cloud().await, script, &[topic, &message.to_string()]).await.trim().to_owned()
}

#[tokio::test]
async fn a_subscriber_gets_the_body_of_its_protocol_and_only_what_its_filter_lets_pass() {
    let cloud = cloud().await;
    let topic = topic("inbox").await;
    let all = cloud.inbox(&topic, None).await.unwrap();
    let open = cloud.inbox(&topic, Some(json!({"event": [{"anything-but": ["resolved"]}]}))).await.unwrap();
    let bodies = json!({"default": "short", "sqs": "{\"long\":true}", "email": "prose"});
    for event in ["opened", "resolved"] {
        let attributes = json!({
            "event": {"DataType": "String", "StringValue": event},
            "count": {"DataType": "Number", "StringValue": "3"},
        });
        let message = json!({
            "Subject": format!("orders: {event}"),
            "Message": bodies.to_string(),
            "MessageStructure": "json",
            "MessageAttributes": attributes,
        });
        assert_eq!(publish(&topic, message).await, "ok");
    }
    assert_eq!(publish(&topic, json!({"Message": "plain"})).await, "ok");

    let all_came = |messages: &[local_cloud::Received]| messages.len() == 3;
    let received = all.wait("all messages", Duration::from_secs(10), all_came).await.unwrap();
    assert_eq!(received[0].subject.as_deref(), Some("orders: opened"));
    assert_eq!(received[0].body, "{\"long\":true}");
    assert_eq!(received[0].attributes["event"], "opened");
    assert_eq!(received[0].attributes["count"], "3");
    assert_eq!((received[2].subject.as_deref(), received[2].body.as_str()), (None, "plain"));
    assert!(received.is_sorted_by_key(|message| message.received_at));
    // What was read stays known.
    assert_eq!(all.messages().await.unwrap(), received);
    // One without the attribute does not match: the key must be there for `anything-but`.
    let filtered = open.messages().await.unwrap();
    let ids: Vec<_> = filtered.iter().map(|message| &message.message_id).collect();
    assert_eq!(ids, [&received[0].message_id]);
    let error = open.wait("a fourth", Duration::ZERO, |messages| messages.len() == 4).await.unwrap_err();
    assert!(matches!(&error, Error::Deadline { last, .. } if last.contains("orders: opened")), "{error}");
}

#[tokio::test]
async fn what_sns_refuses_is_refused() {
    let topic = topic("strict").await;
    for (message, expected) in [
        (json!({"Message": "m", "Subject": "x".repeat(101)}), "Subject"),
        (json!({"Message": "m", "Subject": "two\nlines"}), "Subject"),
        (json!({"Message": "{\"sqs\":\"b\"}", "MessageStructure": "json"}), "No default entry"),
        (json!({"Message": "{", "MessageStructure": "json"}), "failed to parse"),
        (
            json!({"Message": "m", "MessageAttributes": {"plan": {"DataType": "String", "StringValue": ""}}}),
            "'plan' must contain non-empty",
        ),
    ] {
        let said = publish(&topic, message).await;
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(publish(&topic, json!({"Message": "m", "Subject": "x".repeat(100)})).await, "ok");
    assert!(cloud().await.inbox("arn:aws:sns:us-east-1:123456789012:none", None).await.is_err());
}

/// Makes an instance in a Region of this test's own, and tells which events a rule there got, once it got `count`.
async fn events_of_a_new_instance(region: &str, count: usize) -> Vec<Value> {
    let script = "import boto3, json, sys, time\n\
        region, count = sys.argv[1], int(sys.argv[2])\n\
        sqs, events = boto3.client('sqs', region), boto3.client('events', region)\n\
        url = sqs.create_queue(QueueName='events')['QueueUrl']\n\
        events.put_rule(Name='rds', EventPattern=json.dumps({'source': ['aws.rds']}))\n\
        arn = f'arn:aws:sqs:{region}:123456789012:events'\n\
        events.put_targets(Rule='rds', Targets=[{'Id': 'queue', 'Arn': arn}])\n\
        boto3.client('rds', region).create_db_instance(DBInstanceIdentifier='orders', Engine='postgres',\n\
        \x20   DBInstanceClass='db.t4g.micro', AllocatedStorage=20, MasterUsername='app',\n\
        \x20   Tags=[{'Key': 'local-cloud:data', 'Value': 'simulated'}])\n\
        got, end = [], time.monotonic() + 20\n\
        while len(got) < count and time.monotonic() < end:\n\
        \x20   for one in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10).get('Messages', []):\n\
        \x20       got.append(json.loads(one['Body']))\n\
        print(json.dumps(got))";
    let printed = python(cloud().await, script, &[region, &count.to_string()]).await;
    serde_json::from_str(&printed).unwrap()
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["detail"]["EventID"].as_str().unwrap()).collect()
}

/// One test, because the delivery is the cloud's: created, snapshot begun, backup begun, snapshot made, backup made.
#[tokio::test]
async fn events_come_twice_or_in_another_order_or_by_the_clock_of_rds() {
    let cloud = cloud().await;
    let script = "import sys, urllib.request, urllib.error\n\
        request = urllib.request.Request(sys.argv[1] + '/_local/events', data=sys.argv[2].encode(), method='PUT')\n\
        try: print(urllib.request.urlopen(request).read().decode())\n\
        except urllib.error.HTTPError as error: print(error.code, error.read().decode())";
    let told = python(cloud, script, &[cloud.endpoint(), r#"{"delivery": "twice"}"#]).await;
    assert_eq!(told.trim(), r#"{"delivery":"twice"}"#);
    let refused = python(cloud, script, &[cloud.endpoint(), r#"{"delivery": "thrice"}"#]).await;
    assert!(refused.starts_with("400"), "{refused}");
    let events = events_of_a_new_instance("eu-west-1", 10).await;
    let twice = ids(&events);
    assert_eq!(twice.len(), 10, "{twice:?}");
    assert!(twice.chunks(2).all(|pair| pair[0] == pair[1]), "{twice:?}");

    cloud.rds_events(EventDelivery::OutOfOrder);
    cloud.rds().set_clock_skew(jiff::SignedDuration::from_hours(-2));
    let events = events_of_a_new_instance("eu-west-2", 5).await;
    cloud.rds_events(EventDelivery::Normal);
    cloud.rds().set_clock_skew(jiff::SignedDuration::ZERO);
    let (swapped, once) = (ids(&events), ids(&events_of_a_new_instance("eu-west-3", 5).await).join(" "));
    assert_ne!(swapped.join(" "), once);
    let mut sorted: Vec<_> = swapped.clone();
    let mut expected: Vec<_> = once.split(' ').collect();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
    let time: jiff::Timestamp = events[0]["time"].as_str().unwrap().parse().unwrap();
    let age = jiff::Timestamp::now().duration_since(time);
    assert!(age > jiff::SignedDuration::from_mins(119), "the envelope's time is RDS's, too: {time}");
}

/// As on AWS: whoever finds it at a snapshot can ask KMS about it.
#[tokio::test]
async fn a_key_that_aws_makes_by_itself_can_be_asked_about() {
    let script = "import boto3\n\
        made = boto3.client('rds', 'us-west-1').create_db_instance(DBInstanceIdentifier='plain', Engine='postgres',\n\
        \x20   DBInstanceClass='db.t4g.micro', AllocatedStorage=20, MasterUsername='app', StorageEncrypted=True,\n\
        \x20   Tags=[{'Key': 'local-cloud:data', 'Value': 'simulated'}])['DBInstance']['KmsKeyId']\n\
        kms = boto3.client('kms', 'us-west-1')\n\
        keys = [kms.describe_key(KeyId=name)['KeyMetadata'] for name in (made, 'alias/aws/rds')]\n\
        print({(key['Arn'] == made, key['KeyManager'], key['KeyState'], key['Enabled']) for key in keys})\n\
        other = boto3.client('kms', 'us-west-2').describe_key(KeyId='alias/aws/rds')['KeyMetadata']['Arn']\n\
        print(other != made)";
    assert_eq!(python(cloud().await, script, &[]).await, "{(True, 'AWS', 'Enabled', True)}\nTrue\n");
}

#[tokio::test]
async fn a_disabled_key_is_known_to_rds() {
    let cloud = cloud().await;
    let make = "import boto3\n\
        kms = boto3.client('kms', 'us-west-1')\n\
        key = kms.create_key()['KeyMetadata']['KeyId']\n\
        kms.create_alias(AliasName='alias/orders', TargetKeyId=key)\n\
        print(key)";
    let key = python(cloud, make, &[]).await.trim().to_owned();
    let create = "import boto3, botocore, sys\n\
        try:\n\
        \x20   boto3.client('rds', 'us-west-1').create_db_instance(DBInstanceIdentifier=sys.argv[1], Engine='postgres',\n\
        \x20       DBInstanceClass='db.t4g.micro', AllocatedStorage=20, MasterUsername='app', StorageEncrypted=True,\n\
        \x20       KmsKeyId='alias/orders', Tags=[{'Key': 'local-cloud:data', 'Value': 'simulated'}])\n\
        \x20   print('ok')\n\
        except botocore.exceptions.ClientError as error: print(error.response['Error']['Code'])";
    cloud.set_key_enabled("us-west-1", "alias/orders", false).await.unwrap();
    assert_eq!(python(cloud, create, &["one"]).await.trim(), "KMSKeyNotAccessibleFault");
    cloud.set_key_enabled("us-west-1", &key, true).await.unwrap();
    assert_eq!(python(cloud, create, &["two"]).await.trim(), "ok");
    assert!(cloud.set_key_enabled("us-west-1", "alias/none", true).await.is_err());
}
