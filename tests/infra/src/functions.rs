//! The functions: each with its own role, log, wakes and alarms, and the loop's promises around them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::{Documents, Findings, Stack, access, expect, expect_at, list, strings, text};

/// What wakes a function on its own.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Without the prefix `tidemark-<stage>-`.
    pub name: &'static str,
    /// As `EventBridge` Scheduler writes it.
    pub expression: &'static str,
    /// What the function receives.
    pub input: &'static str,
}

/// A function, by the name of its crate, and its schedules.
pub const FUNCTIONS: &[(&str, &[Schedule])] = &[
    (
        "backup-rds",
        &[
            Schedule {
                name: "backup-rds-slot",
                expression: "cron(0 3 * * ? *)",
                input: r#"{"wake":"slot"}"#,
            },
            Schedule { name: "backup-rds-tick", expression: "rate(5 minutes)", input: r#"{"wake":"tick"}"# },
        ],
    ),
    (
        "restore-database",
        &[Schedule {
            name: "restore-database-tick",
            expression: "rate(1 minute)",
            input: r#"{"wake":"tick"}"#,
        }],
    ),
];

/// `backup-rds` → `BackupRds`: the start of the logical ids of all that belongs to it.
pub fn logical(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// Every rule for the functions' stack, resolved for the stage `dev` in us-east-1 with the recovery Region us-west-2.
pub fn check(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    let made: BTreeSet<&str> = stack.of_type("AWS::Lambda::Function").map(|(id, _)| id).collect();
    let wanted: BTreeSet<String> = FUNCTIONS.iter().map(|(name, _)| logical(name) + "Function").collect();
    expect(&mut findings, made.iter().copied().eq(wanted.iter().map(String::as_str)), || {
        format!("the functions are {made:?}, not {wanted:?}")
    });
    let roles: BTreeSet<&str> =
        stack.of_type("AWS::Lambda::Function").map(|(_, f)| text(&f["Properties"]["Role"])).collect();
    expect(&mut findings, roles.len() == made.len(), || format!("functions share a role: {roles:?}"));
    for (name, schedules) in FUNCTIONS {
        function(stack, name, &mut findings);
        failures(stack, name, &mut findings);
        alarms(stack, name, &mut findings);
        wakes(stack, name, schedules, &mut findings);
    }
    rules(stack, &mut findings);
    queues(stack, &mut findings);
    alerts(stack, &mut findings);
    findings
}

fn function(stack: &Stack, name: &str, findings: &mut Findings) {
    let id = logical(name) + "Function";
    let function = stack.get(&id);
    let variables = "/Properties/Environment/Variables";
    let log_group = logical(name) + "LogGroup";
    let mut wanted = vec![
        ("/Properties/FunctionName".to_owned(), json!(format!("tidemark-dev-{name}"))),
        ("/Properties/Runtime".to_owned(), json!("provided.al2023")),
        ("/Properties/Handler".to_owned(), json!("bootstrap")),
        ("/Properties/Architectures".to_owned(), json!(["arm64"])),
        ("/Properties/Role".to_owned(), json!(format!("@{}Role.Arn", logical(name)))),
        ("/Properties/LoggingConfig/LogFormat".to_owned(), json!("JSON")),
        ("/Properties/LoggingConfig/SystemLogLevel".to_owned(), json!("INFO")),
        ("/Properties/LoggingConfig/LogGroup".to_owned(), json!(format!("@{log_group}"))),
    ];
    // The name by which CloudTrail, and the local cloud, tell whose call it was; 50 characters at most (AWS SDKs and
    // Tools Reference Guide, "Application ID").
    let app_id = format!("tidemark-{name}");
    expect(findings, app_id.len() <= 50, || format!("{app_id} is too long for an application id"));
    wanted.extend(
        [
            ("TIDEMARK_STAGE", "dev"),
            ("TIDEMARK_PLANS_PARAMETER", "@PlansParameter"),
            ("TIDEMARK_VAULT_BUCKET", "tidemark-vault-dev-123456789012-us-east-1"),
            ("TIDEMARK_RECOVERY_REGION", "us-west-2"),
            ("TIDEMARK_RECOVERY_KEY", "arn:aws:kms:us-west-2:123456789012:alias/tidemark-dev"),
            ("TIDEMARK_EVENT_BUS", "default"),
            ("AWS_SDK_UA_APP_ID", &app_id),
        ]
        .map(|(key, value)| (format!("{variables}/{key}"), json!(value))),
    );
    for (pointer, value) in &wanted {
        expect_at(findings, &id, function, pointer, value);
    }
    let level = text(&function["Properties"]["LoggingConfig"]["ApplicationLogLevel"]);
    expect(findings, ["TRACE", "DEBUG", "INFO"].contains(&level), || {
        format!("{id}: the log level {level} drops the metrics (EMF lines count as INFO)")
    });
    let timeout = function["Properties"]["Timeout"].as_u64().unwrap_or_default();
    expect(findings, (60..=900).contains(&timeout), || format!("{id}: a time-out of {timeout} s"));
    let reserved = &function["Properties"]["ReservedConcurrentExecutions"];
    expect(findings, reserved.is_null(), || {
        format!("{id} reserves concurrency, which a new account refuses")
    });

    let group = stack.get(&log_group);
    let group_name = json!(format!("/aws/lambda/tidemark-dev-{name}"));
    expect_at(findings, &log_group, group, "/Properties/LogGroupName", &group_name);
    let retention = &group["Properties"]["RetentionInDays"];
    expect(findings, !retention.is_null(), || format!("{log_group} keeps logs for ever"));
    let role = logical(name) + "Role";
    let writes = access::may(stack, &role, "logs:PutLogEvents", &format!("@{log_group}.Arn"));
    expect(findings, writes, || format!("{role} may not write to {log_group}"));
}

fn failures(stack: &Stack, name: &str, findings: &mut Findings) {
    let function = format!("@{}Function", logical(name));
    let config = stack
        .of_type("AWS::Lambda::EventInvokeConfig")
        .map(|(_, config)| &config["Properties"])
        .find(|config| config["FunctionName"] == function.as_str())
        .unwrap_or(&Value::Null);
    let what = format!("{name}'s asynchronous invocations");
    expect_at(findings, &what, config, "/MaximumRetryAttempts", &json!(2));
    expect_at(findings, &what, config, "/MaximumEventAgeInSeconds", &json!(3600));
    expect_at(
        findings,
        &what,
        config,
        "/DestinationConfig/OnFailure/Destination",
        &json!("@FailuresQueue.Arn"),
    );
    let role = logical(name) + "Role";
    let hands_over = access::may(stack, &role, "sqs:SendMessage", "@FailuresQueue.Arn");
    expect(findings, hands_over, || format!("{role} may not hand over its failures"));
}

fn alarms(stack: &Stack, name: &str, findings: &mut Findings) {
    let function = format!("@{}Function", logical(name));
    for (metric, missing, comparison) in [
        ("Errors", "notBreaching", "GreaterThanOrEqualToThreshold"),
        ("Throttles", "notBreaching", "GreaterThanOrEqualToThreshold"),
        // Absence is the failure.
        ("Invocations", "breaching", "LessThanThreshold"),
    ] {
        let alarm =
            stack.of_type("AWS::CloudWatch::Alarm").map(|(_, alarm)| &alarm["Properties"]).find(|alarm| {
                alarm["Namespace"] == "AWS/Lambda"
                    && alarm["MetricName"] == metric
                    && alarm["Dimensions"] == json!([{"Name": "FunctionName", "Value": function}])
            });
        let alarm = alarm.unwrap_or(&Value::Null);
        let what = format!("the alarm on {name}'s {metric}");
        expect_at(findings, &what, alarm, "/TreatMissingData", &json!(missing));
        expect_at(findings, &what, alarm, "/ComparisonOperator", &json!(comparison));
        expect_at(findings, &what, alarm, "/Threshold", &json!(1));
    }
}

fn wakes(stack: &Stack, name: &str, schedules: &[Schedule], findings: &mut Findings) {
    let function = format!("@{}Function.Arn", logical(name));
    let made: Vec<&Value> = stack
        .of_type("AWS::Scheduler::Schedule")
        .map(|(_, schedule)| &schedule["Properties"])
        .filter(|schedule| schedule["Target"]["Arn"] == function.as_str())
        .collect();
    expect(findings, made.len() == schedules.len(), || format!("{name} has {} schedules", made.len()));
    for wanted in schedules {
        let full = format!("tidemark-dev-{}", wanted.name);
        let schedule = made.iter().copied().find(|s| s["Name"] == full.as_str()).unwrap_or(&Value::Null);
        for (pointer, value) in [
            ("/ScheduleExpression", json!(wanted.expression)),
            ("/ScheduleExpressionTimezone", json!("UTC")),
            ("/FlexibleTimeWindow/Mode", json!("OFF")),
            ("/Target/Input", json!(wanted.input)),
            ("/Target/DeadLetterConfig/Arn", json!("@UndeliveredQueue.Arn")),
            ("/Target/RoleArn", json!(format!("@{}ScheduleRole.Arn", logical(name)))),
        ] {
            expect_at(findings, &full, schedule, pointer, &value);
        }
        let retries = schedule["Target"]["RetryPolicy"]["MaximumRetryAttempts"].as_u64();
        expect(findings, retries.is_some_and(|retries| retries >= 1), || format!("{full} is never retried"));
        let off = schedule["State"] == "DISABLED";
        expect(findings, !off, || format!("{full} is switched off"));
    }
    let role = logical(name) + "ScheduleRole";
    let arn = format!("arn:aws:lambda:us-east-1:123456789012:function:tidemark-dev-{name}");
    expect(findings, access::may(stack, &role, "lambda:InvokeFunction", &arn), || {
        format!("{role} may not wake {name}")
    });
    let other = format!("{arn}-other");
    expect(findings, !access::may(stack, &role, "lambda:InvokeFunction", &other), || {
        format!("{role} may wake more than {name}")
    });
    let keeps = access::may(stack, &role, "sqs:SendMessage", "@UndeliveredQueue.Arn");
    expect(findings, keeps, || format!("{role} may not keep what it could not deliver"));
}

fn rules(stack: &Stack, findings: &mut Findings) {
    for (id, rule) in stack.of_type("AWS::Events::Rule") {
        let rule_name = text(&rule["Properties"]["Name"]);
        expect(findings, rule_name.starts_with("tidemark-dev-"), || format!("{id} is named {rule_name}"));
        expect_at(findings, id, rule, "/Properties/EventPattern/source", &json!(["aws.rds"]));
        for target in list(&rule["Properties"]["Targets"]) {
            expect_at(findings, id, target, "/DeadLetterConfig/Arn", &json!("@UndeliveredQueue.Arn"));
            let retries = target["RetryPolicy"]["MaximumRetryAttempts"].as_u64();
            expect(findings, retries.is_some_and(|retries| retries >= 1), || {
                format!("{id} is never retried")
            });
            let function = text(&target["Arn"]).trim_end_matches(".Arn");
            let permitted = stack.of_type("AWS::Lambda::Permission").any(|(_, permission)| {
                let permission = &permission["Properties"];
                permission["FunctionName"] == function
                    && permission["Principal"] == "events.amazonaws.com"
                    && permission["SourceArn"] == format!("@{id}.Arn")
            });
            expect(findings, permitted, || format!("{id} has no permission to wake {function}"));
        }
    }
    let woken = |name: &str, event: &str| {
        let function = format!("@{}Function.Arn", logical(name));
        stack.of_type("AWS::Events::Rule").any(|(_, rule)| {
            let ids = strings(&rule["Properties"]["EventPattern"]["detail"]["EventID"]);
            ids.contains(&event)
                && list(&rule["Properties"]["Targets"]).iter().any(|t| t["Arn"] == function.as_str())
        })
    };
    for (name, events) in [
        ("backup-rds", ["RDS-EVENT-0042", "RDS-EVENT-0091", "RDS-EVENT-0060"]),
        ("restore-database", ["RDS-EVENT-0005", "RDS-EVENT-0019", "RDS-EVENT-0043"]),
    ] {
        for event in events {
            expect(findings, woken(name, event), || format!("{event} does not wake {name}"));
        }
    }
}

fn queues(stack: &Stack, findings: &mut Findings) {
    for (id, queue) in stack.of_type("AWS::SQS::Queue") {
        expect_at(findings, id, queue, "/Properties/SqsManagedSseEnabled", &json!(true));
        expect_at(findings, id, queue, "/Properties/MessageRetentionPeriod", &json!(1_209_600));
        let watched =
            stack.of_type("AWS::CloudWatch::Alarm").map(|(_, alarm)| &alarm["Properties"]).any(|alarm| {
                alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
                    && alarm["Dimensions"][0]["Value"] == format!("@{id}.QueueName")
            });
        expect(findings, watched, || format!("nobody is told what lands in {id}"));
        let policies = || stack.of_type("AWS::SQS::QueuePolicy").map(|(_, policy)| &policy["Properties"]);
        let tls = policies()
            .filter(|policy| strings(&policy["Queues"]).contains(&format!("@{id}").as_str()))
            .any(|policy| {
                list(&policy["PolicyDocument"]["Statement"]).iter().any(|statement| {
                    statement["Effect"] == "Deny"
                        && statement["Condition"] == json!({"Bool": {"aws:SecureTransport": "false"}})
                        && strings(&statement["Resource"]).contains(&format!("@{id}.Arn").as_str())
                })
            });
        expect(findings, tls, || format!("{id} can be used without TLS"));
    }
    let redrive = stack.get("FailuresQueue");
    let target = "/Properties/RedrivePolicy/deadLetterTargetArn";
    expect_at(findings, "FailuresQueue", redrive, target, &json!("@FailuresDeadLetterQueue.Arn"));
    let admits = stack.of_type("AWS::SQS::QueuePolicy").any(|(_, policy)| {
        list(&policy["Properties"]["PolicyDocument"]["Statement"]).iter().any(|statement| {
            statement["Effect"] == "Allow"
                && statement["Principal"]["Service"] == "events.amazonaws.com"
                && statement["Resource"] == "@UndeliveredQueue.Arn"
                && statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"
        })
    });
    expect(findings, admits, || "UndeliveredQueue does not admit what a rule could not deliver".into());
}

fn alerts(stack: &Stack, findings: &mut Findings) {
    for (id, alarm) in stack.of_type("AWS::CloudWatch::Alarm") {
        let tells = strings(&alarm["Properties"]["AlarmActions"]) == ["@AlertsTopic"];
        expect(findings, tells, || format!("{id} tells nobody"));
        let on = alarm["Properties"]["ActionsEnabled"] != false;
        expect(findings, on, || format!("{id} is switched off"));
        let name = text(&alarm["Properties"]["AlarmName"]);
        expect(findings, name.starts_with("tidemark-dev-"), || {
            format!("{id} is named {name}, which the topic's policy does not admit")
        });
    }
    let topic = stack.get("AlertsTopic");
    // Not alias/aws/sns: CloudWatch cannot publish under it.
    expect_at(findings, "AlertsTopic", topic, "/Properties/KmsMasterKeyId", &json!("@AlertsKey"));
    for (id, policy, action) in [
        ("AlertsKey", &stack.get("AlertsKey")["Properties"]["KeyPolicy"], "kms:GenerateDataKey"),
        ("AlertsKey", &stack.get("AlertsKey")["Properties"]["KeyPolicy"], "kms:Decrypt"),
        ("AlertsTopicPolicy", &stack.get("AlertsTopicPolicy")["Properties"]["PolicyDocument"], "sns:Publish"),
    ] {
        let admits = list(&policy["Statement"]).iter().any(|statement| {
            statement["Effect"] == "Allow"
                && statement["Principal"]["Service"] == "cloudwatch.amazonaws.com"
                && strings(&statement["Action"]).contains(&action)
        });
        expect(findings, admits, || format!("{id} does not let alarms {action}"));
    }
}

/// What the translator hides: how each function is built, from its own crate's folder.
pub fn builds(documents: &Documents, workspace: &Path) -> Findings {
    let mut findings = Vec::new();
    for (name, _) in FUNCTIONS {
        let id = logical(name) + "Function";
        let function = &documents.functions_source["Resources"][&id];
        expect_at(&mut findings, &id, function, "/Metadata/BuildMethod", &json!("rust-cargolambda"));
        expect_at(&mut findings, &id, function, "/Metadata/BuildProperties/Binary", &json!(name));
        let folder = text(&function["Properties"]["CodeUri"]);
        let manifest = workspace.join("infra").join(folder).join("Cargo.toml");
        let declares = std::fs::read_to_string(&manifest)
            .is_ok_and(|manifest| manifest.lines().any(|line| line == format!("name = \"{name}\"")));
        expect(&mut findings, declares, || format!("{id}: no package {name} in {}", manifest.display()));
    }
    let levels = strings(&documents.functions_source["Parameters"]["LogLevel"]["AllowedValues"]);
    expect(&mut findings, levels == ["TRACE", "DEBUG", "INFO"], || {
        format!("LogLevel admits {levels:?}: a level above INFO drops the metrics")
    });
    findings
}
