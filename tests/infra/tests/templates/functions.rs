//! `infra/template.yaml`, all but the roles and how people are told.

use infra_tests::{Findings, Stack, access, dashboard, functions, resolve, roles, topics};
use serde_json::{Value, json};

use crate::{HOME, REAL, at, each_is_noticed, none};

pub(crate) fn stack(template: &Value) -> Stack {
    resolve(template, HOME, &[]).expect("the functions' stack")
}

fn stack_in_vpc(template: &Value) -> Stack {
    let vpc = [("VpcSubnetIds", "subnet-0a,subnet-0b"), ("VpcSecurityGroupIds", "sg-0a")];
    resolve(template, HOME, &vpc).expect("the functions' stack in a VPC")
}

fn stack_with_email(template: &Value) -> Stack {
    resolve(template, HOME, &[("AlertEmail", EMAIL)]).expect("the functions' stack with an address")
}

const EMAIL: &str = "on-call@example.com";

pub(crate) fn function_findings(template: &Value) -> Findings {
    let mut findings = functions::check(&stack(template));
    findings.extend(access::the_state_is_divided(&stack(template)));
    findings.extend(topics::check_email(&stack_with_email(template), EMAIL));
    findings.extend(access::check(&stack(template), &roles::of_the_functions(false)));
    findings.extend(access::check(&stack_in_vpc(template), &roles::of_the_functions(true)));
    findings.extend(access::policies_fit(&stack_in_vpc(template)));
    findings.extend(access::ours_alone_are_deleted(&stack(template)));
    findings.extend(access::drills_alone_are_torn_down(&stack(template)));
    findings.extend(access::what_deletes_does_not_read(&stack(template)));
    findings.extend(access::a_writer_reads_its_own_secrets(&stack(template)));
    findings.extend(access::vpc_is_not_for_the_code(&stack_in_vpc(template)));
    findings
}

#[test]
fn the_functions_keep_every_rule() {
    none(&function_findings(&REAL.functions));
}

#[test]
fn each_function_is_built_from_its_own_crate() {
    none(&functions::builds(&REAL, &toolbox::workspace()));
}

#[test]
fn the_dashboard_shows_what_is_measured() {
    let measured =
        dashboard::measured(&toolbox::workspace().join("functions")).expect("the functions' sources");
    assert!(measured.len() > 15, "{measured:?}");
    none(&dashboard::check(&stack(&REAL.functions), &measured));
    let without = |name: &str| {
        let mut fewer = measured.clone();
        fewer.remove(name);
        dashboard::check(&stack(&REAL.functions), &fewer)
    };
    assert_eq!(without("heartbeat").len(), 1, "a metric that is there no more is noticed");
    let mut template = REAL.functions.clone();
    let body = &mut template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"];
    *body = body
        .as_str()
        .expect("a body")
        .replace("${WatchRpoFunction}", "other")
        .replace("\"x\": 12", "\"x\": 11")
        .into();
    let wrong = dashboard::check(&stack(&template), &measured);
    assert!(wrong.iter().any(|wrong| wrong.contains("Throttles of watch-rpo")), "{wrong:?}");
    assert!(wrong.iter().any(|wrong| wrong.contains("lies on another")), "{wrong:?}");
}

#[test]
fn a_vpc_is_a_choice() {
    for function in ["RestoreDatabaseFunction", "RunDrillFunction", "WriteHeartbeatFunction"] {
        let config = |stack: &Stack| stack.get(function)["Properties"].get("VpcConfig").cloned();
        assert_eq!(config(&stack(&REAL.functions)), None);
        let inside = json!({"SubnetIds": ["subnet-0a", "subnet-0b"], "SecurityGroupIds": ["sg-0a"]});
        assert_eq!(config(&stack_in_vpc(&REAL.functions)), Some(inside));
    }
}

#[test]
fn an_address_is_a_choice() {
    let written = |stack: &Stack| {
        let all = stack.of_type("AWS::SNS::Subscription");
        all.filter(|(_, subscription)| subscription["Properties"]["Protocol"] == "email").count()
    };
    assert_eq!(written(&stack(&REAL.functions)), 0);
    assert_eq!(written(&stack_with_email(&REAL.functions)), 2);
}

#[test]
fn reminders_and_runbooks_are_choices() {
    let chosen = [("ReminderHours", "24"), ("RunbooksUrl", "https://wiki.example.com/runbooks")];
    let stack = resolve(&REAL.functions, HOME, &chosen).expect("the functions' stack");
    let variables = &stack.get("SendAlertFunction")["Properties"]["Environment"]["Variables"];
    assert_eq!(variables["TIDEMARK_REMINDER_HOURS"], "24");
    assert_eq!(variables["TIDEMARK_RUNBOOKS_URL"], "https://wiki.example.com/runbooks");
}

#[test]
fn staging_is_a_choice() {
    let chosen = [
        ("StagingDbSubnetGroup", "staging"),
        ("StagingSecurityGroupIds", "sg-0a,sg-0b"),
        ("RecoveryStagingCacheSubnetGroup", "staging-caches"),
        ("DrillUsdPerMonth", "0"),
    ];
    let stack = resolve(&REAL.functions, HOME, &chosen).expect("the functions' stack");
    let variables = &stack.get("RunDrillFunction")["Properties"]["Environment"]["Variables"];
    assert_eq!(variables["TIDEMARK_STAGING_SUBNET_GROUP"], "staging");
    assert_eq!(variables["TIDEMARK_STAGING_SECURITY_GROUPS"], "sg-0a,sg-0b");
    assert_eq!(variables["TIDEMARK_RECOVERY_STAGING_CACHE_SUBNET_GROUP"], "staging-caches");
    assert_eq!(variables["TIDEMARK_DRILL_USD_PER_MONTH"], "0");
}

#[test]
fn what_others_need_is_in_the_outputs() {
    for (output, value) in [
        ("AlertsTopicArn", json!({"Ref": "AlertsTopic"})),
        ("WatchTopicArn", json!({"Ref": "WatchTopic"})),
        ("CanaryQueueUrl", json!({"Ref": "CanaryQueue"})),
        ("FailuresQueueUrl", json!({"Ref": "FailuresQueue"})),
        ("FailuresDeadLetterQueueUrl", json!({"Ref": "FailuresDeadLetterQueue"})),
        ("UndeliveredQueueUrl", json!({"Ref": "UndeliveredQueue"})),
        ("PlansParameterName", json!({"Ref": "PlansParameter"})),
    ] {
        assert_eq!(REAL.functions["Outputs"][output]["Value"], value, "{output}");
    }
    for function in functions::FUNCTIONS {
        let id = function.id("Function");
        assert_eq!(REAL.functions["Outputs"][id.clone() + "Name"]["Value"], json!({"Ref": id}));
        assert_eq!(
            REAL.functions["Outputs"][id.clone() + "Arn"]["Value"],
            json!({"Fn::GetAtt": [id, "Arn"]})
        );
    }
}

#[test]
fn the_default_plan_is_the_policy() {
    let stack = stack(&REAL.functions);
    let value = &stack.get("PlansParameter")["Properties"]["Value"];
    let plans: Value = serde_json::from_str(value.as_str().unwrap_or_default()).expect("the plans are JSON");
    let wanted = json!({"plans": {"default": {
        "time_zone": "UTC",
        "schedule": {"rds": "0 3 * * *", "redis": "0 */6 * * *", "turso": "0 * * * *"},
        "keep": {"daily": 7, "weekly": 4, "monthly": 12, "annual": 7},
        "objectives": {"rpo_minutes": 15, "rto_minutes": 60},
    }}});
    assert_eq!(plans, wanted);
}

#[test]
fn a_spoilt_function_is_noticed() {
    each_is_noticed(
        &REAL.functions,
        function_findings,
        &[
            ("/Resources/BackupRdsFunction", Value::Null, "the functions are"),
            (
                at("BackupRdsFunction", "Role"),
                json!({"Fn::GetAtt": ["RestoreDatabaseRole", "Arn"]}),
                "share a role",
            ),
            (at("BackupRdsFunction", "LoggingConfig/LogGroup"), Value::Null, "LogGroup"),
            (
                at("BackupRdsFunction", "LoggingConfig/ApplicationLogLevel"),
                json!("WARN"),
                "drops the metrics",
            ),
            (
                at("BackupRdsFunction", "Environment/Variables/AWS_SDK_UA_APP_ID"),
                json!("other"),
                "AWS_SDK_UA_APP_ID",
            ),
            (
                at("RestoreDatabaseFunction", "Environment/Variables/TIDEMARK_STAGE"),
                Value::Null,
                "TIDEMARK_STAGE",
            ),
            (at("BackupRdsFunction", "ReservedConcurrentExecutions"), json!(1), "reserves concurrency"),
            (at("BackupRdsFunction", "Timeout"), json!(3), "BackupRdsFunction: /Properties/Timeout is 3"),
            (at("BackupRdsLogGroup", "RetentionInDays"), Value::Null, "keeps logs for ever"),
            (at("BackupRdsFunctionEventInvokeConfig", "DestinationConfig"), Value::Null, "OnFailure"),
            (
                at("BackupRdsFunctionEventInvokeConfig", "MaximumRetryAttempts"),
                json!(0),
                "MaximumRetryAttempts",
            ),
            ("/Resources/RestoreDatabaseFunctionEventInvokeConfig", Value::Null, "OnFailure"),
            (
                at("SendAlertFunction", "Environment/Variables/TIDEMARK_LEASE_SECONDS"),
                json!("60"),
                "a lease of 60 s and a time-out of 30 s",
            ),
            (at("SendAlertFunction", "Timeout"), json!(60), "a lease of 30 s and a time-out of 60 s"),
            (at("WatchRpoFunction", "MemorySize"), json!(128), "WatchRpoFunction: /Properties/MemorySize"),
            (
                at("WatchRpoFunction", "Environment/Variables/TIDEMARK_STATE_BUCKET"),
                Value::Null,
                "TIDEMARK_STATE_BUCKET",
            ),
            (
                at("SendAlertFunction", "Environment/Variables/TIDEMARK_SECRET"),
                json!("x"),
                "17 variables, of which 16 are known",
            ),
            (
                at("SendAlertFunctionEventInvokeConfig", "DestinationConfig/OnFailure/Destination"),
                json!({"Fn::GetAtt": ["FailuresQueue", "Arn"]}),
                "send-alert's asynchronous invocations",
            ),
        ],
    );
}

#[test]
fn a_build_from_elsewhere_is_noticed() {
    let mut spoilt = REAL.clone();
    spoilt.functions_source["Resources"]["BackupRdsFunction"]["Properties"]["CodeUri"] = json!("..");
    spoilt.functions_source["Resources"]["RestoreDatabaseFunction"]["Metadata"]["BuildProperties"]["Binary"] =
        json!("x");
    spoilt.functions_source["Parameters"]["LogLevel"]["AllowedValues"] = json!(["INFO", "WARN"]);
    let found = functions::builds(&spoilt, &toolbox::workspace());
    assert_eq!(found.len(), 3, "{found:?}");
}
