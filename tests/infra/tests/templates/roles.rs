//! The roles: each action more, or less, is noticed.

use serde_json::{Value, json};

use crate::functions::function_findings;
use crate::{REAL, at, each_is_noticed};

#[test]
fn a_wider_role_is_noticed() {
    let rds = |rest: &str| at("BackupRdsRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let restore = |rest: &str| at("RestoreDatabaseRole", &format!("Policies/{rest}"));
    let watch = |rest: &str| at("WatchRpoRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let send = |rest: &str| at("SendAlertRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let state = "arn:aws:s3:::tidemark-state-dev-123456789012-us-east-1";
    let databases = "arn:aws:rds:us-east-1:123456789012:db:*";
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
            (common("6/Condition"), Value::Null, "may speak for another source"),
            (
                common("2/Condition"),
                json!({"StringLike": {"s3:prefix": "ledger/*"}}),
                "lists the ledger so: null",
            ),
            (
                common("4/Condition"),
                json!({"StringLike": {"s3:prefix": "findings/*"}}),
                "lists the state so: null",
            ),
            (common("4"), Value::Null, "BackupRdsRole lists the state bucket: false"),
            (common("3"), Value::Null, "WatchRpoRole may not s3:PutObject in findings/"),
            (common("3/Resource"), json!(format!("{state}/*")), "BackupRdsRole may s3:PutObject in alerts/"),
            (common("7"), Value::Null, "may not hand over its failures"),
            (watch("0"), Value::Null, "WatchRpoRole may not rds:DescribeDBInstances"),
            (watch("3"), Value::Null, "WatchRpoRole may not s3:PutObject in watch/"),
            (
                watch("3/Resource"),
                json!(format!("{state}/alerts/*")),
                "WatchRpoRole may s3:PutObject in alerts/",
            ),
            (
                watch("99"),
                allow("rds:CreateDBSnapshot", snapshots),
                "rds:CreateDBSnapshot, which is not in its list",
            ),
            (
                watch("99"),
                allow("s3:DeleteObject", &format!("{state}/watch/*")),
                "may destroy: s3:DeleteObject",
            ),
            (send("0"), Value::Null, "SendAlertRole may not s3:GetObject in alerts/"),
            (send("2/Condition"), Value::Null, "without a kms:ViaService"),
            (send("3/Resource"), json!("*"), "allows cloudwatch:DescribeAlarms on *"),
            (send("4/Resource/1"), Value::Null, "SendAlertRole may not sqs:ReceiveMessage of CanaryQueue"),
            (send("5"), Value::Null, "SendAlertRole may not hand over its failures"),
            (
                send("99"),
                allow("rds:DescribeDBInstances", databases),
                "rds:DescribeDBInstances, which is not in its list",
            ),
            (watch("99"), allow("sqs:DeleteMessage", "@FailuresQueue.Arn"), "WatchRpoRole/New may destroy"),
            (
                at("SendAlertRole", "ManagedPolicyArns"),
                json!(["arn:aws:iam::aws:policy/AmazonSNSFullAccess"]),
                "a policy that is not ours",
            ),
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
