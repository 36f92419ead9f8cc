//! The queues: encrypted, watched, reached only by those who must.

use serde_json::json;

use crate::{Findings, Stack, expect, expect_at, list, strings};

/// Every rule for the queues.
pub(crate) fn check(stack: &Stack, findings: &mut Findings) {
    for (id, queue) in stack.of_type("AWS::SQS::Queue") {
        expect_at(findings, id, queue, "/Properties/SqsManagedSseEnabled", &json!(true));
        expect_at(findings, id, queue, "/Properties/MessageRetentionPeriod", &json!(1_209_600));
        let dimension = json!([{"Name": "QueueName", "Value": format!("@{id}.QueueName")}]);
        let mut alarms = stack.of_type("AWS::CloudWatch::Alarm").map(|(_, alarm)| &alarm["Properties"]);
        let watched = alarms.any(|alarm| alarm["Namespace"] == "AWS/SQS" && alarm["Dimensions"] == dimension);
        expect(findings, watched, || format!("no alarm watches {id}"));
        let tls = statements(stack, id).any(|statement| {
            statement["Effect"] == "Deny"
                && statement["Principal"] == "*"
                && statement["Action"] == "sqs:*"
                && statement["Condition"] == json!({"Bool": {"aws:SecureTransport": "false"}})
        });
        expect(findings, tls, || format!("{id} can be used without TLS"));
    }
    for id in ["FailuresQueue", "CanaryQueue"] {
        let target = "/Properties/RedrivePolicy/deadLetterTargetArn";
        expect_at(findings, id, stack.get(id), target, &json!("@FailuresDeadLetterQueue.Arn"));
    }
    // Who may send, and on whose behalf. Functions and schedules send with their roles.
    let rules = json!({
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:events:us-east-1:123456789012:rule/tidemark-dev-*"},
    });
    let topic = json!({"ArnEquals": {"aws:SourceArn": "@AlertsTopic"}});
    let admitted = [
        ("UndeliveredQueue", "events.amazonaws.com", rules, "what a rule could not deliver"),
        ("CanaryQueue", "sns.amazonaws.com", topic, "the canary of the alerts topic"),
    ];
    for (id, service, condition, what) in &admitted {
        let admits = statements(stack, id).any(|statement| {
            statement["Effect"] == "Allow"
                && statement["Principal"] == json!({"Service": service})
                && statement["Action"] == "sqs:SendMessage"
                && statement["Condition"] == *condition
        });
        expect(findings, admits, || format!("{id} does not admit {what}"));
    }
    for (id, _) in stack.of_type("AWS::SQS::Queue") {
        let allowed = statements(stack, id).filter(|statement| statement["Effect"] == "Allow").count();
        let known = admitted.iter().filter(|(admitting, ..)| *admitting == id).count();
        expect(findings, allowed == known, || format!("{id} admits {allowed} others, not {known}"));
    }
}

/// What the queue policies say of a queue.
fn statements<'a>(stack: &'a Stack, id: &str) -> impl Iterator<Item = &'a serde_json::Value> {
    let (queue, arn) = (format!("@{id}"), format!("@{id}.Arn"));
    stack
        .of_type("AWS::SQS::QueuePolicy")
        .map(|(_, policy)| &policy["Properties"])
        .filter(move |policy| strings(&policy["Queues"]).contains(&queue.as_str()))
        .flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]))
        .filter(move |statement| strings(&statement["Resource"]).contains(&arn.as_str()))
}
