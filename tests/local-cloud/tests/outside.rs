//! What surrounds the functions: topics, keys, buckets. One cloud for all tests of this file, without anything deployed.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::python;
use local_cloud::{Cloud, Error, Options, Silent};
use serde_json::json;
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
async fn publish(topic: &str, message: serde_json::Value) -> String {
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
    assert_eq!(filtered, received[..1]);
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
    ] {
        let said = publish(&topic, message).await;
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(publish(&topic, json!({"Message": "m", "Subject": "x".repeat(100)})).await, "ok");
    assert!(cloud().await.inbox("arn:aws:sns:us-east-1:123456789012:none", None).await.is_err());
}
