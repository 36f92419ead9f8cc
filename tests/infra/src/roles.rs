//! What each role may do, written down a second time, so that a new action is added on purpose.

/// What a role may do, exactly.
#[derive(Clone, Debug, Default)]
pub struct Role {
    /// Its logical id.
    pub id: &'static str,
    /// Every action, of whatever statement, besides those of `LoopPolicy` where the role has it.
    pub actions: Vec<&'static str>,
    /// The actions that may have the resource `*`: those for which IAM knows no other.
    pub anywhere: Vec<&'static str>,
    /// The actions that may begin with a destructive verb, each harmless for a reason given in the template.
    pub destructive: Vec<&'static str>,
    /// The actions of KMS that it calls itself: all others it may use only through another service.
    pub directly: Vec<&'static str>,
}

/// What `LoopPolicy` gives to every function.
pub(crate) const LOOP: [&str; 7] = [
    "events:PutEvents",
    "kms:Decrypt",
    "kms:GenerateDataKey",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
    "sqs:SendMessage",
];

/// What the roles of those that connect to databases may do besides when they are deployed into a VPC; for the Lambda service, not
/// for the code.
pub(crate) const VPC: [&str; 6] = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
];

/// The roles of `infra/template.yaml`.
pub fn of_the_functions(in_vpc: bool) -> Vec<Role> {
    let mut connected = [restore_database(), run_drill(), write_heartbeat()];
    if in_vpc {
        for role in &mut connected {
            role.actions.extend(VPC);
            role.anywhere.extend(VPC);
            role.destructive.push("ec2:DeleteNetworkInterface");
        }
    }
    let scheduled = [
        "BackupRdsScheduleRole",
        "BackupRedisScheduleRole",
        "BackupTursoScheduleRole",
        "RestoreDatabaseScheduleRole",
        "RunDrillScheduleRole",
        "PlanRetentionScheduleRole",
        "DeleteExpiredScheduleRole",
        "CheckPostureScheduleRole",
        "PublishReportScheduleRole",
        "VerifyBackupScheduleRole",
        "WriteHeartbeatScheduleRole",
        "WatchRpoScheduleRole",
        "SendAlertScheduleRole",
    ];
    let actions = vec!["lambda:InvokeFunction", "sqs:SendMessage"];
    let scheduled = scheduled.map(|id| Role { id, actions: actions.clone(), ..Role::default() });
    let backups = [backup_rds(), backup_redis(), backup_turso()];
    let own = backups.into_iter().chain(connected).chain([
        plan_retention(),
        delete_expired(),
        check_posture(),
        publish_report(),
        verify_backup(),
        watch_rpo(),
        send_alert(),
    ]);
    own.chain(scheduled).collect()
}

fn backup_rds() -> Role {
    Role {
        id: "BackupRdsRole",
        actions: vec![
            "kms:CreateGrant",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "rds:AddTagsToResource",
            "rds:CopyDBSnapshot",
            "rds:CreateDBSnapshot",
            "rds:DescribeAccountAttributes",
            "rds:DescribeDBInstances",
            "rds:DescribeDBSnapshots",
            "ssm:GetParameter",
        ],
        anywhere: vec!["rds:DescribeAccountAttributes"],
        ..Role::default()
    }
}

fn backup_redis() -> Role {
    Role {
        id: "BackupRedisRole",
        actions: vec![
            "elasticache:AddTagsToResource",
            "elasticache:CopySnapshot",
            "elasticache:CreateServerlessCacheSnapshot",
            "elasticache:CreateSnapshot",
            "elasticache:DeleteServerlessCacheSnapshot",
            "elasticache:DeleteSnapshot",
            "elasticache:DescribeCacheClusters",
            "elasticache:DescribeReplicationGroups",
            "elasticache:DescribeServerlessCacheSnapshots",
            "elasticache:DescribeServerlessCaches",
            "elasticache:DescribeSnapshots",
            "elasticache:ExportServerlessCacheSnapshot",
            "elasticache:ListTagsForResource",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "s3:AbortMultipartUpload",
            "s3:ListAllMyBuckets",
            "ssm:GetParameter",
            "tag:GetResources",
        ],
        anywhere: vec!["s3:ListAllMyBuckets", "tag:GetResources"],
        // What is in the vaults of both Regions, by the plan's number or as left over; `ours_alone_are_deleted` says of which.
        destructive: vec!["elasticache:DeleteServerlessCacheSnapshot", "elasticache:DeleteSnapshot"],
        ..Role::default()
    }
}

fn backup_turso() -> Role {
    Role {
        id: "BackupTursoRole",
        actions: vec![
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "s3:AbortMultipartUpload",
            "secretsmanager:GetSecretValue",
            "ssm:GetParameter",
        ],
        ..Role::default()
    }
}

fn restore_database() -> Role {
    Role {
        id: "RestoreDatabaseRole",
        actions: vec![
            "elasticache:AddTagsToResource",
            "elasticache:CreateCacheCluster",
            "elasticache:CreateReplicationGroup",
            "elasticache:CreateServerlessCache",
            "elasticache:DescribeCacheClusters",
            "elasticache:DescribeReplicationGroups",
            "elasticache:DescribeServerlessCacheSnapshots",
            "elasticache:DescribeServerlessCaches",
            "elasticache:DescribeSnapshots",
            "elasticache:ListTagsForResource",
            "kms:CreateGrant",
            "kms:DescribeKey",
            "kms:GenerateDataKeyWithoutPlaintext",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "rds:AddTagsToResource",
            "rds:DescribeDBInstanceAutomatedBackups",
            "rds:DescribeDBInstances",
            "rds:DescribeDBSnapshots",
            "rds:RestoreDBInstanceFromDBSnapshot",
            "rds:RestoreDBInstanceToPointInTime",
            "s3:AbortMultipartUpload",
            "s3:ListAllMyBuckets",
            "secretsmanager:GetSecretValue",
            "ssm:GetParameter",
            "tag:GetResources",
        ],
        anywhere: vec!["s3:ListAllMyBuckets", "tag:GetResources"],
        ..Role::default()
    }
}

fn run_drill() -> Role {
    let destructive = vec![
        "elasticache:DeleteCacheCluster",
        "elasticache:DeleteReplicationGroup",
        "elasticache:DeleteServerlessCache",
        "rds:DeleteDBInstance",
    ];
    let others = [
        "elasticache:DescribeCacheClusters",
        "elasticache:DescribeReplicationGroups",
        "elasticache:DescribeServerlessCaches",
        "elasticache:ListTagsForResource",
        "lambda:InvokeFunction",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "rds:DescribeDBInstanceAutomatedBackups",
        "rds:DescribeDBInstances",
        "rds:DescribeDBSnapshots",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "tag:GetResources",
    ];
    Role {
        id: "RunDrillRole",
        actions: destructive.iter().copied().chain(others).collect(),
        anywhere: vec!["tag:GetResources"],
        // What drills made; `drills_alone_are_torn_down` says of which.
        destructive,
        ..Role::default()
    }
}

fn plan_retention() -> Role {
    Role {
        id: "PlanRetentionRole",
        actions: vec![
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "rds:DescribeDBSnapshots",
            "ssm:GetParameter",
        ],
        ..Role::default()
    }
}

fn delete_expired() -> Role {
    let destructive = vec!["rds:DeleteDBSnapshot", "s3:DeleteObjectVersion"];
    let others = [
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "rds:AddTagsToResource",
        "rds:DescribeDBSnapshots",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:ListBucketVersions",
        "s3:PutObjectRetention",
        "ssm:GetParameter",
    ];
    let actions = destructive.iter().copied().chain(others).collect();
    // What retention is for; `ours_alone_are_deleted` says of which.
    Role { id: "DeleteExpiredRole", actions, destructive, ..Role::default() }
}

fn check_posture() -> Role {
    let directly = vec!["kms:DescribeKey", "kms:Encrypt"];
    let others = [
        "elasticache:DescribeCacheClusters",
        "elasticache:DescribeReplicationGroups",
        "elasticache:DescribeServerlessCaches",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "rds:DescribeAccountAttributes",
        "rds:DescribeDBInstances",
        "rds:DescribeDBSnapshots",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        "s3:GetReplicationConfiguration",
        "secretsmanager:GetSecretValue",
        "sns:ListSubscriptionsByTopic",
        "ssm:GetParameter",
        "tag:GetResources",
    ];
    Role {
        id: "CheckPostureRole",
        actions: directly.iter().copied().chain(others).collect(),
        anywhere: vec!["rds:DescribeAccountAttributes", "tag:GetResources"],
        directly,
        ..Role::default()
    }
}

fn publish_report() -> Role {
    Role {
        id: "PublishReportRole",
        actions: vec![
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "rds:DescribeDBSnapshots",
            "ssm:GetParameter",
        ],
        ..Role::default()
    }
}

fn verify_backup() -> Role {
    Role {
        id: "VerifyBackupRole",
        actions: vec![
            "kms:DescribeKey",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "rds:DescribeDBSnapshots",
        ],
        directly: vec!["kms:DescribeKey"],
        ..Role::default()
    }
}

fn write_heartbeat() -> Role {
    Role {
        id: "WriteHeartbeatRole",
        actions: vec![
            "elasticache:DescribeCacheClusters",
            "elasticache:DescribeReplicationGroups",
            "elasticache:DescribeServerlessCaches",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "rds:DescribeDBInstances",
            "secretsmanager:GetSecretValue",
            "ssm:GetParameter",
            "tag:GetResources",
        ],
        anywhere: vec!["tag:GetResources"],
        ..Role::default()
    }
}

fn watch_rpo() -> Role {
    Role {
        id: "WatchRpoRole",
        actions: vec![
            "elasticache:DescribeCacheClusters",
            "elasticache:DescribeReplicationGroups",
            "elasticache:DescribeServerlessCaches",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "rds:DescribeDBInstanceAutomatedBackups",
            "rds:DescribeDBInstances",
            "rds:DescribeDBSnapshots",
            "secretsmanager:GetSecretValue",
            "ssm:GetParameter",
            "tag:GetResources",
        ],
        anywhere: vec!["tag:GetResources"],
        ..Role::default()
    }
}

fn send_alert() -> Role {
    Role {
        id: "SendAlertRole",
        actions: vec![
            "cloudwatch:DescribeAlarms",
            "logs:CreateLogStream",
            "logs:PutLogEvents",
            "sns:Publish",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
            "sqs:ReceiveMessage",
        ],
        // A message that was dealt with: Lambda deletes it in the function's name.
        destructive: vec!["sqs:DeleteMessage"],
        ..Role::default()
    }
}

/// The role of `infra/vault.yaml`, which it has in the home Region only.
pub fn of_the_vault() -> Vec<Role> {
    let actions = vec![
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionTagging",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:ReplicateObject",
        "s3:ReplicateTags",
    ];
    vec![Role { id: "ReplicationRole", actions, ..Role::default() }]
}
