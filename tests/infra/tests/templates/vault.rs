//! `infra/vault.yaml`: with it spoilt in one place, the right rule breaks.

use infra_tests::{Findings, Stack, access, resolve, roles, vault};
use serde_json::{Value, json};

use crate::{AWAY, HOME, REAL, at, each_is_noticed, none};

fn home_vault(template: &Value) -> Stack {
    resolve(template, HOME, &[("ReplicaRegion", AWAY)]).expect("the home vault")
}

fn away_vault(template: &Value) -> Stack {
    resolve(template, AWAY, &[]).expect("the recovery Region's vault")
}

/// The recovery Region's, prepared for functions.
fn away_with_state(template: &Value) -> Stack {
    resolve(template, AWAY, &[("HoldsState", "Always")]).expect("the recovery Region's vault")
}

fn vault_findings(template: &Value) -> Findings {
    let mut findings = vault::check(&home_vault(template), Some(AWAY));
    findings.extend(vault::check(&away_vault(template), None));
    findings.extend(vault::check_state(&away_with_state(template)));
    findings.extend(access::check(&home_vault(template), &roles::of_the_vault()));
    findings
}

#[test]
fn the_vault_keeps_every_rule() {
    none(&vault_findings(&REAL.vault));
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
fn the_state_bucket_is_named_in_the_outputs() {
    let output = &REAL.vault["Outputs"]["StateBucketName"];
    assert_eq!(
        *output,
        json!({
            "Condition": "HasState",
            "Description": output["Description"],
            "Value": {"Ref": "StateBucket"},
        })
    );
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
fn a_spoilt_export_bucket_is_noticed() {
    let bucket = |rest: &str| -> &'static str { format!("/Resources/ExportBucket/Properties/{rest}").leak() };
    let statement = |rest: &str| -> &'static str {
        format!("/Resources/ExportBucketPolicy/Properties/PolicyDocument/Statement/{rest}").leak()
    };
    let kms = json!({"ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}});
    each_is_noticed(
        &REAL.vault,
        vault_findings,
        &[
            (bucket("BucketEncryption/ServerSideEncryptionConfiguration/0"), kms, "SSEAlgorithm"),
            (bucket("LifecycleConfiguration/Rules/0/ExpirationInDays"), json!(1), "ExpirationInDays is 1"),
            (bucket("PublicAccessBlockConfiguration/BlockPublicAcls"), json!(false), "BlockPublicAcls"),
            (bucket("ObjectLockEnabled"), json!(true), "ObjectLockEnabled"),
            (statement("0"), Value::Null, "without TLS"),
            (statement("1"), Value::Null, "not ElastiCache"),
            (
                statement("1/Principal/Service"),
                json!("eu-west-1.elasticache-snapshot.amazonaws.com"),
                "not ElastiCache",
            ),
            (statement("1/Action/5"), Value::Null, "not ElastiCache"),
            (
                statement("2"),
                json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}),
                "not it alone",
            ),
        ],
    );
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
            (
                bucket("Properties/LifecycleConfiguration/Rules/1"),
                expiry,
                "VaultBucket: a lifecycle rule deletes objects",
            ),
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
fn a_spoilt_state_bucket_is_noticed() {
    let expiry = json!({"Id": "old", "Status": "Enabled", "ExpirationInDays": 30});
    each_is_noticed(
        &REAL.vault,
        vault_findings,
        &[
            ("/Resources/StateBucket/Condition", Value::Null, "StateBucket exists where no functions run"),
            ("/Resources/StateBucket/DeletionPolicy", json!("Delete"), "StateBucket: /DeletionPolicy"),
            (
                "/Resources/StateBucketPolicy/DeletionPolicy",
                Value::Null,
                "StateBucketPolicy: /DeletionPolicy",
            ),
            (at("StateBucket", "BucketName"), json!("tidemark"), "StateBucket is named tidemark"),
            (at("StateBucket", "BucketEncryption"), Value::Null, "StateBucket: /Properties/BucketEncryption"),
            (
                at("StateBucket", "PublicAccessBlockConfiguration/BlockPublicAcls"),
                json!(false),
                "StateBucket: /Properties/PublicAccessBlockConfiguration",
            ),
            (
                at("StateBucket", "OwnershipControls"),
                Value::Null,
                "StateBucket: /Properties/OwnershipControls",
            ),
            (
                at("StateBucket", "VersioningConfiguration"),
                json!({"Status": "Enabled"}),
                "StateBucket: /Properties/VersioningConfiguration",
            ),
            (
                at("StateBucket", "ObjectLockEnabled"),
                json!(true),
                "StateBucket: /Properties/ObjectLockEnabled",
            ),
            (at("StateBucket", "LifecycleConfiguration/Rules/3"), expiry, "StateBucket: a lifecycle rule"),
            (
                at("StateBucket", "LifecycleConfiguration/Rules/1/Prefix"),
                Value::Null,
                "StateBucket: a lifecycle rule",
            ),
            (
                at("StateBucket", "LifecycleConfiguration/Rules/2/ExpirationInDays"),
                json!(7),
                "StateBucket: /Properties/LifecycleConfiguration/Rules/2/ExpirationInDays",
            ),
            (
                at("StateBucket", "LifecycleConfiguration/Rules/1"),
                Value::Null,
                "StateBucket: /Properties/LifecycleConfiguration/Rules/1",
            ),
            (at("StateBucket", "LifecycleConfiguration"), Value::Null, "StateBucket: incomplete uploads"),
            (at("StateBucketPolicy", "PolicyDocument/Statement/0"), Value::Null, "StateBucketPolicy: "),
            (
                at("StateBucketPolicy", "PolicyDocument/Statement/1"),
                json!({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}),
                "StateBucketPolicy: ",
            ),
        ],
    );
}
