//! What wakes the functions, and the queues.

use serde_json::{Value, json};

use crate::functions::function_findings;
use crate::{REAL, at, each_is_noticed};

#[test]
fn a_spoilt_wake_is_noticed() {
    each_is_noticed(
        &REAL.functions,
        function_findings,
        &[
            (
                at("BackupRdsFunctionSlot", "ScheduleExpression"),
                json!("cron(0 4 * * ? *)"),
                "ScheduleExpression",
            ),
            (at("BackupRdsFunctionSlot", "Target/Input"), json!("{}"), "Target/Input"),
            (at("BackupRdsFunctionTick", "Target/DeadLetterConfig"), Value::Null, "DeadLetterConfig"),
            (at("BackupRdsFunctionTick", "State"), json!("DISABLED"), "is switched off"),
            (at("RestoreDatabaseFunctionTick", "Target/RetryPolicy"), Value::Null, "is never retried"),
            ("/Resources/RestoreDatabaseFunctionTick", Value::Null, "restore-database has 0 schedules"),
            (
                at("BackupRdsScheduleRole", "Policies/0/PolicyDocument/Statement/0/Resource"),
                json!("arn:aws:lambda:us-east-1:123456789012:function:tidemark-dev-backup-rds*"),
                "may wake more than backup-rds",
            ),
            (
                at("BackupRdsFunctionSnapshotEvent", "EventPattern/detail/EventID/0"),
                Value::Null,
                "RDS-EVENT-0042",
            ),
            (
                at("BackupRdsFunctionSnapshotEvent", "Targets/0/DeadLetterConfig"),
                Value::Null,
                "DeadLetterConfig",
            ),
            ("/Resources/BackupRdsFunctionSnapshotEventPermission", Value::Null, "no permission to wake"),
            ("/Resources/WatchRpoFunctionCanary", Value::Null, "watch-rpo has 1 schedules"),
            (
                at("WatchRpoFunctionCanary", "ScheduleExpression"),
                json!("rate(1 day)"),
                "tidemark-dev-watch-rpo-canary: /ScheduleExpression",
            ),
            (
                at("WatchRpoFunctionInstanceEvent", "EventPattern/detail/EventID/0"),
                Value::Null,
                "RDS-EVENT-0028",
            ),
            (
                at("SendAlertFunctionFacts", "EventPattern/source"),
                json!(["aws.rds"]),
                "tidemark-dev-send-alert-facts: /Properties/EventPattern",
            ),
            (
                at("SendAlertFunctionAlarmEvent", "EventPattern/detail"),
                Value::Null,
                "tidemark-dev-send-alert-alarms: /Properties/EventPattern",
            ),
            (
                at("SendAlertFunctionFacts", "State"),
                json!("DISABLED"),
                "tidemark-dev-send-alert-facts is switched off",
            ),
            (at("SendAlertFunctionFacts", "EventBusName"), json!("other"), "/Properties/EventBusName"),
            (
                at("SendAlertFunctionFacts", "Targets/1"),
                json!({"Arn": {"Fn::GetAtt": ["BackupRdsFunction", "Arn"]}}),
                "wakes 2 functions, not one",
            ),
            (
                at("SendAlertFunctionFacts", "Targets/0/Arn"),
                json!({"Fn::GetAtt": ["WatchRpoFunction", "Arn"]}),
                "tidemark-dev-send-alert-facts: /Arn",
            ),
            (
                "/Resources/Another",
                json!({"Type": "AWS::Events::Rule", "Properties": {"Name": "tidemark-dev-another"}}),
                "the rules are",
            ),
            (
                "/Resources/SendAlertFunctionFailures",
                Value::Null,
                "send-alert's reading of FailuresQueue: /BatchSize",
            ),
            (
                at("SendAlertFunctionCanaryReturn", "Enabled"),
                json!(false),
                "reading of CanaryQueue is switched off",
            ),
            (
                at("SendAlertFunctionFailures", "FunctionResponseTypes"),
                json!(["ReportBatchItemFailures"]),
                "/FunctionResponseTypes",
            ),
            (
                at("SendAlertFunctionFailures", "EventSourceArn"),
                json!({"Fn::GetAtt": ["FailuresDeadLetterQueue", "Arn"]}),
                "send-alert's reading of FailuresQueue",
            ),
        ],
    );
}

#[test]
fn a_spoilt_queue_is_noticed() {
    each_is_noticed(
        &REAL.functions,
        function_findings,
        &[
            (at("FailuresQueue", "SqsManagedSseEnabled"), Value::Null, "SqsManagedSseEnabled"),
            (at("FailuresQueue", "RedrivePolicy"), Value::Null, "deadLetterTargetArn"),
            ("/Resources/QueuesPolicy", Value::Null, "can be used without TLS"),
            (at("UndeliveredQueuePolicy", "PolicyDocument/Statement/0"), Value::Null, "does not admit"),
            (at("FailuresQueue", "VisibilityTimeout"), json!(60), "FailuresQueue hides a message for 60 s"),
            (at("CanaryQueue", "VisibilityTimeout"), Value::Null, "CanaryQueue hides a message for 30 s"),
            (at("CanaryQueue", "RedrivePolicy"), Value::Null, "CanaryQueue gives send-alert a message"),
            (
                at("CanaryQueue", "SqsManagedSseEnabled"),
                Value::Null,
                "CanaryQueue: /Properties/SqsManagedSseEnabled",
            ),
            (
                at("CanaryQueuePolicy", "PolicyDocument/Statement/1"),
                Value::Null,
                "CanaryQueue can be used without TLS",
            ),
            (
                at("CanaryQueuePolicy", "PolicyDocument/Statement/0/Condition"),
                Value::Null,
                "CanaryQueue does not admit the canary",
            ),
            (
                at("QueuesPolicy", "PolicyDocument/Statement/1"),
                json!({"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage",
                    "Resource": {"Fn::GetAtt": ["FailuresQueue", "Arn"]}}),
                "FailuresQueue admits 1 others, not 0",
            ),
            (
                "/Resources/AnotherQueue",
                json!({"Type": "AWS::SQS::Queue", "Properties": {}}),
                "no alarm watches AnotherQueue",
            ),
        ],
    );
}
