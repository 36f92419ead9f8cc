//! How people are told: alarms and topics.

use serde_json::{Value, json};

use crate::functions::function_findings;
use crate::{REAL, at, each_is_noticed};

#[test]
fn a_spoilt_alarm_is_noticed() {
    let alarm = json!({"Type": "AWS::CloudWatch::Alarm", "Properties": {"AlarmName": "tidemark-dev-new"}});
    each_is_noticed(
        &REAL.functions,
        function_findings,
        &[
            ("/Resources/BackupRdsErrorsAlarm", Value::Null, "there is no alarm BackupRdsErrorsAlarm"),
            ("/Resources/WatchRpoHeartbeatAlarm", Value::Null, "there is no alarm WatchRpoHeartbeatAlarm"),
            ("/Resources/CanaryAlarm", Value::Null, "no alarm watches CanaryQueue"),
            ("/Resources/UndeliveredAlarm", Value::Null, "no alarm watches UndeliveredQueue"),
            ("/Resources/NewAlarm", alarm, "NewAlarm: nobody has said how people are told of it"),
            (at("BackupRdsSilentAlarm", "TreatMissingData"), json!("missing"), "BackupRdsSilentAlarm: "),
            (
                at("BackupRdsSilentAlarm", "AlarmName"),
                json!("silent"),
                "BackupRdsSilentAlarm: /Properties/AlarmName",
            ),
            // Told by send-alert: an action of its own would tell it twice.
            (
                at("RestoreDatabaseThrottlesAlarm", "AlarmActions"),
                json!([{"Ref": "WatchTopic"}]),
                "RestoreDatabaseThrottlesAlarm: /Properties/AlarmActions",
            ),
            // Straight: without one, or by way of the topic that send-alert publishes to, nobody would hear it.
            (
                at("WatchRpoErrorsAlarm", "AlarmActions"),
                Value::Null,
                "WatchRpoErrorsAlarm: /Properties/AlarmActions",
            ),
            (
                at("SendAlertHeartbeatAlarm", "AlarmActions"),
                json!([{"Ref": "AlertsTopic"}]),
                "SendAlertHeartbeatAlarm: /Properties/AlarmActions",
            ),
            (at("CanaryAlarm", "OKActions"), json!([]), "CanaryAlarm: /Properties/OKActions"),
            (at("SendAlertSilentAlarm", "InsufficientDataActions"), json!(["x"]), "InsufficientDataActions"),
            (at("FailuresAlarm", "ActionsEnabled"), json!(false), "FailuresAlarm is switched off"),
            (
                at("FailuresAlarm", "MetricName"),
                json!("NumberOfMessagesSent"),
                "FailuresAlarm: /Properties/MetricName",
            ),
            (at("FailuresAlarm", "Threshold"), json!(1), "FailuresAlarm: /Properties/Threshold"),
            (
                at("WatchRpoHeartbeatAlarm", "TreatMissingData"),
                json!("notBreaching"),
                "WatchRpoHeartbeatAlarm: /Properties/TreatMissingData",
            ),
            (
                at("SendAlertHeartbeatAlarm", "Dimensions/0/Value"),
                json!("watch-rpo"),
                "SendAlertHeartbeatAlarm: /Properties/Dimensions",
            ),
            (at("WatchRpoHeartbeatAlarm", "DatapointsToAlarm"), json!(1), "WatchRpoHeartbeatAlarm: "),
            (
                at("SendAlertHeartbeatAlarm", "EvaluationPeriods"),
                json!(3),
                "SendAlertHeartbeatAlarm: /Properties/EvaluationPeriods",
            ),
            (at("CanaryAlarm", "EvaluationPeriods"), json!(24), "CanaryAlarm: /Properties/EvaluationPeriods"),
            (
                at("CanaryAlarm", "TreatMissingData"),
                json!("ignore"),
                "CanaryAlarm: /Properties/TreatMissingData",
            ),
        ],
    );
}

#[test]
fn a_spoilt_topic_is_noticed() {
    let policy =
        |topic: &str, rest: &str| at(&format!("{topic}Policy"), &format!("PolicyDocument/Statement/{rest}"));
    let publish = json!({"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": "sns:Publish", "Resource": {"Ref": "AlertsTopic"}});
    let allow = |topic: &str| json!({"Sid": "New", "Effect": "Allow", "Action": "sns:Publish", "Resource": {"Ref": topic}});
    let role = |id: &str| at(id, "Policies/1/PolicyDocument/Statement/99");
    each_is_noticed(
        &REAL.functions,
        function_findings,
        &[
            (
                at("AlertsTopic", "KmsMasterKeyId"),
                json!("alias/aws/sns"),
                "AlertsTopic: /Properties/KmsMasterKeyId",
            ),
            (at("WatchTopic", "KmsMasterKeyId"), Value::Null, "WatchTopic: /Properties/KmsMasterKeyId"),
            ("/Resources/Third", json!({"Type": "AWS::SNS::Topic", "Properties": {}}), "the topics are"),
            (
                at("AlertsKey", "KeyPolicy/Statement/1"),
                Value::Null,
                "does not let alarms kms:GenerateDataKey",
            ),
            (policy("WatchTopic", "0"), Value::Null, "WatchTopic does not let alarms sns:Publish"),
            (
                policy("WatchTopic", "0/Condition/ArnLike"),
                Value::Null,
                "WatchTopic does not let alarms sns:Publish",
            ),
            (policy("WatchTopic", "1"), Value::Null, "WatchTopic can be published to without TLS"),
            (policy("AlertsTopic", "0"), Value::Null, "AlertsTopic does not keep others than send-alert"),
            (policy("AlertsTopic", "1"), Value::Null, "AlertsTopic can be published to without TLS"),
            (policy("AlertsTopic", "2"), publish, "AlertsTopic admits 1 others, not 0"),
            (role("WatchRpoRole"), allow("AlertsTopic"), "WatchRpoRole may publish to @AlertsTopic"),
            (role("SendAlertRole"), allow("WatchTopic"), "SendAlertRole may publish to @WatchTopic"),
            (
                at("SendAlertRole", "Policies/1/PolicyDocument/Statement/1"),
                Value::Null,
                "SendAlertRole may not publish to @AlertsTopic",
            ),
            (
                at("SendAlertRole", "Policies/1/PolicyDocument/Statement/2"),
                Value::Null,
                "SendAlertRole may not kms:Decrypt with AlertsKey",
            ),
            (at("AlertsCanary", "FilterPolicy"), Value::Null, "the canary's subscription: /FilterPolicy"),
            (
                at("AlertsCanary", "RawMessageDelivery"),
                json!(true),
                "the canary's subscription: /RawMessageDelivery",
            ),
            (
                at("AlertsCanary", "Endpoint"),
                json!({"Fn::GetAtt": ["FailuresQueue", "Arn"]}),
                "the canary's subscription: /Endpoint",
            ),
            (at("AlertsEmail", "FilterPolicy"), Value::Null, "the e-mail of alerts: /FilterPolicy"),
            (
                at("AlertsEmail", "FilterPolicyScope"),
                json!("MessageBody"),
                "the e-mail of alerts: /FilterPolicyScope",
            ),
            (
                at("WatchEmail", "FilterPolicy"),
                json!({"kind": [{"exists": false}]}),
                "the e-mail of the watch: /FilterPolicy",
            ),
            ("/Resources/WatchEmail", Value::Null, "the e-mail of the watch: /Endpoint"),
        ],
    );
}
