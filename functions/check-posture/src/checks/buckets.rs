//! The buckets: what has to be so for what is in them to stay.

use ::vault::{DefaultEncryption, Lock, PublicAccess, Versioning};
use domain::{Finding, ResourceId};
use jiff::Timestamp;
use kms::Key;
use serde_json::Value;

use super::{Check, Of, check, critical, plans, policy, warning};
use crate::{
    kind,
    observe::{BucketSeen, PlaceSeen, Seen},
};

/// What `ElastiCache` needs in the bucket through which it hands snapshots over (User Guide, "Exporting a backup"): of the
/// bucket itself, and of what is in it.
const NEEDED: [(&str, &str); 6] = [
    ("s3:GetBucketAcl", ""),
    ("s3:ListBucket", ""),
    ("s3:ListBucketMultipartUploads", ""),
    ("s3:GetObject", "/any"),
    ("s3:ListMultipartUploadParts", "/any"),
    ("s3:PutObject", "/any"),
];

pub(super) fn checks(seen: &Seen, now: Timestamp) -> Vec<Check<'_>> {
    let mut checks = Vec::new();
    for place in [&seen.home, &seen.recovery] {
        checks.extend(of_vault(place, now));
        checks.push(access(&place.exports, now));
        // Of no interest where nothing of Redis is protected. Where nobody knows whether anything is, it is looked at.
        let unused = seen.caches.as_ref().is_ok_and(|caches| plans::caches(caches, &seen.plans).is_empty());
        if !unused {
            checks.extend(of_exports(place, now));
        }
    }
    checks
}

fn of_vault(place: &PlaceSeen, now: Timestamp) -> [Check<'_>; 4] {
    let bucket = &place.vault;
    let name = resource(bucket);
    let versioning = bucket.versioning.as_ref().map(|found| versioning(&name, *found, now));
    let lock = bucket.lock.as_ref().map(|found| lock(&name, found.as_ref(), now));
    let encryption = bucket.encryption.as_ref().and_then(|found| {
        let key = place.key.key.as_ref()?;
        Ok(vault_encryption(&name, found.as_ref(), &place.key.alias, key.as_ref(), now))
    });
    let of = || Of::One(resource(bucket));
    [
        check(&kind::VERSIONING_OFF, of(), versioning),
        check(&kind::LOCK_OFF, of(), lock),
        check(&kind::ENCRYPTION_DIFFERS, of(), encryption),
        access(bucket, now),
    ]
}

fn of_exports(place: &PlaceSeen, now: Timestamp) -> [Check<'_>; 2] {
    let bucket = &place.exports;
    let partition = place.key.alias.split(':').nth(1).unwrap_or("aws");
    let policy = bucket.policy.as_ref();
    let policy = policy.map(|found| exports_policy(bucket, partition, &place.region, found.as_deref(), now));
    let encryption = bucket.encryption.as_ref();
    let encryption = encryption.map(|found| exports_encryption(bucket, found.as_ref(), now));
    let of = || Of::One(resource(bucket));
    [check(&kind::EXPORT_CLOSED, of(), policy), check(&kind::ENCRYPTION_DIFFERS, of(), encryption)]
}

fn access(bucket: &BucketSeen, now: Timestamp) -> Check<'_> {
    let found = bucket.public_access.as_ref().map(|found| public_access(bucket, *found, now));
    check(&kind::PUBLIC_ACCESS_OPEN, Of::One(resource(bucket)), found)
}

/// What is said of a bucket is said under its name.
pub(super) fn resource(bucket: &BucketSeen) -> ResourceId {
    ResourceId::tidemark(&bucket.name)
}

fn versioning(bucket: &ResourceId, found: Versioning, now: Timestamp) -> Option<Finding> {
    let says = match found {
        Versioning::Enabled => return None,
        Versioning::Suspended => "versioning is suspended",
        Versioning::Never => "versioning is off",
    };
    let says = format!("{says}: what is deleted or overwritten is gone at once, and nothing is replicated");
    let next = format!(
        "`aws s3api put-bucket-versioning --bucket {} --versioning-configuration Status=Enabled`. S3 lets nobody suspend it where there \
         is an Object Lock, so see whether this is still the bucket that infra/vault.yaml made.",
        bucket.name
    );
    Some(critical(now).of(bucket, kind::VERSIONING_OFF, says, next))
}

fn lock(bucket: &ResourceId, found: Option<&Lock>, now: Timestamp) -> Option<Finding> {
    let says = match found {
        Some(Lock { default: Some(_) }) => return None,
        Some(Lock { default: None }) => "new objects get no lock",
        None => "the bucket has no Object Lock",
    };
    let says = format!("{says}: whoever may delete there can delete every recovery point for good");
    let next = format!(
        "`aws s3api put-object-lock-configuration --bucket {} --object-lock-configuration \
         'ObjectLockEnabled=Enabled,Rule={{DefaultRetention={{Mode=GOVERNANCE,Days=8}}}}'`, with what infra/vault.yaml was deployed with; it \
         holds for objects that are written from then on.",
        bucket.name
    );
    Some(warning(now).of(bucket, kind::LOCK_OFF, says, next))
}

fn public_access(bucket: &BucketSeen, found: PublicAccess, now: Timestamp) -> Option<Finding> {
    let PublicAccess { acls_blocked, acls_ignored, policy_blocked, buckets_restricted } = found;
    let open: Vec<&str> = [
        ("BlockPublicAcls", acls_blocked),
        ("IgnorePublicAcls", acls_ignored),
        ("BlockPublicPolicy", policy_blocked),
        ("RestrictPublicBuckets", buckets_restricted),
    ]
    .into_iter()
    .filter_map(|(name, is_on)| (!is_on).then_some(name))
    .collect();
    if open.is_empty() {
        return None;
    }
    let says = format!(
        "public access is not blocked ({} off): one careless policy or ACL would show backups to everybody",
        open.join(", ")
    );
    let next = format!(
        "`aws s3api put-public-access-block --bucket {} --public-access-block-configuration \
         BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true`.",
        bucket.name
    );
    Some(warning(now).of(&resource(bucket), kind::PUBLIC_ACCESS_OPEN, says, next))
}

/// A vault is under its own key: functions may use no other, and S3 replicates what is under another with that one's permissions.
fn vault_encryption(
    bucket: &ResourceId,
    found: Option<&DefaultEncryption>,
    alias: &str,
    key: Option<&Key>,
    now: Timestamp,
) -> Option<Finding> {
    let (algorithm, used) =
        found.map_or(("AES256", None), |found| (found.algorithm.as_str(), found.key.as_deref()));
    let kms = algorithm.starts_with("aws:kms");
    let is_own = used.is_some_and(|used| is_key(used, alias, key));
    if kms && (is_own || key.is_none()) {
        return None;
    }
    let next = format!(
        "`aws s3api put-bucket-encryption --bucket {} --server-side-encryption-configuration \
         '{{\"Rules\":[{{\"BucketKeyEnabled\":true,\"ApplyServerSideEncryptionByDefault\":{{\"SSEAlgorithm\":\"aws:kms\",\"KMSMasterKeyID\":\"{}\"}}}}]}}'`.",
        bucket.name,
        key.map_or(alias, |key| key.arn.as_str())
    );
    let kind = kind::ENCRYPTION_DIFFERS;
    if kms {
        let says = format!(
            "new objects are encrypted with {}, and not with the vault's key {alias}: Tidemark may not use it, so that the next backup fails",
            used.unwrap_or("the default key of S3 (aws/s3)")
        );
        Some(critical(now).of(bucket, kind, says, next))
    } else {
        let says = format!(
            "new objects are encrypted with S3's own keys ({algorithm}), and not with the vault's key {alias}"
        );
        Some(warning(now).of(bucket, kind, says, next))
    }
}

/// Whether those two name the same key: it may be written as an id, an ARN or an alias.
pub(super) fn is_key(used: &str, alias: &str, key: Option<&Key>) -> bool {
    let is_arn = |key: &Key| used == key.arn || key.arn.ends_with(&format!(":key/{used}"));
    used == alias || alias.ends_with(&format!(":{used}")) || key.is_some_and(is_arn)
}

fn exports_policy(
    bucket: &BucketSeen,
    partition: &str,
    region: &str,
    found: Option<&str>,
    now: Timestamp,
) -> Option<Finding> {
    let policy: Value = found.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let service = format!("{region}.elasticache-snapshot.amazonaws.com");
    let is_missing = |(action, below): &(&str, &str)| {
        let arn = format!("arn:{partition}:s3:::{}{below}", bucket.name);
        !policy::allows(&policy, &service, action, &arn)
    };
    let missing: Vec<&str> =
        NEEDED.iter().filter(|needed| is_missing(needed)).map(|(action, _)| *action).collect();
    if missing.is_empty() {
        return None;
    }
    let says = format!(
        "the bucket's policy does not let {service} do {}: ElastiCache can hand no snapshot over, and restore from none",
        missing.join(", ")
    );
    let next = format!(
        "Deploy infra/vault.yaml in {region} again, which has the statement ElastiCacheHandsOver; see who changed it (CloudTrail, \
         PutBucketPolicy)."
    );
    Some(critical(now).of(&resource(bucket), kind::EXPORT_CLOSED, says, next))
}

fn exports_encryption(
    bucket: &BucketSeen,
    found: Option<&DefaultEncryption>,
    now: Timestamp,
) -> Option<Finding> {
    let algorithm = found.map_or("AES256", |found| found.algorithm.as_str());
    let says = format!(
        "what ElastiCache writes there is encrypted with {algorithm}, and it reads only what is encrypted with S3's own keys (AES256): the \
         next export fails"
    );
    let next = format!(
        "`aws s3api put-bucket-encryption --bucket {} --server-side-encryption-configuration \
         '{{\"Rules\":[{{\"ApplyServerSideEncryptionByDefault\":{{\"SSEAlgorithm\":\"AES256\"}}}}]}}'`.",
        bucket.name
    );
    let finding = || critical(now).of(&resource(bucket), kind::ENCRYPTION_DIFFERS, says, next);
    (algorithm != "AES256").then(finding)
}
