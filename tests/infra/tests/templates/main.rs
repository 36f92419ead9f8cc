//! The real templates keep every rule; spoilt in one place, they break the right one.

#![allow(clippy::expect_used, reason = "a panic is how a test fails, in its helpers too")]

use std::sync::LazyLock;

use infra_tests::{Documents, Findings, Stack, access, documents, functions, resolve, stages, vault};
use serde_json::{Value, json};

static REAL: LazyLock<Documents> = LazyLock::new(|| documents().expect("the files can be read"));

const HOME: &str = "us-east-1";
const AWAY: &str = "us-west-2";

fn home_vault(template: &Value) -> Stack {
    resolve(template, HOME, &[("ReplicaRegion", AWAY)]).expect("the home vault")
}

fn away_vault(template: &Value) -> Stack {
    resolve(template, AWAY, &[]).expect("the recovery Region's vault")
}

fn stack(template: &Value) -> Stack {
    resolve(template, HOME, &[]).expect("the functions' stack")
}

fn stack_in_vpc(template: &Value) -> Stack {
    let vpc = [("VpcSubnetIds", "subnet-0a,subnet-0b"), ("VpcSecurityGroupIds", "sg-0a")];
    resolve(template, HOME, &vpc).expect("the functions' stack in a VPC")
}

fn vault_findings(template: &Value) -> Findings {
    let mut findings = vault::check(&home_vault(template), Some(AWAY));
    findings.extend(vault::check(&away_vault(template), None));
    findings.extend(access::check(&home_vault(template), &access::of_the_vault()));
    findings
}

fn function_findings(template: &Value) -> Findings {
    let mut findings = functions::check(&stack(template));
    findings.extend(access::check(&stack(template), &access::of_the_functions(false)));
    findings.extend(access::check(&stack_in_vpc(template), &access::of_the_functions(true)));
    findings.extend(access::vpc_is_not_for_the_code(&stack_in_vpc(template)));
    findings
}

fn none(findings: &Findings) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn the_vault_keeps_every_rule() {
    none(&vault_findings(&REAL.vault));
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
fn the_stages_agree() {
    none(&stages::check(&REAL));
}

#[test]
fn the_bucket_takes_what_we_put_and_nothing_else() {
    let stack = home_vault(&REAL.vault);
    let kind = "s3:x-amz-server-side-encryption";
    let key = "s3:x-amz-server-side-encryption-aws-kms-key-id";
    let own_key = "s3:x-amz-server-side-encryption-customer-algorithm";
    let put = |more: &[(&str, &str)]| {
        let tls = [("aws:SecureTransport", "true")];
        vault::denies(&stack, "s3:PutObject", &[&tls, more].concat())
    };
    assert!(!put(&[]), "our puts leave the encryption to the bucket");
    assert!(!put(&[(kind, "aws:kms"), (key, "@VaultKey.Arn")]));
    assert!(put(&[(kind, "AES256")]));
    assert!(put(&[(kind, "aws:kms"), (key, "arn:aws:kms:us-east-1:123456789012:key/another")]));
    assert!(put(&[(own_key, "AES256")]));
    assert!(vault::denies(&stack, "s3:GetObject", &[("aws:SecureTransport", "false")]));
    assert!(!vault::denies(&stack, "s3:GetObject", &[("aws:SecureTransport", "true")]));
}

#[test]
fn replication_time_control_is_a_choice() {
    let with = resolve(&REAL.vault, HOME, &[("ReplicaRegion", AWAY), ("ReplicationTimeControl", "Enabled")]);
    let rule = |stack: &Stack| {
        stack.get("VaultBucket")["Properties"]["ReplicationConfiguration"]["Rules"][0].clone()
    };
    let with = rule(&with.expect("the home vault"));
    assert_eq!(with["Destination"]["ReplicationTime"], json!({"Status": "Enabled", "Time": {"Minutes": 15}}));
    let without = rule(&home_vault(&REAL.vault));
    assert_eq!(without["Destination"].get("ReplicationTime"), None);
}

#[test]
fn a_vpc_is_a_choice() {
    let config = |stack: &Stack| stack.get("RestoreDatabaseFunction")["Properties"].get("VpcConfig").cloned();
    assert_eq!(config(&stack(&REAL.functions)), None);
    let inside = json!({"SubnetIds": ["subnet-0a", "subnet-0b"], "SecurityGroupIds": ["sg-0a"]});
    assert_eq!(config(&stack_in_vpc(&REAL.functions)), Some(inside));
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

/// Where to spoil a template, with what (`Null` removes), and words of the sentence that must come of it.
type Spoilt = (&'static str, Value, &'static str);

/// Spoils a copy of the template in each place in turn.
fn each_is_noticed(template: &Value, findings: fn(&Value) -> Findings, all: &[Spoilt]) {
    let mut unnoticed = Vec::new();
    for (pointer, value, words) in all {
        let mut copy = template.clone();
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        let parent = copy.pointer_mut(parent).unwrap_or_else(|| panic!("there is no {parent} to spoil"));
        match (parent, value) {
            (Value::Object(members), Value::Null) => {
                assert!(members.remove(key).is_some(), "there is no {pointer} to remove");
            }
            (Value::Object(members), value) => {
                members.insert(key.to_owned(), value.clone());
            }
            (Value::Array(items), value) => {
                let index: usize = key.parse().expect("an index");
                if value.is_null() {
                    items.remove(index);
                } else if index < items.len() {
                    items[index] = value.clone();
                } else {
                    items.push(value.clone());
                }
            }
            (other, _) => panic!("{pointer} leads into {other}"),
        }
        let found = findings(&copy);
        if !found.iter().any(|finding| finding.contains(words)) {
            unnoticed.push(format!("{pointer} := {value} should say `{words}`, says {found:?}"));
        }
    }
    assert!(unnoticed.is_empty(), "\n{}", unnoticed.join("\n"));
}

#[test]
fn a_spoilt_vault_is_noticed() {
    let bucket = |rest: &str| -> &'static str { format!("/Resources/VaultBucket/{rest}").leak() };
    let rule = |rest: &str| bucket(&format!("Properties/ReplicationConfiguration/Fn::If/1/Rules/0/{rest}"));
    let statement = |rest: &str| -> &'static str {
        format!("/Resources/VaultBucketPolicy/Properties/PolicyDocument/Statement/{rest}").leak()
    };
    let role = |rest: &str| -> &'static str {
        format!("/Resources/ReplicationRole/Properties/Policies/0/PolicyDocument/Statement/{rest}").leak()
    };
    let expiry = json!({"Id": "old", "Status": "Enabled", "ExpirationInDays": 30});
    each_is_noticed(
        &REAL.vault,
        vault_findings,
        &[
            (bucket("DeletionPolicy"), json!("Delete"), "VaultBucket: /DeletionPolicy"),
            (bucket("UpdateReplacePolicy"), Value::Null, "VaultBucket: /UpdateReplacePolicy"),
            (
                bucket("Properties/VersioningConfiguration/Status"),
                json!("Suspended"),
                "VersioningConfiguration",
            ),
            (bucket("Properties/ObjectLockEnabled"), Value::Null, "ObjectLockEnabled"),
            (bucket("Properties/ObjectLockConfiguration/Rule"), Value::Null, "no default retention mode"),
            (bucket("Properties/ObjectLockConfiguration/Rule/DefaultRetention/Days"), json!(1), "daily tier"),
            (bucket("Properties/BucketEncryption"), Value::Null, "SSEAlgorithm"),
            (
                bucket("Properties/PublicAccessBlockConfiguration/BlockPublicPolicy"),
                json!(false),
                "BlockPublicPolicy",
            ),
            (bucket("Properties/OwnershipControls"), Value::Null, "ObjectOwnership"),
            (bucket("Properties/LifecycleConfiguration/Rules/1"), expiry, "a lifecycle rule deletes objects"),
            (bucket("Properties/LifecycleConfiguration"), Value::Null, "incomplete uploads"),
            (rule("DeleteMarkerReplication/Status"), json!("Enabled"), "DeleteMarkerReplication"),
            (rule("SourceSelectionCriteria"), Value::Null, "SseKmsEncryptedObjects"),
            (rule("Filter/Prefix"), json!("ledger/"), "Filter"),
            (rule("Destination/EncryptionConfiguration"), Value::Null, "ReplicaKmsKeyID"),
            (
                bucket("Properties/ReplicationConfiguration/Fn::If/2"),
                json!({"Role": "r"}),
                "without a ReplicaRegion",
            ),
            ("/Resources/VaultKey/Properties/EnableKeyRotation", json!(false), "EnableKeyRotation"),
            ("/Resources/VaultKey/DeletionPolicy", Value::Null, "VaultKey: /DeletionPolicy"),
            (
                "/Resources/VaultKey/Properties/KeyPolicy/Statement/1",
                json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Decrypt", "Resource": "*"}),
                "somebody else than the account",
            ),
            (statement("0"), Value::Null, "does not deny a request without TLS"),
            (statement("1/Condition"), Value::Null, "does not deny a put with another kind"),
            (statement("1/Condition/Null"), Value::Null, "denies what says nothing"),
            (statement("2/Action"), json!("s3:GetObject"), "does not deny a put with another key"),
            (statement("3/Effect"), json!("Allow"), "does not deny a put with the caller's key"),
            (
                statement("4"),
                json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}),
                "allows something",
            ),
            (role("2/Action/2"), json!("s3:ReplicateDelete"), "may destroy: s3:ReplicateDelete"),
            (role("1/Action/3"), json!("s3:GetObject"), "may not s3:GetObjectRetention"),
            (role("4/Condition"), Value::Null, "without a kms:ViaService"),
            (role("2/Resource"), json!("*"), "on *"),
            (
                "/Resources/ReplicationRole/Properties/AssumeRolePolicyDocument/Statement/0/Condition",
                Value::Null,
                "for another account",
            ),
        ],
    );
}

#[test]
fn a_spoilt_function_is_noticed() {
    let at = |id: &str, rest: &str| -> &'static str { format!("/Resources/{id}/Properties/{rest}").leak() };
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
            (at("BackupRdsFunction", "Timeout"), json!(3), "a time-out of 3 s"),
            (at("BackupRdsLogGroup", "RetentionInDays"), Value::Null, "keeps logs for ever"),
            (at("BackupRdsFunctionEventInvokeConfig", "DestinationConfig"), Value::Null, "OnFailure"),
            (
                at("BackupRdsFunctionEventInvokeConfig", "MaximumRetryAttempts"),
                json!(0),
                "MaximumRetryAttempts",
            ),
            ("/Resources/RestoreDatabaseFunctionEventInvokeConfig", Value::Null, "OnFailure"),
            ("/Resources/BackupRdsErrorsAlarm", Value::Null, "the alarm on backup-rds's Errors"),
            (
                at("BackupRdsSilentAlarm", "TreatMissingData"),
                json!("missing"),
                "the alarm on backup-rds's Invocations",
            ),
            (at("RestoreDatabaseThrottlesAlarm", "AlarmActions"), json!([]), "tells nobody"),
            (at("FailuresAlarm", "ActionsEnabled"), json!(false), "is switched off"),
            ("/Resources/UndeliveredAlarm", Value::Null, "nobody is told what lands in UndeliveredQueue"),
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
            (at("FailuresQueue", "SqsManagedSseEnabled"), Value::Null, "SqsManagedSseEnabled"),
            (at("FailuresQueue", "RedrivePolicy"), Value::Null, "deadLetterTargetArn"),
            ("/Resources/QueuesPolicy", Value::Null, "can be used without TLS"),
            (at("UndeliveredQueuePolicy", "PolicyDocument/Statement/0"), Value::Null, "does not admit"),
            (at("AlertsTopic", "KmsMasterKeyId"), json!("alias/aws/sns"), "KmsMasterKeyId"),
            (
                at("AlertsKey", "KeyPolicy/Statement/1"),
                Value::Null,
                "does not let alarms kms:GenerateDataKey",
            ),
            (
                at("AlertsTopicPolicy", "PolicyDocument/Statement/0"),
                Value::Null,
                "does not let alarms sns:Publish",
            ),
        ],
    );
}

#[test]
fn a_wider_role_is_noticed() {
    let at = |id: &str, rest: &str| -> &'static str { format!("/Resources/{id}/Properties/{rest}").leak() };
    let rds = |rest: &str| at("BackupRdsRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let restore = |rest: &str| at("RestoreDatabaseRole", &format!("Policies/{rest}"));
    let common = |rest: &str| at("LoopPolicy", &format!("PolicyDocument/Statement/{rest}"));
    let allow = |action: &str, resource: &str| json!({"Sid": "New", "Effect": "Allow", "Action": action, "Resource": resource});
    let snapshots = "arn:aws:rds:us-east-1:123456789012:snapshot:*";
    each_is_noticed(
        &REAL.functions,
        function_findings,
        &[
            (rds("99"), allow("rds:DeleteDBSnapshot", snapshots), "may destroy: rds:DeleteDBSnapshot"),
            (rds("99"), allow("rds:ModifyDBSnapshotAttribute", snapshots), "may destroy: rds:Modify"),
            (rds("99"), allow("rds:*", snapshots), "allows a pattern: rds:*"),
            (rds("99"), allow("rds:DescribeEvents", snapshots), "not in its list"),
            (rds("99"), allow("rds:CreateDBSnapshot", "arn:aws:rds:*:123456789012:db:*"), "on arn:aws:rds:*"),
            (rds("99"), allow("s3:PutObject", "arn:aws:s3:::*/*"), "on arn:aws:s3:::*/*"),
            (rds("99"), json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}), "NotAction"),
            (rds("0"), Value::Null, "may not rds:DescribeDBInstances"),
            (rds("5/Condition/Bool"), Value::Null, "may give grants to anybody"),
            (rds("4/Condition/StringEquals"), Value::Null, "without a kms:ViaService"),
            (
                restore("1/PolicyDocument/Statement/99"),
                allow("rds:DeleteDBInstance", snapshots),
                "may destroy",
            ),
            (
                restore("1/PolicyDocument/Statement/99"),
                allow("iam:PassRole", "*"),
                "may destroy: iam:PassRole",
            ),
            (
                restore("2/Fn::If/1/PolicyDocument/Statement/1"),
                Value::Null,
                "the network permissions of Lambda",
            ),
            (restore("2"), allow("x:y", "*"), "may not ec2:CreateNetworkInterface"),
            (common("99"), allow("s3:DeleteObject", "*"), "may destroy: s3:DeleteObject"),
            (common("4/Condition"), Value::Null, "may speak for another source"),
            (
                common("2/Condition"),
                json!({"StringLike": {"s3:prefix": "ledger/*"}}),
                "lists the ledger so: null",
            ),
            (common("5"), Value::Null, "may not hand over its failures"),
            (
                at("BackupRdsRole", "ManagedPolicyArns/1"),
                json!("arn:aws:iam::aws:policy/AdministratorAccess"),
                "a policy that is not ours",
            ),
            (
                "/Resources/Attached",
                json!({"Type": "AWS::IAM::Policy", "Properties": {"Roles": [{"Ref": "BackupRdsRole"}],
                    "PolicyDocument": {"Statement": [allow("rds:DeleteDBSnapshot", snapshots)]}}}),
                "BackupRdsRole/New may destroy",
            ),
            ("/Resources/ExtraRole", json!({"Type": "AWS::IAM::Role", "Properties": {}}), "the roles are"),
            (
                at("BackupRdsRole", "AssumeRolePolicyDocument/Statement/0/Principal"),
                json!({"AWS": "*"}),
                "may be assumed by others",
            ),
        ],
    );
}

#[test]
fn a_stage_that_disagrees_is_noticed() {
    let findings =
        |samconfig: &Value| stages::check(&Documents { samconfig: samconfig.clone(), ..REAL.clone() });
    let at = |environment: &str, key: &str| -> &'static str {
        format!("/{environment}/deploy/parameters/{key}").leak()
    };
    for (pointer, value, words) in [
        (at("dev-recovery", "region"), json!("eu-west-1"), "dev: the vault does not replicate to eu-west-1"),
        (
            at("prod", "parameter_overrides/1"),
            json!("RecoveryRegion=eu-west-1"),
            "prod: the functions do not copy",
        ),
        (at("staging", "region"), json!("us-east-2"), "staging: the vault is in"),
        (at("prod", "confirm_changeset"), json!(false), "prod: confirm_changeset is false"),
        (at("dev", "parameter_overrides/1"), json!("RecoverRegion=us-west-2"), "no parameter RecoverRegion"),
        (at("dev", "parameter_overrides/3"), json!("LogLevel=WARN"), "LogLevel cannot be WARN"),
        (at("prod-vault", "stack_name"), json!("other"), "the stack is named"),
        (at("prod-vault", "parameter_overrides/3"), json!("ObjectLockMode=COMPLIANCE"), "lock differently"),
        (at("dev", "capabilities"), json!("CAPABILITY_NAMED_IAM"), "not just roles"),
        ("/default/build/parameters/cached", json!(true), "stale code"),
    ] {
        let mut copy = REAL.samconfig.clone();
        *copy.pointer_mut(pointer).unwrap_or_else(|| panic!("there is no {pointer} to spoil")) = value;
        let found = findings(&copy);
        assert!(
            found.iter().any(|finding| finding.contains(words)),
            "{pointer} should say `{words}`: {found:?}"
        );
    }
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
