//! The two topics: who may publish to them, under which key, and who hears what.

use serde_json::{Value, json};

use crate::{Findings, Stack, access, expect, expect_at, list, strings, text};

/// Every rule for the topics, as far as they are the same with and without `AlertEmail`.
pub(crate) fn check(stack: &Stack, findings: &mut Findings) {
    for (id, name) in [("AlertsTopic", "tidemark-dev-alerts"), ("WatchTopic", "tidemark-dev-watch")] {
        let topic = stack.get(id);
        expect_at(findings, id, topic, "/Properties/TopicName", &json!(name));
        // Not alias/aws/sns: CloudWatch cannot publish under it.
        expect_at(findings, id, topic, "/Properties/KmsMasterKeyId", &json!("@AlertsKey"));
    }
    let made: Vec<&str> = stack.of_type("AWS::SNS::Topic").map(|(id, _)| id).collect();
    expect(findings, made == ["AlertsTopic", "WatchTopic"], || format!("the topics are {made:?}"));
    key(stack, findings);
    policies(stack, findings);
    publishers(stack, findings);

    let canary = subscription(stack, "AlertsTopic", "sqs");
    for (pointer, value) in [
        ("/Endpoint", json!("@CanaryQueue.Arn")),
        // The envelope says who published, and when.
        ("/RawMessageDelivery", json!(false)),
        ("/FilterPolicyScope", json!("MessageAttributes")),
        ("/FilterPolicy", json!({"kind": ["canary"]})),
    ] {
        expect_at(findings, "the canary's subscription", canary, pointer, &value);
    }
}

/// Who is written to, in a stack with an `AlertEmail`: a person hears all but the canary.
pub fn check_email(stack: &Stack, email: &str) -> Findings {
    let mut findings = Vec::new();
    let (alerts, watch) =
        (subscription(stack, "AlertsTopic", "email"), subscription(stack, "WatchTopic", "email"));
    expect_at(&mut findings, "the e-mail of alerts", alerts, "/Endpoint", &json!(email));
    expect_at(
        &mut findings,
        "the e-mail of alerts",
        alerts,
        "/FilterPolicyScope",
        &json!("MessageAttributes"),
    );
    let but_canary = json!({"kind": [{"anything-but": ["canary"]}]});
    expect_at(&mut findings, "the e-mail of alerts", alerts, "/FilterPolicy", &but_canary);
    expect_at(&mut findings, "the e-mail of the watch", watch, "/Endpoint", &json!(email));
    // CloudWatch's messages have no attributes: any filter would keep all of them away.
    expect_at(&mut findings, "the e-mail of the watch", watch, "/FilterPolicy", &Value::Null);
    findings
}

fn subscription<'a>(stack: &'a Stack, topic: &str, protocol: &str) -> &'a Value {
    let mut all =
        stack.of_type("AWS::SNS::Subscription").map(|(_, subscription)| &subscription["Properties"]);
    all.find(|s| s["TopicArn"] == format!("@{topic}") && s["Protocol"] == protocol).unwrap_or(&Value::Null)
}

fn key(stack: &Stack, findings: &mut Findings) {
    let statements = list(&stack.get("AlertsKey")["Properties"]["KeyPolicy"]["Statement"]);
    for action in ["kms:GenerateDataKey", "kms:Decrypt"] {
        let admits = statements.iter().any(|statement| {
            statement["Effect"] == "Allow"
                && statement["Principal"]["Service"] == "cloudwatch.amazonaws.com"
                && strings(&statement["Action"]).contains(&action)
        });
        expect(findings, admits, || format!("AlertsKey does not let alarms {action}"));
        let may = access::may(stack, "SendAlertRole", action, "@AlertsKey.Arn");
        expect(findings, may, || format!("SendAlertRole may not {action} with AlertsKey"));
    }
}

fn policies(stack: &Stack, findings: &mut Findings) {
    let alarms = json!({
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:tidemark-dev-*"},
    });
    let cloudwatch = json!({"Service": "cloudwatch.amazonaws.com"});
    let tls = json!({"Bool": {"aws:SecureTransport": "false"}});
    let others = json!({"ArnNotEquals": {"aws:PrincipalArn": "@SendAlertRole.Arn"}});
    let wanted = [
        ("AlertsTopic", "Deny", json!("*"), others, "does not keep others than send-alert from publishing"),
        ("AlertsTopic", "Deny", json!("*"), tls.clone(), "can be published to without TLS"),
        ("WatchTopic", "Allow", cloudwatch, alarms, "does not let alarms sns:Publish"),
        ("WatchTopic", "Deny", json!("*"), tls, "can be published to without TLS"),
    ];
    for (topic, effect, principal, condition, otherwise) in &wanted {
        let says = statements(stack, topic).any(|statement| {
            statement["Effect"] == *effect
                && statement["Principal"] == *principal
                && statement["Action"] == "sns:Publish"
                && statement["Condition"] == *condition
        });
        expect(findings, says, || format!("{topic} {otherwise}"));
    }
    for topic in ["AlertsTopic", "WatchTopic"] {
        let allowed = statements(stack, topic).filter(|statement| statement["Effect"] == "Allow").count();
        let known = wanted.iter().filter(|(of, effect, ..)| *of == topic && *effect == "Allow").count();
        expect(findings, allowed == known, || format!("{topic} admits {allowed} others, not {known}"));
    }
}

/// What the topic policies say of a topic.
fn statements<'a>(stack: &'a Stack, id: &str) -> impl Iterator<Item = &'a Value> {
    let topic = format!("@{id}");
    stack
        .of_type("AWS::SNS::TopicPolicy")
        .flat_map(|(_, policy)| list(&policy["Properties"]["PolicyDocument"]["Statement"]))
        .filter(move |statement| text(&statement["Resource"]) == topic)
}

/// send-alert to the alerts topic, and no role to the other one.
fn publishers(stack: &Stack, findings: &mut Findings) {
    for (role, _) in stack.of_type("AWS::IAM::Role") {
        for (topic, publisher) in [("@AlertsTopic", "SendAlertRole"), ("@WatchTopic", "")] {
            let may = access::may(stack, role, "sns:Publish", topic);
            expect(findings, may == (role == publisher), || {
                format!("{role} may {}publish to {topic}", if may { "" } else { "not " })
            });
        }
    }
}
