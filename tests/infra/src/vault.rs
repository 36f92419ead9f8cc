//! The vault: what makes it a vault, most of which no local cloud would miss.

use serde_json::{Value, json};

use crate::{Findings, Stack, expect, expect_at, list, strings, text};

/// Every rule for `infra/vault.yaml`. `replica` is the Region to which it replicates, if it does.
pub fn check(stack: &Stack, replica: Option<&str>) -> Findings {
    let mut findings = Vec::new();
    bucket(stack, &mut findings);
    is_private(stack, "VaultBucket", &mut findings);
    key(stack, &mut findings);
    policy(stack, &mut findings);
    export(stack, &mut findings);
    outlives(stack, &mut findings);
    match replica {
        Some(region) => {
            replication(stack, region, &mut findings);
            findings.extend(check_state(stack));
        }
        None => {
            let configured = stack.get("VaultBucket").pointer("/Properties/ReplicationConfiguration");
            expect(&mut findings, configured.is_none(), || {
                "VaultBucket replicates without a ReplicaRegion".into()
            });
            expect(&mut findings, stack.get("ReplicationRole").is_null(), || {
                "ReplicationRole exists without a ReplicaRegion".into()
            });
            expect(&mut findings, stack.get("StateBucket").is_null(), || {
                "StateBucket exists where no functions run".into()
            });
        }
    }
    findings
}

fn bucket(stack: &Stack, findings: &mut Findings) {
    let bucket = stack.get("VaultBucket");
    for (pointer, value) in [
        ("/Properties/VersioningConfiguration/Status", json!("Enabled")),
        ("/Properties/ObjectLockEnabled", json!(true)),
        ("/Properties/ObjectLockConfiguration/ObjectLockEnabled", json!("Enabled")),
    ] {
        expect_at(findings, "VaultBucket", bucket, pointer, &value);
    }

    let retention = &bucket["Properties"]["ObjectLockConfiguration"]["Rule"]["DefaultRetention"];
    let mode = text(&retention["Mode"]);
    expect(findings, ["GOVERNANCE", "COMPLIANCE"].contains(&mode), || {
        format!("VaultBucket: no default retention mode: {retention}")
    });
    let days = &retention["Days"];
    let days = days.as_u64().or_else(|| days.as_str()?.parse().ok());
    // Of the default plan, the daily tier: seven days and the day in which the eighth is taken.
    expect(findings, days.is_some_and(|days| days >= 8), || {
        format!("VaultBucket: a default retention that does not cover the daily tier: {retention}")
    });
}

/// Every rule for the state bucket, which is where the functions run.
pub fn check_state(stack: &Stack) -> Findings {
    let mut findings = Vec::new();
    let (id, name) = ("StateBucket", "tidemark-state-dev-123456789012-");
    let bucket = stack.get(id);
    let named = text(&bucket["Properties"]["BucketName"]);
    expect(&mut findings, named.starts_with(name), || format!("{id} is named {named}"));
    is_private(stack, id, &mut findings);
    for (number, (prefix, days)) in (1..).zip(GOES_BY_AGE) {
        let rule = format!("/Properties/LifecycleConfiguration/Rules/{number}");
        for (key, value) in
            [("Status", json!("Enabled")), ("Prefix", json!(prefix)), ("ExpirationInDays", json!(days))]
        {
            expect_at(&mut findings, id, bucket, &format!("{rule}/{key}"), &value);
        }
    }
    // Each document is replaced every few minutes: versions and locks would keep them all.
    for property in [
        "VersioningConfiguration",
        "ObjectLockEnabled",
        "ObjectLockConfiguration",
        "ReplicationConfiguration",
    ] {
        expect_at(&mut findings, id, bucket, &format!("/Properties/{property}"), &Value::Null);
    }
    let policy = stack.get("StateBucketPolicy");
    expect_at(&mut findings, "StateBucketPolicy", policy, "/Properties/Bucket", &json!("@StateBucket"));
    let tls = json!([{
        "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["@StateBucket.Arn", "@StateBucket.Arn/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }]);
    expect_at(&mut findings, "StateBucketPolicy", policy, "/Properties/PolicyDocument/Statement", &tls);
    findings
}

/// Every rule for the bucket through which `ElastiCache` hands snapshots over: it must be able to, and nothing may stay.
fn export(stack: &Stack, findings: &mut Findings) {
    let id = "ExportBucket";
    let bucket = stack.get(id);
    let named = text(&bucket["Properties"]["BucketName"]);
    expect(findings, named.starts_with("tidemark-export-dev-123456789012-"), || {
        format!("{id} is named {named}")
    });
    let encryption =
        "/Properties/BucketEncryption/ServerSideEncryptionConfiguration/0/ServerSideEncryptionByDefault";
    for (pointer, value) in [
        // ElastiCache restores nothing that is encrypted with a key of ours.
        (format!("{encryption}/SSEAlgorithm"), json!("AES256")),
        ("/Properties/LifecycleConfiguration/Rules/0/Status".to_owned(), json!("Enabled")),
        ("/Properties/LifecycleConfiguration/Rules/0/ExpirationInDays".to_owned(), json!(7)),
        ("/Properties/PublicAccessBlockConfiguration/BlockPublicAcls".to_owned(), json!(true)),
        ("/Properties/PublicAccessBlockConfiguration/BlockPublicPolicy".to_owned(), json!(true)),
        ("/Properties/PublicAccessBlockConfiguration/IgnorePublicAcls".to_owned(), json!(true)),
        ("/Properties/PublicAccessBlockConfiguration/RestrictPublicBuckets".to_owned(), json!(true)),
        ("/Properties/ObjectLockEnabled".to_owned(), Value::Null),
    ] {
        expect_at(findings, id, bucket, &pointer, &value);
    }
    let policy = stack.get("ExportBucketPolicy");
    expect_at(findings, "ExportBucketPolicy", policy, "/Properties/Bucket", &json!("@ExportBucket"));
    let statements = list(&policy["Properties"]["PolicyDocument"]["Statement"]);
    let tls = statements.iter().any(|statement| {
        statement["Effect"] == "Deny" && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"
    });
    expect(findings, tls, || "ExportBucketPolicy does not deny a request without TLS".into());
    let allowed: Vec<&Value> = statements.iter().filter(|statement| statement["Effect"] == "Allow").collect();
    let elasticache = allowed.iter().any(|statement| {
        let service = text(&statement["Principal"]["Service"]);
        ["us-east-1", "us-west-2"]
            .iter()
            .any(|r| service == format!("{r}.elasticache-snapshot.amazonaws.com"))
            && strings(&statement["Action"]) == HANDS_OVER
            && strings(&statement["Resource"]) == ["@ExportBucket.Arn", "@ExportBucket.Arn/*"]
    });
    expect(findings, elasticache && allowed.len() == 1, || {
        format!("ExportBucketPolicy: not ElastiCache, or not it alone, may hand over: {allowed:?}")
    });
}

/// What `ElastiCache` needs in the bucket (User Guide, "Exporting a backup").
const HANDS_OVER: [&str; 6] = [
    "s3:GetBucketAcl",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "s3:PutObject",
];

/// What of the state bucket goes by age, and after how many days: what was fetched of unfinished copies, and what restores
/// remember, which nobody looks at after thirty.
const GOES_BY_AGE: [(&str, u32); 2] = [("staging/", 1), ("restores/", 60)];

/// Encrypted with our key, closed to the world and to other accounts, and nothing in it goes by age.
fn is_private(stack: &Stack, id: &str, findings: &mut Findings) {
    let bucket = stack.get(id);
    let encryption = "/Properties/BucketEncryption/ServerSideEncryptionConfiguration/0";
    for (pointer, value) in [
        ("/Properties/PublicAccessBlockConfiguration/BlockPublicAcls".to_owned(), json!(true)),
        ("/Properties/PublicAccessBlockConfiguration/BlockPublicPolicy".to_owned(), json!(true)),
        ("/Properties/PublicAccessBlockConfiguration/IgnorePublicAcls".to_owned(), json!(true)),
        ("/Properties/PublicAccessBlockConfiguration/RestrictPublicBuckets".to_owned(), json!(true)),
        ("/Properties/OwnershipControls/Rules/0/ObjectOwnership".to_owned(), json!("BucketOwnerEnforced")),
        (format!("{encryption}/ServerSideEncryptionByDefault/SSEAlgorithm"), json!("aws:kms")),
        (format!("{encryption}/ServerSideEncryptionByDefault/KMSMasterKeyID"), json!("@VaultKey.Arn")),
        (format!("{encryption}/BucketKeyEnabled"), json!(true)),
    ] {
        expect_at(findings, id, bucket, &pointer, &value);
    }
    let rules = list(&bucket["Properties"]["LifecycleConfiguration"]["Rules"]);
    // A lifecycle that expires objects would delete backups without any of the checks before a deletion, or forget
    // which alerts are open.
    for rule in rules {
        let expires = rule.as_object().is_some_and(|rule| rule.keys().any(|key| key.contains("Expiration")));
        let may = id == "StateBucket" && GOES_BY_AGE.iter().any(|(prefix, _)| rule["Prefix"] == *prefix);
        expect(findings, may || !expires, || format!("{id}: a lifecycle rule deletes objects: {rule}"));
    }
    let aborts = rules.iter().any(|rule| {
        rule["Status"] == "Enabled" && rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] == 7
    });
    expect(findings, aborts, || format!("{id}: incomplete uploads are never removed"));
}

fn key(stack: &Stack, findings: &mut Findings) {
    let key = stack.get("VaultKey");
    expect_at(findings, "VaultKey", key, "/Properties/EnableKeyRotation", &json!(true));
    expect_at(findings, "VaultKey", key, "/Properties/PendingWindowInDays", &json!(30));
    // Locked objects do not outlive their key: only the account itself may dispose of it.
    for statement in list(&key["Properties"]["KeyPolicy"]["Statement"]) {
        let root = text(&statement["Principal"]["AWS"]).ends_with(":root");
        expect(findings, root && statement["Effect"] == "Allow", || {
            format!("VaultKey: somebody else than the account in the key policy: {statement}")
        });
    }
    let alias = stack.get("VaultKeyAlias");
    expect_at(findings, "VaultKeyAlias", alias, "/Properties/TargetKeyId", &json!("@VaultKey"));
    expect_at(findings, "VaultKeyAlias", alias, "/Properties/AliasName", &json!("alias/tidemark-dev"));
}

/// What must be denied, by the condition that says so.
fn policy(stack: &Stack, findings: &mut Findings) {
    let policy = stack.get("VaultBucketPolicy");
    expect_at(findings, "VaultBucketPolicy", policy, "/Properties/Bucket", &json!("@VaultBucket"));
    let statements = list(&policy["Properties"]["PolicyDocument"]["Statement"]);
    let denials = [
        (
            "a request without TLS",
            "s3:*",
            json!({"Bool": {"aws:SecureTransport": "false"}}),
            vec!["@VaultBucket.Arn", "@VaultBucket.Arn/*"],
        ),
        // Present and different: without `Null` a put that names nothing, as ours do, would be denied as well.
        (
            "a put with another kind of encryption",
            "s3:PutObject",
            json!({
                "StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"},
                "Null": {"s3:x-amz-server-side-encryption": "false"},
            }),
            vec!["@VaultBucket.Arn/*"],
        ),
        (
            "a put with another key",
            "s3:PutObject",
            json!({
                "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "@VaultKey.Arn"},
                "Null": {"s3:x-amz-server-side-encryption-aws-kms-key-id": "false"},
            }),
            vec!["@VaultBucket.Arn/*"],
        ),
        (
            "a put with the caller's key",
            "s3:PutObject",
            json!({"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}}),
            vec!["@VaultBucket.Arn/*"],
        ),
    ];
    for (what, action, condition, resources) in &denials {
        let denied = statements.iter().any(|statement| {
            statement["Effect"] == "Deny"
                && statement["Principal"] == "*"
                && strings(&statement["Action"]) == [*action]
                && statement["Condition"] == *condition
                && strings(&statement["Resource"]) == *resources
        });
        expect(findings, denied, || format!("VaultBucketPolicy does not deny {what}"));
    }
    for statement in statements {
        expect(findings, statement["Effect"] == "Deny", || {
            format!("VaultBucketPolicy allows something: {statement}")
        });
        let negated =
            statement["Condition"].as_object().is_some_and(|c| c.keys().any(|key| key.contains("NotEquals")));
        let present = !statement["Condition"]["Null"].is_null();
        expect(findings, !negated || present, || {
            format!("VaultBucketPolicy denies what says nothing, as every put of ours does: {statement}")
        });
    }
}

/// Whether the bucket's policy denies a request whose context has these keys. A key that is absent makes a negated
/// operator true and every other false, `IfExists` always true (IAM User Guide, "Condition operators").
pub fn denies(stack: &Stack, action: &str, context: &[(&str, &str)]) -> bool {
    let statements = &stack.get("VaultBucketPolicy")["Properties"]["PolicyDocument"]["Statement"];
    list(statements).iter().any(|statement| {
        let concerned = strings(&statement["Action"]).iter().any(|one| *one == "s3:*" || *one == action);
        let conditions = statement["Condition"].as_object().into_iter().flatten();
        let mut terms = conditions.flat_map(|(operator, keys)| {
            keys.as_object()
                .into_iter()
                .flatten()
                .map(move |(key, wanted)| (operator.as_str(), key, text(wanted)))
        });
        let holds = terms.all(|(operator, key, wanted)| {
            let found = context.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
            match (operator, found) {
                ("Null", found) => (wanted == "true") == found.is_none(),
                (operator, None) => operator.ends_with("IfExists") || operator.contains("Not"),
                (operator, Some(found)) => (found == wanted) != operator.contains("Not"),
            }
        });
        statement["Effect"] == "Deny" && concerned && holds
    })
}

/// Nothing that a backup needs goes away with its stack.
fn outlives(stack: &Stack, findings: &mut Findings) {
    for (id, resource) in &stack.resources {
        for (attribute, policy) in
            [("DeletionPolicy", "RetainExceptOnCreate"), ("UpdateReplacePolicy", "Retain")]
        {
            expect_at(findings, id, resource, &format!("/{attribute}"), &json!(policy));
        }
    }
}

fn replication(stack: &Stack, region: &str, findings: &mut Findings) {
    let bucket = stack.get("VaultBucket");
    let rules = list(&bucket["Properties"]["ReplicationConfiguration"]["Rules"]);
    expect(findings, rules.len() == 1, || format!("VaultBucket: {} replication rules, not one", rules.len()));
    let rule = rules.first().unwrap_or(&Value::Null);
    let target = format!("arn:aws:s3:::tidemark-vault-dev-123456789012-{region}");
    for (pointer, wanted) in [
        ("/Status", json!("Enabled")),
        ("/Filter/Prefix", json!("")),
        ("/DeleteMarkerReplication/Status", json!("Disabled")),
        ("/SourceSelectionCriteria/SseKmsEncryptedObjects/Status", json!("Enabled")),
        ("/Destination/Bucket", json!(target)),
        (
            "/Destination/EncryptionConfiguration/ReplicaKmsKeyID",
            json!(format!("arn:aws:kms:{region}:123456789012:alias/tidemark-dev")),
        ),
        ("/Destination/Metrics/Status", json!("Enabled")),
    ] {
        expect_at(findings, "replication rule", rule, pointer, &wanted);
    }
    let role = &bucket["Properties"]["ReplicationConfiguration"]["Role"];
    expect(findings, role == "@ReplicationRole.Arn", || format!("VaultBucket replicates with {role}"));
}
