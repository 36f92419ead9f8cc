//! The roles: each action more, or less, is noticed.

use serde_json::{Value, json};

use crate::functions::function_findings;
use crate::{REAL, at, each_is_noticed};

const STATE: &str = "arn:aws:s3:::tidemark-state-dev-123456789012-us-east-1";

#[test]
fn a_wider_role_is_noticed() {
    let rds = |rest: &str| at("BackupRdsRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let redis = |rest: &str| at("BackupRedisRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let turso = |rest: &str| at("BackupTursoRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let restore = |rest: &str| at("RestoreDatabaseRole", &format!("Policies/{rest}"));
    let watch = |rest: &str| at("WatchRpoRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let send = |rest: &str| at("SendAlertRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let delete = |rest: &str| at("DeleteExpiredRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let beat = |rest: &str| at("WriteHeartbeatRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let drill = |rest: &str| at("RunDrillRole", &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let state = STATE;
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
                restore("3/Fn::If/1/PolicyDocument/Statement/1"),
                Value::Null,
                "the network permissions of Lambda",
            ),
            (restore("3"), allow("x:y", "*"), "may not ec2:CreateNetworkInterface"),
            (common("99"), allow("s3:DeleteObject", "*"), "may destroy: s3:DeleteObject"),
            (common("4/Condition"), Value::Null, "may speak for another source"),
            (
                common("1/Condition"),
                json!({"StringLike": {"s3:prefix": "ledger/*"}}),
                "lists the ledger so: null",
            ),
            (
                common("2/Condition"),
                json!({"StringLike": {"s3:prefix": "findings/*"}}),
                "lists the state so: null",
            ),
            (common("5"), Value::Null, "may not hand over its failures"),
            (
                redis("6/Resource/0"),
                json!("arn:aws:elasticache:us-east-1:123456789012:snapshot:*"),
                "BackupRedisRole may delete what is not ours",
            ),
            (redis("6/Condition"), Value::Null, "BackupRedisRole may delete what is not ours"),
            (
                redis("6/Action/0"),
                json!("elasticache:DeleteReplicationGroup"),
                "may destroy: elasticache:DeleteR",
            ),
            (
                turso("99"),
                allow("s3:DeleteObject", "arn:aws:s3:::tidemark-vault-dev-123456789012-us-east-1/turso/*"),
                "may destroy",
            ),
            (
                at("BackupTursoRole", "Policies/1/PolicyDocument/Statement/2/Condition"),
                Value::Null,
                "lists the vaults so: null",
            ),
            (
                delete("5/Resource/1"),
                json!("arn:aws:s3:::tidemark-vault-dev-123456789012-us-east-1/turso/*"),
                "DeleteExpiredRole: s3:GetObject of turso/",
            ),
            (
                delete("5/Action"),
                json!(["s3:GetObject", "s3:GetObjectVersion"]),
                "DeleteExpiredRole may s3:GetObjectVersion",
            ),
            (delete("5/Resource/2"), Value::Null, "manifest.json in us-west-2: false"),
            (delete("6/Action/1"), Value::Null, "DeleteExpiredRole may not s3:GetObjectRetention"),
            (
                drill("0/Resource"),
                json!("arn:aws:lambda:us-east-1:123456789012:function:tidemark-dev-*"),
                "RunDrillRole may ask more than restore-database",
            ),
            (
                drill("4/Resource/6"),
                json!("arn:aws:rds:us-east-1:123456789012:db:tidemark-*"),
                "RunDrillRole may delete a database that no drill made",
            ),
            (drill("4/Condition"), Value::Null, "RunDrillRole may delete a database that no drill made"),
            (
                drill("99"),
                allow("rds:DeleteDBSnapshot", snapshots),
                "RunDrillRole/New may destroy: rds:DeleteDBSnapshot",
            ),
            (
                drill("99"),
                allow("rds:RestoreDBInstanceToPointInTime", databases),
                "RunDrillRole restores by itself",
            ),
            (
                delete("99"),
                allow("rds:DeleteDBInstance", "arn:aws:rds:us-east-1:123456789012:db:tidemark-drill-*"),
                "DeleteExpiredRole may delete a database that no drill made",
            ),
            (
                beat("4/Resource"),
                json!("arn:aws:secretsmanager:us-east-1:123456789012:secret:tidemark/*"),
                "WriteHeartbeatRole reads turso-abc: true",
            ),
            (watch("0"), Value::Null, "WatchRpoRole may not rds:DescribeDBInstances"),
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

#[test]
fn a_role_that_may_write_what_is_not_its_own_is_noticed() {
    let common = |rest: &str| at("LoopPolicy", &format!("PolicyDocument/Statement/{rest}"));
    let own = |role: &str, rest: &str| at(role, &format!("Policies/1/PolicyDocument/Statement/{rest}"));
    let allow = |action: &str, place: &str| json!({"Sid": "New", "Effect": "Allow", "Action": action, "Resource": format!("{STATE}{place}")});
    let resource = |place: &str| json!(format!("{STATE}{place}"));
    let read_plans = json!({"Sid": "New", "Effect": "Allow", "Action": "ssm:GetParameter",
        "Resource": "arn:aws:ssm:us-east-1:123456789012:parameter/tidemark/dev/plans"});
    each_is_noticed(
        &REAL.functions,
        function_findings,
        &[
            // The statement that was in LoopPolicy until each role had its own.
            (
                common("99"),
                allow("s3:PutObject", "/findings/*"),
                "BackupRdsRole may s3:PutObject in the state bucket: findings/*",
            ),
            (
                own("WatchRpoRole", "99"),
                allow("s3:PutObject", "/findings/backup-rds.json"),
                "WatchRpoRole may s3:PutObject in the state bucket: findings/backup-rds.json",
            ),
            (
                own("BackupRdsRole", "99"),
                allow("s3:GetObject", "/findings/*"),
                "BackupRdsRole may s3:GetObject in the state bucket: findings/*",
            ),
            (
                own("BackupRdsRole", "8/Resource"),
                resource("/findings/restore-database.json"),
                "BackupRdsRole may s3:PutObject in the state bucket: findings/restore-database.json",
            ),
            (
                own("BackupRdsRole", "8"),
                Value::Null,
                "BackupRdsRole may not s3:PutObject in the state bucket: findings/backup-rds.json",
            ),
            (
                own("RestoreDatabaseRole", "6/Resource"),
                resource("/findings/r*.json"),
                "RestoreDatabaseRole may s3:PutObject in the state bucket: findings/r*.json",
            ),
            (
                own("RestoreDatabaseRole", "99"),
                allow("s3:PutObject", "*"),
                "RestoreDatabaseRole may s3:PutObject in the state bucket: arn:aws:s3:::tidemark-state-",
            ),
            (
                own("WatchRpoRole", "99"),
                json!({"Sid": "New", "Effect": "Allow", "Action": "s3:PutObject",
                    "Resource": "arn:aws:s3:::tidemark-state-dev-123456789012-*/findings/watch-rpo.json"}),
                "WatchRpoRole may s3:PutObject in the state bucket: arn:aws:s3:::tidemark-state-",
            ),
            (
                own("WatchRpoRole", "3"),
                Value::Null,
                "WatchRpoRole may not s3:PutObject in the state bucket: watch/*",
            ),
            (
                own("WatchRpoRole", "3/Resource"),
                resource("/alerts/open.json"),
                "WatchRpoRole may s3:PutObject in the state bucket: alerts/open.json",
            ),
            (
                own("SendAlertRole", "0"),
                Value::Null,
                "SendAlertRole may not s3:GetObject in the state bucket: alerts/open.json",
            ),
            (
                own("SendAlertRole", "0/Resource"),
                resource("/alerts/*"),
                "SendAlertRole may s3:PutObject in the state bucket: alerts/*",
            ),
            (
                own("SendAlertRole", "7"),
                Value::Null,
                "SendAlertRole may not s3:GetObject in the state bucket: findings/*",
            ),
            (
                own("SendAlertRole", "7/Action"),
                json!(["s3:GetObject", "s3:PutObject"]),
                "SendAlertRole may s3:PutObject in the state bucket: findings/*",
            ),
            (
                at("BackupRdsScheduleRole", "Policies/0/PolicyDocument/Statement/99"),
                allow("s3:PutObject", "/findings/backup-rds.json"),
                "BackupRdsScheduleRole may s3:PutObject in the state bucket",
            ),
            (common("2"), Value::Null, "BackupRdsRole may not s3:ListBucket in the state bucket: the bucket"),
            // Only those that read plans may.
            (
                own("SendAlertRole", "99"),
                read_plans.clone(),
                "SendAlertRole may ssm:GetParameter, which is not in its list",
            ),
            (
                own("VerifyBackupRole", "99"),
                read_plans,
                "VerifyBackupRole may ssm:GetParameter, which is not in its list",
            ),
            (own("WatchRpoRole", "5"), Value::Null, "WatchRpoRole may not ssm:GetParameter"),
        ],
    );
}
