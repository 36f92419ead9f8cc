//! The functions: each with its own role, log, wakes and alarms, and the loop's promises around them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::{
    Documents, Findings, Stack, access, alarms, expect, expect_at, queues, strings, text, topics, wakes,
};

/// A function, and what the template must say of it.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Of its crate.
    pub name: &'static str,
    /// After which Lambda ends it.
    pub timeout_seconds: u64,
    /// What it may use, in MiB.
    pub memory_mib: u64,
    /// Its own environment variables, besides those that all functions have.
    pub variables: &'static [(&'static str, &'static str)],
    /// What wakes it on its own.
    pub schedules: &'static [Schedule],
    /// What wakes it when something happened.
    pub rules: &'static [Rule],
    /// The logical ids of the queues that it reads.
    pub reads: &'static [&'static str],
    /// The logical id of the queue for its invocations that failed after every retry.
    pub failures: &'static str,
    /// Without an invocation for so long it is silent.
    pub silent_minutes: u64,
    /// How people are told of its alarms.
    pub told: Told,
}

/// A schedule.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Without the prefix `tidemark-<stage>-`.
    pub name: &'static str,
    /// As `EventBridge` Scheduler writes it.
    pub expression: &'static str,
    /// What the function receives.
    pub input: &'static str,
}

/// A rule on the default event bus.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Without the prefix `tidemark-<stage>-`.
    pub name: &'static str,
    /// The event pattern, in JSON.
    pub pattern: &'static str,
}

/// How people are told of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The alarm has no action; send-alert reads it and tells of it.
    BySendAlert,
    /// Straight through the topic `…-watch`: an alarm about the telling itself must not depend on the functions. Such a
    /// function also has an alarm on its heartbeat.
    Straight,
}

/// Of those that speak to Turso.
const TURSO: &[(&str, &str)] = &[
    ("TIDEMARK_TURSO_ORGANIZATION", ""),
    ("TIDEMARK_TURSO_SECRET", "tidemark/turso"),
    ("TIDEMARK_TURSO_API", "https://api.turso.tech"),
];

/// The functions.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "backup-rds",
        timeout_seconds: 300,
        memory_mib: 256,
        variables: &[],
        schedules: &[
            Schedule {
                name: "backup-rds-slot",
                expression: "cron(0 3 * * ? *)",
                input: r#"{"wake":"slot"}"#,
            },
            Schedule { name: "backup-rds-tick", expression: "rate(5 minutes)", input: r#"{"wake":"tick"}"# },
        ],
        rules: &[Rule {
            name: "backup-rds-snapshot",
            pattern: r#"{"source": ["aws.rds"], "detail-type": ["RDS DB Snapshot Event"], "detail": {"EventID": [
                "RDS-EVENT-0042", "RDS-EVENT-0091", "RDS-EVENT-0060", "RDS-EVENT-0061", "RDS-EVENT-0197",
                "RDS-EVENT-0190"]}}"#,
        }],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 8,
        told: Told::BySendAlert,
    },
    Function {
        name: "backup-redis",
        timeout_seconds: 900,
        memory_mib: 1769,
        variables: &[("TIDEMARK_QUIET_SECONDS", "600")],
        schedules: &[
            Schedule {
                name: "backup-redis-slot",
                expression: "cron(0 0/6 * * ? *)",
                input: r#"{"wake":"slot"}"#,
            },
            Schedule {
                name: "backup-redis-tick",
                expression: "rate(5 minutes)",
                input: r#"{"wake":"tick"}"#,
            },
        ],
        // Node-based caches tell SNS alone of their snapshots: the ticks look.
        rules: &[],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 8,
        told: Told::BySendAlert,
    },
    Function {
        name: "backup-turso",
        timeout_seconds: 900,
        memory_mib: 1024,
        variables: &[
            ("TIDEMARK_LEASE_SECONDS", "900"),
            ("TIDEMARK_STAGED_FROM_MIB", "512"),
            ("TIDEMARK_TURN_SECONDS", "600"),
            ("TIDEMARK_TURSO_ORGANIZATION", ""),
            ("TIDEMARK_TURSO_SECRET", "tidemark/turso"),
            ("TIDEMARK_TURSO_API", "https://api.turso.tech"),
        ],
        schedules: &[
            Schedule {
                name: "backup-turso-slot",
                expression: "cron(0 * * * ? *)",
                input: r#"{"wake":"slot"}"#,
            },
            Schedule {
                name: "backup-turso-tick",
                expression: "rate(5 minutes)",
                input: r#"{"wake":"tick"}"#,
            },
        ],
        rules: &[],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 8,
        told: Told::BySendAlert,
    },
    Function {
        name: "restore-database",
        timeout_seconds: 900,
        memory_mib: 512,
        variables: &[
            ("TIDEMARK_DATABASE_CA", ""),
            ("TIDEMARK_LEASE_SECONDS", "900"),
            ("TIDEMARK_TURSO_ORGANIZATION", ""),
            ("TIDEMARK_TURSO_SECRET", "tidemark/turso"),
            ("TIDEMARK_TURSO_API", "https://api.turso.tech"),
        ],
        schedules: &[Schedule {
            name: "restore-database-tick",
            expression: "rate(1 minute)",
            input: r#"{"wake":"tick"}"#,
        }],
        rules: &[Rule {
            name: "restore-database-instance",
            pattern: r#"{"source": ["aws.rds"], "detail-type": ["RDS DB Instance Event", "RDS DB Snapshot Event"],
                "detail": {"EventID": ["RDS-EVENT-0005", "RDS-EVENT-0008", "RDS-EVENT-0019", "RDS-EVENT-0043",
                "RDS-EVENT-0031", "RDS-EVENT-0278", "RDS-EVENT-0353", "RDS-EVENT-0418", "RDS-EVENT-0419"]}}"#,
        }],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 4,
        told: Told::BySendAlert,
    },
    Function {
        name: "run-drill",
        timeout_seconds: 900,
        memory_mib: 512,
        variables: &[
            ("TIDEMARK_RESTORE_FUNCTION", "@RestoreDatabaseFunction"),
            ("TIDEMARK_DRILLS_AT_ONCE", "3"),
            ("TIDEMARK_DRILL_USD_PER_MONTH", "100"),
            ("TIDEMARK_TURN_SECONDS", "240"),
            ("TIDEMARK_STAGING_SUBNET_GROUP", ""),
            ("TIDEMARK_STAGING_CACHE_SUBNET_GROUP", ""),
            ("TIDEMARK_STAGING_SUBNETS", ""),
            ("TIDEMARK_STAGING_SECURITY_GROUPS", ""),
            ("TIDEMARK_RECOVERY_STAGING_SUBNET_GROUP", ""),
            ("TIDEMARK_RECOVERY_STAGING_CACHE_SUBNET_GROUP", ""),
            ("TIDEMARK_RECOVERY_STAGING_SUBNETS", ""),
            ("TIDEMARK_RECOVERY_STAGING_SECURITY_GROUPS", ""),
            ("TIDEMARK_HEARTBEAT_SECRET", ""),
            ("TIDEMARK_TURSO_ORGANIZATION", ""),
            ("TIDEMARK_TURSO_SECRET", "tidemark/turso"),
            ("TIDEMARK_TURSO_API", "https://api.turso.tech"),
            ("TIDEMARK_DATABASE_CA", ""),
        ],
        schedules: &[Schedule {
            name: "run-drill-tick",
            expression: "rate(5 minutes)",
            input: r#"{"wake":"tick"}"#,
        }],
        rules: &[Rule {
            name: "run-drill-restored",
            pattern: r#"{"source": ["tidemark"],
                "detail-type": ["Tidemark restore-completed", "Tidemark restore-failed"]}"#,
        }],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 8,
        told: Told::BySendAlert,
    },
    Function {
        name: "plan-retention",
        timeout_seconds: 300,
        memory_mib: 512,
        variables: &[],
        schedules: &[
            Schedule {
                name: "plan-retention-slot",
                expression: "cron(30 5 * * ? *)",
                input: r#"{"wake":"slot"}"#,
            },
            Schedule { name: "plan-retention-tick", expression: "rate(1 hour)", input: r#"{"wake":"tick"}"# },
        ],
        rules: &[],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 125,
        told: Told::BySendAlert,
    },
    Function {
        name: "delete-expired",
        timeout_seconds: 300,
        memory_mib: 512,
        variables: &[("TIDEMARK_DELETE_AT_MOST", "200")],
        schedules: &[
            Schedule {
                name: "delete-expired-slot",
                expression: "cron(30 6 * * ? *)",
                input: r#"{"wake":"slot"}"#,
            },
            Schedule { name: "delete-expired-tick", expression: "rate(1 hour)", input: r#"{"wake":"tick"}"# },
        ],
        rules: &[],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 125,
        told: Told::BySendAlert,
    },
    Function {
        name: "check-posture",
        timeout_seconds: 300,
        memory_mib: 512,
        variables: &[
            ("TIDEMARK_KEY", "arn:aws:kms:us-east-1:123456789012:alias/tidemark-dev"),
            ("TIDEMARK_ALERTS_TOPIC", "@AlertsTopic"),
            ("TIDEMARK_WATCH_TOPIC", "@WatchTopic"),
            ("TIDEMARK_CANARY_QUEUE", "@CanaryQueue.Arn"),
            ("TIDEMARK_TURSO_ORGANIZATION", ""),
            ("TIDEMARK_TURSO_SECRET", "tidemark/turso"),
            ("TIDEMARK_TURSO_API", "https://api.turso.tech"),
        ],
        schedules: &[
            Schedule {
                name: "check-posture-slot",
                expression: "cron(0 7 * * ? *)",
                input: r#"{"wake":"slot"}"#,
            },
            Schedule { name: "check-posture-tick", expression: "rate(1 hour)", input: r#"{"wake":"tick"}"# },
        ],
        rules: &[],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 125,
        told: Told::BySendAlert,
    },
    Function {
        name: "publish-report",
        timeout_seconds: 300,
        memory_mib: 1_024,
        variables: &[("TIDEMARK_PRICE_RDS_MICRO_USD", "95000"), ("TIDEMARK_PRICE_S3_MICRO_USD", "23000")],
        schedules: &[
            Schedule {
                name: "publish-report-weekly",
                expression: "cron(30 6 ? * MON *)",
                input: r#"{"wake":"slot"}"#,
            },
            Schedule {
                name: "publish-report-monthly",
                expression: "cron(30 6 1 * ? *)",
                input: r#"{"wake":"slot"}"#,
            },
            Schedule { name: "publish-report-tick", expression: "rate(1 hour)", input: r#"{"wake":"tick"}"# },
        ],
        rules: &[],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 125,
        told: Told::BySendAlert,
    },
    Function {
        name: "verify-backup",
        timeout_seconds: 900,
        memory_mib: 1_769,
        variables: &[("TIDEMARK_TURN_SECONDS", "600"), ("TIDEMARK_VERIFY_MIB", "2048")],
        schedules: &[Schedule {
            name: "verify-backup-tick",
            expression: "rate(1 hour)",
            input: r#"{"wake":"tick"}"#,
        }],
        rules: &[],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 125,
        told: Told::BySendAlert,
    },
    Function {
        name: "write-heartbeat",
        timeout_seconds: 60,
        memory_mib: 256,
        variables: &[
            ("TIDEMARK_HEARTBEAT_SECRET", ""),
            ("TIDEMARK_TURSO_ORGANIZATION", ""),
            ("TIDEMARK_TURSO_API", "https://api.turso.tech"),
            ("TIDEMARK_DATABASE_CA", ""),
        ],
        schedules: &[Schedule {
            name: "write-heartbeat-tick",
            expression: "rate(1 minute)",
            input: r#"{"wake":"tick"}"#,
        }],
        rules: &[],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 4,
        told: Told::BySendAlert,
    },
    Function {
        name: "watch-rpo",
        timeout_seconds: 120,
        memory_mib: 512,
        variables: TURSO,
        schedules: &[
            Schedule { name: "watch-rpo-tick", expression: "rate(1 minute)", input: r#"{"wake":"tick"}"# },
            Schedule {
                name: "watch-rpo-canary",
                expression: "cron(30 9 * * ? *)",
                input: r#"{"wake":"canary"}"#,
            },
        ],
        rules: &[Rule {
            name: "watch-rpo-instance",
            pattern: r#"{"source": ["aws.rds"], "detail-type": ["RDS DB Instance Event"], "detail": {"EventID": [
                "RDS-EVENT-0028", "RDS-EVENT-0032", "RDS-EVENT-0031", "RDS-EVENT-0278", "RDS-EVENT-0353",
                "RDS-EVENT-0418", "RDS-EVENT-0419"]}}"#,
        }],
        reads: &[],
        failures: "FailuresQueue",
        silent_minutes: 4,
        told: Told::Straight,
    },
    Function {
        name: "send-alert",
        timeout_seconds: 30,
        memory_mib: 256,
        variables: &[
            ("TIDEMARK_ALERTS_TOPIC", "@AlertsTopic"),
            ("TIDEMARK_LEASE_SECONDS", "30"),
            ("TIDEMARK_RUNBOOKS_URL", ""),
            ("TIDEMARK_REMINDER_HOURS", "4"),
            ("TIDEMARK_ALARM_PREFIX", "tidemark-dev-"),
        ],
        schedules: &[Schedule {
            name: "send-alert-tick",
            expression: "rate(1 minute)",
            input: r#"{"wake":"tick"}"#,
        }],
        rules: &[
            Rule {
                name: "send-alert-facts",
                pattern: r#"{"source": ["tidemark"], "detail-type": ["Tidemark findings-changed"]}"#,
            },
            Rule {
                name: "send-alert-alarms",
                pattern: r#"{"source": ["aws.cloudwatch"], "detail-type": ["CloudWatch Alarm State Change"],
                    "detail": {"alarmName": [{"prefix": "tidemark-dev-"}]}}"#,
            },
        ],
        reads: &["FailuresQueue", "CanaryQueue"],
        // Not one that it reads: its own failures would wake it for ever.
        failures: "FailuresDeadLetterQueue",
        silent_minutes: 4,
        told: Told::Straight,
    },
];

impl Function {
    /// `backup-rds`, `Role` → `BackupRdsRole`: the logical ids of all that belongs to it.
    pub fn id(&self, of: &str) -> String {
        let words = self.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
        words.collect::<String>() + of
    }
}

/// Every rule for the functions' stack, resolved for the stage `dev` in us-east-1 with the recovery Region us-west-2.
pub fn check(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    let made: BTreeSet<&str> = stack.of_type("AWS::Lambda::Function").map(|(id, _)| id).collect();
    let wanted: BTreeSet<String> = FUNCTIONS.iter().map(|function| function.id("Function")).collect();
    expect(&mut findings, made.iter().copied().eq(wanted.iter().map(String::as_str)), || {
        format!("the functions are {made:?}, not {wanted:?}")
    });
    let roles: BTreeSet<&str> =
        stack.of_type("AWS::Lambda::Function").map(|(_, f)| text(&f["Properties"]["Role"])).collect();
    expect(&mut findings, roles.len() == made.len(), || format!("functions share a role: {roles:?}"));
    for function in FUNCTIONS {
        configuration(stack, function, &mut findings);
        log(stack, function, &mut findings);
        failures(stack, function, &mut findings);
    }
    wakes::check(stack, &mut findings);
    queues::check(stack, &mut findings);
    alarms::check(stack, &mut findings);
    topics::check(stack, &mut findings);
    findings
}

fn configuration(stack: &Stack, about: &Function, findings: &mut Findings) {
    let id = about.id("Function");
    let function = stack.get(&id);
    let name = about.name;
    let wanted = [
        ("/Properties/FunctionName".to_owned(), json!(format!("tidemark-dev-{name}"))),
        ("/Properties/Runtime".to_owned(), json!("provided.al2023")),
        ("/Properties/Handler".to_owned(), json!("bootstrap")),
        ("/Properties/Architectures".to_owned(), json!(["arm64"])),
        ("/Properties/Role".to_owned(), json!(format!("@{}.Arn", about.id("Role")))),
        ("/Properties/Timeout".to_owned(), json!(about.timeout_seconds)),
        ("/Properties/MemorySize".to_owned(), json!(about.memory_mib)),
        ("/Properties/LoggingConfig/LogFormat".to_owned(), json!("JSON")),
        ("/Properties/LoggingConfig/SystemLogLevel".to_owned(), json!("INFO")),
        ("/Properties/LoggingConfig/LogGroup".to_owned(), json!(format!("@{}", about.id("LogGroup")))),
    ];
    // The name by which CloudTrail, and the local cloud, tell whose call it was; 50 characters at most (AWS SDKs and
    // Tools Reference Guide, "Application ID").
    let app_id = format!("tidemark-{name}");
    expect(findings, app_id.len() <= 50, || format!("{app_id} is too long for an application id"));
    let shared = [
        ("TIDEMARK_STAGE", "dev"),
        ("TIDEMARK_PLANS_PARAMETER", "@PlansParameter"),
        ("TIDEMARK_VAULT_BUCKET", "tidemark-vault-dev-123456789012-us-east-1"),
        ("TIDEMARK_STATE_BUCKET", "tidemark-state-dev-123456789012-us-east-1"),
        ("TIDEMARK_EXPORT_BUCKET", "tidemark-export-dev-123456789012-us-east-1"),
        ("TIDEMARK_RECOVERY_VAULT_BUCKET", "tidemark-vault-dev-123456789012-us-west-2"),
        ("TIDEMARK_RECOVERY_EXPORT_BUCKET", "tidemark-export-dev-123456789012-us-west-2"),
        ("TIDEMARK_RECOVERY_REGION", "us-west-2"),
        ("TIDEMARK_RECOVERY_KEY", "arn:aws:kms:us-west-2:123456789012:alias/tidemark-dev"),
        ("TIDEMARK_EVENT_BUS", "default"),
        ("AWS_SDK_UA_APP_ID", &app_id),
    ];
    for (pointer, value) in &wanted {
        expect_at(findings, &id, function, pointer, value);
    }
    let variables = &function["Properties"]["Environment"]["Variables"];
    for (key, value) in shared.iter().chain(about.variables) {
        // A number becomes text in the environment.
        let found = variables[key].as_str().map_or_else(|| variables[key].to_string(), str::to_owned);
        expect(findings, found == *value, || format!("{id}: {key} is {found}, not {value}"));
    }
    let known = shared.len() + about.variables.len();
    let found = variables.as_object().map_or(0, serde_json::Map::len);
    expect(findings, found == known, || format!("{id} has {found} variables, of which {known} are known"));
    // A lease that outlives its holder blocks the next; one that ends earlier lets two work at once.
    let lease = text(&variables["TIDEMARK_LEASE_SECONDS"]);
    let timeout = &function["Properties"]["Timeout"];
    expect(findings, lease.is_empty() || lease.parse().ok() == timeout.as_u64(), || {
        format!("{id}: a lease of {lease} s and a time-out of {timeout} s")
    });
    let level = text(&function["Properties"]["LoggingConfig"]["ApplicationLogLevel"]);
    expect(findings, ["TRACE", "DEBUG", "INFO"].contains(&level), || {
        format!("{id}: the log level {level} drops the metrics (EMF lines count as INFO)")
    });
    let reserved = &function["Properties"]["ReservedConcurrentExecutions"];
    expect(findings, reserved.is_null(), || {
        format!("{id} reserves concurrency, which a new account refuses")
    });
}

fn log(stack: &Stack, about: &Function, findings: &mut Findings) {
    let (id, role) = (about.id("LogGroup"), about.id("Role"));
    let group = stack.get(&id);
    let name = json!(format!("/aws/lambda/tidemark-dev-{}", about.name));
    expect_at(findings, &id, group, "/Properties/LogGroupName", &name);
    let retention = &group["Properties"]["RetentionInDays"];
    expect(findings, !retention.is_null(), || format!("{id} keeps logs for ever"));
    let writes = access::may(stack, &role, "logs:PutLogEvents", &format!("@{id}.Arn"));
    expect(findings, writes, || format!("{role} may not write to {id}"));
}

fn failures(stack: &Stack, about: &Function, findings: &mut Findings) {
    let function = format!("@{}", about.id("Function"));
    let config = stack
        .of_type("AWS::Lambda::EventInvokeConfig")
        .map(|(_, config)| &config["Properties"])
        .find(|config| config["FunctionName"] == function.as_str())
        .unwrap_or(&Value::Null);
    let what = format!("{}'s asynchronous invocations", about.name);
    let queue = format!("@{}.Arn", about.failures);
    expect_at(findings, &what, config, "/MaximumRetryAttempts", &json!(2));
    expect_at(findings, &what, config, "/MaximumEventAgeInSeconds", &json!(3600));
    expect_at(findings, &what, config, "/DestinationConfig/OnFailure/Destination", &json!(queue));
    let role = about.id("Role");
    let hands_over = access::may(stack, &role, "sqs:SendMessage", &queue);
    expect(findings, hands_over, || format!("{role} may not hand over its failures"));
}

/// What the translator hides: how each function is built, from its own crate's folder.
pub fn builds(documents: &Documents, workspace: &Path) -> Findings {
    let mut findings = Vec::new();
    for about in FUNCTIONS {
        let (id, name) = (about.id("Function"), about.name);
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
